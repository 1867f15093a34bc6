"""Gain and leakage of edits by each direction of attribute vectors, side by side: mean difference, SVM, whitened.

The directions are in :mod:`mien.applications.directions`, the gain in :mod:`mien.metrics.edits`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mien.abilities import Edits
from mien.evaluation.context import Context
from mien.evaluation.edit_gain import MAIN, Gain, Point, judge_view, judged_edits, mean_curve
from mien.evaluation.editing import editable
from mien.evaluation.measure import Measure, Row, Skipped, percent
from mien.evaluation.record import Record

if TYPE_CHECKING:
    from mien.figures import Section
    from mien.models.base import Model
    from mien.run.opening import OpenRun

REFERENCE = "mean"
NOTHING = "–"


@dataclass(frozen=True, kw_only=True)
class DirectionScores(Record):
    """Edits along one direction.

    Args:
        gain: by the amount 1, over the attributes that the judge can see; success, leakage: over all attributes.
        curve: means by growing amounts.
        leakage_at_reference: leakage where the curve has the gain of the mean difference by the amount 1; None where it
            does not reach that gain.
    """

    gain: Gain
    success: float
    leakage: float
    curve: tuple[Point, ...]
    leakage_at_reference: float | None = None


@dataclass(frozen=True)
class Comparison(Record):
    """Edits of n held-out pictures along each direction, by its name."""

    n: int
    directions: dict[str, DirectionScores]


class EditDirections(Measure[Comparison]):
    """The same edits along each direction."""

    Result = Comparison
    usual = False
    judged = True
    order = 61

    def applies(self, run: OpenRun) -> bool:
        """Return whether the run edits by attribute vectors."""
        return run.edits and not isinstance(run.model, Edits)

    def take(self, context: Context) -> Comparison:
        """Return the scores of each direction on the same pictures, by the same thresholds."""
        from mien.applications.directions import DIRECTIONS
        from mien.metrics.edits import leakage_at

        view = judge_view(context)
        scores: dict[str, DirectionScores] = {}
        for number, direction in enumerate(DIRECTIONS):
            context.note("directions", number, len(DIRECTIONS))
            editor = context.run.editor(direction=direction)
            per = judged_edits(context, view, editor, editable(context.run, editor), choose=False)
            if not per:
                raise Skipped("expected held-out pictures with known attributes, got none: use a data set with them")
            gain = Gain.of(per, per)
            curve = mean_curve(per, gain)
            main = next(point for point in curve if point.amount == MAIN)
            reference = scores[REFERENCE].gain.mean if scores else gain.mean
            gains = [point.gain for point in curve if point.gain is not None]
            leakage = None if reference is None else leakage_at(reference, gains, [point.leakage for point in curve])
            scores[direction] = DirectionScores(
                gain=gain, success=main.success, leakage=main.leakage, curve=curve, leakage_at_reference=leakage
            )
        context.note("directions", len(DIRECTIONS), len(DIRECTIONS))
        return Comparison(len(context.test), scores)

    def rows(self, result: Comparison) -> list[Row]:
        """Return three rows for each direction."""
        rows = []
        for direction, one in result.directions.items():
            gain = one.gain
            how = f"by the amount 1, {len(gain.names)} of {gain.count} attributes; ± standard error over attributes"
            value = NOTHING if gain.mean is None else f"{gain.mean:.1%}"
            spread = "" if gain.sem is None else f"± {gain.sem:.1%}"
            same = percent(one.leakage_at_reference, 2)
            rows += [
                Row(f"edit gain, direction {direction}", value, how, "up", spread),
                Row("its leakage", percent(one.leakage, 2), "by the amount 1, onto other attributes", "down", "", True),
                Row("at equal gain", same, f"leakage where the gain is that of {REFERENCE}", "down", "", True),
            ]
        return rows

    def sections(self, run: OpenRun, result: Comparison | None, judge: Model | None) -> list[Section]:
        """Return gain and leakage of each direction against the amount."""
        from mien import figures
        from mien.figures import Captioned, Section

        if result is None:
            return []
        curves = {name: one.curve for name, one in result.directions.items()}
        amounts = [point.amount for point in next(iter(curves.values()))]
        gains = {name: [p.gain or 0.0 for p in curve] for name, curve in curves.items()}
        leakages = {name: [p.leakage for p in curve] for name, curve in curves.items()}
        figure = figures.amount_curves(amounts, {"gain": gains, "leakage onto other attributes": leakages})
        text = (
            "An attribute vector is the difference of the means of latents with and without the attribute (mean), the "
            "normal of a linear SVM (svm), or the whitened difference of the means (whitened). The amount 1 moves the "
            "mean without the attribute to the projection of the mean with it, along each direction."
        )
        return [Section("Directions of edits", text, Captioned(figure, "Means over attributes by the amount."))]
