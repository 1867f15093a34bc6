"""ImageNet at 32x32: photographs of many classes, named by WordNet (Chrabaszcz et al., 2017), or a part of them.

The set reads folders ``train/WNID/*.JPEG`` and ``val/WNID/*.JPEG`` with ``words.txt`` (WNID, tab, names), or a zip of
them (``imagenet32_200classes_75+15.zip``, ``imagenet32.zip``), which is not unpacked. The name of a class is its first
name in ``words.txt``. If two classes have the same first name, the WNID follows it. Without ``words.txt`` the name is
the WNID.

The official split: ``val`` is the test part; in ``train``, the last tenth of each class in the order of the files is
the validation part. At sizes other than 32, pictures are resized by Lanczos.
"""

from __future__ import annotations

import hashlib
import json
import os
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data import base
from mien.data.archives import locate
from mien.data.class_folders import ClassFolders, partition
from mien.data.pictures import to_square
from mien.errors import MienError

ARCHIVES = ("imagenet32_200classes_75+15.zip", "imagenet32.zip")
PARTS = {"train": False, "val": True}  # True for the test part
LAYOUT = f"put train/WNID/*.JPEG, val/WNID/*.JPEG and words.txt there, or {ARCHIVES[0]} with them"


class Source(base.Source):
    """ImageNet-32 in ``root``, a folder or a zip; imagenet32 or a zip of it in $MIEN_DATA if None.

    Raises:
        MienError: no such pictures, a damaged zip, or a wrong line in words.txt.
    """

    name = "imagenet32"
    size = 32

    def __init__(self, root: str | os.PathLike[str] | None = None):
        self.root = locate(root, ("imagenet32", *ARCHIVES), "ImageNet-32", LAYOUT)
        archives = [self.root / name for name in ARCHIVES if (self.root / name).is_file()]
        self._reader = ClassFolders(archives[0] if archives else self.root, PARTS)
        if not self._reader.items:
            raise MienError(f"ImageNet-32: expected train/WNID/*.JPEG in {self._reader.files.path}, got none: {LAYOUT}")
        names = [self._words.get(wnid, wnid) for wnid in self._reader.classes]
        self.classes = tuple(
            name if names.count(name) == 1 else f"{name} ({wnid})"
            for name, wnid in zip(names, self._reader.classes, strict=True)
        )

    @cached_property
    def _words(self) -> dict[str, str]:
        """The first name of each WNID; empty if there is no words.txt."""
        files = [name for name in self._reader.files.names if name.split("/")[-1] == "words.txt"]
        words: dict[str, str] = {}
        if not files:
            return words
        for number, line in enumerate(self._reader.files.read(files[0]).decode("utf-8", "replace").splitlines(), 1):
            wnid, tab, names = line.partition("\t")
            if not line.strip():
                continue
            if not tab or not (first := names.split(",")[0].strip()):
                got = line[:60]
                raise MienError(f"words.txt, line {number}: expected a WNID, a tab and names, got '{got}': correct it")
            words[wnid.strip()] = first
        return words

    @cached_property
    def _partition(self) -> NDArray[np.int64]:
        return partition(self._reader.items)

    def __len__(self) -> int:
        return len(self._reader.items)

    def key(self, i: int) -> str:
        return self._reader.items[i].key

    def label(self, i: int) -> int:
        return self._reader.items[i].label

    def partition(self, i: int) -> int:
        return int(self._partition[i])

    def read(self, i: int, size: int) -> NDArray[np.uint8]:
        return to_square(self._reader.picture(i), size)

    def fingerprint(self) -> str:
        text = json.dumps(["imagenet32", 1, self._reader.fingerprint()])
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()

    def options(self) -> dict[str, Any]:
        return {"root": str(self.root.resolve())}
