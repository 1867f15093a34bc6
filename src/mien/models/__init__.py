"""The models: one file for each paper or baseline. The name of the file is the name of the model.

There is no registry: the list of models is the list of files in this folder. Only :func:`get` imports torch.
"""

from __future__ import annotations

import ast
import functools
import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from mien.abilities import ABILITIES
from mien.errors import UnknownName

if TYPE_CHECKING:
    from mien.models.base import Model

_FOLDER = Path(__file__).parent
_NOT_MODELS = {"__init__", "base"}


@functools.cache
def names() -> tuple[str, ...]:
    """Return the names of all models.

    >>> "vae_wgan" in names()
    True
    """
    return tuple(sorted(f.stem for f in _FOLDER.glob("*.py") if f.stem not in _NOT_MODELS))


def check_name(name: str) -> None:
    """Check that there is a model ``name``.

    Raises:
        UnknownName: with the nearest names.
    """
    if name not in names():
        raise UnknownName("model", name, names())


@functools.cache
def _source(name: str) -> ast.Module:
    check_name(name)
    return ast.parse((_FOLDER / f"{name}.py").read_text(encoding="utf-8"))


def describe(name: str) -> str:
    """Return the first line of the docstring of a model's file: the kind of model and its paper.

    >>> describe("vae_wgan").startswith("VAE-WGAN")
    True
    """
    return (ast.get_docstring(_source(name)) or "").split("\n", 1)[0]


def abilities(name: str) -> tuple[str, ...]:
    """Return the names of a model's abilities, read from the bases of its class.

    >>> abilities("vae_wgan")
    ('Encodes', 'Decodes', 'Generates')
    """
    every = tuple(ability.__name__ for ability in ABILITIES)
    bases = {
        base.id
        for node in _source(name).body
        if isinstance(node, ast.ClassDef)
        for base in node.bases
        if isinstance(base, ast.Name)
    }
    return tuple(ability for ability in every if ability in bases)


def models_with(needed: list[str]) -> list[str]:
    """Return the names of the models that have every ability named in ``needed``."""
    return [name for name in names() if set(needed) <= set(abilities(name))]


def get(name: str) -> type[Model]:
    """Return the class of the model ``name``.

    Raises:
        UnknownName: with the nearest names.
    """
    check_name(name)
    from mien.models.base import Model

    module = importlib.import_module(f"mien.models.{name}")
    classes = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Model) and value.__module__ == module.__name__
    ]
    assert len(classes) == 1, f"mien/models/{name}.py must hold exactly one model, got {classes}"
    return classes[0]
