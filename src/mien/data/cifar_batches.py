"""Reading CIFAR-10's published files: the binary ones, and the pickled ones without running what is in them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from mien.data.archives import reason
from mien.errors import MienError

SIDE = 32  # pixels
ROW = 3 * SIDE * SIDE  # bytes of a picture: a plane of red, one of green, one of blue
LARGEST = 2**27  # bytes of a file; the published ones have 31 million
BATCHES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch")


def read_batch(path: Path, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """One published file, `data_batch_1.bin` or `data_batch_1`.

    Returns:
        Pictures (N, 32, 32, 3) uint8 and labels (N,) int64.

    Raises:
        MienError: another kind of file, a damaged one, or a pickle that asks for more than it needs.
    """
    if (size := path.stat().st_size) > LARGEST:
        raise MienError(f"{path}: {size:,} bytes are too many for a batch of CIFAR-10: download it again")
    planes, labels = _binary(path) if path.suffix == ".bin" else _pickled(path)
    if not len(labels):
        raise MienError(f"{path}: no pictures in it: download it again")
    if labels.min() < 0 or labels.max() >= classes:
        got = f"{labels.min()} to {labels.max()}"
        raise MienError(f"{path}: expected labels 0 to {classes - 1}, got {got}: is it a batch of CIFAR-10?")
    return planes.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1), labels


def _binary(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Planes (N, 3072) and labels (N,): a byte of label before each picture."""
    data = np.fromfile(path, np.uint8)
    if data.size % (ROW + 1):
        raise MienError(f"{path}: expected a multiple of {ROW + 1} bytes, got {data.size:,}: download it again")
    rows = data.reshape(-1, ROW + 1)
    return rows[:, 1:], rows[:, 0].astype(np.int64)


def _pickled(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Planes (N, 3072) and labels (N,) of a file that Python 2 wrote with cPickle."""
    try:
        with path.open("rb") as file:
            batch = _Unpickler(file, encoding="bytes").load()
        planes, labels = batch[b"data"], np.array(batch[b"labels"])
        if type(planes) is not _Array or labels.dtype.kind != "i" or labels.ndim != 1:
            raise ValueError("data or labels of another type")
        return planes.bytes(len(labels)), labels.astype(np.int64)
    except _Refused as error:
        raise MienError(f"{path} asks for {error}, as no batch of CIFAR-10 does; it was not run: delete it") from None
    except Exception as error:  # a damaged pickle raises anything
        raise MienError(f"{path} is no batch of CIFAR-10 ({reason(error)}): download it again") from None


class _Array:
    """Stands for numpy's array while unpickling: keeps the bytes, and runs none of numpy's own unpickling."""

    __slots__ = ("state",)

    def __init__(self, *_: Any):
        self.state: tuple = ()

    def __setstate__(self, state: tuple) -> None:
        self.state = state

    def bytes(self, count: int) -> np.ndarray:
        """(count, 3072) uint8, if that is what was kept."""
        _, shape, kind, by_columns, data = self.state
        if type(kind) is not _Kind or shape != (count, ROW) or type(data) is not bytes or by_columns:
            raise ValueError(f"expected {count} rows of {ROW} bytes, got {str(shape)[:60]}")
        return np.frombuffer(data, np.uint8).reshape(count, ROW)


class _Kind:
    """Stands for numpy's dtype while unpickling: unsigned bytes, or nothing."""

    __slots__ = ()

    def __init__(self, code: bytes | str = b"", *_: Any):
        if code not in (b"u1", "u1"):
            raise ValueError(f"expected bytes, got an array of {str(code)[:20]}")

    def __setstate__(self, state: tuple) -> None:
        """What a dtype keeps besides its code means nothing for bytes."""


class _Unpickler(pickle.Unpickler):
    """Builds numbers, strings, lists, dicts and arrays of bytes; refuses every other name a pickle asks for."""

    known = {  # noqa: RUF012
        ("numpy.core.multiarray", "_reconstruct"): _Array,
        ("numpy._core.multiarray", "_reconstruct"): _Array,
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _Kind,
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.known:
            raise _Refused(f"{module}.{name}")
        return self.known[module, name]


class _Refused(Exception):
    """A name that a pickle asks for and does not get."""
