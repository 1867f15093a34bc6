"""The page of one run: pictures that show its abilities, and all measures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien import figures
from mien.evaluation import measures, pictures
from mien.evaluation.result import Evaluation
from mien.figures import Captioned, Section
from mien.training import logs

if TYPE_CHECKING:
    from mien.models.base import Model
    from mien.run.opening import OpenRun

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
    subtitle = f"{evaluation.model} on {data.name} at {data.size} px; {data.test:,} held-out pictures"
    title = title or f"{run.folder.name}: {evaluation.model}"
    return figures.page(path, title, sections(run, evaluation, judge), subtitle)


def sections(run: OpenRun, evaluation: Evaluation, judge: Model | None = None) -> list[Section]:
    """Return the sections of a run's page: pictures by ability, sections of measures, training, and all numbers."""
    parts = pictures.general(run)
    for name in measures.names():
        measure = measures.get(name)
        if measure.applies(run):
            parts += measure.sections(run, evaluation.results.get(name), judge)
    parts += pictures.recognition(run, judge)
    history = [record for record in logs.read(run.folder) if "images_per_second" in record]
    if len(history) > 1:
        terms = [key for key in history[-1] if key not in NOT_TERMS]
        parts.append(Section("Training", f"{history[-1]['step']:,} steps.", figures.curves(history, keys=terms[:6])))
    return [*parts, numbers(evaluation)]


def numbers(evaluation: Evaluation) -> Section:
    """Return the section with the rows and cells of all measures."""
    rows = [{"measure": row.heading, "value": row.text, "how": row.how} for row in evaluation.rows()]
    body: list[Any] = [Captioned(figures.metric_table(rows), "All measures.")]
    if cells := evaluation.cells():
        body.append(Captioned(figures.metric_table(cells), "By attribute."))
    reasons = "".join(f"\n\nLeft out, {name}: {why}." for name, why in evaluation.skipped.items())
    judge = f", judge {evaluation.judge.run}" if evaluation.judge else ""
    return Section("Measures", f"On {evaluation.data.test:,} held-out pictures{judge}.{reasons}", body)
