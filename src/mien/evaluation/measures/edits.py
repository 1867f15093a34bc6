"""Edits as the judge recognizes them, leakage, and the distance to the true counterfactual of drawn pictures."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from mien import models
from mien.evaluation.context import Context
from mien.evaluation.editing import editable
from mien.evaluation.measure import Cells, Measure, Row, Skipped
from mien.evaluation.record import Record

if TYPE_CHECKING:
    from torch import Tensor

    from mien.applications.arithmetic import Editor
    from mien.figures import Section
    from mien.models.base import Model
    from mien.run.opening import OpenRun

MOST = 400  # pictures edited by models of many attributes
DRAWN = 200  # pictures compared with their true counterfactuals
FEW = 4  # attributes below which each has rows of its own, and all pictures are edited


@dataclass(frozen=True, kw_only=True)
class Judged(Record):
    """What the judge recognizes in edits of one attribute, see :class:`mien.metrics.edits.EditScores`."""

    success: float
    unedited: float
    leakage: float
    n: int
    added: float | None
    added_n: int
    removed: float | None
    removed_n: int


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
    """Edits of n pictures by ``amount``, and means over attributes."""

    n: int
    amount: float
    per_attribute: dict[str, AttributeEdits]
    success: float | None = None
    unedited: float | None = None
    leakage: float | None = None
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
        """Return the accuracy by the judge and, of drawn pictures, the distance to the true counterfactual."""
        import numpy as np
        import torch

        from mien.applications.basics import map_batches
        from mien.data.dataset import spread
        from mien.metrics.edits import edit_accuracy

        run, judge, test = context.run, context.judge, context.test
        drawn = getattr(run.data.source(), "counterfactual", None)
        if judge is None and drawn is None:
            able = " or ".join(models.models_with(["Recognizes", "Describes"]))
            raise Skipped(f"expected a judge, got none: pass --judge RUN, a run of {able} on the same data")
        editor = run.editor()
        names = editable(run, editor)
        # few attributes: all pictures, since the rarer value may be in few of them
        batch = run.dataset.batch(spread(test, len(test) if len(names) < FEW else MOST), context.device)
        assert batch.attributes is not None
        everything = tuple(run.dataset.attributes)

        def change(x: Tensor, attribute: str, amount: float) -> Tensor:
            return editor(x, {attribute: amount})

        def ask(x: Tensor) -> Tensor:
            return map_batches(judge.recognize, x)

        before = ask(context.plain(batch.x)) if judge is not None else torch.empty(0)
        per: dict[str, AttributeEdits] = {}
        for number, attribute in enumerate(names):
            judged = None
            if judge is not None:
                scores = edit_accuracy(change, ask, batch.x, batch.attributes, before, attribute, everything)
                judged = Judged.from_json(asdict(scores))
            distances = None if drawn is None else _distances(context, drawn, editor, attribute)
            per[attribute] = AttributeEdits(judged, distances)
            context.note("edits", number + 1, len(names))
        means: dict[str, float] = {}
        if judge is not None:
            for key in ("success", "unedited", "leakage"):
                means[key] = float(np.mean([getattr(one.judged, key) for one in per.values()]))
        if drawn is not None:
            for key in ("edited", "unedited", "bound", "elsewhere"):
                means[f"counterfactual_{key}"] = float(
                    np.mean([getattr(one.counterfactual, key) for one in per.values()])
                )
        return EditScores(n=len(batch), amount=1.0, per_attribute=per, **means)

    def rows(self, result: EditScores) -> list[Row]:
        """Return the judge's rows, then the distances to the truth."""
        rows: list[Row] = []
        if result.success is not None:
            how = f"{result.n} held-out pictures, {len(result.per_attribute)} attributes, by the judge"
            rows += [
                Row("edit accuracy", f"{result.success:.2%}", how, "up"),
                Row("before the edit", f"{result.unedited:.2%}", how, indented=True),
                Row("leakage onto other attributes", f"{result.leakage:.2%}", how, "down", indented=True),
            ]
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
        """Return edits beside the truth, of pictures whose truth can be drawn."""
        from mien.evaluation.pictures import truths

        return truths(run)


def _rows_of_each(result: EditScores) -> list[Row]:
    """Return two rows for each attribute: how often it is added and removed."""
    rows = []
    for name, one in result.per_attribute.items():
        if one.judged is None:
            continue
        judged = one.judged
        for key, share, n in (("added", judged.added, judged.added_n), ("removed", judged.removed, judged.removed_n)):
            if share is not None:
                rows.append(Row(f"{name} {key}", f"{share:.2%}", f"{n} pictures, by the judge", "up", indented=True))
    return rows


def _cells(one: AttributeEdits) -> dict[str, str]:
    texts: dict[str, str] = {}
    if one.judged:
        shares = {"edit seen": one.judged.success, "before": one.judged.unedited, "leakage": one.judged.leakage}
        texts |= {column: f"{share:.1%}" for column, share in shares.items()}
    if one.counterfactual:
        far = one.counterfactual
        distances = {"to truth": far.edited, "undone": far.unedited, "bound": far.bound}
        texts |= {column: f"{distance:.3f}" for column, distance in distances.items()}
    return texts


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
