"""Attributes predicted from latents by linear SVMs: accuracy, balanced accuracy, majority baseline, Hamming loss.

VAE-WGAN §4.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from mien.abilities import Encodes, can
from mien.evaluation.attributes import AttributeScores
from mien.evaluation.context import Context
from mien.evaluation.measure import Cells, Measure, Row
from mien.evaluation.record import Record

if TYPE_CHECKING:
    from mien.run.opening import OpenRun

MOST = 20_000  # largest number of training pictures of the SVMs


@dataclass(frozen=True, kw_only=True)
class Fitted(Record):
    """The training data of the SVMs: keys of the JSON object beside the scores."""

    n_train: int | None = None
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class SVMScores(Record):
    """Scores of SVMs fitted on ``n_train`` pictures; ``left_out`` names attributes with one value only."""

    scores: AttributeScores | None
    n_train: int | None
    left_out: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the scores and the training data in one table."""
        scores = {**self.scores.to_json(), "n_train": self.n_train} if self.scores else {}
        return {**scores, "left_out": list(self.left_out)}

    @classmethod
    def from_json(cls, values: Any) -> Self:
        """Return the scores that :meth:`to_json` wrote."""
        fitted = Fitted.from_json(values)
        scores = AttributeScores.from_json(values) if fitted.n_train is not None else None
        return cls(scores, fitted.n_train, fitted.left_out)


class LatentSVM(Measure[SVMScores]):
    """One linear SVM for each attribute, fitted on latents of training pictures."""

    Result = SVMScores
    order = 30

    def applies(self, run: OpenRun) -> bool:
        """Return whether the model encodes and the data set has attributes."""
        return can(run.model, Encodes) and bool(run.dataset.attributes)

    def take(self, context: Context) -> SVMScores:
        """Return the scores on the held-out pictures."""
        import numpy as np

        from mien.applications.basics import encode_all
        from mien.metrics.attributes import attribute_scores
        from mien.metrics.latent_svm import latent_svm

        run, test, note = context.run, context.test, context.note
        train = np.sort(np.random.default_rng(0).permutation(run.index)[:MOST])
        z_train = encode_all(run.model, run.dataset, train, lambda d, t: note("encoding", d, t)).numpy()
        z_test = encode_all(run.model, run.dataset, test).numpy()
        names, table = tuple(run.dataset.attributes), run.dataset.attribute_table
        y_train, y_test = np.asarray(table[train]), np.asarray(table[test])
        fitted = latent_svm(z_train, y_train, z_test, y_test, names, lambda d, t: note("linear SVMs", d, t))
        if not fitted.names:
            return SVMScores(None, None, tuple(fitted.left_out))
        columns = [names.index(name) for name in fitted.names]
        majority = np.where(y_train[:, columns].sum(0) >= 0, 1, -1)
        scores = attribute_scores(fitted.predicted, y_test[:, columns], majority, fitted.names)
        return SVMScores(AttributeScores.from_json(scores), fitted.n_train, tuple(fitted.left_out))

    def rows(self, result: SVMScores) -> list[Row]:
        """Return a row for each mean over attributes."""
        return result.scores.rows("linear SVMs on latents") if result.scores else []

    def cells(self, result: SVMScores) -> Cells:
        """Return the accuracies of each attribute."""
        return result.scores.cells() if result.scores else {}
