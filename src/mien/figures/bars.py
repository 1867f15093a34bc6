"""Attribute recognition: what a model says of each picture, and how often it is right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import MienError
from mien.figures import style
from mien.figures.mosaic import fitted, put
from mien.figures.pictures import array, listed, pictures, whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# lengths in points of the page
ROW = 17  # from one bar to the next
PICTURE, NUMBERS, MARK = 128, 40, 20  # the room for a picture, and for what is written behind a bar
GUTTER = 36  # between a picture's bars and the next picture
HATCH = "/////"
HAS, HAS_NOT, UNKNOWN = "●", "○", "?"


def probabilities(
    x: ArrayLike,
    probs: ArrayLike,
    attributes: Sequence[str],
    *,
    truth: ArrayLike | None = None,
    columns: int = 2,
) -> Figure:
    """Draw each picture with a bar for the probability of each attribute, and a line at one half.

    Args:
        x: pictures (N, C, H, W).
        probs: probabilities (N, A) in [0, 1].
        attributes: their names (A).
        truth: (N, A), booleans or +1 (has it), -1 (has not) and 0 (not known). It is written behind each bar,
            and bars on the wrong side of one half are hatched.
        columns: pictures side by side.

    Raises:
        MienError: not such pictures, or other shapes or values than these.
    """
    shown = pictures(x)
    attributes = listed(attributes, len(attributes), "attributes")
    given = _unit(probs, "probs", (len(shown), len(attributes)))
    known = None if truth is None else _truth(truth, given.shape)
    columns = min(whole(columns, "columns"), len(shown))
    rows = -(-len(shown) // columns)
    fit = fitted(shown.shape[1], shown.shape[2], PICTURE, PICTURE)
    with style.drawing():
        names = [style.label(name, 20, 1) for name in attributes]
        px = fit.dpi / style.PAGE_DPI
        beside = shown.shape[2] * fit.scale / px + max(map(style.text_width, names)) + 22
        after = NUMBERS + GUTTER + (MARK if known is not None else 0)
        width = max((style.WIDTH + GUTTER) / max(columns, 2), beside + after + 120)
        height = max(shown.shape[1] * fit.scale / px, len(names) * ROW + 22) + 24
        key = 26 if known is not None else 0
        size = (round((width * columns - GUTTER) * px), round((height * rows + key) * px))
        alt = f"{len(shown)} pictures with the probabilities of {', '.join(names)}"
        figure, canvas = style.blank(*size, alt=alt, dpi=fit.dpi)
        figure.set_gid(fit.gid)
        for i, picture in enumerate(shown):
            left, top = width * (i % columns) + 2, height * (i // columns) + 2
            put(canvas, picture, round(left * px), round(top * px), fit.scale)
            place = (left + beside, top, width - beside - after, len(names) * ROW)
            axes = style.panel(figure, *(length * px for length in place))
            _bars(axes, given[i], names, None if known is None else known[i])
        if known is not None:
            text = f"{HAS} has it   {HAS_NOT} has it not   hatched: on the wrong side of ½"
            canvas.text(2 * px, height * rows * px, text, size=style.SMALL, color=style.MUTED, va="top")
    return figure


def accuracy_bars(names: Sequence[str], values: ArrayLike, baseline: ArrayLike | None = None) -> Figure:
    """Draw the accuracy for each attribute, best first, as what it adds to a baseline.

    Each bar reaches from the baseline (a ring) to the accuracy (a dot); where the accuracy is the lower one
    it is hatched. Without a baseline bars start at 0.

    Args:
        names: the attributes (A).
        values: accuracies (A) in [0, 1].
        baseline: what always answering the more frequent value achieves, (A) or one number for all.

    Raises:
        MienError: no attributes, or other shapes or values than these.
    """
    names = listed(names, len(names), "names")
    got = _unit(values, "values", (len(names),))
    base = None
    if baseline is not None:
        flat = array(baseline, "baseline")
        base = _unit(np.full(len(names), flat) if flat.ndim == 0 else flat, "baseline", got.shape)
    order = np.argsort(-got, kind="stable")
    with style.drawing():
        written = [style.label(names[i], 26, 1) for i in order]
        left = max(map(style.text_width, written)) + 14
        mean = f"mean {got.mean():.1%}" + ("" if base is None else f", baseline {base.mean():.1%}")
        alt = f"accuracy for {len(names)} attributes, best first: {mean}"
        px = style.DPI / style.PAGE_DPI
        high = len(names) * ROW
        figure, canvas = style.blank(style.WIDTH * px, round((high + 74) * px), alt=alt)
        axes = style.panel(figure, left * px, 26 * px, (style.WIDTH - left - 60) * px, high * px)
        _dumbbells(axes, got[order], None if base is None else base[order])
        axes.set_yticks(range(len(names)), written)
        rings = "" if base is None else "   ● accuracy   ○ baseline   hatched: below the baseline"
        canvas.text(left * px, 6 * px, mean + rings, size=style.SMALL, color=style.MUTED, va="top")
        axes.set_xlabel("accuracy / %")
    return figure


def _unit(values: ArrayLike, what: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return numbers in [0, 1] of a shape.

    Raises:
        MienError: they are not, or the shape has no elements.
    """
    given = array(values, what)
    if given.shape != shape or 0 in shape or given.dtype.kind not in "fiu":
        raise MienError(f"expected {what} as numbers {shape}, at least one; got {given.dtype} {given.shape}")
    given = given.astype(np.float64)
    if not (np.isfinite(given).all() and given.min() >= 0 and given.max() <= 1):
        raise MienError(f"expected {what} in [0, 1], got {given.min():g} to {given.max():g}")
    return given


def _truth(truth: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.int8]:
    """Return what is known as +1, -1 and 0."""
    given = array(truth, "truth")
    if given.dtype == bool:
        given = np.where(given, 1, -1)
    if given.shape != shape or given.dtype.kind not in "fiu" or not np.isin(given, (-1, 0, 1)).all():
        wanted = f"expected truth as booleans or +1, -1 and 0 (not known) {shape}"
        raise MienError(f"{wanted}, got {given.dtype} {given.shape}")
    return given.astype(np.int8)


def _bars(axes: Axes, probs: NDArray, names: Sequence[str], truth: NDArray | None) -> None:
    """Draw one picture's bars: filled from one half on, hatched where they are wrong."""
    rows = range(len(probs))
    says = probs >= 0.5
    wrong = np.zeros(len(probs), bool) if truth is None else (truth != 0) & (says != (truth > 0))
    fills = np.where(wrong, style.PAPER, np.where(says, style.SERIES[0], style.RULE))
    edges = np.where(wrong, style.SERIES[1], np.where(says, style.SERIES[0], style.MUTED))
    drawn = axes.barh(rows, probs, height=0.62, color=fills, edgecolor=edges, linewidth=0.8)
    for bar in np.array(drawn.patches)[wrong]:
        bar.set_hatch(HATCH)
    axes.axvline(0.5, color=style.INK, linewidth=0.8, linestyle=(0, (3, 2)))
    for i in rows:
        _beside(axes, i, f"{probs[i]:.2f}", 5)
        if truth is not None:
            _beside(axes, i, {1: HAS, -1: HAS_NOT, 0: UNKNOWN}[int(truth[i])], 27)
    axes.set(xlim=(0, 1), ylim=(len(probs) - 0.5, -0.5), xticks=(0, 0.5, 1), xticklabels=("0", "½", "1"))
    axes.set_yticks(rows, names)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")


def _beside(axes: Axes, row: float, text: str, away: float) -> None:
    """Write ``text`` at the right of a row of ``axes``, ``away`` pt from their edge."""
    axes.annotate(
        text,
        (1, row),
        (away, 0),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        size=style.SMALL,
        va="center_baseline",
        annotation_clip=False,
    )


def _dumbbells(axes: Axes, got: NDArray, base: NDArray | None) -> None:
    """Draw accuracies, in percent, each as a bar from its baseline."""
    rows = range(len(got))
    start = np.zeros_like(got) if base is None else base
    below = got < start
    fills = np.where(below, style.PAPER, style.SERIES[0])
    edges = np.where(below, style.SERIES[1], style.SERIES[0])
    drawn = axes.barh(rows, 100 * (got - start), left=100 * start, height=0.42, color=fills, edgecolor=edges)
    for bar in np.array(drawn.patches)[below]:
        bar.set_hatch(HATCH)
    if base is not None:
        axes.plot(100 * base, rows, "o", color=style.PAPER, markeredgecolor=style.INK, markersize=4.5)
        axes.scatter(100 * got, rows, s=24, c=edges, zorder=3)
        least = 100 * min(got.min(), base.min())
        axes.set_xlim(max(0, np.floor(least / 5 - 0.2) * 5), 100)
    else:
        axes.set_xlim(0, 100)
    for i in rows:
        _beside(axes, i, f"{100 * got[i]:.1f}", 8)
    axes.set_ylim(len(got) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
