"""The plan of a recipe: its trainings with their folders. Equal trainings have one folder, also between recipes."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mien import data as datasets
from mien import experiment
from mien.abilities import Describes
from mien.errors import MienError
from mien.models.base import arguments
from mien.networks.loss_network import LossNetwork
from mien.recipes import packaged
from mien.recipes.recipe import SCALES, Pictures, Recipe
from mien.run.data import Data
from mien.run.folder import progress

Root = str | Sequence[str | Path] | None


@dataclass(frozen=True)
class Step:
    """One training of a plan.

    Args:
        run: its name in the recipe; seed: of the training.
        data, model, settings, steps, epochs, training: the arguments of :func:`mien.experiment.train`.
        folder: the run folder, named by the model and the hash of all the above.
        uses: by setting, the training whose folder is the value of the setting.
    """

    run: str
    seed: int
    data: Data
    model: str
    settings: Mapping[str, Any]
    steps: int | None
    epochs: float | None
    training: Mapping[str, Any]
    folder: Path
    uses: Mapping[str, Step] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether the run folder holds the finished training."""
        return bool(self.folder.is_dir() and progress(self.folder).get("finished"))

    @property
    def done(self) -> int:
        """The updates that the run folder holds."""
        return int(progress(self.folder).get("step", 0)) if self.folder.is_dir() else 0


def data_of(pictures: Pictures, root: Root = None, share: tuple[int, int] = (1, 1)) -> Data:
    """Return the reference to the data of a scale.

    Args:
        pictures: what the recipe declares.
        root: the folder of the data set; None for its folder in $MIEN_DATA.
        share: the part of the training pictures.

    Raises:
        MienError: a root for data that come with mien.
    """
    if not pictures.packaged:
        return Data(pictures.name, root, pictures.size, pictures.options, share=share, count=pictures.count)
    if root is not None:
        raise MienError(f"expected no --root at this scale, whose data ({pictures.name}) come with mien: leave it out")
    if pictures.name in datasets.names():
        return Data(pictures.name, None, pictures.size, pictures.options, share=share, count=pictures.count)
    origin = getattr(packaged, pictures.name)(pictures.size).origin
    return Data(pictures.name, None, pictures.size, share=share, count=pictures.count, origin=origin)


def unseen_of(recipe: Recipe, scale: str, others: Mapping[str, Root] | None = None) -> Data | None:
    """Return the data of a scale that are measured but not trained on; None if the recipe has none.

    Args:
        recipe: the experiment; scale: one of its scales.
        others: folders of data sets by name; without one, the folder in $MIEN_DATA.

    Raises:
        MienError: the data are not there.
    """
    pictures = recipe.scales[scale].unseen
    if pictures is None:
        return None
    root = (others or {}).get(pictures.name)
    try:
        data = data_of(pictures, root)
        data.source()
    except MienError as error:
        if root is not None or pictures.packaged:
            raise
        raise MienError(f"{error}; the folder of {pictures.name} is --root {pictures.name}=FOLDER") from None
    return data


def plan(recipe: Recipe, scale: str, runs: Path, root: Root = None) -> list[Step]:
    """Return the trainings of a recipe at a scale, in an order in which each one follows those that it uses.

    Args:
        recipe: the experiment; scale: one of SCALES.
        runs: the folder of all run folders.
        root: the folder of the data set; None for its folder in $MIEN_DATA.

    Raises:
        MienError: the data are not there, or a scale that does not exist.
    """
    if scale not in recipe.scales:
        raise MienError(f"expected a scale of {', '.join(SCALES)}, got '{scale}': pass --scale small, for example")
    mark = data_of(recipe.scales[scale].pictures, root).source().fingerprint()
    steps: dict[tuple[str, int], Step] = {}
    for seed in recipe.scales[scale].seeds:
        for name in recipe.names(scale):
            step = _step(recipe, scale, name, seed, runs, root, mark, steps)
            steps.setdefault((name, step.seed), step)
    return list(steps.values())


def _step(
    recipe: Recipe,
    scale: str,
    name: str,
    seed: int,
    runs: Path,
    root: Root,
    mark: str,
    steps: Mapping[tuple[str, int], Step],
) -> Step:
    run, effort = recipe.runs[name], recipe.effort(name, scale)
    uses = {
        key: steps[used, seed if (fixed := recipe.runs[used].seed) is None else fixed]
        for key, used in recipe.uses(name, scale).items()
    }
    seed = seed if run.seed is None else run.seed
    settings = {**run.settings, **effort.settings}
    data = data_of(recipe.scales[scale].pictures, root, run.share)
    training = {**effort.training, "seed": seed}
    defaults = {
        key: parameter.default
        for key, parameter in arguments(run.model).items()
        if parameter.default is not inspect.Parameter.empty
    }
    values = {
        "model": run.model,
        "settings": {**defaults, **settings, **{key: step.folder.name for key, step in uses.items()}},
        "data": {**data.to_json(), "root": None, "fingerprint": mark},
        "length": [effort.steps, effort.epochs],
        "training": training,
    }
    digest = hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()
    settings |= {key: str(step.folder) for key, step in uses.items()}
    folder = runs / f"{run.model}-{digest[:12]}"
    return Step(name, seed, data, run.model, settings, effort.steps, effort.epochs, training, folder, uses)


def estimate(step: Step) -> dict[str, Any]:
    """Return what :func:`mien.experiment.dry_run` says of a training; nothing is written.

    A network of the same architecture with random weights stands in for a loss network that is not trained yet.
    """
    settings = {**step.settings}
    for key, used in step.uses.items():
        if used.finished:
            continue
        model = experiment.make_model(used.model, used.settings, used.data.source(), used.data.size)
        assert isinstance(model, Describes), f"{used.model} is used as a loss network"
        settings[key] = LossNetwork(source="random weights", sha256="", **model.trunk.architecture)
    return experiment.dry_run(step.model, step.data, settings, step.steps, step.epochs, **step.training)
