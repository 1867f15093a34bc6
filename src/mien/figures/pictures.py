"""From what callers hold (tensors, arrays) to 8-bit RGB pictures, with errors that say what was wanted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import MienError

Pictures = NDArray[np.uint8]
"""8-bit RGB pictures (..., H, W, 3)."""

_LEADS = {1: "N", 2: "R, S"}


def array(values: ArrayLike, what: str) -> NDArray:
    """Return ``values`` as an array.

    Raises:
        MienError: they are no array: rows of different lengths, a tensor on a GPU or one with a gradient.
    """
    try:
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        why = str(error).splitlines()[0]
        raise MienError(f"expected {what} as an array, got {type(values).__name__}: {why}") from error


def pictures(x: ArrayLike, what: str = "x", *, lead: int = 1) -> Pictures:
    """Return pictures as 8-bit RGB (..., H, W, 3).

    Args:
        x: floats (..., C, H, W) in [-1, 1] (what lies a little outside is clipped) or uint8 (..., H, W, C);
            C is 1 or 3.
        what: the argument's name, for errors.
        lead: how many axes come before those of a picture.

    Raises:
        MienError: another type, another shape, no pictures, not finite, or far outside [-1, 1].

    >>> pictures(np.zeros((2, 1, 28, 20))).shape
    (2, 28, 20, 3)
    """
    x = array(x, what)
    n = _LEADS.get(lead, "…")
    wanted = f"expected {what} as floats ({n}, C, H, W) in [-1, 1] or uint8 ({n}, H, W, C), C 1 or 3"
    got = f"got {x.dtype} {x.shape}"
    eight_bit = x.dtype == np.uint8
    if not eight_bit and x.dtype.kind != "f":
        raise MienError(f"{wanted}; {got}")
    if x.ndim != lead + 3 or x.shape[-1 if eight_bit else -3] not in (1, 3) or 0 in x.shape:
        raise MienError(f"{wanted}, at least one; {got}")
    if not eight_bit:
        x = np.moveaxis(_eight_bit(x, wanted), -3, -1)
    return np.ascontiguousarray(np.broadcast_to(x, (*x.shape[:-1], 3)))


def _eight_bit(x: NDArray, wanted: str) -> NDArray[np.uint8]:
    x = x.astype(np.float32)
    if not np.isfinite(x).all():
        raise MienError(f"{wanted}; got {np.count_nonzero(~np.isfinite(x))} values that are not finite")
    largest = float(np.abs(x).max())
    # a decoder without a final tanh overshoots a little; 0…255 in floats is a mistake
    if largest > 10:
        raise MienError(f"{wanted}; got floats up to {largest:g}: divide by 127.5 and subtract 1")
    return np.rint((np.clip(x, -1, 1) + 1) * 127.5).astype(np.uint8)


def listed(given: Sequence[str], wanted: int, what: str) -> list[str]:
    """Return ``given`` as a list of ``wanted`` names.

    Raises:
        MienError: there are more or fewer, or one string came where a list of them was wanted.
    """
    if isinstance(given, str):
        raise MienError(f"expected {what} as a list of {wanted} names, got the string '{given}'")
    names = [str(name) for name in given]
    if len(names) != wanted:
        raise MienError(f"expected {wanted} {what}, got {len(names)}: {', '.join(names[:10])}")
    return names


def whole(value: int, what: str, least: int = 1) -> int:
    """Return ``value``, a whole number of at least ``least``.

    Raises:
        MienError: it is another number, or none.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise MienError(f"expected {what} as a whole number of at least {least}, got {value!r}")
    return int(value)


def same_shape(one: Pictures, other: Pictures, names: str) -> None:
    """Raise a MienError unless both hold as many pictures, of one size."""
    if one.shape != other.shape:
        raise MienError(f"expected {names} of one shape, got {one.shape[:-1]} and {other.shape[:-1]}")


def enlarged(picture: Pictures, scale: int) -> Pictures:
    """Return pictures (..., H, W, 3) with every pixel a square of ``scale`` pixels."""
    return picture.repeat(scale, axis=-3).repeat(scale, axis=-2)
