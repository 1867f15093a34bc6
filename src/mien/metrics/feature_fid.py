"""Fréchet distance on an attribute classifier's features; not the FID of Inception features, and not named so.

Protocol: the pooled features of a judge run (its hash stands beside the number) of n held-out real pictures
and of n generated ones, at the model's own size; Heusel et al. 2017's distance between the two Gaussians,
by torchmetrics. The distance is biased upwards for small n: compare only at equal n.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from mien.errors import MienError


class _Features(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor], number: int):
        super().__init__()
        self.function, self.num_features = function, number

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def feature_fid(
    features: Callable[[Tensor], Tensor], number: int, real: Iterable[Tensor], fake: Iterable[Tensor]
) -> float:
    """Return the Fréchet distance between the features of two sets of pictures.

    Args:
        features: (B, C, H, W) in [-1, 1] → (B, number).
        number: how many features.
        real, fake: batches of pictures.

    Raises:
        MienError: with fewer than two pictures on either side.
    """
    metric = FrechetInceptionDistance(feature=_Features(features, number))
    # covariances of thousands of features in float32 lose the small eigenvalues
    metric.set_dtype(torch.float64)
    seen = [0, 0]
    with torch.inference_mode():
        for side, pictures in enumerate((fake, real)):
            for x in pictures:
                metric.update(x, real=bool(side))
                seen[side] += len(x)
    if min(seen) < 2:
        raise MienError(
            f"expected 2 pictures or more on either side of a Fréchet distance, got {seen[1]} real and {seen[0]} fake"
        )
    return float(metric.compute())
