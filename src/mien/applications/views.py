"""Views of the same pictures: runs whose pictures are matched by the keys of their data sets.

A picture that is held out from one run must not train another run. Otherwise joined features would be tested on
training pictures.
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
    """One model with its data.

    Args:
        name: the name in tables and messages.
        model: a model that encodes.
        dataset, splits: the data set of the model and its split.
        train: positions (n,) of the pictures that trained the model.
    """

    name: str
    model: Any
    dataset: Dataset
    splits: Splits
    train: NDArray[np.int64]


def unique_names(folders: Sequence[str | Path]) -> tuple[str, ...]:
    """Return a short, unique name for each folder: its own name, or its path if several folders have that name.

    >>> unique_names(["runs/a", "old/a", "runs/b", "runs/b"])
    ('runs/a', 'old/a', 'runs/b', 'runs/b #2')
    """
    paths = [Path(folder) for folder in folders]
    short = Counter(path.name for path in paths)
    names = [path.name if short[path.name] == 1 and path.name else path.as_posix() for path in paths]
    counts: Counter[str] = Counter()
    for i, name in enumerate(names):
        counts[name] += 1
        names[i] = name if counts[name] == 1 else f"{name} #{counts[name]}"
    return tuple(names)


def align(views: Sequence[View]) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return for each view the positions of the training pictures and of the held-out pictures that all views share.

    Row i is the same picture in every view. The order is that of the first view.

    Raises:
        MienError: no views, different data, different attributes, no common pictures, or a picture that is held out
            from one view and in the training split of another. The message names the view.
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
        for own_rows, first_rows in zip(pair, pairs[0], strict=True):
            if not np.array_equal(view.dataset.attribute_table[own_rows], first.dataset.attribute_table[first_rows]):
                raise MienError(
                    f"expected the same pictures, got {view.name}, whose pictures have other attributes than those "
                    f"of the same names in {first.name}: use runs of one data set"
                )
    return pairs


def _names(views: Sequence[View]) -> list[Sequence[Hashable]]:
    """Return the names of each view's pictures: keys, or positions (faster) if all views list the same keys."""
    if all(view.dataset.keys == views[0].dataset.keys for view in views):
        return [range(len(views[0].dataset))] * len(views)
    return [view.dataset.keys for view in views]


def _check_splits(views: Sequence[View], names: Sequence[Sequence[Hashable]]) -> None:
    """Raise MienError if a training or validation picture of one view is held out from another."""
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
    """Raise MienError unless the view encodes, has attributes, and has the data of the first view."""
    require(view.model, Encodes)
    if not view.dataset.attributes:
        raise MienError(
            f"expected runs on a data set with attributes, got {view.name} on {view.dataset.name}, which has none: "
            "use runs on celeba, avatars or a folder with a table"
        )
    own, reference = (_description(v.dataset) for v in (view, first))
    if own != reference or view.dataset.attributes != first.dataset.attributes:
        raise MienError(
            f"expected runs on one data set, got {first.name} on {reference} and {view.name} on {own}: "
            "their pictures cannot be matched"
        )


def _description(dataset: Dataset) -> str:
    # without the folder: the same pictures may lie in different folders
    options = [f"{key}={value}" for key, value in sorted(dataset.options.items()) if key != "root"]
    return " ".join([dataset.name, *options])
