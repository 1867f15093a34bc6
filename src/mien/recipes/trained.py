"""The trained runs of one seed of a recipe: what its figure and its further numbers are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.data.dataset import spread
from mien.evaluation import measures
from mien.evaluation.context import Note
from mien.evaluation.evaluator import measure, open_judge
from mien.evaluation.result import Evaluation
from mien.evaluation.store import empty, stored
from mien.files import finite, sha256
from mien.recipes.recipe import JUDGE, Number, Recipe
from mien.run.data import Data
from mien.run.folder import WEIGHTS
from mien.run.opening import OpenRun, open_run

if TYPE_CHECKING:
    from torch import Tensor

OF_SEM = ("mean", "accuracy", "mean_accuracy", "hamming_loss")


@dataclass
class Trained:
    """The trained runs of one seed.

    Attributes:
        recipe: the experiment; scale: its name; seed: of the trainings and the measures.
        folders: the run folder by the name of the run; data: the data by the name of the run.
        device: of the models.
        note: called with (what, done, total).
        unseen: data on which nothing was trained, for recipes that measure them.
    """

    recipe: Recipe
    scale: str
    seed: int
    folders: Mapping[str, Path]
    data: Mapping[str, Data]
    device: str
    note: Note
    unseen: Data | None = None
    _opened: dict[str, OpenRun] = field(default_factory=dict, repr=False)
    _measured: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)

    @property
    def held_out(self) -> int:
        """The largest number of held-out pictures that are measured."""
        return self.recipe.scales[self.scale].held_out

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the measured runs."""
        return self.recipe.measured(self.scale)

    def open(self, run: str) -> OpenRun:
        """Return an opened run of the recipe."""
        if run not in self._opened:
            data = self.data[run]
            given = data if data.origin is not None else None
            self._opened[run] = open_run(self.folders[run], self.device, root=data.root, data=given)
        return self._opened[run]

    def model(self, run: str) -> Any:
        """Return the model of a run, in evaluation mode."""
        return self.open(run).model

    def judge(self) -> Any:
        """Return the model of the judge."""
        return open_judge(self.open(self.names[0]), self.folders[JUDGE])[0]

    def pictures(self, n: int) -> Tensor:
        """Return n held-out pictures (n, C, H, W), spread over all."""
        opened = self.open(self.names[0])
        return opened.dataset.batch(spread(opened.splits.test, n)).x.to(self.device)

    def unseen_pictures(self, n: int) -> tuple[Tensor, list[str]]:
        """Return n pictures (n, C, H, W) of the data on which nothing was trained, spread over all, and their keys."""
        import numpy as np

        assert self.unseen is not None, "the recipe declares unseen data"
        dataset = self.unseen.open(lambda done, total: self.note("preparing", done, total))
        index = spread(np.arange(len(dataset)), n)
        return dataset.batch(index).x.to(self.device), [dataset.keys[i] for i in index]

    def evaluate(self, run: str) -> dict[str, Any]:
        """Return the measures of a run as plain values; only missing ones are taken."""
        if run not in self._measured:
            judge = self.folders.get(JUDGE)
            opened, names = self.open(run), self.recipe.measures_at(self.scale)
            digest = sha256(judge / WEIGHTS) if judge else None
            present = stored(opened.results, empty(opened, self.held_out, self.seed), digest)
            missing = tuple(name for name in names if not _is_stored(present, name, digest))
            result = measure(opened, judge, self.held_out, self.seed, self.note, names, missing) if missing else present
            self._measured[run] = finite(result.to_json())
        return self._measured[run]

    def number(self, run: str, path: str) -> Number:
        """Return a number of a run's evaluation, with its standard error and sample size where the evaluation has them.

        Args:
            run: its name.
            path: the keys of the number, joined by points; an object with a ``mean`` is its mean.
        """
        value: Any = self.evaluate(run)
        n, sem = 0, None
        for key in path.split("."):
            parent = value
            value = parent.get(key) if isinstance(parent, Mapping) else None
            n = parent.get("n", n) if isinstance(parent, Mapping) else n
            sem = _error(parent, key) if isinstance(parent, Mapping) else None
        if isinstance(value, Mapping):
            value, sem = value.get("mean"), value.get("sem")
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return Number((value if is_number else None,), (sem if is_number else None,), n)


def _error(parent: Mapping[str, Any], key: str) -> Any:
    """Return the standard error of a number; ``sem``, or ``sd`` with ``n``, belongs to the accuracy or the mean."""
    if key not in OF_SEM:
        return parent.get(f"{key}_spread")
    sd, n = parent.get("sd"), parent.get("n")
    return sd / n**0.5 if "sem" not in parent and sd and n else parent.get("sem")


def _is_stored(present: Evaluation, name: str, judge: str | None) -> bool:
    by_this_judge = judge is None or not measures.get(name).judged or present.judges.get(name) == judge
    return name in present.measures and name not in present.skipped and by_this_judge
