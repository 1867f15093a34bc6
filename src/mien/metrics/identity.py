"""Distances of face embeddings between a picture and its edit, with baselines of the data set.

Iterative GAN measures identity with FaceNet (§5.2, Fig. 5: "a lower score indicates that the two images are more
similar"). This module uses dlib's embedding (:mod:`mien.metrics.faces`), because its models are available. The scores
of the two networks cannot be compared. A distance needs baselines: the distances of pairs of the same person and of
pairs of strangers, from the same data set at the same size. On smaller pictures fewer faces are detected and the two
distributions overlap more; the AUC measures this (results/faces/face_baselines.json has the AUC of CelebA at 89, 64 and
32 pixels).
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

SAME = 0.6  # threshold of dlib: two faces at most this far apart show one person
PART = 16  # pictures of one batch


@dataclass(frozen=True)
class IdentityDistances:
    """Distances of n pairs of pictures.

    Args:
        values: (n,) Euclidean, 0 to about 1.5; NaN where a picture of the pair has no detected face.
        detected: (n, 2) whether a face was detected in the first and in the second picture.
    """

    values: NDArray[np.float64]
    detected: NDArray[np.bool_]

    def summary(self, threshold: float = SAME) -> dict[str, Any]:
        """Return plain numbers. ``pairs`` counts all pairs, ``n`` the pairs in which both faces were detected.

        ``within`` is the share of the n pairs with a distance up to the threshold, ``within_of_all`` that of all pairs.
        """
        values = self.values[~np.isnan(self.values)]
        pairs, n = len(self.values), len(values)
        within = int((values <= threshold).sum())
        return {
            "pairs": pairs,
            "n": n,
            "found": n / pairs if pairs else None,
            "found_first": float(self.detected[:, 0].mean()) if pairs else None,
            "found_second": float(self.detected[:, 1].mean()) if pairs else None,
            "mean": float(values.mean()) if n else None,
            "sd": float(values.std(ddof=1)) if n > 1 else None,
            "threshold": threshold,
            "within": within / n if n else None,
            "within_of_all": within / pairs if pairs else None,
        }


def distances(first: NDArray[np.float64], second: NDArray[np.float64]) -> IdentityDistances:
    """Return the distances of embeddings (n, K), row by row; a row of NaN means that no face was detected.

    >>> distances(np.array([[0.0, 3.0]]), np.array([[4.0, 0.0]])).values
    array([5.])
    """
    if first.shape != second.shape or first.ndim != 2:
        raise MienError(
            f"expected two sets of embeddings (n, K), got {first.shape} and {second.shape}: pair them first"
        )
    detected = ~np.stack([np.isnan(first).any(1), np.isnan(second).any(1)], 1)
    return IdentityDistances(np.linalg.norm(first - second, axis=1), detected)


def identity_distance(x: Tensor, y: Tensor, embed: Embed) -> IdentityDistances:
    """Return the distance between the faces in pictures ``x`` and ``y`` (B, C, H, W), pair by pair.

    Args:
        embed: pictures to embeddings (B, K), NaN where no face is detected, such as ``Faces().embeddings``.
    """
    return identity_distances(x, {"y": y}, embed)["y"]


def identity_distances(
    x: Tensor, changed: Mapping[str, Tensor], embed: Embed, progress: Progress = None
) -> dict[str, IdentityDistances]:
    """Return the distances between the faces in pictures ``x`` (B, C, H, W) and in each set of changed pictures.

    Args:
        changed: by name, sets of changed pictures, such as reconstructions or edits; each (B, C, H, W) in the order
            of ``x``.
        embed: function from pictures to embeddings (B, K), NaN where no face is detected.
        progress: called with (done, total).

    Raises:
        MienError: a set of another length.
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
    """Positions of pictures in pairs: ``same`` (m, 2) show one person, ``strangers`` (n, 2) two; m can be 0."""

    same: NDArray[np.int64]
    strangers: NDArray[np.int64]
    note: str


def pair_people(identity: NDArray[np.int64] | None, index: NDArray[np.int64], count: int = 300, seed: int = 0) -> Pairs:
    """Draw pairs of one person and pairs of strangers, from the same 2 x ``count`` pictures.

    Each person is in at most one pair, and the pairs are independent. There are fewer pairs if fewer people have two
    pictures. A pair of strangers joins the first picture of one person and the second picture of the next person.

    Args:
        identity: (N,) number of the person, -1 for unknown persons; None if the data set names no persons.
        index: positions to draw from.
        count: largest number of pairs of each kind.
        seed: seed of the draw.

    Raises:
        MienError: fewer than two pictures, or pictures of fewer than two people.

    >>> pair_people(np.array([7, 7, 5, 5]), np.arange(4), 2).same.tolist()
    [[2, 3], [0, 1]]
    """
    if count < 1:
        raise MienError(f"expected 1 pair or more, got {count}")
    rng = np.random.default_rng(seed)
    order = rng.permutation(index)
    people: dict[int, list[int]] = {}
    for i in order.tolist():
        # each unknown person counts as a different person
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
    """Distances in the data set: pairs of one person, pairs of strangers, and faces with their mirror images."""

    same: IdentityDistances
    strangers: IdentityDistances
    mirrored: IdentityDistances
    detected: float  # share of the pictures with a detected face; mirror images do not count
    pictures: int
    note: str

    def summary(self) -> dict[str, Any]:
        """Return plain numbers; ``auc`` compares the pairs of one person with the pairs of strangers."""
        named = {"same": self.same, "strangers": self.strangers, "mirrored": self.mirrored}
        return {
            "pictures": self.pictures,
            "found": self.detected,
            "pairs": self.note,
            **{name: one.summary() for name, one in named.items() if len(one.values)},
            "auc": auc(self.same.values, self.strangers.values),
        }


def identity_baselines(
    read: Callable[[NDArray[np.int64]], Tensor], pairs: Pairs, embed: Embed, progress: Progress = None
) -> IdentityBaselines:
    """Measure the pairs of a data set. Each picture is embedded once, and the first one of each pair also mirrored.

    Args:
        read: positions to pictures (B, C, H, W), such as ``lambda i: dataset.batch(i).x``; called with a few positions.
        pairs: result of :func:`pair_people`.
        embed: function from pictures to embeddings (B, K), NaN where no face is detected.
        progress: called with (done, total).
    """
    positions = np.unique(np.concatenate([pairs.same, pairs.strangers]))
    first = np.unique(pairs.strangers[:, 0])
    total = len(positions) + len(first)
    rows: list[NDArray[np.float64]] = []
    mirror: dict[int, NDArray[np.float64]] = {}
    for start in range(0, len(positions), PART):
        index = positions[start : start + PART]
        x = read(index)
        rows += list(embed(x))
        mask = np.isin(index, first)
        if mask.any():
            mirror |= dict(zip(index[mask].tolist(), embed(x[mask.tolist()].flip(-1)), strict=True))
        if progress:
            progress(len(rows) + len(mirror), total)
    table = np.stack(rows)

    def rows_of(column: NDArray[np.int64]) -> NDArray[np.float64]:
        return table[np.searchsorted(positions, column)]

    mirrored = np.stack([mirror[i] for i in pairs.strangers[:, 0].tolist()])
    return IdentityBaselines(
        same=distances(rows_of(pairs.same[:, 0]), rows_of(pairs.same[:, 1])),
        strangers=distances(rows_of(pairs.strangers[:, 0]), rows_of(pairs.strangers[:, 1])),
        mirrored=distances(rows_of(pairs.strangers[:, 0]), mirrored),
        detected=float((~np.isnan(table).any(1)).mean()),
        pictures=len(table),
        note=pairs.note,
    )


def auc(near: NDArray[np.float64], far: NDArray[np.float64]) -> float | None:
    """Return the share of pairs with ``near`` below ``far``; ties count half, NaN is ignored; None without values.

    >>> auc(np.array([0.1, 0.5]), np.array([0.4, 0.9, np.nan]))
    0.75
    """
    near, far = near[~np.isnan(near)], np.sort(far[~np.isnan(far)])
    if not len(near) or not len(far):
        return None
    above = len(far) - np.searchsorted(far, near, "right")
    equal = np.searchsorted(far, near, "right") - np.searchsorted(far, near, "left")
    return float((above + equal / 2).mean() / len(far))
