"""Scores of attributes, for the measures that predict attributes."""

from __future__ import annotations

from dataclasses import dataclass

from mien.evaluation.measure import Cells, Row
from mien.evaluation.record import Record


@dataclass(frozen=True, kw_only=True)
class AttributeScore(Record):
    """Accuracy, balanced accuracy and majority baseline of one attribute.

    The balanced accuracy is None if all pictures have one value, and in results of older versions, which also have
    neither ``recall`` (on pictures with the attribute) nor ``specificity`` (on pictures without it).
    """

    accuracy: float
    balanced: float | None = None
    majority: float
    recall: float | None = None
    specificity: float | None = None


@dataclass(frozen=True, kw_only=True)
class AttributeScores(Record):
    """Scores of all attributes on n pictures, see :func:`mien.metrics.attributes.attribute_scores`."""

    n: int
    mean_accuracy: float
    sem: float
    balanced_accuracy: float | None = None
    majority_baseline: float
    hamming_loss: float
    one_value: tuple[str, ...] | None = None
    per_attribute: dict[str, AttributeScore]

    def rows(self, what: str) -> list[Row]:
        """Return the rows of the means; ``what`` names the predictor of the attributes."""
        how = f"{self.n:,} held-out pictures, {len(self.per_attribute)} attributes; ± standard error"
        rows = [
            Row(f"attribute accuracy, {what}", f"{self.mean_accuracy:.2%}", how, "up", f"± {self.sem:.2%}"),
            Row("of always the commoner value", f"{self.majority_baseline:.2%}", how, indented=True),
        ]
        if self.balanced_accuracy is not None:
            with_and_without = "mean of the accuracies with and without the attribute; guessing earns 50%"
            if self.one_value:
                with_and_without += f"; left out, one value in these pictures: {', '.join(self.one_value)}"
            rows.append(Row(f"balanced accuracy, {what}", f"{self.balanced_accuracy:.2%}", with_and_without, "up"))
        return [*rows, Row(f"Hamming loss, {what}", f"{self.hamming_loss:.4f}", how, "down")]

    def cells(self) -> Cells:
        """Return the cells of each attribute."""
        balanced = any(score.balanced is not None for score in self.per_attribute.values())
        return {
            name: {
                "accuracy": f"{score.accuracy:.1%}",
                **(
                    {"balanced": "one value" if score.balanced is None else f"{score.balanced:.1%}"} if balanced else {}
                ),
                "majority": f"{score.majority:.1%}",
            }
            for name, score in self.per_attribute.items()
        }
