"""Edits as the judge recognizes them, against real pictures; leakage; the distance to the truth of drawn pictures.

An edit is measured against what the judge finds in real pictures, see :mod:`mien.metrics.edits`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from mien.evaluation.context import Context
from mien.evaluation.edit_gain import (
    FEW,
    MAIN,
    Gain,
    Judged,
    Point,
    judge_view,
    judged_edits,
    mean_curve,
    missing_judge,
    papers,
)
from mien.evaluation.editing import editable
from mien.evaluation.measure import Cells, Measure, Row, Skipped, percent
from mien.evaluation.record import Record

if TYPE_CHECKING:
    from mien.applications.arithmetic import Editor
    from mien.figures import Section
    from mien.models.base import Model
    from mien.run.opening import OpenRun

DRAWN = 200  # pictures compared with their true counterfactuals
NOTHING = "–"


@dataclass(frozen=True, kw_only=True)
class Distances(Record):
    """Distances to the truth, see :class:`mien.metrics.edits.CounterfactualScores`."""

    attribute: str
    edited: float
    unedited: float
    bound: float
    elsewhere: float
    n: int


@dataclass(frozen=True)
class AttributeEdits(Record):
    """Edits of one attribute: as the judge recognizes them, and against the truth, where there is either."""

    judged: Judged | None = None
    counterfactual: Distances | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the judge's numbers, and beside them the distances."""
        judged = self.judged.to_json() if self.judged else {}
        return judged | ({"counterfactual": self.counterfactual.to_json()} if self.counterfactual else {})

    @classmethod
    def from_json(cls, values: Any) -> Self:
        """Return what :meth:`to_json` wrote."""
        judged = Judged.from_json(values) if "success" in values else None
        return cls(judged, Distances.from_json(values["counterfactual"]) if "counterfactual" in values else None)


@dataclass(frozen=True, kw_only=True)
class EditScores(Record):
    """Edits of n pictures by ``amount``, and means over attributes; older results have no gain.

    Args:
        thresholds_n: validation pictures on which the judge's thresholds were chosen.
        thresholds_default: attributes for which no threshold could be chosen; theirs is 0.5.
        gain: over all attributes that the judge can see; papers: over the attributes of each paper.
        curve: means by growing amounts.
    """

    n: int
    amount: float
    per_attribute: dict[str, AttributeEdits]
    success: float | None = None
    unedited: float | None = None
    leakage: float | None = None
    ceiling: float | None = None
    thresholds_n: int | None = None
    thresholds_default: tuple[str, ...] | None = None
    gain: Gain | None = None
    papers: dict[str, Gain] | None = None
    curve: tuple[Point, ...] | None = None
    counterfactual_edited: float | None = None
    counterfactual_unedited: float | None = None
    counterfactual_bound: float | None = None
    counterfactual_elsewhere: float | None = None


class EditAccuracy(Measure[EditScores]):
    """Every attribute is added where it is absent and removed where it is present."""

    Result = EditScores
    judged = True
    order = 60

    def applies(self, run: OpenRun) -> bool:
        """Return whether attributes of pictures can be changed."""
        return run.edits

    def take(self, context: Context) -> EditScores:
        """Return the accuracy by the judge and, of drawn pictures, the distance to the true counterfactual.

        The amount that works best for each attribute is stored beside the run's attribute vectors.
        """
        import numpy as np

        from mien.data.dataset import spread

        run = context.run
        drawn = getattr(run.data.source(), "counterfactual", None)
        if context.judge is None and drawn is None:
            raise Skipped(missing_judge())
        editor = run.editor()
        names = editable(run, editor)
        judged: dict[str, Judged] = {}
        means: dict[str, Any] = {}
        if context.judge is not None:
            judged, means = _judged(context, editor, names)
            run.keep_amounts({n: one.amount for n, one in judged.items() if one.amount}, str(context.judge_sha256))
        distances = {} if drawn is None else {name: _distances(context, drawn, editor, name) for name in names}
        for key in ("edited", "unedited", "bound", "elsewhere") if distances else ():
            means[f"counterfactual_{key}"] = float(np.mean([getattr(one, key) for one in distances.values()]))
        per = {name: AttributeEdits(judged.get(name), distances.get(name)) for name in names}
        n = len(context.test) if judged else len(spread(context.test, DRAWN))
        return EditScores(n=n, amount=MAIN, per_attribute=per, **means)

    def rows(self, result: EditScores) -> list[Row]:
        """Return the judge's rows, then the distances to the truth."""
        rows: list[Row] = []
        if result.gain is not None:
            rows += _gain_rows(result.gain, result.papers or {})
        if result.success is not None and result.unedited is not None:
            how = f"{result.n} held-out pictures, {len(result.per_attribute)} attributes, by the judge"
            rows += [
                Row("edit accuracy", f"{result.success:.2%}", how, "up"),
                Row("before the edit", f"{result.unedited:.2%}", how, indented=True),
            ]
            if result.ceiling is not None:
                what = "the ceiling: what the judge finds in real pictures"
                rows.append(Row("of real pictures", f"{result.ceiling:.2%}", what, indented=True))
            # a data set of one attribute has no others; JSON holds NaN as null
            if result.leakage is not None and not math.isnan(result.leakage):
                rows.append(Row("leakage onto other attributes", f"{result.leakage:.2%}", how, "down", indented=True))
            if len(result.per_attribute) < FEW:
                rows += _rows_of_each(result)
        if result.counterfactual_edited is not None:
            how = "mean |difference| to the true counterfactual, on what it changes"
            rows += [
                Row("distance of edits to the truth", f"{result.counterfactual_edited:.3f}", how, "down"),
                Row("of doing nothing", f"{result.counterfactual_unedited:.3f}", how, indented=True),
                Row(
                    "of the truth reconstructed",
                    f"{result.counterfactual_bound:.3f}",
                    "as near as the model can come",
                    indented=True,
                ),
            ]
        return rows

    def cells(self, result: EditScores) -> Cells:
        """Return the judge's numbers and the distances of each attribute."""
        return {name: _cells(one) for name, one in result.per_attribute.items()}

    def sections(self, run: OpenRun, result: EditScores | None, judge: Model | None) -> list[Section]:
        """Return the scores by amount, and edits beside the truth, of pictures whose truth can be drawn."""
        from mien.evaluation.pictures import truths

        return [*(_by_amount(result) if result and result.curve else []), *truths(run)]


def _judged(context: Context, editor: Editor, names: list[str]) -> tuple[dict[str, Judged], dict[str, Any]]:
    """Return the judge's scores of each attribute, and the means over attributes by the field of the result."""
    view = judge_view(context)
    per = judged_edits(context, view, editor, names, progress=lambda d, t: context.note("edits", d, t))
    if not per:
        return {}, {}
    ceilings = [one.ceiling for one in per.values() if one.ceiling is not None]
    gain = Gain.of(per, per)
    everything = context.run.dataset.attributes
    means: dict[str, Any] = {
        key: sum(getattr(one, key) for one in per.values()) / len(per) for key in ("success", "unedited", "leakage")
    }
    return per, means | {
        "ceiling": sum(ceilings) / len(ceilings) if ceilings else None,
        "thresholds_n": len(view.valid.index),
        "thresholds_default": tuple(everything[a] for a in view.thresholds.fallback),
        "gain": gain,
        "papers": papers(per) or None,
        "curve": mean_curve(per, gain),
    }


def _gain_rows(gain: Gain, of_papers: Mapping[str, Gain]) -> list[Row]:
    """Return the headline, what it leaves out, and a row for each paper's attributes."""
    how = f"(accuracy − before) / (ceiling − before), {len(gain.names)} of {gain.count} attributes; ± standard error"
    rows = [_gain_row("edit gain", gain, how, indented=False)]
    if gain.without:
        rows.append(Row("attributes without it", str(gain.count - len(gain.names)), gain.without, indented=True))
    for paper, one in of_papers.items():
        what = "; ".join(filter(None, (", ".join(one.names), one.without)))
        rows.append(_gain_row(f"attributes of {paper}", one, what, indented=True))
    return rows


def _gain_row(label: str, gain: Gain, how: str, indented: bool) -> Row:
    if gain.mean is None:
        return Row(label, NOTHING, how, "up", indented=indented)
    spread = "" if gain.sem is None else f"± {gain.sem:.1%}"
    return Row(label, f"{gain.mean:.1%}", how, "up", spread, indented)


def _rows_of_each(result: EditScores) -> list[Row]:
    """Return two rows for each attribute: how often it is added and removed."""
    rows = []
    for name, one in result.per_attribute.items():
        if one.judged is None:
            continue
        for way in ("added", "removed"):
            share, n = getattr(one.judged, way), getattr(one.judged, f"{way}_n")
            if share is None:
                continue
            before, ceiling = getattr(one.judged, f"unedited_{way}"), getattr(one.judged, f"ceiling_{way}")
            more = f"; before {before:.2%}, in real pictures {ceiling:.2%}" if None not in (before, ceiling) else ""
            rows.append(Row(f"{name} {way}", f"{share:.2%}", f"{n} pictures, by the judge{more}", "up", indented=True))
    return rows


def _cells(one: AttributeEdits) -> dict[str, str]:
    texts: dict[str, str] = {}
    if one.judged and one.judged.threshold is not None:
        judged = one.judged
        shares = {"ceiling": judged.ceiling, "gain": judged.gain, "leakage": judged.leakage}
        texts |= {column: percent(share) for column, share in shares.items()}
        texts["amount"] = NOTHING if judged.amount is None else f"{judged.amount:g}"
    elif one.judged:
        shares = {"edit seen": one.judged.success, "before": one.judged.unedited, "leakage": one.judged.leakage}
        texts |= {column: percent(share) for column, share in shares.items()}
    if one.counterfactual:
        far = one.counterfactual
        distances = {"to truth": far.edited, "undone": far.unedited, "bound": far.bound}
        texts |= {column: f"{distance:.3f}" for column, distance in distances.items()}
    return texts


def _by_amount(result: EditScores) -> list[Section]:
    """Return the part of the page that shows the scores against the amount, and all numbers of each attribute."""
    from mien import figures
    from mien.figures import Captioned, Section

    points = result.curve or ()
    lines = {"success": [p.success for p in points], "leakage": [p.leakage for p in points]}
    if all(p.gain is not None for p in points):
        lines = {"gain": [p.gain or 0.0 for p in points], **lines}
    curve = figures.amount_curves([p.amount for p in points], {"mean over attributes": lines})
    rows = [_numbers(name, one.judged) for name, one in result.per_attribute.items() if one.judged]
    text = (
        "Success is the share of edits that the judge recognizes. Gain relates it to plain reconstructions (0) and to "
        "real pictures (1). Leakage is the share of other attributes that change too. The judge's threshold of each "
        f"attribute was chosen on {result.thresholds_n or 0:,} validation pictures."
    )
    if result.thresholds_default:
        text += f" Without a threshold of their own, at 0.5: {', '.join(result.thresholds_default)}."
    caption = "Each attribute by the amount 1; the last column is the amount that works best on validation pictures."
    return [
        Section(
            "Edits by amount",
            text,
            [
                Captioned(curve, "Means over attributes against the amount of the edit."),
                Captioned(figures.metric_table(rows), caption),
            ],
        )
    ]


def _numbers(name: str, one: Judged) -> dict[str, str]:
    """Return the texts of one attribute for the page."""
    texts = {"attribute": name, "threshold": NOTHING if one.threshold is None else f"{one.threshold:.3f}"}
    for way in ("added", "removed"):
        shares = [getattr(one, key) for key in (way, f"unedited_{way}", f"ceiling_{way}")]
        texts[f"{way} / before / real"] = " / ".join(NOTHING if s is None else f"{s:.0%}" for s in shares)
    texts["gain"] = NOTHING if one.gain is None else f"{one.gain:.0%}"
    return texts | {"leakage": f"{one.leakage:.1%}", "amount": NOTHING if one.amount is None else f"{one.amount:g}"}


def _distances(context: Context, drawn: Any, editor: Editor, attribute: str) -> Distances:
    """Return how far edits of one attribute are from the pictures drawn with the attribute changed."""
    import numpy as np
    import torch

    from mien.data.dataset import spread
    from mien.data.pictures import to_float
    from mien.metrics.edits import counterfactual_distance

    run, test = context.run, spread(context.test, DRAWN)
    batch = run.dataset.batch(test, context.device)
    a = run.dataset.attributes.index(attribute)
    truth = torch.from_numpy(
        np.stack([to_float(drawn(int(run.dataset.keys[i]), attribute, size=run.data.size)) for i in test])
    ).to(batch.x.device)
    edited = torch.empty_like(batch.x)
    for sign in (1, -1):
        rows = batch.attributes[:, a] == -sign  # type: ignore[index]
        if rows.any():
            edited[rows] = editor(batch.x[rows], {attribute: float(sign)})
    scores = counterfactual_distance(batch.x, edited, context.plain(batch.x), truth, context.plain(truth), attribute)
    return Distances.from_json(asdict(scores))
