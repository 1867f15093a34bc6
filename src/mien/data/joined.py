"""Several folders of one data set as one set: a picture that lies in more than one of them counts once."""

from __future__ import annotations

import bisect
import hashlib
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.base import Source
from mien.errors import MienError


class Joined(Source):
    """Sources of one data set from several folders, one after the other.

    A picture whose name an earlier folder has is left out, so the order of the folders decides which copy is used:
    put the folder with the larger pictures first. Persons and official parts keep their numbers.

    Args:
        parts: two sources or more of the same data set, with the same attributes and classes.

    Raises:
        MienError: for parts whose attributes, classes or kinds of picture differ.
    """

    def __init__(self, parts: Sequence[Source]):
        first = parts[0]
        for part in parts[1:]:
            for what in ("name", "attributes", "classes", "channels", "dtype", "unit"):
                one, other = getattr(first, what), getattr(part, what)
                if one != other:
                    raise MienError(
                        f"expected folders of one data set, got different {what}: {_short(one)} and {_short(other)}; "
                        "join folders with the same tables"
                    )
        self.parts = tuple(parts)
        self.name, self.attributes, self.classes = first.name, first.attributes, first.classes
        # what a source declares for its class is declared for this object
        self.size, self.sizes, self.unit = first.size, first.sizes, first.unit  # type: ignore[misc]
        self.channels, self.dtype = first.channels, first.dtype  # type: ignore[misc]

    @cached_property
    def _chosen(self) -> list[list[int]]:
        """For each part, the positions of its pictures that no earlier part has."""
        names: set[str] = set()
        chosen = []
        for part in self.parts:
            keys = [part.key(i) for i in range(len(part))]
            chosen.append([i for i, key in enumerate(keys) if key not in names])
            names.update(keys)
        return chosen

    @cached_property
    def _ends(self) -> list[int]:
        return list(accumulate(len(positions) for positions in self._chosen))

    def _place(self, i: int) -> tuple[Source, int]:
        """Return the part of picture ``i`` and its position there."""
        number = bisect.bisect_right(self._ends, i)
        start = self._ends[number - 1] if number else 0
        return self.parts[number], self._chosen[number][i - start]

    def __len__(self) -> int:
        """Return the number of pictures, each counted once."""
        return self._ends[-1]

    def key(self, i: int) -> str:
        """Return the name of picture ``i``."""
        part, j = self._place(i)
        return part.key(j)

    def read(self, i: int, size: int) -> NDArray[Any]:
        """Return picture ``i``, cropped and resized as its own part does it."""
        part, j = self._place(i)
        return part.read(j, size)

    def at(self, size: int) -> Source:
        """Return the source as it is prepared at ``size``."""
        parts = [part.at(size) for part in self.parts]
        return self if all(a is b for a, b in zip(parts, self.parts, strict=True)) else Joined(parts)

    def shape(self, size: int) -> tuple[int, int, int]:
        """Return (H, W, C) of a picture prepared at ``size``."""
        return self.parts[0].shape(size)

    def attribute_row(self, i: int) -> NDArray[np.int8]:
        """Return int8 (A,): +1 has it, -1 does not, 0 is not known."""
        part, j = self._place(i)
        return part.attribute_row(j)

    def label(self, i: int) -> int:
        """Return the number of the class, -1 where it is not known."""
        part, j = self._place(i)
        return part.label(j)

    def identity(self, i: int) -> int:
        """Return the number of the person, -1 where it is not known."""
        part, j = self._place(i)
        return part.identity(j)

    def partition(self, i: int) -> int:
        """Return the official part: 0 training, 1 validation, 2 test, -1 none."""
        part, j = self._place(i)
        return part.partition(j)

    @property
    def rejected_before(self) -> Sequence[tuple[str, str]]:
        """Rejected pictures of the parts, and duplicates, each with the reason."""
        tables = [entry for part in self.parts for entry in part.rejected_before]
        copies = []
        for part, chosen in zip(self.parts, self._chosen, strict=True):
            used = set(chosen)
            copies += [(part.key(i), "an earlier folder has it") for i in range(len(part)) if i not in used]
        return [*tables, *copies]

    @property
    def notes(self) -> Sequence[str]:
        """The parts' notes, in their order."""
        return [note for part in self.parts for note in part.notes]

    def other_files(self) -> dict[tuple[str, str], int]:
        """Return the number of files beside the pictures in all folders, by (suffix, reason)."""
        counts: Counter[tuple[str, str]] = Counter()
        for part in self.parts:
            counts.update(part.other_files())
        return dict(counts)

    def fingerprint(self) -> str:
        """Return a digest of the parts' fingerprints, in their order."""
        marks = "\n".join(part.fingerprint() for part in self.parts)
        return hashlib.sha256(f"joined 1\n{marks}".encode()).hexdigest()

    def options(self) -> dict[str, Any]:
        """Return the parts' options, with all their folders as ``root``."""
        options = [part.options() for part in self.parts]
        return {**options[0], "root": [one["root"] for one in options]}


def _short(value: Any) -> str:
    return f"{len(value)} names" if isinstance(value, tuple) else str(value)
