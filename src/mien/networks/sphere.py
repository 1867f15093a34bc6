"""Latents on a sphere, the KL of their moments, whitening (AGE; Liu 2018, SelfExGAN, Eq. 4.1–4.5)."""

from __future__ import annotations

import torch
from torch import Tensor

SMALLEST = 1e-6  # lower bound of lengths that divide and of variances whose logarithm is taken
FLOOR = 1e-4  # smallest eigenvalue that is whitened in full, as a share of the largest


def project(z: Tensor, radius: float, center: float = 0.0, shift: float = 0.0) -> Tensor:
    """Return latents on a sphere, (B, K), float32: each ``z`` moves along its ray from a center (Eq. 4.1–4.4).

    Args:
        z: latents (B, K).
        radius: of the sphere.
        center: start of the rays; all its coordinates have this value.
        shift: center of the sphere; all its coordinates have this value.

    >>> project(torch.tensor([[3.0, 4.0]]), radius=1.0)
    tensor([[0.6000, 0.8000]])
    """
    ray = z.float() - center
    length: Tensor = torch.linalg.vector_norm(ray, dim=1, keepdim=True)
    return radius / length.clamp(min=SMALLEST) * ray + shift


def moment_kl(z: Tensor) -> Tensor:
    """Return KL(N(μ, σ²) || N(0, 1)), a scalar in nats, averaged over dimensions (Eq. 4.5).

    μ and σ² are the mean and the variance of each dimension over the batch ``z`` (B, K).

    >>> moment_kl(torch.tensor([[-1.0], [1.0]])) < 1e-5
    tensor(True)
    """
    variance, mean = torch.var_mean(z.float(), 0, correction=0)  # (K,)
    return ((variance + mean.square()) / 2 - 0.5 * variance.clamp(min=SMALLEST).log() - 0.5).mean()


def covariance_gap(z: Tensor) -> Tensor:
    """Return an estimate of ‖M - I‖² / K (Frobenius), where M = E[z zᵀ] is the second moment of ``z`` (B, K).

    It is 0 for N(0, I). The KL of moments sees the diagonal only. Moments about 0 are used because covariances also
    vanish when all codes become alike. The estimate averages over pairs of different latents, so it has no bias and
    may be slightly negative. B must be at least 2.

    >>> z = torch.tensor([[-1.0, -1.0], [1.0, 1.0], [-1.0, 1.0], [1.0, -1.0]])
    >>> covariance_gap(torch.cat([z, z, z, z])), covariance_gap(torch.ones(4, 2))
    (tensor(-0.0667), tensor(1.))
    """
    z = z.float()
    n, k = z.shape
    products = (z @ z.T).square()  # (B, B); the expectation over pairs is the trace of M²
    squared = (products.sum() - products.diagonal().sum()) / (n * (n - 1))
    return (squared - 2 * z.square().sum(1).mean() + k) / k


def distance(a: Tensor, b: Tensor) -> Tensor:
    """Return the squared distance of latents ``a`` and ``b`` (B, K), averaged over coordinates and the batch.

    For latents on a sphere of radius √K it is 2 - 2 cos, so it is at most 4.
    """
    return (a.float() - b.float()).square().mean()


def whitened(weight: Tensor, features: Tensor, power: float) -> tuple[Tensor, Tensor]:
    """Return the weights of a linear layer for whitened features, (K, F), and the mean of the features, (F,).

    Let C be the covariance of the features. The new weights are ``weight`` C^(-power/2), scaled so that the variance
    of an output is 1 on average. So the covariance of the outputs is ``weight`` C^(1 - power) ``weight`` ᵀ up to that
    scale. Eigenvalues below :data:`FLOOR` times the largest count as that value. Directions without any variance get
    the weight zero. Features without variance keep their weights.

    Args:
        weight: of the layer, (K, F).
        features: inputs of the layer, (n, F).
        power: 0 keeps the directions as they are; 1 gives all directions the same variance.

    >>> features = torch.tensor([[3.0, 1.0], [-3.0, 1.0], [3.0, -1.0], [-3.0, -1.0]])
    >>> weight, mean = whitened(torch.eye(2), features, 1.0)
    >>> (features @ weight.T).square().mean(0).round(decimals=3)
    tensor([1., 1.])
    """
    mean = features.mean(0)
    _, singular, directions = torch.linalg.svd(features - mean, full_matrices=False)  # (r,), (r, F)
    values = singular.square() / len(features)
    if values[0] <= 0:
        return weight, mean
    scale = values.clamp(min=float(FLOOR * values[0])).pow(-power / 2) * (values > SMALLEST * values[0])
    new = (weight @ directions.T * scale) @ directions
    spread = ((features - mean) @ new.T).square().mean().sqrt()
    return new / spread.clamp(min=SMALLEST), mean
