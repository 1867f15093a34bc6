"""Multi-view features: the latents of several models of the same pictures, side by side (VAE-WGAN §4.4, Fig. 14).

Each model sees a picture at its own size; which pictures they share, :mod:`mien.applications.views` says.
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
MOST = 20_000  # training pictures that the classifiers are fitted on
Note = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Features:
    """What several views say of the same pictures.

    Args:
        names: of the views.
        attributes: A names.
        train, test: latents (n, ΣK), the views' side by side in their order.
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
        """Return which columns hold the latents of the views ``names``, in the order of the features."""
        ends = np.cumsum(self.widths)
        parts = zip(self.names, ends - self.widths, ends, strict=True)
        return np.concatenate([np.arange(start, end) for name, start, end in parts if name in names])


@dataclass(frozen=True)
class Score:
    """How well a linear SVM for each attribute names the attributes of n held-out pictures.

    Args:
        names: A attributes; those of one value only are left out.
        hits: (n, A) 1 where right, 0 where wrong, NaN where the truth is not known.
        majority: (A,) accuracy of always saying the commoner value of the training pictures.
    """

    names: tuple[str, ...]
    hits: NDArray[np.float32]
    majority: NDArray[np.float64]

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """Share of right answers (A,)."""
        return np.nanmean(self.hits, axis=0, dtype=np.float64)

    @property
    def mean_accuracy(self) -> float:
        """Mean of the attributes' accuracies."""
        return float(self.accuracy.mean())

    @property
    def sem(self) -> float:
        """Standard error of the mean accuracy over pictures, whose attributes depend on each other."""
        return standard_error(self.hits)


def standard_error(values: NDArray) -> float:
    """Return the standard error, over rows, of the mean of the columns' means; NaN is what is not known.

    >>> round(standard_error(np.array([[1.0, 1.0], [0.0, 0.0], [1.0, 0.0]])), 4)
    0.2887
    """
    known = np.isfinite(values)
    n, size = values.shape
    if n < 2:
        return float("nan")
    apart = np.where(known, values - np.nanmean(values, axis=0, dtype=np.float64), 0)
    # each row's share in the mean; where all is known, its own mean over the columns
    rows = (apart / known.sum(0)).sum(1) * n / size
    return float(np.sqrt(np.square(rows).sum() / (n - 1) / n))


def features(views: Sequence[View], most: int = MOST, note: Note | None = None) -> Features:
    """Return the latent means of all views side by side, of the pictures they share.

    Args:
        views: one or more; their pictures' sizes and channels may differ.
        most: training pictures at most, drawn by a fixed seed; memory is theirs and the held-out ones' latents.
        note: called with (what, done, total).

    Raises:
        MienError: as :func:`align`.
        MissingAbility: a model that does not encode.
    """
    if most < 2:
        raise MienError(f"expected 2 training pictures or more, got {most}")
    pairs = align(views)
    # the rows that mien evaluate takes of a run alone
    chosen = np.sort(np.random.default_rng(0).permutation(len(pairs[0][0]))[:most])
    parts: list[list[NDArray]] = [[], []]
    for view, (train, test) in zip(views, pairs, strict=True):
        index = np.concatenate([train[chosen], test])

        def told(done: int, total: int, name: str = view.name) -> None:
            if note:
                note(f"encode {name}", done, total)

        z = encode_all(view.model, view.dataset, index, told).numpy()
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
    seen: Features,
    names: Sequence[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
    c: float = 1.0,
) -> Score:
    """Fit a linear SVM for each attribute on the latents of some views and say where it is right.

    The protocol of :func:`mien.metrics.latent_svm.latent_svm`, picture by picture.

    Args:
        names: views to use; all by default.
        c: as latent_svm's; many views and few pictures want less than its 1.
    """
    columns = seen.columns(*(seen.names if names is None else names))
    svms = latent_svm(
        seen.train[:, columns], seen.y_train, seen.test[:, columns], seen.y_test, seen.attributes, progress, c
    )
    if not svms.names:
        raise MienError("expected attributes of both values among the training pictures, got none")
    truth = seen.y_test[:, [seen.attributes.index(name) for name in svms.names]]
    hits = np.where(truth == 0, np.nan, svms.predicted == truth)
    return Score(svms.names, hits.astype(np.float32), svms.majority)


def gain(one: Score, other: Score) -> tuple[float, float]:
    """Return how much better ``one`` is in mean accuracy, with the standard error of the paired difference.

    Raises:
        MienError: scores of other attributes or pictures.
    """
    if one.names != other.names or one.hits.shape != other.hits.shape:
        raise MienError(
            f"expected scores of the same attributes and pictures, got {one.hits.shape} and {other.hits.shape}"
        )
    apart = one.hits.astype(np.float64) - other.hits
    return one.mean_accuracy - other.mean_accuracy, standard_error(apart)


def compare(
    seen: Features, together: Sequence[str] | None = None, note: Note | None = None, c: float = 1.0
) -> dict[str, Any]:
    """Return the scores of each view alone and of several together, with the paired gain over each, as plain values.

    Args:
        together: the views whose latents are put side by side; all by default. The others stand beside for comparison.
        note: called with (what, done, total).
        c: as in :func:`score`.
    """
    together = seen.names if together is None else tuple(together)

    def scored(what: str, names: Sequence[str]) -> Score:
        return score(seen, names, (lambda done, total: note(f"SVMs of {what}", done, total)) if note else None, c)

    alone = {name: scored(name, [name]) for name in seen.names}
    joint = scored(TOGETHER, together) if len(together) > 1 else alone[together[0]]
    widths = dict(zip(seen.names, seen.widths, strict=True))
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
        "n": len(seen.test),
        "n_train": len(seen.train),
        "c": c,
        "attributes": len(joint.names),
        "left_out": [name for name in seen.attributes if name not in joint.names],
        "majority_baseline": float(joint.majority.mean()),
        "alone": {name: _plain(one, widths[name]) for name, one in alone.items()},
        TOGETHER: {"of": list(together), **_plain(joint, sum(widths[name] for name in together))},
        "best_alone": single,  # by these same pictures, so a little flattered
        "gain": {name: {"mean": mean, "sem": sem} for name, (mean, sem) in gains.items()},
        "per_attribute": per_attribute,
    }


def _plain(one: Score, width: int) -> dict[str, Any]:
    return {"features": width, "mean_accuracy": one.mean_accuracy, "sem": one.sem}
