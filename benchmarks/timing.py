"""Interleaved timing: subjects take turns, a matrix product gives the machine's rate, and ratios have medians.

The speed of a machine drifts: only times that were measured in turns can be compared. Therefore every benchmark runs
its subjects in turns, A B A B …, in at least five rounds, and measures the rate of a plain matrix product in each
round. It reports the median and the quartiles of the ratios within the rounds, and also the absolute figures.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# torch is imported inside functions, because processes that measure memory import this file

PAUSE = 0.02  # seconds between subjects: spinning threads of the last subject stop in this time
SIDE = {"cpu": 1536, "cuda": 8192}  # side of the matrices of the calibration
SMOKE_SIDE = 96


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of n values.

    >>> Spread.of([3.0, 1.0, 2.0])
    Spread(median=2.0, low=1.5, high=2.5, n=3)
    """

    median: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Return the spread of ``values``, at least one; quartiles are interpolated linearly."""
        values = sorted(values)
        if len(values) == 1:
            return cls(values[0], values[0], values[0], 1)
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high, len(values))

    def text(self, digits: int = 2, factor: float = 1.0, unit: str = "") -> str:
        """Return ``median (low–high)`` as short text."""
        a, b, c = (f"{v * factor:.{digits}f}" for v in (self.median, self.low, self.high))
        return f"{a} ({b}–{c}){unit}"

    def to_json(self) -> dict[str, float]:
        return {"median": _short(self.median), "q1": _short(self.low), "q3": _short(self.high), "n": self.n}


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which ``share`` of ``values`` lie, interpolated linearly.

    >>> percentile([1.0, 2.0, 3.0, 4.0, 5.0], 0.5), percentile([1.0, 2.0], 0.75)
    (3.0, 1.75)
    """
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


@dataclass
class Rounds:
    """Seconds of each subject, and the matrix rate in FLOP/s, round by round."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    rates: list[float] = field(default_factory=list)

    def time(self, subject: str) -> Spread:
        """Return the seconds of a subject."""
        return Spread.of(self.seconds[subject])

    def rate(self) -> Spread:
        """Return the matrix rate in FLOP/s."""
        return Spread.of(self.rates)

    def speedup(self, subject: str, over: str) -> Spread:
        """Return the ratio of the speeds of a subject and ``over``, within the rounds."""
        return Spread.of(b / a for a, b in zip(self.seconds[subject], self.seconds[over], strict=True))

    def difference(self, subject: str, over: str) -> Spread:
        """Return the difference in seconds between a subject and ``over``, within the rounds."""
        return Spread.of(a - b for a, b in zip(self.seconds[subject], self.seconds[over], strict=True))

    def share(self, subject: str, flop: float) -> Spread:
        """Return the share of the matrix rate that a subject of ``flop`` operations reaches, within the rounds."""
        return Spread.of(flop / s / rate for s, rate in zip(self.seconds[subject], self.rates, strict=True))


def interleave(
    subjects: Mapping[str, Callable[[], float]], count: int, rate: Callable[[], float], pause: float = PAUSE
) -> Rounds:
    """Call every subject once a round, in turns, with the matrix rate before each round.

    Args:
        subjects: functions that return the seconds they took, for one unit of work.
        count: of rounds; at least 5 for a result that counts.
        rate: returns the matrix rate in FLOP/s.
        pause: seconds before each call.
    """
    rounds = Rounds({name: [] for name in subjects})
    for _ in range(count):
        time.sleep(pause)
        rounds.rates.append(rate())
        for name, subject in subjects.items():
            time.sleep(pause)
            rounds.seconds[name].append(subject())
    return rounds


def repeats(seconds: float, total: float, most: int = 10_000) -> int:
    """Return the number of calls of ``seconds`` each that take about ``total`` seconds; 1 or more.

    >>> repeats(0.01, 0.5), repeats(2.0, 0.5), repeats(0.0, 0.5)
    (50, 1, 10000)
    """
    return max(1, min(most, round(total / seconds) if seconds > 0 else most))


def _short(value: float) -> float:
    """Return ``value`` with five digits.

    >>> _short(123456.789), _short(0.000123456)
    (123460.0, 0.00012346)
    """
    return float(f"{value:.5g}")


def synchronize(device: str) -> None:
    """Wait until the device has finished its work."""
    if device == "cuda":
        import torch

        torch.cuda.synchronize()


def timed(call: Callable[[], Any], device: str, times: int = 1) -> Callable[[], float]:
    """Return a subject that calls ``call`` several times and returns the seconds of one call."""

    def run() -> float:
        synchronize(device)
        start = time.perf_counter()
        for _ in range(times):
            call()
        synchronize(device)
        return (time.perf_counter() - start) / times

    return run


def subject(call: Callable[[], Any], device: str, seconds: float, warm_up: int = 1) -> Callable[[], float]:
    """Return ``call`` as a subject of about ``seconds`` per round, after a warm-up."""
    for _ in range(warm_up):
        call()
    return timed(call, device, repeats(timed(call, device)(), seconds))


def matrix_rate(device: str, precision: str = "fp32", smoke: bool = False) -> Callable[[], float]:
    """Return a function that measures the rate of a product of two square matrices, in FLOP/s."""
    import torch

    side = SMOKE_SIDE if smoke else SIDE[device]
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    out = torch.empty_like(a)
    once = timed(lambda: torch.mm(a, b, out=out), device, 1 if smoke else {"cpu": 3, "cuda": 20}[device])
    once()
    return lambda: 2 * side**3 / once()
