"""Plain classifiers on pixels or spectra: logistic regression and nearest neighbors, the least that a model must beat.

Protocol: pictures are averaged over blocks of pixels until at most 1,000 values remain; signals become log-magnitude
spectra. The mean of the training data is subtracted, and all values are divided by one number, their root mean square.
Logistic regression has an L2 penalty and is fitted by L-BFGS. Neighbors vote with equal weight; the nearer ones decide
a tie. C and k are chosen on validation data. Attributes of one picture are separate binary tasks with one common C.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)  # C, the weight of the errors of all pictures against the penalty
NEIGHBORS = (1, 5, 15)  # k
ITERATIONS = 60  # of L-BFGS
BLOCK = 512  # pictures whose distances are computed at once

Predict = Callable[[Tensor], Tensor]  # (n, D) to scores (n, classes or attributes)


@dataclass(frozen=True)
class Part:
    """Values (n, D) with their classes (n,), or their attributes (n, A) of +1, -1 and 0 for unknown."""

    x: Tensor
    y: Tensor


def scaled(train: Part, *others: Part) -> list[Part]:
    """Return all parts with the mean of ``train`` subtracted, divided by the root mean square of what remains."""
    mean = train.x.mean(0)
    scale = (train.x - mean).square().mean().sqrt().clamp_min(1e-6)
    return [Part((part.x - mean) / scale, part.y) for part in (train, *others)]


def accuracy(scores: Tensor, y: Tensor) -> float:
    """Return the share of known values that ``scores`` predict: the largest is the class, the sign the attribute."""
    if y.ndim == 1:
        return float((scores.argmax(1) == y).float().mean())
    known = y != 0
    return float(((scores > 0) == (y > 0))[known].float().mean())


def logistic(train: Part, valid: Part, classes: int) -> tuple[Predict, float]:
    """Return the logistic regression whose C is the best on ``valid``, and this C; ``classes`` is 0 for attributes."""
    best: tuple[float, float, Tensor] | None = None
    outputs = classes or train.y.shape[1]
    weights = train.x.new_zeros(train.x.shape[1] + 1, outputs)
    for c in STRENGTHS:  # the strongest penalty first: each fit starts from the one before
        weights = _fit(train, weights, c)
        score = accuracy(_linear(valid.x, weights), valid.y)
        if best is None or score > best[0]:
            best = score, c, weights
    assert best is not None
    chosen = best[2]
    return lambda x: _linear(x, chosen), best[1]


def _linear(x: Tensor, weights: Tensor) -> Tensor:
    return x @ weights[:-1] + weights[-1]


def _fit(train: Part, start: Tensor, c: float) -> Tensor:
    """Return the weights (D + 1, outputs) of the smallest penalized cross-entropy; the last row is the bias."""
    weights = start.clone().requires_grad_(True)
    optimizer = torch.optim.LBFGS([weights], max_iter=ITERATIONS, history_size=10, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        """Return the loss at the present weights; their gradient is set."""
        optimizer.zero_grad()
        scores = _linear(train.x, weights)
        if train.y.ndim == 1:
            errors = F.cross_entropy(scores, train.y, reduction="sum")
        else:
            errors = (F.softplus(-train.y * scores) * (train.y != 0)).sum()
        loss = (errors + weights[:-1].square().sum() / (2 * c)) / len(train.x)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    with torch.inference_mode(False), torch.enable_grad():
        optimizer.step(closure)  # type: ignore[no-untyped-call]
    return weights.detach()


def neighbors(train: Part, valid: Part, classes: int) -> tuple[Predict, int]:
    """Return the vote of the nearest neighbors whose number k is the best on ``valid``, and this k."""
    votes = F.one_hot(train.y, classes).float() if classes else train.y.float()
    numbers = [k for k in NEIGHBORS if k <= len(train.x)]

    def predict(x: Tensor, k: int) -> Tensor:
        """Return the votes (n, outputs) of the k nearest training rows of each row."""
        # weights that fall slightly, so that the nearer ones decide a tie
        weights = torch.linspace(1.01, 1.0, k, device=x.device).view(1, k, 1)
        parts = [
            torch.cdist(part, train.x).topk(k, largest=False, sorted=True).indices for part in torch.split(x, BLOCK)
        ]
        return (votes[torch.cat(parts)] * weights).sum(1)

    best = max(numbers, key=lambda k: accuracy(predict(valid.x, k), valid.y))
    return lambda x: predict(x, best), best


def predictions(scores: Tensor, classes: int) -> NDArray[np.int64]:
    """Return the class numbers (n,), or the attributes (n, A) of +1 and -1, that scores stand for."""
    chosen = scores.argmax(1) if classes else torch.where(scores > 0, 1, -1)
    numbers: NDArray[np.int64] = chosen.cpu().numpy()
    return numbers
