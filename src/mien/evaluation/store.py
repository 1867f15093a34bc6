"""The stored evaluations of a run. No result is lost, and no result is measured twice by the same protocol."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mien import __version__
from mien.data.regular import read_regular
from mien.errors import MienError
from mien.evaluation import measures
from mien.evaluation.record import Record
from mien.evaluation.result import Evaluation, Judge, Pictures
from mien.evaluation.wording import SAMPLES
from mien.files import sha256, write_atomically, write_json

if TYPE_CHECKING:
    from mien.run.opening import OpenRun

RESULT = "evaluation.json"
PARTIAL = "evaluation-unfinished.json"  # the results of an evaluation that was interrupted
LARGEST = 64 * 2**20  # bytes of a stored evaluation


def empty(run: OpenRun, count: int, seed: int) -> Evaluation:
    """Return the evaluation of a run without results: its weights, the held-out pictures, the seed."""
    from mien.data.dataset import spread

    test = spread(run.splits.test, count)
    return Evaluation(
        run=run.folder.name,
        model=run.model.name,
        weights_sha256=sha256(run.folder / "weights.safetensors"),
        data=Pictures(
            name=run.dataset.name,
            size=run.data.size,
            split=run.splits.rule,
            test=len(test),
            held_out=run.dataset.content_digest(test),
            unit=SAMPLES if run.data.kind.unit == SAMPLES else None,
        ),
        seed=seed,
        mien=__version__,
    )


def stored(folder: Path, protocol: Evaluation, judge: str | None) -> Evaluation:
    """Return ``protocol``, a result of :func:`empty`, with all results by this protocol in the run's folder.

    Args:
        folder: the run's folder.
        protocol: the evaluation without results.
        judge: SHA-256 of the present judge; results of other judges are ignored. None for the last judge.
    """
    names: list[str] = []
    results: dict[str, Record] = {}
    skipped: dict[str, str] = {}
    judges: dict[str, str] = {}
    judge_about: Judge | None = None
    others = sorted(folder.glob("evaluation-????????.json"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in (folder / RESULT, *others):
        other = read(path)
        if other is None or other.protocol != protocol.protocol:
            continue
        judge = judge or next(iter(other.judges.values()), None)
        for name in other.measures:
            if other.judges.get(name) not in (None, judge):
                continue
            if name in names and (name in results or name not in other):
                continue
            names.append(name)
            skipped.pop(name, None)
            if name in other:
                results[name] = other[name]
            elif name in other.skipped:
                skipped[name] = other.skipped[name]
            if name in other.judges and judge is not None:
                judges[name], judge_about = judge, other.judge
    return protocol.with_results(names, results, skipped, judges, judge_about)


def store(folder: Path, evaluation: Evaluation) -> None:
    """Write an evaluation. An earlier one by another protocol or judge is moved to a separate file."""
    path = folder / RESULT
    if path.exists() and (name := _other_name(read(path), evaluation)):
        content = path.read_bytes()
        write_atomically(folder / name, lambda p: p.write_bytes(content))
    write_json(path, evaluation.to_json())
    (folder / PARTIAL).unlink(missing_ok=True)


def _other_name(old: Evaluation | None, new: Evaluation) -> str:
    """Return the name of the separate file for an earlier evaluation; empty if the new one has all its results."""
    words = "unreadable"
    if old is not None:
        others = set(old.judges.values()) - set(new.judges.values())
        if not others and old.protocol == new.protocol:
            return ""
        words = json.dumps([old.mien, old.weights_sha256, old.data.to_json(), old.seed, sorted(others)], sort_keys=True)
    return f"evaluation-{hashlib.sha256(words.encode()).hexdigest()[:8]}.json"


def read(path: Path) -> Evaluation | None:
    """Return a stored evaluation; None if the file is missing or damaged."""
    try:
        values = json.loads(read_regular(path, LARGEST))
        evaluation = Evaluation.from_json(values)
        evaluation.rows(), evaluation.cells()  # numbers that no table can show are damage too
        return evaluation
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, MienError):
        return None


class Partial:
    """The results of an unfinished evaluation, in a file until the evaluation is stored.

    A result of None means that the measure does not apply.
    """

    def __init__(self, folder: Path, protocol: Evaluation, judge: Judge | None):
        self.path = folder / PARTIAL
        self.about = {**protocol.to_json(), "judge": judge.to_json() if judge else None}
        self.results: dict[str, Record | None] = {}
        try:
            values = json.loads(read_regular(self.path, LARGEST))
            if values["about"] == self.about:
                self.results = _results(values["blocks"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, MienError):
            return

    def add(self, name: str, result: Record | None) -> None:
        """Add a result and write the file."""
        self.results[name] = result
        blocks = {key: None if one is None else one.to_json() for key, one in self.results.items()}
        write_json(self.path, {"about": self.about, "blocks": blocks})


def _results(blocks: Mapping[str, object]) -> dict[str, Record | None]:
    return {
        name: None if block is None else measures.get(name).Result.from_json(block)
        for name, block in blocks.items()
        if name in measures.names()
    }
