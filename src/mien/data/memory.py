"""Pictures that a program passes: arrays, and data sets of torch. They are prepared and split as any other set.

``mien.Data.from_arrays`` and ``mien.Data.from_dataset`` make references to them. The fingerprint is a digest of the
pictures, attributes and classes, so a run can be resumed, or evaluated, when the same pictures are passed again.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from mien.data.base import Source
from mien.data.pictures import to_square
from mien.data.values import Values, as_array, channels_last, check_signs, scaled, to_range, values
from mien.errors import MienError

PICTURE_KEYS = ("picture", "image", "img", "pixel_values", "x")  # of items that are dictionaries
LABEL_KEYS = ("label", "labels", "class", "target", "y")
ATTRIBUTE_KEYS = ("attributes", "attribute", "attrs", "attr")
AGAIN = 3  # items that are read twice, to see whether they stay the same


class Memory(Source):
    """Base of the sources that a program passes: N pictures of one shape (H, W, C)."""

    sizes = range(8, 1025)
    natural: tuple[int, int]  # (H, W) before resizing
    values: Values

    def shape(self, size: int) -> tuple[int, int, int]:
        """Return (H, W, C) at ``size``, the shorter side; the proportions are kept."""
        height, width = self.natural
        short = min(height, width)
        return round(height * size / short), round(width * size / short), self.channels

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.values.labels)

    def key(self, i: int) -> str:
        """Return the position of picture ``i`` as a text."""
        return str(i)

    def attribute_row(self, i: int) -> NDArray[np.int8]:
        """Return the attributes (A,) of picture ``i``."""
        row: NDArray[np.int8] = self.values.table[i]
        return row

    def label(self, i: int) -> int:
        """Return the class number of picture ``i``, -1 if unknown."""
        return int(self.values.labels[i])

    def earlier_fingerprint(self) -> str:
        """Return the fingerprint; there are no earlier versions."""
        return self.fingerprint()

    def _named(self) -> Any:
        """Return a digest that has seen the attributes and classes."""
        known = self.values
        digest = hashlib.sha256(f"memory 1 {self.natural} {self.channels} {self.dtype}".encode())
        digest.update(repr((known.attributes, known.classes)).encode("utf-8", "surrogateescape"))
        digest.update(known.table.tobytes() + known.labels.tobytes())
        return digest


class Arrays(Memory):
    """Pictures in an array.

    Args:
        pictures: uint8 (N, H, W, C) or (N, H, W); or floats (N, C, H, W), which are stored exactly. A tensor too.
        attributes: (N, A) of +1 yes, -1 no, 0 unknown; booleans; or 1 yes and 0 no, if there is no -1. NaN is unknown.
            Or {name: values (N,)}.
        labels: (N,) of class numbers from 0, -1 for unknown; or texts.
        attribute_names: A names; attribute_0, attribute_1, … if empty.
        classes: the names of the classes; their numbers or texts if empty.
        limits: the values of black and white in pictures of floats.
        name: the name of the data set.

    Raises:
        MienError: arrays of other shapes, types or values.
    """

    def __init__(
        self,
        pictures: Any,
        attributes: ArrayLike | Mapping[str, ArrayLike] | None = None,
        labels: ArrayLike | None = None,
        attribute_names: Sequence[str] = (),
        classes: Sequence[str] = (),
        limits: tuple[float, float] = (-1.0, 1.0),
        name: str = "arrays",
    ):
        array = channels_last(pictures, batch=True)
        if not len(array):
            raise MienError("expected pictures, got an array of none: pass 6 or more")
        if array.dtype != np.uint8:
            array = to_range(array, limits)
            if tuple(limits) == (-1.0, 1.0) and array.shape[1] > 1:
                check_signs(float(array.min()))
        self.pictures, self.name = array, name
        self.natural, self.channels = (array.shape[1], array.shape[2]), array.shape[3]  # type: ignore[misc]
        self.dtype, self.size = str(array.dtype), min(self.natural)  # type: ignore[misc]
        if self.natural[0] == 1:  # signals, which keep their length
            self.size, self.unit = self.natural[1], "samples"  # type: ignore[misc]
            self.sizes = range(self.size, self.size + 1)  # type: ignore[misc]
        self.values = values(len(array), attributes, labels, attribute_names, classes)
        self.attributes, self.classes = self.values.attributes, self.values.classes

    def shape(self, size: int) -> tuple[int, int, int]:
        """Return (H, W, C) at ``size``, the shorter side; a signal keeps its length."""
        return (1, size, self.channels) if self.natural[0] == 1 else super().shape(size)

    def read(self, i: int, size: int) -> NDArray[Any]:
        """Return picture ``i``, resized if ``size`` is another one."""
        height, width, _ = self.shape(size)
        return scaled(self.pictures[i], height, width)

    @cached_property
    def _mark(self) -> str:
        digest = self._named()
        for picture in self.pictures:
            digest.update(np.ascontiguousarray(picture).tobytes())
        return str(digest.hexdigest())

    def fingerprint(self) -> str:
        """Return a digest of the pictures, attributes and classes."""
        return self._mark


class Items(Memory):
    """A data set of torch: any object with ``len(items)`` and ``items[i]``.

    An item is (picture, label), (picture, attributes), a picture, or a dictionary with ``picture`` or ``image`` and
    ``label`` or ``attributes``. A picture is a PIL image, uint8 (H, W, C), or floats (C, H, W). Each item is read once
    for the fingerprint and once more for the preparation, so it must be the same each time.

    Args:
        items: the data set.
        attribute_names: A names; ``items.attr_names`` if it has them.
        classes: the names of the classes; ``items.classes`` if it has them.
        limits: the values of black and white in pictures of floats.
        name: the name of the data set, the name of the class of ``items`` if empty.

    Raises:
        MienError: no length, items of another form, or items that change.
    """

    def __init__(
        self,
        items: Any,
        attribute_names: Sequence[str] = (),
        classes: Sequence[str] = (),
        limits: tuple[float, float] = (-1.0, 1.0),
        name: str = "",
    ):
        if not (hasattr(items, "__len__") and hasattr(items, "__getitem__")):
            raise MienError(
                f"expected a data set with len(items) and items[i], got {type(items).__name__}: an iterable one must "
                "become a list first"
            )
        self.items, self.limits, self.name = items, limits, name or type(items).__name__
        self._reading = threading.Lock()
        self._scan(tuple(attribute_names), tuple(classes))

    def _scan(self, attribute_names: tuple[str, ...], classes: tuple[str, ...]) -> None:
        """Read each item once: its values, its shape and its digest."""
        labels: list[Any] = []
        rows: list[Any] = []
        shapes: set[tuple[int, ...]] = set()
        kinds: set[str] = set()
        pixels, least, digests = hashlib.sha256(), np.inf, []
        for i in range(len(self.items)):
            picture, label, row = self._item(i)
            labels.append(label)
            rows.append(row)
            shapes.add(picture.shape)
            kinds.add(str(picture.dtype))
            least = min(least, float(picture.min())) if picture.dtype != np.uint8 else least
            digests.append(hashlib.sha256(np.ascontiguousarray(picture).tobytes()).digest())
            pixels.update(digests[-1])
        if not shapes:
            raise MienError(f"expected pictures, got {self.name} with none: pass 6 or more")
        for i in range(min(AGAIN, len(digests))):
            if hashlib.sha256(np.ascontiguousarray(self._item(i)[0]).tobytes()).digest() != digests[i]:
                raise MienError(
                    f"expected the same item each time, got another picture for item {i} of {self.name}: leave out its "
                    "random transforms; --flip mirrors pictures during the training"
                )
        if len(kinds) > 1 or len({shape[2] for shape in shapes}) > 1:
            raise MienError(f"expected pictures of one type and number of channels, got {sorted(shapes)[:3]} {kinds}")
        if kinds == {"float32"} and tuple(self.limits) == (-1.0, 1.0):
            check_signs(least)
        self._one_shape, first = len(shapes) == 1, next(iter(shapes))
        if not self._one_shape and kinds != {"uint8"}:
            raise MienError(
                "expected pictures of one size, or uint8 and PIL images, got floats of several: resize them"
            )
        self.natural = (first[0], first[1]) if self._one_shape else (64, 64)
        self.size, self.channels, self.dtype = min(self.natural), first[2], kinds.pop()  # type: ignore[misc]
        names = attribute_names or tuple(name for name in getattr(self.items, "attr_names", ()) if name)
        classes = classes or tuple(map(str, getattr(self.items, "classes", ())))
        has_rows, has_labels = any(row is not None for row in rows), any(label is not None for label in labels)
        if has_rows and any(row is None or len(row) != len(rows[0]) for row in rows):
            raise MienError(f"expected a vector of attributes for each item, got items of {self.name} without one")
        self.values = values(
            len(labels),
            np.array(rows) if has_rows else None,
            [-1 if label is None else label for label in labels] if has_labels else None,
            names if has_rows else (),
            classes,
        )
        self.attributes, self.classes = self.values.attributes, self.values.classes
        digest = self._named()
        digest.update(pixels.digest())
        self._mark = str(digest.hexdigest())

    def _item(self, i: int) -> tuple[NDArray[Any], Any, NDArray[Any] | None]:
        """Return the picture (H, W, C), the label and the attributes of item ``i``; None for what it lacks."""
        with self._reading:  # files of a data set are often opened once
            item = self.items[i]
        if isinstance(item, Mapping):
            picture, label, row = (
                next((item[key] for key in keys if key in item), None)
                for keys in (PICTURE_KEYS, LABEL_KEYS, ATTRIBUTE_KEYS)
            )
            rest = [label, row]
        else:
            picture, *rest = item if isinstance(item, tuple | list) else (item,)
        if picture is None or len(rest) > 2:
            raise MienError(
                f"expected items (picture, label), (picture, attributes) or dictionaries with picture and label, got "
                f"{type(item).__name__} for item {i} of {self.name}: change its __getitem__"
            )
        label = row = None
        for value in rest:
            if value is None:
                continue
            array = as_array(value)
            if array.ndim == 0:
                label = array.item()
            else:
                row = array
        if isinstance(picture, Image.Image):
            picture = np.asarray(picture if picture.mode in ("L", "RGB") else picture.convert("RGB"))
        try:
            array = channels_last(picture)
            return (array if array.dtype == np.uint8 else to_range(array, self.limits)), label, row
        except MienError as error:
            raise MienError(f"{self.name}, item {i}: {error}") from None

    def read(self, i: int, size: int) -> NDArray[Any]:
        """Return picture ``i``; pictures of several sizes are cropped to their centered square."""
        picture = self._item(i)[0]
        if self._one_shape:
            height, width, _ = self.shape(size)
            return scaled(picture, height, width)
        image = Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture)
        return to_square(image, size).reshape(size, size, -1)

    def fingerprint(self) -> str:
        """Return a digest of the pictures, attributes and classes."""
        return self._mark


class Absent(Source):
    """A data set that a program passed, and that is not here now: only its prepared form can be opened.

    Args:
        name: its name.
        mark: its fingerprint.
    """

    sizes = range(1, 2**31)

    def __init__(self, name: str, mark: str):
        self.name, self._mark = name, mark

    def _refuse(self) -> MienError:
        return MienError(
            f"expected the pictures {self.name}, which were passed to mien.train in Python, got none, and their "
            "prepared form is no longer in the cache: open the run in Python once, with mien.open_run(run, data=…) and "
            "the same pictures"
        )

    def __len__(self) -> int:
        """Raise MienError."""
        raise self._refuse()

    def key(self, i: int) -> str:
        """Raise MienError."""
        raise self._refuse()

    def read(self, i: int, size: int) -> NDArray[Any]:
        """Raise MienError."""
        raise self._refuse()

    def fingerprint(self) -> str:
        """Return the fingerprint of the pictures."""
        return self._mark

    def earlier_fingerprint(self) -> str:
        """Return the fingerprint; there are no earlier versions."""
        return self._mark
