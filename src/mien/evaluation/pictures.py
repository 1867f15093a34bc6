"""The pictures of a run's page, by the abilities of its model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mien import applications, figures
from mien.abilities import Decodes, Encodes, Generates, Recognizes, can
from mien.data.dataset import spread
from mien.data.pictures import shown, to_float
from mien.evaluation.editing import editable, edits_by_itself, telling
from mien.figures import Section

if TYPE_CHECKING:
    from mien.applications.arithmetic import Editor
    from mien.models.base import Model
    from mien.run.opening import OpenRun

EDITS = 6  # attributes
ALPHAS = [i / 10 for i in range(11)]


def general(run: OpenRun) -> list[Section]:
    """Return reconstructions, samples, interpolations and edits in steps, as the model's abilities allow."""
    model = run.model
    x = run.dataset.batch(spread(run.splits.test, 20)).x
    parts: list[Section] = []
    autoencodes = can(model, Encodes, Decodes)
    if autoencodes:
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
    if autoencodes:
        pairs = min(4, len(x) // 2)
        first, last = x[0 : 2 * pairs : 2], x[1 : 2 * pairs : 2]
        rows = applications.interpolate(model, first, last, 11)
        figure = figures.interpolation(shown(rows), ends=(shown(first), shown(last)))
        parts.append(
            Section("Interpolation", "Eleven steps between the codes of two held-out pictures, linearly.", figure)
        )
    return parts + edits(run)


def edits(run: OpenRun) -> list[Section]:
    """Return edits of held-out pictures in steps; empty if no attribute can be changed."""
    editor, names = _editor(run)
    if editor is None or not names:
        return []
    chosen = telling(names, EDITS)
    real, rows = [], []
    for number, attribute in enumerate(chosen):
        x = _picture(run, attribute, number)
        real.append(shown(x)[0])
        rows.append(shown(torch.cat([editor(x, {attribute: alpha}) for alpha in ALPHAS])))
    how = (
        "added by the model itself"
        if edits_by_itself(run)
        else "added by its attribute vector, the mean difference of latents of training pictures with and without it, "
        "with growing weight α"
    )
    return [
        Section(
            "Attribute edits",
            f"Held-out pictures without the attribute, which is then {how}.",
            figures.attribute_edits(np.stack(real), np.stack(rows), attributes=chosen, alphas=ALPHAS),
        )
    ]


def truths(run: OpenRun) -> list[Section]:
    """Return edits beside drawings with the attribute; empty if the data set does not draw its pictures."""
    counterfactual = getattr(run.data.source(), "counterfactual", None)
    editor, names = _editor(run)
    if counterfactual is None or editor is None or not names:
        return []
    real, edited, true = [], [], []
    for number, attribute in enumerate(names):
        x = _picture(run, attribute, number + EDITS)
        key = run.dataset.keys[_position(run, attribute, number + EDITS)]
        real.append(x[0].cpu().numpy())
        edited.append(editor(x, {attribute: 1.0})[0].cpu().numpy())
        true.append(to_float(counterfactual(int(key), attribute, 1, run.data.size)))
    labels = [f"+{name}" for name in names]
    figure = figures.counterfactuals(
        np.stack(real), np.stack(edited), np.stack(true), edits=labels, columns=min(len(labels), 11)
    )
    text = "These pictures are drawn, so the true result of every edit can be drawn too."
    return [Section("Edits against the truth", text, figure)]


def recognition(run: OpenRun, judge: Model | None) -> list[Section]:
    """Return predictions of the model, or else of the judge, for held-out pictures; empty if neither recognizes."""
    own = isinstance(run.model, Recognizes)
    by: Any = run.model if own else judge
    if by is None:
        return []
    batch = run.dataset.batch(spread(run.splits.test, 4))
    probabilities = applications.recognize(by, batch.x).cpu().numpy()
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
            figures.probabilities(shown(batch.x), probabilities, names, truth=truth),
        )
    ]


def _editor(run: OpenRun) -> tuple[Editor | None, list[str]]:
    """Return the editor of a run or None, and the attributes that at least one held-out picture does not have."""
    if not run.edits:
        return None, []
    editor = run.editor()
    return editor, [name for name in editable(run, editor) if _without(run, name) is not None]


def _without(run: OpenRun, attribute: str, number: int = 0) -> int | None:
    """Return the position of a held-out picture without ``attribute``, if possible without a hat, which hides hair."""
    names = list(run.dataset.attributes)
    table = np.asarray(run.dataset.attribute_table[run.splits.test])
    free = table[:, names.index(attribute)] == -1
    if "Wearing_Hat" in names and (free & (table[:, names.index("Wearing_Hat")] == -1)).any():
        free &= table[:, names.index("Wearing_Hat")] == -1
    rows = np.flatnonzero(free)
    return int(run.splits.test[rows[number % len(rows)]]) if len(rows) else None


def _position(run: OpenRun, attribute: str, number: int) -> int:
    position = _without(run, attribute, number)
    assert position is not None, "_editor() removes attributes that every picture has"
    return position


def _picture(run: OpenRun, attribute: str, number: int) -> torch.Tensor:
    return run.dataset.batch(np.array([_position(run, attribute, number)])).x
