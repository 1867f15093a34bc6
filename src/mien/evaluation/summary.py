"""One table of many runs: a row for each model, the mean and the spread over its seeds. It does not import torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from mien.evaluation.cost import Cost
from mien.evaluation.record import Record
from mien.evaluation.result import Evaluation

FREE = ("seed", "log_every", "picture_every", "save_seconds", "device", "processes")  # settings beside the model


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Args:
        name: its heading; key: its name in files; measure: the measure that has the number; of: the number of a result,
            or None.
        better: whether larger (1) or smaller (-1) values are better; 0 for a cost.
    """

    name: str
    key: str
    measure: str
    of: Callable[[Any], float | None]
    better: int = 1


def _side(name: str, value: Callable[[Any], float | None]) -> Callable[[Any], float | None]:
    """Return the function from distances of sets to a number of one of the sides."""

    def of(result: Any) -> float | None:
        side = result.sides.get(name)
        return None if side is None else value(side)

    return of


def _named(key: str) -> Callable[[Any], float | None]:
    """Return the function from a side to its precision or recall."""
    return lambda side: None if side.precision_recall is None else side.precision_recall.value[key]


def _percent(value: float | None) -> float | None:
    return None if value is None else 100 * value


def _same_person(result: Any) -> float | None:
    """Return the lowest share of edits below the distance of one person."""
    shares = [d.within_of_all for name, d in result.changed.items() if name != "reconstructed"]
    return _percent(min((share for share in shares if share is not None), default=None))


COLUMNS = (
    Column("feature-FID", "feature_fid", "feature_fid", _side("samples", lambda side: side.fid), -1),
    Column("precision", "precision", "feature_fid", _side("samples", _named("precision"))),
    Column("recall", "recall", "feature_fid", _side("samples", _named("recall"))),
    Column("PSNR dB", "psnr_db", "reconstruction", lambda result: result.psnr_db.mean),
    Column("SSIM", "ssim", "reconstruction", lambda result: None if result.ssim is None else result.ssim.mean),
    Column("edit gain %", "edit_gain", "edits", lambda r: None if r.gain is None else _percent(r.gain.mean)),
    Column("leakage %", "leakage", "edits", lambda result: _percent(result.leakage), -1),
    Column("same person %", "same_person", "identity", _same_person),
    Column("attributes %", "attributes", "recognition", lambda result: _percent(result.mean_accuracy)),
    Column("classes %", "classes", "classes",
           lambda result: None if result.recognition is None else _percent(result.recognition.accuracy)),
)  # fmt: skip


@dataclass(frozen=True)
class Number(Record):
    """The mean over n runs of different seeds, and the standard deviation over them; None for one run."""

    mean: float
    sd: float | None
    n: int


@dataclass(frozen=True)
class Group(Record):
    """Runs that differ in their seed only.

    Args:
        name: the common beginning of the names of the runs; model: name of the model; runs: their names.
        numbers: by the key of a column; cost: of the first run's model.
    """

    name: str
    model: str
    runs: tuple[str, ...]
    numbers: dict[str, Number]
    cost: Cost | None = None


def grouped(configs: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the names of runs by group; the runs of a group differ in their seed, and not in what they learn.

    Args:
        configs: the content of config.json by the name of the run.
    """
    groups: list[tuple[Any, list[str]]] = []
    for name, config in configs.items():
        training = {key: value for key, value in config.get("training", {}).items() if key not in FREE}
        content = config["model"], config["config"], training
        for other, names in groups:
            if content == other:
                names.append(name)
                break
        else:
            groups.append((content, [name]))
    named = {_common(names): names for _, names in groups}
    # two groups may begin alike: then the first run names each
    return named if len(named) == len(groups) else {names[0]: names for _, names in groups}


def _common(names: Sequence[str]) -> str:
    """Return the common beginning of names, without separators at its end.

    >>> _common(["dcgan-0", "dcgan-1"]), _common(["vae"]), _common(["a", "b"])
    ('dcgan', 'vae', 'a')
    """
    if len(names) == 1:
        return names[0]
    # of all names in order, the first and the last one differ at the earliest letter
    first, last = min(names), max(names)
    length = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return first[:length].rstrip("-_. ") or names[0]


def summarize(groups: Mapping[str, Sequence[Evaluation]], costs: Mapping[str, Cost] | None = None) -> list[Group]:
    """Return the numbers of each group: means over its evaluations.

    Args:
        groups: the evaluations of the runs of each group, by its name; costs: by the name of the group.
    """
    result = []
    for name, evaluations in groups.items():
        numbers = {}
        for column in COLUMNS:
            values = [column.of(each[column.measure]) for each in evaluations if column.measure in each]
            known = [value for value in values if value is not None]
            if known:
                numbers[column.key] = Number(mean(known), stdev(known) if len(known) > 1 else None, len(known))
        runs = tuple(each.run for each in evaluations)
        result.append(Group(name, evaluations[0].model, runs, numbers, (costs or {}).get(name)))
    return result


def records(groups: Sequence[Group]) -> tuple[list[dict[str, Any]], list[str], list[str]]:
    """Return the rows of the table for :func:`mien.figures.metric_table`, and the columns to minimize and to maximize.

    A column that no group has is left out.
    """
    columns = [column for column in COLUMNS if any(column.key in group.numbers for group in groups)]
    rows = []
    for group in groups:
        row: dict[str, Any] = {"model": group.name, "seeds": len(group.runs)}
        for column in columns:
            number = group.numbers.get(column.key)
            row[column.name] = (
                None if number is None else number.mean if number.sd is None else (number.mean, number.sd)
            )
        if any(each.cost for each in groups):
            cost = group.cost
            row |= {
                "M parameters": cost and cost.parameters / 1e6,
                "GFLOP/image": cost and cost.gflop,
                "images/s": cost and round(cost.images_per_second),
            }
        rows.append(row)
    lower = [column.name for column in columns if column.better < 0]
    return rows, lower, [column.name for column in columns if column.better > 0]
