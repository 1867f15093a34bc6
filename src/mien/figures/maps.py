"""Maps of a latent space: points with their labels, pictures laid out as a grid, and a decoded plane."""

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

# beyond the style's six, so that with its six colors sixty kinds differ
MARKERS = (*style.MARKERS, "X", "p", "<", "*")
MOST = len(style.SERIES) * len(MARKERS)
FEW = 12  # up to so many kinds the legend stands beside the map, above it below
RASTER = 3000  # above so many points a vector file would be slow to open
COLUMNS = 3  # of that legend
SIDE = 560  # of a map, in points of the page
SMALLEST = 6.5  # pt


def latent_scatter(
    positions: ArrayLike,
    labels: Sequence[str | None] | None = None,
    *,
    axes: tuple[str, str] | None = None,
) -> Figure:
    """Draw points of a plane with what each of them is: by color, by marker and, at each kind's center, by name.

    Args:
        positions: (n, 2), such as latents of two dimensions or a t-SNE map.
        labels: what each point is (n), None where that is not known; none draws plain points. Above sixty kinds the
            rarer ones are drawn alike.
        axes: names of the two axes; none leaves them without a scale, as those of t-SNE, which have none.

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
            _words(kinds, counts, unknown) if few else [f"{i} {style.label(k, 28, 1)}" for i, k in enumerate(kinds, 1)]
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
    """Draw pictures in the cells of a grid, such as VAE-WGAN's Fig. 13: those beside each other are alike.

    Args:
        x: pictures, floats (N, C, H, W) in [-1, 1] or uint8 (N, H, W, C).
        cells: which picture stands in each cell (R, S), -1 where none does; by default all, row by row.
        gap: white points of the page between them, whatever size the pictures have.

    Raises:
        MienError: not such pictures, or cells that are no numbers of pictures.

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
        rows: pictures (R, S, C, H, W), the first row of the highest z2.
        z1, z2: the latent of the first and the last picture of an axis, low and high.
        axes: the axes' names.

    Raises:
        MienError: not such pictures, or a range that is none.
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
        wide, high_ = canvas.shape[1] * fit.scale, canvas.shape[0] * fit.scale
        alt = f"{count} x {columns} pictures decoded from {axes[0]} {z1[0]:.3g} to {z1[1]:.3g} and {axes[1]} {z2[0]:.3g} to {z2[1]:.3g}"
        figure, _ = style.blank(wide + left + edge, high_ + bottom + edge, alt=alt, dpi=fit.dpi)
        figure.set_gid(fit.gid)
        panel = style.panel(figure, left, edge, wide, high_)
        # a picture is centered on the latent it was decoded from
        half1 = (z1[1] - z1[0]) / max(columns - 1, 1) / 2
        half2 = (z2[1] - z2[0]) / max(count - 1, 1) / 2
        extent = (z1[0] - half1, z1[1] + half1, z2[0] - half2, z2[1] + half2)
        panel.imshow(enlarged(canvas, fit.scale), extent=extent, interpolation="none", aspect="auto")
        panel.set(xlabel=axes[0], ylabel=axes[1])
        panel.grid(False)
        panel.xaxis.set_major_formatter(lambda value, _: style.number(round(value, 9)))
        panel.yaxis.set_major_formatter(lambda value, _: style.number(round(value, 9)))
    return figure


def _composed(shown: Pictures, cells: NDArray, gap: int) -> Pictures:
    """Return pictures (N, H, W, 3) in their cells, ``gap`` pixels apart, as one picture, white where there is none."""
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
        raise MienError(f"expected finite positions, got {np.count_nonzero(~np.isfinite(points))} values that are not")
    return points.astype(np.float64)


def _kinds(labels: Sequence[str | None] | None, n: int) -> tuple[list[str], NDArray[np.int64]]:
    """Return the kinds there are, in order of their names, and the number of each point's; -1 where not known."""
    if labels is None:
        return [], np.full(n, -1)
    given = listed(["" if label is None else str(label) for label in labels], n, "labels, one for each point")
    known = Counter(label for label, whole in zip(given, labels, strict=True) if whole is not None)
    kept = {kind for kind, _ in known.most_common(MOST if len(known) <= MOST else MOST - 1)}
    kinds = sorted(kept, key=_natural)
    if len(known) > MOST:
        kinds.append(f"{len(known) - len(kept)} others")
    places = {kind: i for i, kind in enumerate(kinds)}
    rest = len(kinds) - 1
    number = [
        -1 if label is None else places.get(text, rest)
        for text, label in zip(given, labels, strict=True)
    ]  # fmt: skip
    return kinds, np.array(number)


def _natural(name: str) -> list[tuple[bool, int, str]]:
    """Sort numbers by value, also those within names, and before words."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return [(False, int(part), part) if part.isdecimal() else (True, 0, part) for part in parts]


def _words(kinds: list[str], counts: list[int], unknown: int) -> list[str]:
    """Return what a legend says of each kind, and of the points not known."""
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


def _frame(panel: Axes, points: NDArray, axes: tuple[str, str] | None) -> None:
    """Give a panel the limits of its points, one unit as long on both axes, and its axes' names."""
    low, high = points.min(0), points.max(0)
    middle, half = (low + high) / 2, max(float((high - low).max()), 1e-9) * 0.53
    panel.set(xlim=(middle[0] - half, middle[0] + half), ylim=(middle[1] - half, middle[1] + half))
    panel.set_aspect("equal")
    if axes is None:
        panel.set(xticks=[], yticks=[])
    else:
        panel.set(xlabel=axes[0], ylabel=axes[1])
    panel.spines[["top", "right"]].set_visible(True)


def _draw(panel: Axes, points: NDArray, kinds: list[str], number: NDArray) -> list[Any]:
    """Draw the points of each kind; return what the legend shows, the points not known last."""
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
        color, marker = style.SERIES[k % len(style.SERIES)], MARKERS[(k + k // len(style.SERIES)) % len(MARKERS)]
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


def _centers(panel: Axes, points: NDArray, words: Sequence[str], number: NDArray) -> None:
    """Write each kind's name where its points lie, from three kinds on, the commonest first and none on another.

    A kind all of whose points are covered by others' names has none; the legend has it.
    """
    if len(words) < 3:
        return
    from matplotlib.patheffects import withStroke

    room = (panel.get_xlim()[1] - panel.get_xlim()[0]) / SIDE  # in the plane, of a point of the page
    taken: list[tuple[NDArray, float]] = []
    for k in sorted(range(len(words)), key=lambda k: -int((number == k).sum())):
        rows = points[number == k]
        name, large = style.label(words[k], 14, 1), len(words) <= FEW and len(words[k]) < 4
        size = style.TEXT + 2 * large
        half = style.text_width(name, size) * 0.55 + 2  # bold is wider
        # at the point nearest the median: a median itself may lie where no point is
        for i in np.abs(rows - np.median(rows, axis=0)).sum(1).argsort():
            away = [np.abs(rows[i] - at) / room / (half + other, 17) for at, other in taken]
            if all(apart.max() > 1 for apart in away):
                taken.append((rows[i], half))
                text = panel.text(rows[i, 0], rows[i, 1], name, size=size, weight="bold", ha="center", va="center")
                text.set_path_effects([withStroke(linewidth=2.2, foreground=style.PAPER)])
                break
