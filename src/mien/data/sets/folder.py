"""Any folder of pictures, with a table of attributes (CSV) or without.

Pictures are found in all subfolders, cropped to their centered square, and named by their path in the folder.
The table (`attributes.csv` in the folder unless another is named) opens with a header; its first column holds
the path of a picture, or its bare file name where only one has it, and each further column is an attribute:
1 or -1, 1 or 0, true or false, yes or no. An empty field is not known, and so is 0 in a column that has -1.

With `classes="folders"` the first folder on a picture's path is its class, as in `root/cat/1.png`; of a picture in no
folder the class is not known. Classes are numbered in the order of their folders' names, and called like them, unless
`classes.csv` in the folder (`folder,class`, as `mien synthesize` writes it) gives another order and other names. A
column of the table that is called like a class is no attribute then.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import unicodedata
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np

from mien.data import dataset
from mien.data.pictures import open_picture, to_square
from mien.errors import MienError, UnknownName

SUFFIXES = (
    ".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".jp2",
    ".ppm", ".pgm", ".pbm",
)  # fmt: skip
DEFAULT_TABLE, CLASS_NAMES = "attributes.csv", "classes.csv"
PARTS = {"train", "training", "val", "valid", "validation", "test"}  # folders that are no classes
YES, NO = {"1", "+1", "1.0", "true", "yes"}, {"0", "0.0", "-1", "-1.0", "false", "no"}


class Source(dataset.Source):
    """The pictures in the folder `root`, and the attributes in `table`, a file in it or a path.

    Args:
        root: the folder.
        table: `attributes.csv` where it is there, if None.
        classes: "folders" to take the first folder on a picture's path as its class; None for no classes.
    """

    name = "folder"

    def __init__(self, root: str | os.PathLike | None = None, table: str | None = None, classes: str | None = None):
        if classes not in (None, "folders"):
            raise UnknownName("source of classes", str(classes), ["folders"])
        if root is None:
            raise MienError("which folder of pictures? pass its path")
        self.root = Path(root).expanduser()
        if not self.root.is_dir():
            raise MienError(f"no folder {self.root}: pass the path of a folder of pictures")
        self.table = table
        self._path: Path | None = self.root / (table or DEFAULT_TABLE)
        if not self._path.is_file():
            if table and not Path(table).is_file():
                raise MienError(f"no table {table} in {self.root}, nor is it a path: pass a CSV file")
            self._path = Path(table) if table else None
        self._classes_of = classes
        self._number: dict[str, int] = {}  # of the class in each folder
        if classes:
            named = self._class_folders()
            self.classes = tuple(named.values())
            self._number = {folder: number for number, folder in enumerate(named)}
        self._columns = [a for a, name in enumerate(self._table[0]) if name not in self.classes]
        self.attributes = tuple(self._table[0][a] for a in self._columns)

    # -- files --

    @cached_property
    def _found(self) -> dict[str, os.stat_result]:
        """The pictures by path in the folder, sorted; links are followed, each folder is visited once."""
        found: dict[str, os.stat_result] = {}
        seen, waiting = set(), [self.root]
        while waiting:
            folder = waiting.pop()
            try:
                state = folder.stat()
                entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
            except OSError as error:
                raise MienError(f"{folder} cannot be read: {error.strerror}") from None
            if (state.st_dev, state.st_ino) in seen:
                continue
            seen.add((state.st_dev, state.st_ino))
            for entry in entries:
                if entry.name.startswith(".") or entry.name == "__MACOSX":
                    continue
                if entry.is_dir():
                    waiting.append(Path(entry.path))
                elif entry.name.lower().endswith(SUFFIXES):
                    path = Path(entry.path).relative_to(self.root).as_posix()
                    found[path] = entry.stat() if entry.is_file() else entry.stat(follow_symlinks=False)
        if not found:
            raise MienError(f"no picture in {self.root}: its files should end in {' '.join(SUFFIXES[:6])}…")
        return dict(sorted(found.items()))

    # -- classes --

    def _class_folders(self) -> dict[str, str]:
        """The name of the class in each folder, in the order of their numbers."""
        there = sorted({path.partition("/")[0] for path in self._found if "/" in path})
        if there and PARTS.issuperset(name.lower() for name in there):
            raise MienError(
                f"expected a folder for each class in {self.root}, got {', '.join(there)}: pass one of these as the root"
            )
        path = self.root / CLASS_NAMES
        named = _read_classes(path) if path.is_file() else {name: name for name in there}
        if unnamed := [name for name in there if name not in named]:
            raise MienError(f"{CLASS_NAMES}: expected a line for each folder, got none for {unnamed[0]}: add it")
        if len(named) < 2 or not there:
            got = f"only {there[0]}" if there else "none"
            raise MienError(f"expected two folders or more in {self.root}, one for each class, got {got}: make them")
        return named

    def label(self, i: int) -> int:
        folder, slash, _ = self.key(i).partition("/")
        return self._number[folder] if slash and self._number else -1

    # -- table --

    @cached_property
    def _table(self) -> tuple[list[str], list[tuple[int, str, list[str]]]]:
        """The names of the attributes; line, file and values of each row."""
        if self._path is None:
            return [], []
        rows: list[tuple[int, str, list[str]]] = []
        name = self._path.name
        try:
            with self._path.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.reader(file, strict=True, skipinitialspace=True)
                header = [field.strip() for field in next(reader, [])]
                for fields in reader:
                    if not any(field.strip() for field in fields):
                        continue
                    if len(fields) != len(header):
                        raise MienError(
                            f"{name}, line {reader.line_num}: expected {len(header)} columns, as in the "
                            f"header, got {len(fields)}: a name with a comma in it needs double quotes"
                        )
                    values = [field.strip().lower() for field in fields[1:]]
                    rows.append((reader.line_num, fields[0].strip(), values))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise MienError(f"{name} cannot be read as a CSV table in UTF-8: {error}") from None
        attributes = header[1:]
        if not attributes:
            got = ",".join(header)[:60]
            raise MienError(f"{name}, line 1: expected a header 'file,attribute,…' with commas, got '{got}'")
        for column, attribute in enumerate(attributes, 2):
            if not attribute or attributes.index(attribute) != column - 2:
                where = f"{name}, line 1, column {column}"
                raise MienError(f"{where}: expected a new attribute's name, got '{attribute}'")
        return attributes, rows

    @cached_property
    def _values(self) -> np.ndarray:
        """int8 (rows, A)."""
        attributes, rows = self._table
        signed = [any(row[2][a] in ("-1", "-1.0") for row in rows) for a in range(len(attributes))]
        values = np.zeros((len(rows), len(attributes)), np.int8)
        for r, (line, _, fields) in enumerate(rows):
            for a, field in enumerate(fields):
                if field in YES:
                    values[r, a] = 1
                elif field in NO:
                    values[r, a] = 0 if signed[a] and field in ("0", "0.0") else -1
                elif field:
                    raise MienError(
                        f"{self._path.name}, line {line}, column {a + 2} ({attributes[a]}): "  # type: ignore[union-attr]
                        f"expected 1, -1, 0, true, false, yes, no or nothing, got '{field}'"
                    )
        return values

    @cached_property
    def _matched(self) -> tuple[list[str], list[int], list[tuple[str, str]]]:
        """The pictures used, the row of each (-1 without a table), and what is left out."""
        if self._path is None:
            return list(self._found), [-1] * len(self._found), []
        exact = {_plain(path): path for path in self._found}
        bare: dict[str, list[str]] = {}
        for path in self._found:
            bare.setdefault(_plain(PurePosixPath(path).name), []).append(path)
        row_of: dict[str, int] = {}
        rejected = []
        for r, (line, name, _) in enumerate(self._table[1]):
            where = f"{self._path.name}, line {line}"
            wanted = _plain(name)
            candidates = [exact[wanted]] if wanted in exact else bare.get(wanted, [])
            if len(candidates) > 1:
                several = f"{len(candidates)} pictures are called {name}"
                raise MienError(f"{where}: {several}: write its path, as {candidates[0]}")
            if not candidates:
                rejected.append((name, f"in the table (line {line}), but there is no such picture"))
            elif candidates[0] in row_of:
                earlier = self._table[1][row_of[candidates[0]]][0]
                raise MienError(f"{where}: {name} has a row already, line {earlier}: leave one")
            else:
                row_of[candidates[0]] = r
        used = [path for path in self._found if path in row_of]
        if not used:
            rows = f"{len(self._table[1])} rows of {self._path.name}"
            raise MienError(f"none of the {rows} names a picture in {self.root}: write paths as in that folder")
        absent = [(path, f"absent from {self._path.name}") for path in self._found if path not in row_of]
        return used, [row_of[path] for path in used], absent + rejected

    # -- what a source is --

    def __len__(self) -> int:
        return len(self._matched[0])

    def key(self, i: int) -> str:
        return self._matched[0][i]

    def attribute_row(self, i: int) -> np.ndarray:
        row = self._matched[1][i]
        return super().attribute_row(i) if row < 0 else self._values[row, self._columns]

    def read(self, i: int, size: int) -> np.ndarray:
        return to_square(open_picture(self.root / self._matched[0][i], at_least=2 * size), size)

    @property
    def rejected_before(self) -> Sequence[tuple[str, str]]:
        return self._matched[2]

    def fingerprint(self) -> str:
        """Of the table by content, of the pictures by size and time."""
        # what is wrong in the table should be told before anything is prepared
        _ = self._values, self._matched
        listing = [(path, state.st_size, state.st_mtime_ns) for path, state in self._found.items()]
        table = self._path.read_bytes() if self._path else b""
        # said only where there are classes: sets prepared without stay valid
        classes = [self._number, self.classes] if self._classes_of else []
        text = json.dumps(["folder", 1, listing, hashlib.sha256(table).hexdigest(), *classes])
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()

    def options(self) -> dict:
        return {"root": str(self.root.resolve()), "table": self.table, "classes": self._classes_of}


def _read_classes(path: Path) -> dict[str, str]:
    """The name of the class in each folder, as a table of two columns lists them."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *rows = [row for row in csv.reader(file, strict=True, skipinitialspace=True) if any(row)] or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise MienError(f"{path.name} cannot be read as a CSV table in UTF-8: {error}") from None
    if header != ["folder", "class"] or any(len(row) != 2 or not all(row) for row in rows):
        raise MienError(f"{path.name}: expected a header 'folder,class' and two names a line: mend it or delete it")
    for column, what in enumerate(header):
        names = [row[column] for row in rows]
        if twice := [name for name in names if names.count(name) > 1]:
            raise MienError(f"{path.name}: expected each {what} once, got {twice[0]} twice")
    return {folder: name for folder, name in rows}


def _plain(path: str) -> str:
    """A path as it can be compared: forward slashes, no ./ before it, one way of writing accents."""
    return unicodedata.normalize("NFC", path.replace("\\", "/")).removeprefix("./")
