"""Figures to files and to SVG elements of a page; the same figure gives the same bytes each time."""

from __future__ import annotations

import io
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mien.errors import MienError
from mien.figures import style
from mien.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# matplotlib would write the time or its own version here
_METADATA = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}

SMOOTH = "smooth"
"""The gid of a figure that shows its pictures smaller than they are."""


@dataclass(frozen=True)
class Drawing:
    """A figure as an ``<svg>`` element, without its opening tag.

    Args:
        view_box: the value of the attribute viewBox.
        width: in CSS pixels.
        least: the smallest width, in CSS pixels, at which its words are readable; 0 without words.
        alt: the figure's label, which says what it shows; may be empty.
        body: the element's content and its closing tag.
    """

    view_box: str
    width: int
    least: int
    alt: str
    body: str


def save(figure: Figure | NDArray[np.uint8], path: str | os.PathLike[str]) -> Path:
    """Write a figure in the format of the path's extension, complete or not at all.

    Args:
        figure: the result of a function of :mod:`mien.figures`.
        path: ends in .png, .svg or .pdf (for a sheet of pixels: .png); a missing folder is created.

    Returns:
        The path.

    Raises:
        MienError: another extension, not a figure, or a file that cannot be written.
    """
    path = Path(path)
    extension = path.suffix.lower()
    if isinstance(figure, np.ndarray):
        if extension != ".png":
            raise MienError(f"expected a path ending in .png for a sheet of pixels, got '{path}'")
        content = png(figure)
    else:
        if extension not in _METADATA:
            raise MienError(f"expected a path ending in .png, .svg or .pdf, got '{path}'")
        content = _rendered(figure, extension, facecolor=style.PAPER)
        if extension == ".svg":
            content = _renumbered(content.decode(), "m").encode()
    write(path, content)
    return path


def write(path: Path, content: bytes) -> None:
    """Write a file, complete or not at all; see :func:`mien.files.write_atomically`."""
    write_atomically(path, lambda temporary: temporary.write_bytes(content))


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Return a picture, uint8 (H, W, 3) or (H, W, 1), as a PNG file.

    Raises:
        MienError: another type or shape.
    """
    from PIL import Image

    pixels = np.asarray(pixels)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or 0 in pixels.shape:
        raise MienError(f"expected a sheet as uint8 (H, W, 3) or (H, W, 1), got {pixels.dtype} {pixels.shape}")
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def inline_svg(figure: object, prefix: str) -> Drawing:
    """Return a figure as an element of a page; its colors become the page's variables.

    Args:
        figure: any matplotlib figure.
        prefix: begins every id, so that no two figures of a page share one.

    Raises:
        MienError: not a figure.
    """
    text = _rendered(figure, ".svg", facecolor="none").decode()
    # words must stay readable on a phone, where the figure then scrolls; pictures without words may shrink
    least = 640 if '<g id="text_' in text else 0
    text = _renumbered(text, prefix)
    view = re.search(r'viewBox="([^"]+)"', text)
    body = text[text.index(">", text.index("<svg")) + 1 :]
    # base64 has no '#', so the data of pictures do not match
    for color in (*style.DARK, "#000000"):
        name = variable(style.INK if color == "#000000" else color)
        body = re.sub(re.escape(color) + r"\b", f"var({name})", body, flags=re.IGNORECASE)
    # a <style> element inside an <svg> would apply to the whole page
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<defs>\s*</defs>", "", body, flags=re.DOTALL)
    body = body.replace("xlink:href", "href")
    # enlarged pixels stay sharp squares; a picture smaller than its pixels must be averaged
    if figure.get_gid() == SMOOTH:  # type: ignore[attr-defined]
        body = re.sub(r"image-rendering:[^;\"]+;?", "", body)
    width = round(figure.get_size_inches()[0] * style.PAGE_DPI)  # type: ignore[attr-defined]
    label = str(figure.get_label())  # type: ignore[attr-defined]
    return Drawing(view.group(1) if view else "", width, min(width, least), label.strip(), body.strip())


def variable(color: str) -> str:
    """Return the name of the page's variable for one of the style's colors.

    >>> variable("#ffffff")
    '--c-ffffff'
    """
    return f"--c-{color[1:]}"


def _rendered(figure: object, extension: str, facecolor: str) -> bytes:
    from matplotlib.figure import Figure

    if not isinstance(figure, Figure):
        raise MienError(f"expected a figure or a sheet of pixels, got {type(figure).__name__}")
    buffer = io.BytesIO()
    with style.drawing():
        metadata = _METADATA[extension]
        figure.savefig(buffer, format=extension[1:], dpi=figure.dpi, facecolor=facecolor, metadata=metadata)
    return buffer.getvalue()


def _renumbered(svg: str, prefix: str) -> str:
    """Return an SVG without comments and with its ids, which matplotlib draws at random, numbered in order."""
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    numbers: dict[str, str] = {}
    for name in re.findall(r'\bid="([^"]+)"', svg):
        numbers.setdefault(name, f"{prefix}{len(numbers)}")

    def renamed(match: re.Match[str]) -> str:
        before, name, after = match.groups()
        return f"{before}{numbers.get(name, name)}{after}"

    return re.sub(r'(\bid="|href="#|url\(#)([^")]+)([")])', renamed, svg)
