"""The page of one run: what its abilities make of held-out pictures, and every measure beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mien import applications, figures
from mien.abilities import Decodes, Edits, Encodes, Generates, Recognizes
from mien.data.dataset import spread
from mien.data.pictures import shown, to_float
from mien.evaluation.edits import TELLING, editable, edits_apply
from mien.evaluation_text import attribute_rows, headline, skipped
from mien.figures import Captioned, Section
from mien.run.opening import OpenRun
from mien.training import logs

ROWS = 6
ALPHAS = [i / 10 for i in range(11)]
NOT_TERMS = {"step", "gradient_norm", "lr_factor", "images_per_second", "data_share"}  # of a record of the log


def write_page(run: OpenRun, result: dict[str, Any], path: Path, judge: Any = None, title: str = "") -> Path:
    """Write the page of an evaluated run and return its path.

    Args:
        result: what :func:`mien.evaluation.evaluate` returned.
        path: the file.
        judge: the judge's model; what it says of pictures is shown where the run itself does not recognize.
    """
    data = result["data"]
    subtitle = f"{result['model']} on {data['name']} at {data['size']} px; {data['test']:,} held-out pictures"
    return figures.page(path, title or f"{run.folder.name}: {result['model']}", sections(run, result, judge), subtitle)


def sections(run: OpenRun, result: dict[str, Any], judge: Any = None) -> list[Section]:
    """Return the parts of a run's page, one for each thing it can do."""
    model = run.model
    x = run.dataset.batch(spread(run.splits.test, 20)).x
    parts: list[Section] = []
    if isinstance(model, Encodes) and isinstance(model, Decodes):
        x_rec = applications.reconstruct(model, x)
        parts.append(
            Section(
                "Real and reconstructed",
                "Held-out pictures, which the model never saw, encoded and decoded again.",
                figures.reconstructions(shown(x), shown(x_rec)),
            )
        )
    if isinstance(model, Generates):
        new = applications.generate(model, 40, seed=1)
        parts.append(Section("Samples", "New pictures, none of them chosen.", figures.samples(shown(new))))
    if isinstance(model, Encodes) and isinstance(model, Decodes):
        left, right = x[0:8:2], x[1:9:2]
        rows = applications.interpolate(model, left, right, 11)
        figure = figures.interpolation(shown(rows), ends=(shown(left), shown(right)))
        parts.append(
            Section("Interpolation", "Eleven steps between the codes of two held-out pictures, linearly.", figure)
        )
    parts += _edits(run)
    parts += _recognition(run, judge)
    history = [record for record in logs.read(run.folder) if "images_per_second" in record]
    if len(history) > 1:
        terms = [key for key in history[-1] if key not in NOT_TERMS]
        parts.append(Section("Training", f"{history[-1]['step']:,} steps.", figures.curves(history, keys=terms[:6])))
    return [*parts, _measures(result)]


def _measures(result: dict[str, Any]) -> Section:
    lead = [dict(zip(("measure", "value", "how"), row, strict=True)) for row in headline(result)]
    body: list[Any] = [Captioned(figures.metric_table(lead), "All measures.")]
    if rows := attribute_rows(result):
        body.append(Captioned(figures.metric_table(rows), "By attribute."))
    left_out = "".join(f"\n\nLeft out, {name}: {why}." for name, why in skipped(result))
    judge = f", judge {result['judge']['run']}" if "judge" in result else ""
    return Section("Measures", f"On {result['data']['test']:,} held-out pictures{judge}.{left_out}", body)


def _edits(run: OpenRun) -> list[Section]:
    """Return the edits of held-out pictures in steps, and beside the truth where it can be drawn."""
    model = run.model
    if not edits_apply(run):
        return []
    by_itself = isinstance(model, Edits)
    vectors = None if by_itself else run.vectors()
    names = [name for name in editable(run, vectors) if _without(run, name) is not None]
    if not names:
        return []
    known = [name for name in TELLING if name in names]
    chosen = (known + [name for name in names if name not in known])[:ROWS]
    real, rows = [], []
    for number, attribute in enumerate(chosen):
        x = _picture(run, attribute, number)
        real.append(shown(x)[0])
        rows.append(shown(torch.cat([applications.edit(model, x, {attribute: a}, vectors) for a in ALPHAS])))
    how = (
        "added by the model itself"
        if by_itself
        else "added by its attribute vector, the mean difference of latents of training pictures with and without it, "
        "with growing weight α"
    )
    parts = [
        Section(
            "Attribute edits",
            f"Held-out pictures without the attribute, which is then {how}.",
            figures.attribute_edits(np.stack(real), np.stack(rows), attributes=chosen, alphas=ALPHAS),
        )
    ]
    drawn = getattr(run.data.source(), "counterfactual", None)
    if drawn is not None:
        parts.append(
            Section(
                "Edits against the truth",
                "These pictures are drawn, so the true result of every edit can be drawn too.",
                _counterfactuals(run, drawn, names, vectors),
            )
        )
    return parts


def _counterfactuals(run: OpenRun, drawn: Any, names: Sequence[str], vectors: Any) -> Any:
    real, edited, true = [], [], []
    for number, attribute in enumerate(names):
        x = _picture(run, attribute, number + ROWS)
        key = run.dataset.keys[_position(run, attribute, number + ROWS)]
        real.append(x[0].cpu().numpy())
        edited.append(applications.edit(run.model, x, {attribute: 1.0}, vectors)[0].cpu().numpy())
        true.append(to_float(drawn(int(key), attribute, 1, run.data.size)))
    edits = [f"+{name}" for name in names]
    return figures.counterfactuals(
        np.stack(real), np.stack(edited), np.stack(true), edits=edits, columns=min(len(edits), 11)
    )


def _recognition(run: OpenRun, judge: Any) -> list[Section]:
    own = isinstance(run.model, Recognizes)
    by: Any = run.model if own else judge
    if by is None:
        return []
    batch = run.dataset.batch(spread(run.splits.test, 4))
    said = applications.recognize(by, batch.x).cpu().numpy()
    names = list(by.attributes or by.classes)
    truth = None
    if by.attributes and batch.attributes is not None:
        truth = batch.attributes.cpu().numpy()[:, [run.dataset.attributes.index(name) for name in names]]
    elif by.classes and batch.label is not None and bool((batch.label >= 0).all()):
        truth = np.where(np.arange(len(names)) == batch.label.cpu().numpy()[:, None], 1, -1)
    who = "the model" if own else "the judge, trained on other pictures,"
    return [
        Section(
            "Recognition",
            f"What {who} says of held-out pictures.",
            figures.probabilities(shown(batch.x), said, names, truth=truth),
        )
    ]


def _without(run: OpenRun, attribute: str, number: int = 0) -> int | None:
    """Return the position of a held-out picture without ``attribute``, and without a hat, which hides hair."""
    names = list(run.dataset.attributes)
    table = np.asarray(run.dataset.attribute_table[run.splits.test])
    free = table[:, names.index(attribute)] == -1
    if "Wearing_Hat" in names and (free & (table[:, names.index("Wearing_Hat")] == -1)).any():
        free &= table[:, names.index("Wearing_Hat")] == -1
    rows = np.flatnonzero(free)
    return int(run.splits.test[rows[number % len(rows)]]) if len(rows) else None


def _position(run: OpenRun, attribute: str, number: int) -> int:
    position = _without(run, attribute, number)
    assert position is not None, "attributes that every picture has are left out before"
    return position


def _picture(run: OpenRun, attribute: str, number: int) -> torch.Tensor:
    return run.dataset.batch(np.array([_position(run, attribute, number)])).x
