"""Serves one paper only (Liu 2018, SelfExGAN, Eq. 4.1–4.5): projection of latents to a sphere, and a KL of moments."""

from __future__ import annotations

import torch
from torch import Tensor

SMALLEST = 1e-6  # lower bound of lengths that divide and of variances whose logarithm is taken


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
