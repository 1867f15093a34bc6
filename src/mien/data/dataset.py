"""What a data set is: a Source that reads pictures one by one, a Dataset that holds them packed."""

from __future__ import annotations

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from mien.data.batch import Batch, on_device
from mien.errors import MienError

if TYPE_CHECKING:
    import torch

FORMAT = 1  # of a prepared folder; another is not read
HEADER = 128  # bytes before the first picture: a padded .npy header
# by the name index.json has for it
STORED: dict[str, np.dtype] = {"uint8": np.dtype("|u1"), "float32": np.dtype("<f4")}


class Source(ABC):
    """Pictures where they come from, with what is known of each; what `prepare` reads once.

    A data set's file defines one subclass, named Source; the typed keyword arguments of its constructor are
    its whole configuration, besides `root` for those that read files. The first line of the file's docstring
    describes it. Constructing is cheap; long tables are read on first use.
    """

    name: str
    size: ClassVar[int] = 64  # natural size: what it is prepared at where none is asked for
    sizes: ClassVar[range] = range(8, 1025)  # what it can be prepared at
    unit: ClassVar[str] = "pixels"  # of its sizes
    channels: ClassVar[int] = 3
    dtype: ClassVar[str] = "uint8"  # or "float32": values in [-1, 1], kept as they are
    attributes: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()

    @abstractmethod
    def __len__(self) -> int:
        """How many pictures there are."""

    @abstractmethod
    def key(self, i: int) -> str:
        """What the picture is called: its file, or its number."""

    @abstractmethod
    def read(self, i: int, size: int) -> np.ndarray:
        """Picture i, cropped and resized: of `dtype` and `shape(size)`. Called from several threads at once.

        Raises:
            BadPicture: it cannot be used; it is left out and named in the report.
        """

    @abstractmethod
    def fingerprint(self) -> str:
        """Changes when what would be packed changes: options, files, their sizes and times. Cheap."""

    def at(self, size: int) -> Source:
        """The source as it is prepared at `size`: another one where what there is depends on it, as windows do."""
        return self

    def shape(self, size: int) -> tuple[int, int, int]:
        """(H, W, C) of a picture prepared at `size`; a signal has the height 1."""
        return size, size, self.channels

    def attribute_row(self, i: int) -> np.ndarray:
        """int8 (A,): +1 has it, -1 has not, 0 not known."""
        return np.zeros(len(self.attributes), np.int8)

    def label(self, i: int) -> int:
        """Number of the class, -1 where not known."""
        return -1

    def identity(self, i: int) -> int:
        """Number of the person, -1 where not known."""
        return -1

    def partition(self, i: int) -> int:
        """The official split: 0 train, 1 valid, 2 test, -1 none."""
        return -1

    @property
    def rejected_before(self) -> Sequence[tuple[str, str]]:
        """(key, reason) of what the tables already tell cannot be used."""
        return ()

    @property
    def notes(self) -> Sequence[str]:
        """What is odd about the files and worth a line in the report."""
        return ()

    def options(self) -> dict:
        """The keyword arguments it was made with, as JSON can hold them."""
        return {}


@dataclass(frozen=True)
class Splits:
    """Three disjoint parts of a data set.

    Args:
        train, valid, test: sorted int64 positions in the data set.
        rule: "official" or "seeded".
        note: why this rule, in words.
    """

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    rule: str
    note: str


class Dataset:
    """A prepared data set: N pictures in one file on disk, read as they are asked for.

    Pictures are read with `preadv`, not through a memory map: mapped pages count as the process's own memory,
    which would then grow until it holds the whole set.

    Args:
        folder: what `mien.data.packing.prepare` made.

    Attributes:
        shape: (C, H, W) of each picture; (C, 1, L) of a signal.
        dtype: "uint8", or "float32" where values in [-1, 1] are kept as they are.
        size: what it was prepared at.
        attribute_table: (N, A) int8 of +1, -1, 0 (not known).
        labels, identity, partition: (N,) int64 with -1 where not known, or None if nothing is.
        keys: the name of each picture.
        options: the keyword arguments its source was made with.
        report: counts, rejected files with reasons, seconds of the preparation.

    Raises:
        MienError: the folder is not a complete prepared set, or of another format.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder)
        index = _read_json(self.folder / "index.json")
        if index.get("format") != FORMAT:
            got = index.get("format")
            raise MienError(f"{self.folder}: expected format {FORMAT}, got {got}: delete the folder")
        self.name: str = index["name"]
        self.options: dict = index["options"]
        self.attributes = tuple(index["attributes"])
        self.classes = tuple(index["classes"])
        self.count: int = index["count"]
        height, width, channels = index["shape"]
        self.shape = (channels, height, width)
        self.size: int = index["size"]
        self.dtype: str = index.get("dtype", "uint8")  # early sets do not say
        if self.dtype not in STORED:
            raise MienError(f"{self.folder}: expected {' or '.join(STORED)}, got {self.dtype}: delete the folder")
        self._row = height * width * channels * STORED[self.dtype].itemsize
        expected = HEADER + self.count * self._row
        try:
            got = (self.folder / "images.npy").stat().st_size
            self.attribute_table = np.load(self.folder / "attributes.npy", mmap_mode="r")
            self.labels = self._column("labels")
            self.identity = self._column("identity")
            self.partition = self._column("partition")
        except (OSError, ValueError) as error:
            raise MienError(f"{self.folder} is damaged ({error}): delete it and prepare again") from None
        if got != expected:
            raise MienError(f"{self.folder}/images.npy: expected {expected} bytes, got {got}: delete the folder")
        self._file: int = os.open(self.folder / "images.npy", os.O_RDONLY | getattr(os, "O_BINARY", 0))

    def _column(self, name: str) -> np.ndarray | None:
        column = np.load(self.folder / f"{name}.npy")
        return column if (column >= 0).any() else None

    def __len__(self) -> int:
        return self.count

    def __getstate__(self) -> dict:
        return {"folder": self.folder}

    def __setstate__(self, state: dict) -> None:
        self.__init__(state["folder"])  # type: ignore[misc]

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            os.close(self._file)
            del self._file

    @cached_property
    def source(self) -> Source:
        """Where the pictures came from, opened again: for avatars, what draws their counterfactuals."""
        from mien import data

        return data.source(self.name, **self.options).at(self.size)

    @cached_property
    def keys(self) -> tuple[str, ...]:
        return tuple(_read_json(self.folder / "keys.json"))

    @property
    def report(self) -> dict:
        return _read_json(self.folder / "report.json")

    def pictures(self, index: np.ndarray) -> np.ndarray:
        """The pictures at positions `index` (n,), as they are stored: `dtype` (n, H, W, C)."""
        index = self._checked(index)
        channels, height, width = self.shape
        out = np.empty((len(index), self._row), np.uint8)
        for k, i in enumerate(index.tolist()):
            if _read_at(self._file, out[k], HEADER + i * self._row) != self._row:
                raise MienError(f"{self.folder}/images.npy ends before picture {i}: delete the folder")
        return out.view(STORED[self.dtype]).reshape(len(index), height, width, channels)

    def batch(self, index: np.ndarray, device: str | torch.device = "cpu") -> Batch:
        """The pictures at positions `index` (B,) with what is known of them, on `device`.

        Returns:
            Batch with x (B, C, H, W) float32 in [-1, 1], stored channels last; signals are (B, C, 1, L).
        """
        import torch

        index = self._checked(index)
        pictures = self.pictures(index)
        if self.dtype == "float32":
            x = on_device(pictures.astype(np.float32, copy=False), device)
        elif torch.device(device).type == "cpu":
            # by NumPy's one thread: torch's several wait for the last of them, 20 ms where cores are shared
            floats = np.divide(pictures, np.float32(127.5))  # (B, H, W, C)
            x = torch.from_numpy(np.subtract(floats, np.float32(1), out=floats))
        else:
            x = on_device(pictures, device).float().div_(127.5).sub_(1)  # a quarter of the bytes to move
        x = x.permute(0, 3, 1, 2)  # (B, C, H, W)
        attributes = label = None
        if self.attributes:
            attributes = on_device(self.attribute_table[index].astype(np.float32), device)
        if self.labels is not None:
            label = on_device(self.labels[index], device)
        return Batch(x, attributes, label, on_device(index, device))

    def _checked(self, index: np.ndarray) -> np.ndarray:
        index = np.asarray(index)
        if index.ndim != 1 or (index.size and index.dtype.kind not in "iu"):
            raise MienError(f"expected positions (n,) of integers, got {index.dtype} {index.shape}")
        if index.size and (index.min() < 0 or index.max() >= self.count):
            raise MienError(f"expected positions 0 to {self.count - 1}, got {index.min()} to {index.max()}")
        return index.astype(np.int64)

    def balance(self) -> dict[str, float]:
        """Of each attribute, the share of pictures that have it."""
        shares = (self.attribute_table == 1).mean(0) if self.attributes else ()
        return {name: float(share) for name, share in zip(self.attributes, shares, strict=True)}

    def split(self, seed: int = 0, fractions: Sequence[float] = (0.8, 0.1, 0.1), rule: str = "auto") -> Splits:
        """Three disjoint parts: the official ones, or drawn by `seed`.

        Args:
            seed: of the drawing, ≥ 0; without effect on an official split.
            fractions: of train, valid and test, each above 0, 1 in sum.
            rule: "official", "seeded", or "auto": official if none of its three parts is empty.

        Raises:
            MienError: wrong fractions or rule, no official split, or too few pictures for three parts.
        """
        if rule not in ("auto", "official", "seeded"):
            raise MienError(f"unknown rule '{rule}' of splitting: auto, official or seeded")
        official = self._official()
        if official is not None and rule != "seeded":
            counts = [len(part) for part in official]
            if all(counts):
                train, valid, test = official
                return Splits(train, valid, test, "official", "the split published with the data")
            note = "its official split is empty in " + " and ".join(
                name for name, count in zip(("train", "valid", "test"), counts, strict=True) if not count
            )
        else:
            note = "it has no official split" if official is None else "asked for"
        if rule == "official":
            raise MienError(f"{self.name}: {note}: use rule seeded")
        train, valid, test = self._seeded(seed, fractions)
        return Splits(train, valid, test, "seeded", f"drawn with seed {seed}: {note}")

    def digest(self, index: np.ndarray) -> str:
        """SHA-256 of the names of the pictures `index`, in this order: which pictures they are."""
        return hashlib.sha256(
            "\n".join(self.keys[int(i)] for i in index).encode("utf-8", "surrogateescape")
        ).hexdigest()

    def content_digest(self, index: np.ndarray) -> str:
        """SHA-256 of the names of the pictures `index`, of what is in them, and of their attributes and classes."""
        digest = hashlib.sha256(self.digest(index).encode())
        for start in range(0, len(index), 256):
            digest.update(np.ascontiguousarray(self.pictures(index[start : start + 256])).tobytes())
        digest.update(np.ascontiguousarray(self.attribute_table[index]).tobytes())
        if self.labels is not None:
            digest.update(np.ascontiguousarray(self.labels[index]).tobytes())
        return digest.hexdigest()

    def _official(self) -> list[np.ndarray] | None:
        if self.partition is None:
            return None
        return [np.flatnonzero(self.partition == part).astype(np.int64) for part in (0, 1, 2)]

    def _seeded(self, seed: int, fractions: Sequence[float]) -> list[np.ndarray]:
        try:
            shares = np.array([float(fraction) for fraction in fractions])
        except (TypeError, ValueError):
            raise MienError(f"expected three fractions, got {fractions!r}") from None
        if len(shares) != 3 or not (shares > 0).all() or abs(shares.sum() - 1) > 1e-6:
            raise MienError(f"expected three fractions above 0 with sum 1, got {tuple(fractions)}")
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
            raise MienError(f"expected a seed of 0 or more, got {seed!r}")
        valid, test = (round(float(share) * self.count) for share in shares[1:])
        train = self.count - valid - test
        if min(train, valid, test) < 1:
            raise MienError(
                f"{self.name} has {self.count} pictures: too few for parts {tuple(fractions)} "
                f"({train}, {valid} and {test}): pass other fractions"
            )
        order = np.random.Generator(np.random.PCG64(seed)).permutation(self.count)
        return [np.sort(part).astype(np.int64) for part in np.split(order, [train, train + valid])]


def spread(index: np.ndarray, n: int) -> np.ndarray:
    """Return n of the positions `index`, evenly spaced, or all where there are fewer: sets often lie sorted by class.

    >>> spread(np.arange(10), 4)
    array([0, 3, 6, 9])
    """
    if len(index) <= n:
        return index
    return index[np.linspace(0, len(index) - 1, n).round().astype(int)]


def _read_at(file: int, row: np.ndarray, offset: int) -> int:
    """Fill `row` from the file at `offset`, without moving a shared position; bytes read."""
    if hasattr(os, "preadv"):
        return os.preadv(file, [row.data], offset)
    os.lseek(file, offset, os.SEEK_SET)  # Windows, where threads must not share a Dataset
    data = os.read(file, row.nbytes)
    row[: len(data)] = np.frombuffer(data, np.uint8)
    return len(data)


def _read_json(path: Path) -> dict:
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise MienError(f"{path.parent} is not a prepared data set: no {path.name} in it") from None
    except (OSError, ValueError) as error:
        raise MienError(f"{path} cannot be read ({error}): delete the folder and prepare again") from None
