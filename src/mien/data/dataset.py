"""Dataset, a prepared data set: all pictures in one file on disk, read in batches."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.data.base import Source
from mien.data.batch import Batch, on_device
from mien.data.splits import Splits, split
from mien.errors import MienError

if TYPE_CHECKING:
    import torch

__all__ = ["FORMAT", "HEADER", "STORED", "Dataset", "Source", "Splits", "spread"]

FORMAT = 1  # of a prepared folder; a folder of another format is refused
HEADER = 128  # bytes before the first picture: a padded .npy header
# the type on disk of each dtype that index.json can name
STORED: dict[str, np.dtype[Any]] = {"uint8": np.dtype("|u1"), "float32": np.dtype("<f4")}


class Dataset:
    """A prepared data set: N pictures in one file on disk, each read when it is needed.

    Pictures are read with ``preadv``, not through a memory map. Mapped pages count as memory of the process,
    which would grow to the size of the whole set.

    Args:
        folder: the folder that ``mien.data.packing.prepare`` returns.

    Attributes:
        shape: (C, H, W) of each picture; (C, 1, L) of a signal.
        dtype: "uint8"; "float32" if values in [-1, 1] are stored exactly.
        size: the size at which the set was prepared.
        attribute_table: (N, A) int8 of +1 present, -1 absent, 0 unknown.
        labels, identity, partition: (N,) int64 with -1 for unknown; None if all are unknown.
        keys: the name of each picture.
        options: the keyword arguments of its source.
        report: counts, rejected files with reasons, seconds of the preparation.

    Raises:
        MienError: the folder is not a complete prepared set, or has another format.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        self.folder = Path(folder)
        index = _read_json(self.folder / "index.json")
        got = index.get("format") if isinstance(index, dict) else "none"
        if got != FORMAT:
            raise MienError(f"{self.folder}: expected format {FORMAT}, got {got}: delete the folder")
        try:
            self._describe(index)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of Python's parser, which numpy uses for headers
                self._load_tables()
            bytes_on_disk = (self.folder / "images.npy").stat().st_size
        except MienError:
            raise
        except Exception as error:  # damaged headers raise anything: KeyError, TypeError, SyntaxError, TokenError…
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise MienError(f"{self.folder} is damaged ({reason}): delete it and prepare again") from None
        expected = HEADER + self.count * self._row
        if bytes_on_disk != expected:
            raise MienError(
                f"{self.folder}/images.npy: expected {expected} bytes, got {bytes_on_disk}: delete the folder"
            )
        self._file: int = os.open(self.folder / "images.npy", os.O_RDONLY | getattr(os, "O_BINARY", 0))

    def _describe(self, index: dict[str, Any]) -> None:
        """Take over the description of the set; raise any error for one of another form."""
        self.name: str = index["name"]
        self.options: dict[str, Any] = index["options"]
        self.attributes = tuple(index["attributes"])
        self.classes = tuple(index["classes"])
        self.count: int = index["count"]
        height, width, channels = index["shape"]
        self.shape = (channels, height, width)
        self.size: int = index["size"]
        self.dtype: str = index.get("dtype", "uint8")  # sets of early versions have no entry dtype
        if self.dtype not in STORED:
            raise ValueError(f"expected {' or '.join(STORED)}, got {str(self.dtype)[:40]}")
        texts = (self.name, *self.attributes, *self.classes)
        numbers = (self.count, self.size, *self.shape)
        if not all(isinstance(text, str) for text in texts) or not isinstance(self.options, dict):
            raise ValueError("names and options of another type in index.json")
        if not all(type(number) is int and 0 < number < 2**40 for number in numbers):
            raise ValueError("sizes of another type in index.json")
        self._row = height * width * channels * STORED[self.dtype].itemsize

    def _load_tables(self) -> None:
        self.attribute_table: NDArray[np.int8] = np.load(self.folder / "attributes.npy", mmap_mode="r")
        _check_array("attributes.npy", self.attribute_table, np.int8, (self.count, len(self.attributes)))
        self.labels = self._column("labels")
        self.identity = self._column("identity")
        self.partition = self._column("partition")

    def _column(self, name: str) -> NDArray[np.int64] | None:
        column: NDArray[np.int64] = np.load(self.folder / f"{name}.npy")
        _check_array(f"{name}.npy", column, np.int64, (self.count,))
        return column if (column >= 0).any() else None

    def __len__(self) -> int:
        return self.count

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["folder"])  # type: ignore[misc]

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            os.close(self._file)
            del self._file

    @cached_property
    def source(self) -> Source:
        """The source of the pictures, opened again. The source of avatars also draws counterfactuals."""
        from mien import data

        return data.source(self.name, **self.options).at(self.size)

    @cached_property
    def keys(self) -> tuple[str, ...]:
        keys = _read_json(self.folder / "keys.json")
        if not isinstance(keys, list) or len(keys) != self.count or not all(isinstance(key, str) for key in keys):
            raise MienError(f"{self.folder}/keys.json: expected {self.count:,} names, got others: delete the folder")
        return tuple(keys)

    @property
    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = _read_json(self.folder / "report.json")
        if not isinstance(report, dict):
            raise MienError(f"{self.folder}/report.json has another form: delete the folder and prepare again")
        return report

    def pictures(self, index: ArrayLike) -> NDArray[Any]:
        """Return the pictures at the positions ``index`` (n,) as they are stored: ``dtype`` (n, H, W, C).

        Raises:
            MienError: ``index`` is no array (n,) of integers from 0 to N - 1.
        """
        positions = self._positions(index)
        channels, height, width = self.shape
        out = np.empty((len(positions), self._row), np.uint8)
        for k, i in enumerate(positions.tolist()):
            if _read_at(self._file, out[k], HEADER + i * self._row) != self._row:
                raise MienError(f"{self.folder}/images.npy ends before picture {i}: delete the folder")
        return out.view(STORED[self.dtype]).reshape(len(positions), height, width, channels)

    def batch(self, index: ArrayLike, device: str | torch.device = "cpu") -> Batch:
        """Return the pictures at the positions ``index`` (B,) with their attributes and classes, on ``device``.

        Returns:
            Batch with x (B, C, H, W) float32 in [-1, 1] in channels-last memory; x of signals is (B, C, 1, L).

        Raises:
            MienError: ``index`` is no array (B,) of integers from 0 to N - 1.
        """
        import torch

        positions = self._positions(index)
        pictures = self.pictures(positions)
        if self.dtype == "float32":
            x = on_device(pictures.astype(np.float32, copy=False), device)
        elif torch.device(device).type == "cpu":
            # NumPy uses one thread. Torch uses several and waits for the last one: 20 ms on shared cores.
            floats = np.divide(pictures, np.float32(127.5))  # (B, H, W, C)
            x = torch.from_numpy(np.subtract(floats, np.float32(1), out=floats))
        else:
            x = on_device(pictures, device).float().div_(127.5).sub_(1)  # bytes are a quarter of the floats to copy
        x = x.permute(0, 3, 1, 2)  # (B, C, H, W)
        attributes = label = None
        if self.attributes:
            attributes = on_device(self.attribute_table[positions].astype(np.float32), device)
        if self.labels is not None:
            label = on_device(self.labels[positions], device)
        return Batch(x, attributes, label, on_device(positions, device))

    def _positions(self, index: ArrayLike) -> NDArray[np.int64]:
        index = np.asarray(index)
        if index.ndim != 1 or (index.size and index.dtype.kind not in "iu"):
            raise MienError(f"expected positions (n,) of integers, got {index.dtype} {index.shape}: pass such an array")
        if index.size and (index.min() < 0 or index.max() >= self.count):
            got = f"{index.min()} to {index.max()}"
            raise MienError(f"expected positions 0 to {self.count - 1}, got {got}: pass positions in this range")
        return index.astype(np.int64)

    def balance(self) -> dict[str, float]:
        """Return, by attribute, the share of pictures that have it."""
        shares = (self.attribute_table == 1).mean(0) if self.attributes else ()
        return {name: float(share) for name, share in zip(self.attributes, shares, strict=True)}

    def split(self, seed: int = 0, fractions: Sequence[float] = (0.8, 0.1, 0.1), rule: str = "auto") -> Splits:
        """Return three disjoint parts: the official ones, or parts drawn by ``seed``.

        Args:
            seed: seed of the draw, ≥ 0; an official split does not depend on it.
            fractions: shares of train, valid and test, each above 0, with sum 1.
            rule: "official", "seeded", or "auto": official if none of its three parts is empty, else seeded.

        Raises:
            MienError: wrong fractions or rule, no official split, or too few pictures for three parts.
        """
        return split(self.name, self.count, self.partition, seed, fractions, rule)

    def digest(self, index: NDArray[np.int64]) -> str:
        """Return the SHA-256 of the names of the pictures ``index`` in this order, as hexadecimal digits."""
        return hashlib.sha256(
            "\n".join(self.keys[int(i)] for i in index).encode("utf-8", "surrogateescape")
        ).hexdigest()

    def content_digest(self, index: NDArray[np.int64]) -> str:
        """Return the SHA-256 of the names, pixels, attributes and classes of the pictures ``index``."""
        digest = hashlib.sha256(self.digest(index).encode())
        for start in range(0, len(index), 256):
            digest.update(np.ascontiguousarray(self.pictures(index[start : start + 256])).tobytes())
        digest.update(np.ascontiguousarray(self.attribute_table[index]).tobytes())
        if self.labels is not None:
            digest.update(np.ascontiguousarray(self.labels[index]).tobytes())
        return digest.hexdigest()


def spread(index: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Return n evenly spaced entries of the positions ``index``, or all of them if there are fewer.

    Evenly spaced positions cover all classes of a set whose pictures are sorted by class.

    >>> spread(np.arange(10), 4)
    array([0, 3, 6, 9])
    """
    if len(index) <= n:
        return index
    positions: NDArray[np.int64] = index[np.linspace(0, len(index) - 1, n).round().astype(int)]
    return positions


def _read_at(file: int, row: NDArray[np.uint8], offset: int) -> int:
    """Fill ``row`` from the file at ``offset`` without moving the shared position; return the bytes read."""
    if hasattr(os, "preadv"):
        return os.preadv(file, [row.data], offset)
    os.lseek(file, offset, os.SEEK_SET)  # Windows, where threads must not share a Dataset
    data = os.read(file, row.nbytes)
    row[: len(data)] = np.frombuffer(data, np.uint8)
    return len(data)


def _check_array(name: str, array: NDArray[Any], dtype: type[np.generic], shape: tuple[int, ...]) -> None:
    if array.dtype != dtype or array.shape != shape:
        raise ValueError(f"{name}: expected {np.dtype(dtype)} {shape}, got {array.dtype} {array.shape}")


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise MienError(
            f"{path.parent} is not a prepared data set: expected {path.name} in it, got none: pass the folder of one"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise MienError(f"{path} cannot be read ({error}): delete the folder and prepare again") from None
