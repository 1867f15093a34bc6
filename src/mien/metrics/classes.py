"""Accuracy of classes predicted by a model, by a linear SVM on its latents, or on its reconstructions.

Protocol: held-out pictures with a known class; the prediction is the class of the highest probability. The linear SVM
is scikit-learn's LinearSVC (C = 1, one against the rest) on standardized latent means of training pictures.
Agreement compares the predictions of an independent classifier for x and for the reconstruction of x.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import MienError


def class_accuracy(predicted: np.ndarray, label: np.ndarray, names: tuple[str, ...]) -> dict[str, Any]:
    """Return accuracy, balanced accuracy (mean over classes) and accuracy of each class.

    The balanced accuracy is None if all pictures have one class: a constant prediction would have 100 %. ``absent``
    names the classes without a picture, which are in no mean.

    Args:
        predicted: (n,) class numbers.
        label: (n,) class numbers, -1 for unknown classes (ignored).
        names: names of the classes.

    Raises:
        MienError: no picture has a known class.

    >>> scores = class_accuracy(np.array([0, 0, 1, 1]), np.array([0, 0, 0, 1]), ("a", "b"))
    >>> scores["accuracy"], round(scores["balanced_accuracy"], 3), scores["majority_baseline"]
    (0.75, 0.833, 0.75)
    """
    known = label >= 0
    predicted, label = predicted[known], label[known]
    if not len(label):
        raise MienError("expected pictures with a known class, got none: use other pictures")
    correct = predicted == label
    n = len(label)
    counts = np.bincount(label, minlength=len(names))
    per = {name: float(correct[label == c].mean()) for c, name in enumerate(names) if counts[c]}
    return {
        "n": n,
        "accuracy": float(correct.mean()),
        "sem": float(correct.std() / n**0.5),
        "balanced_accuracy": float(np.mean(list(per.values()))) if len(per) > 1 else None,
        "majority_baseline": float(counts.max() / n),
        "per_class": per,
        "absent": [name for c, name in enumerate(names) if not counts[c]],
    }


def latent_classes(
    z_train: NDArray[np.float32], y_train: NDArray[np.int64], z_test: NDArray[np.float32]
) -> NDArray[np.int64]:
    """Return the classes (n,) that a linear SVM predicts for ``z_test`` after fitting on training latents.

    Args:
        z_train, z_test: latents (n, K).
        y_train: (n,) class numbers.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    scaler = StandardScaler().fit(z_train)
    with warnings.catch_warnings():
        # the score on held-out pictures is valid even if the SVM has not converged
        warnings.simplefilter("ignore", ConvergenceWarning)
        svm = LinearSVC(dual=False, C=1.0, max_iter=1000).fit(scaler.transform(z_train), y_train)
    predicted: NDArray[np.int64] = svm.predict(scaler.transform(z_test))
    return predicted
