"""Batches of CIFAR-10 as published: binary files, and pickled files read without running any code in them."""

from __future__ import annotations

import io
import pickle
import pickletools
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.archives import reason
from mien.data.regular import BadFile, check_regular
from mien.errors import MienError

SIDE = 32  # pixels
ROW = 3 * SIDE * SIDE  # bytes of a picture: a plane of red, one of green, one of blue
LARGEST = 2**27  # bytes of a file; a published one has 31 million
BATCHES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch")


def read_batch(path: Path, classes: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read one published file, ``data_batch_1.bin`` or ``data_batch_1``.

    Args:
        path: the file; the suffix .bin means binary, any other name a pickle.
        classes: the number of classes.

    Returns:
        Pictures (N, 32, 32, 3) uint8 and labels (N,) int64.

    Raises:
        MienError: the file has another format, is damaged, or is a pickle that asks for more than arrays of bytes.
    """
    try:
        check_regular(path)
    except BadFile as error:
        raise MienError(f"{path}: {error}: download it again") from None
    if (size := path.stat().st_size) > LARGEST:
        raise MienError(f"{path}: expected a batch of at most {LARGEST:,} bytes, got {size:,}: download it again")
    planes, labels = _binary(path) if path.suffix == ".bin" else _pickled(path)
    if not len(labels):
        raise MienError(f"{path}: expected pictures, got none: download it again")
    if labels.min() < 0 or labels.max() >= classes:
        got = f"{labels.min()} to {labels.max()}"
        raise MienError(f"{path}: expected labels 0 to {classes - 1}, got {got}: pass a batch of CIFAR-10")
    return planes.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1), labels


def _binary(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return planes (N, 3072) and labels (N,); in the file the label is one byte before each picture."""
    data = np.fromfile(path, np.uint8)
    if data.size % (ROW + 1):
        raise MienError(f"{path}: expected a multiple of {ROW + 1} bytes, got {data.size:,}: download it again")
    rows = data.reshape(-1, ROW + 1)
    return rows[:, 1:], rows[:, 0].astype(np.int64)


def _pickled(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return planes (N, 3072) and labels (N,) of a file that Python 2 wrote with cPickle."""
    try:
        data = path.read_bytes()
        _check(data)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            batch = _Unpickler(io.BytesIO(data), encoding="bytes").load()
        planes, labels = batch[b"data"], np.array(batch[b"labels"])
        if type(planes) is not _Array or labels.dtype.kind != "i" or labels.ndim != 1:
            raise ValueError("data or labels of another type")
        return planes.bytes(len(labels)), labels.astype(np.int64)
    except _Refused as error:
        raise MienError(f"{path} asks for {error}, as no batch of CIFAR-10 does; it was not run: delete it") from None
    except Exception as error:  # a damaged pickle raises anything
        raise MienError(f"{path} is no batch of CIFAR-10 ({reason(error)}): download it again") from None


def _check(data: bytes) -> None:
    """Raise an error for a pickle that is damaged, or whose memo is larger than the file.

    Python's unpickler makes room for the memo before it fills it: a pickle of 9 bytes takes 4 GiB.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of escapes in texts
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(argument or 0) > len(data):
                raise ValueError("a memo larger than the file")


class _Array:
    """Replaces numpy's array during unpickling: stores the bytes and runs nothing of numpy's own unpickling."""

    __slots__ = ("state",)

    def __init__(self, *_: Any):
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def bytes(self, count: int) -> NDArray[np.uint8]:
        """Return the stored bytes as (count, 3072) uint8.

        Raises:
            ValueError: another type or shape was stored.
        """
        _, shape, kind, by_columns, data = self.state
        if type(kind) is not _Kind or shape != (count, ROW) or type(data) is not bytes or by_columns:
            raise ValueError(f"expected {count} rows of {ROW} bytes, got {str(shape)[:60]}")
        return np.frombuffer(data, np.uint8).reshape(count, ROW)


class _Kind:
    """Replaces numpy's dtype during unpickling: accepts unsigned bytes and refuses every other type."""

    __slots__ = ()

    def __init__(self, code: bytes | str = b"", *_: Any):
        if code not in (b"u1", "u1"):
            raise ValueError(f"expected bytes, got an array of {str(code)[:20]}")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Ignore the state: for bytes, everything besides the code has no meaning."""


class _Unpickler(pickle.Unpickler):
    """Builds numbers, strings, lists, dicts and arrays of bytes; refuses every other name that a pickle asks for."""

    allowed = {  # noqa: RUF012
        ("numpy.core.multiarray", "_reconstruct"): _Array,
        ("numpy._core.multiarray", "_reconstruct"): _Array,
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _Kind,
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.allowed:
            raise _Refused(f"{module}.{name}")
        return self.allowed[module, name]


class _Refused(Exception):
    """A pickle asks for a name that is not allowed."""
