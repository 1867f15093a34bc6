"""Data sets of noise of any size. Their reading costs as much as that of pictures, without a download."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mien.data.dataset import Dataset, Source
from mien.data.packing import prepare

BLOCK = 256  # number of different pictures
ATTRIBUTES = tuple(f"Attribute_{i:02d}" for i in range(40))  # the number of CelebA's attributes
CLASSES = tuple("0123456789")


class Noise(Source):
    """``count`` pictures of noise with 40 attributes and 10 classes; they repeat after 256 pictures.

    Args:
        count: how many.
        shape: (C, H, W).
    """

    name = "noise"
    sizes = range(1, 4097)
    attributes = ATTRIBUTES
    classes = CLASSES

    def __init__(self, count: int, shape: tuple[int, int, int]):
        channels, height, width = shape
        self.count, self.channels, self.plane = count, channels, (height, width)
        rng = np.random.default_rng(0)
        self.block = rng.integers(0, 256, (BLOCK, height, width, channels), np.uint8)
        self.rows = rng.choice(np.array([-1, 1], np.int8), (BLOCK, len(ATTRIBUTES)))

    def __len__(self) -> int:
        return self.count

    def key(self, i: int) -> str:
        return str(i)

    def read(self, i: int, size: int) -> np.ndarray:
        del size
        return self.block[i % BLOCK]

    def shape(self, size: int) -> tuple[int, int, int]:
        del size
        return (*self.plane, self.channels)

    def fingerprint(self) -> str:
        return f"noise {self.count} {self.channels} {self.plane}"

    def attribute_row(self, i: int) -> np.ndarray:
        return self.rows[i % BLOCK]

    def label(self, i: int) -> int:
        return i % len(CLASSES)


def noise(folder: Path, count: int, shape: tuple[int, int, int]) -> Dataset:
    """Return a data set of noise, prepared in ``folder``."""
    return Dataset(prepare(Noise(count, shape), shape[2], folder))
