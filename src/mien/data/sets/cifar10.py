"""CIFAR-10: 60,000 pictures of ten classes, 32x32 (Krizhevsky, 2009), or a part of them.

Three layouts are read: the published binary files (`cifar-10-batches-bin/data_batch_1.bin` …), the published
Python ones (`cifar-10-batches-py/data_batch_1` …; they are pickles, and nothing in them is run), and folders
of pictures, `train/CLASS/*.jpg` and `test/CLASS/*.jpg`, as they are or in a zip, which is read where it lies.
Any of the batches, any of the classes, are enough.

The split: the published test part is the test part; of the training part the last tenth of each class, in the
order of the files, is valid. At sizes other than 32 pictures are resized (Lanczos).
"""

from __future__ import annotations

import hashlib
import json
import os
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from mien.data import dataset
from mien.data.archives import Files, locate
from mien.data.cifar_batches import BATCHES, read_batch
from mien.data.pictures import open_picture, to_square
from mien.errors import MienError
from mien.files import sha256

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
HOMES = ("cifar10", "cifar10.zip", "cifar-10-batches-bin", "cifar-10-batches-py")
SUFFIXES = (".jpg", ".jpeg", ".png")
LAYOUT = (
    "put the unpacked cifar-10-batches-bin/ or cifar-10-batches-py/ there, or cifar10.zip with "
    "train/CLASS/*.jpg and test/CLASS/*.jpg"
)


class Item(NamedTuple):
    """One picture: its name, its class, whether it is of the published test part."""

    key: str
    label: int
    test: bool


class Batches:
    """The published files, binary or pickled."""

    def __init__(self, paths: list[Path]):
        self.paths, self.classes = paths, CLASSES

    @cached_property
    def _read(self) -> tuple[np.ndarray, list[Item]]:
        pictures, items = [], []
        for path in self.paths:
            images, labels = read_batch(path, len(CLASSES))
            pictures.append(images)
            test = path.stem == "test_batch"
            items += [Item(f"{path.stem}/{k:05d}", int(label), test) for k, label in enumerate(labels)]
        return np.concatenate(pictures), items

    @property
    def items(self) -> list[Item]:
        return self._read[1]

    def picture(self, i: int) -> Image.Image:
        return Image.fromarray(self._read[0][i])

    def fingerprint(self) -> list:
        return [(path.name, sha256(path)) for path in self.paths]


class Folders:
    """Pictures in `train/CLASS` and `test/CLASS`, of a folder or a zip."""

    def __init__(self, path: Path):
        self.files = Files(path)
        found = []
        for name in self.files.names:
            part, kind, _ = ["", "", *name.split("/")][-3:]
            if part in ("train", "test") and name.lower().endswith(SUFFIXES):
                found.append((part == "test", kind, name))
        self.classes = tuple(sorted({kind for _, kind, _ in found}))
        number = {kind: label for label, kind in enumerate(self.classes)}
        self.items = [Item(name, number[kind], test) for test, kind, name in sorted(found)]

    def picture(self, i: int) -> Image.Image:
        return open_picture(self.files.read(self.items[i].key))

    def fingerprint(self) -> str:
        return self.files.fingerprint()


class Source(dataset.Source):
    """CIFAR-10 in `root`, a folder or a zip; cifar10 or cifar10.zip in $MIEN_DATA if None."""

    name = "cifar10"
    size = 32

    def __init__(self, root: str | os.PathLike | None = None):
        self.root = locate(root, HOMES, "CIFAR-10", LAYOUT)
        self._reader = _open(self.root)
        self.classes = self._reader.classes

    @cached_property
    def _items(self) -> list[Item]:
        return self._reader.items

    @cached_property
    def _partition(self) -> np.ndarray:
        labels, test = (np.array([item[k] for item in self._items]) for k in (1, 2))
        partition = np.where(test, 2, 0)
        for label in range(len(self.classes)):
            of_class = np.flatnonzero((labels == label) & ~test)
            partition[of_class[len(of_class) - len(of_class) // 10 :]] = 1
        return partition

    def __len__(self) -> int:
        return len(self._items)

    def key(self, i: int) -> str:
        return self._items[i].key

    def label(self, i: int) -> int:
        return self._items[i].label

    def partition(self, i: int) -> int:
        return int(self._partition[i])

    def read(self, i: int, size: int) -> np.ndarray:
        return to_square(self._reader.picture(i), size)

    def fingerprint(self) -> str:
        text = json.dumps(["cifar10", 1, self._reader.fingerprint()])
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()

    def options(self) -> dict:
        return {"root": str(self.root.resolve())}


def _open(root: Path) -> Batches | Folders:
    """The first layout there is."""
    if root.is_dir():
        for end in (".bin", ""):
            for folder in (root, root / "cifar-10-batches-bin", root / "cifar-10-batches-py"):
                paths = [folder / f"{name}{end}" for name in BATCHES]
                if paths := [path for path in paths if path.is_file()]:
                    return Batches(paths)
        if (root / "cifar10.zip").is_file():
            root = root / "cifar10.zip"
        elif not any((root / part).is_dir() for part in ("train", "test")):
            raise MienError(f"CIFAR-10: nothing of it in {root}: {LAYOUT}")
    reader = Folders(root)
    if not reader.items:
        raise MienError(f"CIFAR-10: no train/CLASS/*.jpg in {root}: {LAYOUT}")
    return reader
