"""Conversion of tensors and arrays to 8-bit RGB pictures, and the checks of arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import MienError

Pictures = NDArray[np.uint8]
"""8-bit RGB pictures (..., H, W, 3)."""

_LEADS = {1: "N", 2: "R, S"}


def array(values: ArrayLike, what: str) -> NDArray[Any]:
    """Return ``values`` as an array.

    Raises:
        MienError: not an array: rows of different lengths, a tensor on a GPU or one that requires a gradient.
    """
    try:
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        why = str(error).splitlines()[0]
        raise MienError(f"expected {what} as an array, got {type(values).__name__}: {why}") from error


def pictures(x: ArrayLike, what: str = "x", *, lead: int = 1) -> Pictures:
    """Return pictures as 8-bit RGB (..., H, W, 3).

    Args:
        x: floats (..., C, H, W) in [-1, 1] (values slightly outside are clipped) or uint8 (..., H, W, C);
            C is 1 or 3.
        what: the name of the argument, for errors.
        lead: the number of axes before those of a picture.

    Raises:
        MienError: another type, another shape, no pictures, not finite, or far outside [-1, 1].

    >>> pictures(np.zeros((2, 1, 28, 20))).shape
    (2, 28, 20, 3)
    """
    x = array(x, what)
    n = _LEADS.get(lead, "…")
    expected = f"expected {what} as floats ({n}, C, H, W) in [-1, 1] or uint8 ({n}, H, W, C), C 1 or 3"
    got = f"got {x.dtype} {x.shape}"
    eight_bit = x.dtype == np.uint8
    if not eight_bit and x.dtype.kind != "f":
        raise MienError(f"{expected}; {got}")
    if x.ndim != lead + 3 or x.shape[-1 if eight_bit else -3] not in (1, 3) or 0 in x.shape:
        raise MienError(f"{expected}, at least one; {got}")
    if not eight_bit:
        x = np.moveaxis(_eight_bit(x, expected), -3, -1)
    return np.ascontiguousarray(np.broadcast_to(x, (*x.shape[:-1], 3)))


def _eight_bit(x: NDArray[Any], expected: str) -> NDArray[np.uint8]:
    x = x.astype(np.float32)
    if not np.isfinite(x).all():
        raise MienError(f"{expected}; got {np.count_nonzero(~np.isfinite(x))} values that are not finite")
    largest = float(np.abs(x).max())
    # a decoder without a final tanh exceeds the range slightly; floats from 0 to 255 are a mistake
    if largest > 10:
        raise MienError(f"{expected}; got floats up to {largest:g}: divide by 127.5 and subtract 1")
    pixels: NDArray[np.uint8] = np.rint((np.clip(x, -1, 1) + 1) * 127.5).astype(np.uint8)
    return pixels


def listed(values: Sequence[str], count: int, what: str) -> list[str]:
    """Return ``values`` as a list of ``count`` names.

    Raises:
        MienError: another number of names, or one string in place of a list.
    """
    if isinstance(values, str):
        raise MienError(f"expected {what} as a list of {count} names, got the string '{values}'")
    names = [str(name) for name in values]
    if len(names) != count:
        raise MienError(f"expected {count} {what}, got {len(names)}: {', '.join(names[:10])}")
    return names


def whole(value: int, what: str, least: int = 1) -> int:
    """Return ``value`` if it is a whole number of at least ``least``.

    Raises:
        MienError: another number, or not a number.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise MienError(f"expected {what} as a whole number of at least {least}, got {value!r}")
    return int(value)


def same_shape(one: Pictures, other: Pictures, names: str) -> None:
    """Raise a MienError unless both have the same number of pictures and the same size."""
    if one.shape != other.shape:
        raise MienError(f"expected {names} of one shape, got {one.shape[:-1]} and {other.shape[:-1]}")


def enlarged(picture: Pictures, scale: int) -> Pictures:
    """Return pictures (..., H, W, 3) with every pixel a square of ``scale`` pixels."""
    return picture.repeat(scale, axis=-3).repeat(scale, axis=-2)
