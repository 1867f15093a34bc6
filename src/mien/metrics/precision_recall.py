"""Precision and recall of generated pictures by nearest neighbors among features (Kynkäänniemi et al. 2019).

The manifold of a set is the union of balls around its rows. The radius of a ball is the distance to the row's third
nearest neighbor. Precision is the share of generated pictures in the manifold of the real ones; recall is the share of
real pictures in the manifold of the generated ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mien.errors import MienError

NEIGHBORS = 3
BLOCK = 1000  # rows of one block of the distance matrix
SAME = 1e-12  # two rows are equal below this share: squared distance to sum of squared norms


def check_neighbors(real: Tensor, generated: Tensor, k: int, what: str) -> None:
    """Raise an error unless each side has more than ``k`` rows, so that each row has a k-th neighbor.

    Args:
        real, generated: features (m, D) and (n, D).
        what: the name of the measure in the message.

    Raises:
        MienError: ``k`` rows or fewer on either side.
    """
    if min(len(real), len(generated)) <= k:
        raise MienError(
            f"expected {k + 1} pictures or more on either side for {what} with {k} neighbors, got {len(real)} real "
            f"and {len(generated)} generated: use more"
        )


def counter(progress: Callable[[int, int], None] | None, total: int) -> Callable[[], None]:
    """Return a function that is called after each of ``total`` steps and reports (done, total)."""
    numbers = itertools.count(1)
    return lambda: progress(next(numbers), total) if progress else None


def radii(rows: Tensor, k: int, report: Callable[[], None] = lambda: None) -> Tensor:
    """Return the squared distance (n,) of each row to its k-th neighbor other than itself.

    Args:
        rows: features (n, D), n above ``k``.
        report: called after each block of rows.
    """
    parts = []
    for start, part in zip(range(0, len(rows), BLOCK), torch.split(rows, BLOCK), strict=True):
        distances = squared_distances(part, rows)
        distances[torch.arange(len(part)), start + torch.arange(len(part))] = -1  # the row itself is the nearest
        parts.append(distances.kthvalue(k + 1, dim=1).values)
        report()
    return torch.cat(parts)


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """Return squared distances (m, n) between rows (m, D) and (n, D), in float64."""
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
        real, generated: features (m, D) and (n, D), more than ``k`` rows each.
        k: the neighbor whose distance is the radius.
        progress: called with (done, total).

    Raises:
        MienError: ``k`` rows or fewer on either side.
    """
    check_neighbors(real, generated, k, "precision and recall")
    center = real.mean(0)  # centered rows reduce the rounding errors of distances
    real, generated = real - center, generated - center
    report = counter(progress, 2 * -(-len(real) // BLOCK) + 2 * -(-len(generated) // BLOCK))

    def inside(rows: Tensor, others: Tensor, radius: Tensor) -> float:
        """Return the share of rows in the ball of at least one of the others."""
        count = 0
        for part in torch.split(rows, BLOCK):
            count += int((squared_distances(part, others) <= radius).any(1).sum())
            report()
        return count / len(rows)

    precision = inside(generated, real, radii(real, k, report))
    recall = inside(real, generated, radii(generated, k, report))
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
