"""The pictures of a folder or of a zip by path, and a count of the files that are no pictures."""

from __future__ import annotations

import os
from collections import Counter
from functools import cached_property
from pathlib import Path, PurePosixPath

from mien.data import marks
from mien.data.archives import Files
from mien.data.pictures import SUFFIXES, unreadable
from mien.data.regular import LARGEST_TABLE, BadFile, read_regular
from mien.errors import MienError


class Listing:
    """The files of a folder and its subfolders, or of a zip, which is never unpacked.

    Links are followed, and each folder is visited once. Hidden files and macOS's additions do not count. A folder that
    holds everything in a zip is not a part of the paths.

    Args:
        root: the folder or the zip.

    Raises:
        MienError: on first use, if a folder cannot be read or the zip is damaged.
    """

    def __init__(self, root: Path):
        self.root = root
        self._zip = None if root.is_dir() else Files(root)

    @cached_property
    def _top(self) -> str:
        """The folder that holds everything in the zip, with a slash."""
        assert self._zip is not None
        tops = {name.partition("/")[:2] for name in self._zip.names}
        top, slash = tops.pop() if len(tops) == 1 else ("", "")
        return top + slash if slash else ""

    @cached_property
    def files(self) -> dict[str, os.stat_result | None]:
        """The state of each file by its path, sorted; None in a zip."""
        if self._zip is not None:
            return {name.removeprefix(self._top): None for name in self._zip.names}
        files: dict[str, os.stat_result | None] = {}
        visits, queue = set(), [self.root]
        while queue:
            folder = queue.pop()
            try:
                state = folder.stat()
                entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
            except OSError as error:
                raise MienError(f"{folder} cannot be read: {error.strerror}: change its permissions") from None
            if (state.st_dev, state.st_ino) in visits:
                continue
            visits.add((state.st_dev, state.st_ino))
            for entry in entries:
                if entry.name.startswith(".") or entry.name == "__MACOSX":
                    continue
                if entry.is_dir():
                    queue.append(Path(entry.path))
                else:
                    path = Path(entry.path).relative_to(self.root).as_posix()
                    files[path] = entry.stat() if entry.is_file() else entry.stat(follow_symlinks=False)
        return dict(sorted(files.items()))

    @cached_property
    def pictures(self) -> list[str]:
        """The paths of the pictures that can be read here, sorted."""
        pictures = [path for path in self.files if path.lower().endswith(SUFFIXES) and not unreadable(_suffix(path))]
        if not pictures:
            reasons = "; ".join(f"{n} {suffix}: {reason}" for (suffix, reason), n in self.others(()).items())
            raise MienError(
                f"expected pictures in {self.root}, got none{f' ({reasons})' if reasons else ''}: add files that end "
                f"in {' '.join(SUFFIXES[:6])}…"
            )
        return pictures

    def others(self, tables: tuple[str, ...]) -> Counter[tuple[str, str]]:
        """Return the number of files that are no pictures by (suffix, reason), without the tables."""
        counts: Counter[tuple[str, str]] = Counter()
        for path in self.files:
            suffix = _suffix(path)
            if path in tables or (path.lower().endswith(SUFFIXES) and not unreadable(suffix)):
                continue
            none = "the suffix of no picture" if suffix else "a name without a suffix"
            counts[suffix, unreadable(suffix) or none] += 1
        return counts

    def read(self, path: str) -> Path | bytes:
        """Return the path of a file, or its content if it lies in a zip."""
        return self.root / path if self._zip is None else self._zip.read(self._top + path)

    def content(self, path: str) -> bytes:
        """Return the content of a file.

        Raises:
            MienError: it cannot be read, or is a pipe or a device.
        """
        data = self.read(path)
        try:
            return data if isinstance(data, bytes) else read_regular(data, LARGEST_TABLE)
        except BadFile as error:
            raise MienError(f"{path}: {error}: remove it, or write a table") from None

    def mark(self) -> str | list[tuple[str, int, int]]:
        """Return the mark of the pictures as a value for JSON, see :func:`mien.data.marks.mark`."""
        if self._zip is not None:
            return self._zip.fingerprint()
        states = {path: state for path in self.pictures if (state := self.files[path]) is not None}
        return marks.mark(self.root, states)


def _suffix(path: str) -> str:
    return PurePosixPath(path).suffix.lower()
