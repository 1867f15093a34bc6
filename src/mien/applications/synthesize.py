"""Labeled training data: G(E(x) + noise) with the label of x (SelfExGAN §4.2.1, Fig. 4.10).

The output is a folder for ``--data folder``. It holds the pictures in a subfolder for each class, ``attributes.csv``
with a column for each class (1 or -1) and for each attribute, ``classes.csv`` with the class of each subfolder, and
``provenance.json``. A data set without classes has a subfolder for each value of each attribute, such as
``007-Smiling`` and ``008-not-Smiling``, or for each combination of the values of several attributes. By default the
folder is read as a data set with attributes and without classes; a model trained on it recognizes the class as the most
likely of the columns. With ``--data-option classes=folders`` the data set has the classes of its source.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.abilities import Decodes, Encodes, require
from mien.applications.basics import BATCH, Progress
from mien.applications.variations import check_scale
from mien.data.dataset import Dataset
from mien.data.pictures import from_float, save_picture
from mien.errors import MienError, UnknownName
from mien.files import write_atomically, write_json

NOISE = 0.5  # scale of the noise; the thesis does not give it
TABLE, CLASS_NAMES, PROVENANCE = "attributes.csv", "classes.csv", "provenance.json"

Maker = Callable[[Tensor, Tensor], Tensor]
"""A function from sources (B, C, H, W) and noise (B, K) ~ N(0, I) to pictures (B, C, H, W), all in [-1, 1]."""


@dataclass(frozen=True)
class Group:
    """The sources of one subfolder.

    Args:
        number: of the group, which is part of its seed.
        name: the class, or the values of attributes, such as ``Smiling, not Male``.
        rows: positions (n,) of its pictures.
    """

    number: int
    name: str
    rows: NDArray[np.int64]

    @property
    def folder(self) -> str:
        """The name of the subfolder."""
        return _folder_name(self.number, self.name)


@dataclass(frozen=True)
class Planned:
    """One picture to write: its path in the folder, the position of its source, and the seed of its noise."""

    file: str
    source: int
    seed: tuple[int, int, int]


def groups(dataset: Dataset, index: NDArray[np.int64], joint: Sequence[Sequence[str]] = ()) -> list[Group]:
    """Return the groups of pictures of which equally many are made; a group may be empty.

    Args:
        dataset: with classes or attributes.
        index: positions (n,) of the pictures to divide into groups.
        joint: attributes; each entry makes one group for each combination of their values. Without it the groups are
            the classes, or, for a data set without classes, the two values of each attribute.

    Raises:
        UnknownName: there is no such attribute.
    """
    if dataset.classes and dataset.labels is not None and not joint:
        label = dataset.labels[index]
        return [Group(c, name, index[label == c]) for c, name in enumerate(dataset.classes)]
    made: list[Group] = []
    for names in joint or [(name,) for name in dataset.attributes]:
        for name in names:
            if name not in dataset.attributes:
                raise UnknownName("attribute", name, dataset.attributes)
        table = np.asarray(dataset.attribute_table[index][:, [dataset.attributes.index(name) for name in names]])
        for values in itertools.product((1, -1), repeat=len(names)):
            words = ", ".join(name if value > 0 else f"not {name}" for name, value in zip(names, values, strict=True))
            made.append(Group(len(made), words, index[(table == np.array(values)).all(1)]))
    return made


def plan(
    dataset: Dataset,
    index: NDArray[np.int64],
    per_class: int,
    seed: int = 0,
    labeled: int = 0,
    joint: Sequence[Sequence[str]] = (),
) -> list[Planned]:
    """Return the list of pictures to make, group by group. The first of a group do not depend on ``per_class``.

    The groups are those of :func:`groups`. The sources of a group come in an order drawn by ``seed``. After the last
    source the order starts again.

    Args:
        dataset: with classes or attributes.
        index: positions (n,) of the sources, such as the training split.
        per_class: pictures of each group that has sources.
        seed: of the order and of the noise.
        labeled: use only this number of sources of each group, as if no others were labeled; 0 uses all.
        joint: as of :func:`groups`.

    Raises:
        UnknownName: there is no such attribute.
        MienError: the data set has neither classes nor attributes, or has signals; a number out of range.
    """
    if dataset.shape[1] == 1:
        raise MienError(
            f"expected pictures, got {dataset.name}, a set of signals: a folder data set holds pictures only"
        )
    if not dataset.classes and not dataset.attributes:
        raise MienError(
            f"expected a data set with classes or attributes, got {dataset.name}, which has neither: "
            "use one with labels"
        )
    if per_class < 1 or labeled < 0 or seed < 0:
        raise MienError(f"expected 1 picture of each class or more, got {per_class} ({labeled} labeled, seed {seed})")
    planned = []
    for group in groups(dataset, index, joint):
        if not len(group.rows):
            continue
        c = group.number
        order = np.random.default_rng([seed, c + 1]).permutation(group.rows)[: labeled or len(group.rows)]
        planned += [
            Planned(f"{group.folder}/{number:06d}.png", int(order[number % len(order)]), (seed, c + 1, number))
            for number in range(per_class)
        ]
    return planned


def _folder_name(c: int, name: str) -> str:
    """Return the name of the folder for class c, valid in every file system.

    >>> _folder_name(3, "Alphabet of the Magi/01")
    '003-Alphabet-of-the-Magi-01'
    """
    return f"{c:03d}-" + re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:40]


def noisy(model: Any, noise: float = NOISE) -> Maker:
    """Return the function from sources x and samples ε to G(E(x) + noise·ε).

    Args:
        model: encodes and decodes.
        noise: standard deviation of the noise, 0 or more.
    """
    require(model, Encodes, Decodes)
    check_scale(noise)
    return lambda x, draws: model.decode(model.encode(x).mean + noise * draws).clamp(-1, 1)


def unchanged(x: Tensor, draws: Tensor) -> Tensor:
    """Return the sources ``x`` themselves: a folder of real pictures is the baseline of a synthesized one."""
    del draws
    return x


def synthesize(
    make: Maker,
    latent: int,
    dataset: Dataset,
    planned: list[Planned],
    out: Path,
    about: Mapping[str, Any],
    device: torch.device | str = "cpu",
    progress: Progress = None,
) -> int:
    """Write the pictures ``planned`` with their labels and sources. Return the number of pictures written by this call.

    Pictures that exist are not written again. The batches are the same with or without them, so an interrupted folder
    gets the same bytes as an uninterrupted one.

    Args:
        make: :func:`noisy` of a model, or :func:`unchanged`.
        latent: K, the size of the latents.
        dataset: holds the sources.
        planned: the result of :func:`plan`.
        out: a new folder, or one that an earlier call wrote with the same ``about``.
        about: origin of the pictures as JSON values: run, weights, noise, seed.
        device: of the model.
        progress: called with (done, total) pictures.

    Raises:
        MienError: ``out`` holds other files, or pictures of another origin.
    """
    about = json.loads(json.dumps(dict(about)))
    check_place(out, about)
    write_json(out / PROVENANCE, {"made_with": about, "complete": False})
    count = 0
    for start in range(0, len(planned), BATCH):
        part = planned[start : start + BATCH]
        missing = [not (out / one.file).exists() for one in part]
        if any(missing):
            draws = np.stack([np.random.default_rng(one.seed).standard_normal(latent) for one in part])
            x = dataset.batch(np.array([one.source for one in part]), device).x
            with torch.inference_mode():
                pictures = from_float(make(x, torch.from_numpy(draws).float().to(device)).cpu().numpy())
            for one, picture, absent in zip(part, pictures, missing, strict=True):
                if absent:
                    save_picture(picture, out / one.file)
                    count += 1
        if progress:
            progress(start + len(part), len(planned))
    _write_table(dataset, planned, out / TABLE)
    folders = {_folder_name(c, name): name for c, name in enumerate(dataset.classes)}
    if folders and all(one.file.partition("/")[0] in folders for one in planned):  # not if they are of attributes
        _write_csv([["folder", "class"], *([*pair] for pair in folders.items())], out / CLASS_NAMES)
    sources = {
        one.file: {"source": dataset.keys[one.source], "position": one.source, "seed": one.seed} for one in planned
    }
    write_json(out / PROVENANCE, {"made_with": about, "complete": True, "pictures": sources})
    return count


def check_place(out: Path, about: Mapping[str, Any]) -> None:
    """Raise MienError if the folder holds files other than an earlier part of the same output."""
    about = json.loads(json.dumps(dict(about)))
    if not out.exists():
        return
    there = [path.name for path in out.iterdir()] if out.is_dir() else [out.name]
    path = out / PROVENANCE
    if there and not path.is_file():
        raise MienError(
            f"expected a new folder or one of synthesized pictures, got {out} with {there[0]}: choose another"
        )
    if not there:
        return
    try:
        before = dict(json.loads(path.read_text(encoding="utf-8"))["made_with"])
    except (OSError, ValueError, KeyError, TypeError):
        raise MienError(f"expected the origin of the pictures in {path}, got a damaged file: delete {out}") from None
    for key in {**about, **before}:
        value = about.get(key)
        if before.get(key) != value:
            raise MienError(
                f"expected a new folder or one with {key} = {value}, got {out} with {key} = {before.get(key)}: "
                "choose another"
            )


def _write_table(dataset: Dataset, planned: list[Planned], path: Path) -> None:
    """Write attributes.csv: a column for each class, with 1 for the class of the picture, then those of attributes."""
    rows = [["file", *dataset.classes, *dataset.attributes]]
    text = {1: "1", -1: "-1", 0: ""}
    for one in planned:
        label = -1 if dataset.labels is None else dataset.labels[one.source]
        classes = ["1" if c == label else "-1" for c in range(len(dataset.classes))]
        attributes = [text[int(value)] for value in dataset.attribute_table[one.source]] if dataset.attributes else []
        rows.append([one.file, *classes, *attributes])
    _write_csv(rows, path)


def _write_csv(rows: list[list[str]], path: Path) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_atomically(path, lambda p: p.write_text(text.getvalue(), encoding="utf-8"))
