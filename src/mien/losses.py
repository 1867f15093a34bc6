"""The losses of the papers as pure functions, each with its equation.

Every function takes tensors and returns tensors. No function keeps state or depends on a model. Pictures are in
[-1, 1]; B is the batch size and K the size of the latents. Equation numbers without a paper are those of VAE-WGAN
(Hou, Sun, Shen & Qiu 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.nn import functional as F


def kl(q: Distribution) -> Tensor:
    """Return KL(q || N(0, I)) in nats, (B,), of a diagonal Gaussian ``q`` of (B, K): Eq. 2, a sum over dimensions.

    >>> from torch.distributions import Normal
    >>> kl(Normal(torch.zeros(2, 3), torch.ones(2, 3)))
    tensor([0., 0.])
    """
    variance = q.variance
    return 0.5 * (q.mean.square() + variance - variance.log() - 1).sum(1)


def gaussian_reconstruction(x: Tensor, x_rec: Tensor, sigma: float = 1.0) -> Tensor:
    """Return -log p(x | z) without its constant, in nats, (B,): Eq. 1 for a Gaussian likelihood.

    Args:
        x, x_rec: pictures and their reconstructions (B, C, H, W) in [-1, 1].
        sigma: standard deviation of the likelihood, in the units of the pictures.

    >>> gaussian_reconstruction(torch.ones(1, 3, 2, 2), torch.zeros(1, 3, 2, 2))
    tensor([6.])
    """
    return (x - x_rec).square().flatten(1).sum(1) / (2 * sigma**2)


def feature_distance(real: Tensor, fake: Tensor) -> Tensor:
    """Return the distance (B,) between two maps (B, C, H, W) of one layer: half the mean squared difference, Eq. 5.

    >>> feature_distance(torch.ones(1, 4, 2, 2), torch.zeros(1, 4, 2, 2))
    tensor([0.5000])
    """
    return (real.float() - fake.float()).square().flatten(1).mean(1) / 2


def feature_reconstruction(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """Return the feature reconstruction loss (B,), summed over layers: Eq. 5 and 6.

    The weight of a layer with C channels is 100 / C². The paper chose it for Caffe's VGG-19, whose inputs are in
    0..255. A network with inputs in another range needs a scale: see ``FeatureLoss`` in
    :mod:`mien.networks.loss_network`.

    Args:
        real, fake: maps (B, C_l, H_l, W_l), one for each layer l, in the same order.

    >>> feature_reconstruction([torch.ones(1, 10, 2, 2)], [torch.zeros(1, 10, 2, 2)])
    tensor([0.5000])
    """
    return torch.stack([100 / r.shape[1] ** 2 * feature_distance(r, f) for r, f in zip(real, fake, strict=True)]).sum(0)


class Adversarial(NamedTuple):
    """The losses of the two sides of an adversarial game, scalars. Each side minimizes its own loss."""

    critic: Tensor
    generator: Tensor


def wasserstein(real: Tensor, fake: Tensor, scale: float = 1.0) -> Adversarial:
    """Return the losses of the Wasserstein game (Arjovsky et al. 2017; Algorithm 1).

    Args:
        real, fake: scores of the critic for real and for generated pictures, of any shape.
        scale: factor of both losses. It stands for the label of the paper: labels of ±10 in place of ±1 multiply
            the critic's output by 10 (§3.4).

    >>> wasserstein(torch.tensor([3.0]), torch.tensor([1.0]), scale=10)
    Adversarial(critic=tensor(-20.), generator=tensor(-10.))
    """
    return Adversarial(scale * (fake.mean() - real.mean()), -scale * fake.mean())


def non_saturating(real: Tensor, fake: Tensor) -> Adversarial:
    """Return the losses of the original game, with the generator's non-saturating loss (Goodfellow et al. 2014).

    The discriminator minimizes -log D(x) - log(1 - D(G(z))). The generator minimizes -log D(G(z)).

    Args:
        real, fake: logits of the discriminator for real and for generated pictures, of any shape.

    >>> non_saturating(torch.zeros(2), torch.zeros(2))
    Adversarial(critic=tensor(1.3863), generator=tensor(0.6931))
    """
    return Adversarial(F.softplus(-real).mean() + F.softplus(fake).mean(), F.softplus(-fake).mean())


def attribute_cross_entropy(logits: Tensor, attributes: Tensor) -> Tensor:
    """Return the binary cross-entropy, averaged over the known attribute values: a scalar in nats.

    Args:
        logits: (B, A).
        attributes: (B, A) of +1 (present), -1 (absent) and 0 (not known, excluded from the average). The loss is 0
            if no value is known.

    >>> attribute_cross_entropy(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]))
    tensor(0.6931)
    """
    known = attributes != 0
    loss = F.binary_cross_entropy_with_logits(logits.float(), (attributes > 0).float(), reduction="none")
    return (loss * known).sum() / known.sum().clamp(min=1)


def class_cross_entropy(logits: Tensor, label: Tensor) -> Tensor:
    """Return the cross-entropy, averaged over the pictures whose class is known: a scalar in nats.

    Args:
        logits: (B, classes).
        label: (B,) class numbers, -1 where not known (excluded from the average). The loss is 0 if no class is known.

    >>> class_cross_entropy(torch.zeros(2, 4), torch.tensor([3, -1]))
    tensor(1.3863)
    """
    total = F.cross_entropy(logits.float(), label, ignore_index=-1, reduction="sum")
    return total / (label >= 0).sum().clamp(min=1)
