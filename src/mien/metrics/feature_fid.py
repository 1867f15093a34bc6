"""Fréchet distance on the features of an attribute classifier. It is not FID, which uses Inception's features.

Protocol: the pooled features of a judge run, for n held-out real pictures and n generated ones, at the model's own
size; the distance between the two Gaussians (Heusel et al. 2017). The judge's hash is stored with the result. The
distance is biased upwards for small n: compare only at equal n. ``feature_fid`` of :mod:`mien.metrics.distributions`
adds the spread and other measures of the same features.
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
        features: function from pictures (B, C, H, W) in [-1, 1] to features (B, number).
        number: number of features.
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
