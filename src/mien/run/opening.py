"""Opening a run: its model, its data, and the editor of its pictures."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien.abilities import Decodes, Edits, Encodes, can
from mien.applications.arithmetic import AttributeVectors, Editor, attribute_vectors
from mien.data.dataset import Dataset, Splits
from mien.errors import MienError
from mien.files import sha256, write_json
from mien.models.base import Model
from mien.run.data import Data
from mien.run.folder import WEIGHTS, read_config
from mien.run.weights import load

VECTORS, STAMP = "attribute_vectors.safetensors", "attribute_vectors.json"

Progress = Callable[[int, int], None] | None


@dataclass
class OpenRun:
    """A run with its model and its data, opened."""

    folder: Path
    model: Model
    data: Data
    dataset: Dataset
    splits: Splits
    index: np.ndarray  # of the training pictures

    @property
    def edits(self) -> bool:
        """Whether attributes of pictures can be changed: by the model itself, or by attribute vectors."""
        if not self.dataset.attributes:
            return False
        if isinstance(self.model, Edits):
            return bool(self.model.editable)
        return can(self.model, Encodes, Decodes)

    def editor(self, keep: Iterable[str] = (), progress: Progress = None) -> Editor:
        """Return what changes attributes of pictures: a function (x, amounts) -> x, whatever the model's way.

        Args:
            keep: attributes whose directions an edit must not move along.
            progress: called with (done, total) while attribute vectors are made.

        Raises:
            MienError: for a model that cannot edit, and as :class:`~mien.applications.arithmetic.Editor` says.
        """
        vectors = None
        if not isinstance(self.model, Edits) and can(self.model, Encodes, Decodes):
            vectors = self.vectors(progress)
        return Editor(self.model, vectors, tuple(keep))

    def vectors(self, progress: Progress = None) -> AttributeVectors:
        """Return the attribute vectors of the run, made from its training pictures once and kept in it."""
        if (kept := cached_vectors(self.folder)) is not None:
            return kept
        vectors = attribute_vectors(self.model, self.dataset, self.index, progress=progress)
        vectors.save(self.folder / VECTORS)
        stamp = {
            "weights_sha256": sha256(self.folder / WEIGHTS),
            "names": vectors.names,
            "positives": vectors.positives,
            "negatives": vectors.negatives,
        }
        write_json(self.folder / STAMP, stamp)
        return vectors


def open_run(
    run: str | Path,
    device: str = "cpu",
    root: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> OpenRun:
    """Return a run with its data; ``root`` says where the data lie now if they have moved.

    Raises:
        MienError: no run, or data with other held-out pictures than the run's, which may have been trained on.
    """
    folder = Path(run)
    config = read_config(folder)
    model = load(folder, device)
    values = config["data"]
    data = Data.from_json({**values, "root": root or values["root"]})
    dataset = data.open(progress)
    splits = dataset.split(data.split_seed)
    index = data.training_index(splits)
    then, now = values["counts"], {"train": len(index), "valid": len(splits.valid), "test": len(splits.test)}
    held_out = dataset.digest(splits.test)
    if then != now or values.get("held_out", held_out) != held_out:  # runs of before it was noted go by counts
        raise MienError(
            f"expected the data that {folder} was trained on ({then['train']:,} pictures, {then['test']:,} held out), "
            f"got other pictures ({now['train']:,}, {now['test']:,} held out) in {data.root or data.name}: what is held "
            "out there may have been trained on; pass --root of the same data, or train anew"
        )
    return OpenRun(folder, model, data, dataset, splits, index)


def cached_vectors(run: str | Path) -> AttributeVectors | None:
    """Return a run's attribute vectors if they were made from its present weights, without its data."""
    folder = Path(run)
    path, stamp = folder / VECTORS, folder / STAMP
    if path.exists() and stamp.exists() and sha256(folder / WEIGHTS) in stamp.read_text(encoding="utf-8"):
        return AttributeVectors.load(path)
    return None
