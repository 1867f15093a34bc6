"""Fréchet distance between two sets of features (Heusel et al. 2017): |μ₁ - μ₂|² + tr(Σ₁ + Σ₂ - 2 (Σ₁Σ₂)^½).

Means and covariances are accumulated batch by batch in float64. The distance is biased upwards for few pictures:
compare only at equal counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mien.errors import MienError

BLOCKS = 10  # blocks of the jackknife
FEWEST_SPREAD = 20  # fewest pictures for a spread

Progress = Callable[[int, int], None] | None


class Moments:
    """The number, mean (D,) and scatter (D, D) of all rows so far, in float64.

    >>> moments = Moments.of(torch.tensor([[0.0, 0.0], [2.0, 4.0]]))
    >>> moments.n, moments.mean.tolist(), moments.covariance.tolist()
    (2, [1.0, 2.0], [[2.0, 4.0], [4.0, 8.0]])
    """

    def __init__(self, number: int, device: torch.device | str = "cpu"):
        self.n = 0
        self.mean = torch.zeros(number, dtype=torch.float64, device=device)
        self.scatter = torch.zeros(number, number, dtype=torch.float64, device=device)

    @classmethod
    def of(cls, rows: Tensor) -> Moments:
        """Return the moments of rows (n, D)."""
        moments = cls(rows.shape[1], rows.device)
        moments.update(rows)
        return moments

    @property
    def covariance(self) -> Tensor:
        """The unbiased covariance (D, D), divided by n - 1."""
        return self.scatter / (self.n - 1)

    def update(self, rows: Tensor) -> None:
        """Add rows (n, D)."""
        m = len(rows)
        if not m:
            return
        rows = rows.to(self.mean)
        mean = rows.mean(0)
        rows = rows - mean
        difference = mean - self.mean
        self.scatter.addmm_(rows.T, rows)
        # the update of Chan, Golub & LeVeque 1979 subtracts no large sums
        self.scatter.addr_(difference, difference, alpha=self.n * m / (self.n + m))
        self.mean += difference * (m / (self.n + m))
        self.n += m

    def without(self, rows: Tensor) -> Moments:
        """Return the moments without ``rows`` (m, D), which were added before."""
        removed = Moments.of(rows.to(self.mean))
        rest = Moments(len(self.mean), self.mean.device)
        rest.n = self.n - removed.n
        rest.mean = (self.n * self.mean - removed.n * removed.mean) / rest.n
        difference = removed.mean - rest.mean
        between = torch.outer(difference, difference) * (removed.n * rest.n / self.n)
        rest.scatter = self.scatter - removed.scatter - between
        return rest


def root(covariance: Tensor) -> Tensor:
    """Return R (r, D) with RᵀR = ``covariance`` (D, D) of rank r."""
    values, vectors = torch.linalg.eigh(covariance)
    positive = values > values[-1].clamp(min=0) * len(values) * torch.finfo(values.dtype).eps
    result: Tensor = values[positive].sqrt()[:, None] * vectors[:, positive].T
    return result


def frechet_distance(first: Moments, second: Moments, first_root: Tensor | None = None) -> float:
    """Return the Fréchet distance between two Gaussians.

    Args:
        first, second: moments of D features each.
        first_root: :func:`root` of the first covariance, if it is already computed.
    """
    r = root(first.covariance) if first_root is None else first_root
    covariance = second.covariance
    # Σ₁Σ₂ has the eigenvalues of the symmetric RΣ₂Rᵀ: these are real, and take a tenth of the time
    shared = torch.linalg.eigvalsh(r @ covariance @ r.T).clamp(min=0).sqrt().sum()
    difference = (first.mean - second.mean).square().sum()
    return float(difference + first.scatter.trace() / (first.n - 1) + covariance.trace() - 2 * shared)


def fid(real: Moments, generated: Moments, rows: Tensor, seed: int = 0, progress: Progress = None) -> dict[str, Any]:
    """Return the Fréchet distance and its standard error over generated pictures.

    The standard error is that of the delete-a-block jackknife: each of ten disjoint blocks of ``rows`` is removed in
    turn. The real pictures are fixed.

    Args:
        real, generated: moments of the two sets.
        rows: features (m, D) of all pictures of ``generated``, or of a random sample of them.
        seed: seed of the blocks.
        progress: called with (done, total).

    Raises:
        MienError: fewer than two pictures on either side.
    """
    if min(real.n, generated.n) < 2:
        raise MienError(
            f"expected 2 pictures or more on either side of a Fréchet distance, got {real.n} real and {generated.n} "
            "generated: use more"
        )
    real_root = root(real.covariance)
    value = frechet_distance(real, generated, real_root)
    if progress:
        progress(1, 1 + BLOCKS)
    spread, size = None, len(rows) // BLOCKS
    if len(rows) >= FEWEST_SPREAD:
        # generated pictures may be sorted, for example by class
        order = torch.from_numpy(np.random.default_rng(seed).permutation(len(rows))).to(rows.device)
        distances = []
        for number, block in enumerate(torch.split(order[: size * BLOCKS], size)):
            distances.append(frechet_distance(real, generated.without(rows[block]), real_root))
            if progress:
                progress(2 + number, 1 + BLOCKS)
        n = generated.n
        variance = torch.tensor(distances, dtype=torch.float64).var() * (n - size) ** 2 / (n * size)
        spread = float(variance.sqrt())
    meaning = f"jackknife standard error, {BLOCKS} blocks of {size} generated pictures; the real ones are fixed"
    return {"value": value, "spread": spread, "spread_of": meaning}
