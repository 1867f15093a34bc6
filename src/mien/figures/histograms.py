"""Distances between pairs of faces, and landmarks on faces: the data of the identity and landmark measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import MienError
from mien.figures import style
from mien.figures.mosaic import fitted, put
from mien.figures.pictures import array, listed, pictures, same_shape

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL = 150  # points of the page, the height of a histogram
BIN = 0.05
GAP, HEAD = 6, 22  # points between pictures, and for words above the first row


def face_distances(groups: Mapping[str, Mapping[str, ArrayLike]], threshold: float | None = None) -> Figure:
    """Draw histograms of distances, one panel for each setting (a size), one line for each kind of pair.

    Args:
        groups: distances (n,) by setting and by kind of pair (the same kinds in each, at most six). NaN means that no
            face was found; these are omitted, and the legend gives the number drawn.
        threshold: a distance marked with a line.

    Raises:
        MienError: nothing to draw, too many kinds, or distances other than numbers of 0 or more.

    >>> face_distances({"64 px": {"same person": [0.4, 0.5], "strangers": [0.8]}}, 0.6).get_label()
    'histograms of distances: same person, strangers; for 64 px'
    """
    panels = {
        name: {kind: _distances(v, f"{kind}, {name}") for kind, v in pairs.items()} for name, pairs in groups.items()
    }
    kinds = list(dict.fromkeys(kind for pairs in panels.values() for kind in pairs))
    if not kinds or len(kinds) > len(style.SERIES):
        raise MienError(f"expected 1 to {len(style.SERIES)} kinds of pairs, got {len(kinds)}")
    largest = max(float(v.max(initial=0)) for pairs in panels.values() for v in pairs.values())
    edges = np.arange(0, max(largest, threshold or 0) + 2 * BIN, BIN)
    with style.drawing():
        from matplotlib.figure import Figure

        size = (style.WIDTH / style.PAGE_DPI, (len(panels) * PANEL + 20) / style.PAGE_DPI)
        figure = Figure(figsize=size, dpi=style.DPI, layout="constrained")
        figure.set_label(f"histograms of distances: {', '.join(kinds)}; for {', '.join(panels)}")
        rows = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (name, pairs) in zip(rows, panels.items(), strict=True):
            for kind, values in pairs.items():
                _histogram(axes, values, edges, kind, kinds.index(kind))
            if threshold is not None:
                axes.axvline(threshold, color=style.INK, linewidth=0.8)
            axes.set(xlim=(0, edges[-1]), ylabel="pairs / %", title=style.label(name, 60, 1))
            axes.set_ylim(bottom=0)
            axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), handlelength=4)
        if threshold is not None:
            rows[0].annotate(
                f"threshold {style.number(threshold)}", (threshold, 1), (0, 3), size=style.SMALL, ha="center",
                xycoords=("data", "axes fraction"), textcoords="offset points",
            )  # fmt: skip
        rows[-1].set_xlabel("distance of embeddings")
    return figure


def face_landmarks(
    rows: Sequence[ArrayLike],
    points: Sequence[ArrayLike],
    *,
    eyes: Sequence[int],
    rest: Sequence[int],
    names: Sequence[str],
) -> Figure:
    """Draw rows of faces with their landmarks: eyes as discs, other measured points as squares, the rest as dots.

    Args:
        rows: R sets of pictures (N, C, H, W), all of one size.
        points: for each set landmarks (N, P, 2) of (x, y) in its pixels, NaN where no face was found.
        eyes, rest: the indices of the eyes and of the other measured points, among the P.
        names: the names of the rows (R).

    Raises:
        MienError: not pictures, or other counts.
    """
    shown = [pictures(x, f"rows[{r}]") for r, x in enumerate(rows)]
    labels = listed(names, len(shown), "names, one for each row")
    if not shown or len(points) != len(shown):
        raise MienError(f"expected landmarks for each of one row or more, got {len(points)} for {len(shown)}")
    placed = [array(p, "points").astype(np.float64) for p in points]
    for r, (x, p) in enumerate(zip(shown, placed, strict=True)):
        same_shape(shown[0][:1], x[:1], f"rows[0] and rows[{r}]")
        if p.ndim != 3 or p.shape[::2] != (len(x), 2):
            raise MienError(f"expected landmarks ({len(x)}, P, 2) for rows[{r}], got {p.shape}")
    columns = max(map(len, shown))
    with style.drawing():
        margin = max(map(style.text_width, labels)) + 10
        _, height, width, _ = shown[0].shape
        fit = fitted(height, width, (style.WIDTH - margin) / columns - GAP, style.WIDTH, columns)
        px = fit.dpi / style.PAGE_DPI
        across, down = width * fit.scale + GAP * px, height * fit.scale + GAP * px
        alt = f"landmarks on {sum(map(len, shown))} faces, row by row: {', '.join(labels)}"
        size = (round(margin * px + columns * across), round(HEAD * px + len(shown) * down))
        figure, canvas = style.blank(*size, alt=alt, dpi=fit.dpi)
        figure.set_gid(fit.gid)
        key = "● eyes   ■ nose and corners of the mouth   no marks: no face found"
        canvas.text(margin * px, 3 * px, key, size=style.SMALL, color=style.MUTED, va="top")
        for r, (x, p) in enumerate(zip(shown, placed, strict=True)):
            top = HEAD * px + r * down
            canvas.text((margin - 8) * px, top + height * fit.scale / 2, labels[r], ha="right", va="center")
            for i, picture in enumerate(x):
                corner = (round(margin * px + i * across), round(top))
                put(canvas, picture, *corner, fit.scale)
                _marks(canvas, (p[i] + 0.5) * fit.scale + corner, eyes, rest)
        canvas.set(xlim=(0, size[0]), ylim=(size[1], 0))
    return figure


def _distances(values: ArrayLike, what: str) -> NDArray[np.float64]:
    numbers = array(values, what)
    if numbers.ndim != 1 or numbers.dtype.kind not in "fiu":
        raise MienError(f"expected distances '{what}' as numbers (n,), got {numbers.dtype} {numbers.shape}")
    distances: NDArray[np.float64] = numbers.astype(np.float64)
    distances = distances[~np.isnan(distances)]
    if distances.size and not 0 <= distances.min() <= distances.max() < np.inf:
        raise MienError(f"expected distances '{what}' of 0 or more, got {distances.min():g} to {distances.max():g}")
    return distances


def _histogram(axes: Axes, values: NDArray[np.float64], edges: NDArray[np.float64], kind: str, i: int) -> None:
    """Draw the i-th kind as steps; dashes distinguish the kinds in gray."""
    shares = 100 * np.histogram(values, edges)[0] / max(len(values), 1)
    color = style.SERIES[i]
    axes.stairs(shares, edges, fill=True, color=color, alpha=0.12)
    text = f"{style.label(kind, 24, 1)} (n = {len(values)})"
    axes.stairs(shares, edges, color=color, linewidth=1.4, linestyle=style.DASHES[i], label=text)


def _marks(canvas: Axes, points: NDArray[np.float64], eyes: Sequence[int], rest: Sequence[int]) -> None:
    """Draw landmarks (P, 2), in the figure's pixels; a white rim makes them visible on dark and on light skin."""
    if np.isnan(points).any():
        return
    others = np.setdiff1d(np.arange(len(points)), [*eyes, *rest])
    looks: tuple[tuple[Sequence[int], str, str, float, float], ...] = (
        (others.tolist(), style.PAPER, "o", 1.2, 0.0),
        (rest, style.SERIES[1], "s", 3.2, 0.3),
        (eyes, style.SERIES[0], "o", 3.2, 0.3),
    )
    for indices, color, marker, area, rim in looks:
        x, y = points[list(indices)].T
        canvas.scatter(x, y, s=area, c=color, marker=marker, linewidths=rim, edgecolors=style.PAPER)
