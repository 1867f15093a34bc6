"""The reference from a run to its data: enough to open the same pictures again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
        root: its folder; None for a data set that needs no folder.
        size: height and width in pixels after cropping; for signals, the number of samples.
        options: further arguments of the data set, such as ``{"count": 4000}`` for avatars.
        split_seed: seed of the split into training, validation and test pictures.
        share: (i, n): train on the i-th of n disjoint shares of the training pictures. With it, judges and loss
            networks train on different pictures.

    Raises:
        MienError: ``share`` is not 1 ≤ i ≤ n.
    """

    name: str
    root: str | None = None
    size: int = 64
    options: Mapping[str, Any] = field(default_factory=dict)
    split_seed: int = 0
    share: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        i, n = self.share
        if not 1 <= i <= n:
            raise MienError(f"expected a share I/N with 1 <= I <= N, got {i}/{n}: such as --share 1/2")

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
        if n == 1:
            return splits.train
        shuffled = np.random.default_rng([self.split_seed, n]).permutation(splits.train)
        part = np.sort(np.array_split(shuffled, n)[i - 1])
        if len(part) == 0:
            raise MienError(f"expected {n} or more training pictures for --share {i}/{n}, got {len(splits.train)}")
        return part

    def to_json(self) -> dict[str, Any]:
        """Return plain values for config.json."""
        values = asdict(self)
        values["root"] = str(Path(self.root).expanduser().absolute()) if self.root else None
        return {**values, "options": dict(self.options), "share": list(self.share)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Data:
        """Return the reference that :meth:`to_json` wrote."""
        arguments = {k: values[k] for k in ("name", "root", "size", "options", "split_seed")}
        return cls(**arguments, share=tuple(values["share"]))
