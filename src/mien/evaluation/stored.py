"""What a run's evaluation.json already holds by the same protocol: nothing measured is lost, or measured twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mien import __version__, runs
from mien.data.dataset import spread
from mien.evaluation.measures import MEASURES
from mien.evaluation.opening import OpenRun
from mien.files import write_json

RESULT = "evaluation.json"
PARTIAL = "evaluation-unfinished.json"  # what an evaluation that was cut short had measured
PROTOCOL = ("mien", "weights_sha256", "data", "seed")  # where these differ, nothing stored is of use


def about(run: OpenRun, count: int, seed: int) -> dict[str, Any]:
    """Return what an evaluation of a run is of: its weights, the held-out pictures, the seed."""
    test = spread(run.splits.test, count)
    return {
        "run": run.folder.name,
        "model": run.model.name,
        "weights_sha256": runs.sha256(run.folder / "weights.safetensors"),
        "data": {
            "name": run.dataset.name,
            "size": run.data.size,
            "split": run.splits.rule,
            "test": len(test),
            "held_out": run.dataset.digest(test),
        },
        "seed": seed,
        "mien": __version__,
    }


def stored(folder: Path, protocol: Mapping[str, Any]) -> dict[str, Any]:
    """Return the evaluation of a run by a protocol, as :func:`about` gives it, if one is stored; else nothing."""
    for path in (folder / RESULT, _aside(folder, protocol)):
        result = _read(path)
        if result and all(result.get(key) == protocol[key] for key in PROTOCOL):
            return result
    return {}


def store(folder: Path, result: Mapping[str, Any]) -> None:
    """Write an evaluation; one by another protocol that was there is put aside, to be found when it is asked for."""
    old = _read(folder / RESULT)
    if old and any(old.get(key) != result[key] for key in PROTOCOL):
        write_json(_aside(folder, old), old)
    write_json(folder / RESULT, result)
    _aside(folder, result).unlink(missing_ok=True)
    (folder / PARTIAL).unlink(missing_ok=True)


def _aside(folder: Path, protocol: Mapping[str, Any]) -> Path:
    """Return where the evaluation by a protocol lies while the one by another is the run's."""
    words = json.dumps([protocol.get(key) for key in PROTOCOL], sort_keys=True)
    return folder / f"evaluation-{hashlib.sha256(words.encode()).hexdigest()[:8]}.json"


def _read(path: Path) -> dict[str, Any]:
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return result if isinstance(result, dict) else {}


def holds(block: dict[str, Any] | None) -> bool:
    """Return whether a block of an evaluation has numbers, and is not why there are none."""
    return block is not None and "skipped" not in block


def kept(result: dict[str, Any], judge: dict[str, str] | None) -> dict[str, Any]:
    """Return the blocks of a stored evaluation that still hold.

    Args:
        judge: which judge is given now. What another judge said does not hold beside what this one says; where none
            is given, what the stored one said does.
    """
    return {name: result[name] for name in tried(result, judge) if name in result}


def tried(result: dict[str, Any], judge: dict[str, str] | None) -> list[str]:
    """Return the measures of a stored evaluation whose outcome still holds: a block, or that they do not apply."""
    same = judge is None or judge["weights_sha256"] == result.get("judge", {}).get("weights_sha256")
    return [name for name in result.get("measures", ()) if name in MEASURES and (same or not MEASURES[name].judged)]
