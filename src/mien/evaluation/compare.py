"""Comparison of several runs by one protocol, with the same held-out pictures and the same judge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
from mien.evaluation.cost import costs
from mien.evaluation.editing import TELLING, editable
from mien.evaluation.evaluator import choose, measure, open_judge
from mien.evaluation.result import Evaluation
from mien.evaluation.store import empty, stored
from mien.evaluation.summary import Group, grouped, records, summarize
from mien.evaluation.text import side_by_side
from mien.figures import Captioned, Section
from mien.files import write_json
from mien.run.folder import read_config

if TYPE_CHECKING:
    from torch import Tensor

    from mien.run.opening import OpenRun

SHOWN = 10  # pictures in a row
EDITS = 3  # attributes
SIDE_BY_SIDE = 6  # most runs with a column each
MOST_NAMES = 6  # in the title of the page
BEST = "The best value of each column is marked."
COSTS = (
    "The edit gain is the mean over the attributes that a model edits. Parameters are those that the training moves. "
    "GFLOP: of a training step, for one picture. images/s: of training steps, the models in turns."
)


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
    device: str = "cpu",
) -> tuple[list[Evaluation], list[Group], Path]:
    """Measure runs by one protocol, and write ``compare.json`` and a page with their pictures and numbers.

    A result that the run's own evaluation holds by the same protocol is not measured again. Runs that differ in their
    seed only are one group: one row of the table, with the spread over the seeds, and one row of pictures.

    Args:
        opened: two runs or more; out: the folder to write.
        judge, count, seed, note, metrics: the arguments of :func:`mien.evaluation.evaluate`.
        device: where the training steps of the models are timed.

    Returns:
        The evaluations in the order of the runs, their groups, and the page.

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
    by_name = dict(zip(names, zip(opened, evaluations, strict=True), strict=True))
    members = grouped({name: read_config(run.folder) for name, (run, _) in by_name.items()})
    first = {group: by_name[runs[0]][0] for group, runs in members.items()}
    groups = summarize({group: [by_name[run][1] for run in runs] for group, runs in members.items()},
                       costs(first, device, note))  # fmt: skip
    write_json(
        out / "compare.json",
        {
            "mien": __version__,
            "groups": [group.to_json() for group in groups],
            "runs": [each.to_json() for each in evaluations],
        },
    )
    data = evaluations[0].data
    subtitle = f"{data.name} at {data.size_text}; the same {data.count_text} for all"
    title = " · ".join(first if len(first) <= MOST_NAMES else [*list(first)[:MOST_NAMES], "…"])
    page = figures.page(out / "index.html", title, _sections(first, evaluations, groups), subtitle)
    return evaluations, groups, page


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


def _sections(
    opened: Mapping[str, OpenRun], evaluations: Sequence[Evaluation], groups: Sequence[Group]
) -> list[Section]:
    """Return the sections of the page: the numbers, then the pictures of the first run of every group."""
    judge = evaluations[0].judge
    judge_text = (
        f"Judge: {judge.run}. "
        if judge
        else "Without a judge, or with different ones: measures that depend on the judge are left out. "
    )
    rows, lower, higher = records(groups)
    text = f"{judge_text}± is the standard deviation over the seeds. {COSTS}"
    parts = [Section("All models", text, Captioned(figures.metric_table(rows, lower=lower, higher=higher), BEST))]
    if len(evaluations) <= SIDE_BY_SIDE:
        parts.append(
            Section(
                "Measures",
                "± is the deviation over pictures, or the standard error where it says so; one training each.",
                Captioned(figures.metric_table(side_by_side(evaluations)), "The same protocol for all runs."),
            )
        )
    x = next(iter(opened.values())).dataset.batch(spread(next(iter(opened.values())).splits.test, SHOWN)).x
    rebuilt = {name: run for name, run in opened.items() if can(run.model, Encodes, Decodes)}
    if rebuilt:
        pictures = [shown(applications.reconstruct(run.model, x)) for run in rebuilt.values()]
        figure = figures.reconstructions(shown(x), pictures, names=["real", *rebuilt])
        parts.append(Section("Reconstructions", "The same held-out pictures, encoded and decoded by each.", figure))
    parts += _edits(opened, x)
    for name, run in opened.items():
        if isinstance(run.model, Generates):
            new = applications.generate(run.model, 2 * SHOWN, seed=1)
            parts.append(Section(f"Samples of {name}", "", figures.samples(shown(new))))
    return parts


def _edits(opened: Mapping[str, OpenRun], x: Tensor) -> list[Section]:
    """Return the same held-out pictures with one attribute added, by each run that edits."""
    editors = {name: run.editor() for name, run in opened.items() if run.edits}
    able = {name: set(editable(opened[name], editor)) for name, editor in editors.items()}
    # a model of one attribute leaves the choice to it; otherwise, an attribute that most models edit
    counts = {name: sum(name in each for each in able.values()) for name in TELLING}
    parts = []
    for attribute in sorted((name for name in TELLING if counts[name]), key=lambda name: -counts[name])[:EDITS]:
        some = [name for name in editors if attribute in able[name]]
        rows = [shown(editors[name](x, {attribute: 1.0})) for name in some]
        parts.append(Section(f"{attribute} +1", "", figures.reconstructions(shown(x), rows, names=["real", *some])))
    return parts
