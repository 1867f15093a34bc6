"""Directions of attribute vectors: the step in latent space that adds an attribute, by the name of the method.

Each method fits a direction on latents of pictures with the attribute and without it. All steps have the same scale:
the amount 1 moves the mean of the pictures without the attribute to the same projection on the direction as the mean of
the pictures with it. For a direction n, with δ = μ₊ − μ₋ the difference of the two means, that step is

    v = n (n · δ) / (n · n),    because n · (μ₋ + v) = n · μ₊.

For n = δ it is the difference of the means itself. The SVM and the whitened difference divide by deviations of the
latents, so they would point along latent numbers that a VAE does not use, whose deviation is almost 0, and would hardly
change a picture. Latent numbers whose deviation is below a tenth of the largest one are therefore left as they are.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.errors import UnknownName

Floats = NDArray[np.float64]
Step = Callable[[Tensor, Tensor], Tensor]

MEAN = "mean"
USED = 0.1  # the smallest deviation of a latent number that a direction uses, as a share of the largest one


def mean(has: Tensor, lacks: Tensor) -> Tensor:
    """Return the difference of the means (K,), as VAE-WGAN §4.3.2 does.

    Args:
        has: latents (n, K) of pictures with the attribute; lacks: (m, K) of pictures without it.
    """
    return has.mean(0) - lacks.mean(0)


def svm(has: Tensor, lacks: Tensor) -> Tensor:
    """Return a step (K,) along the normal of a linear SVM that separates both kinds (InterFaceGAN, Shen et al. 2020).

    The SVM (scikit-learn's LinearSVC, L2, C = 1, balanced class weights) is fitted on standardized latents. Its normal
    is the one in the latents as they are: its weights divided by the deviations.

    Args:
        has: latents (n, K) of pictures with the attribute; lacks: (m, K) of pictures without it.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVC

    def normal(with_it: Floats, without: Floats) -> Floats:
        """Return the normal (K,) of the plane that separates latents with the attribute from those without it."""
        labels = np.concatenate([np.ones(len(with_it)), -np.ones(len(without))])
        both = np.concatenate([with_it, without])
        middle, deviation = both.mean(0), both.std(0)
        with warnings.catch_warnings():
            # the direction of an SVM that has not converged is still measured on held-out pictures
            warnings.simplefilter("ignore", ConvergenceWarning)
            svc = LinearSVC(dual=False, class_weight="balanced", max_iter=2000)
            weights: Floats = svc.fit((both - middle) / deviation, labels).coef_[0]
        direction: Floats = weights / deviation
        return direction

    return _step(has, lacks, normal)


def whitened(has: Tensor, lacks: Tensor) -> Tensor:
    """Return a step (K,) along the whitened difference of the means, Σ⁻¹ (μ₊ − μ₋), of linear discriminant analysis.

    Σ is the covariance within both kinds of pictures, shrunk as Ledoit and Wolf (2004) do. An attribute that varies
    within both kinds has a large variance there, so the step follows it less than the difference of the means does.

    Args:
        has: latents (n, K) of pictures with the attribute; lacks: (m, K) of pictures without it.
    """
    from sklearn.covariance import LedoitWolf

    def normal(with_it: Floats, without: Floats) -> Floats:
        centered = np.concatenate([with_it - with_it.mean(0), without - without.mean(0)])
        covariance = LedoitWolf(assume_centered=True).fit(centered).covariance_
        direction: Floats = np.linalg.solve(covariance, with_it.mean(0) - without.mean(0))
        return direction

    return _step(has, lacks, normal)


DIRECTIONS: dict[str, Step] = {MEAN: mean, "svm": svm, "whitened": whitened}


def step_of(direction: str) -> Step:
    """Return the function of a direction: (latents with the attribute, latents without it) → the step (K,).

    Raises:
        UnknownName: there is no such direction.

    >>> has, lacks = torch.tensor([[2.0, 1.0], [2.0, -1.0]]), torch.tensor([[0.0, 1.0], [0.0, -1.0]])
    >>> step_of("mean")(has, lacks)
    tensor([2., 0.])
    """
    if direction not in DIRECTIONS:
        raise UnknownName("direction", direction, DIRECTIONS)
    return DIRECTIONS[direction]


def _step(has: Tensor, lacks: Tensor, normal: Callable[[Floats, Floats], Floats]) -> Tensor:
    """Return the step (K,) along a direction of the latent numbers in use, see the text of this module."""
    with_it, without = has.double().cpu().numpy(), lacks.double().cpu().numpy()
    deviation = np.concatenate([with_it, without]).std(0)
    used = (deviation >= USED * deviation.max()) & (deviation > 0)
    step = np.zeros(len(deviation))
    if used.any():
        with_it, without = with_it[:, used], without[:, used]
        n = normal(with_it, without)
        length = float(n @ n)
        if length > 0:
            step[used] = n * (n @ (with_it.mean(0) - without.mean(0))) / length
    return torch.from_numpy(step).to(has)
