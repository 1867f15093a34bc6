"""The models: one file for each paper or baseline. The name of the file is the name of the model.

The list of models is the list of files in this folder, with the models of installed packages (entry points of the
group ``mien.models``) and those that :func:`use` was called with. Only :func:`get` and :func:`use` import torch.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib
import inspect
from pathlib import Path
from typing import TYPE_CHECKING

from mien.abilities import ABILITIES
from mien.abilities import names as abilities_of
from mien.errors import MienError
from mien.own_code import Registry

if TYPE_CHECKING:
    from mien.models.base import Model

_FOLDER = Path(__file__).parent
_NOT_MODELS = {"__init__", "base"}


def _base() -> type:
    from mien.models.base import Model

    return Model


own = Registry("model", "mien.models", _base, "mien.models")  # the models outside the package


@functools.cache
def _files() -> tuple[str, ...]:
    return tuple(sorted(f.stem for f in _FOLDER.glob("*.py") if f.stem not in _NOT_MODELS))


def names() -> tuple[str, ...]:
    """Return the names of all models.

    >>> "vae_wgan" in names()
    True
    """
    return (*_files(), *(name for name in own.names() if name not in _files()))


def use(model: str | type[Model]) -> str:
    """Return the name of a model: of one that comes with mien, or of a model of the user, which is known afterwards.

    Args:
        model: a name, a class that inherits from :class:`mien.models.base.Model`, or the text ``FILE.py:Class``. The
            file of a text is executed.

    Raises:
        UnknownName: a name that does not exist.
        MienError: no such file, or no model in it.

    >>> use("vae")
    'vae'
    """
    name = own.use(model)
    check_name(name)
    return name


def check_name(name: str) -> None:
    """Check that there is a model ``name``. No file of the user is executed unless ``MIEN_CODE`` names it.

    Raises:
        UnknownName: with the nearest names.
        MienError: a model of the user whose code was not passed.
    """
    own.check(str(name), _files())


@functools.cache
def _source(name: str) -> ast.Module:
    return ast.parse((_FOLDER / f"{name}.py").read_text(encoding="utf-8"))


def describe(name: str) -> str:
    """Return the first line of the docstring of a model's file: the kind of model and its paper.

    >>> describe("vae_wgan").startswith("VAE-WGAN")
    True
    """
    check_name(name)
    if name not in _files():
        cls = own.get(name)
        text = inspect.cleandoc(cls.__doc__ or "").split("\n", 1)[0]
        return text if ": " in text else f"{cls.__name__}: {text}".rstrip(": ")
    return (ast.get_docstring(_source(name)) or "").split("\n", 1)[0]


def abilities(name: str) -> tuple[str, ...]:
    """Return the names of a model's abilities, read from the bases of its class.

    >>> abilities("vae_wgan")
    ('Encodes', 'Decodes', 'Generates')
    """
    check_name(name)
    if name not in _files():
        return abilities_of(own.get(name))
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
    able = []
    for name in names():
        with contextlib.suppress(MienError):  # an installed package that is broken
            able += [name] if set(needed) <= set(abilities(name)) else []
    return able


def get(name: str) -> type[Model]:
    """Return the class of the model ``name``.

    Raises:
        UnknownName: with the nearest names.
    """
    check_name(name)
    from mien.models.base import Model

    if name not in _files():
        cls: type[Model] = own.get(name)
        return cls
    module = importlib.import_module(f"mien.models.{name}")
    classes = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Model) and value.__module__ == module.__name__
    ]
    assert len(classes) == 1, f"mien/models/{name}.py must hold exactly one model, got {classes}"
    return classes[0]
