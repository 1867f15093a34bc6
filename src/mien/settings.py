"""Settings of models and options of data sets: their types in words, their values from text, their meaning.

A setting is a typed keyword argument of a constructor. Pydantic checks a value against the argument's annotation; the
messages are our own, one line each. This file is a leaf, and imports pydantic only when a value is converted.
"""

from __future__ import annotations

import inspect
import os
import re
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from mien.errors import MienError, UnknownName

WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
PLURALS = {int: "whole numbers", float: "numbers", bool: "true or false values", str: "texts"}


def in_words(annotation: Any) -> str:
    """Return a type in words.

    >>> in_words(int), in_words(tuple[float, float]), in_words(str | None)
    ('a whole number', '2 numbers separated by commas', 'text')
    """
    parts = typing.get_args(annotation)
    if typing.get_origin(annotation) is tuple:
        count = "" if ... in parts else f"{len(parts)} "
        return f"{count}{PLURALS.get(parts[0], 'values')} separated by commas"
    if _is_union(annotation):
        return " or ".join(in_words(part) for part in parts if part is not type(None))
    return WORDS.get(annotation, getattr(annotation, "__name__", str(annotation)))


def convert(name: str, value: Any, annotation: Any) -> Any:
    """Return a value of the type that ``annotation`` names.

    Lists become tuples, and whole numbers such as 8.0 become int; text does not become a number (see
    :func:`from_text`).

    Args:
        name: the setting and whose it is, for the message.
        annotation: int, float, bool, str, a tuple of these, or a union of these.

    Raises:
        MienError: for a value of another type.

    >>> convert("vae's betas", [0.5, 1], tuple[float, float])
    (0.5, 1.0)
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(annotation).validate_python(_prepared(value, annotation), strict=True)
    except ValidationError:
        shown = value if isinstance(value, str) else repr(value)
        raise MienError(f"expected {in_words(annotation)} for {name}, got '{shown:.300}'") from None


def from_text(name: str, text: str, annotation: Any) -> Any:
    """Return the value that a text of the command line stands for, of the type that ``annotation`` names.

    Args:
        name, annotation: as of :func:`convert`.

    Raises:
        MienError: for a text that is no such value.

    >>> from_text("vae's width", "1e3", int), from_text("vae_wgan's layers", "1,2", tuple[int, ...])
    (1000, (1, 2))
    """
    try:
        return convert(name, _parsed(text, annotation), annotation)
    except MienError:
        raise MienError(f"expected {in_words(annotation)} for {name}, got '{text}'") from None


def from_pairs(
    option: str, example: str, owner: str, kind: str, pairs: Iterable[str], annotations: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the values of the texts ``key=value`` of an option of the command line, by key.

    A value that starts with ``~`` is a path; ``~`` becomes the home folder.

    Args:
        option: the option, such as ``--set``.
        example: a pair that is correct, for the message.
        owner: the model or the data set.
        kind: what a key names: a setting, an option.
        pairs: the texts.
        annotations: the annotation of each key.

    Raises:
        UnknownName: for a key without annotation.
        MienError: for a text that is no pair, or has a value of another type.
    """
    values: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise MienError(f"expected {option} key=value, got '{pair}': such as {option} {example}")
        if key not in annotations:
            raise UnknownName(f"{kind} of {owner}", key, annotations)
        # a shell does not expand ~ in the middle of a word
        text = os.path.expanduser(text) if text.startswith("~") else text
        values[key] = from_text(f"{owner}'s {key}", text, annotations[key])
    return values


def meanings(cls: type) -> dict[str, str]:
    """Return what each constructor argument of a class means, from the section Args of its docstring.

    One entry may explain several arguments (``alpha, beta: weights …``): each of them has its text.

    >>> class Model:
    ...     '''A model.
    ...
    ...     Args:
    ...         width: channels of the first layer;
    ...             the paper has 64.
    ...         lr, betas: Adam's.
    ...     '''
    >>> meanings(Model)
    {'width': 'channels of the first layer; the paper has 64.', 'lr': "Adam's.", 'betas': "Adam's."}
    """
    section = re.search(r"^Args:\n((?: .*\n?|\n)+)", inspect.getdoc(cls) or "", re.MULTILINE)
    texts: dict[str, str] = {}
    names: list[str] = []
    for line in section[1].splitlines() if section else []:
        entry = re.match(r" {4}(\**\w+(?:, \**\w+)*): *(.*)", line)
        if entry:
            names = entry[1].split(", ")
            texts |= dict.fromkeys(names, entry[2])
        else:
            texts |= {name: f"{texts[name]} {line.strip()}".strip() for name in names}
    return texts


def _is_union(annotation: Any) -> bool:
    return isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union


def _prepared(value: Any, annotation: Any) -> Any:
    """Return a value in the form that the strict check takes: tuples for lists, int for whole float."""
    if typing.get_origin(annotation) is tuple and isinstance(value, list | tuple):
        return tuple(_prepared(item, typing.get_args(annotation)[0]) for item in value)
    if annotation is int and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _parsed(text: str, annotation: Any) -> Any:
    """Return what a text stands for; the text itself where it is no value of this type."""
    if _is_union(annotation):
        parts = [part for part in typing.get_args(annotation) if part is not type(None)]
        values = (_parsed(text, part) for part in parts if part is not str)
        return next((value for value in values if not isinstance(value, str)), text)
    if typing.get_origin(annotation) is tuple:
        items = [part.strip() for part in text.strip("()[] ").split(",") if part.strip()]
        return tuple(_parsed(item, typing.get_args(annotation)[0]) for item in items)
    if annotation is bool:
        return {"true": True, "false": False}.get(text.strip().lower(), text)
    if annotation in (int, float):
        for kind in (int, float):
            try:
                return kind(text)
            except ValueError:
                continue
    return text
