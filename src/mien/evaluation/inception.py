"""Base class of the measures on Inception's features, which compare generated with real pictures.

All chosen measures of one evaluation share one pass over the real and one over the generated pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from mien.abilities import Generates, can
from mien.errors import MienError
from mien.evaluation.measure import Better, Measure, Row, Skipped, spread_text
from mien.evaluation.record import Record
from mien.metrics.reliability import unreliable

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from mien.evaluation.context import Context
    from mien.run.opening import OpenRun

Number = float | dict[str, float]


@dataclass(frozen=True)
class SetDistance(Record):
    """A distance between two sets of pictures, or several by name, with the spread; ``extra`` has the protocol."""

    n_real: int
    n_generated: int
    value: Number
    spread: Number | None
    spread_of: str
    extra: dict[str, Any]

    def row(self, label: str, how: str, digits: int, better: Better) -> Row:
        """Return one row; several values share one cell, without spreads."""
        if isinstance(self.value, dict):
            return Row(label, " / ".join(f"{value:.{digits}f}" for value in self.value.values()), how, better)
        spread = None if isinstance(self.spread, dict) else self.spread
        return Row(label, f"{self.value:.{digits}f}", how, better, spread_text(spread, digits))


def real_pictures(context: Context, index: np.ndarray) -> Iterator[Tensor]:
    """Return batches (B, C, H, W) of the data set's pictures at positions ``index`` (n,)."""
    from mien.applications.basics import batches

    return (batch.x for batch in batches(context.run.dataset, index, context.device))


class InceptionMeasure(Measure[SetDistance]):
    """The protocol of :data:`mien.metrics.distributions.PROTOCOLS` that has the measure's name.

    It takes minutes on a GPU and hours on a CPU, and needs weights; therefore it is not one of the usual measures.
    """

    Result = SetDistance
    usual = False
    better: ClassVar[Better] = "down"
    digits: ClassVar[int] = 2

    def applies(self, run: OpenRun) -> bool:
        """Return whether the model generates."""
        return can(run.model, Generates)

    def take(self, context: Context) -> SetDistance:
        """Return the result. ``context.shared`` keeps the results of the other chosen protocols."""
        if self.name not in context.shared:
            context.shared.update(_pass(context, self.name))
        result = context.shared[self.name]
        assert isinstance(result, SetDistance)
        return result

    def rows(self, result: SetDistance) -> list[Row]:
        """Return a row for each value."""
        split = result.extra.get("split") or "none needed"
        how = f"{result.n_generated:,} generated, {result.n_real:,} real ({split}), Inception"
        if self.name.startswith("fid") and (features := result.extra.get("features")):
            warning = unreliable(min(result.n_generated, result.n_real), features)
            how = f"{warning}; {how}" if warning else how
        if not isinstance(result.value, dict):
            return [result.row(self.name, how, self.digits, self.better)]
        spreads = result.spread if isinstance(result.spread, dict) else {}
        return [
            Row(f"{self.name}, {key}", f"{value:.3f}", how, self.better, spread_text(spreads.get(key), 3))
            for key, value in result.value.items()
        ]


def _pass(context: Context, name: str) -> dict[str, SetDistance]:
    """Return the results of all chosen protocols that have enough pictures.

    Raises:
        Skipped: Inception's weights are missing, or there are too few pictures for ``name``.
    """
    from mien.applications.basics import generate_batches
    from mien.metrics.distributions import check, distributions, draw, names
    from mien.metrics.feature_networks import FeatureNetwork, inception

    def possible(other: str, network: FeatureNetwork, n: int) -> bool:
        try:
            check([other], network, n)
        except MienError:
            return False
        return True

    try:
        network = inception(device=context.device)
        index = draw(context.run.index, context.seed)
        check([name], network, len(index))
    except MienError as reason:
        raise Skipped(str(reason)) from None
    chosen = [other for other in context.chosen if other in names(network)]
    chosen = [other for other in chosen if possible(other, network, len(index))]

    def generated(n: int) -> Iterator[Tensor]:
        return generate_batches(context.model, n, context.seed)

    real = real_pictures(context, index)
    results = distributions(chosen, network, real, len(index), generated, context.seed, context.note)
    return {other: SetDistance.from_json(result) for other, result in results.items()}
