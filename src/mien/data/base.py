"""Source, the base class of every data set: it reads pictures one by one, with their attributes and classes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mien.data import marks


class Source(ABC):
    """The original pictures of a data set; ``mien.data.packing.prepare`` reads each of them once.

    The file of a data set defines one subclass, named Source. Its configuration is the typed keyword arguments of
    its constructor; a set that reads files also has ``root``, the path of their folder. The first line of the
    file's docstring describes the set. The constructor is cheap; long tables are read on first use.
    """

    name: str
    size: ClassVar[int] = 64  # the default size
    sizes: ClassVar[range] = range(8, 1025)  # the allowed sizes
    unit: ClassVar[str] = "pixels"  # of sizes
    channels: ClassVar[int] = 3
    dtype: ClassVar[str] = "uint8"  # or "float32" with values in [-1, 1], which are stored exactly
    attributes: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of pictures."""

    @abstractmethod
    def key(self, i: int) -> str:
        """Return the name of picture i: its file, or its number."""

    @abstractmethod
    def read(self, i: int, size: int) -> NDArray[Any]:
        """Return picture i, cropped and resized, as an array of ``dtype`` and ``shape(size)``.

        Several threads call this method at once.

        Raises:
            BadPicture: the picture cannot be used; the prepared set omits it and its report names it.
        """

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a text that changes when the pictures would change: options and files.

        Copies of the same files have the same fingerprint. This must be cheap, see :mod:`mien.data.marks`.
        """

    def earlier_fingerprint(self) -> str:
        """Return the fingerprint of earlier versions, which used the times of loose files instead of their content.

        Sets and runs of these versions remain valid as long as the times are the same.
        """
        with marks.by_times():
            return self.fingerprint()

    def other_files(self) -> Mapping[tuple[str, str], int]:
        """Return the number of files beside the pictures by (suffix, reason why they are no pictures)."""
        return {}

    def at(self, size: int) -> Source:
        """Return the source for pictures of ``size``: another one if the number of pictures depends on the size."""
        return self

    def shape(self, size: int) -> tuple[int, int, int]:
        """Return the shape (H, W, C) of a picture prepared at ``size``; a signal has height 1."""
        return size, size, self.channels

    def attribute_row(self, i: int) -> NDArray[np.int8]:
        """Return the attributes (A,) of picture i: int8, +1 present, -1 absent, 0 unknown."""
        return np.zeros(len(self.attributes), np.int8)

    def label(self, i: int) -> int:
        """Return the class number of picture i, -1 if unknown."""
        return -1

    def identity(self, i: int) -> int:
        """Return the number of the person in picture i, -1 if unknown."""
        return -1

    def partition(self, i: int) -> int:
        """Return the part of the official split: 0 train, 1 valid, 2 test, -1 none."""
        return -1

    @property
    def rejected_before(self) -> Sequence[tuple[str, str]]:
        """(key, reason) of pictures that the tables already exclude, before any picture is read."""
        return ()

    @property
    def notes(self) -> Sequence[str]:
        """Sentences for the report on what is unusual about the files."""
        return ()

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments of the constructor as JSON values."""
        return {}
