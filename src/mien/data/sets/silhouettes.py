"""Caltech-101 silhouettes: 8,671 binary outlines of 101 kinds of objects, 28x28 (Marlin et al., 2010).

The set reads the published file ``caltech101_silhouettes_28.mat``. The objects are black on white. At sizes other than
28, pictures are resized by Lanczos and are no longer binary. The file has no split. The option ``seed`` draws
one: of 8,671 pictures, 6,364 for training and 2,307 for the test, as in the SSAVAE paper (Zemouri, 2020). A tenth of
the 6,364 is the validation part (636).
"""

from __future__ import annotations

import hashlib
import os
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.data import base
from mien.data.archives import locate
from mien.data.formats.arrays import mat_arrays
from mien.data.pictures import resize
from mien.data.splits import draw
from mien.errors import MienError
from mien.files import sha256

SIDE = 28  # pixels
COUNT, TRAIN, VALID, TEST = 8671, 5728, 636, 2307  # TRAIN + VALID = 6,364
FRACTIONS = (TRAIN / COUNT, VALID / COUNT, TEST / COUNT)
FILE = "caltech101_silhouettes_28.mat"
LAYOUT = f"put {FILE} there (download it from https://people.cs.umass.edu/~marlin/data/{FILE})"


class Tables(NamedTuple):
    """The content of the file.

    Args:
        pictures: uint8 (N, 28, 28), 0 for the object and 255 for the background.
        labels: int64 (N,), class numbers from 0.
        classes: the names of the classes.
    """

    pictures: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]


class Source(base.Source):
    """Caltech-101 silhouettes in ``root``, the file or its folder; in $MIEN_DATA if None.

    Args:
        root: the file or its folder.
        seed: seed of the split into training, validation and test, ≥ 0.

    Raises:
        MienError: a wrong seed, no such file, or one of another format.
    """

    name = "silhouettes"
    size = SIDE
    channels = 1

    def __init__(self, root: str | os.PathLike[str] | None = None, seed: int = 0):
        if seed < 0:
            raise MienError(f"expected a seed of 0 or more, got {seed}: pass another seed")
        self.seed = seed
        self.root = locate(root, (FILE, "caltech101_silhouettes", "silhouettes"), "Caltech-101 silhouettes", LAYOUT)
        self._path = self.root / FILE if self.root.is_dir() else self.root
        if not self._path.is_file():
            raise MienError(f"Caltech-101 silhouettes: expected {FILE} in {self.root}, got none: {LAYOUT}")
        self.classes = self._tables.classes

    @cached_property
    def _tables(self) -> Tables:
        arrays = mat_arrays(self._path, ["X", "Y", "classnames"])
        if absent := [name for name in ("X", "Y", "classnames") if name not in arrays]:
            raise MienError(f"{self._path}: expected a variable {absent[0]}, got none: {LAYOUT}")
        pixels, labels, cells = arrays["X"], arrays["Y"].reshape(-1), arrays["classnames"].reshape(-1)
        if pixels.ndim != 2 or pixels.shape[1] != SIDE**2 or len(pixels) == 0:
            raise MienError(f"{self._path}: expected X of shape (N, {SIDE**2}), got {pixels.shape}: {LAYOUT}")
        if pixels.dtype.kind not in "buif" or not np.isin(pixels, (0, 1)).all():
            raise MienError(f"{self._path}: expected values 0 and 1 in X, got others: {LAYOUT}")
        names = tuple(str(cell.item()) if isinstance(cell, np.ndarray) and cell.size == 1 else "" for cell in cells)
        if not all(names) or len(set(names)) != len(names):
            raise MienError(f"{self._path}: expected a different name for each class in classnames: {LAYOUT}")
        if len(labels) != len(pixels) or labels.dtype.kind not in "uif":
            raise MienError(
                f"{self._path}: expected {len(pixels)} numbers in Y, got {labels.dtype} {labels.shape}: {LAYOUT}"
            )
        if not np.isin(labels, np.arange(1, len(names) + 1)).all():
            got = f"{labels.min()} to {labels.max()}"
            raise MienError(f"{self._path}: expected integers 1 to {len(names)} in Y, got {got}: {LAYOUT}")
        # MATLAB stores columns first: the transposed picture is upright
        pictures = np.uint8(255) * pixels.astype(np.uint8).reshape(-1, SIDE, SIDE).transpose(0, 2, 1)
        return Tables(pictures, labels.astype(np.int64) - 1, names)

    @cached_property
    def _partition(self) -> NDArray[np.int64]:
        partition = np.zeros(len(self), np.int64)
        for part, index in enumerate(draw(self.name, len(self), self.seed, FRACTIONS)):
            partition[index] = part
        return partition

    def __len__(self) -> int:
        return len(self._tables.pictures)

    def key(self, i: int) -> str:
        return f"{i:04d}"

    def label(self, i: int) -> int:
        return int(self._tables.labels[i])

    def partition(self, i: int) -> int:
        return int(self._partition[i])

    def read(self, i: int, size: int) -> NDArray[np.uint8]:
        picture: NDArray[np.uint8] = self._tables.pictures[i]
        if size != SIDE:
            picture = resize(Image.fromarray(picture), size)
        return picture[..., None]

    def fingerprint(self) -> str:
        return hashlib.sha256(f"silhouettes 1 {self.seed} {sha256(self._path)}".encode()).hexdigest()

    def options(self) -> dict[str, Any]:
        return {"root": str(self.root.resolve()), "seed": self.seed}
