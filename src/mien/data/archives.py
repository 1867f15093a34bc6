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
from mien.data.regular import BadFile, check_content, check_regular, read_regular
from mien.errors import MienError

LARGEST = 512 * 2**20  # bytes of one file
MOST = 5_000_000  # files of a zip; ImageNet has 1.3 million
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
    return (str(error) or type(error).__name__).splitlines()[0][:200]


def open_zip(path: Path) -> zipfile.ZipFile:
    """Return a zip for reading.

    Raises:
        MienError: it is damaged, no regular file, or has too many files.
    """
    try:
        check_regular(path)
        archive = zipfile.ZipFile(path)
    except Exception as error:  # BadZipFile, OSError, NotImplementedError, UnicodeDecodeError, struct.error…
        raise MienError(f"{path} is not a whole zip archive ({reason(error)}): download it again") from None
    if (count := len(archive.filelist)) > MOST:
        archive.close()
        raise MienError(f"{path}: expected at most {MOST:,} files in a zip, got {count:,}: unpack it, and pass a part")
    return archive


def zip_names(archive: zipfile.ZipFile) -> list[str]:
    """Return the names of the files in a zip, each once: of several files of one name a zip gives the last one."""
    return list(dict.fromkeys(name for name in archive.namelist() if not name.endswith("/")))


def read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return the content of a file in a zip; its claimed size is checked before it is unpacked.

    Raises:
        BadPicture: the file cannot be read, or is too large.
    """
    try:
        member = archive.getinfo(name)
        check_content(member.file_size, member.compress_size, LARGEST)
        return archive.read(member)
    except Exception as error:  # zlib.error, BadZipFile, NotImplementedError, EOFError, RuntimeError, OSError…
        raise BadPicture(f"cannot be read from {Path(archive.filename or 'the zip').name}: {reason(error)}") from None


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
        return open_zip(self.path)

    @cached_property
    def names(self) -> list[str]:
        """Sorted paths of the files with forward slashes, without hidden files and macOS's additions."""
        if self._archive is not None:
            paths = zip_names(self._archive)
        else:
            paths = [path.relative_to(self.path).as_posix() for path in self.path.rglob("*") if path.is_file()]
        hidden = (".", "__MACOSX")
        return sorted(name for name in paths if not any(part.startswith(hidden) for part in name.split("/")))

    def read(self, name: str) -> bytes:
        """Return the content of the file ``name``.

        Raises:
            BadPicture: the file cannot be read.
        """
        if self._archive is not None:
            with self._lock:
                return read_member(self._archive, name)
        try:
            return read_regular(self.path / name, LARGEST)
        except BadFile as error:
            raise BadPicture(str(error)) from None

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
