"""Density and coverage of generated pictures by nearest neighbors among real features (Naeem et al. 2020).

The radius of a real row's ball is the distance to its fifth nearest real neighbor. Density is the number of real balls
that hold a generated picture, divided by 5 and averaged over generated pictures; it may exceed 1. Coverage is the share
of real pictures whose ball holds at least one generated picture. Unlike recall, both use balls around real pictures
only, so single generated outliers do not change them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mien.metrics.precision_recall import BLOCK, check_neighbors, counter, radii, squared_distances

NEIGHBORS = 5  # the authors' choice


def density_coverage(
    real: Tensor, generated: Tensor, k: int = NEIGHBORS, progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Return density and coverage; their spread is the standard error over pictures with the real balls fixed.

    Args:
        real, generated: features (m, D) and (n, D), more than ``k`` rows each.
        k: the neighbor whose distance is the radius.
        progress: called with (done, total).

    Raises:
        MienError: ``k`` rows or fewer on either side.

    >>> points = torch.arange(10.0)[:, None]
    >>> density_coverage(points, points)["value"]["coverage"]
    1.0
    """
    check_neighbors(real, generated, k, "density and coverage")
    center = real.mean(0)  # centered rows reduce the rounding errors of distances
    real, generated = real - center, generated - center
    report = counter(progress, -(-len(real) // BLOCK) + -(-len(generated) // BLOCK))
    radius = radii(real, k, report)
    counts, hit = [], torch.zeros(len(real), dtype=torch.bool, device=real.device)
    for part in torch.split(generated, BLOCK):
        inside = squared_distances(part, real) <= radius
        counts.append(inside.sum(1))
        hit |= inside.any(0)
        report()
    share = torch.cat(counts).double() / k
    coverage = float(hit.double().mean())
    return {
        "value": {"density": float(share.mean()), "coverage": coverage},
        "spread": {
            "density": float(share.std() / len(share) ** 0.5),
            "coverage": (coverage * (1 - coverage) / len(real)) ** 0.5,
        },
        "spread_of": "standard error over the pictures asked about; the balls of the real pictures are fixed",
        "k": k,
        "n_real": len(real),
        "n_generated": len(generated),
    }
