"""Checks of what a program passes: pictures as arrays, their attributes and their classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from mien.data.pictures import resize
from mien.errors import MienError

CHANNELS = (1, 3)


@dataclass(frozen=True)
class Values:
    """Attributes and classes of N pictures.

    Attributes:
        attributes: A names.
        table: int8 (N, A) of +1, -1 and 0.
        classes: the names of the classes.
        labels: int64 (N,), -1 for unknown.
    """

    attributes: tuple[str, ...]
    table: NDArray[np.int8]
    classes: tuple[str, ...]
    labels: NDArray[np.int64]


def values(
    n: int,
    attributes: ArrayLike | Mapping[str, ArrayLike] | None = None,
    labels: ArrayLike | None = None,
    attribute_names: Sequence[str] = (),
    classes: Sequence[str] = (),
) -> Values:
    """Return the checked attributes and classes of n pictures; the arguments are those of :class:`Arrays`."""
    if isinstance(attributes, Mapping):
        attribute_names, columns = tuple(map(str, attributes)), [np.asarray(as_array(v)) for v in attributes.values()]
        for name, column in zip(attribute_names, columns, strict=True):
            if column.shape != (n,):
                raise MienError(f"expected {n} values of {name}, got {column.shape}: one for each picture")
        attributes = np.stack(columns, 1) if columns else None
    table = np.zeros((n, 0), np.int8)
    if attributes is not None:
        table = _table(as_array(attributes), n)
        attribute_names = tuple(attribute_names) or tuple(f"attribute_{a}" for a in range(table.shape[1]))
        if len(attribute_names) != table.shape[1] or len(set(attribute_names)) != table.shape[1]:
            got = f"{len(set(attribute_names))} different names"
            raise MienError(f"expected a name for each of {table.shape[1]} attributes, got {got}: pass attribute_names")
    elif attribute_names:
        raise MienError(f"expected attributes for the names {', '.join(attribute_names)}, got none: pass attributes")
    numbers = np.full(n, -1, np.int64)
    if labels is not None:
        classes, numbers = _labels(as_array(labels), n, tuple(map(str, classes)))
    return Values(tuple(attribute_names), table, tuple(classes) if labels is not None else (), numbers)


def as_array(value: Any) -> NDArray[Any]:
    """Return a tensor, an array or a list as an array."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    return np.asarray(value)


def _table(array: NDArray[Any], n: int) -> NDArray[np.int8]:
    """Return attributes as +1, -1 and 0; without -1 and NaN, zeros are "no"."""
    if array.ndim != 2 or len(array) != n or array.dtype.kind not in "biuf":
        raise MienError(
            f"expected attributes ({n}, A) of +1, -1 and 0 (unknown), or of 1 and 0, got {array.dtype} {array.shape}: "
            "pass one row for each picture"
        )
    unknown = np.isnan(array) if array.dtype.kind == "f" else np.zeros(array.shape, bool)
    numbers = np.where(unknown, 0, array).astype(float)
    if not np.isin(numbers, (-1, 0, 1)).all():
        got = numbers[~np.isin(numbers, (-1, 0, 1))][0]
        raise MienError(f"expected attributes of +1, -1 and 0 (unknown), or of 1 and 0, got {got:g}: convert them")
    if (numbers == -1).any():
        return numbers.astype(np.int8)
    return np.where(unknown, 0, np.where(numbers == 1, 1, -1)).astype(np.int8)


def _labels(array: NDArray[Any], n: int, classes: tuple[str, ...]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Return the names of the classes and the number of each picture."""
    if array.ndim != 1 or len(array) != n or array.dtype.kind not in "biuOUS":
        raise MienError(
            f"expected labels ({n},) of whole numbers or texts, got {array.dtype} {array.shape}: pass one for each "
            "picture"
        )
    if array.dtype.kind in "OUS":
        texts = [str(text) for text in array]
        classes = classes or tuple(sorted(set(texts)))
        if absent := sorted(set(texts) - set(classes)):
            raise MienError(f"expected labels among {', '.join(classes)}, got {absent[0]}: add it to classes")
        return classes, np.array([classes.index(text) for text in texts], np.int64)
    numbers = array.astype(np.int64)
    classes = classes or tuple(str(k) for k in range(int(numbers.max(initial=0)) + 1))
    if numbers.min(initial=0) < -1 or numbers.max(initial=0) >= len(classes):
        got = f"{numbers.min()} to {numbers.max()}"
        raise MienError(f"expected labels from -1 (unknown) to {len(classes) - 1}, got {got}: pass all classes")
    return classes, numbers


def channels_last(picture: Any, batch: bool = False) -> NDArray[Any]:
    """Return a picture, or N of them, as an array (H, W, C) or (N, H, W, C).

    Args:
        picture: uint8 (H, W, C), floats (C, H, W), either in the other order if only one axis can be the channels, or
            gray (H, W).
        batch: whether there is an axis N in front.

    Raises:
        MienError: another shape or type.
    """
    array = as_array(picture)
    form = "(N, H, W, C) or (N, C, H, W)" if batch else "(H, W, C) or (C, H, W)"
    if array.ndim == 2 + batch:
        array = array[..., None]
    if array.ndim != 3 + batch or not (array.dtype == np.uint8 or array.dtype.kind == "f"):
        raise MienError(f"expected pictures {form}, uint8 or floats, got {array.dtype} {array.shape}: convert them")
    first, last = array.shape[-3] in CHANNELS, array.shape[-1] in CHANNELS
    if first and (not last or array.dtype != np.uint8):
        return np.moveaxis(array, -3, -1)
    if not last:
        raise MienError(f"expected pictures {form} with 1 or 3 channels, got {array.shape}: convert them")
    return array


def to_range(array: NDArray[Any], limits: tuple[float, float]) -> NDArray[np.float32]:
    """Return floats as float32 in [-1, 1]; ``limits`` are the values of black and white.

    Raises:
        MienError: NaN, infinities, or values outside the limits.
    """
    low, high = limits
    if not low < high:
        raise MienError(f"expected limits (black, white) with black < white, got {limits}: such as (0, 1)")
    least, most = float(array.min()), float(array.max())
    if not (np.isfinite(least) and np.isfinite(most)):
        raise MienError("expected pictures of finite values, got NaN or infinities: remove these pictures")
    room = 1e-3 * (high - low)
    if least < low - room or most > high + room:
        raise MienError(
            f"expected pictures in [{low:g}, {high:g}], got {least:.3g} to {most:.3g}: pass uint8, or the values of "
            "black and white as limits=(black, white)"
        )
    result: NDArray[np.float32] = np.clip(array, low, high).astype(np.float32)
    if (low, high) != (-1.0, 1.0):
        result = (result - np.float32(low)) * np.float32(2 / (high - low)) - np.float32(1)
    return result


def check_signs(least: float) -> None:
    """Refuse pictures in [-1, 1] without a value below 0: they are in [0, 1].

    Raises:
        MienError: the smallest value of all pictures is 0 or more.
    """
    if least >= 0:
        raise MienError(
            f"expected pictures in [-1, 1], got no value below {least:.3g}, so they seem to be in [0, 1]: pass "
            "limits=(0, 1)"
        )


def scaled(picture: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Return a picture (H, W, C), uint8 or float32, resized by Lanczos with antialiasing; unchanged at its own size."""
    if picture.shape[:2] == (height, width):
        return np.ascontiguousarray(picture)
    if picture.dtype == np.uint8:
        image = Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture)
        return resize(image, (height, width)).reshape(height, width, -1)
    planes = [Image.fromarray(np.ascontiguousarray(picture[..., c])) for c in range(picture.shape[2])]
    resized = [np.asarray(plane.resize((width, height), Image.Resampling.LANCZOS)) for plane in planes]
    result: NDArray[Any] = np.clip(np.stack(resized, 2), -1, 1).astype(np.float32)
    return result
