"""Gray pictures of 28x28 in IDX files, gzipped or not: what MNIST and Fashion-MNIST are published in.

Four files: `train-images-idx3-ubyte.gz`, `train-labels-idx1-ubyte.gz` and the same two of `t10k`; their names
may lack `.gz`, or have a dot before `idx`. Only those of `train`, or only those of `t10k`, are enough.
At size 32 the picture is padded with 2 pixels of black on each side, as LeNet wants it; at 28 it is as it is;
at any other size it is resized (Lanczos). The official split: of the training file the last twelfth, the
last 5,000 of 60,000, is the valid part and the rest, 55,000, the training part; `t10k` is the test part.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import zlib
from functools import cached_property
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
from PIL import Image

from mien.data import dataset
from mien.data.archives import locate
from mien.data.pictures import resize
from mien.errors import MienError
from mien.files import sha256

SIDE = 28  # pixels
LARGEST = 2**31  # bytes of pictures in a file
LAYOUT = (
    "put train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and "
    "t10k-labels-idx1-ubyte.gz there (gzipped or not)"
)


class Part(NamedTuple):
    """One of the two halves of the set: its files."""

    name: str
    images: Path
    labels: Path


class IdxSource(dataset.Source):
    """Pictures and labels of `train` and `t10k` in the folder `root`; a subclass says of which set."""

    size = SIDE
    channels = 1
    title: ClassVar[str]
    homes: ClassVar[tuple[str, ...]]  # folders in $MIEN_DATA that would do

    def __init__(self, root: str | os.PathLike | None = None):
        self.root = locate(root, self.homes, self.title, LAYOUT)
        self._parts = []
        for name in ("train", "t10k"):
            images, labels = self._find(name, "images", 3), self._find(name, "labels", 1)
            if images and labels:
                self._parts.append(Part(name, images, labels))
            elif found := images or labels:
                missing = f"{name}-{'labels-idx1' if images else 'images-idx3'}-ubyte"
                raise MienError(f"{self.title}: no {missing}[.gz] beside {found.name}: {LAYOUT}")
        if not self._parts:
            raise MienError(f"{self.title}: no IDX files in {self.root}: {LAYOUT}")

    def _find(self, part: str, kind: str, axes: int) -> Path | None:
        for folder in ("", "raw", *(f"{home}/raw" for home in self.homes)):
            for mark in "-.":
                for end in (".gz", ""):
                    path = self.root / folder / f"{part}-{kind}{mark}idx{axes}-ubyte{end}"
                    if path.is_file():
                        return path
        return None

    @cached_property
    def _read(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pictures (N, 28, 28) uint8, labels (N,), parts (N,) of 0 train, 1 valid, 2 test."""
        images, labels, partition = [], [], []
        for part in self._parts:
            images.append(read_idx(part.images, 3))
            labels.append(read_idx(part.labels, 1))
            count = len(images[-1])
            if images[-1].shape[1:] != (SIDE, SIDE):
                got = "x".join(map(str, images[-1].shape[1:]))
                raise MienError(f"{part.images}: expected pictures of {SIDE}x{SIDE}, got {got}")
            if count != len(labels[-1]):
                raise MienError(
                    f"{part.labels}: expected {count} labels, as {part.images.name} has pictures, got "
                    f"{len(labels[-1])}: download both again"
                )
            if count and (most := int(labels[-1].max())) >= len(self.classes):
                raise MienError(f"{part.labels}: expected labels 0 to {len(self.classes) - 1}, got {most}")
            train = count - count // 12
            partition.append(np.where(np.arange(count) < train, 0, 1) if part.name == "train" else np.full(count, 2))
        return np.concatenate(images), np.concatenate(labels).astype(int), np.concatenate(partition)

    def __len__(self) -> int:
        return len(self._read[0])

    @cached_property
    def _first(self) -> int:
        """Where `t10k` begins."""
        return int((self._read[2] < 2).sum())

    def key(self, i: int) -> str:
        return f"train-{i:05d}" if i < self._first else f"t10k-{i - self._first:05d}"

    def label(self, i: int) -> int:
        return int(self._read[1][i])

    def partition(self, i: int) -> int:
        return int(self._read[2][i])

    def read(self, i: int, size: int) -> np.ndarray:
        """Picture i, padded or resized: (size, size, 1)."""
        picture = self._read[0][i]
        if size == SIDE + 4:
            picture = np.pad(picture, 2)
        elif size != SIDE:
            picture = resize(Image.fromarray(picture), size)
        return picture[..., None]

    def fingerprint(self) -> str:
        files = [(part.name, sha256(part.images), sha256(part.labels)) for part in self._parts]
        return hashlib.sha256(json.dumps([self.name, 1, files]).encode()).hexdigest()

    def options(self) -> dict:
        return {"root": str(self.root.resolve())}


def read_idx(path: Path, axes: int) -> np.ndarray:
    """The bytes of an IDX file: uint8 with `axes` axes.

    Raises:
        MienError: another kind of file, cut short, or damaged.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            head = file.read(4 + 4 * axes)
            if len(head) < 4 + 4 * axes or head[:4] != bytes([0, 0, 8, axes]):  # 8: unsigned bytes
                wanted = f"expected an IDX file of bytes with {axes} axes"
                raise MienError(f"{path}: {wanted}, got one that begins with {head[:4].hex()}: download it again")
            shape = tuple(int(n) for n in np.frombuffer(head, ">u4", axes, 4))
            wanted_bytes = int(np.prod(shape, dtype=object))
            if wanted_bytes > LARGEST:
                raise MienError(f"{path}: claims {wanted_bytes:,} bytes, more than there can be: download it again")
            data = file.read(wanted_bytes + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise MienError(f"{path} is damaged ({error}): download it again") from None
    if len(data) != wanted_bytes:
        got = f"{len(data):,}" if len(data) < wanted_bytes else "more"
        raise MienError(f"{path}: expected {wanted_bytes:,} bytes after the header, got {got}: download it again")
    return np.frombuffer(data, np.uint8).reshape(shape)
