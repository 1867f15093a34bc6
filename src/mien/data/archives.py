"""The place of a data set's files, and files of a zip or a folder, read by several threads."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import zipfile
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from mien.data import marks
from mien.data.pictures import BadPicture
from mien.errors import MienError

ZIP_END = 2**25  # bytes; a zip ends with the list of its members and their checksums


def locate(root: str | os.PathLike[str] | None, names: Iterable[str], title: str, layout: str) -> Path:
    """Return the folder or file ``root``; without ``root``, the first of ``names`` that exists in $MIEN_DATA.

    Args:
        root: the path that the user passed; None to look in $MIEN_DATA.
        names: folders and files of the set, the preferred one first.
        title: the name of the set in messages.
        layout: the files to put there, in words: "put … there".

    Raises:
        MienError: no such path exists.
    """
    if root is not None:
        path = Path(root).expanduser()
        if not path.exists():
            raise MienError(f"{title}: expected an existing folder or file, got no {path}: {layout}")
        return path
    if not (base := os.environ.get("MIEN_DATA")):
        hint = f"pass it, or set MIEN_DATA to its parent folder; {layout}"
        raise MienError(f"{title}: expected the folder of its files, got none: {hint}")
    paths = [Path(base).expanduser() / name for name in names]
    for path in paths:
        if path.exists():
            return path
    raise MienError(f"{title}: expected one of these paths, got no {', no '.join(map(str, paths))}: {layout}")


def reason(error: Exception) -> str:
    """Return the first line of an error's message, or the name of its type."""
    return (str(error) or type(error).__name__).splitlines()[0]


class Files:
    """The files of a folder and its subfolders, or of a zip, which is never unpacked.

    Args:
        path: a zip or a folder.

    Raises:
        MienError: on first use, if the zip is damaged or cut short.
    """

    def __init__(self, path: Path):
        self.path = path
        self._lock = threading.Lock()

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
        """Sorted paths of the files with forward slashes, without hidden files and macOS's additions."""
        if self._archive is not None:
            paths = [name for name in self._archive.namelist() if not name.endswith("/")]
        else:
            paths = [path.relative_to(self.path).as_posix() for path in self.path.rglob("*") if path.is_file()]
        hidden = (".", "__MACOSX")
        return sorted(name for name in paths if not any(part.startswith(hidden) for part in name.split("/")))

    def read(self, name: str) -> bytes:
        """Return the content of the file ``name``.

        Raises:
            BadPicture: the file cannot be read.
        """
        try:
            if self._archive is None:
                return (self.path / name).read_bytes()
            with self._lock:
                return self._archive.read(name)
        except Exception as error:  # zlib.error, BadZipFile, NotImplementedError, EOFError, RuntimeError, OSError…
            raise BadPicture(f"cannot be read from {self.path.name}: {reason(error)}") from None

    def fingerprint(self) -> str:
        """Return a text that changes with the files: of a zip, its size and end; of a folder, the contents.

        A zip or a folder that was moved or copied keeps its fingerprint.
        """
        if self.path.is_dir():
            return json.dumps(marks.mark(self.path, {name: (self.path / name).stat() for name in self.names}))
        size = self.path.stat().st_size
        with self.path.open("rb") as file:
            file.seek(max(0, size - ZIP_END))
            return f"{size} {hashlib.sha256(file.read()).hexdigest()}"
