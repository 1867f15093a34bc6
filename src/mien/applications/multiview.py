"""Multi-view features: latents of several models for the same pictures, side by side (VAE-WGAN §4.4, Fig. 14).

Each model gets a picture at its own size. :mod:`mien.applications.views` finds the pictures that the models share.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.applications.basics import encode_all
from mien.applications.views import View, align, unique_names
from mien.errors import MienError
from mien.metrics.latent_svm import latent_svm

__all__ = [
    "Features",
    "Score",
    "View",
    "align",
    "compare",
    "features",
    "gain",
    "score",
    "standard_error",
    "unique_names",
]

TOGETHER = "multi-view"
MOST = 20_000  # training pictures for fitting the classifiers
Note = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Features:
    """The latents of several views for the same pictures, with the attributes of the pictures.

    Args:
        names: of the views.
        attributes: names of the A attributes.
        train, test: latents (n, ΣK), those of each view side by side in the order of ``names``.
        y_train, y_test: (n, A) of ±1, 0 where not known.
        widths: K of each view.
    """

    names: tuple[str, ...]
    attributes: tuple[str, ...]
    train: NDArray[np.float32]
    test: NDArray[np.float32]
    y_train: NDArray[np.int8]
    y_test: NDArray[np.int8]
    widths: tuple[int, ...]

    def columns(self, *names: str) -> NDArray[np.int64]:
        """Return the numbers of the columns with the latents of the views ``names``, in the order of the features."""
        ends = np.cumsum(self.widths)
        parts = zip(self.names, ends - self.widths, ends, strict=True)
        return np.concatenate([np.arange(start, end) for name, start, end in parts if name in names])


@dataclass(frozen=True)
class Score:
    """The result of linear SVMs, one for each attribute, on n held-out pictures.

    Args:
        names: of the A attributes; attributes with one value only are excluded.
        hits: (n, A), 1 where the prediction is right, 0 where it is wrong, NaN where the truth is not known.
        majority: (A,), accuracy of the baseline that always predicts the more frequent value of the training pictures.
    """

    names: tuple[str, ...]
    hits: NDArray[np.float32]
    majority: NDArray[np.float64]

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """Share of right predictions for each attribute, (A,)."""
        accuracy: NDArray[np.float64] = np.nanmean(self.hits, axis=0, dtype=np.float64)
        return accuracy

    @property
    def mean_accuracy(self) -> float:
        """Mean of the accuracies over attributes."""
        return float(self.accuracy.mean())

    @property
    def sem(self) -> float:
        """Standard error of the mean accuracy over pictures. It allows for dependence between attributes."""
        return standard_error(self.hits)


def standard_error(values: NDArray[np.floating[Any]]) -> float:
    """Return the standard error, over rows, of the mean of the column means; NaN marks unknown values.

    >>> round(standard_error(np.array([[1.0, 1.0], [0.0, 0.0], [1.0, 0.0]])), 4)
    0.2887
    """
    known = np.isfinite(values)
    n, size = values.shape
    if n < 2:
        return float("nan")
    deviation = np.where(known, values - np.nanmean(values, axis=0, dtype=np.float64), 0)
    # contribution of each row to the mean; if all values are known, this is the mean of the row
    rows = (deviation / known.sum(0)).sum(1) * n / size
    return float(np.sqrt(np.square(rows).sum() / (n - 1) / n))


def features(views: Sequence[View], most: int = MOST, note: Note | None = None) -> Features:
    """Return the latent means of all views, side by side, for the pictures that the views share.

    Args:
        views: one or more; sizes and channels of their pictures may differ.
        most: upper limit of the training pictures, which a fixed seed draws. Memory holds the latents of these and of
            the held-out pictures.
        note: called with (what, done, total).

    Raises:
        MienError: an error of :func:`mien.applications.views.align`, or ``most`` below 2.
        MissingAbility: a model does not encode.
    """
    if most < 2:
        raise MienError(f"expected 2 training pictures or more, got {most}")
    pairs = align(views)
    # the same choice as `mien evaluate` makes for one run
    chosen = np.sort(np.random.default_rng(0).permutation(len(pairs[0][0]))[:most])
    parts: list[list[NDArray[np.float32]]] = [[], []]
    for view, (train, test) in zip(views, pairs, strict=True):
        index = np.concatenate([train[chosen], test])

        def report(done: int, total: int, name: str = view.name) -> None:
            if note:
                note(f"encode {name}", done, total)

        z = encode_all(view.model, view.dataset, index, report).numpy()
        parts[0].append(z[: len(chosen)])
        parts[1].append(z[len(chosen) :])
    table = views[0].dataset.attribute_table
    train, test = pairs[0][0][chosen], pairs[0][1]
    return Features(
        tuple(view.name for view in views),
        tuple(views[0].dataset.attributes),
        np.concatenate(parts[0], axis=1),
        np.concatenate(parts[1], axis=1),
        np.asarray(table[train]),
        np.asarray(table[test]),
        tuple(part.shape[1] for part in parts[0]),
    )


def score(
    data: Features,
    names: Sequence[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
    c: float = 1.0,
) -> Score:
    """Fit a linear SVM for each attribute on the latents of some views, and return its hits on held-out pictures.

    The protocol is that of :func:`mien.metrics.latent_svm.latent_svm`.

    Args:
        data: latents and attributes, from :func:`features`.
        names: views to use; all by default.
        progress: called with (done, total) attributes.
        c: as in latent_svm; use a value below 1 for many views and few pictures.

    Raises:
        MienError: no attribute has both values among the training pictures.
    """
    columns = data.columns(*(data.names if names is None else names))
    svms = latent_svm(
        data.train[:, columns], data.y_train, data.test[:, columns], data.y_test, data.attributes, progress, c
    )
    if not svms.names:
        raise MienError("expected attributes of both values among the training pictures, got none")
    truth = data.y_test[:, [data.attributes.index(name) for name in svms.names]]
    hits = np.where(truth == 0, np.nan, svms.predicted == truth)
    return Score(svms.names, hits.astype(np.float32), svms.majority)


def gain(one: Score, other: Score) -> tuple[float, float]:
    """Return the mean accuracy of ``one`` minus that of ``other``, and the standard error of the paired difference.

    Raises:
        MienError: the scores are of different attributes or pictures.
    """
    if one.names != other.names or one.hits.shape != other.hits.shape:
        raise MienError(
            f"expected scores of the same attributes and pictures, got {one.hits.shape} and {other.hits.shape}"
        )
    difference = one.hits.astype(np.float64) - other.hits
    return one.mean_accuracy - other.mean_accuracy, standard_error(difference)


def compare(
    data: Features, together: Sequence[str] | None = None, note: Note | None = None, c: float = 1.0
) -> dict[str, Any]:
    """Return the scores of each view alone and of several views together, with the paired gains, as plain values.

    Args:
        data: latents and attributes, from :func:`features`.
        together: the views to join; all by default. The other views are scored alone, for comparison.
        note: called with (what, done, total).
        c: as in :func:`score`.
    """
    together = data.names if together is None else tuple(together)

    def scored(what: str, names: Sequence[str]) -> Score:
        return score(data, names, (lambda done, total: note(f"SVMs of {what}", done, total)) if note else None, c)

    alone = {name: scored(name, [name]) for name in data.names}
    joint = scored(TOGETHER, together) if len(together) > 1 else alone[together[0]]
    widths = dict(zip(data.names, data.widths, strict=True))
    single = max(together, key=lambda name: alone[name].mean_accuracy)
    gains = {name: gain(joint, one) for name, one in alone.items()}
    per_attribute = {
        attribute: {
            "majority": float(joint.majority[a]),
            "alone": {name: float(one.accuracy[a]) for name, one in alone.items()},
            TOGETHER: float(joint.accuracy[a]),
        }
        for a, attribute in enumerate(joint.names)
    }
    return {
        "n": len(data.test),
        "n_train": len(data.train),
        "c": c,
        "attributes": len(joint.names),
        "left_out": [name for name in data.attributes if name not in joint.names],
        "majority_baseline": float(joint.majority.mean()),
        "alone": {name: _plain(one, widths[name]) for name, one in alone.items()},
        TOGETHER: {"of": list(together), **_plain(joint, sum(widths[name] for name in together))},
        "best_alone": single,  # chosen on these same pictures, so its score is slightly too high
        "gain": {name: {"mean": mean, "sem": sem} for name, (mean, sem) in gains.items()},
        "per_attribute": per_attribute,
    }


def _plain(one: Score, width: int) -> dict[str, Any]:
    return {"features": width, "mean_accuracy": one.mean_accuracy, "sem": one.sem}
