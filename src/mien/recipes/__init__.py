"""The papers' experiments: one file each in a folder for each paper, run by ``mien reproduce PAPER/NAME``.

The list of recipes is the list of these files. Each holds one object ``RECIPE`` (:class:`mien.recipes.recipe.Recipe`);
its docstring holds the paper's claim, the command, and the time on two cores.

Older experiments are files in this folder itself: ``python -m mien.recipes.NAME --help``; ``demo`` is ``mien demo``.
"""

from __future__ import annotations

import ast
import functools
import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from mien.errors import MienError, UnknownName

if TYPE_CHECKING:
    from mien.recipes.recipe import Recipe

_FOLDER = Path(__file__).parent


@functools.cache
def names() -> tuple[str, ...]:
    """Return the names of all recipes, PAPER/NAME.

    >>> "vae_wgan/table1" in names()
    True
    """
    files = (file for file in _FOLDER.glob("*/*.py") if file.stem != "__init__")
    return tuple(sorted(f"{file.parent.name}/{file.stem}" for file in files))


def expand(words: list[str]) -> list[str]:
    """Return the names of recipes that words stand for: a name, or a paper for all its recipes.

    Raises:
        UnknownName: neither a recipe nor a paper.

    >>> expand(["vae_wgan/table1"])
    ['vae_wgan/table1']
    """
    chosen: list[str] = []
    papers = sorted({name.partition("/")[0] for name in names()})
    for word in words:
        several = [name for name in names() if word == name or word.rstrip("/") == name.partition("/")[0]]
        if not several:
            raise UnknownName("recipe", word, (*names(), *papers))
        chosen += several
    return list(dict.fromkeys(chosen))


def get(name: str) -> Recipe:
    """Return the recipe ``name``.

    Raises:
        UnknownName: with the nearest names.
        MienError: the file holds no ``RECIPE``.
    """
    if name not in names():
        raise UnknownName("recipe", name, names())
    module = importlib.import_module(f"mien.recipes.{name.replace('/', '.')}")
    recipe: Recipe | None = getattr(module, "RECIPE", None)
    if recipe is None:
        raise MienError(f"expected an object RECIPE in mien/recipes/{name}.py, got none: write it there")
    return recipe


def describe(name: str) -> str:
    """Return the docstring of a recipe's file: the claim, the command and the time; nothing is imported.

    Raises:
        UnknownName: with the nearest names.
    """
    if name not in names():
        raise UnknownName("recipe", name, names())
    return ast.get_docstring(ast.parse((_FOLDER / f"{name}.py").read_text(encoding="utf-8"))) or ""


def papers() -> tuple[str, ...]:
    """Return the names of the papers: the folders of the recipes.

    >>> papers()[0]
    'iterative_gan'
    """
    return tuple(dict.fromkeys(name.partition("/")[0] for name in names()))


def describe_paper(paper: str) -> str:
    """Return the name of a paper's method with its authors and year; nothing is imported.

    Raises:
        UnknownName: with the nearest names.

    >>> describe_paper("residual_gan")
    'Residual GAN (Shen & Liu, CVPR 2017)'
    """
    if paper not in papers():
        raise UnknownName("paper", paper, papers())
    text = (_FOLDER / paper / "__init__.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(text)) or paper).rstrip(".")
