"""Whether a changed picture still shows the same person: distances of face embeddings, and what they mean.

FaceNet's role in Iterative GAN (§5.2, Fig. 5: "a lower score indicates that the two images are more similar") is
taken by dlib's embedding (:mod:`mien.metrics.faces`), whose models can be had; the scores of the two do not compare.
A distance says nothing by itself: beside it belong the distances of the data set's own same-person pairs and of its
strangers, at the same size: the smaller the pictures, the fewer faces are found and the more the two overlap, which
the AUC shows (results/faces/face_baselines.json has CelebA's at 89, 64 and 32 pixels).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.errors import MienError
from mien.metrics.faces import Embed, Progress

SAME = 0.6  # the embedder's own threshold: up to it, dlib takes two faces for one person
PART = 16  # pictures read and embedded at a time


@dataclass(frozen=True)
class IdentityDistances:
    """Distances of n pairs of pictures.

    Args:
        values: (n,) Euclidean, 0 to about 1.5; NaN where a face was not found in both.
        found: (n, 2) whether a face was found in the first and in the second picture.
    """

    values: NDArray[np.float64]
    found: NDArray[np.bool_]

    def summary(self, threshold: float = SAME) -> dict[str, Any]:
        """Return plain numbers: none is left out silently, pairs without two faces are counted.

        ``within`` is the share of the n measured pairs up to the threshold, ``within_of_all`` of all pairs.
        """
        got = self.values[~np.isnan(self.values)]
        pairs, n = len(self.values), len(got)
        within = int((got <= threshold).sum())
        return {
            "pairs": pairs,
            "n": n,
            "found": n / pairs if pairs else None,
            "found_first": float(self.found[:, 0].mean()) if pairs else None,
            "found_second": float(self.found[:, 1].mean()) if pairs else None,
            "mean": float(got.mean()) if n else None,
            "sd": float(got.std(ddof=1)) if n > 1 else None,
            "threshold": threshold,
            "within": within / n if n else None,
            "within_of_all": within / pairs if pairs else None,
        }


def distances(first: NDArray[np.float64], second: NDArray[np.float64]) -> IdentityDistances:
    """Return the distances of embeddings (n, K), row by row; NaN rows are faces not found.

    >>> distances(np.array([[0.0, 3.0]]), np.array([[4.0, 0.0]])).values
    array([5.])
    """
    if first.shape != second.shape or first.ndim != 2:
        raise MienError(
            f"expected two sets of embeddings (n, K), got {first.shape} and {second.shape}: pair them first"
        )
    found = ~np.stack([np.isnan(first).any(1), np.isnan(second).any(1)], 1)
    return IdentityDistances(np.linalg.norm(first - second, axis=1), found)


def identity_distance(x: Tensor, y: Tensor, embed: Embed) -> IdentityDistances:
    """Return how far the persons in pictures ``x`` and ``y`` (B, C, H, W) are from each other, picture by picture.

    Args:
        embed: pictures to embeddings (B, K), NaN where no face is found, such as ``Faces().embeddings``.
    """
    return identity_distances(x, {"y": y}, embed)["y"]


def identity_distances(
    x: Tensor, changed: Mapping[str, Tensor], embed: Embed, progress: Progress = None
) -> dict[str, IdentityDistances]:
    """Return how far each of several changes took the persons in pictures ``x`` (B, C, H, W) from themselves.

    Args:
        changed: by name, what was made of ``x``: reconstructions, edits; each (B, C, H, W) in the same order.
    """
    for name, y in changed.items():
        if len(y) != len(x):
            raise MienError(f"expected {len(x)} pictures '{name}', one for each, got {len(y)}: pass all in one order")
    done, total = 0, len(x) * (1 + len(changed))
    rows: list[NDArray[np.float64]] = []
    for pictures in (x, *changed.values()):
        parts = []
        for part in torch.split(pictures, PART):
            parts.append(embed(part))
            done += len(part)
            if progress:
                progress(done, total)
        rows.append(np.concatenate(parts) if parts else np.zeros((0, 1)))
    return {name: distances(rows[0], row) for name, row in zip(changed, rows[1:], strict=True)}


@dataclass(frozen=True)
class Pairs:
    """Positions of pictures in pairs: ``same`` (m, 2) of one person each, m may be 0, and ``strangers`` (n, 2)."""

    same: NDArray[np.int64]
    strangers: NDArray[np.int64]
    note: str


def pair_people(identity: NDArray[np.int64] | None, index: NDArray[np.int64], count: int = 300, seed: int = 0) -> Pairs:
    """Draw pairs of one person and pairs of strangers, from the same 2 x ``count`` pictures.

    Each person gives one pair at most, so pairs are independent of each other; fewer come where fewer people have
    two pictures. A stranger's pair is one person's first picture and the next person's second.

    Args:
        identity: (N,) the number of the person, -1 where not known; None where nobody is known.
        index: positions to draw from.
        seed: fixes the draw.

    Raises:
        MienError: fewer than two pictures, or of fewer than two people.

    >>> pair_people(np.array([7, 7, 5, 5]), np.arange(4), 2).same.tolist()
    [[2, 3], [0, 1]]
    """
    if count < 1:
        raise MienError(f"expected 1 pair or more, got {count}")
    rng = np.random.default_rng(seed)
    order = rng.permutation(index)
    people: dict[int, list[int]] = {}
    for i in order.tolist():
        # who is not known counts as a person of his own
        people.setdefault(int(identity[i]) if identity is not None and identity[i] >= 0 else -1 - i, []).append(i)
    several = [rows[:2] for rows in people.values() if len(rows) > 1][:count]
    if len(several) > 1:
        same = np.array(several, np.int64)
        strangers = np.stack([same[:, 0], np.roll(same[:, 1], -1)], 1)
        return Pairs(same, strangers, f"one pair of each of {len(same)} people, drawn with seed {seed}")
    alone = np.array([rows[0] for rows in people.values()], np.int64)[: 2 * count]
    half = len(alone) // 2
    if half < 1:
        raise MienError(f"expected pictures of two people or more, got {len(index)} pictures of {len(people)}")
    note = f"no person is known to be in two pictures: {half} stranger pairs only, drawn with seed {seed}"
    if identity is None:
        note += "; the data set names nobody, so a few may be one person"
    return Pairs(np.zeros((0, 2), np.int64), np.stack([alone[:half], alone[half : 2 * half]], 1), note)


@dataclass(frozen=True)
class IdentityBaselines:
    """What distances are like on the data set itself: one person's, strangers', and a face's from its mirror image."""

    same: IdentityDistances
    strangers: IdentityDistances
    mirrored: IdentityDistances
    found: float  # of all pictures looked at, mirrored ones apart
    pictures: int
    note: str

    def summary(self) -> dict[str, Any]:
        """Return plain numbers; ``auc`` is how often one person's pair is nearer than a pair of strangers."""
        named = {"same": self.same, "strangers": self.strangers, "mirrored": self.mirrored}
        return {
            "pictures": self.pictures,
            "found": self.found,
            "pairs": self.note,
            **{name: one.summary() for name, one in named.items() if len(one.values)},
            "auc": auc(self.same.values, self.strangers.values),
        }


def identity_baselines(
    read: Callable[[NDArray[np.int64]], Tensor], pairs: Pairs, embed: Embed, progress: Progress = None
) -> IdentityBaselines:
    """Measure the pairs of a data set, each picture embedded once, and the first of each pair mirrored too.

    Args:
        read: positions to pictures (B, C, H, W), such as ``lambda i: dataset.batch(i).x``; asked for a few at a time.
        pairs: what :func:`pair_people` drew.
    """
    needed = np.unique(np.concatenate([pairs.same, pairs.strangers]))
    first = np.unique(pairs.strangers[:, 0])
    total = len(needed) + len(first)
    rows: list[NDArray[np.float64]] = []
    turned: dict[int, NDArray[np.float64]] = {}
    for start in range(0, len(needed), PART):
        index = needed[start : start + PART]
        x = read(index)
        rows += list(embed(x))
        asked = np.isin(index, first)
        if asked.any():
            turned |= dict(zip(index[asked].tolist(), embed(x[asked.tolist()].flip(-1)), strict=True))
        if progress:
            progress(len(rows) + len(turned), total)
    table = np.stack(rows)

    def of(positions: NDArray[np.int64]) -> NDArray[np.float64]:
        return table[np.searchsorted(needed, positions)]

    mirrored = np.stack([turned[i] for i in pairs.strangers[:, 0].tolist()])
    return IdentityBaselines(
        same=distances(of(pairs.same[:, 0]), of(pairs.same[:, 1])),
        strangers=distances(of(pairs.strangers[:, 0]), of(pairs.strangers[:, 1])),
        mirrored=distances(of(pairs.strangers[:, 0]), mirrored),
        found=float((~np.isnan(table).any(1)).mean()),
        pictures=len(table),
        note=pairs.note,
    )


def auc(near: NDArray[np.float64], far: NDArray[np.float64]) -> float | None:
    """Return how often a value of ``near`` is below one of ``far``, ties by half, NaN left out; None without values.

    >>> auc(np.array([0.1, 0.5]), np.array([0.4, 0.9, np.nan]))
    0.75
    """
    near, far = near[~np.isnan(near)], np.sort(far[~np.isnan(far)])
    if not len(near) or not len(far):
        return None
    above = len(far) - np.searchsorted(far, near, "right")
    equal = np.searchsorted(far, near, "right") - np.searchsorted(far, near, "left")
    return float((above + equal / 2).mean() / len(far))
