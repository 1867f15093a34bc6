"""An evaluation: a run, the protocol, and the results of its measures. This module does not import torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mien.evaluation import measures
from mien.evaluation.measure import Row
from mien.evaluation.record import Record, plain
from mien.evaluation.wording import SAMPLES, of_signals, size_text

NOTHING = "–"


@dataclass(frozen=True)
class Pictures(Record):
    """The held-out pictures of an evaluation.

    Args:
        name: name of the data set; size: height and width in pixels; split: rule of the split.
        test: number of pictures; held_out: digest of their content (None in results of older versions).
        unit: of the size, "samples" for signals; None is pixels.
    """

    name: str
    size: int
    split: str
    test: int
    held_out: str | None = None
    unit: str | None = field(default=None, compare=False)  # words only: results of older versions do not have it

    @property
    def are_signals(self) -> bool:
        """Whether texts should be about signals."""
        return self.unit == SAMPLES

    def words(self, text: str) -> str:
        """Return a text about pictures in the words of these data."""
        return of_signals(text) if self.are_signals else text

    @property
    def count_text(self) -> str:
        """The number of held-out pictures, in words."""
        return self.words(f"{self.test:,} held-out pictures")

    @property
    def size_text(self) -> str:
        """The size with its unit."""
        return size_text(self.size, self.unit)


@dataclass(frozen=True)
class Judge(Record):
    """A judge: the name of its run's folder and the SHA-256 of its weights."""

    run: str
    weights_sha256: str


@dataclass(frozen=True)
class Evaluation:
    """An evaluation.

    Args:
        run: name of the run's folder; model: name of its model; weights_sha256: hash of its weights.
        data: the held-out pictures; seed: seed of the generated ones; mien: version (None in older results).
        measures: names of all attempted measures, also of those that do not apply.
        judges: SHA-256 of the judge, by the name of each measure that depends on it.
        judge: the judge of these measures.
        results: results by measure; skipped: reasons by measure that could not be taken.
        seconds: duration of the last evaluation.
    """

    run: str
    model: str
    weights_sha256: str
    data: Pictures
    seed: int
    mien: str | None = None
    measures: tuple[str, ...] = ()
    judges: Mapping[str, str] = field(default_factory=dict)
    judge: Judge | None = None
    results: Mapping[str, Record] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    seconds: float | None = None

    def __contains__(self, name: object) -> bool:
        return name in self.results

    def __getitem__(self, name: str) -> Any:
        """Return the result of a measure, an instance of the measure's ``Result``."""
        return self.results[name]

    @property
    def protocol(self) -> tuple[Any, ...]:
        """The protocol. Two evaluations with equal protocols can share results."""
        return self.mien, self.weights_sha256, self.data, self.seed

    def with_results(
        self,
        attempts: Iterable[str],
        results: Mapping[str, Record],
        skipped: Mapping[str, str],
        judges: Mapping[str, str],
        judge: Judge | None,
        seconds: float | None = None,
    ) -> Evaluation:
        """Return a copy with other results, in the order of the measures."""
        names, selection = measures.names(), set(attempts)
        return replace(
            self,
            measures=tuple(name for name in names if name in selection),
            results={name: results[name] for name in names if name in results},
            skipped={name: skipped[name] for name in names if name in skipped},
            judges=dict(judges),
            judge=judge,
            seconds=seconds,
        )

    def only(self, names: Iterable[str]) -> Evaluation:
        """Return a copy with the measures ``names`` only."""
        selection = set(names)
        return self.with_results(
            [name for name in self.measures if name in selection],
            {name: result for name, result in self.results.items() if name in selection},
            {name: reason for name, reason in self.skipped.items() if name in selection},
            self.judges,
            self.judge,
            self.seconds,
        )

    def rows(self) -> list[Row]:
        """Return the rows of all results, measure by measure, in the words of the data."""
        rows = (row for name, result in self.results.items() for row in measures.get(name).rows(result))
        return [replace(row, label=self.data.words(row.label), how=self.data.words(row.how)) for row in rows]

    def cells(self) -> list[dict[str, str]]:
        """Return one row of text cells for each attribute; the first measure with a column fills it."""
        columns: list[str] = []
        table: dict[str, dict[str, str]] = {}
        for name, result in self.results.items():
            cells = measures.get(name).cells(result)
            new = list(dict.fromkeys(column for row in cells.values() for column in row))
            if not set(new) - set(columns):
                continue
            columns += [column for column in new if column not in columns]
            for attribute, row in cells.items():
                table[attribute] = {**row, **table.get(attribute, {})}
        return [
            {"attribute": attribute, **{column: row.get(column, NOTHING) for column in columns}}
            for attribute, row in table.items()
        ]

    def to_json(self) -> dict[str, Any]:
        """Return the content of evaluation.json."""
        out: dict[str, Any] = {
            "run": self.run,
            "model": self.model,
            "weights_sha256": self.weights_sha256,
            "data": self.data.to_json(),
            "seed": self.seed,
        }
        out |= {"mien": self.mien} if self.mien is not None else {}
        if self.measures:
            out |= {"measures": list(self.measures), "judged": dict(self.judges)}
        out |= {"judge": self.judge.to_json()} if self.judge else {}
        for name in measures.names():
            if name in self.results:
                out[name] = plain(self.results[name])
            elif name in self.skipped:
                out[name] = {"skipped": self.skipped[name]}
        return out | ({"seconds": self.seconds} if self.seconds is not None else {})

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Evaluation:
        """Return the evaluation that :meth:`to_json` wrote; measures that this version does not have are ignored.

        Raises:
            MienError: the values are not an evaluation.
        """
        about = About.from_json(values)
        results, skipped = {}, {}
        for name in measures.names():
            block = values.get(name)
            if isinstance(block, Mapping) and "skipped" in block:
                skipped[name] = str(block["skipped"])
            elif block is not None:
                results[name] = measures.get(name).Result.from_json(block)
        whole = cls(about.run, about.model, about.weights_sha256, about.data, about.seed, about.mien)
        return whole.with_results(
            about.measures or (), results, skipped, about.judged or {}, about.judge, about.seconds
        )


@dataclass(frozen=True, kw_only=True)
class About(Record):
    """The keys of evaluation.json except the results."""

    run: str
    model: str
    weights_sha256: str
    data: Pictures
    seed: int
    mien: str | None = None
    measures: tuple[str, ...] | None = None
    judged: dict[str, str] | None = None
    judge: Judge | None = None
    seconds: float | None = None
