"""Pictures in rows and columns: samples, reconstructions, interpolations, edits and counterfactuals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import MienError
from mien.figures import style
from mien.figures.mosaic import Band, mosaic
from mien.figures.pictures import Pictures, array, enlarged, listed, pictures, same_shape, whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def sheet(x: ArrayLike, *, columns: int = 8, pad: int = 2, scale: int | None = None) -> NDArray[np.uint8]:
    """Return a plain contact sheet of pictures, row by row, as pixels.

    Args:
        x: pictures, floats (N, C, H, W) in [-1, 1] or uint8 (N, H, W, C).
        columns: pictures in a row, at least 1.
        pad: white pixels between and around pictures, at least 0.
        scale: the side, in pixels, of the square that a pixel becomes; by default pictures get sides of about 64.

    Returns:
        uint8 (rows, columns, 3).

    Raises:
        MienError: not pictures, or a number out of its range.

    >>> sheet(np.zeros((10, 1, 28, 20)), columns=4, pad=1, scale=2).shape
    (172, 165, 3)
    """
    shown = pictures(x)
    n, height, width, _ = shown.shape
    scale = max(1, -(-64 // max(height, width))) if scale is None else scale
    columns, pad, scale = min(whole(columns, "columns"), n), whole(pad, "pad", 0), whole(scale, "scale")
    rows = -(-n // columns)
    height, width = height * scale, width * scale
    canvas = np.full((rows * (height + pad) + pad, columns * (width + pad) + pad, 3), 255, np.uint8)
    for i, picture in enumerate(enlarged(shown, scale)):
        top, left = (i // columns) * (height + pad) + pad, (i % columns) * (width + pad) + pad
        canvas[top : top + height, left : left + width] = picture
    return canvas


def samples(x: ArrayLike, *, columns: int = 10) -> Figure:
    """Draw generated pictures (N, C, H, W) in rows of ``columns``.

    >>> samples(np.zeros((3, 3, 8, 8))).get_label()
    '3 generated pictures'
    """
    shown = pictures(x)
    columns = whole(columns, "columns")
    rows = [list(shown[i : i + columns]) for i in range(0, len(shown), columns)]
    return mosaic([Band(rows)], alt=_many(len(shown), "generated picture"))


def reconstructions(x: ArrayLike, x_rec: ArrayLike, *, names: Sequence[str] | None = None, columns: int = 10) -> Figure:
    """Draw pictures with their reconstructions below.

    Args:
        x: pictures (N, C, H, W).
        x_rec: their reconstructions (N, C, H, W), or those of M models (M, N, C, H, W), one row for each model.
        names: the names of the rows, that of the pictures first (1 + M); by default real and reconstructed.
        columns: pictures in a row; the others follow below.

    Raises:
        MienError: not pictures, shapes that differ, or another number of names.
    """
    stacked = array(x_rec, "x_rec")
    stacked = stacked[None] if stacked.ndim == 4 else stacked
    real, rebuilt = pictures(x), pictures(stacked, "x_rec", lead=2)
    if names is None:
        several = [f"reconstructed {i}" for i in range(1, len(rebuilt) + 1)]
        names = ["real", *(several if len(several) > 1 else ["reconstructed"])]
    rows = {"x": real} | {f"x_rec[{i}]": row for i, row in enumerate(rebuilt)}
    alt = f"{_many(len(real), 'picture')} with {'its' if len(real) == 1 else 'their'} reconstructions below"
    return _compared(rows, names, (), columns, alt)


def counterfactuals(
    real: ArrayLike, edited: ArrayLike, true: ArrayLike, *, edits: Sequence[str] = (), columns: int = 10
) -> Figure:
    """Draw pictures, their edits by a model, and the true counterfactuals.

    Args:
        real, edited, true: pictures (N, C, H, W) each.
        edits: the edit of each picture (N), such as '+Eyeglasses'; may be empty.
        columns: pictures in a row; the others follow below.

    Raises:
        MienError: not pictures, shapes that differ, or another number of edits.
    """
    rows = {name: pictures(x, name) for name, x in (("real", real), ("edited", edited), ("true", true))}
    alt = f"{_many(len(rows['real']), 'picture')}, the edited ones and the true counterfactuals, row by row"
    return _compared(rows, ["real", "edited", "true counterfactual"], edits, columns, alt)


def interpolation(
    rows: ArrayLike,
    *,
    alphas: Sequence[float] | None = None,
    ends: tuple[ArrayLike, ArrayLike] | None = None,
    labels: Sequence[str] = (),
) -> Figure:
    """Draw one row for each pair of pictures, from the left picture to the right one.

    Args:
        rows: the decoded pictures between them (R, S, C, H, W), S steps.
        alphas: the position of each step (S); by default S even steps from 0 to 1.
        ends: the left and the right pictures themselves, (R, C, H, W) each, drawn at the ends.
        labels: a name for each row (R).

    Raises:
        MienError: not pictures, or counts that differ from ``rows``.
    """
    steps = pictures(rows, "rows", lead=2)
    heads = _alphas(alphas, steps.shape[1])
    cells, breaks = [list(row) for row in steps], list[int]()
    if ends is not None:
        if not isinstance(ends, tuple | list) or len(ends) != 2:
            raise MienError("expected ends as two arrays of pictures, the left ones and the right ones")
        first, last = pictures(ends[0], "ends[0]"), pictures(ends[1], "ends[1]")
        for one, name in ((first, "ends[0]"), (last, "ends[1]")):
            same_shape(one, steps[:, 0], f"{name} and the steps of rows")
        cells = [[one, *row, other] for one, row, other in zip(first, cells, last, strict=True)]
        heads, breaks = ["left", *heads, "right"], [0, steps.shape[1]]
    alt = f"{_many(len(steps), 'interpolation')} between two pictures, {steps.shape[1]} steps each"
    names = listed(labels, len(steps), "labels, one for each row") if len(labels) else []
    return mosaic([Band(cells, names, heads)], alt=alt, breaks=breaks)


def attribute_edits(
    real: ArrayLike, edited: ArrayLike, *, attributes: Sequence[str], alphas: Sequence[float] | None = None
) -> Figure:
    """Draw one row for each edit: the picture, then the edited picture from α = 0 (its reconstruction) to 1.

    Args:
        real: the pictures (R, C, H, W).
        edited: their edits (R, S, C, H, W), S strengths.
        attributes: the attribute edited in each row (R).
        alphas: the strengths (S); by default S even steps from 0 to 1.

    Raises:
        MienError: not pictures, or counts that differ from ``edited``.
    """
    original, steps = pictures(real, "real"), pictures(edited, "edited", lead=2)
    same_shape(original, steps[:, 0], "real and the steps of edited")
    cells = [[one, *row] for one, row in zip(original, steps, strict=True)]
    band = Band(
        cells,
        listed(attributes, len(original), "attributes, one for each row"),
        ["original", *_alphas(alphas, steps.shape[1])],
    )
    alt = f"pictures edited in steps toward {', '.join(dict.fromkeys(band.labels))}, the originals first"
    return mosaic([band], alt=alt, breaks=(0,))


def _compared(rows: dict[str, Pictures], labels: Sequence[str], heads: Sequence[str], columns: int, alt: str) -> Figure:
    """Draw rows of pictures (N, H, W, 3) one below another, in bands of ``columns``."""
    first, *others = rows
    for other in others:
        same_shape(rows[first], rows[other], f"{first} and {other}")
    labels = listed(labels, len(rows), "names, one for each row")
    n = len(rows[first])
    heads = listed(heads, n, "edits, one for each picture") if len(heads) else []
    parts = [slice(i, i + columns) for i in range(0, n, whole(columns, "columns"))]
    bands = [Band([list(row[part]) for row in rows.values()], labels, heads[part]) for part in parts]
    return mosaic(bands, alt=alt)


def _alphas(alphas: Sequence[float] | None, steps: int) -> list[str]:
    values = np.linspace(0, 1, steps) if alphas is None else array(alphas, "alphas")
    if values.shape != (steps,) or values.dtype.kind not in "fiu":
        raise MienError(f"expected alphas as {steps} numbers, one a step; got {values.dtype} {values.shape}")
    first, *others = (style.number(round(float(alpha), 2) + 0.0) for alpha in values)
    return [f"α\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{first}", *others]


def _many(count: int, thing: str) -> str:
    return f"{count} {thing}" + ("s" if count != 1 else "")
