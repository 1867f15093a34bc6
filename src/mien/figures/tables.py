"""Tables of numbers, for the page, the terminal and the README alike."""

from __future__ import annotations

import csv
import html
import io
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mien.errors import MienError, UnknownName
from mien.pages import render

NOTHING = "–"


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Args:
        heads: the names of the columns, with units.
        rows: the text of each cell, row by row.
        numeric: whether each column holds numbers, which are aligned at the right.
        best: the cells (row, column) with the best value of their column.
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: Sequence[bool]
    best: Collection[tuple[int, int]] = ()

    def __str__(self) -> str:
        """Return the table in columns for a terminal, with a * after the best values."""
        starred = {column for _, column in self.best}
        rows = [
            [text + ("*" if (i, j) in self.best else " ") if j in starred else text for j, text in enumerate(row)]
            for i, row in enumerate([self.heads, *self.rows], start=-1)
        ]
        widths = [max(len(row[j]) for row in rows) for j in range(len(self.heads))]
        rows.insert(1, ["─" * width for width in widths])
        return "\n".join(
            "  ".join(
                text.rjust(width) if right else text.ljust(width)
                for text, width, right in zip(row, widths, self.numeric, strict=True)
            ).rstrip()
            for row in rows
        )

    def markdown(self) -> str:
        """Return the table in Markdown, the best values in bold."""

        def line(cells: Iterable[str]) -> str:
            return "| " + " | ".join(cells) + " |"

        rows = [
            [f"**{_markdown(text)}**" if (i, j) in self.best else _markdown(text) for j, text in enumerate(row)]
            for i, row in enumerate(self.rows)
        ]
        rule = ["---:" if right else "---" for right in self.numeric]
        return "\n".join(map(line, [map(_markdown, self.heads), rule, *rows]))

    def csv(self) -> str:
        """Return the table as CSV: a minus sign is a hyphen, numbers have no commas, a cell without a value is empty.

        >>> print(Table(["a", "n"], [["x, y", "−1,200"], ["z", "–"]], [False, True]).csv(), end="")
        a,n
        "x, y",-1200
        z,
        """
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(self.heads)
        for row in self.rows:
            writer.writerow(_plain(text, right) for text, right in zip(row, self.numeric, strict=True))
        return file.getvalue()

    def html(self) -> str:
        """Return the table as an HTML element, its text escaped, the best values in bold."""
        return render("table.html.j2", table=self)


def metric_table(
    rows: Iterable[Mapping[str, object]],
    *,
    columns: Sequence[str] | None = None,
    units: Mapping[str, str] | None = None,
    lower: Collection[str] = (),
    higher: Collection[str] = (),
    digits: int = 3,
) -> Table:
    """Return a table of records.

    All numbers of a column have the same number of decimals: the largest number gets ``digits`` digits.

    Args:
        rows: records; a value is a number, a pair of a number and its spread, a text, a truth value, or None.
        columns: the columns to show, in this order; by default all, in the order of the records.
        units: the unit of a column, by name; it is written after the name.
        lower, higher: the columns whose lowest or highest number is the best.
        digits: of the largest number of a column, 1 to 12.

    Raises:
        MienError: no records, an unknown column, or digits out of range.

    >>> print(metric_table([{"model": "vae", "fid10k": 61.27}, {"model": "vae_wgan", "fid10k": (38.5, 0.4)}],
    ...                    lower=["fid10k"]))
    model         fid10k
    ────────  ───────────
    vae             61.3
    vae_wgan  38.5 ± 0.4*
    """
    records = [dict(row) for row in rows]
    keys = list(dict.fromkeys(key for record in records for key in record))
    columns = keys if columns is None else list(columns)
    if not records or not columns:
        raise MienError(f"expected at least one row and one column, got {len(records)} and {len(columns)}")
    if not 1 <= digits <= 12:
        raise MienError(f"expected digits from 1 to 12, got {digits}")
    for name in (*columns, *(units := units or {}), *lower, *higher):
        if name not in keys:
            raise UnknownName("column", str(name), map(str, keys))
    cells, numeric, best = [], [], set()
    for j, name in enumerate(columns):
        values = [record.get(name) for record in records]
        numbers = [_number(value) for value in values]
        cells.append(_column(values, digits))
        numeric.append(any(n is not None for n in numbers) and not any(isinstance(v, str) for v in values))
        if name in lower or name in higher:
            best |= {(i, j) for i in _best(numbers, min if name in lower else max, cells[-1])}
    heads = [f"{name} / {units[name]}" if name in units else str(name) for name in columns]
    return Table(heads, [list(row) for row in zip(*cells, strict=True)], numeric, best)


def _number(value: object) -> float | None:
    """Return a cell's number without its spread, or None for a cell without a number."""
    if isinstance(value, tuple | list) and len(value) == 2:
        value = value[0]
    if isinstance(value, bool | np.bool_ | str | tuple | list) or value is None:
        return None
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):
        return None


def _column(values: Sequence[object], digits: int) -> list[str]:
    """Return a column's cells as text, all numbers with the same number of decimals."""
    numbers = [n for n in map(_number, values) if n is not None and math.isfinite(n)]
    plain = [v for v in values if _number(v) is not None]
    decimals = 0
    if not all(isinstance(v, int | np.integer) for v in plain):
        largest = max((abs(n) for n in numbers), default=0)
        decimals = max(0, digits - 1 - math.floor(math.log10(largest))) if largest else digits - 1
    return [_text(value, decimals, digits) for value in values]


def _text(value: object, decimals: int, digits: int) -> str:
    number = _number(value)
    if number is None:
        if isinstance(value, bool | np.bool_):
            return "yes" if value else "no"
        return NOTHING if value is None or value == "" else str(value)
    if isinstance(value, tuple | list):
        spread = _number(value[1])
        written = _text(number, decimals, digits)
        return written if spread is None else f"{written} ± {_text(spread, decimals, digits)}"
    if math.isnan(number):
        return NOTHING
    if math.isinf(number):
        return "∞" if number > 0 else "−∞"
    # a small number must not appear as 0 or as a long row of zeros
    if number and (decimals > 6 or round(number, decimals) == 0):
        return f"{number:.{max(digits - 1, 0)}e}".replace("e-0", "e-").replace("-", "−")
    return f"{number:,.{decimals}f}".replace("-", "−")


def _best(numbers: Sequence[float | None], choose: object, written: Sequence[str]) -> list[int]:
    """Return the rows with the best number; numbers with the same text are equally good."""
    finite = [n for n in numbers if n is not None and math.isfinite(n)]
    if len(finite) < 2:
        return []
    best = written[numbers.index(choose(finite))]  # type: ignore[operator]
    return [i for i, text in enumerate(written) if text.split(" ±")[0] == best.split(" ±")[0]]


def _plain(text: str, numeric: bool) -> str:
    """Return a cell for a CSV file."""
    text = "" if text.strip() == NOTHING else text.strip().replace("−", "-")
    return text.replace(",", "") if numeric else text


def _markdown(text: str) -> str:
    return html.escape(text, quote=False).replace("|", "\\|").replace("\n", " ")
