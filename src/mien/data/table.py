"""A table of attributes as people have it: CSV with commas, semicolons or tabs, or CelebA's text form.

The first line names the columns; a line ``sep=;`` before it sets the separator. The column ``file_name``, else the
first column, holds the pictures. Each further column is an attribute of yes and no: 1 or -1, 1 or 0, true or false,
yes or no, y or n. An empty field is unknown. A column of texts, such as the color of the hair, gives one attribute for
each of its values, named ``column_value``.

A column with 1, 0 and -1 has two readings, so it is refused unless ``zeros`` sets one of them for the whole table:
with ``unknown``, 0 is unknown and -1 is no; with ``no``, 0 is no and -1 is unknown.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from mien.data.pictures import SUFFIXES
from mien.errors import MienError

SEPARATORS = (",", ";", "\t", "|")
ZERO, MINUS = {"0", "0.0"}, {"-1", "-1.0"}
YES, NO = {"1", "+1", "1.0", "true", "yes", "y"}, {"false", "no", "n", *ZERO, *MINUS}
FILE = "file_name"  # the column of the pictures in Hugging Face's metadata.csv


@dataclass
class Table:
    """The rows of a table.

    Attributes:
        name: the name of its file.
        attributes: the names of the A attributes.
        rows: line number and picture of each row.
        values: int8 (rows, A): +1 yes, -1 no, 0 unknown.
        notes: sentences on columns that are no attributes.
    """

    name: str
    attributes: tuple[str, ...]
    rows: list[tuple[int, str]]
    values: NDArray[np.int8]
    notes: list[str] = field(default_factory=list)


def read_table(data: bytes, name: str, zeros: str | None = None, most: int = 20, free: bool = False) -> Table:
    """Return the table in the bytes of a file.

    Args:
        data: the content of the file, in UTF-8 or UTF-16.
        name: its name in messages.
        zeros: "unknown" or "no", see above; None if no column has 1, 0 and -1.
        most: the largest number of values of a column of texts.
        free: leave out a column that is no attribute, such as a caption, with a note; otherwise it is an error.

    Raises:
        MienError: the message names the line and the column.

    >>> table = read_table(b"file;happy;hair\\na.png;y;red\\nb.png;n;gray\\n", "t.csv")
    >>> table.attributes, table.values.tolist()
    (('happy', 'hair_gray', 'hair_red'), [[1, -1, 1], [-1, 1, -1]])
    """
    header, lines = _lines(data, name)
    place = header.index(FILE) if FILE in header else 0
    _check_header(header, place, name)
    rows = [(line, fields[place]) for line, fields in lines]
    attributes: list[str] = []
    columns: list[NDArray[np.int8]] = []
    notes: list[str] = []
    for c, title in enumerate(header):
        if c == place:
            continue
        fields = [values[c] for _, values in lines]
        where = f"column {c + 1} ({title})"
        try:
            names, values = _column(title, where, fields, [line for line, _ in rows], name, zeros, most)
        except _NoAttribute as error:
            if not free:
                raise MienError(str(error)) from None
            notes.append(f"{name}, {where} is no attribute and is left out")
            continue
        for attribute in names:
            if attribute in attributes:
                raise MienError(f"{name}, {where}: expected a new attribute's name, got '{attribute}': rename it")
        attributes += names
        columns += values
    table = np.stack(columns, 1) if columns else np.zeros((len(rows), 0), np.int8)
    return Table(name, tuple(attributes), rows, table, notes)


class _NoAttribute(MienError):
    """A column is not an attribute."""


def _lines(data: bytes, name: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header, and line number and fields of each row."""
    rows: list[tuple[int, list[str]]] = []
    try:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
        first, _, rest = text.partition("\n")
        if first.strip().isdigit():  # CelebA's form: the number of rows, the names, then rows, all between spaces
            split = [line.split() for line in rest.splitlines()]
            header, numbered = ["file", *(split or [[]])[0]], list(enumerate(split[1:], 3))
        else:
            separator, skipped = None, 0
            if mark := re.fullmatch(r'\s*"?sep=(.)"?\s*', first.rstrip("\r\n"), re.IGNORECASE):
                separator, skipped, text = mark[1], 1, rest
            separator = separator or _separator(text)
            reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=True)
            header = [entry.strip() for entry in next(reader, [])]
            numbered = [(reader.line_num + skipped, fields) for fields in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise MienError(f"{name} cannot be read as a CSV table in UTF-8: {error}: correct it") from None
    for line, fields in numbered:
        if not any(entry.strip() for entry in fields):
            continue
        if len(fields) != len(header):
            raise MienError(
                f"{name}, line {line}: expected {len(header)} columns, as in the header, got {len(fields)}: put double "
                "quotes around a name with a comma"
            )
        rows.append((line, [entry.strip() for entry in fields]))
    return header, rows


def _separator(text: str) -> str:
    """Return the first separator that splits the first two lines into the same number of fields, two or more."""
    lines = [line for line in text.splitlines() if line.strip()][:2]
    for separator in SEPARATORS:
        with_it = [len(fields) for fields in csv.reader(lines, delimiter=separator)]
        if with_it and with_it[0] > 1 and len(set(with_it)) == 1:
            return separator
    return max(SEPARATORS, key=lambda one: lines[0].count(one)) if lines else ","


def _check_header(header: Sequence[str], place: int, name: str) -> None:
    """Refuse a first line that has no attributes, that is a row, or that has a name twice."""
    others = [entry for c, entry in enumerate(header) if c != place]
    got = ",".join(header)[:60]
    if not others:
        raise MienError(f"{name}, line 1: expected a header 'file,attribute,…' with commas, got '{got}': add it")
    picture = PurePosixPath(header[place].replace("\\", "/")).suffix.lower() in SUFFIXES
    if picture or all(entry.lower() in YES | NO for entry in others):
        raise MienError(
            f"{name}, line 1: expected a header 'file,attribute,…', got a row of values, '{got}': add a first line "
            "with a name for each column"
        )
    for c, entry in enumerate(header):
        if c != place and (not entry or header.index(entry) != c):
            raise MienError(
                f"{name}, line 1, column {c + 1}: expected a new attribute's name, got '{entry}': rename it"
            )


def _column(
    title: str, where: str, fields: Sequence[str], lines: Sequence[int], name: str, zeros: str | None, most: int
) -> tuple[list[str], list[NDArray[np.int8]]]:
    """Return the attributes of a column and the values (rows,) of each."""
    words = {entry: entry.lower() for entry in set(fields)}
    present = set(words.values()) - {""}
    if present <= YES | NO:
        if zeros is None and present & ZERO and present & MINUS:
            raise MienError(
                f"{name}, {where}: expected 1 and 0, or 1 and -1, got 0 and -1 in one column: pass --data-option "
                "zeros=unknown (0 is unknown, -1 is no) or --data-option zeros=no (0 is no, -1 is unknown)"
            )
        unknown = {"unknown": ZERO, "no": MINUS}.get(zeros or "", set())
        number = {e: 1 if w in YES else 0 if w in unknown or not w else -1 for e, w in words.items()}
        return [title], [np.array([number[entry] for entry in fields], np.int8)]
    if present & (YES | NO) or len(present) < 2 or all(map(_is_number, present)):
        line, got = next((n, e) for n, e in zip(lines, fields, strict=True) if e and words[e] not in YES | NO)
        expectation = "expected 1, -1, 0, true, false, yes, no, y, n or nothing"
        raise _NoAttribute(f"{name}, line {line}, {where}: {expectation}, got '{got[:60]}': correct it")
    texts = sorted({entry for entry in fields if entry})
    if len(texts) > most:
        raise _NoAttribute(
            f"{name}, {where}: expected yes and no, or up to {most} different texts, got {len(texts):,}: remove the "
            f"column, or pass --data-option values={len(texts)}"
        )
    column = np.array([texts.index(entry) if entry else -1 for entry in fields])
    values = [np.where(column < 0, 0, np.where(column == k, 1, -1)).astype(np.int8) for k in range(len(texts))]
    return [title + "_" + re.sub(r"[^\w.+-]+", "_", entry) for entry in texts], values


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
