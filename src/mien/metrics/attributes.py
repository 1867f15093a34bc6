"""Scores of recognized attributes: accuracy, balanced accuracy, majority baseline, Hamming loss.

Protocol: each attribute is scored on the pictures with a known value. Balanced accuracy is the mean of the
accuracies on pictures with and without the attribute, so a constant prediction scores 50 %. The baseline always
predicts the more frequent value of the training pictures.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def attribute_scores(
    predicted: np.ndarray, truth: np.ndarray, majority: np.ndarray, names: tuple[str, ...]
) -> dict[str, Any]:
    """Return scores of each attribute and their means.

    Args:
        predicted: (n, A), values ±1.
        truth: (n, A), values ±1, 0 for unknown values.
        majority: (A,), values ±1: the more frequent value among the training pictures.
        names: A attribute names; an attribute without known values has no score.

    Returns:
        ``mean_accuracy``, its standard error ``sem`` over the means of pictures (the attributes of one picture are not
        independent), ``balanced_accuracy``, ``majority_baseline``, ``hamming_loss`` (Ma et al. 2019, Fig. 4), and
        ``per_attribute``.

    >>> predicted, truth = np.array([[1], [1], [1], [-1]]), np.array([[1], [1], [-1], [-1]])
    >>> scores = attribute_scores(predicted, truth, np.array([1]), ("Smiling",))
    >>> scores["mean_accuracy"], scores["balanced_accuracy"], scores["majority_baseline"], scores["hamming_loss"]
    (0.75, 0.75, 0.5, 0.25)
    """
    known = truth != 0
    correct = (predicted == truth) & known
    per: dict[str, dict[str, float]] = {}
    for a, name in enumerate(names):
        rows = known[:, a]
        if not rows.any():
            continue
        sides = [correct[truth[:, a] == value, a].mean() for value in (1, -1) if (truth[:, a] == value).any()]
        per[name] = {
            "accuracy": float(correct[rows, a].mean()),
            "balanced": float(np.mean(sides)),
            "majority": float((truth[rows, a] == majority[a]).mean()),
        }
    means = {key: float(np.mean([row[key] for row in per.values()])) for key in ("accuracy", "balanced", "majority")}
    counts = known.sum(1)
    of_pictures = correct.sum(1)[counts > 0] / counts[counts > 0]
    return {
        "n": len(truth),
        "mean_accuracy": means["accuracy"],
        "sem": float(of_pictures.std() / len(of_pictures) ** 0.5),
        "balanced_accuracy": means["balanced"],
        "majority_baseline": means["majority"],
        "hamming_loss": 1 - means["accuracy"],
        "per_attribute": per,
    }
