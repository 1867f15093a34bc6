"""Models and data sets outside the package: classes of the user, by a file, by an entry point, or passed in Python.

``my_model.py:MyModel`` names the class MyModel of the file my_model.py. A run folder records this name without the
folder, and where the file was. Opening a run never executes a file because ``config.json`` names it. The user passes
the file again: ``mien --code my_model.py COMMAND``, the variable ``MIEN_CODE`` (several paths are separated as in
``PATH``), ``mien.models.use("my_model.py:MyModel")``, or an import of the class and ``mien.models.use(MyModel)``.

Installed packages declare theirs as entry points of the groups ``mien.models`` and ``mien.datasets``.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from mien.errors import MienError, UnknownName

CODE = "MIEN_CODE"  # the variable with the files that may be executed


def is_reference(name: str) -> bool:
    """Return whether a text names a class in a file, such as ``my_model.py:MyModel`` or ``my_model.py``.

    >>> is_reference("./my_model.py:MyModel"), is_reference("vae_wgan")
    (True, False)
    """
    return ":" in name or name.endswith(".py")


@functools.cache
def load_file(path: Path) -> ModuleType:
    """Execute a Python file once and return its module; files beside it can be imported by it.

    Raises:
        MienError: there is no such file, or it cannot be executed.
    """
    if not path.is_file():
        raise MienError(f"expected a Python file, got no file {path}: pass its path, such as ./my_model.py:MyModel")
    name = path.stem if path.stem not in sys.modules else f"mien_own_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.append(str(path.parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise MienError(f"{path} cannot be executed: {type(error).__name__}: {error}: correct it") from error
    return module


class Registry:
    """The user's classes of one kind.

    Args:
        kind: ``model`` or ``data set``, for messages.
        group: the group of entry points.
        base: returns the base class; a function, because its import is slow.
        inside: the package of the classes that come with mien.
    """

    def __init__(self, kind: str, group: str, base: Callable[[], type], inside: str):
        self.kind, self.group, self.base, self.inside = kind, group, base, inside
        self._classes: dict[str, type] = {}

    @functools.cached_property
    def entry_points(self) -> dict[str, metadata.EntryPoint]:
        """The entry points of installed packages by name."""
        return {point.name: point for point in metadata.entry_points(group=self.group)}

    def names(self) -> tuple[str, ...]:
        """Return the names of the installed classes, and of those of this process."""
        return (*self.entry_points, *(name for name in self._classes if name not in self.entry_points))

    def __contains__(self, name: str) -> bool:
        if name in self._classes or name in self.entry_points:
            return True
        if is_reference(name):
            for path in filter(None, os.environ.get(CODE, "").split(os.pathsep)):
                self._add_file(Path(path))
        return name in self._classes

    def get(self, name: str) -> type:
        """Return the class ``name``.

        Raises:
            MienError: an entry point that cannot be imported or has another class, or no permission to execute a file.
        """
        if name not in self:
            raise MienError(self.refusal(name))
        if name not in self._classes:
            try:
                self._classes[name] = self._checked(self.entry_points[name].load(), name)
            except (ImportError, AttributeError) as error:
                target = self.entry_points[name].value
                raise MienError(
                    f"{self.kind} {name} ({target}) cannot be imported: {error}: install it again"
                ) from None
        return self._classes[name]

    def use(self, what: str | type) -> str:
        """Return the name of a class that the user passes: a class, or the text ``FILE.py:Class``.

        The file of a text is executed. Other texts are returned as they are.

        Raises:
            MienError: no such file, or no class of this kind in it.
        """
        if isinstance(what, type):
            if what.__module__.startswith(f"{self.inside}."):
                return what.__module__.rpartition(".")[2]
            return self._add(self._checked(what, what.__name__))
        text = os.fspath(what)
        if not is_reference(text) or text in self._classes:
            return text
        file, _, chosen = text.rpartition(":") if not text.endswith(".py") else (text, "", "")
        names = self._add_file(Path(file))
        classes = [name.rpartition(":")[2] for name in names]
        if chosen and chosen not in classes:
            raise UnknownName(f"{self.kind} in {file}", chosen, classes)
        if not chosen and len(names) != 1:
            got = ", ".join(classes) or "none"
            raise MienError(f"expected one {self.kind} in {file}, got {got}: name the class, as {file}:Class")
        return names[classes.index(chosen) if chosen else 0]

    def check(self, name: str, files: Iterable[str]) -> None:
        """Check that there is a class ``name``: one of the ``files`` of the package, or one of the user's.

        No file of the user is executed unless ``MIEN_CODE`` names it.

        Raises:
            UnknownName: with the nearest names.
            MienError: a class of the user whose code was not passed.
        """
        files = tuple(files)
        if name in files or name in self:
            return
        if is_reference(name):
            raise MienError(self.refusal(name))
        raise UnknownName(self.kind, name, (*files, *(own for own in self.names() if own not in files)))

    def name_of(self, cls: type) -> str:
        """Return the name of a class: that of its entry point, or ``FILE.py:Class``."""
        for name, point in self.entry_points.items():
            if point.value == f"{cls.__module__}:{cls.__qualname__}":
                return name
        return f"{_file(cls).name or 'python'}:{cls.__qualname__}"

    def record(self, name: str) -> dict[str, str] | None:
        """Return where the class ``name`` comes from, for a run folder; None for one that comes with mien."""
        if name not in self._classes and name not in self.entry_points:
            return None
        if name in self.entry_points:
            return {"entry_point": self.entry_points[name].value}
        file = _file(self._classes[name])
        if not file.is_file():
            return {"file": ""}
        return {"file": str(file.resolve()), "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}

    def refusal(self, name: str) -> str:
        """Return the message for a run whose code was not passed."""
        file, _, cls = name.rpartition(":")
        if file == "python":
            return (
                f"expected the {self.kind} {cls}, which was defined in Python, got none: define it again and call "
                f"mien.{self._module}.use({cls}) first"
            )
        return (
            f"expected the code of the {self.kind} {name}, which does not come with mien, got none, because mien "
            f"executes no file only because a run folder names it: pass it as mien --code PATH/{file} COMMAND (see "
            f"code in config.json), set {CODE}, or call mien.{self._module}.use('PATH/{name}') in Python"
        )

    @property
    def _module(self) -> str:
        return self.inside.split(".")[1]

    def _add_file(self, path: Path) -> list[str]:
        """Execute a file, and return the names of its classes of this kind."""
        module, base = load_file(path.expanduser().resolve()), self.base()
        return [
            self._add(value)
            for value in vars(module).values()
            if isinstance(value, type)
            and issubclass(value, base)
            and value.__module__ == module.__name__
            and not inspect.isabstract(value)
        ]

    def _add(self, cls: type) -> str:
        name = self.name_of(cls)
        self._classes[name] = cls
        return name

    def _checked(self, cls: Any, name: str) -> type:
        base = self.base()
        if not (isinstance(cls, type) and issubclass(cls, base)):
            raise MienError(f"expected a subclass of {base.__module__}.{base.__name__}, got {name}: inherit from it")
        return cls


def _file(cls: type) -> Path:
    """Return the file of a class, an empty path for a class of an interactive session."""
    try:
        return Path(inspect.getfile(cls))
    except (OSError, TypeError):
        return Path()
