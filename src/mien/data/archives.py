"""Where the files of a data set lie, and reading those of a zip or a folder from several threads."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import zipfile
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mien.data.pictures import BadPicture
from mien.errors import MienError

ZIP_END = 2**25  # bytes; a zip ends with the list of its members and their checksums


def locate(root: str | os.PathLike | None, names: Iterable[str], title: str, layout: str) -> Path:
    """The folder or file `root`, or the first of `names` there is in $MIEN_DATA.

    Args:
        root: what was asked for; None to look in $MIEN_DATA.
        names: folders and files that would do.
        title: what the set is called in messages.
        layout: what to put where, in words.

    Raises:
        MienError: nothing of it is there.
    """
    if root is not None:
        path = Path(root).expanduser()
        if not path.exists():
            raise MienError(f"{title}: no {path}: {layout}")
        return path
    if not (base := os.environ.get("MIEN_DATA")):
        raise MienError(f"where is {title}? pass its folder, or set MIEN_DATA to the one above; {layout}")
    paths = [Path(base).expanduser() / name for name in names]
    for path in paths:
        if path.exists():
            return path
    raise MienError(f"{title}: no {' nor '.join(map(str, paths))}: {layout}")


def npz_names(path: Path) -> list[str]:
    """The names of the arrays in an .npz.

    Raises:
        MienError: it is none, or not whole.
    """
    return _from_npz(path, lambda arrays: list(arrays.files))


def npz_array(path: Path, name: str) -> np.ndarray:
    """An array of an .npz; one that holds a pickle is refused, and nothing in it is run.

    Raises:
        MienError: it cannot be read.
    """
    return _from_npz(path, lambda arrays: arrays[name])


def _from_npz(path: Path, take: Callable[[Any], Any]) -> Any:
    try:
        with path.open("rb") as file:  # numpy leaves its own open where it fails
            arrays = np.load(file, allow_pickle=False)
            if not isinstance(arrays, np.lib.npyio.NpzFile):
                raise ValueError("a single array")
            return take(arrays)
    except Exception as error:  # damaged ones raise anything: zlib.error, BadZipFile, ValueError, EOFError…
        raise MienError(f"{path} cannot be read as .npz ({reason(error)}): download it again") from None


def reason(error: Exception) -> str:
    """What an error says, in one line."""
    return (str(error) or type(error).__name__).splitlines()[0]


class Files:
    """The files of a zip, read where it lies, or of a folder and those in it.

    Args:
        path: a zip or a folder.

    Raises:
        MienError: on first use, a zip that is not whole.
    """

    def __init__(self, path: Path):
        self.path = path
        self._reading = threading.Lock()

    @cached_property
    def _archive(self) -> zipfile.ZipFile | None:
        """One handle for all threads; None for a folder."""
        if self.path.is_dir():
            return None
        try:
            return zipfile.ZipFile(self.path)
        except (zipfile.BadZipFile, OSError) as error:
            raise MienError(f"{self.path} is not a whole zip archive ({reason(error)}): download it again") from None

    @cached_property
    def names(self) -> list[str]:
        """Paths of the files, with forward slashes, sorted; what systems put beside them is left out."""
        if self._archive is not None:
            found = [name for name in self._archive.namelist() if not name.endswith("/")]
        else:
            found = [path.relative_to(self.path).as_posix() for path in self.path.rglob("*") if path.is_file()]
        hidden = (".", "__MACOSX")
        return sorted(name for name in found if not any(part.startswith(hidden) for part in name.split("/")))

    def read(self, name: str) -> bytes:
        """What is in the file `name`.

        Raises:
            BadPicture: it cannot be read.
        """
        try:
            if self._archive is None:
                return (self.path / name).read_bytes()
            with self._reading:
                return self._archive.read(name)
        except Exception as error:  # zlib.error, BadZipFile, NotImplementedError, EOFError, RuntimeError, OSError…
            raise BadPicture(f"cannot be read from {self.path.name}: {reason(error)}") from None

    def fingerprint(self) -> str:
        """Of a zip by its size and end, wherever it lies; of a folder by sizes and times."""
        if self.path.is_dir():
            states = [(name, (self.path / name).stat()) for name in self.names]
            return json.dumps([(name, state.st_size, state.st_mtime_ns) for name, state in states])
        size = self.path.stat().st_size
        with self.path.open("rb") as file:
            file.seek(max(0, size - ZIP_END))
            return f"{size} {hashlib.sha256(file.read()).hexdigest()}"
