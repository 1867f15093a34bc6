"""Edits: by the judge's eyes and, where it can be drawn, by the distance to the true counterfactual."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mien.abilities import Decodes, Edits, Encodes
from mien.applications.arithmetic import FEWEST, AttributeVectors, edit
from mien.applications.basics import map_batches
from mien.data.dataset import spread
from mien.evaluation.context import Context, Skipped
from mien.run.opening import OpenRun

MOST = 400  # pictures edited by models of many attributes
DRAWN = 200  # pictures compared with their true counterfactuals
# attributes whose edits tell most; others follow where a run does not have them
TELLING = ("Eyeglasses", "Smiling", "Wearing_Hat", "Black_Hair", "Blond_Hair", "Beard", "Male", "Bangs", "Bald")


def editable(run: OpenRun, vectors: AttributeVectors | None) -> list[str]:
    """Return the attributes that the run can edit and the held-out pictures can show."""
    if vectors is None:
        return [a for a in run.dataset.attributes if a in getattr(run.model, "editable", run.dataset.attributes)]
    enough = zip(vectors.names, vectors.positives, vectors.negatives, strict=True)
    return [name for name, positives, negatives in enough if min(positives, negatives) >= FEWEST]


def edits_apply(run: OpenRun) -> bool:
    """Whether attributes can be edited: by the model itself, or by attribute vectors."""
    if not run.dataset.attributes:
        return False
    if isinstance(run.model, Edits):
        return bool(run.model.editable)
    return isinstance(run.model, Encodes) and isinstance(run.model, Decodes)


def edits(context: Context) -> dict[str, Any] | None:
    """Return edit accuracy by the judge and, of drawn pictures, the distance to the true counterfactual."""
    from mien.metrics.edits import counterfactual_distance, edit_accuracy

    run, model, judge, test = context.run, context.model, context.judge, context.test
    if not edits_apply(run):
        return None
    drawn = getattr(run.data.source(), "counterfactual", None)
    if judge is None and drawn is None:
        raise Skipped("no judge was given: pass --judge RUN, an attribute_cnn run on the same data")
    vectors = None if isinstance(model, Edits) else run.vectors()
    names = editable(run, vectors)
    # a model of few attributes: all pictures there are, for the rarer value's sake
    batch = run.dataset.batch(spread(test, len(test) if len(names) < 4 else MOST), context.device)
    assert batch.attributes is not None
    everything = tuple(run.dataset.attributes)

    def change(x: Tensor, attribute: str, amount: float) -> Tensor:
        return edit(model, x, {attribute: amount}, vectors)

    def ask(x: Tensor) -> Tensor:
        return map_batches(judge.recognize, x)

    seen = ask(context.plain(batch.x)) if judge is not None else torch.empty(0)
    rows: dict[str, dict[str, Any]] = {}
    for number, attribute in enumerate(names):
        row: dict[str, Any] = {}
        if judge is not None:
            row |= asdict(edit_accuracy(change, ask, batch.x, batch.attributes, seen, attribute, everything))
        if drawn is not None:
            row["counterfactual"] = asdict(_counterfactual(context, drawn, change, attribute, counterfactual_distance))
        rows[attribute] = {k: v for k, v in row.items() if k != "attribute"}
        context.note("edits", number + 1, len(names))
    result: dict[str, Any] = {"n": len(batch), "amount": 1.0, "per_attribute": rows}
    if judge is not None:
        for key in ("success", "unedited", "leakage"):
            result[key] = float(np.mean([r[key] for r in rows.values()]))
    if drawn is not None:
        for key in ("edited", "unedited", "bound", "elsewhere"):
            result[f"counterfactual_{key}"] = float(np.mean([r["counterfactual"][key] for r in rows.values()]))
    return result


def _counterfactual(context: Context, drawn: Any, change: Any, attribute: str, measure: Any) -> Any:
    """Measure the edits of one attribute against what would truly have been drawn."""
    from mien.data.pictures import to_float

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
            edited[rows] = change(batch.x[rows], attribute, float(sign))
    return measure(batch.x, edited, context.plain(batch.x), truth, context.plain(truth), attribute)
