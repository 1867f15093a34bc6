"""What a run's evaluation.json already holds by the same protocol: nothing measured is lost, or measured twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mien import __version__
from mien.data.dataset import spread
from mien.evaluation.measures import MEASURES
from mien.files import sha256, write_json
from mien.run.opening import OpenRun

RESULT = "evaluation.json"
PARTIAL = "evaluation-unfinished.json"  # what an evaluation that was cut short had measured
PROTOCOL = ("mien", "weights_sha256", "data", "seed")  # where these differ, nothing stored is of use

# An evaluation lists in "measures" what was tried, whether it applied or not, and in "judged" by which judge: name to
# SHA-256, of the measures in which a judge had a say.


def about(run: OpenRun, count: int, seed: int) -> dict[str, Any]:
    """Return what an evaluation of a run is of: its weights, the held-out pictures, the seed."""
    test = spread(run.splits.test, count)
    return {
        "run": run.folder.name,
        "model": run.model.name,
        "weights_sha256": sha256(run.folder / "weights.safetensors"),
        "data": {
            "name": run.dataset.name,
            "size": run.data.size,
            "split": run.splits.rule,
            "test": len(test),
            "held_out": run.dataset.content_digest(test),
        },
        "seed": seed,
        "mien": __version__,
    }


def stored(folder: Path, protocol: Mapping[str, Any], judge: str | None) -> dict[str, Any]:
    """Return what a run's evaluations by a protocol, as :func:`about` gives it, hold: "measures", "judged", blocks.

    Args:
        judge: SHA-256 of the judge now given: what another one said does not hold beside what this one says. Where
            none is given, what the last one said does.
    """
    found: dict[str, Any] = {"measures": [], "judged": {}}
    aside = sorted(folder.glob("evaluation-????????.json"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in (folder / RESULT, *aside):
        result = read(path)
        if not result or any(result.get(key) != protocol[key] for key in PROTOCOL):
            continue
        by = result.get("judged", {})
        judge = judge or next(iter(by.values()), None)
        for name in result.get("measures", ()):
            if name not in MEASURES or by.get(name) not in (None, judge):
                continue
            if name in found["measures"] and (holds(found.get(name)) or not holds(result.get(name))):
                continue
            found["measures"].append(name)
            found |= {name: result[name]} if name in result else {}
            if name in by:
                found["judged"][name], found["judge"] = judge, result["judge"]
    found["measures"] = [name for name in MEASURES if name in found["measures"]]
    return found


def store(folder: Path, result: Mapping[str, Any]) -> None:
    """Write an evaluation; one by another protocol or judge that was there is put aside, to be found again."""
    old = read(folder / RESULT)
    judges = set(old.get("judged", {}).values()) - set(result["judged"].values())
    if old and (judges or any(old.get(key) != result[key] for key in PROTOCOL)):
        words = json.dumps([*(old.get(key) for key in PROTOCOL), sorted(judges)], sort_keys=True)
        write_json(folder / f"evaluation-{hashlib.sha256(words.encode()).hexdigest()[:8]}.json", old)
    write_json(folder / RESULT, result)
    (folder / PARTIAL).unlink(missing_ok=True)


def read(path: Path) -> dict[str, Any]:
    """Return a stored evaluation, nothing where there is none or a damaged one."""
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return result if isinstance(result, dict) else {}


def holds(block: dict[str, Any] | None) -> bool:
    """Return whether a block of an evaluation has numbers, and is not why there are none."""
    return block is not None and "skipped" not in block
