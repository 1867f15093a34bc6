"""Base class of the measures of LPIPS between held-out pictures and their reconstructions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mien.errors import MienError
from mien.evaluation.context import autoencodes
from mien.evaluation.inception import real_pictures
from mien.evaluation.measure import Mean, Measure, Row, Skipped
from mien.evaluation.record import Record

if TYPE_CHECKING:
    from torch import Tensor

    from mien.evaluation.context import Context
    from mien.run.opening import OpenRun


@dataclass(frozen=True)
class Perceptual(Record):
    """The mean distance of n reconstructions, its deviation and standard error; ``extra`` describes the network."""

    n: int
    mean: float
    std: float
    sem: float
    extra: dict[str, Any]


class PerceptualMeasure(Measure[Perceptual]):
    """LPIPS by the network of :mod:`mien.metrics.lpips` that has the measure's name; the network needs weights."""

    Result = Perceptual
    usual = False

    def applies(self, run: OpenRun) -> bool:
        """Return whether the model encodes and decodes."""
        return autoencodes(run)

    def take(self, context: Context) -> Perceptual:
        """Return the distance between held-out pictures and their reconstructions."""
        import torch

        from mien.metrics import lpips

        try:
            network = getattr(lpips, self.name)(device=context.device)
        except MienError as reason:
            raise Skipped(str(reason)) from None
        values: list[Tensor] = []
        for x in real_pictures(context, context.test):
            values.append(lpips.lpips(x, context.plain(x), network).cpu())
            context.note(self.name, sum(map(len, values)), len(context.test))
        distances = torch.cat(values)
        mean = Mean.of(distances)
        return Perceptual(len(distances), mean.mean, mean.std, mean.sem, network.about())

    def rows(self, result: Perceptual) -> list[Row]:
        """Return the row of the mean."""
        how = f"{result.n:,} held-out pictures; ± deviation over pictures"
        return [Row(self.name, f"{result.mean:.3f}", how, "down", f"± {result.std:.3f}")]
