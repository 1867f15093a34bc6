"""What the tests of data sets share: opening one in a cache of its own, and skipping without the real files."""

from pathlib import Path

import pytest

from mien import data
from mien.data.dataset import Dataset

ADDED = ("bearing", "cifar10", "fashion_mnist", "freyfaces", "mnist", "omniglot")


def load(name: str, root: Path | None, cache: Path, size: int | None = None, **options) -> Dataset:
    return data.load(name, root, size, cache=cache / "cache", **options)


def real(real_data: Path, *names: str) -> None:
    """Skip unless all of these are there."""
    for name in names:
        if not (real_data / name).exists():
            pytest.skip(f"no {name} in {real_data}")


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)
