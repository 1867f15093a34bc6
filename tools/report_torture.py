"""The tables of docs/security.md, as Markdown, from the files of `make torture` in results/torture/.

A file whose part was run again after a fault was mended names the part, the commit and the reason in ``repeated``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NOTHING = "–"
# the failures of tools/fuzz.py that are no exception
OTHERS = ("time", "memory", "warning", "message of several lines", "the valid file was refused")


def table(results: Path) -> str:
    """Return the tables of the campaign: before and after, the kills, the disks."""
    before, fuzz, kills, disk = (_read(results, name) for name in ("before", "fuzz", "kills", "disk"))
    if not (fuzz or kills or disk):
        return "No campaign is stored yet: `make torture` runs one."
    parts = [_counts(before, fuzz, kills), _kills(kills), _disk(disk), _about(before, fuzz, kills, disk)]
    return "\n\n".join(filter(None, parts))


def _read(results: Path, name: str) -> dict[str, Any]:
    path = results / "torture" / f"{name}.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def _counts(before: Mapping[str, Any], fuzz: Mapping[str, Any], kills: Mapping[str, Any]) -> str:
    """Return the counts of an earlier version beside those of this one."""
    failures = Counter[str]()
    for key, count in fuzz.get("failures", {}).items():
        failures[key.rpartition(": ")[2]] += count
    commands = kills.get("commands", {}).values()
    now: dict[str, int | None] = {
        "inputs": sum(fuzz["inputs"].values()) if fuzz else None,
        "tracebacks": sum(count for key, count in failures.items() if key not in OTHERS) if fuzz else None,
        "hangs": failures["time"] if fuzz else None,
        "memory": failures["memory"] if fuzz else None,
        "kills_at_disk_events": sum(row["tried"] for row in commands) if kills else None,
        "lost_at_disk_events": sum(row["tried"] - row["survived"] for row in commands) if kills else None,
    }
    names = {
        "inputs": "damaged inputs",
        "tracebacks": "inputs that gave a traceback",
        "hangs": "inputs that took more than a minute",
        "memory": "inputs that took more than 1 GiB",
        "kills_at_disk_events": "kills at disk events",
        "lost_at_disk_events": "of these, runs that were lost",
    }
    lines = ["| | an earlier version | this version |", "|---|---|---|"]
    lines += [f"| {name} | {_number(before.get(key))} | {_number(now[key])} |" for key, name in names.items()]
    return "\n".join(lines)


def _kills(kills: Mapping[str, Any]) -> str:
    """Return the kills of each command."""
    if not kills:
        return ""
    lines = ["| killed command | disk events | tried | same result after | random moments | same result after |"]
    lines += ["|---" * 6 + "|"]
    for name, row in kills["commands"].items():
        random = " | ".join(_number(row.get(key)) for key in ("random_tried", "random_survived"))
        lines.append(f"| `{name}` | {row['points']} | {row['tried']} | {row['survived']} | {random} |")
    return "\n".join(lines)


def _disk(disk: Mapping[str, Any]) -> str:
    """Return the sizes of the disk of each command."""
    if not disk:
        return ""
    ways = {"tmpfs": "a small disk", "limit": "a limit of a file's size"}
    lines = [f"| command on {ways[disk['way']]} | sizes, from 0 to enough | step, bytes | right |", "|---|---|---|---|"]
    for name, row in disk["commands"].items():
        lines.append(f"| `{name}` | {row['sizes']} | {row['step_bytes']:,} | {row['right']} |")
    return "\n".join(lines)


def _about(before: Mapping[str, Any], *stored: Mapping[str, Any]) -> str:
    """Return where the numbers come from."""
    files = ("fuzz", "kills", "disk")
    texts = [
        f"`results/torture/{name}.json`: commit {one['machine']['commit']}, {one['machine']['date']}, "
        f"{one['seconds'] / 60:.0f} minutes on {one['machine']['cpu']}, {one['machine']['cores']} cores"
        for name, one in zip(files, stored, strict=True)
        if one
    ]
    for one in stored:
        if again := one.get("repeated"):
            names = ", ".join(f"`{name}`" for name in again.get("kinds", again.get("commands", ())))
            texts.append(f"{names}: repeated at commit {again['commit']}, because {again['why']}")
    if before:
        texts.append(f"the earlier version: {before['source']}")
    return "; ".join(texts) + "."


def _number(value: int | None) -> str:
    return NOTHING if value is None else f"{value:,}"
