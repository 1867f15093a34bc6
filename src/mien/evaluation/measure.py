"""What a measure declares: the base class of the files in ``measures/``, and the rows that tables are made of.

Nothing here imports torch: ``mien show`` prints stored results without it.
"""

from __future__ import annotations

import inspect
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
    """A measure applies but cannot be taken; the message says what to do about it."""


@dataclass(frozen=True)
class Row:
    """One number of a table.

    Args:
        label: what is measured.
        value: the number, or several, as text.
        how: how it was measured.
        better: "up" or "down": where better values lie; None for a number that is only to be compared with another.
        spread: what is written behind the value, such as "± 0.10" or "(0.10 to 0.20)".
        indented: whether it belongs to the last row before it that is not indented.
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
"""Text cells of the table by attribute: by the attribute's name, then by the column's."""

R = TypeVar("R", bound=Record)


class Measure(ABC, Generic[R]):
    """A measure: one file in ``measures/`` holds one subclass, and the file's name is the measure's name.

    The first line of the file's docstring is what ``mien`` and the documentation say of the measure.
    """

    Result: type[R]
    """The class of its results."""
    usual: ClassVar[bool] = True
    """Whether it is taken when no measure is asked for by name."""
    judged: ClassVar[bool] = False
    """Whether its result depends on the judge."""
    order: ClassVar[int] = 1000
    """Its place in tables and files; measures of the same place are sorted by name."""

    @property
    def name(self) -> str:
        """The name of its file."""
        return type(self).__module__.rpartition(".")[2]

    @property
    def title(self) -> str:
        """What is measured, in one line."""
        module = inspect.getmodule(type(self))
        return ((module and module.__doc__) or "").split("\n", 1)[0]

    @abstractmethod
    def applies(self, run: OpenRun) -> bool:
        """Return whether the run's abilities and data allow it."""

    @abstractmethod
    def take(self, context: Context) -> R:
        """Return the result for a run to which it applies.

        Raises:
            Skipped: it cannot be taken here and now; the message says what to do about it.
        """

    @abstractmethod
    def rows(self, result: R) -> list[Row]:
        """Return the rows of a result, for every table there is."""

    def cells(self, result: R) -> Cells:
        """Return what a result says of single attributes; nothing by default."""
        return {}

    def sections(self, run: OpenRun, result: R | None, judge: Model | None) -> list[Section]:
        """Return its parts of the run's page, for a run to which it applies; none by default.

        Args:
            result: its result; None where it was not taken.
            judge: the judge's model, where it is at hand.
        """
        return []

    def __call__(self, context: Context) -> R | None:
        """Return its result, or None where it does not apply."""
        return self.take(context) if self.applies(context.run) else None


@dataclass(frozen=True)
class Mean(Record):
    """The mean of a number over pictures, its standard deviation over them, and the standard error."""

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


def spread_text(spread: float | None, digits: int) -> str:
    """Return a spread as it is written behind a value; nothing for None.

    >>> spread_text(0.1, 2), spread_text(None, 2)
    ('± 0.10', '')
    """
    return "" if spread is None else f"± {spread:.{digits}f}"
