"""Fréchet distance on an attribute classifier's features; not the FID of Inception features, and not named so.

Protocol: the pooled features of a judge run (its hash stands beside the number) of n held-out real pictures
and of n generated ones, at the model's own size; Heusel et al. 2017's distance between the two Gaussians.
The distance is biased upwards for small n: compare only at equal n. With its spread, and beside other measures of
the same features, it is ``feature_fid`` of :mod:`mien.metrics.distributions`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from mien.errors import MienError
from mien.metrics.fid import Moments, frechet_distance


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
    sides = (Moments(number), Moments(number))
    with torch.inference_mode():
        for moments, pictures in zip(sides, (real, fake), strict=True):
            for x in pictures:
                moments.update(features(x))
    if min(s.n for s in sides) < 2:
        raise MienError(
            "expected 2 pictures or more on either side of a Fréchet distance, "
            f"got {sides[0].n} real and {sides[1].n} fake"
        )
    return frechet_distance(*sides)
