"""What lies around pictures: rounds of feeding back, neighborhoods, variations, nearest neighbors, walks, ROC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from mien.errors import MienError
from mien.figures import style
from mien.figures.mosaic import Band, mosaic
from mien.figures.pictures import array, listed, pictures, same_shape, whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 12  # pictures in a row, at most
CURVES = len(style.SERIES)


def rounds(fed: ArrayLike, *, change: ArrayLike | None = None, labels: Sequence[str] = ()) -> Figure:
    """Draw pictures fed back again and again, one row for each start (SelfExGAN, Fig. 4.8).

    Args:
        fed: (R, T + 1, C, H, W), the starts first; of many rounds, up to 11 evenly spread are shown.
        change: (R, T), how much each round changed, written above the columns as a mean over the starts.
        labels: a name for each row (R).

    Raises:
        MienError: not such pictures, or other counts than ``fed`` asks for.
    """
    steps = pictures(fed, "fed", lead=2)
    total = steps.shape[1] - 1
    if total < 1:
        raise MienError("expected fed with the starts and one round or more, got the starts only")
    shown = np.unique(np.linspace(1, total, min(total, COLUMNS - 1)).round().astype(int))
    heads = ["real", *(f"round\N{NO-BREAK SPACE}{t}" if t == shown[0] else str(t) for t in shown)]
    if change is not None:
        moved = array(change, "change")
        if moved.shape != (len(steps), total):
            raise MienError(f"expected change {(len(steps), total)}, one number a round; got {moved.shape}")
        numbers = _digits(moved.mean(0)[shown - 1])
        heads[1:] = [f"{head} Δ\N{NO-BREAK SPACE}{number}" for head, number in zip(heads[1:], numbers, strict=True)]
    rows = [[row[0], *row[shown]] for row in steps]
    written = listed(labels, len(steps), "labels, one for each row") if len(labels) else []
    alt = f"{len(steps)} pictures encoded and decoded {total} times over, row by row"
    return mosaic([Band(rows, written, heads)], alt=alt, breaks=[0])


def variations(
    x: ArrayLike, x_rec: ArrayLike, varied: ArrayLike, *, scales: Sequence[float], columns: int = 8
) -> Figure:
    """Draw each picture, its reconstruction, and a row of variations for each scale of noise (SelfExGAN, Fig. 4.12).

    Args:
        x, x_rec: the pictures and their reconstructions, (B, C, H, W) each.
        varied: (B, S, n, C, H, W), S scales of noise.
        scales: the scales (S).
        columns: variations in a row, at most; more go on below.

    Raises:
        MienError: not such pictures, or other counts than each other's.
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
    """Draw each picture and, behind a gap, the pictures around it, one row each (SelfExGAN, Fig. 4.10 and 4.11).

    Args:
        x: the pictures (B, C, H, W).
        around: fakes made of them (B, n, C, H, W).
        labels: a name for each row (B).
        columns: fakes in a row, at most.
        heads: the words above the pictures and above the fakes.

    Raises:
        MienError: not such pictures, or other counts than each other's.
    """
    real, fakes = pictures(x), pictures(around, "around", lead=2)[:, : whole(columns, "columns")]
    same_shape(real, fakes[:, 0], "x and the pictures around it")
    cells = [[one, *row] for one, row in zip(real, fakes, strict=True)]
    written = listed(labels, len(real), "labels, one for each row") if len(labels) else []
    alt = f"{len(real)} pictures, {fakes.shape[1]} around each"
    return mosaic([Band(cells, written, heads)], alt=alt, breaks=[0])


def neighbors(x: ArrayLike, found: ArrayLike, distance: ArrayLike, *, labels: Sequence[str] = ()) -> Figure:
    """Draw each picture and its nearest ones with their distances above, one row each.

    Args:
        x: the pictures (Q, C, H, W).
        found: the nearest of each (Q, k, C, H, W).
        distance: (Q, k).
        labels: a name for each row (Q).

    Raises:
        MienError: not such pictures, or other counts than each other's.
    """
    asked, near, off = pictures(x), pictures(found, "found", lead=2), array(distance, "distance")
    if near.shape[0] != len(asked) or off.shape != near.shape[:2]:
        raise MienError(f"expected found and distance of {len(asked)} pictures, got {near.shape[:2]} and {off.shape}")
    same_shape(asked, near[:, 0], "x and found")
    written = listed(labels, len(asked), "labels, one for each row") if len(labels) else [""] * len(asked)
    bands = [
        Band([[one, *row]], [name], ["" if i else "picture", *_digits(numbers)])
        for i, (one, row, numbers, name) in enumerate(zip(asked, near, off, written, strict=True))
    ]
    alt = f"{len(asked)} pictures with the {near.shape[1]} nearest ones each and their distances"
    return mosaic(bands, alt=alt, breaks=[0])


def walk(path: ArrayLike, *, steps: int, columns: int | None = None) -> Figure:
    """Draw one path through several pictures, line by line; the pictures it goes through are numbered.

    Args:
        path: (S, C, H, W), as :func:`mien.applications.interpolation.chain` returns it.
        steps: pictures from one end to the next, both included, 2 or more.
        columns: pictures in a line; by default up to 12, and whole legs of the path where they fit.
    """
    shown, apart = pictures(path, "path"), whole(steps, "steps", 2) - 1
    fitting = apart * (COLUMNS // apart) or COLUMNS
    columns = min(fitting, len(shown)) if columns is None else whole(columns, "columns")
    heads = [str(i // apart + 1) if i % apart == 0 else "" for i in range(len(shown))]
    bands = [
        Band([list(shown[start : start + columns])], (), heads[start : start + columns])
        for start in range(0, len(shown), columns)
    ]
    return mosaic(bands, alt=f"a path of {len(shown)} pictures through {(len(shown) - 1) // apart + 1} of them")


def roc_curves(scores: Mapping[str, tuple[ArrayLike, ArrayLike]], *, auc: Mapping[str, str]) -> Figure:
    """Draw how many pairs of one person a similarity finds against how many strangers it takes for one.

    Args:
        scores: by the name of a similarity, those of pairs of one person (P,) and of strangers (Q,).
        auc: what is written behind each name, such as '.64 (.61 to .67)'.

    Raises:
        MienError: no scores, or more than can be told apart.
    """
    if not 1 <= len(scores) <= CURVES:
        raise MienError(f"expected 1 to {CURVES} similarities to draw, got {len(scores)}")
    with style.drawing():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6.4, 3.2), dpi=style.DPI, layout="constrained")
        figure.set_label(f"ROC of {', '.join(scores)}: AUC " + ", ".join(f"{name} {auc[name]}" for name in scores))
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color=style.RULE, linewidth=1)
        for i, (name, both) in enumerate(scores.items()):
            same, strangers = (np.asarray(one, float) for one in both)
            _roc(axes, same, strangers, f"{name}  {auc[name]}", i)
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        axes.set_xlabel("strangers taken for one person")
        axes.set_ylabel("pairs of one person found")
        figure.legend(loc="outside right center", title="AUC, 95 % interval", handlelength=4, alignment="left")
    return figure


def _roc(axes: Axes, same: np.ndarray, strangers: np.ndarray, label: str, i: int) -> None:
    """Draw the i-th curve: a step at every threshold that occurs."""
    thresholds = np.unique(np.concatenate([same, strangers]))[::-1]
    found = 1 - np.searchsorted(np.sort(same), thresholds, "left") / len(same)
    wrong = 1 - np.searchsorted(np.sort(strangers), thresholds, "left") / len(strangers)
    axes.plot(np.r_[0, wrong], np.r_[0, found], color=style.SERIES[i], linestyle=style.DASHES[i], label=label)


def _digits(values: np.ndarray) -> list[str]:
    """Return numbers (n,) with as many decimals each, three digits of the largest.

    >>> _digits(np.array([0.02, 0.1384])), _digits(np.array([5.8, 12.345]))
    (['0.020', '0.138'], ['5.8', '12.3'])
    """
    largest = float(np.abs(values).max())
    decimals = 3 if largest < 1 else 2 if largest < 10 else 1 if largest < 100 else 0
    return [f"{value:.{decimals}f}".replace("-", "−") for value in values]
