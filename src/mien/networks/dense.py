"""Dense networks on latents, and a learned standard deviation, for models with a second stage."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SkipDense(nn.Module):
    """Three hidden layers with ReLU, and a linear layer on the last one joined with the input: (B, n) → (B, outputs).

    Source: Dai & Wipf 2019, appendix: the networks of the second stage.

    Args:
        inputs, hidden, outputs: numbers of values.

    >>> SkipDense(4, 8, 6)(torch.zeros(2, 4)).shape
    torch.Size([2, 6])
    """

    def __init__(self, inputs: int, hidden: int, outputs: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(inputs, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
        )
        self.head = nn.Linear(hidden + inputs, outputs)

    def forward(self, z: Tensor) -> Tensor:
        """Return values (B, outputs), float32, of ``z`` (B, inputs)."""
        h = self.body(z)
        values: Tensor = self.head(torch.cat([h, z.to(h.dtype)], 1))
        return values.float()


class Deviation(nn.Module):
    """A standard deviation γ that is learned through its logarithm; it begins at 1."""

    def __init__(self) -> None:
        super().__init__()
        self.log = nn.Parameter(torch.zeros(()))

    def forward(self) -> Tensor:
        """Return γ, a scalar."""
        return self.log.exp()
