"""Latents on a sphere, and how far a batch of them is from N(0, I)."""

from __future__ import annotations

import torch
from torch import Tensor

SMALLEST = 1e-6  # length, and variance, below which nothing is divided by or taken the logarithm of


def project(z: Tensor, radius: float, center: float = 0.0, shift: float = 0.0) -> Tensor:
    """Return ``z`` (B, K), in float32, moved along its ray from the center onto a sphere.

    Args:
        radius: of the sphere.
        center: every coordinate of the point that rays leave from.
        shift: every coordinate of the center of the sphere in the result.

    >>> project(torch.tensor([[3.0, 4.0]]), radius=1.0)
    tensor([[0.6000, 0.8000]])
    """
    ray = z.float() - center
    return radius / torch.linalg.vector_norm(ray, dim=1, keepdim=True).clamp(min=SMALLEST) * ray + shift


def moment_kl(z: Tensor) -> Tensor:
    """Return KL(N(μ, σ²) || N(0, 1)) in nats, averaged over dimensions, with the batch's own moments of ``z`` (B, K).

    >>> moment_kl(torch.tensor([[-1.0], [1.0]])) < 1e-5
    tensor(True)
    """
    variance, mean = torch.var_mean(z.float(), 0, correction=0)  # (K,)
    return ((variance + mean.square()) / 2 - 0.5 * variance.clamp(min=SMALLEST).log() - 0.5).mean()
