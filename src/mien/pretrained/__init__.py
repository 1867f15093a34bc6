"""The models that come with the package: one folder for each. The name of the folder is the name of the model.

Such a folder is a small run folder. It holds the configuration, the weights in float16, attribute vectors where the
model edits by them, and a card: ``card.md`` for people and ``card.json`` for programs. ``tools/ship.py`` makes the
folder from a finished run. Importing this does not import torch.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mien.errors import UnknownName

FOLDER = Path(__file__).parent
LIMIT = 25_000_000  # bytes of all folders together: the package stays small enough to download
PREFIX = "mien/"  # faces-64 and mien/faces-64 are the same model
CONFIG, CARD, CARD_TEXT = "config.json", "card.json", "card.md"


def names() -> tuple[str, ...]:
    """Return the names of the models that come with the package."""
    return tuple(sorted(path.parent.name for path in FOLDER.glob(f"*/{CONFIG}")))


def plain(name: str) -> str:
    """Return the name of a model without the prefix ``mien/``.

    >>> plain("mien/faces-64"), plain("faces-64")
    ('faces-64', 'faces-64')
    """
    return name.removeprefix(PREFIX)


def folder(name: str) -> Path:
    """Return the folder of a model that comes with the package; its name may begin with ``mien/``.

    Raises:
        UnknownName: with the nearest names.
    """
    if plain(name) not in names():
        raise UnknownName("pretrained model", name, names())
    return FOLDER / plain(name)


def card(name: str) -> dict[str, Any]:
    """Return the card of a model that comes with the package: origin, training, measured numbers, limits, license.

    Raises:
        UnknownName: with the nearest names.
    """
    values: dict[str, Any] = json.loads((folder(name) / CARD).read_text(encoding="utf-8"))
    return values


def card_text(name: str) -> str:
    """Return the card of a model that comes with the package as text (Markdown).

    Raises:
        UnknownName: with the nearest names.
    """
    return (folder(name) / CARD_TEXT).read_text(encoding="utf-8")


def size(name: str) -> int:
    """Return the size in bytes of all files of a model that comes with the package.

    Raises:
        UnknownName: with the nearest names.
    """
    return sum(path.stat().st_size for path in folder(name).rglob("*") if path.is_file())
