"""The words of tables and pages: those of pictures, or those of signals. This module does not import torch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mien.figures import Section

SAMPLES = "samples"  # the unit of a signal's length, as data sets name it
_PICTURE = re.compile(r"\b([Pp])icture(s?)\b")


def of_signals(text: str) -> str:
    """Return a text about pictures as a text about signals.

    >>> of_signals("230 held-out pictures; Pictures and a picture")
    '230 held-out signals; Signals and a signal'
    """
    return _PICTURE.sub(lambda match: f"{'S' if match[1] == 'P' else 's'}ignal{match[2]}", text)


def size_text(size: int, unit: str | None) -> str:
    """Return a size with its unit; None is pixels, as in results of older versions.

    >>> size_text(64, None), size_text(1024, "samples")
    ('64 px', '1,024 samples')
    """
    return f"{size:,} {unit}" if unit == SAMPLES else f"{size} px"


def unit_of(config: Mapping[str, Any]) -> str | None:
    """Return the unit of the size of a run's data, :data:`SAMPLES` for signals; None is pixels.

    Args:
        config: the content of its config.json. A damaged one without a shape counts as one of pictures.

    >>> unit_of({"config": {"shape": [1, 1, 1024]}}), unit_of({"config": {"shape": [3, 64, 64]}})
    ('samples', None)
    """
    return SAMPLES if config["config"].get("shape", [0, 0])[1] == 1 else None


def sections_of_signals(parts: Sequence[Section]) -> list[Section]:
    """Return sections of a page whose texts and captions are about signals."""
    return [replace(part, text=of_signals(part.text), body=_body(part.body)) for part in parts]


def _body(body: Any) -> Any:
    """Return the body of a section with the captions, and the columns of tables, about signals."""
    if isinstance(body, list | tuple):
        return [_body(one) for one in body]
    if hasattr(body, "set_label"):  # a figure, whose label is its description for those who cannot see it
        body.set_label(of_signals(body.get_label()))
        return body
    caption = getattr(body, "caption", None)
    return body if caption is None else replace(body, body=_body(body.body), caption=of_signals(caption))
