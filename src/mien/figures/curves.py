"""Curves of the values logged in training, over the steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import MienError, UnknownName
from mien.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FEW = 40  # a series with fewer points is drawn point by point, a longer one as a running mean
MANY = 1000  # of a much longer series, the extremes of this number of intervals are drawn behind the mean
TOGETHER = 4  # the most series that share a panel, if they have one scale


@dataclass(frozen=True)
class Series:
    """The values logged under one key: ``values`` (n) at ``steps`` (n); some may not be finite."""

    key: str
    steps: NDArray[np.float64]
    values: NDArray[np.float64]

    @property
    def finite(self) -> NDArray[np.float64]:
        """The finite values; the array may be empty."""
        return self.values[np.isfinite(self.values)]


def curves(history: Iterable[Mapping[str, object]], *, keys: Sequence[str] | None = None) -> Figure:
    """Draw logged values: one panel for a few series of one scale, else a panel for each series.

    The axis of a panel is logarithmic if its values are positive and span more than two decades. Long series
    are smoothed, with the logged values faint behind them. If a step was logged twice (in a resumed run),
    the later record counts.

    Args:
        history: records with the number ``step`` and other numbers; a record need not hold every key.
        keys: the keys to draw, in this order; by default every number except ``step``, in the order of the records.

    Raises:
        MienError: no records, a record without ``step``, an unknown key, or nothing to draw.

    >>> curves([{"step": 0, "kl": 3.0}, {"step": 1, "kl": 2.0}]).get_label()
    'kl over the steps 0 to 1'
    """
    drawn = series(history, keys)
    first, last = min(s.steps[0] for s in drawn), max(s.steps[-1] for s in drawn)
    alt = f"{', '.join(s.key for s in drawn)} over the steps {first:.0f} to {last:.0f}"
    panels = [drawn] if _one_scale(drawn) else [[one] for one in drawn]
    columns = min(len(panels), 3 if len(panels) > 4 or len(panels) == 3 else 2)
    rows = -(-len(panels) // columns)
    with style.drawing():
        from matplotlib.figure import Figure

        size = (style.WIDTH / style.PAGE_DPI, 2.7 if len(panels) == 1 else 1.75 * rows)
        figure = Figure(figsize=size, dpi=style.DPI, layout="constrained")
        figure.set_label(alt)
        for i, panel in enumerate(panels):
            axes = figure.add_subplot(rows, columns, i + 1)
            _draw(axes, panel)
            axes.set_xlim(first, last if last > first else first + 1)
            if i + columns >= len(panels):
                axes.set_xlabel("step")
    return figure


def amount_curves(amounts: Sequence[float], panels: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """Draw shares against the amount of an edit: one panel for each set of lines.

    Args:
        amounts: (n,) in growing order.
        panels: lines by the title of their panel; a line is its label and its values (n,).

    Raises:
        MienError: no lines, or a line with another number of values.

    >>> amount_curves([1.0, 2.0], {"mean": {"gain": [0.4, 0.6]}}).get_label()
    'gain against the amount of the edit: mean'
    """
    if not panels or not all(panels.values()):
        raise MienError("expected lines to draw, got a panel without any: pass values for each panel")
    for title, lines in panels.items():
        for label, values in lines.items():
            if len(values) != len(amounts):
                raise MienError(f"expected {len(amounts)} values of {label} in {title}, got {len(values)}")
    labels = list(dict.fromkeys(label for lines in panels.values() for label in lines))
    with style.drawing():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(style.WIDTH / style.PAGE_DPI, 2.7), dpi=style.DPI, layout="constrained")
        figure.set_label(f"{', '.join(labels)} against the amount of the edit: {', '.join(panels)}")
        for number, (title, lines) in enumerate(panels.items()):
            axes = figure.add_subplot(1, len(panels), number + 1)
            for i, (label, values) in enumerate(lines.items()):
                k = i % len(style.SERIES)
                look: Any = {"color": style.SERIES[k], "linestyle": style.DASHES[k], "marker": style.MARKERS[k]}
                axes.plot(amounts, values, label=label, markersize=3, **look)
            axes.set_title(title, pad=18)
            axes.set_xlabel("amount")
            axes.set_xticks(list(amounts))
            axes.xaxis.set_major_formatter(lambda value, _: style.number(value))
            axes.yaxis.set_major_formatter(lambda value, _: f"{style.number(100 * value)} %")
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(lines), handlelength=4, borderaxespad=0.3)
    return figure


def series(history: Iterable[Mapping[str, object]], keys: Sequence[str] | None = None) -> list[Series]:
    """Return the series of each key, in the order of the steps; see :func:`curves`."""
    logged: dict[str, dict[float, float]] = {}
    records = list(history)
    for i, record in enumerate(records):
        step = _number(record.get("step")) if isinstance(record, Mapping) else None
        if step is None or not np.isfinite(step):
            raise MienError(f"expected records with a number 'step', got {str(record)[:80]} at {i}")
        for key, value in record.items():
            if key != "step" and (value := _number(value)) is not None:
                logged.setdefault(str(key), {})[step] = value
    if not logged:
        raise MienError(f"expected records with a number to draw beside 'step', got {len(records)} records")
    if isinstance(keys, str):
        raise MienError(f"expected keys as a list, got the string '{keys}'")
    keys = list(logged) if keys is None else list(dict.fromkeys(keys))
    if not keys:
        raise MienError("expected at least one key, got none")
    for key in keys:
        if key not in logged:
            raise UnknownName("key", str(key), logged)
    return [_series(key, logged[key]) for key in keys]


def smooth(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Return the mean of the finite values in a window around each value; the window shrinks at the ends.

    >>> smooth(np.array([0.0, 3.0, np.nan, 5.0]), 3)
    array([1.5, 1.5, 4. , 5. ])
    """
    finite = np.isfinite(values)
    sums = np.concatenate([[0], np.cumsum(np.where(finite, values, 0))])
    counts = np.concatenate([[0], np.cumsum(finite)])
    position = np.arange(len(values))
    low, high = np.maximum(position - window // 2, 0), np.minimum(position + window // 2 + 1, len(values))
    within = counts[high] - counts[low]
    return np.where(within > 0, (sums[high] - sums[low]) / np.maximum(within, 1), np.nan)


def _number(value: object) -> float | None:
    if isinstance(value, bool | str | bytes) or value is None:
        return None
    try:
        return float(value)  # type: ignore[arg-type]  # also tensors and NumPy's arrays of one element
    except (TypeError, ValueError, RuntimeError):
        return None


def _series(key: str, points: Mapping[float, float]) -> Series:
    steps = np.array(sorted(points))
    return Series(key, steps, np.array([points[step] for step in steps]))


def _one_scale(drawn: Sequence[Series]) -> bool:
    """Whether a few series are readable on one axis: the range of each is at least an eighth of the whole."""
    if len(drawn) == 1:
        return True
    if len(drawn) > TOGETHER or any(len(s.finite) == 0 for s in drawn):
        return False
    low, high = zip(*(np.percentile(s.finite, (5, 95)) for s in drawn), strict=True)
    whole = max(high) - min(low)
    return all(b - a >= whole / 8 for a, b in zip(low, high, strict=True))


def _draw(axes: Axes, drawn: Sequence[Series]) -> None:
    from matplotlib.ticker import MaxNLocator

    values = np.concatenate([s.finite for s in drawn])
    logarithmic = len(values) > 1 and values.min() > 0 and values.max() > 100 * values.min()
    if logarithmic:
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter("")
    for i, one in enumerate(drawn):
        _draw_series(axes, one, logarithmic, i, alone=len(drawn) == 1)
    if len(values):
        axes.yaxis.set_major_formatter(lambda value, _: style.number(value))
        if np.ptp(values) <= 1e-3 * np.abs(values).max():
            # a constant, such as a learning rate: several ticks would all have the same label
            middle = float(np.median(values))
            axes.set(ylim=(middle - (abs(middle) or 1), middle + (abs(middle) or 1)), yticks=[middle])
    else:
        axes.text(0.5, 0.5, "no finite values", transform=axes.transAxes, ha="center", color=style.MUTED)
        axes.set_yticks([])
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(lambda value, _: style.count(value))
    if len(drawn) == 1:
        axes.set_title(drawn[0].key[:40])
    else:
        # above the panel, where it covers no line
        columns = len(drawn) if sum(len(s.key) for s in drawn) < 80 else 2
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, handlelength=4, borderaxespad=0.3)


def _draw_series(axes: Axes, one: Series, logarithmic: bool, i: int, alone: bool) -> None:
    """Draw the i-th series: its points if they are few, else a running mean with the logged values behind it."""
    values = np.where(np.isfinite(one.values), one.values, np.nan)
    color, dashes, marker = style.SERIES[i], style.DASHES[i], style.MARKERS[i]
    line: Any = {
        "color": color,
        "linestyle": dashes,
        "label": one.key[:40],
        "marker": marker,
        "markersize": 3,
    }
    if len(values) < FEW:
        axes.plot(one.steps, values, **line)
        return
    axes.plot(*_envelope(one.steps, values), color=color, linewidth=0.6, alpha=0.35)
    # on a logarithmic axis, the mean of the logarithms looks like a mean
    mean = smooth(np.log(values) if logarithmic else values, max(5, len(values) // 25))
    mean = np.exp(mean) if logarithmic else mean
    shown = np.unique(np.linspace(0, len(values) - 1, 400).astype(int))
    # markers distinguish lines that share a panel; a single line needs none
    distance = max(1, len(shown) // 8)
    marked = [] if alone else (i * distance // TOGETHER, distance)
    axes.plot(one.steps[shown], mean[shown], markevery=marked, **line)


def _envelope(
    steps: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the series or, if it is long, the lowest and the highest value of each of MANY intervals."""
    if len(values) <= 2 * MANY:
        return steps, values
    edges = np.linspace(0, len(values), MANY + 1).astype(int)[:-1]
    # fmin and fmax ignore NaN
    low, high = np.fmin.reduceat(values, edges), np.fmax.reduceat(values, edges)
    return np.repeat(steps[edges], 2), np.stack([low, high], axis=1).ravel()
