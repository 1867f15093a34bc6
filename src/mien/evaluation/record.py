"""Frozen dataclasses that are stored as JSON objects."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Self, Union

from mien.errors import MienError

EXTRA = "extra"  # the field of this name holds all other keys of the JSON object


@dataclass(frozen=True)
class Record:
    """A frozen dataclass that reads and writes a JSON object, one key for each field, in the order of the fields.

    A field with the value and the default None is not written; a field without a default is always written. The field
    ``extra`` holds all other keys; they are written in its position.

    >>> @dataclass(frozen=True)
    ... class Point(Record):
    ...     x: float
    ...     y: float | None = None
    >>> Point(1.0).to_json(), Point.from_json({"x": 1.0, "y": 2.0})
    ({'x': 1.0}, Point(x=1.0, y=2.0))
    """

    def to_json(self) -> dict[str, Any]:
        """Return plain values that ``json`` can write."""
        out: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == EXTRA:
                out |= plain(value)
            elif value is not None or field.default is MISSING:
                out[field.name] = plain(value)
        return out

    @classmethod
    def from_json(cls, values: Any) -> Self:
        """Return the record of a JSON object that :meth:`to_json` wrote; keys without a field are ignored.

        Raises:
            MienError: a key is missing, or its value has another type.
        """
        if not isinstance(values, Mapping):
            raise MienError(f"expected {cls.__name__} as a table of values, got {type(values).__name__}: measure again")
        arguments: dict[str, Any] = {}
        kinds = _kinds(cls)
        for field in fields(cls):
            if field.name == EXTRA:
                arguments[EXTRA] = {key: value for key, value in values.items() if key not in kinds}
            elif field.name in values:
                arguments[field.name] = typed(kinds[field.name], values[field.name])
            elif field.default is MISSING:
                raise MienError(f"expected {cls.__name__} with {field.name}, got none: measure again")
        return cls(**arguments)


def _kinds(cls: type) -> dict[str, Any]:
    """Return the types of a record's fields by name. The result is cached for each class."""
    if cls not in _KINDS:
        _KINDS[cls] = typing.get_type_hints(cls)
    return _KINDS[cls]


_KINDS: dict[type, dict[str, Any]] = {}


def plain(value: Any) -> Any:
    """Return a value as plain JSON types: records and mappings become objects, tuples become lists."""
    if isinstance(value, Record):
        return value.to_json()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value


def typed(kind: Any, value: Any) -> Any:
    """Return a JSON value as the type ``kind`` of a field: a record, mapping, tuple, union, number or string.

    Raises:
        MienError: the value has another type.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if value is None and kind is float:
        return math.nan  # JSON has no NaN: see mien.files.finite
    if value is None and type(None) in arguments:
        return None
    if origin in (Union, types.UnionType):
        for choice in arguments:
            try:
                return typed(choice, value)
            except MienError:
                continue
    elif origin is dict and isinstance(value, Mapping):
        return {key: typed(arguments[1], item) for key, item in value.items()}
    elif origin is tuple and isinstance(value, list | tuple):
        return tuple(typed(arguments[0], item) for item in value)
    elif isinstance(kind, type) and issubclass(kind, Record):
        return kind.from_json(value)
    elif kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return value  # no conversion: JSON has one type of number, and 1 stays 1
    elif origin is None and isinstance(kind, type) and isinstance(value, kind):
        return value
    raise MienError(f"expected {getattr(kind, '__name__', kind)}, got {value!r:.60}: measure again")
