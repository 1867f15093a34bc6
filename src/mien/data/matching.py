"""The picture that each row of a table names, whatever form the name has."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import PurePosixPath

from mien.data.pictures import SUFFIXES
from mien.errors import MienError


def match(
    pictures: Sequence[str], rows: Sequence[tuple[int, str]], table: str
) -> tuple[dict[str, int], list[tuple[str, str]], int]:
    """Return the row of each picture.

    A row names a picture by its path, or by the end of its path. If no picture has this name, folders that do not
    exist are removed from its start, and then its suffix is ignored among the pictures that no other row names.

    Args:
        pictures: their paths.
        rows: line number and name of each row.
        table: the name of the table in messages.

    Returns:
        The number of the row by picture, (name, reason) of the rows without a picture, and how many rows match only
        after a change of the name.

    Raises:
        MienError: two rows for one picture, or a row that fits several pictures.

    >>> match(["x/a.png", "b.png"], [(2, "a.png"), (3, "faces/b.jpg")], "t.csv")
    ({'x/a.png': 0, 'b.png': 1}, [], 1)
    """
    exact, ends = {_normal(path): path for path in pictures}, _by_end(pictures)
    tops = {path.partition("/")[0] for path in exact if "/" in path}
    numbers: dict[str, int] = {}
    remaining: list[int] = []
    for r, (line, name) in enumerate(rows):
        entry = _normal(name)
        where = f"{table}, line {line}"
        candidates = [exact[entry]] if entry in exact else _ending(ends, entry)
        if len(candidates) > 1:
            got = f"{len(candidates)} pictures with the name {name}"
            raise MienError(f"{where}: expected one picture, got {got}: write its path, such as {candidates[0]}")
        if not candidates:
            remaining.append(r)
        elif (picture := candidates[0]) in numbers:
            first = rows[numbers[picture]][0]
            raise MienError(f"{where}: expected one row for {name}, got another in line {first}: remove one")
        else:
            numbers[picture] = r
    rejected = []
    stems = _Stems([path for path in pictures if path not in numbers])
    for r in remaining:
        line, name = rows[r]
        hit = stems.find(_normal(name), tops)
        if hit is None or hit in numbers:
            rejected.append((name, f"in the table (line {line}), but there is no such picture"))
        else:
            numbers[hit] = r
    return numbers, rejected, len(remaining) - len(rejected)


class _Stems:
    """Pictures by path and by file name, both without suffix."""

    def __init__(self, pictures: Sequence[str]):
        self.paths: dict[str, list[str]] = {}
        for path in pictures:
            self.paths.setdefault(_stem(_normal(path)), []).append(path)
        self.ends = _by_end(pictures, stem=True)

    def find(self, entry: str, tops: set[str]) -> str | None:
        """Return the only picture that the name fits, None if none or several do."""
        below = _below(entry, tops)
        candidates = self.paths.get(_stem(below), [])
        if len(candidates) > 1:  # of a.png and a.jpg, the one that has the suffix of the name
            candidates = [path for path in candidates if _normal(path) == below]
        # a file name alone may lie in any folder, but not one whose folders do not exist
        if not candidates and below == entry:
            candidates = _ending(self.ends, _stem(entry))
        return candidates[0] if len(candidates) == 1 else None


def _by_end(pictures: Sequence[str], stem: bool = False) -> dict[str, list[str]]:
    """Return the pictures by their file names, or by their file names without suffix."""
    ends: dict[str, list[str]] = {}
    for path in pictures:
        name = PurePosixPath(_normal(path)).name
        ends.setdefault(_stem(name) if stem else name, []).append(path)
    return ends


def _ending(ends: dict[str, list[str]], entry: str) -> list[str]:
    """Return the pictures whose path ends with ``entry``."""
    candidates = ends.get(PurePosixPath(entry).name, [])
    if "/" not in entry:
        return candidates
    return [path for path in candidates if _stem(f"/{_normal(path)}").endswith(f"/{_stem(entry)}")]


def _below(entry: str, tops: set[str]) -> str:
    """Return a path without the folders at its start that do not exist."""
    while "/" in entry and entry.partition("/")[0] not in tops:
        entry = entry.partition("/")[2]
    return entry


def _stem(path: str) -> str:
    """Return a path without the suffix of a picture."""
    stem, dot, suffix = path.rpartition(".")
    return stem if dot and f".{suffix.lower()}" in SUFFIXES else path


def _normal(path: str) -> str:
    """Return a path in the form used for comparison: forward slashes, no leading ./, composed accents."""
    return unicodedata.normalize("NFC", path.replace("\\", "/")).removeprefix("./")
