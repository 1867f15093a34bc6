"""The distribution of a deterministic encoder: all probability mass on one latent."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution


class Point(Distribution):
    """A point mass at ``value`` (B, K), which is its mean, its mode and every sample.

    Its KL divergence to a Gaussian is infinite and not defined here.

    >>> q = Point(torch.ones(2, 3))
    >>> q.sample().shape, float(q.variance.max())
    (torch.Size([2, 3]), 0.0)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    has_rsample = True

    def __init__(self, value: Tensor):
        super().__init__(value.shape[:1], value.shape[1:], validate_args=False)
        self.value = value

    @property
    def mean(self) -> Tensor:
        """The value (B, K)."""
        return self.value

    @property
    def mode(self) -> Tensor:
        """The value (B, K)."""
        return self.value

    @property
    def variance(self) -> Tensor:
        """Zeros (B, K)."""
        return torch.zeros_like(self.value)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Return the value, repeated to ``sample_shape`` + (B, K)."""
        return self.value.expand(*torch.Size(sample_shape), *self.value.shape)
