"""Attributes predicted from latents by linear SVMs: accuracy, majority baseline and Hamming loss.

Protocol (VAE-WGAN §4.4): one linear SVM (L2, C = 1, scikit-learn's LinearSVC) for each attribute on
standardized latent means, fitted on training pictures and scored on held-out ones.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mien.errors import MienError


@dataclass(frozen=True)
class SVMScores:
    """Scores of A attributes on n held-out pictures; ``left_out`` names attributes with one value only."""

    names: tuple[str, ...]
    accuracy: np.ndarray  # (A,)
    majority: np.ndarray  # (A,) accuracy of always predicting the more frequent value of the training set
    left_out: tuple[str, ...]
    n_train: int
    n_test: int
    predicted: np.ndarray  # (n_test, A), values ±1: predictions for every held-out picture

    @property
    def mean_accuracy(self) -> float:
        return float(self.accuracy.mean())

    @property
    def hamming_loss(self) -> float:
        """Share of wrong labels over all attributes and pictures (Ma et al. 2019, Fig. 4)."""
        return 1 - self.mean_accuracy


def latent_svm(
    z_train: np.ndarray,
    y_train: np.ndarray,
    z_test: np.ndarray,
    y_test: np.ndarray,
    names: tuple[str, ...],
    progress: Callable[[int, int], None] | None = None,
    c: float = 1.0,
) -> SVMScores:
    """Fit and score one linear SVM for each attribute.

    Args:
        z_train, z_test: latents (n, K).
        y_train, y_test: (n, A), values ±1, 0 for unknown values.
        names: A attribute names.
        c: weight of the errors against the norm of the SVM's vector, above 0; the protocol uses 1. Large latents and
            few pictures need a smaller weight.
        progress: called with (done, total).

    Raises:
        MienError: ``c`` is not above 0.
    """
    if not 0 < c < float("inf"):
        raise MienError(f"expected C above 0, got {c:g}: 1 is the protocol's, 0.001 suits hundreds of numbers")
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    scaler = StandardScaler().fit(z_train)
    z_train, z_test = scaler.transform(z_train), scaler.transform(z_test)
    kept, accuracy, majority, predicted = [], [], [], []
    for a, name in enumerate(names):
        train, test = y_train[:, a] != 0, y_test[:, a] != 0
        y = y_train[train, a]
        if len(np.unique(y)) == 2 and test.any():
            with warnings.catch_warnings():
                # the score on held-out pictures is valid even if the SVM has not converged
                warnings.simplefilter("ignore", ConvergenceWarning)
                svm = LinearSVC(dual=False, C=c, max_iter=2000).fit(z_train[train], y)
            values = svm.predict(z_test)
            kept.append(name)
            predicted.append(values)
            accuracy.append(float((values[test] == y_test[test, a]).mean()))
            majority.append(float((np.where(y.mean() >= 0, 1, -1) == y_test[test, a]).mean()))
        if progress:
            progress(a + 1, len(names))
    left_out = tuple(n for n in names if n not in kept)
    all_predicted = np.stack(predicted, 1) if predicted else np.empty((len(z_test), 0), np.int8)
    return SVMScores(
        tuple(kept), np.array(accuracy), np.array(majority), left_out, len(z_train), len(z_test), all_predicted
    )
