"""The table of the models that come with the package, for tools/report.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mien import pretrained

MOST = 2  # measured numbers in a row; the card has all


def table() -> str:
    """Return a row for each model: what it does, its model, training, size and main numbers."""
    lines = ["| name | what it does | model | training | size | measured |", "|---|---|---|---|---|---|"]
    for name in pretrained.names():
        card = pretrained.card(name)
        seen, data = card["training"]["pictures_seen"], card["data"]["name"]
        numbers = "; ".join(f"{row['label']} {row['value']}" for row in _main(card)[:MOST])
        lines.append(
            f"| `{name}` | {card['title']} | `{card['model']}` | {seen:,} pictures of {data} "
            f"| {pretrained.size(name) / 1e6:.1f} MB | {numbers} |"
        )
    return "\n".join(lines)


def _main(card: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the main numbers, the class accuracy of a recognizer of classes first."""
    return sorted(card["main"], key=lambda row: not row["label"].startswith(("class accuracy", "edit gain")))
