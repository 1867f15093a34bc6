"""The report page: one HTML file with figures, tables and text. The template is ``pages/report.html.j2``."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Union

import numpy as np
from numpy.typing import NDArray

from mien.errors import MienError
from mien.figures import style
from mien.figures.saving import Drawing, inline_svg, png, variable, write
from mien.figures.tables import Table
from mien.pages import render

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Body = Union["Figure", NDArray[np.uint8], Table, str, "Captioned", Sequence["Body"]]


@dataclass(frozen=True)
class Captioned:
    """A figure, a sheet of pixels or a table with its caption.

    Args:
        body: the figure, the sheet, uint8 (H, W, 3), or the table.
        caption: a sentence or two; the page puts 'Figure 1.' or 'Table 1.' before it.
        alt: a description for readers who cannot see it; by default the figure's label.
    """

    body: Figure | NDArray[np.uint8] | Table
    caption: str
    alt: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Args:
        heading: its title, which the contents list too.
        text: paragraphs, separated by empty lines; may be empty.
        body: a figure, a sheet of pixels, a table, one of these :class:`Captioned`, a text, or several of them.
    """

    heading: str
    text: str = ""
    body: Body = ()


@dataclass(frozen=True)
class _Sheet:
    """A sheet of pixels as the template takes it: PNG data in base64, width and height in pixels."""

    data: str
    width: int
    height: int


@dataclass(frozen=True)
class _Part:
    """A part of a section as the template takes it.

    Args:
        kind: Text, Table or Figure.
        content: paragraphs, a table, a sheet or a drawing.
        caption, number: the caption and its number; 0 for a part without a caption.
        alt: a description in words.
        csv: a table as a CSV file, UTF-8 with a mark of the encoding, in base64.
    """

    kind: str
    content: list[str] | Table | _Sheet | Drawing
    caption: str = ""
    number: int = 0
    alt: str = ""
    csv: str = ""


def page(
    path: str | os.PathLike[str], title: str, sections: Iterable[Section], subtitle: str = "", notice: str = ""
) -> Path:
    """Write a report as one HTML file, complete or not at all.

    Figures become vector graphics in the reader's light or dark colors, sheets become pixels. All text is escaped.

    Args:
        path: the file, which ends in .html or .htm, or a folder, which gets an index.html.
        title: the page's title.
        sections: its parts, at least one.
        subtitle: a line under the title, such as the model and the data.
        notice: a warning at the top, such as samples that are all alike.

    Returns:
        The path of the file.

    Raises:
        MienError: no title, no sections, a body of another type, or a file that cannot be written.
    """
    path = Path(path)
    path = path if path.suffix.lower() in (".html", ".htm") else path / "index.html"
    write(path, document(title, sections, subtitle, notice).encode("utf-8", "replace"))
    return path


def document(title: str, sections: Iterable[Section], subtitle: str = "", notice: str = "") -> str:
    """Return the page's HTML; see :func:`page`."""
    sections = list(sections)
    if not title.strip():
        raise MienError("expected a title for the page, got an empty one")
    if not sections:
        raise MienError("expected at least one section for the page, got none")
    for section in sections:
        if not isinstance(section, Section):
            raise MienError(f"expected sections of the page as Section, got {type(section).__name__}")
    parts = _Parts()
    anchors = _anchors([section.heading for section in sections])
    return render(
        "report.html.j2",
        title=title.strip(),
        subtitle=subtitle.strip(),
        notice=notice.strip(),
        sections=[
            {
                "anchor": anchor,
                "heading": section.heading.strip(),
                "parts": parts.of(section.text, section.heading) + parts.of(section.body, section.heading),
            }
            for anchor, section in zip(anchors, sections, strict=True)
        ],
        light={variable(color): color for color in style.DARK},
        dark={variable(color): dark for color, dark in style.DARK.items()},
        colors={name: variable(color) for name, color in style.PAGE.items()},
    )


class _Parts:
    """Converts the bodies of one page to parts, and numbers its figures and tables."""

    def __init__(self) -> None:
        self.numbers = {"Figure": 0, "Table": 0}
        self.drawings = 0

    def of(self, body: object, heading: str, caption: str = "", alt: str = "") -> list[_Part]:
        """Return the parts of a section's body, or of an element of it."""
        if isinstance(body, str):
            paragraphs = [text.strip() for text in re.split(r"\n\s*\n", body.strip()) if text.strip()]
            return [_Part("Text", paragraphs)] if paragraphs else []
        if isinstance(body, list | tuple):
            return [part for element in body for part in self.of(element, heading)]
        if isinstance(body, Captioned):
            if isinstance(body.body, str | list | tuple | Captioned):
                got = type(body.body).__name__
                raise MienError(f"expected a figure, a sheet or a table to caption, got {got}")
            return self.of(body.body, heading, body.caption.strip(), body.alt.strip())
        content: Table | _Sheet | Drawing
        if isinstance(body, Table):
            content = body
        elif isinstance(body, np.ndarray):
            content = _Sheet(base64.b64encode(png(body)).decode(), *body.shape[1::-1])
        else:
            self.drawings += 1
            content = inline_svg(body, f"f{self.drawings}-")
            alt = alt or content.alt
        kind = "Table" if isinstance(body, Table) else "Figure"
        # with the mark, spreadsheet programs read UTF-8
        file = base64.b64encode(content.csv().encode("utf-8-sig")).decode() if isinstance(content, Table) else ""
        return [_Part(kind, content, caption, self._number(kind, caption), alt or caption or heading.strip(), file)]

    def _number(self, kind: str, caption: str) -> int:
        """Return the next number of a kind, or 0 without a caption."""
        if not caption:
            return 0
        self.numbers[kind] += 1
        return self.numbers[kind]


def _anchors(headings: Sequence[str]) -> list[str]:
    """Return an id for each heading, all different.

    >>> _anchors(["What it draws", "What it draws", "!"])
    ['what-it-draws', 'what-it-draws-2', 'section']
    """
    anchors: list[str] = []
    for heading in headings:
        base = re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-") or "section"
        anchor, n = base, 1
        while anchor in anchors:
            n += 1
            anchor = f"{base}-{n}"
        anchors.append(anchor)
    return anchors
