"""Figures to files and to the text of a page, the same bytes each time for the same figure."""

from __future__ import annotations

import html
import io
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mien.errors import MienError
from mien.figures import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# what matplotlib would stamp with the time or its own version
_METADATA = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def save(figure: Figure | NDArray[np.uint8], path: str | os.PathLike[str]) -> Path:
    """Write a figure, as what its path's ending says, whole or not at all.

    Args:
        figure: what a function of :mod:`mien.figures` returned.
        path: ends in .png, .svg or .pdf (a contact sheet of pixels: .png); its folder is made if needed.

    Returns:
        The path written.

    Raises:
        MienError: another ending, not a figure, or the file cannot be written there.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if isinstance(figure, np.ndarray):
        if ending != ".png":
            raise MienError(f"expected a path ending in .png for a sheet of pixels, got '{path}'")
        content = png(figure)
    else:
        if ending not in _METADATA:
            raise MienError(f"expected a path ending in .png, .svg or .pdf, got '{path}'")
        content = _rendered(figure, ending, facecolor=style.PAPER)
        if ending == ".svg":
            content = _renumbered(content.decode(), "m").encode()
    write(path, lambda file: file.write(content))
    return path


def write(path: Path, content: Callable[[IO[bytes]], object]) -> None:
    """Have ``content`` write a file beside ``path`` and only then give it that name.

    Raises:
        MienError: the file cannot be written there.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            content(file)
        os.replace(temporary, path)
    except OSError as error:
        raise MienError(f"cannot write '{path}': {error.strerror or error}") from error
    finally:
        # a PermissionError or a parent that is a file leaves nothing to take away
        if temporary.parent.is_dir():
            temporary.unlink(missing_ok=True)


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Return a picture, uint8 (H, W, 3) or (H, W, 1), as a PNG file.

    Raises:
        MienError: another type or shape.
    """
    from PIL import Image

    pixels = np.asarray(pixels)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or 0 in pixels.shape:
        wanted = "expected a sheet as uint8 (H, W, 3) or (H, W, 1)"
        raise MienError(f"{wanted}, got {pixels.dtype} {pixels.shape}")
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def inline_svg(figure: Figure, alt: str, prefix: str) -> str:
    """Return a figure as an ``<svg>`` element to put into a page, its colors the page's variables.

    Args:
        figure: any matplotlib figure.
        alt: what it shows, in words.
        prefix: begins every id, so that several figures of a page do not share one.
    """
    text = _rendered(figure, ".svg", facecolor="none").decode()
    # words must stay readable on a phone, where the figure then scrolls; pictures alone may shrink
    least = 640 if '<g id="text_' in text else 0
    text = _renumbered(text, prefix)
    view = re.search(r'viewBox="([^"]+)"', text)
    body = text[text.index(">", text.index("<svg")) + 1 :]
    # pictures, unlike lines, may hold anything that looks like a color only in base64, which has no '#'
    for color in (*style.DARK, "#000000"):
        name = variable(style.INK if color == "#000000" else color)
        body = re.sub(re.escape(color) + r"\b", f"var({name})", body, flags=re.IGNORECASE)
    # metadata, and a style sheet that would be the whole page's
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<defs>\s*</defs>", "", body, flags=re.DOTALL)
    body = body.replace("xlink:href", "href")
    # enlarged pixels stay square pixels; a picture shown smaller than it is must be averaged
    if figure.get_gid() == SMOOTH:
        body = re.sub(r"image-rendering:[^;\"]+;?", "", body)
    width = figure.get_size_inches()[0] * style.PAGE_DPI
    box = view.group(1) if view else ""
    return (
        f'<svg class="plate" role="img" aria-label="{html.escape(alt)}" viewBox="{box}" '
        f'style="width:{width:.0f}px;min-width:{min(width, least):.0f}px">{body.strip()}'
    )


SMOOTH = "smooth"
"""The gid of a figure whose pictures have more pixels than it has room for."""


def variable(color: str) -> str:
    """Return the name of the page's variable for one of the style's colors.

    >>> variable("#ffffff")
    '--c-ffffff'
    """
    return f"--c-{color[1:]}"


def _rendered(figure: Figure, ending: str, facecolor: str) -> bytes:
    from matplotlib.figure import Figure

    if not isinstance(figure, Figure):
        raise MienError(f"expected a figure or a sheet of pixels, got {type(figure).__name__}")
    buffer = io.BytesIO()
    with style.drawing():
        figure.savefig(buffer, format=ending[1:], dpi=figure.dpi, facecolor=facecolor, metadata=_METADATA[ending])
    return buffer.getvalue()


def _renumbered(svg: str, prefix: str) -> str:
    """Return ``svg`` without comments, its ids (random in matplotlib) numbered in order."""
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    numbers: dict[str, str] = {}
    for found in re.findall(r'\bid="([^"]+)"', svg):
        numbers.setdefault(found, f"{prefix}{len(numbers)}")

    def renamed(match: re.Match[str]) -> str:
        before, name, after = match.groups()
        return f"{before}{numbers.get(name, name)}{after}"

    return re.sub(r'(\bid="|href="#|url\(#)([^")]+)([")])', renamed, svg)
