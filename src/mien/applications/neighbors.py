"""Nearest neighbors among latents. They show similar pictures, and whether generated pictures are copies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.abilities import Encodes, require
from mien.applications.basics import Progress, as_batch, check_pictures, map_batches
from mien.errors import MienError

BLOCK = 2048  # queries between two reports of progress


def latents(model: Any, x: Tensor) -> Tensor:
    """Return the means of q(z | x) of pictures (B, C, H, W) in [-1, 1], (B, K) on the CPU.

    >>> from mien.models.base import build
    >>> vae = build("vae", {"shape": [3, 16, 16], "width": 4, "latent": 8}).eval()
    >>> latents(vae, torch.zeros(2, 3, 16, 16)).shape
    torch.Size([2, 8])
    """
    require(model, Encodes)
    return map_batches(lambda part: model.encode(check_pictures(model, part)).mean.cpu(), as_batch(model, x))


@dataclass(frozen=True)
class Nearest:
    """The k nearest of N latents for each of Q queries, the nearest first.

    Args:
        distance: (Q, k), Euclidean.
        index: (Q, k), rows of the latents; at equal distances the smaller row number comes first.
    """

    distance: Tensor
    index: Tensor


def nearest(queries: Tensor, base: Tensor, k: int = 8, progress: Progress = None) -> Nearest:
    """Return the k nearest rows of ``base`` for each row of ``queries``, by exact search.

    Distances are computed block by block (scikit-learn's brute search), so memory does not grow with Q·N.

    Args:
        queries: (Q, K).
        base: latents (N, K) to search.
        k: number of neighbors, 1 to N.
        progress: called with (done, total) queries.

    Raises:
        MienError: other shapes, k out of range, or values that are not finite.

    >>> result = nearest(torch.tensor([[0.0], [9.0]]), torch.tensor([[1.0], [7.0], [3.0]]), k=2)
    >>> result.index.tolist(), result.distance.tolist()
    ([[0, 2], [1, 2]], [[1.0, 3.0], [2.0, 6.0]])
    """
    if queries.ndim != 2 or base.ndim != 2 or queries.shape[1] != base.shape[1] or not len(queries):
        raise MienError(
            f"expected queries (Q, K) and latents (N, K), got {tuple(queries.shape)} and {tuple(base.shape)}"
        )
    if not 1 <= k <= len(base):
        raise MienError(f"expected k from 1 to {len(base)}, as many as are searched, got {k}")
    # NaN passes on to the extremes, so testing these is enough and needs no table as large as the latents
    if not all(bool(torch.isfinite(torch.stack(each.aminmax())).all()) for each in (queries, base)):
        raise MienError("expected finite latents, got some that are not: the run may have diverged, see mien show RUN")
    from sklearn.neighbors import NearestNeighbors

    points = base.cpu().numpy()
    search = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(points)
    distances, rows = [], []
    for start in range(0, len(queries), BLOCK):
        part = queries[start : start + BLOCK].cpu().numpy()
        neighbors = search.kneighbors(part, return_distance=False)  # (q, k)
        distance = _distances(part, points, neighbors)
        order = np.lexsort((neighbors, distance))  # by distance, then by row
        distances.append(np.take_along_axis(distance, order, 1))
        rows.append(np.take_along_axis(neighbors, order, 1))
        if progress:
            progress(min(start + BLOCK, len(queries)), len(queries))
    return Nearest(torch.from_numpy(np.concatenate(distances)), torch.from_numpy(np.concatenate(rows)))


def _distances(
    part: NDArray[np.float32], points: NDArray[np.float32], neighbors: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the distances (q, k), computed from differences.

    The search uses |a|² + |b|² − 2ab, whose rounding makes equal distances unequal.
    """
    columns = [
        np.linalg.norm(points[neighbors[:, i]].astype(np.float64) - part, axis=1) for i in range(neighbors.shape[1])
    ]
    return np.stack(columns, 1)
