"""Samples from the prior over latents. A seed gives the same sample on every device."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def standard_normal(n: int, latent: int, seed: int, like: nn.Module) -> Tensor:
    """Return z ~ N(0, I), (n, latent), on the device of the module ``like``.

    The CPU draws the sample, so a ``seed`` gives the same sample on every device.

    >>> standard_normal(2, 3, seed=0, like=nn.Linear(1, 1)).shape
    torch.Size([2, 3])
    """
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, latent, generator=generator).to(next(like.parameters()).device)


def uniform(n: int, latent: int, seed: int, like: nn.Module) -> Tensor:
    """Return z ~ U(-1, 1), (n, latent), on the device of the module ``like``; drawn as by :func:`standard_normal`.

    >>> float(uniform(50, 3, seed=0, like=nn.Linear(1, 1)).abs().max()) <= 1
    True
    """
    generator = torch.Generator().manual_seed(seed)
    z = torch.rand(n, latent, generator=generator) * 2 - 1
    return z.to(next(like.parameters()).device)
