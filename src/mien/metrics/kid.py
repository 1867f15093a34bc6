"""Kernel distance between sets of features: the unbiased squared MMD with (xᵀy / D + 1)³ (Bińkowski et al. 2018)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mien.errors import MienError

SUBSETS, SUBSET_SIZE, DEGREE = 100, 1000, 3


def kernel_distance(x: Tensor, y: Tensor) -> float:
    """Return the unbiased estimate of MMD² between rows ``x`` (m, D) and ``y`` (n, D), m and n ≥ 2; it may be negative.

    >>> kernel_distance(torch.eye(2), torch.eye(2))  # (1 - 2 · (1 + 1.5³) / 2) + 1
    -2.375
    """

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        # a sum of a million entries needs float64; the entries themselves do not
        return ((a @ b.T).double() / a.shape[1] + 1) ** DEGREE

    def within(a: Tensor) -> Tensor:
        k = kernel(a, a)
        return (k.sum() - k.trace()) / (len(a) * (len(a) - 1))

    return float(within(x) + within(y) - 2 * kernel(x, y).mean())


def kid(
    real: Tensor,
    generated: Tensor,
    seed: int = 0,
    subsets: int = SUBSETS,
    subset_size: int = SUBSET_SIZE,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Return the mean kernel distance over seeded subsets of two sets of features.

    Args:
        real, generated: features (m, D) and (n, D).
        subset_size: rows of each subset; a subset never has more rows than the smaller set.
        seed: seed of the subsets.
        subsets: number of subsets.
        progress: called with (done, total).

    Raises:
        MienError: fewer than two rows on either side.
    """
    if min(len(real), len(generated)) < 2:
        raise MienError(
            f"expected 2 pictures or more on either side of a kernel distance, got {len(real)} real and "
            f"{len(generated)} generated: use more"
        )
    size = min(subset_size, len(real), len(generated))
    rng = np.random.default_rng(seed)
    values = []
    for number in range(subsets):
        a, b = (
            rows[torch.from_numpy(rng.choice(len(rows), size, replace=False)).to(rows.device)]
            for rows in (real, generated)
        )
        values.append(kernel_distance(a, b))
        if progress:
            progress(number + 1, subsets)
    return {
        "value": float(np.mean(values)),
        "spread": float(np.std(values)),
        "spread_of": f"standard deviation over {subsets} subsets of {size}",
        "subsets": subsets,
        "subset_size": size,
        "degree": DEGREE,
        "rows_real": len(real),
        "rows_generated": len(generated),
    }
