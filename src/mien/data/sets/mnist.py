"""MNIST: 70,000 handwritten digits, white on black, 28x28 gray (LeCun et al., 1998), or a part of them.

The folder holds the four published IDX files: ``train-images-idx3-ubyte.gz``, ``train-labels-idx1-ubyte.gz`` and
the same two of ``t10k``. The suffix ``.gz`` may be absent, and a dot may stand before ``idx``. The two files of
``train`` alone or of ``t10k`` alone are enough.

At size 28 the pictures are unchanged. At size 32 they are padded with 2 black pixels on each side, as in LeNet.
At other sizes they are resized by Lanczos. The official split: the first 55,000 pictures of the training file are
the training part, its last 5,000 (a twelfth) are the validation part, and ``t10k`` is the test part.
"""

from __future__ import annotations

import hashlib
import json
import os
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.data import base
from mien.data.archives import locate
from mien.data.formats.idx import read_idx
from mien.data.pictures import resize
from mien.errors import MienError
from mien.files import sha256

SIDE = 28  # pixels
LAYOUT = (
    "put train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and "
    "t10k-labels-idx1-ubyte.gz there (gzipped or not)"
)


class Part(NamedTuple):
    """The two files of ``train`` or of ``t10k``."""

    name: str
    images: Path
    labels: Path


class Source(base.Source):
    """MNIST's IDX files in the folder ``root``, $MIEN_DATA/mnist if None.

    Raises:
        MienError: the folder or one of its files is absent or damaged.
    """

    name = "mnist"
    size = SIDE
    channels = 1
    classes = tuple("0123456789")
    title: ClassVar[str] = "MNIST"
    homes: ClassVar[tuple[str, ...]] = ("mnist", "MNIST")  # folders in $MIEN_DATA

    def __init__(self, root: str | os.PathLike[str] | None = None):
        self.root = locate(root, self.homes, self.title, LAYOUT)
        self._parts = []
        for name in ("train", "t10k"):
            images, labels = self._find(name, "images", 3), self._find(name, "labels", 1)
            if images and labels:
                self._parts.append(Part(name, images, labels))
            elif present := images or labels:
                absent = f"{name}-{'labels-idx1' if images else 'images-idx3'}-ubyte"
                raise MienError(f"{self.title}: expected {absent}[.gz] beside {present.name}, got none: {LAYOUT}")
        if not self._parts:
            raise MienError(f"{self.title}: expected IDX files in {self.root}, got none: {LAYOUT}")

    def _find(self, part: str, kind: str, axes: int) -> Path | None:
        for folder in ("", "raw", *(f"{home}/raw" for home in self.homes)):
            for mark in "-.":
                for end in (".gz", ""):
                    path = self.root / folder / f"{part}-{kind}{mark}idx{axes}-ubyte{end}"
                    if path.is_file():
                        return path
        return None

    @cached_property
    def _tables(self) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
        """Pictures (N, 28, 28), labels (N,), parts (N,) of 0 train, 1 valid, 2 test."""
        images, labels, partition = [], [], []
        for part in self._parts:
            images.append(read_idx(part.images, 3))
            labels.append(read_idx(part.labels, 1))
            count = len(images[-1])
            if images[-1].shape[1:] != (SIDE, SIDE):
                got = "x".join(map(str, images[-1].shape[1:]))
                raise MienError(f"{part.images}: expected pictures of {SIDE}x{SIDE}, got {got}: download it again")
            if count != len(labels[-1]):
                raise MienError(
                    f"{part.labels}: expected {count} labels, one for each picture of {part.images.name}, got "
                    f"{len(labels[-1])}: download both again"
                )
            if count and (largest := int(labels[-1].max())) >= len(self.classes):
                most = len(self.classes) - 1
                raise MienError(f"{part.labels}: expected labels 0 to {most}, got {largest}: download it again")
            train = count - count // 12
            partition.append(np.where(np.arange(count) < train, 0, 1) if part.name == "train" else np.full(count, 2))
        return np.concatenate(images), np.concatenate(labels).astype(np.int64), np.concatenate(partition)

    def __len__(self) -> int:
        return len(self._tables[0])

    @cached_property
    def _start(self) -> int:
        """The position of the first picture of ``t10k``."""
        return int((self._tables[2] < 2).sum())

    def key(self, i: int) -> str:
        return f"train-{i:05d}" if i < self._start else f"t10k-{i - self._start:05d}"

    def label(self, i: int) -> int:
        return int(self._tables[1][i])

    def partition(self, i: int) -> int:
        return int(self._tables[2][i])

    def read(self, i: int, size: int) -> NDArray[np.uint8]:
        """Return picture i, padded or resized: uint8 (size, size, 1)."""
        picture: NDArray[np.uint8] = self._tables[0][i]
        if size == SIDE + 4:
            picture = np.pad(picture, 2)
        elif size != SIDE:
            picture = resize(Image.fromarray(picture), size)
        return picture[..., None]

    def fingerprint(self) -> str:
        files = [(part.name, sha256(part.images), sha256(part.labels)) for part in self._parts]
        return hashlib.sha256(json.dumps([self.name, 1, files]).encode()).hexdigest()

    def options(self) -> dict[str, Any]:
        return {"root": str(self.root.resolve())}
