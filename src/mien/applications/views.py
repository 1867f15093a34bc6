"""Views of the same pictures: runs whose pictures are matched by the keys of their data sets.

No picture that one run was held out from may have trained another: else what is put together of both would know what
it is judged on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.abilities import Encodes, require
from mien.data.dataset import Dataset, Splits
from mien.errors import MienError


@dataclass(frozen=True)
class View:
    """One model and the pictures it was trained on and held out from.

    Args:
        name: what it is called in tables and messages.
        model: one that encodes.
        dataset, splits: its data.
        train: positions of the pictures that trained it.
    """

    name: str
    model: Any
    dataset: Dataset
    splits: Splits
    train: NDArray[np.int64]


def unique_names(folders: Sequence[str | Path]) -> tuple[str, ...]:
    """Return a short name for each folder: its own, with as much of its path as tells it from others.

    >>> unique_names(["runs/a", "old/a", "runs/b", "runs/b"])
    ('runs/a', 'old/a', 'runs/b', 'runs/b #2')
    """
    paths = [Path(folder) for folder in folders]
    short = Counter(path.name for path in paths)
    names = [path.name if short[path.name] == 1 and path.name else path.as_posix() for path in paths]
    seen: Counter[str] = Counter()
    for i, name in enumerate(names):
        seen[name] += 1
        names[i] = name if seen[name] == 1 else f"{name} #{seen[name]}"
    return tuple(names)


def align(views: Sequence[View]) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return, for each view, its positions of the training and of the held-out pictures that all views share.

    Row i is the same picture in every view, in the order of the first view's positions.

    Raises:
        MienError: no views, other data, a picture held out from one view that another's training split holds, other
            attributes, or no pictures in common; it names the view.
    """
    if not views:
        raise MienError("expected one run or more, got none")
    first = views[0]
    for view in views:
        _check_data(first, view)
    names = _names(views)
    _check_splits(views, names)
    fitted = [{own[i] for i in view.train.tolist()} for view, own in zip(views, names, strict=True)]
    held = [{own[i] for i in view.splits.test.tolist()} for view, own in zip(views, names, strict=True)]
    common = (set.intersection(*fitted), set.intersection(*held))
    for what, keys in zip(("training", "held-out"), common, strict=True):
        if not keys:
            raise MienError(
                f"expected {what} pictures that all runs share, got none of {', '.join(v.name for v in views)}: "
                "use runs of the same data, split and share"
            )
    order = [[names[0][i] for i in part.tolist()] for part in (first.train, first.splits.test)]
    shared = [[key for key in part if key in keys] for part, keys in zip(order, common, strict=True)]
    pairs = []
    for own in names:
        place = {name: i for i, name in enumerate(own)}
        train, test = (np.array([place[key] for key in part], np.int64) for part in shared)
        pairs.append((train, test))
    for view, pair in zip(views, pairs, strict=True):
        for mine, reference in zip(pair, pairs[0], strict=True):
            if not np.array_equal(view.dataset.attribute_table[mine], first.dataset.attribute_table[reference]):
                raise MienError(
                    f"expected the same pictures, got {view.name}, whose pictures have other attributes than those "
                    f"of the same names in {first.name}: use runs of one data set"
                )
    return pairs


def _names(views: Sequence[View]) -> list[Sequence[Hashable]]:
    """Return what each view calls its pictures: their positions where all list them alike, which is quicker."""
    if all(view.dataset.keys == views[0].dataset.keys for view in views):
        return [range(len(views[0].dataset))] * len(views)
    return [view.dataset.keys for view in views]


def _check_splits(views: Sequence[View], names: Sequence[Sequence[Hashable]]) -> None:
    """Raise a MienError where one view's training or validation pictures are held out from another."""
    held = [{own[i] for i in view.splits.test.tolist()} for view, own in zip(views, names, strict=True)]
    for view, own in zip(views, names, strict=True):
        trained = {own[i] for i in (*view.splits.train.tolist(), *view.splits.valid.tolist())}
        for other, test in zip(views, held, strict=True):
            if shared := len(trained & test):
                raise MienError(
                    f"expected runs of one split, got {view.name}, which may train on {shared:,} pictures held out "
                    f"from {other.name}: train both with the same --split-seed and data"
                )


def _check_data(first: View, view: View) -> None:
    """Raise a MienError unless a view encodes, has attributes, and is of the first view's data."""
    require(view.model, Encodes)
    if not view.dataset.attributes:
        raise MienError(
            f"expected runs on a data set with attributes, got {view.name} on {view.dataset.name}, which has none: "
            "use runs on celeba, avatars or a folder with a table"
        )
    mine, reference = (_described(v.dataset) for v in (view, first))
    if mine != reference or view.dataset.attributes != first.dataset.attributes:
        raise MienError(
            f"expected runs on one data set, got {first.name} on {reference} and {view.name} on {mine}: "
            "their pictures cannot be matched"
        )


def _described(dataset: Dataset) -> str:
    # the same pictures may lie elsewhere
    options = [f"{key}={value}" for key, value in sorted(dataset.options.items()) if key != "root"]
    return " ".join([dataset.name, *options])
