"""The gradient penalty of a critic (Gulrajani, Ahmed, Arjovsky, Dumoulin & Courville, NeurIPS 2017)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """Return the mean of (‖∇f(x̂)‖ - 1)², a scalar, for x̂ on lines between ``real`` and ``fake`` (B, C, H, W).

    A critic with several values for a picture is their sum. Source: Gulrajani et al. 2017, Eq. 3.

    >>> sums = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 1, bias=False)).requires_grad_(False)
    >>> _ = torch.nn.init.ones_(sums[1].weight)
    >>> gradient_penalty(sums, torch.ones(2, 1, 2, 2), torch.zeros(2, 1, 2, 2))
    tensor(1.)
    """
    share = torch.rand(len(real), 1, 1, 1, device=real.device)
    x = (share * real + (1 - share) * fake).detach().requires_grad_()
    with torch.compiler.set_stance("force_eager"):  # compiled networks have no second derivatives
        (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    length: Tensor = torch.linalg.vector_norm(gradient.float().flatten(1), dim=1)  # (B,)
    return (length - 1).square().mean()
