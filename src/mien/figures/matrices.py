"""The confusion matrix of a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from mien.errors import MienError
from mien.figures import style
from mien.figures.pictures import array, listed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE = 640  # of the matrix, in points of the page
SMALLEST, LARGEST = 24, 64  # of a cell
HEAD = 22  # for the words above the matrix


def confusion_matrix(counts: ArrayLike, names: Sequence[str]) -> Figure:
    """Draw how often each class is predicted for pictures of each class: a cell holds its share of the row in percent.

    Args:
        counts: (K, K) numbers of pictures; rows are the true classes, columns the predictions.
        names: of the K classes.

    Raises:
        MienError: other shapes, negative counts, or no pictures.

    >>> confusion_matrix([[8, 2], [0, 5]], ["a", "b"]).get_label()
    'confusion matrix of 2 classes, 86.7 % of 15 pictures on the diagonal'
    """
    names = listed(names, len(names), "names")
    values = array(counts, "counts")
    if values.shape != (len(names), len(names)) or values.dtype.kind not in "iuf" or (values < 0).any():
        raise MienError(f"expected counts of 0 or more ({len(names)}, {len(names)}), got {values.dtype} {values.shape}")
    total = values.sum()
    if not total > 0:
        raise MienError("expected counts of at least one picture, got none")
    shares = values / np.maximum(values.sum(1, keepdims=True), 1)
    right = np.trace(values) / total
    alt = f"confusion matrix of {len(names)} classes, {100 * right:.1f} % of {int(total):,} pictures on the diagonal"
    cell = int(np.clip(SIDE / len(names), SMALLEST, LARGEST))
    with style.drawing():
        from matplotlib.patches import Rectangle

        labels = [style.label(name, 18, 1) for name in names]
        beside = max(map(style.text_width, labels)) + 34
        below = beside if max(map(style.text_width, labels)) > cell - 4 else 44.0
        side, px = cell * len(names), style.DPI / style.PAGE_DPI
        figure, _ = style.blank(round((beside + side + 8) * px), round((HEAD + side + below) * px), alt=alt)
        axes = style.panel(figure, beside * px, HEAD * px, side * px, side * px)
        for i, j in np.ndindex(*shares.shape):
            color = style.SERIES[0] if i == j else style.SERIES[1]
            axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor=color, alpha=float(shares[i, j]), linewidth=0))
            if shares[i, j] >= 0.005:
                ink = style.PAPER if shares[i, j] > 0.6 else style.INK
                axes.text(j, i, f"{100 * shares[i, j]:.0f}", color=ink, ha="center", va="center", size=style.SMALL)
        ends = (-0.5, len(names) - 0.5)
        axes.set(xlim=ends, ylim=ends[::-1], xlabel="prediction", ylabel="class", title="% of the pictures of a class")
        axes.set_xticks(range(len(names)), labels, rotation=0 if below == 44.0 else 90)
        axes.set_yticks(range(len(names)), labels)
        axes.tick_params(length=0)
        axes.grid(False)
        axes.spines[["top", "right"]].set_visible(True)
    return figure
