"""Distances of pairs of faces, and the landmarks placed on them: what identity and landmark measures rest on."""

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
GAP, HEAD = 6, 22  # points between pictures, and above the first row for words


def face_distances(groups: Mapping[str, Mapping[str, ArrayLike]], threshold: float | None = None) -> Figure:
    """Draw histograms of distances, one panel for each setting (a size), one line for each kind of pair.

    Args:
        groups: by setting, by kind of pair (the same kinds in each, six at most), distances (n,); NaN (no face
            found) are left out, and the legend says how many are drawn.
        threshold: a distance to draw a line at.

    Raises:
        MienError: nothing to draw, too many kinds, or distances that are no numbers of 0 or more.

    >>> face_distances({"64 px": {"same person": [0.4, 0.5], "strangers": [0.8]}}, 0.6).get_label()
    'histograms of distances: same person, strangers; for 64 px'
    """
    given = {name: {kind: _distances(v, f"{kind}, {name}") for kind, v in one.items()} for name, one in groups.items()}
    kinds = list(dict.fromkeys(kind for one in given.values() for kind in one))
    if not kinds or len(kinds) > len(style.SERIES):
        raise MienError(f"expected 1 to {len(style.SERIES)} kinds of pairs, got {len(kinds)}")
    largest = max(float(v.max(initial=0)) for one in given.values() for v in one.values())
    edges = np.arange(0, max(largest, threshold or 0) + 2 * BIN, BIN)
    with style.drawing():
        from matplotlib.figure import Figure

        size = (style.WIDTH / style.PAGE_DPI, (len(given) * PANEL + 20) / style.PAGE_DPI)
        figure = Figure(figsize=size, dpi=style.DPI, layout="constrained")
        figure.set_label(f"histograms of distances: {', '.join(kinds)}; for {', '.join(given)}")
        panels = figure.subplots(len(given), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (name, one) in zip(panels, given.items(), strict=True):
            for kind, values in one.items():
                _histogram(axes, values, edges, kind, kinds.index(kind))
            if threshold is not None:
                axes.axvline(threshold, color=style.INK, linewidth=0.8)
            axes.set(xlim=(0, edges[-1]), ylabel="pairs / %", title=style.label(name, 60, 1))
            axes.set_ylim(bottom=0)
            axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), handlelength=4)
        if threshold is not None:
            panels[0].annotate(
                f"threshold {style.number(threshold)}", (threshold, 1), (0, 3), size=style.SMALL, ha="center",
                xycoords=("data", "axes fraction"), textcoords="offset points",
            )  # fmt: skip
        panels[-1].set_xlabel("distance of embeddings")
    return figure


def face_landmarks(
    rows: Sequence[ArrayLike],
    points: Sequence[ArrayLike],
    *,
    eyes: Sequence[int],
    rest: Sequence[int],
    names: Sequence[str],
) -> Figure:
    """Draw rows of faces with their landmarks: eyes as discs, the measured rest as squares, all others as specks.

    Args:
        rows: R sets of pictures (N, C, H, W), all of one size.
        points: for each set landmarks (N, P, 2) of (x, y) in its pixels, NaN where no face was found.
        eyes, rest: which of the P.
        names: what the rows are called (R).

    Raises:
        MienError: not such pictures, or other counts than these.
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
        left = max(map(style.text_width, labels)) + 10
        _, height, width, _ = shown[0].shape
        fit = fitted(height, width, (style.WIDTH - left) / columns - GAP, style.WIDTH, columns)
        px = fit.dpi / style.PAGE_DPI
        across, down = width * fit.scale + GAP * px, height * fit.scale + GAP * px
        alt = f"landmarks on {sum(map(len, shown))} faces, row by row: {', '.join(labels)}"
        size = (round(left * px + columns * across), round(HEAD * px + len(shown) * down))
        figure, canvas = style.blank(*size, alt=alt, dpi=fit.dpi)
        figure.set_gid(fit.gid)
        key = "● eyes   ■ nose and corners of the mouth   no marks: no face found"
        canvas.text(left * px, 3 * px, key, size=style.SMALL, color=style.MUTED, va="top")
        for r, (x, p) in enumerate(zip(shown, placed, strict=True)):
            top = HEAD * px + r * down
            canvas.text((left - 8) * px, top + height * fit.scale / 2, labels[r], ha="right", va="center")
            for i, picture in enumerate(x):
                corner = (round(left * px + i * across), round(top))
                put(canvas, picture, *corner, fit.scale)
                _marks(canvas, (p[i] + 0.5) * fit.scale + corner, eyes, rest)
        canvas.set(xlim=(0, size[0]), ylim=(size[1], 0))
    return figure


def _distances(values: ArrayLike, what: str) -> NDArray[np.float64]:
    given = array(values, what)
    if given.ndim != 1 or given.dtype.kind not in "fiu":
        raise MienError(f"expected distances '{what}' as numbers (n,), got {given.dtype} {given.shape}")
    got = given.astype(np.float64)
    got = got[~np.isnan(got)]
    if got.size and not 0 <= got.min() <= got.max() < np.inf:
        raise MienError(f"expected distances '{what}' of 0 or more, got {got.min():g} to {got.max():g}")
    return got


def _histogram(axes: Axes, values: NDArray[np.float64], edges: NDArray[np.float64], kind: str, i: int) -> None:
    """Draw the i-th kind as steps; dashes tell the kinds apart in gray."""
    shares = 100 * np.histogram(values, edges)[0] / max(len(values), 1)
    color = style.SERIES[i]
    axes.stairs(shares, edges, fill=True, color=color, alpha=0.12)
    text = f"{style.label(kind, 24, 1)} (n = {len(values)})"
    axes.stairs(shares, edges, color=color, linewidth=1.4, linestyle=style.DASHES[i], label=text)


def _marks(canvas: Axes, points: NDArray[np.float64], eyes: Sequence[int], rest: Sequence[int]) -> None:
    """Draw landmarks (P, 2), in the sheet's pixels; each has a white rim, to be seen on dark and light skin."""
    if np.isnan(points).any():
        return
    others = np.setdiff1d(np.arange(len(points)), [*eyes, *rest])
    looks = ((others, style.PAPER, "o", 1.2, 0.0), (rest, style.SERIES[1], "s", 3.2, 0.3), (eyes, style.SERIES[0], "o", 3.2, 0.3))  # fmt: skip
    for which, color, marker, area, rim in looks:
        x, y = points[list(which)].T
        canvas.scatter(x, y, s=area, c=color, marker=marker, linewidths=rim, edgecolors=style.PAPER)
