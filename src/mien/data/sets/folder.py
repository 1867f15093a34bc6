"""Any folder of pictures, with or without a table of attributes (CSV).

Pictures are read from all subfolders, or from a zip, and cropped to their centered square. The name of a picture is
its path in the folder. The table is ``attributes.csv`` in the folder, else ``metadata.csv`` as in Hugging Face's
imagefolder, or the file that ``table`` names; see :mod:`mien.data.table` for its form. A row names a picture by its
path, by the end of its path if only one picture has it, or without its suffix.

With ``classes="folders"`` the first folder on a picture's path is its class, as in ``root/cat/1.png``. The class of a
picture directly in ``root`` or in a folder ``unlabeled`` is unknown. Classes have the names of their folders and are
numbered in alphabetical order, unless ``classes.csv`` in the folder (``folder,class``, as ``mien synthesize`` writes
it) sets another order and other names. A column of the table with the name of a class is not an attribute then.

If all pictures lie in folders named ``train``, ``val`` and ``test``, these are the official split, and the folders in
them are the classes. Without ``val``, every tenth training picture is for validation; without ``test``, the pictures
of ``val`` are the test pictures.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data import base
from mien.data.listing import Listing
from mien.data.matching import match
from mien.data.pictures import SUFFIXES, open_picture, resize, to_square
from mien.data.regular import LARGEST_TABLE, BadFile, read_regular
from mien.data.table import Table, read_table
from mien.errors import MienError, UnknownName

__all__ = ["SUFFIXES", "Source"]

TABLES, CLASS_NAMES = ("attributes.csv", "metadata.csv"), "classes.csv"
PARTS = {"train": 0, "training": 0, "val": 1, "valid": 1, "validation": 1, "dev": 1, "test": 2, "testing": 2}
UNLABELED = ("unlabeled", "unlabelled")  # a folder of pictures without a class
ZEROS = ("unknown", "no")


class Source(base.Source):
    """The pictures in the folder ``root`` with the attributes of a table.

    Args:
        root: the folder or the zip.
        table: a CSV file in ``root``, or its path; ``attributes.csv`` or ``metadata.csv`` in ``root`` if None, no
            table if there is none.
        classes: "folders" to take the first folder on a picture's path as its class; None for no classes.
        zeros: the meaning of 0 in a table with 1, 0 and -1. "unknown": 0 is unknown, -1 is no. "no": 0 is no, -1 is
            unknown. None refuses a column with 0 and -1.
        values: the largest number of different texts in a column; each of them becomes an attribute.
        gray: true for pictures of one channel.
        width: width of the pictures in pixels, whose height is the size; 0 for squares. Pictures are cropped at the
            center.

    Raises:
        UnknownName: another value of ``classes`` or ``zeros``.
        MienError: no such folder or table, or files that do not fit their description.
    """

    name = "folder"
    width = 0

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        table: str | None = None,
        classes: str | None = None,
        zeros: str | None = None,
        values: int = 20,
        gray: bool = False,
        width: int = 0,
    ):
        if classes not in (None, "folders"):
            raise UnknownName("source of classes", str(classes), ["folders"])
        if zeros not in (None, *ZEROS):
            raise UnknownName("meaning of zeros", str(zeros), ZEROS)
        if width and not 8 <= width <= 1024:
            raise MienError(f"expected a width from 8 to 1024 pixels, or 0 for squares, got {width}")
        self.channels, self.width = (1 if gray else 3), width  # type: ignore[misc]  # of this folder
        if root is None:
            raise MienError("expected a folder of pictures, got none: pass its path")
        self.root = Path(root).expanduser()
        if not self.root.is_dir() and not (self.root.is_file() and self.root.suffix.lower() == ".zip"):
            raise MienError(f"expected a folder of pictures, got no folder or zip {self.root}: pass its path")
        self.table, self.zeros, self.values = table, zeros, values
        self._listing = Listing(self.root)
        self._class_source = classes
        self._number: dict[str, int] = {}  # class number of each folder
        if classes:
            names = self._class_folders()
            self.classes = tuple(names.values())
            self._number = {folder: number for number, folder in enumerate(names)}
        attributes = self._table.attributes if self._table else ()
        self._columns = [a for a, name in enumerate(attributes) if name not in self.classes]
        self.attributes = tuple(attributes[a] for a in self._columns)

    # -- parts and classes --

    @cached_property
    def _parts(self) -> dict[str, int]:
        """The part of each folder that is one: 0 train, 1 valid, 2 test; none unless all pictures lie in them."""
        tops = {path.partition("/")[0] if "/" in path else "" for path in self._listing.pictures}
        parts = {top: PARTS.get(top.lower(), -1) for top in tops}
        numbers = set(parts.values())
        if -1 in numbers or 0 not in numbers or len(numbers) < 2:
            return {}
        if 2 not in numbers:
            parts = {top: 2 if part else 0 for top, part in parts.items()}
        return parts

    def _folder(self, path: str) -> str:
        """Return the class folder of a picture, nothing if there is none."""
        if self._parts:
            path = path.partition("/")[2]
        folder, slash, _ = path.partition("/")
        return folder if slash else ""

    def _class_folders(self) -> dict[str, str]:
        """Return the class name of each folder, in the order of the class numbers."""
        folders = sorted({folder for path in self._listing.pictures if (folder := self._folder(path))})
        if folders and not self._parts and set(PARTS).issuperset(name.lower() for name in folders):
            got = ", ".join(folders)
            raise MienError(
                f"expected a folder for each class in {self.root}, got {got}: pass one of these as the root"
            )
        if CLASS_NAMES in self._listing.files:
            names = _read_classes(self._listing.content(CLASS_NAMES))
        else:
            names = {folder: folder for folder in folders if folder.lower() not in UNLABELED}
        known = [folder for folder in folders if folder in names or folder.lower() not in UNLABELED]
        if absent := [folder for folder in known if folder not in names]:
            raise MienError(f"{CLASS_NAMES}: expected a line for each folder, got none for {absent[0]}: add it")
        if len(names) < 2 or not known:
            got = f"only {known[0]}" if known else "none"
            raise MienError(f"expected two folders or more in {self.root}, one for each class, got {got}: create them")
        return names

    def label(self, i: int) -> int:
        return self._number.get(self._folder(self.key(i)), -1)

    @cached_property
    def _partition(self) -> NDArray[np.int64]:
        """The part (N,) of each picture, -1 if the folders are no parts."""
        if not self._parts:
            return np.full(len(self), -1)
        parts = np.array([self._parts[self.key(i).partition("/")[0]] for i in range(len(self))])
        training = np.flatnonzero(parts == 0)
        if 1 not in self._parts.values():
            parts[training[9::10] if len(training) >= 10 else training[-1:]] = 1
        return parts

    def partition(self, i: int) -> int:
        return int(self._partition[i])

    # -- table --

    @cached_property
    def _tables(self) -> tuple[str, ...]:
        """The paths of the tables in the folder; one for each part if the parts have their own."""
        files = self._listing.files
        if self.table:
            return (self.table,) if self.table in files else ()
        tops = [f"{top}/" for top in sorted(self._parts)]
        for name in TABLES:
            if name in files:
                return (name,)
            if paths := tuple(top + name for top in tops if top + name in files):
                return paths
        return ()

    @cached_property
    def _contents(self) -> list[tuple[str, bytes]]:
        """The path and the content of each table."""
        if self._tables:
            return [(path, self._listing.content(path)) for path in self._tables]
        if self.table is None:
            return []
        try:
            return [(self.table, read_regular(Path(self.table).expanduser(), LARGEST_TABLE))]
        except BadFile as error:
            if str(error) == "no such file":
                raise MienError(f"expected a table in {self.root}, got no file {self.table}: pass a CSV file") from None
            raise MienError(f"{self.table}: {error}: pass a CSV file") from None

    @cached_property
    def _table(self) -> Table | None:
        """The rows of all tables; the paths in a table of a part start in its folder."""
        tables: list[Table] = []
        for path, content in self._contents:
            folder, _, name = path.rpartition("/")
            name = path if path in self._tables else name
            table = read_table(content, name, self.zeros, self.values, free=path.endswith(TABLES[1]))
            if path in self._tables and folder in self._parts:
                table.rows = [(line, f"{folder}/{entry}") for line, entry in table.rows]
            tables.append(table)
        if not tables:
            return None
        first = tables[0]
        for other in tables[1:]:
            if other.attributes != first.attributes:
                one, two = ", ".join(first.attributes), ", ".join(other.attributes)
                raise MienError(
                    f"{other.name}: expected the attributes of {first.name} ({one}), got {two}: rename them"
                )
            first.notes += other.notes
            first.rows += other.rows
            first.values = np.concatenate([first.values, other.values])
        return first

    @cached_property
    def _matches(self) -> tuple[list[str], list[int], list[tuple[str, str]], int]:
        """The usable pictures, the row of each (-1 without a table), (name, reason) of the others, inexact rows."""
        pictures = self._listing.pictures
        if self._table is None:
            return pictures, [-1] * len(pictures), [], 0
        name = self._table.name
        numbers, rejected, inexact = match(pictures, self._table.rows, name)
        matches = [path for path in pictures if path in numbers]
        if not matches:
            rows = f"{len(self._table.rows)} rows of {name}"
            raise MienError(f"none of the {rows} names a picture in {self.root}: write the paths of its pictures")
        absent = [(path, f"absent from {name}") for path in pictures if path not in numbers]
        return matches, [numbers[path] for path in matches], absent + rejected, inexact

    # -- methods of a source --

    def __len__(self) -> int:
        return len(self._matches[0])

    def key(self, i: int) -> str:
        return self._matches[0][i]

    def attribute_row(self, i: int) -> NDArray[np.int8]:
        row = self._matches[1][i]
        if row < 0 or self._table is None:
            return super().attribute_row(i)
        values: NDArray[np.int8] = self._table.values[row, self._columns]
        return values

    def shape(self, size: int) -> tuple[int, int, int]:
        return size, self.width or size, self.channels

    def read(self, i: int, size: int) -> NDArray[np.uint8]:
        """Return picture i: the largest centered part with the proportions of the result, (size, width, channels)."""
        image = open_picture(self._listing.read(self.key(i)), at_least=2 * max(size, self.width))
        image = image.convert("L") if self.channels == 1 else image
        if not self.width:
            return to_square(image, size).reshape(size, size, self.channels)
        part = min(image.width / self.width, image.height / size)  # pixels of the picture for one of the result
        left, top = (image.width - part * self.width) / 2, (image.height - part * size) / 2
        box = (left, top, left + part * self.width, top + part * size)
        return resize(image, (size, self.width), box).reshape(size, self.width, self.channels)

    @property
    def rejected_before(self) -> Sequence[tuple[str, str]]:
        return self._matches[2]

    @property
    def notes(self) -> Sequence[str]:
        """The notes of the table, and one if the validation pictures are taken from the training folder."""
        notes = list(self._table.notes) if self._table else []
        if self._parts and 1 not in self._parts.values():
            notes.append(
                "there is no folder for validation beside train and test: every tenth training picture is used"
            )
        return notes

    def other_files(self) -> dict[tuple[str, str], int]:
        return dict(self._listing.others((*self._tables, *TABLES, CLASS_NAMES)))

    def fingerprint(self) -> str:
        """Return a text that changes with the content of the table and of the pictures."""
        # errors in the table are reported before any picture is prepared
        inexact = self._matches[3]
        table = b"".join(content for _, content in self._contents)
        # only if there are classes: sets that earlier versions prepared without classes remain valid
        classes = [self._number, self.classes] if self._class_source else []
        # likewise what earlier versions did not know
        news: dict[str, Any] = {"zeros": self.zeros, "parts": self._parts, "inexact": inexact}
        news |= {"gray": self.channels == 1, "width": self.width}
        more = [{key: value for key, value in news.items() if value}]
        mark = ["folder", 1, self._listing.mark(), hashlib.sha256(table).hexdigest(), *classes, *filter(None, more)]
        return hashlib.sha256(json.dumps(mark).encode("utf-8", "surrogateescape")).hexdigest()

    def options(self) -> dict[str, Any]:
        options = {"root": str(self.root.resolve()), "table": self.table, "classes": self._class_source}
        more: dict[str, Any] = {"zeros": self.zeros} if self.zeros else {}
        more |= ({"gray": True} if self.channels == 1 else {}) | ({"width": self.width} if self.width else {})
        return options | more | ({"values": self.values} if self.values != 20 else {})


def _read_classes(data: bytes) -> dict[str, str]:
    """Return the class name of each folder from a table of two columns."""
    try:
        reader = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True, skipinitialspace=True)
        header, *rows = [row for row in reader if any(row)] or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise MienError(f"{CLASS_NAMES} cannot be read as a CSV table in UTF-8: {error}: correct it") from None
    if header != ["folder", "class"] or any(len(row) != 2 or not all(row) for row in rows):
        raise MienError(f"{CLASS_NAMES}: expected a header 'folder,class' and two names in each line: correct it")
    for column, what in enumerate(header):
        names = [row[column] for row in rows]
        if duplicates := [name for name in names if names.count(name) > 1]:
            raise MienError(f"{CLASS_NAMES}: expected each {what} once, got {duplicates[0]} twice: correct it")
    return {folder: name for folder, name in rows}
