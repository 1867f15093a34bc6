"""Opening a run: its model, its data, its attribute vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mien import runs, runs_light
from mien.applications.arithmetic import AttributeVectors, attribute_vectors
from mien.data.dataset import Dataset, Splits
from mien.errors import MienError
from mien.experiment import Data
from mien.files import write_json
from mien.models.base import Model

VECTORS = "attribute_vectors.safetensors"


@dataclass
class OpenRun:
    """A run with its model and its data, opened."""

    folder: Path
    model: Model
    data: Data
    dataset: Dataset
    splits: Splits
    index: np.ndarray  # of the training pictures

    def vectors(self, progress: Callable[[int, int], None] | None = None) -> AttributeVectors:
        """Return the attribute vectors of the run, made from its training pictures once and kept in it."""
        path = self.folder / VECTORS
        weights = runs.sha256(self.folder / "weights.safetensors")
        stamp = self.folder / "attribute_vectors.json"
        if path.exists() and stamp.exists() and weights in stamp.read_text(encoding="utf-8"):
            return AttributeVectors.load(path)
        vectors = attribute_vectors(self.model, self.dataset, self.index, progress=progress)
        vectors.save(path)
        write_json(
            stamp,
            {
                "weights_sha256": weights,
                "names": vectors.names,
                "positives": vectors.positives,
                "negatives": vectors.negatives,
            },
        )
        return vectors


def open_run(run: str | Path, device: str = "cpu", root: str | None = None, progress: Any = None) -> OpenRun:
    """Return a run with its data; ``root`` says where the data lie now if they have moved.

    Raises:
        MienError: no run, or data with other held-out pictures than the run's, which may have been trained on.
    """
    folder = Path(run)
    config = runs_light.read_config(folder)
    model = runs.load(folder, device)
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
    path, stamp = folder / VECTORS, folder / "attribute_vectors.json"
    if (
        path.exists()
        and stamp.exists()
        and runs.sha256(folder / "weights.safetensors") in stamp.read_text(encoding="utf-8")
    ):
        return AttributeVectors.load(path)
    return None
