"""Precision and recall of generated pictures by nearest neighbors among features (Kynkäänniemi et al. 2019).

A set's manifold is the union of balls around its rows, each as far as the row's third nearest neighbor. Precision is
the share of generated pictures in the real manifold, recall the share of real ones in the generated manifold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

NEIGHBORS = 3
BLOCK = 1000  # rows whose distances to all others are held at once
SAME = 1e-12  # squared distance, as a share of the squared lengths, under which two rows are one


def _distances(a: Tensor, b: Tensor) -> Tensor:
    """Return squared distances (m, n) between rows, in float64."""
    columns = []
    a = a.double()
    for part in torch.split(b, BLOCK):
        part = part.double()
        squares = a.square().sum(1)[:, None] + part.square().sum(1)
        distances = squares.addmm(a, part.T, alpha=-2)
        # equal rows have distance 0 in spite of rounding; generators that repeat pictures produce many equal rows
        columns.append(distances.where(distances > SAME * squares, 0))
    return torch.cat(columns, 1)


def precision_recall(
    real: Tensor, generated: Tensor, k: int = NEIGHBORS, progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Return precision and recall; their spread is the standard error over pictures with both manifolds fixed.

    Args:
        real, generated: features (m, D) and (n, D), more than ``k`` each.
    """
    center = real.mean(0)  # near the rows, distances lose less to rounding
    real, generated = real - center, generated - center
    steps = 2 * -(-len(real) // BLOCK) + 2 * -(-len(generated) // BLOCK)
    done = 0

    def report() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(done, steps)

    def radii(rows: Tensor) -> Tensor:
        """Squared distance of each row to its k-th neighbor other than itself."""
        parts = []
        for start, part in zip(range(0, len(rows), BLOCK), torch.split(rows, BLOCK), strict=True):
            distances = _distances(part, rows)
            distances[torch.arange(len(part)), start + torch.arange(len(part))] = -1  # itself comes first
            parts.append(distances.kthvalue(k + 1, dim=1).values)
            report()
        return torch.cat(parts)

    def inside(rows: Tensor, others: Tensor, reach: Tensor) -> float:
        """Share of rows within the reach of any of the others."""
        count = 0
        for part in torch.split(rows, BLOCK):
            count += int((_distances(part, others) <= reach).any(1).sum())
            report()
        return count / len(rows)

    precision = inside(generated, real, radii(real))
    recall = inside(real, generated, radii(generated))
    return {
        "value": {"precision": precision, "recall": recall},
        "spread": {
            "precision": (precision * (1 - precision) / len(generated)) ** 0.5,
            "recall": (recall * (1 - recall) / len(real)) ** 0.5,
        },
        "spread_of": "standard error over the pictures asked about; both manifolds are fixed",
        "k": k,
        "n_real": len(real),
        "n_generated": len(generated),
    }
