"""The table of the studio's latencies."""

from __future__ import annotations

import json
from pathlib import Path


def table(results: Path) -> str:
    """Return the table of results/studio/latency.json; a sentence if it is not there."""
    path = results / "studio" / "latency.json"
    if not path.exists():
        return "Not measured yet: `python benchmarks/studio.py`."
    values = json.loads(path.read_text(encoding="utf-8"))
    rows = [
        f"| {one['what']} | {one['n']} | {1000 * one['p50']:.0f} ms | {1000 * one['p95']:.0f} ms |"
        for one in values["latencies"]
    ]
    head = "| what a visitor waits for | n | p50 | p95 |\n|---|---|---|---|"
    machine = values["machine"]
    end = (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['threads']} threads; {values['about']} "
        f"`python benchmarks/studio.py`, {machine['date']}."
    )
    return "\n".join([head, *rows]) + f"\n\n{end}"
