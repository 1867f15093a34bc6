"""Labeled training data: G(E(x) + noise) under the label of x (SelfExGAN §4.2.1, Fig. 4.10).

What is written is a folder that ``--data folder`` reads: pictures in a subfolder for each class, ``attributes.csv``
with a column for each class (1 or -1) and each attribute, ``classes.csv`` with the name of the class in each subfolder,
and ``provenance.json``. Read as it is, that data set has attributes and no classes: what is trained on it recognizes
the class as the likeliest of its columns. Read with ``--data-option classes=folders`` it has the classes of its source.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mien.abilities import Decodes, Encodes, require
from mien.applications.basics import BATCH, Progress
from mien.applications.variations import check_scale
from mien.data.dataset import Dataset
from mien.data.pictures import from_float, save_picture
from mien.errors import MienError
from mien.files import write_atomically, write_json

NOISE = 0.5  # the thesis does not say
TABLE, CLASS_NAMES, PROVENANCE = "attributes.csv", "classes.csv", "provenance.json"
ANY = -1  # the class of pictures of a set without classes

Maker = Callable[[Tensor, Tensor], Tensor]
"""Sources (B, C, H, W) and noise (B, K) ~ N(0, I) to pictures (B, C, H, W), all in [-1, 1]."""


@dataclass(frozen=True)
class Planned:
    """One picture to write: its path in the folder, the position of its source, and the seed of its noise."""

    file: str
    source: int
    seed: tuple[int, int, int]


def plan(dataset: Dataset, index: np.ndarray, per_class: int, seed: int = 0, labeled: int = 0) -> list[Planned]:
    """Return which pictures to make, class by class; the first ones are the same whatever ``per_class`` is.

    The sources of a class are taken in an order drawn by ``seed``, and from the first again when all had their turn.

    Args:
        index: positions to take sources from, such as the training split.
        per_class: pictures of each class; of a set with attributes only, pictures in all.
        labeled: take only so many sources of each class, as if no more were labeled; 0 takes all.

    Raises:
        MienError: the set has neither classes nor attributes, or is one of signals.
    """
    if dataset.shape[1] == 1:
        raise MienError(
            f"expected pictures, got {dataset.name}, a set of signals: a folder data set holds pictures only"
        )
    if not dataset.classes and not dataset.attributes:
        raise MienError(
            f"expected a data set with classes or attributes, got {dataset.name}, which has neither: nothing to label by"
        )
    if per_class < 1 or labeled < 0 or seed < 0:
        raise MienError(f"expected 1 picture of each class or more, got {per_class} ({labeled} labeled, seed {seed})")
    groups = {ANY: index}
    if dataset.classes and dataset.labels is not None:
        of = dataset.labels[index]
        groups = {c: index[of == c] for c in range(len(dataset.classes)) if (of == c).any()}
    planned = []
    for c, rows in groups.items():
        order = np.random.default_rng([seed, c + 1]).permutation(rows)[: labeled or len(rows)]
        folder = "pictures" if c == ANY else _folder_name(c, dataset.classes[c])
        planned += [
            Planned(f"{folder}/{number:06d}.png", int(order[number % len(order)]), (seed, c + 1, number))
            for number in range(per_class)
        ]
    return planned


def _folder_name(c: int, name: str) -> str:
    """Return a name of a folder for class c that every file system takes.

    >>> _folder_name(3, "Alphabet of the Magi/01")
    '003-Alphabet-of-the-Magi-01'
    """
    return f"{c:03d}-" + re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:40]


def noisy(model: Any, noise: float = NOISE) -> Maker:
    """Return what makes G(E(x) + noise·ε) of sources ``x`` and draws ε."""
    require(model, Encodes, Decodes)
    check_scale(noise)
    return lambda x, draws: model.decode(model.encode(x).mean + noise * draws).clamp(-1, 1)


def unchanged(x: Tensor, draws: Tensor) -> Tensor:
    """Return the sources themselves: the real pictures, to compare a synthesized folder with."""
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
    """Write the pictures ``planned`` with their labels and where they come from; return how many were made now.

    A picture that is there already is not made again; pictures are made in the same batches whatever is there, so
    that an interrupted folder ends up the same to the byte.

    Args:
        make: :func:`noisy` of a model, or :func:`unchanged`.
        latent: K, numbers of a latent.
        out: a new folder, or one that this wrote with the same ``about``.
        about: what the pictures are made by, as JSON can hold it: run, weights, noise, seed.
        progress: called with (done, total) pictures.

    Raises:
        MienError: ``out`` holds other files, or pictures made otherwise.
    """
    about = json.loads(json.dumps(dict(about)))
    _claim(out, about)
    write_json(out / PROVENANCE, {"made_with": about, "complete": False})
    made = 0
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
                    made += 1
        if progress:
            progress(start + len(part), len(planned))
    _write_table(dataset, planned, out / TABLE)
    if dataset.classes:
        folders = [[_folder_name(c, name), name] for c, name in enumerate(dataset.classes)]
        _write_csv([["folder", "class"], *folders], out / CLASS_NAMES)
    sources = {
        one.file: {"source": dataset.keys[one.source], "position": one.source, "seed": one.seed} for one in planned
    }
    write_json(out / PROVENANCE, {"made_with": about, "complete": True, "pictures": sources})
    return made


def _claim(out: Path, about: Mapping[str, Any]) -> None:
    """Refuse a folder that holds something else than what is to be written."""
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
        raise MienError(f"expected where the pictures come from in {path}, got a damaged file: delete {out}") from None
    for key in {**about, **before}:
        value = about.get(key)
        if before.get(key) != value:
            raise MienError(
                f"expected a new folder or one made alike, got {out}, whose {key} is {before.get(key)}, "
                f"and {value} is asked for: choose another"
            )


def _write_table(dataset: Dataset, planned: list[Planned], path: Path) -> None:
    """Write attributes.csv: a column for each class, one of them 1, then the attributes of the source."""
    rows = [["file", *dataset.classes, *dataset.attributes]]
    said = {1: "1", -1: "-1", 0: ""}
    for one in planned:
        label = -1 if dataset.labels is None else dataset.labels[one.source]
        classes = ["1" if c == label else "-1" for c in range(len(dataset.classes))]
        attributes = [said[int(value)] for value in dataset.attribute_table[one.source]] if dataset.attributes else []
        rows.append([one.file, *classes, *attributes])
    _write_csv(rows, path)


def _write_csv(rows: list[list[str]], path: Path) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_atomically(path, lambda p: p.write_text(text.getvalue(), encoding="utf-8"))
