"""The base class of measures, and the rows of their tables.

This module does not import torch, because ``mien show`` prints stored results without it.
"""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Generic, Literal, TypeVar

from mien.errors import MienError
from mien.evaluation.record import Record

if TYPE_CHECKING:
    from torch import Tensor

    from mien.evaluation.context import Context
    from mien.figures import Section
    from mien.models.base import Model
    from mien.run.opening import OpenRun

Better = Literal["up", "down"]


class Skipped(MienError):
    """A measure that applies but cannot be taken; the message says what to do."""


@dataclass(frozen=True)
class Row:
    """One number of a table.

    Args:
        label: name of the quantity.
        value: the number, or several numbers, as text.
        how: short description of the measurement.
        better: "up" if larger values are better, "down" if smaller ones are; None for a baseline.
        spread: text after the value, such as "± 0.10" or "(0.10 to 0.20)".
        indented: whether the row belongs to the last row before it that is not indented.
    """

    label: str
    value: str
    how: str
    better: Better | None = None
    spread: str = ""
    indented: bool = False

    @property
    def text(self) -> str:
        """The value with its spread."""
        return f"{self.value} {self.spread}".rstrip()

    @property
    def heading(self) -> str:
        """The label as a table shows it, with its indent."""
        return f"  {self.label}" if self.indented else self.label


Cells = dict[str, dict[str, str]]
"""Text cells of the table of attributes: by attribute, then by column."""

R = TypeVar("R", bound=Record)


class Measure(ABC, Generic[R]):
    """A measure: one file in ``measures/`` holds one subclass, and the file's name is the measure's name.

    The first line of the file's docstring is the description of the measure in ``mien`` and in the documentation.
    """

    Result: type[R]
    """Class of the results."""
    usual: ClassVar[bool] = True
    """Whether the measure is taken by default."""
    judged: ClassVar[bool] = False
    """Whether the result depends on the judge."""
    order: ClassVar[int] = 1000
    """Position in tables and files; measures of equal order are sorted by name."""

    @property
    def name(self) -> str:
        """The name of the measure's file."""
        return type(self).__module__.rpartition(".")[2]

    @property
    def title(self) -> str:
        """The description of the measure, in one line."""
        module = inspect.getmodule(type(self))
        return ((module and module.__doc__) or "").split("\n", 1)[0]

    @abstractmethod
    def applies(self, run: OpenRun) -> bool:
        """Return whether the run's abilities and data allow the measure."""

    @abstractmethod
    def take(self, context: Context) -> R:
        """Return the result for a run to which the measure applies.

        Raises:
            Skipped: the measure cannot be taken; the message says what to do.
        """

    @abstractmethod
    def rows(self, result: R) -> list[Row]:
        """Return the rows of a result, for all tables."""

    def cells(self, result: R) -> Cells:
        """Return the cells of single attributes; none by default."""
        return {}

    def sections(self, run: OpenRun, result: R | None, judge: Model | None) -> list[Section]:
        """Return the measure's sections of the run's page; none by default.

        Args:
            run: a run to which the measure applies.
            result: the result; None if the measure was not taken.
            judge: the judge's model; None without a judge.
        """
        return []

    def __call__(self, context: Context) -> R | None:
        """Return the result; None if the measure does not apply."""
        return self.take(context) if self.applies(context.run) else None


@dataclass(frozen=True)
class Mean(Record):
    """The mean of a number over pictures, its standard deviation over pictures, and the standard error."""

    mean: float
    std: float
    sem: float

    @classmethod
    def of(cls, values: Tensor) -> Mean:
        """Return the mean of values (n,)."""
        values = values.double()
        return cls(float(values.mean()), float(values.std()), float(values.std() / len(values) ** 0.5))

    def row(self, label: str, how: str, digits: int, better: Better | None) -> Row:
        """Return a row of the mean and the deviation."""
        return Row(label, f"{self.mean:.{digits}f}", how, better, f"± {self.std:.{digits}f}")


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share in percent; a dash for None and for NaN, which is None in a stored result.

    >>> percent(0.123), percent(float("nan"))
    ('12.3%', '–')
    """
    return "–" if share is None or math.isnan(share) else f"{share:.{digits}%}"


def spread_text(spread: float | None, digits: int) -> str:
    """Return the text of a spread, which follows a value; empty for None.

    >>> spread_text(0.1, 2), spread_text(None, 2)
    ('± 0.10', '')
    """
    return "" if spread is None else f"± {spread:.{digits}f}"
