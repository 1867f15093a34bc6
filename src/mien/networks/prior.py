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
