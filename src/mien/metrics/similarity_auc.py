"""ROC-AUC of a similarity as a test of identity: pairs of one person against pairs of strangers.

Protocol: the pictures were not used in training, and the data set names the persons. SelfExGAN §4.2.2 proposes this
use, without measurements. All pairs of one person, or a seeded sample of them, are compared with equally many seeded
pairs of two persons. The AUC is the probability that a pair of one person is more similar than a pair of strangers; a
random guess has .5. The interval is the middle 95 % of a bootstrap over pairs, separately for the two kinds. Pairs of
one person share pictures if the person has more than two, therefore the interval is slightly too narrow. In a random
split of CelebA, other pictures of the same persons are in the training part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import MienError

MOST = 5000  # largest number of pairs of each kind
DRAWS = 1000  # draws of the bootstrap


@dataclass(frozen=True)
class Pairs:
    """Pairs of pictures by their rows: ``same`` (P, 2) show one person, ``strangers`` (Q, 2) two persons."""

    same: np.ndarray
    strangers: np.ndarray
    persons: int  # persons with two pictures or more

    def rows(self) -> np.ndarray:
        """Return the rows of all pairs, sorted."""
        rows: NDArray[np.int64] = np.unique(np.concatenate([self.same, self.strangers]))
        return rows


def draw_pairs(identity: np.ndarray, most: int = MOST, seed: int = 0) -> Pairs:
    """Return pairs of one person and of strangers, each pair once, drawn by ``seed``.

    Args:
        identity: (n,) numbers of persons, -1 for unknown persons (ignored).
        most: largest number of pairs of each kind.

    Raises:
        MienError: no person has two pictures, or all pictures show one person.

    >>> pairs = draw_pairs(np.array([7, 7, 3, -1]))
    >>> pairs.same.tolist(), sorted(pairs.strangers.tolist())
    ([[0, 1]], [[0, 2], [1, 2]])
    """
    rng = np.random.default_rng(seed)
    known = np.flatnonzero(identity >= 0)
    order = known[np.argsort(identity[known], kind="stable")]
    groups = np.split(order, np.flatnonzero(np.diff(identity[order])) + 1)
    groups = [group for group in groups if len(group) > 1]
    if not groups or len(np.unique(identity[known])) < 2:
        raise MienError(
            f"expected persons with two pictures or more, and strangers, got {len(groups)} among {len(known)} "
            "pictures whose person is known: use CelebA with its identity_CelebA.txt"
        )
    same = np.concatenate([np.stack([group[i] for i in np.triu_indices(len(group), 1)], 1) for group in groups])
    if len(same) > most:
        same = same[np.sort(rng.permutation(len(same))[:most])]
    return Pairs(same, _strangers(identity, known, most, rng), len(groups))


def _strangers(
    identity: NDArray[np.int64], known: NDArray[np.int64], most: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return up to ``most`` different pairs (Q, 2) of different persons; all such pairs are equally likely."""
    pairs: NDArray[np.int64]
    if len(known) ** 2 <= 8 * most:  # few enough to list all pairs
        pairs = known[np.stack(np.triu_indices(len(known), 1), 1)]
        pairs = pairs[identity[pairs[:, 0]] != identity[pairs[:, 1]]]
        pairs = pairs[np.sort(rng.permutation(len(pairs))[:most])]
        return pairs
    pairs = np.empty((0, 2), known.dtype)
    for _ in range(100):  # one or two loops, unless nearly all pictures show one person
        draw = np.sort(known[rng.integers(len(known), size=(2 * most, 2))], 1)
        candidates = np.concatenate([pairs, draw[identity[draw[:, 0]] != identity[draw[:, 1]]]])
        _, first = np.unique(candidates, axis=0, return_index=True)
        pairs = candidates[np.sort(first)][:most]
        if len(pairs) == most:
            break
    return pairs


@dataclass(frozen=True)
class AUC:
    """ROC-AUC, and the limits of the middle 95 % of its bootstrap over pairs."""

    auc: float
    low: float
    high: float


def similarity_auc(same: np.ndarray, strangers: np.ndarray, seed: int = 0, draws: int = DRAWS) -> AUC:
    """Return the ROC-AUC of similarities of one person's pairs (P,) against those of strangers (Q,); ties count half.

    Args:
        draws: number of draws of the bootstrap. Each draws pairs of both kinds with replacement.
        seed: seed of the bootstrap.

    Raises:
        MienError: no pairs of one kind, or similarities that are not finite.

    >>> similarity_auc(np.array([3.0, 2.0]), np.array([1.0, 2.0])).auc
    0.875
    """
    from sklearn.metrics import roc_auc_score

    values = np.concatenate([same, strangers])
    if not len(same) or not len(strangers) or not np.isfinite(values).all():
        raise MienError(f"expected finite similarities of pairs of both kinds, got {len(same)} and {len(strangers)}")
    auc = float(roc_auc_score(np.repeat([1, 0], [len(same), len(strangers)]), values))
    rng = np.random.default_rng(seed)
    ordered = np.sort(strangers)
    below, up_to = np.searchsorted(ordered, same, "left"), np.searchsorted(ordered, same, "right")
    results = np.empty(draws)
    for number in range(draws):
        # the number of draws of each pair, and the number of strangers' pairs below it
        count = np.bincount(rng.integers(len(same), size=len(same)), minlength=len(same))
        among = np.bincount(rng.integers(len(ordered), size=len(ordered)), minlength=len(ordered))
        total = np.concatenate([[0], np.cumsum(among)])
        results[number] = count @ (total[below] + total[up_to]) / (2 * len(same) * len(ordered))
    low, high = np.percentile(results, [2.5, 97.5])
    return AUC(auc, float(low), float(high))


Scores = dict[str, tuple[np.ndarray, np.ndarray]]
"""Similarities of one person's pairs (P,) and of strangers' (Q,), by the name of the measure."""


def protocol(split: str) -> str:
    """Return the description of the protocol for the pictures of ``split``, which results store.

    >>> protocol("test").partition(";")[0]
    "ROC-AUC of pairs of one person's pictures against pairs of strangers, both among the test pictures"
    """
    return (
        f"ROC-AUC of pairs of one person's pictures against pairs of strangers, both among the {split} pictures; "
        f"pairs drawn by the seed; interval: the middle 95 % of {DRAWS} bootstraps over pairs; pixels: the Euclidean "
        "distance of the pictures themselves, the baseline"
    )


def score_pairs(
    measures: Mapping[str, Callable[[np.ndarray], np.ndarray]],
    pairs: Pairs,
    progress: Callable[[int, int], None] | None = None,
) -> Scores:
    """Return the similarities of the pairs of both kinds by each measure, a function of pairs (P, 2) of rows."""
    scores: Scores = {}
    for name, measure in measures.items():
        scores[name] = measure(pairs.same), measure(pairs.strangers)
        if progress:
            progress(len(scores), len(measures))
    return scores


def same_person(scores: Scores, pairs: Pairs, seed: int = 0) -> dict[str, Any]:
    """Return the AUC of each measure and the counts of the pairs, as plain values for JSON.

    Args:
        scores: result of :func:`score_pairs`.
        pairs: result of :func:`draw_pairs`.
        seed: seed of the pairs and of the bootstrap.
    """
    return {
        "n_same": len(pairs.same),
        "n_strangers": len(pairs.strangers),
        "persons": pairs.persons,
        "pictures": len(pairs.rows()),
        "seed": seed,
        "bootstrap": DRAWS,
        "interval": 0.95,
        "measures": {
            name: asdict(similarity_auc(same, strangers, seed))
            | {"median_same": float(np.median(same)), "median_strangers": float(np.median(strangers))}
            for name, (same, strangers) in scores.items()
        },
    }
