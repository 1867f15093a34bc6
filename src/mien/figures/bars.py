"""Attribute recognition: the predicted probabilities of each picture, and the accuracy for each attribute."""

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
PICTURE, NUMBERS, MARK = 128, 40, 20  # the room for a picture, and for the number and the mark after a bar
GUTTER = 36  # between the bars of a picture and the next picture
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
        truth: (N, A), booleans or +1 (has it), -1 (has it not) and 0 (unknown). It is written after each bar,
            and bars on the wrong side of one half are hatched.
        columns: pictures side by side.

    Raises:
        MienError: not pictures, or other shapes or values.
    """
    shown = pictures(x)
    attributes = listed(attributes, len(attributes), "attributes")
    unit = _unit(probs, "probs", (len(shown), len(attributes)))
    values = None if truth is None else _truth(truth, unit.shape)
    columns = min(whole(columns, "columns"), len(shown))
    rows = -(-len(shown) // columns)
    fit = fitted(shown.shape[1], shown.shape[2], PICTURE, PICTURE)
    with style.drawing():
        names = [style.label(name, 20, 1) for name in attributes]
        px = fit.dpi / style.PAGE_DPI
        beside = shown.shape[2] * fit.scale / px + max(map(style.text_width, names)) + 22
        after = NUMBERS + GUTTER + (MARK if values is not None else 0)
        width = max((style.WIDTH + GUTTER) / max(columns, 2), beside + after + 120)
        height = max(shown.shape[1] * fit.scale / px, len(names) * ROW + 22) + 24
        key = 26 if values is not None else 0
        size = (round((width * columns - GUTTER) * px), round((height * rows + key) * px))
        alt = f"{len(shown)} pictures with the probabilities of {', '.join(names)}"
        figure, canvas = style.blank(*size, alt=alt, dpi=fit.dpi)
        figure.set_gid(fit.gid)
        for i, picture in enumerate(shown):
            x0, y0 = width * (i % columns) + 2, height * (i // columns) + 2
            put(canvas, picture, round(x0 * px), round(y0 * px), fit.scale)
            place = (x0 + beside, y0, width - beside - after, len(names) * ROW)
            axes = style.panel(figure, *(length * px for length in place))
            _bars(axes, unit[i], names, None if values is None else values[i])
        if values is not None:
            text = f"{HAS} has it   {HAS_NOT} has it not   hatched: on the wrong side of ½"
            canvas.text(2 * px, height * rows * px, text, size=style.SMALL, color=style.MUTED, va="top")
    return figure


def accuracy_bars(names: Sequence[str], values: ArrayLike, baseline: ArrayLike | None = None) -> Figure:
    """Draw the accuracy for each attribute, best first, and its difference from a baseline.

    Each bar goes from the baseline (a ring) to the accuracy (a dot). It is hatched if the accuracy is lower than
    the baseline. Without a baseline, bars start at 0.

    Args:
        names: the attributes (A).
        values: accuracies (A) in [0, 1].
        baseline: the accuracy of always predicting the more frequent value, (A) or one number for all.

    Raises:
        MienError: no attributes, or other shapes or values.
    """
    names = listed(names, len(names), "names")
    accuracy = _unit(values, "values", (len(names),))
    base = None
    if baseline is not None:
        flat = array(baseline, "baseline")
        base = _unit(np.full(len(names), flat) if flat.ndim == 0 else flat, "baseline", accuracy.shape)
    order = np.argsort(-accuracy, kind="stable")
    with style.drawing():
        labels = [style.label(names[i], 26, 1) for i in order]
        beside = max(map(style.text_width, labels)) + 14
        mean = f"mean {accuracy.mean():.1%}" + ("" if base is None else f", baseline {base.mean():.1%}")
        alt = f"accuracy for {len(names)} attributes, best first: {mean}"
        px = style.DPI / style.PAGE_DPI
        high = len(names) * ROW
        figure, canvas = style.blank(style.WIDTH * px, round((high + 74) * px), alt=alt)
        axes = style.panel(figure, beside * px, 26 * px, (style.WIDTH - beside - 60) * px, high * px)
        _dumbbells(axes, accuracy[order], None if base is None else base[order])
        axes.set_yticks(range(len(names)), labels)
        rings = "" if base is None else "   ● accuracy   ○ baseline   hatched: below the baseline"
        canvas.text(beside * px, 6 * px, mean + rings, size=style.SMALL, color=style.MUTED, va="top")
        axes.set_xlabel("accuracy / %")
    return figure


def _unit(values: ArrayLike, what: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return numbers in [0, 1] of a shape.

    Raises:
        MienError: other numbers or another shape, or a shape without elements.
    """
    numbers = array(values, what)
    if numbers.shape != shape or 0 in shape or numbers.dtype.kind not in "fiu":
        raise MienError(f"expected {what} as numbers {shape}, at least one; got {numbers.dtype} {numbers.shape}")
    unit: NDArray[np.float64] = numbers.astype(np.float64)
    if not (np.isfinite(unit).all() and unit.min() >= 0 and unit.max() <= 1):
        raise MienError(f"expected {what} in [0, 1], got {unit.min():g} to {unit.max():g}")
    return unit


def _truth(truth: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.int8]:
    """Return the truth as +1, -1 and 0."""
    values = array(truth, "truth")
    if values.dtype == bool:
        values = np.where(values, 1, -1)
    if values.shape != shape or values.dtype.kind not in "fiu" or not np.isin(values, (-1, 0, 1)).all():
        expected = f"expected truth as booleans or +1, -1 and 0 (unknown) {shape}"
        raise MienError(f"{expected}, got {values.dtype} {values.shape}")
    return values.astype(np.int8)


def _bars(axes: Axes, probs: NDArray[np.float64], names: Sequence[str], truth: NDArray[np.int8] | None) -> None:
    """Draw the bars of one picture: filled from one half upward, hatched where they are wrong."""
    rows = range(len(probs))
    positive = probs >= 0.5
    wrong = np.zeros(len(probs), bool) if truth is None else (truth != 0) & (positive != (truth > 0))
    fills = np.where(wrong, style.PAPER, np.where(positive, style.SERIES[0], style.RULE))
    edges = np.where(wrong, style.SERIES[1], np.where(positive, style.SERIES[0], style.MUTED))
    bars = axes.barh(rows, probs, height=0.62, color=fills, edgecolor=edges, linewidth=0.8)
    for bar in np.array(bars.patches)[wrong]:
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


def _dumbbells(axes: Axes, accuracy: NDArray[np.float64], base: NDArray[np.float64] | None) -> None:
    """Draw accuracies, in percent, each as a bar from its baseline."""
    rows = range(len(accuracy))
    start = np.zeros_like(accuracy) if base is None else base
    below = accuracy < start
    fills = np.where(below, style.PAPER, style.SERIES[0])
    edges = np.where(below, style.SERIES[1], style.SERIES[0])
    bars = axes.barh(rows, 100 * (accuracy - start), left=100 * start, height=0.42, color=fills, edgecolor=edges)
    for bar in np.array(bars.patches)[below]:
        bar.set_hatch(HATCH)
    if base is not None:
        axes.plot(100 * base, rows, "o", color=style.PAPER, markeredgecolor=style.INK, markersize=4.5)
        axes.scatter(100 * accuracy, rows, s=24, c=edges, zorder=3)
        least = 100 * min(accuracy.min(), base.min())
        axes.set_xlim(max(0, np.floor(least / 5 - 0.2) * 5), 100)
    else:
        axes.set_xlim(0, 100)
    for i in rows:
        _beside(axes, i, f"{100 * accuracy[i]:.1f}", 8)
    axes.set_ylim(len(accuracy) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
