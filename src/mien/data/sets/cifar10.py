"""CIFAR-10: 60,000 pictures of ten classes, 32x32 (Krizhevsky, 2009), or a part of them.

Three layouts are read: the published binary files (``cifar-10-batches-bin/data_batch_1.bin`` …), the published
Python files (``cifar-10-batches-py/data_batch_1`` …; these are pickles, and no code in them is run), and folders
of pictures ``train/CLASS/*.jpg`` and ``test/CLASS/*.jpg``, which may be in a zip; the zip is not unpacked.
A part of the batches or of the classes is enough.

The official split: the published test part is the test part. In the training part, the last tenth of each class
in the order of the files is the validation part. At sizes other than 32, pictures are resized by Lanczos.
"""

from __future__ import annotations

import hashlib
import json
import os
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.data import base
from mien.data.archives import locate
from mien.data.class_folders import ClassFolders, Item, partition
from mien.data.formats.cifar import BATCHES, read_batch
from mien.data.pictures import to_square
from mien.errors import MienError
from mien.files import sha256

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
HOMES = ("cifar10", "cifar10.zip", "cifar-10-batches-bin", "cifar-10-batches-py")
PARTS = {"train": False, "test": True}  # True for the test part
LAYOUT = (
    "put the unpacked cifar-10-batches-bin/ or cifar-10-batches-py/ there, or cifar10.zip with "
    "train/CLASS/*.jpg and test/CLASS/*.jpg"
)


class Batches:
    """Reader of the published files, binary or pickled."""

    def __init__(self, paths: list[Path]):
        self.paths, self.classes = paths, CLASSES

    @cached_property
    def _content(self) -> tuple[NDArray[np.uint8], list[Item]]:
        pictures, items = [], []
        for path in self.paths:
            images, labels = read_batch(path, len(CLASSES))
            pictures.append(images)
            test = path.stem == "test_batch"
            items += [Item(f"{path.stem}/{k:05d}", int(label), test) for k, label in enumerate(labels)]
        return np.concatenate(pictures), items

    @property
    def items(self) -> list[Item]:
        return self._content[1]

    def picture(self, i: int) -> Image.Image:
        return Image.fromarray(self._content[0][i])

    def fingerprint(self) -> list[tuple[str, str]]:
        return [(path.name, sha256(path)) for path in self.paths]


class Source(base.Source):
    """CIFAR-10 in ``root``, a folder or a zip; cifar10 or cifar10.zip in $MIEN_DATA if None.

    Raises:
        MienError: no such files, or a damaged one.
    """

    name = "cifar10"
    size = 32

    def __init__(self, root: str | os.PathLike[str] | None = None):
        self.root = locate(root, HOMES, "CIFAR-10", LAYOUT)
        self._reader = _open(self.root)
        self.classes = self._reader.classes

    @cached_property
    def _items(self) -> list[Item]:
        return self._reader.items

    @cached_property
    def _partition(self) -> NDArray[np.int64]:
        return partition(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def key(self, i: int) -> str:
        return self._items[i].key

    def label(self, i: int) -> int:
        return self._items[i].label

    def partition(self, i: int) -> int:
        return int(self._partition[i])

    def read(self, i: int, size: int) -> NDArray[np.uint8]:
        return to_square(self._reader.picture(i), size)

    def fingerprint(self) -> str:
        text = json.dumps(["cifar10", 1, self._reader.fingerprint()])
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()

    def options(self) -> dict[str, Any]:
        return {"root": str(self.root.resolve())}


def _open(root: Path) -> Batches | ClassFolders:
    """Return a reader of the first layout that exists in ``root``."""
    if root.is_dir():
        for end in (".bin", ""):
            for folder in (root, root / "cifar-10-batches-bin", root / "cifar-10-batches-py"):
                paths = [folder / f"{name}{end}" for name in BATCHES]
                if paths := [path for path in paths if path.is_file()]:
                    return Batches(paths)
        if (root / "cifar10.zip").is_file():
            root = root / "cifar10.zip"
        elif not any((root / part).is_dir() for part in ("train", "test")):
            raise MienError(f"CIFAR-10: expected its files in {root}, got none: {LAYOUT}")
    reader = ClassFolders(root, PARTS)
    if not reader.items:
        raise MienError(f"CIFAR-10: expected train/CLASS/*.jpg in {root}, got none: {LAYOUT}")
    return reader
