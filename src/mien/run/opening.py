"""Opening of a run: its model, its data, and the editor of its pictures."""

from __future__ import annotations

import filecmp
import functools
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import pretrained
from mien.abilities import Decodes, Edits, Encodes, can
from mien.applications.arithmetic import AttributeVectors, Editor, attribute_vectors
from mien.applications.directions import MEAN, step_of
from mien.data import cache_dir
from mien.data.dataset import Dataset, Splits
from mien.errors import MienError
from mien.files import sha256, write_atomically, write_json
from mien.models.base import Model
from mien.run.data import Data
from mien.run.folder import WEIGHTS, read_config, resolve
from mien.run.weights import load

VECTORS, STAMP = "attribute_vectors.safetensors", "attribute_vectors.json"  # of the default direction
AMOUNTS = "amounts"  # the key of a stamp that holds the amounts found by `mien evaluate`

Progress = Callable[[int, int], None] | None


@dataclass
class OpenRun:
    """A run with its model and its data.

    Attributes:
        folder: the run folder; for a pretrained model, a copy of its folder in the cache, where results are stored.
        model: in evaluation mode.
        data: the reference to the data set.
        dataset, splits: the data set and its split.
        index: positions (n,) of the pictures that trained the model.
    """

    folder: Path
    model: Model
    data: Data
    dataset: Dataset
    splits: Splits
    index: NDArray[np.int64]

    @property
    def edits(self) -> bool:
        """Whether attributes of pictures can be changed, by the model itself or by attribute vectors."""
        if not self.dataset.attributes:
            return False
        if isinstance(self.model, Edits):
            return bool(self.model.editable)
        return can(self.model, Encodes, Decodes)

    def editor(self, keep: Iterable[str] = (), progress: Progress = None, direction: str = MEAN) -> Editor:
        """Return the function (x, amounts) -> x that changes attributes of pictures.

        It uses the model if the model edits by itself, else attribute vectors.

        Args:
            keep: attributes that an edit must keep, see :meth:`AttributeVectors.without`.
            progress: called with (done, total) while attribute vectors are computed.
            direction: of attribute vectors, a name in :data:`~mien.applications.directions.DIRECTIONS`.

        Raises:
            UnknownName: there is no such direction.
            MienError: the model cannot edit, a direction for a model that edits by itself, or an error of
                :class:`~mien.applications.arithmetic.Editor`.
        """
        check_direction(self.model, direction)
        vectors = None
        if not isinstance(self.model, Edits) and can(self.model, Encodes, Decodes):
            vectors = self.vectors(progress, direction)
        return Editor(self.model, vectors, tuple(keep))

    def vectors(self, progress: Progress = None, direction: str = MEAN) -> AttributeVectors:
        """Return the attribute vectors of the run. They are computed once, and the run folder keeps them.

        Raises:
            UnknownName: there is no such direction.
        """
        if (cached := cached_vectors(self.folder, direction)) is not None:
            return cached
        vectors = attribute_vectors(self.model, self.dataset, self.index, progress=progress, direction=direction)
        path, stamp_path = _files(self.folder, direction)
        vectors.save(path)
        stamp = {
            "weights_sha256": sha256(self.folder / WEIGHTS),
            "names": vectors.names,
            "positives": vectors.positives,
            "negatives": vectors.negatives,
        }
        write_json(stamp_path, stamp)
        return vectors

    def keep_amounts(self, amounts: Mapping[str, float], judge_sha256: str, direction: str = MEAN) -> None:
        """Store the amount that works best for each attribute beside the attribute vectors.

        A model that edits by itself has no vectors; its file holds the amounts alone.

        Args:
            amounts: by attribute.
            judge_sha256: the hash of the weights of the judge that found them.
            direction: of the vectors.
        """
        weights = sha256(self.folder / WEIGHTS)
        stamp = _stamp(self.folder, direction, weights) or {"weights_sha256": weights}
        stamp[AMOUNTS] = {"judge_sha256": judge_sha256, "of": dict(amounts)}
        write_json(_files(self.folder, direction)[1], stamp)


def open_run(
    run: str | Path,
    device: str = "cpu",
    root: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
    progress: Callable[[int, int], None] | None = None,
    data: Data | None = None,
) -> OpenRun:
    """Return a run with its model and data.

    Args:
        run: the run folder, or the name of a pretrained model.
        device: cpu or cuda.
        root: folder of the data, if it has moved since the training; a pretrained model comes without data.
        progress: called with (done, total) while data are prepared.
        data: the pictures of a run that was trained on pictures in memory; not needed while their prepared form is in
            the cache.

    Raises:
        MienError: the folder is not a run, or the held-out pictures of the data differ from those of the run. Then
            the model may have been trained on pictures that are held out now.
    """
    folder = resolve(run)
    config = read_config(folder)
    model = load(folder, device)
    values = config["data"]
    data = Data.from_json({**values, "root": root or values["root"]}, data)
    data.check_roots(folder)
    try:
        dataset = data.open(progress)
    except MienError:
        if "shipped" not in config or root or os.environ.get("MIEN_DATA"):
            raise
        raise MienError(
            f"expected the data of {folder.name}, {data.name} at {data.size} px, got none, because they do not come "
            "with the package: pass --root FOLDER of its files"
        ) from None
    splits = dataset.split(data.split_seed)
    index = data.training_index(splits)
    expected, counts = values["counts"], {"train": len(index), "valid": len(splits.valid), "test": len(splits.test)}
    held_out = dataset.digest(splits.test)
    if expected != counts or values.get("held_out", held_out) != held_out:  # old runs have the counts only
        raise MienError(
            f"expected the data that {folder} was trained on ({expected['train']:,} pictures, "
            f"{expected['test']:,} held out), got other pictures ({counts['train']:,}, {counts['test']:,} held out) "
            f"in {data.root or data.name}: the model may have been trained on pictures that are held out there; "
            "pass --root of the same data, or train anew"
        )
    if folder.parent == pretrained.FOLDER:
        folder = _working_copy(folder)
    return OpenRun(folder, model, data, dataset, splits, index)


def _working_copy(folder: Path) -> Path:
    """Return a copy of a pretrained model's folder in the cache: results are stored in it, and never in the package."""
    copy = cache_dir() / "pretrained" / sha256(folder / WEIGHTS)[:16] / folder.name
    for path in folder.iterdir():
        if not (copy / path.name).exists() or not filecmp.cmp(path, copy / path.name, shallow=False):
            write_atomically(copy / path.name, functools.partial(shutil.copyfile, path))
    return copy


def check_direction(model: object, direction: str) -> None:
    """Check that a model can be edited along a direction.

    Raises:
        UnknownName: there is no such direction.
        MienError: a direction other than the default for a model that edits by itself.
    """
    step_of(direction)
    if direction != MEAN and can(model, Edits):
        raise MienError(
            f"expected no direction of {type(model).__name__}, which edits by itself, got {direction}: leave it out"
        )


def cached_vectors(run: str | Path, direction: str = MEAN) -> AttributeVectors | None:
    """Return the attribute vectors in a run folder if they belong to its present weights, else None; needs no data."""
    folder = resolve(run)
    path, _ = _files(folder, direction)
    if path.exists() and _stamp(folder, direction) is not None:
        return AttributeVectors.load(path)
    return None


def cached_amounts(run: str | Path, direction: str = MEAN) -> dict[str, float]:
    """Return the amount that works best for each attribute, as ``mien evaluate`` found it; empty where it did not.

    Only attributes with such an amount are in it, and only amounts that belong to the present weights of the run.
    """
    found = (_stamp(resolve(run), direction) or {}).get(AMOUNTS)
    of = found.get("of") if isinstance(found, dict) else None
    return {str(name): float(amount) for name, amount in of.items()} if isinstance(of, dict) else {}


def _files(folder: Path, direction: str) -> tuple[Path, Path]:
    """Return the files of the attribute vectors of a direction, and of their stamp."""
    if direction == MEAN:
        return folder / VECTORS, folder / STAMP
    name = f"{Path(VECTORS).stem}-{direction}"
    return folder / f"{name}.safetensors", folder / f"{name}.json"


def _stamp(folder: Path, direction: str, weights: str | None = None) -> dict[str, Any] | None:
    """Return the stamp of attribute vectors; None if there is none, or one that belongs to other weights.

    Args:
        weights: the hash of the run's weights, if the caller has it.
    """
    path = _files(folder, direction)[1]
    try:
        stamp = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(stamp, dict) or stamp.get("weights_sha256") != (weights or sha256(folder / WEIGHTS)):
        return None
    return stamp
