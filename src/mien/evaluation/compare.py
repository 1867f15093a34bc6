"""Comparison of several runs by one protocol, with the same held-out pictures and the same judge."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mien import __version__, applications, figures
from mien.abilities import Decodes, Encodes, Generates, can
from mien.data.dataset import spread
from mien.data.pictures import shown
from mien.errors import MienError
from mien.evaluation import measures
from mien.evaluation.context import Note
from mien.evaluation.editing import TELLING, editable
from mien.evaluation.evaluator import choose, measure, open_judge
from mien.evaluation.result import Evaluation
from mien.evaluation.store import empty, stored
from mien.evaluation.text import side_by_side
from mien.figures import Captioned, Section
from mien.files import write_json

if TYPE_CHECKING:
    from torch import Tensor

    from mien.run.opening import OpenRun

SHOWN = 10  # pictures in a row
EDITS = 3  # attributes


def check_alike(opened: Sequence[OpenRun]) -> None:
    """Refuse runs whose held-out pictures differ.

    Raises:
        MienError: two runs have different data, sizes or splits; the message names them.
    """
    first = opened[0]
    for other in opened[1:]:
        for what, a, b in (
            ("data", (first.data.name, dict(first.data.options)), (other.data.name, dict(other.data.options))),
            ("size", first.data.size, other.data.size),
            ("split seed", first.data.split_seed, other.data.split_seed),
            (
                "held-out pictures",
                *(f"{len(r.splits.test):,} ({r.dataset.digest(r.splits.test)[:8]})" for r in (first, other)),
            ),
        ):
            if a != b:
                raise MienError(
                    f"expected runs on the same data and split, got {first.folder} and {other.folder}, whose {what} "
                    f"differ: {a} and {b}; train them on the same --data, --size and split"
                )


def compare(
    opened: Sequence[OpenRun],
    out: Path,
    judge: str | Path | None = None,
    count: int = 2000,
    seed: int = 0,
    note: Note | None = None,
    metrics: Iterable[str] = (),
) -> tuple[list[Evaluation], Path]:
    """Measure runs by one protocol, and write ``compare.json`` and a page with their pictures and numbers.

    A result that the run's own evaluation holds by the same protocol is not measured again.

    Args:
        opened: two runs or more; out: the folder to write.
        judge, count, seed, note, metrics: the arguments of :func:`mien.evaluation.evaluate`.

    Returns:
        The evaluations in the order of the runs, and the page.

    Raises:
        MienError: fewer than two runs, or runs on different data or splits.
    """
    if len(opened) < 2:
        raise MienError(f"expected two runs or more to compare, got {len(opened)}")
    names = [run.folder.name for run in opened]
    if len(set(names)) < len(names):
        raise MienError(f"expected runs of different names, got {', '.join(names)}: rename a folder")
    check_alike(opened)
    metrics = tuple(metrics)
    selection = choose(metrics)
    digest = open_judge(opened[0], judge)[1].weights_sha256 if judge is not None else None
    if not any(measures.get(name).judged for name in selection):
        digest = None
    results = []
    for run in opened:
        missing = _missing(run, digest, count, seed, selection)
        results.append(measure(run, judge, count, seed, note, selection, missing))
    if len({result.data.held_out for result in results}) > 1:
        raise MienError(f"expected runs on the same pictures, got {' and '.join(names)}, whose held-out ones differ")
    evaluations = comparable(results, selection if metrics else measures.names())
    if not any(evaluation.results for evaluation in evaluations):
        reasons = [result.skipped[name] for result in results for name in selection if name in result.skipped]
        other = "they do not apply to these runs, or were judged by different judges (--judge RUN)"
        why = next(iter(reasons), other)
        raise MienError(
            f"expected something to compare of {' and '.join(names)}, got no {' or '.join(selection)}: {why}"
        )
    write_json(out / "compare.json", {"mien": __version__, "runs": [each.to_json() for each in evaluations]})
    data = evaluations[0].data
    subtitle = f"{data.name} at {data.size_text}; the same {data.count_text} for all"
    page = figures.page(out / "index.html", " · ".join(names), _sections(opened, evaluations), subtitle)
    return evaluations, page


def _missing(run: OpenRun, judge: str | None, count: int, seed: int, selection: tuple[str, ...]) -> tuple[str, ...]:
    """Return the measures without a result by this protocol and judge in the run's own evaluation."""
    present = stored(run.results, empty(run, count, seed), judge)

    def is_stored(name: str) -> bool:
        by_this_judge = judge is None or not measures.get(name).judged or present.judges.get(name) == judge
        return name in present.measures and name not in present.skipped and by_this_judge

    return tuple(name for name in selection if not is_stored(name))


def comparable(results: Sequence[Evaluation], selection: Sequence[str]) -> list[Evaluation]:
    """Return evaluations with the measures ``selection`` only; judged measures are removed if the judges differ."""
    judges = {judge for result in results for judge in result.judges.values()}
    if len(judges) < 2:
        return [result.only(selection) for result in results]
    return [
        replace(result.only(name for name in selection if name not in result.judges), judge=None) for result in results
    ]


def _sections(opened: Sequence[OpenRun], evaluations: Sequence[Evaluation]) -> list[Section]:
    """Return the sections of the page: the numbers, then the pictures of every run."""
    judge = evaluations[0].judge
    judge_text = (
        f"Judge: {judge.run}. "
        if judge
        else "Without a judge, or with different ones: measures that depend on the judge are left out. "
    )
    parts = [
        Section(
            "Measures",
            f"{judge_text}± is the deviation over pictures, or the standard error where it says so; one training each.",
            Captioned(figures.metric_table(side_by_side(evaluations)), "The same protocol for all runs."),
        )
    ]
    x = opened[0].dataset.batch(spread(opened[0].splits.test, SHOWN)).x
    rebuilt = [run for run in opened if can(run.model, Encodes, Decodes)]
    if rebuilt:
        rows = [shown(applications.reconstruct(run.model, x)) for run in rebuilt]
        figure = figures.reconstructions(shown(x), rows, names=["real", *(run.folder.name for run in rebuilt)])
        parts.append(Section("Reconstructions", "The same held-out pictures, encoded and decoded by each.", figure))
    parts += _edits(opened, x)
    for run in opened:
        if isinstance(run.model, Generates):
            new = applications.generate(run.model, 2 * SHOWN, seed=1)
            parts.append(Section(f"Samples of {run.folder.name}", "", figures.samples(shown(new))))
    return parts


def _edits(opened: Sequence[OpenRun], x: Tensor) -> list[Section]:
    """Return the same held-out pictures with one attribute added, by each run that edits."""
    editors = [(run, run.editor()) for run in opened if run.edits]
    if not editors:
        return []
    common = set.intersection(*(set(editable(run, editor)) for run, editor in editors))
    names = ["real", *(run.folder.name for run, _ in editors)]
    parts = []
    for attribute in [name for name in TELLING if name in common][:EDITS]:
        rows = [shown(editor(x, {attribute: 1.0})) for _, editor in editors]
        parts.append(Section(f"{attribute} +1", "", figures.reconstructions(shown(x), rows, names=names)))
    return parts
