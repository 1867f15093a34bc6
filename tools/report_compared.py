"""The tables of all models on one data set, for tools/report.py; benchmarks/compared.py stores them."""

from __future__ import annotations

import json
from pathlib import Path

from mien.evaluation.summary import Group, records
from mien.figures import metric_table


def tables(results: Path) -> str:
    """Return a table for each stored result, with its budget in words."""
    parts = []
    for path in sorted((results / "compared").glob("*.json")):
        stored = json.loads(path.read_text(encoding="utf-8"))
        rows, lower, higher = records([Group.from_json(values) for values in stored["models"]])
        budget, training = stored["budget"], stored["data"]["counts"]["train"]
        about = [
            f"{training:,} training pictures, {stored['held_out']:,} held out",
            f"each model {budget['steps']:,} steps of {budget['batch']} pictures at width {budget['width']}",
            f"± is the deviation over the seeds {', '.join(map(str, stored['seeds']))}",
            "distances, precision and recall on the features of a judge",
            f"`{path.as_posix()}`",
        ]
        parts.append(f"**{stored['title']}** ({'; '.join(about)})")
        parts += [metric_table(rows, lower=lower, higher=higher).markdown(), f"```sh\n{stored['command']}\n```"]
    return "\n\n".join(parts) or "No comparison of all models is stored yet: `benchmarks/compared.py` makes it."
