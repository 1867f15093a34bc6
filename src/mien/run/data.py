"""The reference from a run to its data: enough to open the same pictures again."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien import data
from mien.data.dataset import Dataset, Source, Splits
from mien.errors import MienError
from mien.own_code import is_reference

if TYPE_CHECKING:
    from torch.utils.data import Dataset as TorchDataset

MEMORY = "memory"  # the key in config.json of pictures that a program passed


@dataclass(frozen=True)
class Data:
    """A reference to the pictures of a run: enough to open them again.

    Args:
        name: the data set, one of ``mien.data.names()``; or a class of the user that inherits from
            :class:`mien.data.Source`, or the text ``FILE.py:Class``, whose file is executed.
        root: its folder, or several folders that are joined (see :class:`mien.data.joined.Joined`); None for a data set
            that needs no folder.
        size: height and width in pixels after cropping; for signals, the number of samples.
        options: further arguments of the data set, such as ``{"count": 4000}`` for avatars.
        split_seed: seed of the split into training, validation and test pictures.
        share: (i, n): train on the i-th of n disjoint shares of the training pictures. With it, judges and loss
            networks train on different pictures.
        count: largest number of training pictures, drawn by ``split_seed``; 0 takes all.
        origin: the pictures that a program passes, see :meth:`from_arrays` and :meth:`from_dataset`.

    Raises:
        MienError: ``share`` is not 1 ≤ i ≤ n, or ``count`` is negative.
    """

    name: str | type[Source]
    root: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None
    size: int = 64
    options: Mapping[str, Any] = field(default_factory=dict)
    split_seed: int = 0
    share: tuple[int, int] = (1, 1)
    count: int = 0
    origin: Source | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.origin is None and (isinstance(self.name, type) or is_reference(self.name)):
            object.__setattr__(self, "name", data.use(self.name))
        places = self.roots
        # one folder is a text and several are a list, as config.json holds them
        object.__setattr__(self, "root", None if not places else places[0] if len(places) == 1 else places)
        if self.count < 0:
            raise MienError(f"expected a count of 0 or more training pictures, got {self.count}: 0 takes all")
        i, n = self.share
        if not 1 <= i <= n:
            raise MienError(f"expected a share I/N with 1 <= I <= N, got {i}/{n}: such as --share 1/2")

    @classmethod
    def from_arrays(
        cls,
        pictures: Any,
        attributes: ArrayLike | Mapping[str, ArrayLike] | None = None,
        labels: ArrayLike | None = None,
        *,
        attribute_names: Sequence[str] = (),
        classes: Sequence[str] = (),
        limits: tuple[float, float] = (-1.0, 1.0),
        name: str = "arrays",
        size: int | None = None,
        split_seed: int = 0,
        share: tuple[int, int] = (1, 1),
        count: int = 0,
    ) -> Data:
        """Return a reference to pictures in an array or a tensor.

        Args:
            pictures, attributes, labels, attribute_names, classes, limits, name: see :class:`mien.data.memory.Arrays`:
                uint8 (N, H, W, C), or floats (N, C, H, W) in [-1, 1].
            size: the shorter side in pixels; that of the pictures if None.
            split_seed, share, count: as above.

        Raises:
            MienError: arrays of other shapes, types or values.

        >>> x = np.zeros((8, 16, 16, 3), np.uint8)
        >>> data = Data.from_arrays(x, {"Smiling": [1, 0, 1, 0, 1, 0, 1, 0]})
        >>> data.name, data.size, data.source().attributes
        ('arrays', 16, ('Smiling',))
        """
        from mien.data.memory import Arrays

        origin = Arrays(pictures, attributes, labels, attribute_names, classes, limits, _free_name(name))
        return cls(origin.name, None, size or origin.size, {}, split_seed, share, count, origin)

    @classmethod
    def from_dataset(
        cls,
        items: TorchDataset[Any],
        *,
        attribute_names: Sequence[str] = (),
        classes: Sequence[str] = (),
        limits: tuple[float, float] = (-1.0, 1.0),
        name: str = "",
        size: int | None = None,
        split_seed: int = 0,
        share: tuple[int, int] = (1, 1),
        count: int = 0,
    ) -> Data:
        """Return a reference to a data set of torch, or of any other object with ``len(items)`` and ``items[i]``.

        Args:
            items, attribute_names, classes, limits, name: see :class:`mien.data.memory.Items`.
            size: the shorter side in pixels; that of the pictures if None, 64 if they have several sizes.
            split_seed, share, count: as above.

        Raises:
            MienError: items of another form, or items that change from one reading to the next.
        """
        from mien.data.memory import Items

        origin = Items(items, attribute_names, classes, limits, _free_name(name or type(items).__name__))
        return cls(origin.name, None, size or origin.size, {}, split_seed, share, count, origin)

    @classmethod
    def of(cls, pictures: Any) -> Data:
        """Return ``pictures`` if it is a reference, else a reference to an array or a data set of torch."""
        if isinstance(pictures, Data):
            return pictures
        if isinstance(pictures, Source):
            return cls(_free_name(pictures.name), None, pictures.size, origin=pictures)
        if isinstance(pictures, str):
            return cls(pictures, size=data.default_size(data.use(pictures)))
        return cls.from_arrays(pictures) if hasattr(pictures, "ndim") else cls.from_dataset(pictures)

    @property
    def kind(self) -> type[Source] | Source:
        """The class of the data set, or the pictures that a program passed: what declares sizes and shapes."""
        return self.origin if self.origin is not None else data.get(str(self.name))

    def shape(self) -> tuple[int, int, int]:
        """Return the shape (H, W, C) of a prepared picture; no file is opened.

        Raises:
            MienError: the data set does not have this size.
        """
        if self.origin is None:
            data.check_size(str(self.name), self.size)
            return data.shape(str(self.name), self.size)
        self._check_size(self.origin)
        return self.origin.shape(self.size)

    @property
    def roots(self) -> list[str]:
        """The folders of the data set; empty for a data set that needs no folder."""
        roots = [self.root] if isinstance(self.root, str | os.PathLike) else list(self.root or ())
        return [os.fspath(root) for root in roots]

    def open(self, progress: Callable[[int, int], None] | None = None) -> Dataset:
        """Return the prepared data set; prepare it first if needed."""
        if self.origin is not None:
            return data.load_source(self.origin, self.size, progress)
        return data.load(str(self.name), self.root, self.size, progress, **self.options)

    def source(self) -> Source:
        """Return the source of the data set at this size, before preparation.

        Raises:
            MienError: the source does not have this size.
        """
        source = self.origin if self.origin is not None else data.source(str(self.name), self.root, **self.options)
        self._check_size(source)
        return source.at(self.size)

    def _check_size(self, source: Source) -> None:
        least, most = source.sizes[0], source.sizes[-1]
        if not least <= self.size <= most:
            raise MienError(f"expected a size from {least} to {most} {source.unit}, got {self.size}")

    def check_roots(self, run: Path) -> None:
        """Raise MienError if a folder of the data set of a run has moved."""
        for root in self.roots:
            if not Path(root).expanduser().exists():
                raise MienError(f"expected the data of {run} in {root}, got no such folder: pass --root FOLDER of them")

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
        places = [str(Path(root).expanduser().absolute()) for root in self.roots]
        values = {
            "name": self.name,
            "root": None if not places else places[0] if len(places) == 1 else places,
            "size": self.size,
            "options": dict(self.options),
            "split_seed": self.split_seed,
            "share": list(self.share),
        }
        # a run of before there was a count, or pictures in memory, is of the same training
        return values | ({"count": self.count} if self.count else {}) | ({MEMORY: True} if self.origin else {})

    @classmethod
    def from_json(cls, values: Mapping[str, Any], given: Data | None = None) -> Data:
        """Return the reference that :meth:`to_json` wrote. No file of the user is executed.

        Args:
            values: the entry ``data`` of config.json.
            given: the pictures of the run, if they were passed in Python; without them, their prepared form is opened.

        Raises:
            MienError: a value is missing, ``given`` holds other pictures, or the code of a data set was not passed.
        """
        required = ("name", "root", "size", "options", "split_seed", "share", *(["fingerprint"] * (MEMORY in values)))
        if missing := [k for k in required if k not in values]:
            raise MienError(f"expected {missing[0]} of the data in config.json, got none: copy the file again")
        if len(values["share"]) != 2:
            raise MienError(f"expected a share of two numbers in config.json, got {values['share']!r:.80}")
        arguments = {k: values[k] for k in ("name", "root", "size", "options", "split_seed")}
        if values.get(MEMORY):
            from mien.data.memory import Absent

            mark = values["fingerprint"]
            if given is not None and given.origin is not None and given.origin.fingerprint() != mark:
                raise MienError(
                    f"expected the pictures that the run was trained on, got others in {given.name}: pass the same "
                    "pictures with the same attributes, labels and names"
                )
            arguments["origin"] = given.origin if given is not None else Absent(str(values["name"]), mark)
        elif given is not None:
            raise MienError(f"expected no data for a run on the data set {values['name']}, got some: pass root")
        else:
            data.check_name(str(values["name"]))
        return cls(**arguments, share=tuple(values["share"]), count=values.get("count", 0))


def _free_name(name: str) -> str:
    """Return the name of a data set in memory if it is one word, and not that of another data set."""
    if not name.replace("_", "").replace("-", "").isalnum():
        raise MienError(f"expected a name of letters, digits, - and _ for the data, got '{name}': pass name")
    return f"{name}_in_memory" if name in data.names() else name
