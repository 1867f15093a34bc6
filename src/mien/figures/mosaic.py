"""The layout of pictures in labeled rows and columns.

All pictures of a figure have the same size. A pixel of a picture becomes a whole number of the figure's pixels,
so a 28x20 face stays sharp. Only pictures too large for the page are reduced.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mien.figures import style
from mien.figures.pictures import Pictures, enlarged
from mien.figures.saving import SMOOTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# lengths in points of the page
GAP, BREAK, BAND_GAP, MARGIN = 4, 14, 12, 2
LINE = 15  # from one line of small type to the next
HEAD_GAP, LABEL_GAP = 3, 8  # between words and pictures
LARGEST, WIDEST = 128, 1000
READABLE = 56  # the least width of a picture where there is room
LEAST_TYPE = 5.5  # pt


@dataclass(frozen=True)
class Band:
    """Rows of pictures that belong together.

    Args:
        rows: pictures, uint8 (H, W, 3), row by row; rows may be of different lengths.
        labels: a name for each row, or none.
        heads: a name for each column, or none.
    """

    rows: Sequence[Sequence[Pictures]]
    labels: Sequence[str] = ()
    heads: Sequence[str] = ()


@dataclass(frozen=True)
class Fit:
    """The size of drawn pictures: their scale, the figure's pixels per inch, and the figure's gid."""

    scale: int
    dpi: float
    gid: str | None


def fitted(height: int, width: int, room: float, most: float, columns: int = 1) -> Fit:
    """Return the size at which ``columns`` pictures fit side by side.

    A pixel becomes a whole number of points. If that makes pictures narrower than READABLE points, a pixel becomes a
    number of half points (pixels of the figure), and the pictures may use all of ``most``.

    Args:
        height, width: of a picture, in its pixels.
        room: the largest width of a picture, in points of the page; the largest height is LARGEST.
        most: the width for all together if they would otherwise be reduced, or narrower than READABLE.
        columns: the number of pictures side by side.

    >>> fitted(28, 20, room=90, most=900)
    Fit(scale=8, dpi=240, gid=None)
    >>> fitted(32, 32, room=61, most=930, columns=13)
    Fit(scale=4, dpi=240, gid=None)
    >>> fitted(512, 512, room=64, most=900, columns=12)
    Fit(scale=1, dpi=960.0, gid='smooth')
    """
    room = max(16, min(room, LARGEST))
    times = int(min(room // width, LARGEST // height))
    if times or (width * columns <= most and height <= LARGEST):
        readable = math.ceil(2 * READABLE / width)
        possible = int(min(2 * max(room, most / columns) / width, 2 * LARGEST / height))
        return Fit(max(2, 2 * times, min(readable, possible)), style.DPI, None)
    # the factor by which a picture is reduced
    share = min(room / width, LARGEST / height)
    scale = math.ceil(2 * share)
    return Fit(scale, style.PAGE_DPI * scale / share, SMOOTH)


def put(canvas: Axes, picture: Pictures, x: float, y: float, scale: int) -> None:
    """Draw a picture (H, W, 3), enlarged, on the axes of :func:`style.blank` at a place in its pixels."""
    large = enlarged(picture, scale)
    extent = (x, x + large.shape[1], y + large.shape[0], y)
    canvas.imshow(large, extent=extent, interpolation="none", aspect="auto")


class _Layout:
    """The places of all parts of a mosaic, in the figure's pixels."""

    def __init__(self, bands: Sequence[Band], breaks: Collection[int]):
        height, width, _ = bands[0].rows[0][0].shape
        columns = max(len(row) for band in bands for row in band.rows)
        self.labels = [[style.label(name) for name in band.labels] for band in bands]
        words = [text for band in self.labels for text in band]
        margin = MARGIN + max((style.text_width(text) + LABEL_GAP for text in words), default=0)
        between = (columns - 1) * GAP + len(breaks) * (BREAK - GAP)
        room = (style.WIDTH - margin - between) / columns
        self.fit = fitted(height, width, room, WIDEST - margin - between, columns)
        self.width, self.height = width * self.fit.scale, height * self.fit.scale  # of a picture

        self.start = self.pixels(margin)
        step, extra = self.width + self.pixels(GAP), self.pixels(BREAK) - self.pixels(GAP)
        self.lefts = [self.start + i * step + extra * sum(b < i for b in breaks) for i in range(columns)]
        self.head_size, letters = _head_type(bands, self.width * style.PAGE_DPI / self.fit.dpi + GAP)
        self.heads = [[style.label(head, letters, 3) for head in band.heads] for band in bands]
        self.tops: list[list[int]] = []  # of each band's rows
        bottom = self.pixels(MARGIN)
        for band, heads in zip(bands, self.heads, strict=True):
            lines = max((head.count("\n") + 1 for head in heads), default=0)
            bottom += self.pixels(lines * LINE + HEAD_GAP) if lines else 0
            self.tops.append([bottom + i * (self.height + self.pixels(GAP)) for i in range(len(band.rows))])
            bottom = self.tops[-1][-1] + self.height + self.pixels(BAND_GAP)
        self.size = (
            self.lefts[-1] + self.width + self.pixels(MARGIN),
            bottom - self.pixels(BAND_GAP) + self.pixels(MARGIN),
        )

    def pixels(self, length: float) -> int:
        """Return a length in points of the page in whole pixels of the figure."""
        return round(length * self.fit.dpi / style.PAGE_DPI)


def _head_type(bands: Sequence[Band], room: float) -> tuple[float, int]:
    """Return the type size, in pt, at which the longest word of the heads fits ``room``, and the letters per line."""
    words = [word for band in bands for head in band.heads for word in str(head).replace("_", " ").split(" ")]
    widest = max((style.text_width(word, style.SMALL) for word in words if word), default=0)
    size = max(LEAST_TYPE, min(style.SMALL, style.SMALL * room / max(widest, 1)))
    whole = [len(word) for word in words if word and style.text_width(word, size) <= room + 0.5]
    return size, max([int(room / style.text_width("n", size)), *whole])


def mosaic(bands: Sequence[Band], *, alt: str, breaks: Collection[int] = ()) -> Figure:
    """Draw bands of pictures one below another, all pictures of one size.

    Args:
        bands: at least one, with at least one picture.
        alt: a description of the figure in words.
        breaks: the columns that have a wider gap after them.
    """
    with style.drawing():
        at = _Layout(bands, breaks)
        figure, canvas = style.blank(*at.size, alt=alt, dpi=at.fit.dpi)
        figure.set_gid(at.fit.gid)
        beside, above = at.start - at.pixels(LABEL_GAP), at.pixels(HEAD_GAP)
        for band, tops, labels, heads in zip(bands, at.tops, at.labels, at.heads, strict=True):
            for row, top in zip(band.rows, tops, strict=True):
                for picture, left in zip(row, at.lefts, strict=False):
                    put(canvas, picture, left, top, at.fit.scale)
            for text, top in zip(labels, tops, strict=False):
                canvas.text(beside, top + at.height / 2, text, ha="right", va="center", linespacing=1.1)
            small: Any = {"size": at.head_size, "color": style.MUTED, "va": "bottom"}
            for text, left in zip(heads, at.lefts, strict=False):
                canvas.text(left + at.width / 2, tops[0] - above, text, ha="center", **small)
    return figure
