"""Data sets by name: one file each in the folder ``sets``. A set is prepared once and then read without decoding.

Installed packages add data sets as entry points of the group ``mien.datasets``, and :func:`use` adds a class of the
user. Pictures in memory are data sets too: see :mod:`mien.data.memory`.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import typing
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from mien.data.base import Source
from mien.data.batch import Batch
from mien.data.dataset import Dataset
from mien.data.splits import Splits
from mien.errors import MienError
from mien.own_code import Registry
from mien.settings import convert, from_pairs

__all__ = [
    "Batch",
    "Dataset",
    "Source",
    "Splits",
    "cache_dir",
    "check_size",
    "default_size",
    "describe",
    "get",
    "load",
    "load_source",
    "names",
    "option_types",
    "options",
    "parse_options",
    "shape",
    "source",
    "use",
]

Root = str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None  # one folder, or several
_SETS = Path(__file__).parent / "sets"
own = Registry("data set", "mien.datasets", lambda: Source, "mien.data")  # the data sets outside the package


def _files() -> tuple[str, ...]:
    return tuple(sorted(file.stem for file in _SETS.glob("*.py") if file.stem != "__init__"))


def names() -> tuple[str, ...]:
    """Return the names of the data sets: the files of the folder ``sets``, and those of installed packages.

    >>> "avatars" in names()
    True
    """
    files = _files()
    return (*files, *(name for name in own.names() if name not in files))


def use(name: str | type[Source]) -> str:
    """Return the name of a data set: of one that comes with mien, or of one of the user, which is known afterwards.

    Args:
        name: a name, a class that inherits from :class:`mien.data.Source`, or the text ``FILE.py:Class``. The file of
            a text is executed.

    Raises:
        UnknownName: a name that does not exist.
        MienError: no such file, or no data set in it.

    >>> use("mnist")
    'mnist'
    """
    name = own.use(name)
    check_name(name)
    return name


def check_name(name: str) -> None:
    """Check that there is a data set ``name``. No file of the user is executed unless ``MIEN_CODE`` names it.

    Raises:
        UnknownName: with the nearest names.
        MienError: a data set of the user whose code was not passed.
    """
    own.check(str(name), _files())


def describe(name: str) -> str:
    """Return the first line of the description of the data set ``name``, without importing it.

    Raises:
        UnknownName: no data set has this name.
    """
    check_name(name)
    if name not in _files():
        return inspect.cleandoc(own.get(name).__doc__ or name).partition("\n")[0]
    text = (_SETS / f"{name}.py").read_text("utf-8")
    doc = ast.get_docstring(ast.parse(text)) or ""
    return doc.partition("\n")[0]


def options(name: str) -> dict[str, Any]:
    """Return the options of the data set ``name`` with their defaults, without ``root``.

    >>> options("avatars")["seed"]
    0
    """
    return {key: parameter.default for key, parameter in _parameters(name).items() if key != "root"}


def default_size(name: str) -> int:
    """Return the default size of a data set: side in pixels, or samples of a signal.

    >>> default_size("mnist"), default_size("avatars")
    (28, 64)
    """
    return get(name).size


def option_types(name: str) -> dict[str, Any]:
    """Return the type of each option of the data set ``name``, without ``root``.

    >>> option_types("avatars")["count"]
    <class 'int'>
    """
    hints = typing.get_type_hints(get(name).__init__)
    return {key: hints.get(key, object) for key in options(name)}


def parse_options(name: str, pairs: Iterable[str]) -> dict[str, Any]:
    """Return the options that are given as texts ``key=value`` with ``--data-option``.

    Raises:
        UnknownName: an option that the data set does not have.
        MienError: a text that is not ``key=value``, or a value of the wrong type.

    >>> parse_options("avatars", ["count=4000"])
    {'count': 4000}
    """
    return from_pairs("--data-option", "count=4000", name, "option", pairs, option_types(name))


def check_size(name: str, size: int) -> None:
    """Raise MienError unless the data set `name` can be prepared at `size`; its files are not opened."""
    kind = get(name)
    if size not in kind.sizes:
        raise MienError(f"expected a size from {kind.sizes[0]} to {kind.sizes[-1]} {kind.unit}, got {size}")


def shape(name: str, size: int) -> tuple[int, int, int]:
    """Return (H, W, C) of a picture of the data set ``name`` prepared at ``size``; no file is opened.

    >>> shape("avatars", 32), shape("freyfaces", 28)
    ((32, 32, 3), (28, 20, 1))
    """
    kind = get(name)
    return kind.shape(kind.__new__(kind), size)  # the shape depends only on the class and the size


def source(name: str, root: Root = None, **options: Any) -> Source:
    """Return the source of the data set ``name``: its original pictures, not yet prepared.

    Args:
        name: one of ``names()``.
        root: folder of its files, if it has files; several folders are joined to one set.
        options: see ``options(name)``.

    Raises:
        UnknownName: no data set has this name.
        MienError: an unknown option, an option of the wrong type, or missing files.
    """
    if isinstance(root, list | tuple):
        from mien.data.joined import Joined

        parts = [source(name, one, **options) for one in root]
        return Joined(parts) if len(parts) > 1 else parts[0]
    parameters, annotations = _parameters(name), option_types(name)
    listed = ", ".join(f"{key}={parameters[key].default!r}" for key in annotations) or "none"
    for key, value in options.items():
        if key not in annotations:
            raise MienError(f"data set {name} has no option '{key}': its options are {listed}")
        options[key] = convert(f"{name}'s {key}", value, annotations[key])
    if root is not None:
        if "root" not in parameters:
            raise MienError(f"data set {name} reads no files: leave out the folder {root}")
        options["root"] = root
    return get(name)(**options)


def load(
    name: str,
    root: Root = None,
    size: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    cache: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Dataset:
    """Prepare the data set ``name`` at ``size``, unless it is prepared, and open it.

    Args:
        name, root, options: see ``source``.
        size: side of the pictures in pixels, or samples of a signal; ``default_size(name)`` if None.
        progress: called with (done, total) during the preparation.
        cache: folder of prepared sets, ``cache_dir()`` if None.

    Raises:
        UnknownName: no data set has this name.
        MienError: a wrong option or size, absent or damaged files, or a full disk.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as cache:
    ...     load("avatars", size=16, count=3, cache=cache).pictures([0, 2]).shape
    (2, 16, 16, 3)
    """
    return load_source(source(name, root, **options), size, progress, cache)


def load_source(
    origin: Source,
    size: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    cache: str | os.PathLike[str] | None = None,
) -> Dataset:
    """Prepare a source at ``size``, unless it is prepared, and open it; arguments and errors are those of ``load``."""
    from mien.data.packing import prepare

    size = origin.size if size is None else size
    dataset = Dataset(prepare(origin, size, cache, progress))
    dataset.source = origin.at(size)  # the files may have moved since they were prepared
    return dataset


def cache_dir() -> Path:
    """Return the folder of prepared sets: $MIEN_CACHE, or ``mien`` in the cache folder of the system's user.

    On Linux this is ``$XDG_CACHE_HOME/mien``, by default ``~/.cache/mien``.
    """
    if folder := os.environ.get("MIEN_CACHE"):
        return Path(folder).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("mien", appauthor=False)


def get(name: str) -> type[Source]:
    """Return the class of the data set ``name``.

    Raises:
        UnknownName: no data set has this name.
        MienError: a data set of the user whose code was not passed.
    """
    check_name(name)
    kind: type[Source]
    kind = importlib.import_module(f"mien.data.sets.{name}").Source if name in _files() else own.get(name)
    return kind


def _parameters(name: str) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(get(name)).parameters)
