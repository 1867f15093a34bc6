"""A recipe: one experiment of a paper as one frozen object. Nothing here imports a slow package.

A recipe declares trainings, measures, a figure, the paper's numbers, and the paper's claims as functions of the result.
:mod:`mien.recipes.reproducing` runs it, and ``mien reproduce`` is the command.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mien.errors import MienError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mien.recipes.trained import Trained

SCALES = ("smoke", "small", "paper")
HOLDS, FAILS, UNTESTED = "holds", "does not hold", "not tested at this scale"
JUDGE = "judge"  # the name of the run that judges the others
# the 97.5 % quantile of Student's t for 2, 3, ... seeds: two standard errors of three seeds would be exceeded by chance
# in one of eleven cases
STUDENT = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26)
SHARES = ("%", "points")  # units of shares and of their differences: the result holds 0.5, tables show 50 %


@dataclass(frozen=True)
class Pictures:
    """The data of a scale.

    Args:
        name: the data set; or a packaged one, the name of a function in :mod:`mien.recipes.packaged`.
        size: in pixels, or in samples for signals.
        options: of the data set.
        count: largest number of training pictures; 0 takes all.
        packaged: whether the data come with mien or with its libraries, so that no folder is needed.
    """

    name: str
    size: int
    options: Mapping[str, Any] = field(default_factory=dict)
    count: int = 0
    packaged: bool = False


@dataclass(frozen=True)
class Effort:
    """The length of the trainings of one model at a scale, and the settings that the scale changes.

    Args:
        steps, epochs: at most one of them; the model's own number of epochs without both.
        settings: constructor arguments of the model, such as its width.
        training: fields of :class:`mien.training.loop.Settings`, such as ``batch``.
    """

    steps: int | None = None
    epochs: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Scale:
    """One size of an experiment.

    Args:
        pictures: the data.
        efforts: by the name of a run, or else by the name of its model.
        held_out: largest number of held-out pictures that are measured.
        seeds: of the trainings; the measures use the same seed.
        runs: names of the runs at this scale; all of the recipe if empty.
        unseen: further data, which are measured and on which nothing is trained.
        omitted: measures that are not taken at this scale, such as those that fetch weights.
    """

    pictures: Pictures
    efforts: Mapping[str, Effort] = field(default_factory=dict)
    held_out: int = 1000
    seeds: tuple[int, ...] = (0,)
    runs: tuple[str, ...] = ()
    unseen: Pictures | None = None
    omitted: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """One training of an experiment, repeated for each seed of the scale.

    Args:
        model: its name.
        settings: constructor arguments at every scale. An effort of the scale can replace them.
        uses: by setting, the name of the run whose folder is its value, such as {"loss_network": "loss network"}.
        share: (i, n), the part of the training pictures.
        seed: the fixed seed of a run that is not repeated, such as a judge.
    """

    model: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    uses: Mapping[str, str] = field(default_factory=dict)
    share: tuple[int, int] = (1, 1)
    seed: int | None = None


@dataclass(frozen=True)
class Row:
    """One number of an experiment: the paper's value beside ours.

    Args:
        label: its name, unique in the recipe.
        run, path: the run, and the place of the number in its ``evaluation.json``, such as
            ``latent_svm.mean_accuracy``. Without them, ``Recipe.extra`` returns the number, or only the paper has it.
        reported: the paper's value, in ``unit``.
        unit: of the table. A share in ``%``, or a difference of shares in ``points``, is stored as 0 to 1.
        digits: after the point in tables.
    """

    label: str
    run: str = ""
    path: str = ""
    reported: float | None = None
    unit: str = ""
    digits: int = 3

    def text(self, value: float | None) -> str:
        """Return a value of ours as a table shows it; a dash for None.

        >>> Row("accuracy", unit="%", digits=2).text(0.8888), Row("error").text(None)
        ('88.88 %', '–')
        """
        if value is None or not math.isfinite(value):
            return "–"
        return f"{100 * value if self.unit in SHARES else value:.{self.digits}f} {self.unit}".rstrip()

    @property
    def paper(self) -> str:
        """The paper's value as a table shows it; a dash without one."""
        return "–" if self.reported is None else f"{self.reported:g} {self.unit}".rstrip()


@dataclass(frozen=True)
class Number:
    """A measured number, one value for each seed.

    Args:
        each: by seed; None where it could not be measured.
        sem: by seed, the standard error over pictures or attributes; None where there is none.
        n: the pictures that were measured, 0 if not known.
    """

    each: tuple[float | None, ...]
    sem: tuple[float | None, ...] = ()
    n: int = 0

    @property
    def values(self) -> list[float]:
        """The values that were measured."""
        return [value for value in self.each if value is not None and math.isfinite(value)]

    @property
    def mean(self) -> float | None:
        """The mean over seeds; None if a seed has no value."""
        values = self.values
        return sum(values) / len(values) if values and len(values) == len(self.each) else None

    @property
    def spread(self) -> float | None:
        """The standard deviation over seeds; None for one seed."""
        mean, values = self.mean, self.values
        if mean is None or len(values) < 2:
            return None
        return math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))

    @property
    def error(self) -> float | None:
        """The standard error: over seeds if there are several, else over pictures; None if neither is known."""
        if self.spread is not None:
            return self.spread / math.sqrt(len(self.each))
        return next((value for value in self.sem if value is not None and math.isfinite(value)), None)

    @property
    def margin(self) -> float | None:
        """Half the width of the 95 % confidence interval: by Student's t over seeds, or two errors of one seed.

        >>> Number((0.1, 0.2, 0.3)).margin > 4 * Number((0.1, 0.2, 0.3)).error
        True
        """
        factor = 2.0 if self.spread is None else STUDENT[min(len(self.each) - 2, len(STUDENT) - 1)]
        return None if self.error is None else factor * self.error

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"mean": self.mean, "sd": self.spread, "each": list(self.each), "sem": list(self.sem), "n": self.n}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Number:
        """Return what :meth:`to_json` wrote."""
        return cls(tuple(values["each"]), tuple(values["sem"]), int(values["n"]))


@dataclass(frozen=True)
class Result:
    """The numbers of an experiment at one scale, by label."""

    scale: str
    numbers: Mapping[str, Number]

    def value(self, label: str) -> float | None:
        """Return the mean over seeds; None if it was not measured."""
        number = self.numbers.get(label)
        return number.mean if number else None

    def above(self, label: str, limit: float = 0.0) -> bool | None:
        """Return whether a number is above a limit by more than its margin; None if it or its margin is missing.

        >>> Result("small", {"gain": Number((0.3,), (0.1,))}).above("gain")
        True
        """
        value = self.value(label)
        margin = None if value is None else self.numbers[label].margin
        return None if value is None or margin is None else value - limit > margin

    def below(self, label: str, limit: float) -> bool | None:
        """Return whether a number is below a limit by more than its margin; None if it or its margin is missing.

        >>> Result("small", {"loss": Number((0.3,), (0.1,))}).below("loss", 0.4)
        False
        """
        value = self.value(label)
        margin = None if value is None else self.numbers[label].margin
        return None if value is None or margin is None else limit - value > margin

    def exceeds(self, label: str, other: str) -> bool | None:
        """Return whether one number is above another by more than the margin; None if a number or error is missing.

        With several seeds, the margin is that of the differences by seed. With one seed, it is twice the error of both
        numbers over pictures, as if they were independent.

        >>> numbers = {"a": Number((0.9,), (0.01,)), "b": Number((0.8,), (0.01,))}
        >>> Result("small", numbers).exceeds("a", "b"), Result("small", numbers).exceeds("b", "a")
        (True, False)
        """
        if self.value(label) is None or self.value(other) is None:
            return None
        one, two = self.numbers[label], self.numbers[other]
        errors = () if one.error is None or two.error is None else (math.hypot(one.error, two.error),)
        each = tuple(a - b for a, b in zip(one.values, two.values, strict=True))
        return Result(self.scale, {"difference": Number(each, errors)}).above("difference")

    def every(self, *answers: bool | None) -> bool | None:
        """Return whether all answers are true: False if one is false, else None if one is None."""
        return False if False in answers else None if None in answers else True

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Result:
        """Return the numbers of a stored result.

        Raises:
            MienError: the values are not a result of a recipe.
        """
        try:
            numbers = {label: Number.from_json(number) for label, number in values["numbers"].items()}
            return cls(str(values["scale"]), numbers)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise MienError("expected a result of mien reproduce, got other values: run the recipe again") from None


@dataclass(frozen=True)
class Claim:
    """A claim of the paper.

    Args:
        text: in one sentence.
        test: from the result to True, False, or None where a number is missing.
        scales: those that can test it. Trainings of the scale ``smoke`` take seconds and test nothing.
    """

    text: str
    test: Callable[[Result], bool | None]
    scales: tuple[str, ...] = ("small", "paper")

    def verdict(self, result: Result) -> str:
        """Return ``holds``, ``does not hold`` or ``not tested at this scale``."""
        answer = self.test(result) if result.scale in self.scales else None
        return UNTESTED if answer is None else HOLDS if answer else FAILS


def exceeds(label: str, other: str) -> Callable[[Result], bool | None]:
    """Return the test of a claim that one number is above another, see :meth:`Result.exceeds`.

    >>> exceeds("a", "b")(Result("small", {})) is None
    True
    """
    return lambda result: result.exceeds(label, other)


def no_extra(trained: Trained) -> Mapping[str, Number]:
    """Return no further numbers: the default of ``Recipe.extra``."""
    return {}


@dataclass(frozen=True)
class Recipe:
    """An experiment of a paper.

    Args:
        title: what it is, such as "Table 1: 40 attributes from latents".
        source: the paper, and the place of the reported numbers in it.
        runs: the trainings by name. A run that others use, and the judge, are not measured.
        scales: ``smoke`` for seconds on packaged data, ``small`` for about an hour on two cores, ``paper`` for the
            paper's own size.
        measures: names of the measures of :mod:`mien.evaluation` that each measured run gets.
        rows: the numbers.
        claims: of the paper.
        figure: draws the trained runs of the first seed.
        extra: returns further numbers of one seed, by the label of a row; each with one value.
        departures: what differs from the paper at every scale, in sentences.
    """

    title: str
    source: str
    runs: Mapping[str, Run]
    scales: Mapping[str, Scale]
    measures: tuple[str, ...]
    rows: Sequence[Row]
    claims: Sequence[Claim]
    figure: Callable[[Trained], Figure]
    extra: Callable[[Trained], Mapping[str, Number]] = no_extra
    departures: str = ""

    def names(self, scale: str) -> tuple[str, ...]:
        """Return the names of the runs of a scale, those that others use first.

        A run that is only used by others is left out where the scale sets what it would be used for.
        """
        chosen = self.scales[scale].runs or tuple(self.runs)
        helpers = [used for name in chosen for used in self.uses(name, scale).values()]
        own = [name for name in chosen if name in helpers or name not in self._used()]
        return tuple(dict.fromkeys([*helpers, *own]))

    def measured(self, scale: str) -> tuple[str, ...]:
        """Return the names of the runs that are measured."""
        return tuple(name for name in self.names(scale) if name != JUDGE and name not in self._used())

    def measures_at(self, scale: str) -> tuple[str, ...]:
        """Return the names of the measures that are taken at a scale."""
        return tuple(name for name in self.measures if name not in self.scales[scale].omitted)

    def uses(self, name: str, scale: str) -> dict[str, str]:
        """Return by setting the name of the run that a run uses at a scale."""
        settings = self.effort(name, scale).settings
        return {key: used for key, used in self.runs[name].uses.items() if key not in settings}

    def effort(self, name: str, scale: str) -> Effort:
        """Return the effort of a run at a scale."""
        efforts = self.scales[scale].efforts
        return efforts.get(name) or efforts.get(self.runs[name].model) or Effort()

    def _used(self) -> set[str]:
        return {used for run in self.runs.values() for used in run.uses.values()}
