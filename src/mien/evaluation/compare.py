"""Several runs side by side: the same protocol, the same held-out pictures, the same judge."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mien import __version__, applications, figures
from mien.abilities import Decodes, Edits, Encodes, Generates
from mien.data.dataset import spread
from mien.data.pictures import shown
from mien.errors import MienError
from mien.evaluation import Note, asked, judge_of, measure
from mien.evaluation.edits import TELLING, editable, edits_apply
from mien.evaluation.measures import MEASURES
from mien.evaluation.stored import about, stored
from mien.evaluation_text import headline
from mien.figures import Captioned, Section
from mien.files import write_json
from mien.run.opening import OpenRun

SHOWN = 10  # pictures in a row


def check_alike(opened: Sequence[OpenRun]) -> None:
    """Refuse runs that were not held out the same pictures.

    Raises:
        MienError: naming the two runs and what differs.
    """
    first = opened[0]
    for other in opened[1:]:
        for what, one, two in (
            ("data", (first.data.name, dict(first.data.options)), (other.data.name, dict(other.data.options))),
            ("size", first.data.size, other.data.size),
            ("split seed", first.data.split_seed, other.data.split_seed),
            (
                "held-out pictures",
                *(f"{len(r.splits.test):,} ({r.dataset.digest(r.splits.test)[:8]})" for r in (first, other)),
            ),
        ):
            if one != two:
                raise MienError(
                    f"expected runs on the same data and split, got {first.folder} and {other.folder}, whose {what} "
                    f"differ: {one} and {two}; train them on the same --data, --size and split"
                )


def compare(
    opened: Sequence[OpenRun],
    out: Path,
    judge: str | Path | None = None,
    count: int = 2000,
    seed: int = 0,
    note: Note | None = None,
    metrics: Iterable[str] = (),
) -> tuple[list[dict[str, Any]], Path]:
    """Measure runs by one protocol and write ``compare.json`` and a page of their pictures and numbers.

    What a run's own evaluation already holds by the same protocol is not measured again.

    Args:
        opened: two runs or more; out: the folder to write.
        judge, count, seed, note, metrics: as :func:`mien.evaluation.evaluate` takes them.

    Returns:
        The evaluations in the order of the runs, and the page.

    Raises:
        MienError: for fewer than two runs, or runs on different data or splits.
    """
    if len(opened) < 2:
        raise MienError(f"expected two runs or more to compare, got {len(opened)}")
    names = [run.folder.name for run in opened]
    if len(set(names)) < len(names):
        raise MienError(f"expected runs of different names, got {', '.join(names)}: rename a folder")
    check_alike(opened)
    wanted = asked(metrics)
    judged_by = judge_of(opened[0], judge)[1]["weights_sha256"] if judge is not None else None
    if not any(MEASURES[name].judged for name in wanted):
        judged_by = None
    results = []
    for run in opened:
        missing = _missing(run, judged_by, count, seed, wanted)
        results.append(measure(run, judge, count, seed, note, wanted, missing))
    if len({result["data"]["held_out"] for result in results}) > 1:
        raise MienError(f"expected runs on the same pictures, got {' and '.join(names)}, whose held-out ones differ")
    done = comparable(results, wanted if metrics else tuple(MEASURES))
    if not any(name in result and "skipped" not in result[name] for result in done for name in MEASURES):
        skipped = [
            result[name]["skipped"] for result in results for name in wanted if "skipped" in result.get(name, {})
        ]
        other = "they do not apply to these runs, or were judged by different judges (--judge RUN)"
        why = next(iter(skipped), other)
        raise MienError(f"expected something to compare of {' and '.join(names)}, got no {' or '.join(wanted)}: {why}")
    write_json(out / "compare.json", {"mien": __version__, "runs": done})
    data = done[0]["data"]
    subtitle = f"{data['name']} at {data['size']} px; the same {data['test']:,} held-out pictures for all"
    page = figures.page(out / "index.html", f"{' · '.join(names)}", _sections(opened, done), subtitle)
    return done, page


def _missing(run: OpenRun, judge: str | None, count: int, seed: int, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Return the measures that a run's own evaluation does not hold by this protocol, its weights and the judge."""
    known = stored(run.folder, about(run, count, seed), judge)

    def holds_already(name: str) -> bool:
        by_whom = judge is None or not MEASURES[name].judged or known["judged"].get(name) == judge
        return name in known["measures"] and "skipped" not in known.get(name, {}) and by_whom

    return tuple(name for name in wanted if not holds_already(name))


def comparable(results: Sequence[dict[str, Any]], wanted: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return evaluations without what was not asked for, and without what different judges said of the runs."""
    judges = {judge for result in results for judge in result["judged"].values()}

    def shows(result: dict[str, Any], name: str) -> bool:
        return name in wanted and (len(judges) < 2 or name not in result["judged"])

    done = [{k: v for k, v in result.items() if k not in MEASURES or shows(result, k)} for result in results]
    for result in done:
        result["measures"] = [name for name in result["measures"] if shows(result, name)]
        if len(judges) > 1:
            result.pop("judge", None)
    return done


def table(results: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """Return one row of text cells for each measure, a column for each run."""
    columns = [_rows(result) for result in results]
    measures = list(dict.fromkeys(measure for column in columns for measure in column))
    return [
        {
            "measure": measure[-1],
            **{result["run"]: column.get(measure, "–") for result, column in zip(results, columns, strict=True)},
        }
        for measure in measures
    ]


def _rows(result: dict[str, Any]) -> dict[tuple[str, ...], str]:
    """Return the values of an evaluation by measure; an indented one belongs to the one before it."""
    rows: dict[tuple[str, ...], str] = {}
    lead = ""
    for name, value, _ in headline(result):
        lead = lead if name.startswith(" ") else name
        rows[(lead, name) if name != lead else (name,)] = value
    return rows


def _sections(opened: Sequence[OpenRun], results: Sequence[dict[str, Any]]) -> list[Section]:
    """Return the page's parts: the numbers, then the same pictures as every run makes them."""
    judge = results[0].get("judge", {}).get("run")
    whose = f"Judge: {judge}. " if judge else "Without a judge, or with different ones: what judges say is left out. "
    parts = [
        Section(
            "Measures",
            f"{whose}± is the deviation over pictures, or the standard error where it says so; one training each.",
            Captioned(figures.metric_table(table(results)), "The same protocol for all runs."),
        )
    ]
    x = opened[0].dataset.batch(spread(opened[0].splits.test, SHOWN)).x
    rebuilt = [run for run in opened if isinstance(run.model, Encodes) and isinstance(run.model, Decodes)]
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


def _edits(opened: Sequence[OpenRun], x: Any) -> list[Section]:
    """Return the same held-out pictures with one attribute added, by each run that can."""
    able: list[tuple[OpenRun, Any]] = []
    for run in opened:
        if edits_apply(run):
            able.append((run, None if isinstance(run.model, Edits) else run.vectors()))
    known = [set(editable(run, vectors)) for run, vectors in able]
    common = set.intersection(*known) if known else set()
    parts = []
    for attribute in [name for name in TELLING if name in common][:3]:
        rows = [shown(applications.edit(run.model, x, {attribute: 1.0}, vectors)) for run, vectors in able]
        names = ["real", *(run.folder.name for run, _ in able)]
        parts.append(Section(f"{attribute} +1", "", figures.reconstructions(shown(x), rows, names=names)))
    return parts
