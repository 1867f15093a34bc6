"""Scores of recognized attributes: accuracy, balanced accuracy, majority baseline, Hamming loss.

Protocol: each attribute is scored on the pictures with a known value. Balanced accuracy is the mean of the
accuracies on pictures with and without the attribute, so a constant prediction scores 50 %. The baseline always
predicts the more frequent value of the training pictures.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from mien.errors import MienError


def attribute_scores(
    predicted: np.ndarray, truth: np.ndarray, majority: np.ndarray, names: tuple[str, ...]
) -> dict[str, Any]:
    """Return scores of each attribute and their means.

    Args:
        predicted: (n, A), values ±1.
        truth: (n, A), values ±1, 0 for unknown values.
        majority: (A,), values ±1: the more frequent value among the training pictures.
        names: A attribute names; an attribute without known values has no score.

    An attribute whose pictures all have one value has no balanced accuracy, because a constant prediction would score
    100 %. It is left out of the mean, and ``one_value`` names it.

    Returns:
        ``mean_accuracy``, its standard error ``sem`` over the means of pictures (the attributes of one picture are not
        independent), ``balanced_accuracy``, ``majority_baseline``, ``hamming_loss`` (Ma et al. 2019, Fig. 4), and
        ``per_attribute``, which also has the two sides of balanced accuracy: ``recall`` on pictures with the attribute
        and ``specificity`` on pictures without it (None without such pictures).

    Raises:
        MienError: no picture has a known attribute.

    >>> predicted, truth = np.array([[1], [1], [1], [-1]]), np.array([[1], [1], [-1], [-1]])
    >>> scores = attribute_scores(predicted, truth, np.array([1]), ("Smiling",))
    >>> scores["mean_accuracy"], scores["balanced_accuracy"], scores["majority_baseline"], scores["hamming_loss"]
    (0.75, 0.75, 0.5, 0.25)
    """
    known = truth != 0
    correct = (predicted == truth) & known
    per: dict[str, dict[str, float | None]] = {}
    for a, name in enumerate(names):
        rows = known[:, a]
        if not rows.any():
            continue
        recall, specificity = (_share(correct[truth[:, a] == value, a]) for value in (1, -1))
        per[name] = {
            "accuracy": float(correct[rows, a].mean()),
            "balanced": None if recall is None or specificity is None else (recall + specificity) / 2,
            "majority": float((truth[rows, a] == majority[a]).mean()),
            "recall": recall,
            "specificity": specificity,
        }
    if not per:
        raise MienError("expected pictures with a known attribute, got none: use other pictures")
    accuracy, baseline = (_mean(row[key] for row in per.values()) for key in ("accuracy", "majority"))
    balanced = _mean(row["balanced"] for row in per.values())
    assert accuracy is not None, "each attribute has an accuracy"
    counts = known.sum(1)
    of_pictures = correct.sum(1)[counts > 0] / counts[counts > 0]
    return {
        "n": len(truth),
        "mean_accuracy": accuracy,
        "sem": float(of_pictures.std() / len(of_pictures) ** 0.5),
        "balanced_accuracy": balanced,
        "majority_baseline": baseline,
        "hamming_loss": 1 - accuracy,
        "one_value": [name for name, row in per.items() if row["balanced"] is None],
        "per_attribute": per,
    }


def _share(correct: np.ndarray) -> float | None:
    return float(correct.mean()) if len(correct) else None


def _mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of the values that are not None; None if there are none."""
    present = [value for value in values if value is not None]
    return float(np.mean(present)) if present else None
