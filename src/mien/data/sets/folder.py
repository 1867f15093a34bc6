"""Any folder of pictures, with or without a table of attributes (CSV).

Pictures are read from all subfolders and cropped to their centered square. The name of a picture is its path in the
folder. The table is ``attributes.csv`` in the folder, or the file that ``table`` names. It starts with a header. Its
first column holds the path of a picture; the file name alone is enough if only one picture has it. Each further
column is an attribute: 1 or -1, 1 or 0, true or false, yes or no. An empty field means unknown; so does 0 in a
column that contains -1.

With ``classes="folders"`` the first folder on a picture's path is its class, as in ``root/cat/1.png``. The class of a
picture directly in ``root`` is unknown. Classes have the names of their folders and are numbered in alphabetical
order, unless ``classes.csv`` in the folder (``folder,class``, as ``mien synthesize`` writes it) sets another order and
other names. A column of the table with the name of a class is not an attribute then.
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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data import base
from mien.data.pictures import open_picture, to_square
from mien.errors import MienError, UnknownName

SUFFIXES = (
    ".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".jp2",
    ".ppm", ".pgm", ".pbm",
)  # fmt: skip
DEFAULT_TABLE, CLASS_NAMES = "attributes.csv", "classes.csv"
PARTS = {"train", "training", "val", "valid", "validation", "test"}  # folders with these names are not classes
YES, NO = {"1", "+1", "1.0", "true", "yes"}, {"0", "0.0", "-1", "-1.0", "false", "no"}


class Source(base.Source):
    """The pictures in the folder ``root`` with the attributes of a table.

    Args:
        root: the folder.
        table: a CSV file in ``root``, or its path; ``attributes.csv`` in ``root`` if None, no table if there is none.
        classes: "folders" to take the first folder on a picture's path as its class; None for no classes.

    Raises:
        UnknownName: another value of ``classes``.
        MienError: no such folder or table, or files that do not fit their description.
    """

    name = "folder"

    def __init__(
        self, root: str | os.PathLike[str] | None = None, table: str | None = None, classes: str | None = None
    ):
        if classes not in (None, "folders"):
            raise UnknownName("source of classes", str(classes), ["folders"])
        if root is None:
            raise MienError("expected a folder of pictures, got none: pass its path")
        self.root = Path(root).expanduser()
        if not self.root.is_dir():
            raise MienError(f"expected a folder of pictures, got no folder {self.root}: pass its path")
        self.table = table
        self._path: Path | None = self.root / (table or DEFAULT_TABLE)
        if not self._path.is_file():
            if table and not Path(table).is_file():
                raise MienError(f"expected a table in {self.root}, got no file {table}: pass a CSV file")
            self._path = Path(table) if table else None
        self._class_source = classes
        self._number: dict[str, int] = {}  # class number of each folder
        if classes:
            names = self._class_folders()
            self.classes = tuple(names.values())
            self._number = {folder: number for number, folder in enumerate(names)}
        self._columns = [a for a, name in enumerate(self._table[0]) if name not in self.classes]
        self.attributes = tuple(self._table[0][a] for a in self._columns)

    # -- files --

    @cached_property
    def _files(self) -> dict[str, os.stat_result]:
        """The pictures by path in the folder, sorted. Links are followed; each folder is visited once."""
        files: dict[str, os.stat_result] = {}
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
                elif entry.name.lower().endswith(SUFFIXES):
                    path = Path(entry.path).relative_to(self.root).as_posix()
                    files[path] = entry.stat() if entry.is_file() else entry.stat(follow_symlinks=False)
        if not files:
            raise MienError(
                f"expected pictures in {self.root}, got none: add files that end in {' '.join(SUFFIXES[:6])}…"
            )
        return dict(sorted(files.items()))

    # -- classes --

    def _class_folders(self) -> dict[str, str]:
        """Return the class name of each folder, in the order of the class numbers."""
        folders = sorted({path.partition("/")[0] for path in self._files if "/" in path})
        if folders and PARTS.issuperset(name.lower() for name in folders):
            got = ", ".join(folders)
            raise MienError(
                f"expected a folder for each class in {self.root}, got {got}: pass one of these as the root"
            )
        path = self.root / CLASS_NAMES
        names = _read_classes(path) if path.is_file() else {folder: folder for folder in folders}
        if absent := [folder for folder in folders if folder not in names]:
            raise MienError(f"{CLASS_NAMES}: expected a line for each folder, got none for {absent[0]}: add it")
        if len(names) < 2 or not folders:
            got = f"only {folders[0]}" if folders else "none"
            raise MienError(f"expected two folders or more in {self.root}, one for each class, got {got}: create them")
        return names

    def label(self, i: int) -> int:
        folder, slash, _ = self.key(i).partition("/")
        return self._number[folder] if slash and self._number else -1

    # -- table --

    @cached_property
    def _table(self) -> tuple[list[str], list[tuple[int, str, list[str]]]]:
        """The names of the attributes; line number, file and values of each row."""
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
                            f"header, got {len(fields)}: put double quotes around a name with a comma"
                        )
                    values = [field.strip().lower() for field in fields[1:]]
                    rows.append((reader.line_num, fields[0].strip(), values))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise MienError(f"{name} cannot be read as a CSV table in UTF-8: {error}: correct it") from None
        attributes = header[1:]
        if not attributes:
            got = ",".join(header)[:60]
            raise MienError(f"{name}, line 1: expected a header 'file,attribute,…' with commas, got '{got}': add it")
        for column, attribute in enumerate(attributes, 2):
            if not attribute or attributes.index(attribute) != column - 2:
                where = f"{name}, line 1, column {column}"
                raise MienError(f"{where}: expected a new attribute's name, got '{attribute}': rename it")
        return attributes, rows

    @cached_property
    def _values(self) -> NDArray[np.int8]:
        """The values of the table, int8 (rows, A): +1 present, -1 absent, 0 unknown."""
        attributes, rows = self._table
        table = self._path.name if self._path else ""
        signed = [any(row[2][a] in ("-1", "-1.0") for row in rows) for a in range(len(attributes))]
        values = np.zeros((len(rows), len(attributes)), np.int8)
        for r, (line, _, fields) in enumerate(rows):
            for a, field in enumerate(fields):
                if field in YES:
                    values[r, a] = 1
                elif field in NO:
                    values[r, a] = 0 if signed[a] and field in ("0", "0.0") else -1
                elif field:
                    where = f"{table}, line {line}, column {a + 2} ({attributes[a]})"
                    expectation = "expected 1, -1, 0, true, false, yes, no or nothing"
                    raise MienError(f"{where}: {expectation}, got '{field}': correct it")
        return values

    @cached_property
    def _matches(self) -> tuple[list[str], list[int], list[tuple[str, str]]]:
        """The usable pictures, the row of each (-1 without a table), and (name, reason) of the others."""
        if self._path is None:
            return list(self._files), [-1] * len(self._files), []
        by_path = {_normal(path): path for path in self._files}
        by_name: dict[str, list[str]] = {}
        for path in self._files:
            by_name.setdefault(_normal(PurePosixPath(path).name), []).append(path)
        numbers: dict[str, int] = {}  # row of each picture
        rejected = []
        for r, (line, name, _) in enumerate(self._table[1]):
            where = f"{self._path.name}, line {line}"
            entry = _normal(name)
            candidates = [by_path[entry]] if entry in by_path else by_name.get(entry, [])
            if len(candidates) > 1:
                got = f"{len(candidates)} pictures with the name {name}"
                raise MienError(f"{where}: expected one picture, got {got}: write its path, such as {candidates[0]}")
            if not candidates:
                rejected.append((name, f"in the table (line {line}), but there is no such picture"))
            elif candidates[0] in numbers:
                first = self._table[1][numbers[candidates[0]]][0]
                raise MienError(f"{where}: expected one row for {name}, got another in line {first}: remove one")
            else:
                numbers[candidates[0]] = r
        matches = [path for path in self._files if path in numbers]
        if not matches:
            rows = f"{len(self._table[1])} rows of {self._path.name}"
            raise MienError(f"none of the {rows} names a picture in {self.root}: write the paths of its pictures")
        absent = [(path, f"absent from {self._path.name}") for path in self._files if path not in numbers]
        return matches, [numbers[path] for path in matches], absent + rejected

    # -- methods of a source --

    def __len__(self) -> int:
        return len(self._matches[0])

    def key(self, i: int) -> str:
        return self._matches[0][i]

    def attribute_row(self, i: int) -> NDArray[np.int8]:
        row = self._matches[1][i]
        return super().attribute_row(i) if row < 0 else self._values[row, self._columns]

    def read(self, i: int, size: int) -> NDArray[np.uint8]:
        return to_square(open_picture(self.root / self._matches[0][i], at_least=2 * size), size)

    @property
    def rejected_before(self) -> Sequence[tuple[str, str]]:
        return self._matches[2]

    def fingerprint(self) -> str:
        """Return a text that changes with the content of the table and with sizes and times of the pictures."""
        # errors in the table are reported before any picture is prepared
        _ = self._values, self._matches
        listing = [(path, state.st_size, state.st_mtime_ns) for path, state in self._files.items()]
        table = self._path.read_bytes() if self._path else b""
        # only if there are classes: sets that earlier versions prepared without classes remain valid
        classes = [self._number, self.classes] if self._class_source else []
        text = json.dumps(["folder", 1, listing, hashlib.sha256(table).hexdigest(), *classes])
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()

    def options(self) -> dict[str, Any]:
        return {"root": str(self.root.resolve()), "table": self.table, "classes": self._class_source}


def _read_classes(path: Path) -> dict[str, str]:
    """Return the class name of each folder from a table of two columns."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *rows = [row for row in csv.reader(file, strict=True, skipinitialspace=True) if any(row)] or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise MienError(f"{path.name} cannot be read as a CSV table in UTF-8: {error}: correct it") from None
    if header != ["folder", "class"] or any(len(row) != 2 or not all(row) for row in rows):
        raise MienError(f"{path.name}: expected a header 'folder,class' and two names in each line: correct it")
    for column, what in enumerate(header):
        names = [row[column] for row in rows]
        if duplicates := [name for name in names if names.count(name) > 1]:
            raise MienError(f"{path.name}: expected each {what} once, got {duplicates[0]} twice: correct it")
    return {folder: name for folder, name in rows}


def _normal(path: str) -> str:
    """Return a path in the form used for comparison: forward slashes, no leading ./, composed accents."""
    return unicodedata.normalize("NFC", path.replace("\\", "/")).removeprefix("./")
