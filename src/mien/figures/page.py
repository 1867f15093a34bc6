"""The report page: one file that opens anywhere, with no script and nothing to fetch."""

from __future__ import annotations

import base64
import html
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Union

import numpy as np
from numpy.typing import NDArray

from mien.errors import MienError
from mien.figures import theme
from mien.figures.saving import inline_svg, png, write
from mien.figures.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Body = Union["Figure", NDArray[np.uint8], Table, str, "Captioned", Sequence["Body"]]

# a browser then fetches and runs nothing, whatever may have come into the page
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


@dataclass(frozen=True)
class Captioned:
    """A figure, a sheet of pixels or a table with what is written under or over it.

    Args:
        body: the figure, the sheet, uint8 (H, W, 3), or the table.
        caption: a sentence or two; the page puts 'Figure 1.' or 'Table 1.' before it.
        alt: what it shows for those who cannot see it; by default what the figure says of itself.
    """

    body: Figure | NDArray[np.uint8] | Table
    caption: str
    alt: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Args:
        heading: its title, which the contents list too.
        text: paragraphs, with empty lines between them; may be empty.
        body: a figure, a sheet of pixels, a table, one of these :class:`Captioned`, a text, or several.
    """

    heading: str
    text: str = ""
    body: Body = ()


def page(path: str | os.PathLike[str], title: str, sections: Iterable[Section], subtitle: str = "") -> Path:
    """Write a report as one HTML file, whole or not at all.

    Figures are drawn into the page as vectors in the reader's light or dark colors, sheets as pixels;
    all text is escaped.

    Args:
        path: the file, ending in .html or .htm, or a folder to write index.html in.
        title: the page's title.
        sections: its parts, at least one.
        subtitle: a line under the title, such as the model and the data.

    Returns:
        The file written.

    Raises:
        MienError: no title, no sections, something else in a section than it takes, or no way to write.
    """
    path = Path(path)
    path = path if path.suffix.lower() in (".html", ".htm") else path / "index.html"
    content = document(title, sections, subtitle).encode("utf-8", "replace")
    write(path, lambda file: file.write(content))
    return path


def document(title: str, sections: Iterable[Section], subtitle: str = "") -> str:
    """Return the page's HTML; see :func:`page`."""
    sections = list(sections)
    if not title.strip():
        raise MienError("expected a title for the page, got an empty one")
    if not sections:
        raise MienError("expected at least one section for the page, got none")
    for section in sections:
        if not isinstance(section, Section):
            raise MienError(f"expected sections of the page as Section, got {type(section).__name__}")
    anchors = _anchors([section.heading for section in sections])
    writer = _Writer()
    parts = [
        f'<section id="{anchor}"><h2>{_text(section.heading)}</h2>'
        f"{_paragraphs(section.text)}{writer.body(section.body, section.heading)}</section>"
        for anchor, section in zip(anchors, sections, strict=True)
    ]
    links = "".join(
        f'<li><a href="#{anchor}">{_text(section.heading)}</a></li>'
        for anchor, section in zip(anchors, sections, strict=True)
    )
    contents = f'<nav aria-label="Contents"><h2>Contents</h2><ol>{links}</ol></nav>' if len(parts) > 1 else ""
    under = f'<p class="subtitle">{_text(subtitle)}</p>' if subtitle.strip() else ""
    lines = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{_text(title)}</title>",
        f"<style>{theme.css()}</style></head>",
        '<body><a class="skip" href="#report">To the report</a><div class="whole">',
        f"<header><h1>{_text(title)}</h1>{under}{contents}</header>",
        f'<main id="report">{"".join(parts)}</main>',
        "</div></body></html>",
    ]
    return "\n".join(lines) + "\n"


class _Writer:
    """Writes the bodies of one page, numbering its figures and tables."""

    def __init__(self) -> None:
        self.figures = self.tables = self.plates = 0

    def body(self, body: object, heading: str, caption: str = "", alt: str = "") -> str:
        """Return a section's body, or a part of it, as HTML."""
        if isinstance(body, str):
            return _paragraphs(body)
        if isinstance(body, Captioned):
            if isinstance(body.body, str | list | tuple | Captioned):
                got = type(body.body).__name__
                raise MienError(f"expected a figure, a sheet or a table to caption, got {got}")
            return self.body(body.body, heading, body.caption, body.alt)
        if isinstance(body, list | tuple):
            return "".join(self.body(part, heading) for part in body)
        if isinstance(body, Table):
            # outside the frame, so that it does not scroll away with a wide table
            above = self._caption("Table", caption)
            return f"<figure>{above}{_scroll(body.html(), alt or caption or heading)}</figure>"
        if isinstance(body, np.ndarray):
            shown = self._sheet(body, alt or caption or heading)
        else:
            shown = self._plate(body, alt or str(getattr(body, "get_label", str)()) or caption or heading)
        below = self._caption("Figure", caption)
        return f"<figure>{_scroll(shown, alt or caption or heading)}{below}</figure>"

    def _caption(self, kind: str, caption: str) -> str:
        """Return a caption with its number; what has no caption has no number either."""
        if not caption.strip():
            return ""
        if kind == "Table":
            self.tables += 1
        else:
            self.figures += 1
        number = self.tables if kind == "Table" else self.figures
        return f"<figcaption><b>{kind} {number}.</b> {_text(caption)}</figcaption>"

    def _sheet(self, pixels: NDArray[np.uint8], alt: str) -> str:
        data = base64.b64encode(png(pixels)).decode()
        height, width = pixels.shape[:2]
        return (
            f'<img class="pixels" alt="{_text(alt)}" width="{width}" height="{height}" '
            f'src="data:image/png;base64,{data}">'
        )

    def _plate(self, figure: object, alt: str) -> str:
        self.plates += 1
        return inline_svg(figure, alt, f"f{self.plates}-")  # type: ignore[arg-type]


def _text(text: str) -> str:
    return html.escape(str(text).strip())


def _paragraphs(text: str) -> str:
    parts = re.split(r"\n\s*\n", text.strip())
    return "".join(f"<p>{_text(part)}</p>" for part in parts if part.strip())


def _scroll(content: str, name: str) -> str:
    # wide content scrolls in its own frame, by keyboard too
    return f'<div class="scroll" tabindex="0" role="group" aria-label="{_text(name)}">{content}</div>'


def _anchors(headings: Sequence[str]) -> list[str]:
    """Return an id for each heading, all different.

    >>> _anchors(["What it draws", "What it draws", "!"])
    ['what-it-draws', 'what-it-draws-2', 'section']
    """
    taken: list[str] = []
    for heading in headings:
        base = re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-") or "section"
        name, n = base, 1
        while name in taken:
            n += 1
            name = f"{base}-{n}"
        taken.append(name)
    return taken
