"""The reference from a run to its data: enough to open the same pictures again."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import data
from mien.data.dataset import Dataset, Source, Splits
from mien.errors import MienError


@dataclass(frozen=True)
class Data:
    """A reference to the pictures of a run: enough to open them again.

    Args:
        name: the data set, one of ``mien.data.names()``.
        root: its folder, or several folders that are joined (see :class:`mien.data.joined.Joined`); None for a data set
            that needs no folder.
        size: height and width in pixels after cropping; for signals, the number of samples.
        options: further arguments of the data set, such as ``{"count": 4000}`` for avatars.
        split_seed: seed of the split into training, validation and test pictures.
        share: (i, n): train on the i-th of n disjoint shares of the training pictures. With it, judges and loss
            networks train on different pictures.
        count: largest number of training pictures, drawn by ``split_seed``; 0 takes all.

    Raises:
        MienError: ``share`` is not 1 ≤ i ≤ n, or ``count`` is negative.
    """

    name: str
    root: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None
    size: int = 64
    options: Mapping[str, Any] = field(default_factory=dict)
    split_seed: int = 0
    share: tuple[int, int] = (1, 1)
    count: int = 0

    def __post_init__(self) -> None:
        places = self.roots
        # one folder is a text and several are a list, as config.json holds them
        object.__setattr__(self, "root", None if not places else places[0] if len(places) == 1 else places)
        if self.count < 0:
            raise MienError(f"expected a count of 0 or more training pictures, got {self.count}: 0 takes all")
        i, n = self.share
        if not 1 <= i <= n:
            raise MienError(f"expected a share I/N with 1 <= I <= N, got {i}/{n}: such as --share 1/2")

    @property
    def roots(self) -> list[str]:
        """The folders of the data set; empty for a data set that needs no folder."""
        roots = [self.root] if isinstance(self.root, str | os.PathLike) else list(self.root or ())
        return [os.fspath(root) for root in roots]

    def open(self, progress: Callable[[int, int], None] | None = None) -> Dataset:
        """Return the prepared data set; prepare it first if needed."""
        return data.load(self.name, self.root, self.size, progress, **self.options)

    def source(self) -> Source:
        """Return the source of the data set at this size, before preparation.

        Raises:
            MienError: the source does not have this size.
        """
        source = data.source(self.name, self.root, **self.options)
        least, most = source.sizes[0], source.sizes[-1]
        if not least <= self.size <= most:
            raise MienError(f"expected a size from {least} to {most} {source.unit}, got {self.size}")
        return source.at(self.size)

    def training_index(self, splits: Splits) -> NDArray[np.int64]:
        """Return the sorted positions (n,) of this share of the training pictures.

        Raises:
            MienError: there are fewer training pictures than shares.
        """
        i, n = self.share
        part = splits.train
        if n > 1:
            shuffled = np.random.default_rng([self.split_seed, n]).permutation(splits.train)
            part = np.sort(np.array_split(shuffled, n)[i - 1])
        if len(part) == 0:
            raise MienError(f"expected {n} or more training pictures for --share {i}/{n}, got {len(splits.train)}")
        if not 0 < self.count < len(part):
            return part
        # a stream of its own, so that the pictures of a share do not depend on the count
        return np.sort(np.random.default_rng([self.split_seed, i, n, 1]).permutation(part)[: self.count])

    def to_json(self) -> dict[str, Any]:
        """Return plain values for config.json."""
        values = asdict(self)
        places = [str(Path(root).expanduser().absolute()) for root in self.roots]
        values["root"] = None if not places else places[0] if len(places) == 1 else places
        if not self.count:
            del values["count"]  # a run of before there was one is of the same training
        return {**values, "options": dict(self.options), "share": list(self.share)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Data:
        """Return the reference that :meth:`to_json` wrote.

        Raises:
            MienError: a value is missing.
        """
        if missing := [k for k in ("name", "root", "size", "options", "split_seed", "share") if k not in values]:
            raise MienError(f"expected {missing[0]} of the data in config.json, got none: copy the file again")
        if len(values["share"]) != 2:
            raise MienError(f"expected a share of two numbers in config.json, got {values['share']!r:.80}")
        arguments = {k: values[k] for k in ("name", "root", "size", "options", "split_seed")}
        return cls(**arguments, share=tuple(values["share"]), count=values.get("count", 0))
