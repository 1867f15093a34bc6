"""The page of one run: pictures that show its abilities, and all measures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from mien import applications, figures
from mien.abilities import Decodes, Encodes, Generates, can
from mien.applications.residuals import as_picture
from mien.data.dataset import spread
from mien.data.pictures import shown
from mien.evaluation import measures, pictures
from mien.evaluation.confusion import class_sections
from mien.evaluation.editing import editable, telling
from mien.evaluation.result import Evaluation
from mien.evaluation.text import UNCHANGED, marked
from mien.evaluation.warnings import below_baseline, edits_without_effect
from mien.evaluation.wording import sections_of_signals
from mien.figures import Captioned, Section
from mien.training import logs

if TYPE_CHECKING:
    from torch import Tensor

    from mien.models.base import Model
    from mien.run.opening import OpenRun

SAMPLES = 40  # pictures that the notices are about
FLAT = 0.1  # share of the contrast and of the variety of real pictures below which a notice is written
RESIDUALS = 3  # attributes
FACES = 8  # pictures in a row of residuals

NOT_TERMS = {
    "step",
    "gradient_norm",
    "lr_factor",
    "images_per_second",
    "data_share",
}  # keys of a record of the log that are not losses


def write_page(run: OpenRun, evaluation: Evaluation, path: Path, judge: Model | None = None, title: str = "") -> Path:
    """Write the page of an evaluated run and return its path.

    Args:
        evaluation: the evaluation of the run.
        path: the file to write.
        judge: the judge's model; the page shows its predictions if the run's model does not recognize.
    """
    data = evaluation.data
    subtitle = f"{evaluation.model} on {data.name} at {data.size_text}; {data.count_text}"
    title = title or f"{run.folder.name}: {evaluation.model}"
    notice = data.words(" ".join(notices(run, evaluation)))
    return figures.page(path, title, sections(run, evaluation, judge), subtitle, notice)


def notices(run: OpenRun, evaluation: Evaluation) -> list[str]:
    """Return the sentences at the top of the page: flat samples, poor reconstructions, weak classifiers."""
    model = run.model
    real = run.dataset.batch(spread(run.splits.test, SAMPLES)).x
    sentences: list[str] = []
    if isinstance(model, Generates):
        sentences += flaws(applications.generate(model, SAMPLES, seed=1), real, "samples")
    if can(model, Encodes, Decodes):
        x_rec = applications.reconstruct(model, real)
        if not isinstance(model, Generates):
            sentences += flaws(x_rec, real, "reconstructions")
        if real.shape[2] > 1:  # a decoder of spectra writes waveforms with other phases, so their error says nothing
            sentences += below_mean(x_rec, real)
    sentences += below_baseline(evaluation)
    if names := edits_without_effect(evaluation):
        sentences.append(f"By the judge, edits of this run do not change: {', '.join(names)}.")
    return sentences


def flaws(x: Tensor, real: Tensor, what: str) -> list[str]:
    """Return a sentence if pictures have almost no contrast, or if all of them are almost the same picture.

    Args:
        x: pictures of the model (n, C, H, W), two or more; real: held-out pictures (m, C, H, W).
        what: the name of the pictures in the sentence.

    >>> flaws(torch.zeros(4, 1, 8, 8), torch.rand(4, 1, 8, 8), "samples")
    ['The samples are constant: they have almost no contrast.']
    """
    x, real = x.detach().float().cpu(), real.detach().float().cpu()
    if not bool(torch.isfinite(x).all()):
        return [f"The {what} contain values that are not numbers."]
    if _contrast(x) < FLAT * _contrast(real):
        return [f"The {what} are constant: they have almost no contrast."]
    if _variety(x) < FLAT * _variety(real):
        return [f"The {what} are all almost the same picture."]
    return []


def below_mean(x_rec: Tensor, real: Tensor) -> list[str]:
    """Return a sentence if one picture, the mean of the real ones, has a smaller error than their reconstructions.

    Args:
        x_rec, real: reconstructions and the pictures themselves, (n, C, H, W), two or more.

    >>> below_mean(torch.ones(4, 1, 8, 8), torch.linspace(-1, 0, 256).view(4, 1, 8, 8))
    ['The reconstructions have an error of 2.3, and the mean picture alone has 0.079: their error should be lower.']
    """
    x_rec, real = x_rec.detach().float().cpu(), real.detach().float().cpu()
    error, baseline = (float((x - real).square().mean()) for x in (x_rec, real.mean(0, keepdim=True)))
    if not error >= baseline:
        return []
    numbers = f"an error of {error:.2g}, and the mean picture alone has {baseline:.2g}"
    return [f"The reconstructions have {numbers}: their error should be lower."]


def _contrast(x: Tensor) -> float:
    """Return the mean over pictures of the standard deviation over pixels."""
    return float(x.flatten(2).std(2, unbiased=False).mean())


def _variety(x: Tensor) -> float:
    """Return the mean over pixels of the standard deviation over pictures."""
    return float(x.std(0, unbiased=False).mean())


def sections(run: OpenRun, evaluation: Evaluation, judge: Model | None = None) -> list[Section]:
    """Return the sections of a run's page: pictures by ability, sections of measures, training, and all numbers."""
    parts = pictures.general(run)
    for name in measures.names():
        measure = measures.get(name)
        if measure.applies(run):
            parts += measure.sections(run, evaluation.results.get(name), judge)
    parts += residual_sheets(run)
    parts += pictures.recognition(run, judge)
    parts += class_sections(run, evaluation.data.test)
    history = [record for record in logs.read(run.folder) if "images_per_second" in record]
    if len(history) > 1:
        terms = [key for key in history[-1] if key not in NOT_TERMS]
        parts.append(Section("Training", f"{history[-1]['step']:,} steps.", figures.curves(history, keys=terms[:6])))
    parts.append(numbers(evaluation))
    return sections_of_signals(parts) if evaluation.data.are_signals else parts


def residual_sheets(run: OpenRun) -> list[Section]:
    """Return held-out pictures, their edits and the differences for a few attributes; empty without edits."""
    if not run.edits:
        return []
    editor = run.editor()
    body: list[Any] = []
    for name in telling(editable(run, editor), RESIDUALS):
        column = run.dataset.attribute_table[run.splits.test][:, run.dataset.attributes.index(name)]
        without = run.splits.test[column == -1]
        if not len(without):
            continue
        x = run.dataset.batch(spread(without, FACES)).x
        y = editor(x, {name: 1.0}).cpu()
        rows = [shown(y), shown(as_picture(y - x.cpu()))]
        figure = figures.reconstructions(shown(x), rows, names=["real", "edited", "difference"])
        body.append(Captioned(figure, f"{name} is added. Gray is no difference; the difference is edited − real."))
    text = "Held-out pictures without the attribute, their edits by the amount 1, and what the edits change."
    return [Section("Residuals", text, body)] if body else []


def numbers(evaluation: Evaluation) -> Section:
    """Return the section with the rows and cells of all measures."""
    rows = [{"measure": row.heading, "value": row.text, "how": row.how} for row in evaluation.rows()]
    body: list[Any] = [Captioned(figures.metric_table(rows), "All measures.")]
    if cells := marked(evaluation):
        caption = f"By attribute. {UNCHANGED}" if edits_without_effect(evaluation) else "By attribute."
        body.append(Captioned(figures.metric_table(cells), caption))
    reasons = "".join(f"\n\nLeft out, {name}: {why}." for name, why in evaluation.skipped.items())
    judge = f", judge {evaluation.judge.run}" if evaluation.judge else ""
    return Section("Measures", f"On {evaluation.data.test:,} held-out pictures{judge}.{reasons}", body)
