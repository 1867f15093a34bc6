"""Figures of exploration: repeated decoding, variations, neighborhoods, nearest neighbors, walks, and ROC curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import MienError
from mien.figures import style
from mien.figures.mosaic import Band, mosaic
from mien.figures.pictures import array, listed, pictures, same_shape, whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 12  # the most pictures in a row
CURVES = len(style.SERIES)
ROC = 340  # the side of the plot, in points of the page


def rounds(fed: ArrayLike, *, change: ArrayLike | None = None, labels: Sequence[str] = ()) -> Figure:
    """Draw pictures that were encoded and decoded repeatedly, one row for each start (SelfExGAN, Fig. 4.8).

    Args:
        fed: (R, T + 1, C, H, W), the starts first; of many rounds, 11 at even distances are shown.
        change: (R, T), the change in each round; its mean over the starts is written above the columns.
        labels: a name for each row (R).

    Raises:
        MienError: not pictures, or counts that differ from ``fed``.
    """
    steps = pictures(fed, "fed", lead=2)
    total = steps.shape[1] - 1
    if total < 1:
        raise MienError("expected fed with the starts and one round or more, got only the starts")
    shown = np.unique(np.linspace(1, total, min(total, COLUMNS - 1)).round().astype(int))
    heads = ["real", *(f"round\N{NO-BREAK SPACE}{t}" if t == shown[0] else str(t) for t in shown)]
    if change is not None:
        changes = array(change, "change")
        if changes.shape != (len(steps), total):
            raise MienError(f"expected change {(len(steps), total)}, one number for each round; got {changes.shape}")
        numbers = _digits(changes.mean(0)[shown - 1])
        heads[1:] = [f"{head} Δ\N{NO-BREAK SPACE}{number}" for head, number in zip(heads[1:], numbers, strict=True)]
    rows = [[row[0], *row[shown]] for row in steps]
    names = listed(labels, len(steps), "labels, one for each row") if len(labels) else []
    alt = f"{len(steps)} pictures encoded and decoded {total} times, row by row"
    return mosaic([Band(rows, names, heads)], alt=alt, breaks=[0])


def variations(
    x: ArrayLike, x_rec: ArrayLike, varied: ArrayLike, *, scales: Sequence[float], columns: int = 8
) -> Figure:
    """Draw each picture, its reconstruction, and a row of variations for each scale of noise (SelfExGAN, Fig. 4.12).

    Args:
        x, x_rec: the pictures and their reconstructions, (B, C, H, W) each.
        varied: (B, S, n, C, H, W), S scales of noise.
        scales: the scales (S).
        columns: the most variations in a row; the others follow below.

    Raises:
        MienError: not pictures, or counts that differ.
    """
    real, rebuilt = pictures(x), pictures(x_rec, "x_rec")
    same_shape(real, rebuilt, "x and x_rec")
    around, columns = pictures(varied, "varied", lead=3), whole(columns, "columns")
    if around.shape[0] != len(real) or around.shape[1] != len(scales):
        raise MienError(f"expected varied ({len(real)}, {len(scales)}, n, …), got {around.shape[:3]}")
    blank = np.full_like(real[0], 255)
    starts = range(0, around.shape[2], columns)
    labels = [f"noise {style.number(s)}" if start == 0 else "" for s in scales for start in starts]
    bands: list[Band] = []
    for one, its, rows in zip(real, rebuilt, around, strict=True):
        lines = [row[start : start + columns] for row in rows for start in starts]
        cells = [[blank if i else one, blank if i else its, *line] for i, line in enumerate(lines)]
        bands.append(Band(cells, labels, [] if bands else ["original", "decoded", "variations"]))
    alt = f"{len(real)} pictures with {around.shape[2]} variations each at noise {', '.join(map(style.number, scales))}"
    return mosaic(bands, alt=alt, breaks=[1])


def neighborhoods(
    x: ArrayLike,
    around: ArrayLike,
    *,
    labels: Sequence[str] = (),
    columns: int = 10,
    heads: tuple[str, str] = ("original", "fakes"),
) -> Figure:
    """Draw each picture and, after a gap, the fakes around it, one row each (SelfExGAN, Fig. 4.10 and 4.11).

    Args:
        x: the pictures (B, C, H, W).
        around: fakes made from them (B, n, C, H, W).
        labels: a name for each row (B).
        columns: the most fakes in a row.
        heads: the words above the pictures and above the fakes.

    Raises:
        MienError: not pictures, or counts that differ.
    """
    real, fakes = pictures(x), pictures(around, "around", lead=2)[:, : whole(columns, "columns")]
    same_shape(real, fakes[:, 0], "x and the pictures around it")
    cells = [[one, *row] for one, row in zip(real, fakes, strict=True)]
    names = listed(labels, len(real), "labels, one for each row") if len(labels) else []
    alt = f"{len(real)} pictures, {fakes.shape[1]} around each"
    return mosaic([Band(cells, names, heads)], alt=alt, breaks=[0])


def neighbors(x: ArrayLike, nearest: ArrayLike, distance: ArrayLike, *, labels: Sequence[str] = ()) -> Figure:
    """Draw each picture and its nearest pictures, with their distances above, one row each.

    Args:
        x: the pictures (Q, C, H, W).
        nearest: the nearest pictures of each (Q, k, C, H, W).
        distance: their distances (Q, k).
        labels: a name for each row (Q).

    Raises:
        MienError: not pictures, or counts that differ.
    """
    queries, near, far = pictures(x), pictures(nearest, "nearest", lead=2), array(distance, "distance")
    if near.shape[0] != len(queries) or far.shape != near.shape[:2]:
        counts = f"{near.shape[:2]} and {far.shape}"
        raise MienError(f"expected nearest and distance of {len(queries)} pictures, got {counts}")
    same_shape(queries, near[:, 0], "x and nearest")
    names = listed(labels, len(queries), "labels, one for each row") if len(labels) else [""] * len(queries)
    bands = [
        Band([[one, *row]], [name], ["" if i else "picture", *_digits(numbers)])
        for i, (one, row, numbers, name) in enumerate(zip(queries, near, far, names, strict=True))
    ]
    alt = f"{len(queries)} pictures with the {near.shape[1]} nearest ones each and their distances"
    return mosaic(bands, alt=alt, breaks=[0])


def walk(path: ArrayLike, *, steps: int, columns: int | None = None) -> Figure:
    """Draw one path through several pictures, line by line; these pictures have numbers.

    Args:
        path: (S, C, H, W), as :func:`mien.applications.interpolation.chain` returns it.
        steps: the number of pictures from one numbered picture to the next, including both, 2 or more.
        columns: pictures in a line; by default at most 12, and whole legs of the path if they fit.
    """
    shown, leg = pictures(path, "path"), whole(steps, "steps", 2) - 1
    fitting = leg * (COLUMNS // leg) or COLUMNS
    columns = min(fitting, len(shown)) if columns is None else whole(columns, "columns")
    heads = [str(i // leg + 1) if i % leg == 0 else "" for i in range(len(shown))]
    bands = [
        Band([list(shown[start : start + columns])], (), heads[start : start + columns])
        for start in range(0, len(shown), columns)
    ]
    return mosaic(bands, alt=f"a path of {len(shown)} pictures through {(len(shown) - 1) // leg + 1} of them")


def roc_curves(scores: Mapping[str, tuple[ArrayLike, ArrayLike]], *, auc: Mapping[str, str]) -> Figure:
    """Draw ROC curves: the share of pairs of one person found, over the share of strangers mistaken for one person.

    Args:
        scores: by the name of a similarity, its values for pairs of one person (P,) and for strangers (Q,).
        auc: the text after each name in the legend, such as '.64 (.61 to .67)'.

    Raises:
        MienError: no scores, or more similarities than there are colors.
    """
    if not 1 <= len(scores) <= CURVES:
        raise MienError(f"expected 1 to {CURVES} similarities to draw, got {len(scores)}")
    with style.drawing():
        from matplotlib.figure import Figure

        title, words = "AUC, 95 % interval", {name: f"{name}  {auc[name]}" for name in scores}
        left, top, bottom, line, gap = 62, 10, 44, 46, 24  # in points of the page; ``line`` is a legend's line
        beside = max(style.text_width(text, style.SMALL) for text in (*words.values(), title)) + line + 2 * gap
        size = (left + ROC + beside, top + ROC + bottom)
        figure = Figure(figsize=(size[0] / style.PAGE_DPI, size[1] / style.PAGE_DPI), dpi=style.DPI)
        figure.set_label(f"ROC of {', '.join(scores)}: AUC " + ", ".join(f"{name} {auc[name]}" for name in scores))
        axes = figure.add_axes((left / size[0], bottom / size[1], ROC / size[0], ROC / size[1]))
        axes.plot([0, 1], [0, 1], color=style.RULE, linewidth=1)
        for i, (name, both) in enumerate(scores.items()):
            same, strangers = (np.asarray(one, float) for one in both)
            _roc(axes, same, strangers, words[name], i)
        axes.set(xlim=(0, 1), ylim=(0, 1))
        axes.set(xlabel="strangers mistaken for one person", ylabel="pairs of one person found")
        at: Any = {"loc": "upper left", "bbox_to_anchor": (1 + gap / ROC, 1), "borderaxespad": 0}
        axes.legend(title=title, title_fontsize=style.SMALL, handlelength=4, alignment="left", **at)
    return figure


def _roc(axes: Axes, same: NDArray[np.float64], strangers: NDArray[np.float64], label: str, i: int) -> None:
    """Draw the i-th curve: one step for each value of the similarity."""
    thresholds = np.unique(np.concatenate([same, strangers]))[::-1]
    hits = 1 - np.searchsorted(np.sort(same), thresholds, "left") / len(same)
    false = 1 - np.searchsorted(np.sort(strangers), thresholds, "left") / len(strangers)
    axes.plot(np.r_[0, false], np.r_[0, hits], color=style.SERIES[i], linestyle=style.DASHES[i], label=label)


def _digits(values: NDArray[np.float64]) -> list[str]:
    """Return numbers (n,) as texts with the same number of decimals, three digits for the largest.

    >>> _digits(np.array([0.02, 0.1384])), _digits(np.array([5.8, 12.345]))
    (['0.020', '0.138'], ['5.8', '12.3'])
    """
    largest = float(np.abs(values).max())
    decimals = 3 if largest < 1 else 2 if largest < 10 else 1 if largest < 100 else 0
    return [f"{value:.{decimals}f}".replace("-", "−") for value in values]
