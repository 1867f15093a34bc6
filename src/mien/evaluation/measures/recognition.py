"""Attributes recognized by the model: accuracy, balanced accuracy, majority baseline, Hamming loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mien.abilities import Recognizes
from mien.evaluation.attributes import AttributeScores
from mien.evaluation.context import Context
from mien.evaluation.measure import Cells, Measure, Row, Skipped

if TYPE_CHECKING:
    from mien.run.opening import OpenRun


class Recognition(Measure[AttributeScores]):
    """Attributes with a probability above one half, compared with the labels."""

    Result = AttributeScores
    order = 40

    def applies(self, run: OpenRun) -> bool:
        """Return whether the model recognizes attributes."""
        return isinstance(run.model, Recognizes) and bool(run.model.attributes)

    def take(self, context: Context) -> AttributeScores:
        """Return the scores on the held-out pictures.

        Raises:
            Skipped: no held-out picture has a known attribute.
        """
        import numpy as np
        import torch

        from mien.applications.basics import batches
        from mien.metrics.attributes import attribute_scores

        run, test = context.run, context.test
        model: Any = run.model
        columns = [run.dataset.attributes.index(name) for name in model.attributes]
        truth = np.asarray(run.dataset.attribute_table[test])[:, columns]
        if not truth.any():
            raise Skipped("expected held-out pictures with a known attribute, got none: use other data")
        probabilities: list[np.ndarray] = []
        with torch.inference_mode():
            for batch in batches(run.dataset, test, context.device):
                probabilities.append(model.recognize(batch.x).cpu().numpy())
                context.note("recognition", sum(map(len, probabilities)), len(test))
        predicted = np.where(np.concatenate(probabilities) > 0.5, 1, -1)
        majority = np.where(np.asarray(run.dataset.attribute_table[run.index])[:, columns].sum(0) >= 0, 1, -1)
        return AttributeScores.from_json(attribute_scores(predicted, truth, majority, tuple(model.attributes)))

    def rows(self, result: AttributeScores) -> list[Row]:
        """Return a row for each mean over attributes."""
        return result.rows("recognition")

    def cells(self, result: AttributeScores) -> Cells:
        """Return the accuracies of each attribute."""
        return result.cells()
