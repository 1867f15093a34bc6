"""Helpers for tests: load a data set into a cache of its own, skip a test if real files are absent, limit a time."""

import threading
from pathlib import Path

import pytest

from mien import data
from mien.data.dataset import Dataset

ADDED = ("bearing", "cifar10", "fashion_mnist", "freyfaces", "imagenet32", "lfw", "mnist", "omniglot", "silhouettes")


def load(name: str, root: Path | None, cache: Path, size: int | None = None, **options) -> Dataset:
    return data.load(name, root, size, cache=cache / "cache", **options)


def real(real_data: Path, *names: str) -> None:
    """Skip the test unless all of these exist."""
    for name in names:
        if not (real_data / name).exists():
            pytest.skip(f"no {name} in {real_data}")


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


def within(seconds: float, function):
    """Return what a function raised; fail if it does not end in time."""
    result: list[BaseException | None] = []

    def run() -> None:
        try:
            function()
            result.append(None)
        except BaseException as error:
            result.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    assert result, f"did not end within {seconds} s"
    return result[0]
