"""Inception score: exp of the mean KL(p(y | x) ‖ p(y)), over ten parts of the pictures (Salimans et al. 2016)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mien.errors import MienError

SPLITS = 10


def inception_score(logits: Tensor, seed: int = 0, splits: int = SPLITS) -> dict[str, Any]:
    """Return the mean score over equal parts of shuffled pictures, and its deviation over the parts.

    Args:
        logits: (n, classes), n ≥ ``splits``.
        seed: seed of the shuffling.
        splits: number of parts.

    Raises:
        MienError: fewer pictures than parts.

    >>> certain = 50 * torch.eye(4).repeat(20, 1)  # certain predictions, each class equally often
    >>> round(inception_score(certain, splits=1)["value"], 3)
    4.0
    """
    if len(logits) < splits:
        raise MienError(
            f"expected {splits} pictures or more for a score of {splits} parts, got {len(logits)}: use more"
        )
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(logits))).to(logits.device)
    log_p = logits[order].double().log_softmax(1)
    scores = []
    for part in range(splits):
        some = log_p[part * len(log_p) // splits : (part + 1) * len(log_p) // splits]
        marginal = some.logsumexp(0) - float(np.log(len(some)))
        scores.append(float((some.exp() * (some - marginal)).sum(1).mean().exp()))
    return {
        "value": float(np.mean(scores)),
        "spread": float(np.std(scores)),
        "spread_of": f"standard deviation over {splits} parts",
        "splits": splits,
        "n_generated": len(logits),
    }
