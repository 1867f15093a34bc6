"""Maps of a latent space: labeled points, pictures in a grid, and a decoded plane."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import MienError
from mien.figures import style
from mien.figures.mosaic import fitted, put
from mien.figures.pictures import Pictures, array, enlarged, listed, pictures, whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# the style's six markers and four more
MARKERS = (*style.MARKERS, "X", "p", "<", "*")
MOST = len(style.SERIES) * len(MARKERS)
FEW = 12  # up to this number of kinds the legend is beside the map, else below it
RASTER = 3000  # with more points, a vector file would be slow to open
COLUMNS = 3  # of the legend below the map
SIDE = 560  # of a map, in points of the page
SMALLEST = 6.5  # pt


def latent_scatter(
    positions: ArrayLike,
    labels: Sequence[str | None] | None = None,
    *,
    axes: tuple[str, str] | None = None,
) -> Figure:
    """Draw labeled points of a plane: a kind has a color and a marker, and its name is at its center.

    Args:
        positions: (n, 2), such as latents of two dimensions or a t-SNE map.
        labels: the kind of each point (n), None for an unknown one; without labels all points look alike. If there
            are more than sixty kinds, the rarest share one color and marker.
        axes: names of the two axes; without names the axes have no scale, as for t-SNE.

    Raises:
        MienError: other shapes, values that are not finite, or another number of labels.

    >>> latent_scatter([[0, 0], [1, 1], [2, 0]], ["cat", "dog", None]).get_label()
    '3 points of a plane: 1 cat, 1 dog, 1 not known'
    """
    points = _positions(positions)
    kinds, number = _kinds(labels, len(points))
    counts, unknown = [int((number == k).sum()) for k in range(len(kinds))], int((number < 0).sum())
    with style.drawing():
        rows = -(-len(kinds) // COLUMNS)
        few = len(kinds) <= FEW
        words = (
            _words(kinds, counts, unknown) if few else [f"{i}  {style.label(k, 28, 1)}" for i, k in enumerate(kinds, 1)]
        )
        left, top, bottom = (66, 8, 42) if axes else (4, 4, 4)
        beside = max((style.text_width(word, style.SMALL) for word in words), default=0) + 44 if few and kinds else 4
        below = 0 if few else 14.5 * rows + 16
        unit = style.DPI / style.PAGE_DPI  # figure pixels in a point of the page
        size = (left + SIDE + beside, top + SIDE + bottom + below)
        figure, _ = style.blank(*(round(length * unit) for length in size), alt=_alt(kinds, counts, unknown))
        panel = style.panel(figure, left * unit, top * unit, SIDE * unit, SIDE * unit)
        _frame(panel, points, axes)
        handles = _draw(panel, points, kinds, number)
        legend: dict[str, Any] = {"borderpad": 0, "borderaxespad": 0, "handletextpad": 0.3}
        if few and kinds:
            at = ((left + SIDE + 12) / size[0], 1 - top / size[1])
            figure.legend(handles, words, loc="upper left", bbox_to_anchor=at, labelspacing=0.7, **legend)
        elif kinds:
            at = (left / size[0], (below - 8) / size[1])
            legend |= {"ncols": COLUMNS, "fontsize": SMALLEST, "columnspacing": 1.0, "labelspacing": 0.35}
            figure.legend(handles[: len(kinds)], words, loc="upper left", bbox_to_anchor=at, **legend)
        _centers(panel, points, kinds if few else [str(i) for i in range(1, len(kinds) + 1)], number)
    return figure


def picture_grid(x: ArrayLike, cells: ArrayLike | None = None, *, gap: int = 2) -> Figure:
    """Draw pictures in the cells of a grid, such as VAE-WGAN's Fig. 13, where neighbors are similar.

    Args:
        x: pictures, floats (N, C, H, W) in [-1, 1] or uint8 (N, H, W, C).
        cells: the number of the picture in each cell (R, S), -1 for an empty cell; by default all, row by row.
        gap: white space between them, in points of the page.

    Raises:
        MienError: not pictures, or cells that are not numbers of pictures.

    >>> picture_grid(np.zeros((3, 1, 8, 8)), [[0, 1], [2, -1]]).get_label()
    '3 pictures in a grid of 2 rows and 2 columns'
    """
    shown = pictures(x)
    if cells is None:
        columns = int(np.ceil(np.sqrt(len(shown))))
        rows = -(-len(shown) // columns)
        table = np.pad(np.arange(len(shown)), (0, rows * columns - len(shown)), constant_values=-1)
        table = table.reshape(rows, columns)
    else:
        table = array(cells, "cells")
    if table.ndim != 2 or not table.size or table.dtype.kind not in "iu":
        raise MienError(f"expected cells (R, S) of whole numbers, got {table.dtype} {table.shape}")
    if table.min() < -1 or table.max() >= len(shown):
        raise MienError(f"expected cells from -1 to {len(shown) - 1}, got {table.min()} to {table.max()}")
    rows, columns = table.shape
    most = style.WIDTH - (columns - 1) * whole(gap, "gap", 0)
    with style.drawing():
        fit = fitted(shown.shape[1], shown.shape[2], room=most / columns, most=most, columns=columns)
        canvas = _composed(enlarged(shown, fit.scale), table, round(gap * fit.dpi / style.PAGE_DPI))
        count = int((table >= 0).sum())
        alt = f"{count} pictures in a grid of {rows} rows and {columns} columns"
        figure, sheet = style.blank(canvas.shape[1], canvas.shape[0], alt=alt, dpi=fit.dpi)
        figure.set_gid(fit.gid)
        put(sheet, canvas, 0, 0, 1)
    return figure


def decoded_grid(
    rows: ArrayLike,
    *,
    z1: tuple[float, float],
    z2: tuple[float, float],
    axes: tuple[str, str] = ("z₁", "z₂"),
) -> Figure:
    """Draw pictures decoded from a lattice in a latent plane over its two axes, such as SSAVAE's Fig. 8.

    Args:
        rows: pictures (R, S, C, H, W); the first row has the highest z2.
        z1, z2: the latent of the first and the last picture of an axis, low and high.
        axes: the axes' names.

    Raises:
        MienError: not pictures, or an empty range.
    """
    shown = pictures(rows, "rows", lead=2)
    (count, columns), (height, width) = shown.shape[:2], shown.shape[2:4]
    for name, (low, high) in (("z1", z1), ("z2", z2)):
        if not (np.isfinite(low) and np.isfinite(high) and low < high):
            raise MienError(f"expected a range of {name} from low to high, got {low:g} to {high:g}")
    canvas = _composed(shown.reshape(-1, *shown.shape[2:]), np.arange(count * columns).reshape(count, columns), 0)
    with style.drawing():
        fit = fitted(height, width, room=720 / columns, most=style.WIDTH - 60, columns=columns)
        unit = fit.dpi / style.PAGE_DPI  # figure pixels in a point of the page
        left, bottom, edge = round(64 * unit), round(44 * unit), round(10 * unit)
        w, h = canvas.shape[1] * fit.scale, canvas.shape[0] * fit.scale
        ranges = [f"{name} {low:.3g} to {high:.3g}" for name, (low, high) in zip(axes, (z1, z2), strict=True)]
        alt = f"{count} x {columns} pictures decoded from {' and '.join(ranges)}"
        figure, _ = style.blank(w + left + edge, h + bottom + edge, alt=alt, dpi=fit.dpi)
        figure.set_gid(fit.gid)
        panel = style.panel(figure, left, edge, w, h)
        # the center of a picture is at its latent
        half1 = (z1[1] - z1[0]) / max(columns - 1, 1) / 2
        half2 = (z2[1] - z2[0]) / max(count - 1, 1) / 2
        extent = (z1[0] - half1, z1[1] + half1, z2[0] - half2, z2[1] + half2)
        panel.imshow(enlarged(canvas, fit.scale), extent=extent, interpolation="none", aspect="auto")
        panel.set(xlabel=axes[0], ylabel=axes[1])
        panel.grid(False)
        panel.xaxis.set_major_formatter(lambda value, _: style.number(round(value, 9)))
        panel.yaxis.set_major_formatter(lambda value, _: style.number(round(value, 9)))
    return figure


def _composed(shown: Pictures, cells: NDArray[np.integer[Any]], gap: int) -> Pictures:
    """Return pictures (N, H, W, 3) in their cells, ``gap`` pixels apart, as one picture with empty cells white."""
    (rows, columns), (height, width) = cells.shape, shown.shape[1:3]
    canvas = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for (i, j), number in np.ndenumerate(cells):
        if number >= 0:
            top, left = i * (height + gap), j * (width + gap)
            canvas[top : top + height, left : left + width] = shown[number]
    return canvas


def _positions(values: ArrayLike) -> NDArray[np.float64]:
    points = array(values, "positions")
    if points.ndim != 2 or points.shape[1] != 2 or not len(points) or points.dtype.kind not in "fiu":
        raise MienError(f"expected positions (n, 2) of numbers, got {points.dtype} {points.shape}")
    if not np.isfinite(points).all():
        raise MienError(f"expected finite positions, got {np.count_nonzero(~np.isfinite(points))} other values")
    return points.astype(np.float64)


def _kinds(labels: Sequence[str | None] | None, n: int) -> tuple[list[str], NDArray[np.int64]]:
    """Return the kinds, in the order of their names, and the number of each point's kind; -1 if unknown."""
    if labels is None:
        return [], np.full(n, -1)
    names = listed(["" if label is None else str(label) for label in labels], n, "labels, one for each point")
    counts = Counter(name for name, label in zip(names, labels, strict=True) if label is not None)
    kept = {kind for kind, _ in counts.most_common(MOST if len(counts) <= MOST else MOST - 1)}
    kinds = sorted(kept, key=_natural)
    if len(counts) > MOST:
        kinds.append(f"{len(counts) - len(kept)} others")
    places = {kind: i for i, kind in enumerate(kinds)}
    rest = len(kinds) - 1
    number = [
        -1 if label is None else places.get(text, rest)
        for text, label in zip(names, labels, strict=True)
    ]  # fmt: skip
    return kinds, np.array(number)


def _natural(name: str) -> list[tuple[bool, int, str]]:
    """Return a sorting key: numbers are sorted by value, also inside names, and come before words."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return [(False, int(part), part) if part.isdecimal() else (True, 0, part) for part in parts]


def _words(kinds: list[str], counts: list[int], unknown: int) -> list[str]:
    """Return the texts of the legend: the kinds, and the unknown points."""
    words = [f"{style.label(kind, 24)} ({count:,})" for kind, count in zip(kinds, counts, strict=True)]
    return [*words, f"not known ({unknown:,})"] if unknown else words


def _alt(kinds: list[str], counts: list[int], unknown: int) -> str:
    what = f"{sum(counts) + unknown} points of a plane"
    if not kinds:
        return what
    parts = [f"{count} {kind}" for kind, count in zip(kinds[:FEW], counts, strict=False)]
    if len(kinds) > FEW:
        parts.append(f"{len(kinds) - FEW} more kinds")
    return f"{what}: {', '.join(parts + ([f'{unknown} not known'] if unknown else []))}"


def _frame(panel: Axes, points: NDArray[np.float64], axes: tuple[str, str] | None) -> None:
    """Set a panel's limits from its points, the same scale on both axes, and the names of the axes."""
    low, high = points.min(0), points.max(0)
    middle, half = (low + high) / 2, max(float((high - low).max()), 1e-9) * 0.53
    panel.set(xlim=(middle[0] - half, middle[0] + half), ylim=(middle[1] - half, middle[1] + half))
    panel.set_aspect("equal")
    if axes is None:
        panel.set(xticks=[], yticks=[])
    else:
        panel.set(xlabel=axes[0], ylabel=axes[1])
    panel.spines[["top", "right"]].set_visible(True)


def _draw(panel: Axes, points: NDArray[np.float64], kinds: list[str], number: NDArray[np.int64]) -> list[Any]:
    """Draw the points of each kind; return the handles of the legend, that of the unknown points last."""
    from matplotlib.lines import Line2D

    size = float(np.clip(3000 / len(points), 3.5, 22))
    handles: list[Any] = []
    unknown = number < 0
    if unknown.any():
        color = style.MUTED if kinds else style.SERIES[0]
        share, alpha = (0.5, 0.6) if kinds else (1, 0.8)
        panel.scatter(
            points[unknown, 0],
            points[unknown, 1],
            s=size * share,
            c=color,
            linewidths=0,
            alpha=alpha,
            rasterized=len(points) > RASTER,
        )
    for k in range(len(kinds)):
        color, marker = style.KINDS[k % len(style.KINDS)], MARKERS[(k + k // len(style.KINDS)) % len(MARKERS)]
        face = color if k % 2 == 0 else style.PAPER
        edge: Any = {"edgecolors": color, "facecolors": face, "linewidths": 0.6}
        rows = number == k
        panel.scatter(
            points[rows, 0], points[rows, 1], s=size, marker=marker, alpha=0.85, rasterized=len(points) > RASTER, **edge
        )
        handles.append(Line2D([], [], ls="", marker=marker, ms=5, mfc=face, mec=color, mew=0.9))
    if unknown.any() and kinds:
        handles.append(Line2D([], [], ls="", marker="o", ms=2.5, mfc=style.MUTED, mec="none"))
    return handles


def _centers(panel: Axes, points: NDArray[np.float64], words: Sequence[str], number: NDArray[np.int64]) -> None:
    """Write the name of each kind among its points, if there are three kinds or more; no names overlap.

    The most frequent kinds are first. A kind without a free point gets no name here, only in the legend.
    """
    if len(words) < 3:
        return
    from matplotlib.patheffects import withStroke

    room = (panel.get_xlim()[1] - panel.get_xlim()[0]) / SIDE  # a point of the page, in units of the plane
    places: list[tuple[NDArray[np.float64], float]] = []
    for k in sorted(range(len(words)), key=lambda k: -int((number == k).sum())):
        rows = points[number == k]
        name, large = style.label(words[k], 14, 1), len(words) <= FEW and len(words[k]) < 4
        size = style.TEXT + 2 * large
        half = style.text_width(name, size) * 0.55 + 2  # bold is wider
        # at the point nearest to the median, because there may be no points at the median itself
        for i in np.abs(rows - np.median(rows, axis=0)).sum(1).argsort():
            distances = [np.abs(rows[i] - at) / room / (half + other, 17) for at, other in places]
            if all(distance.max() > 1 for distance in distances):
                places.append((rows[i], half))
                text = panel.text(rows[i, 0], rows[i, 1], name, size=size, weight="bold", ha="center", va="center")
                text.set_path_effects([withStroke(linewidth=2.2, foreground=style.PAPER)])
                break
