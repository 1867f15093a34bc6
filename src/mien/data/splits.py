"""The split of a data set into training, validation and test: the official one, or one drawn by a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import MienError

PARTS = ("train", "valid", "test")
LEAST = 2  # pictures of a part: the spread of a measure needs two
RULES = ("auto", "official", "seeded")


@dataclass(frozen=True)
class Splits:
    """Three disjoint parts of a data set.

    Args:
        train, valid, test: sorted int64 positions in the data set.
        rule: "official" or "seeded".
        note: the reason for this rule, in words.
    """

    train: NDArray[np.int64]
    valid: NDArray[np.int64]
    test: NDArray[np.int64]
    rule: str
    note: str


def split(
    name: str, count: int, partition: NDArray[np.int64] | None, seed: int, fractions: Sequence[float], rule: str
) -> Splits:
    """Return the official split if ``rule`` allows it, otherwise one drawn by ``seed``.

    Args:
        name: the name of the data set in messages.
        count: the number of pictures.
        partition: (count,) of 0 train, 1 valid, 2 test, -1 none; None if there is no official split.
        seed, fractions, rule: see ``mien.data.Dataset.split``.

    Raises:
        MienError: see ``mien.data.Dataset.split``.
    """
    if rule not in RULES:
        raise MienError(f"expected the rule {', '.join(RULES[:-1])} or {RULES[-1]}, got '{rule}': pass one of them")
    note = "it has no official split"
    if partition is not None:
        train, valid, test = (np.flatnonzero(partition == part).astype(np.int64) for part in range(len(PARTS)))
        empty = [part for part, index in zip(PARTS, (train, valid, test), strict=True) if not len(index)]
        if rule == "seeded":
            note = "the caller asked for it"
        elif empty:
            note = f"its official split is empty in {' and '.join(empty)}"
        else:
            return Splits(train, valid, test, "official", "the split that the data set defines")
    if rule == "official":
        raise MienError(f"{name}: {note}: use rule seeded")
    train, valid, test = draw(name, count, seed, fractions)
    return Splits(train, valid, test, "seeded", f"drawn with seed {seed}: {note}")


def draw(name: str, count: int, seed: int, fractions: Sequence[float]) -> list[NDArray[np.int64]]:
    """Return three sorted arrays of positions that ``seed`` draws from ``count`` in the shares ``fractions``.

    Each part has two pictures or more.

    Raises:
        MienError: wrong fractions or seed, or too few pictures for three parts.

    >>> [part.tolist() for part in draw("toy", 6, 0, (0.5, 0.25, 0.25))]
    [[2, 3], [4, 5], [0, 1]]
    """
    try:
        shares = np.array([float(fraction) for fraction in fractions])
    except (TypeError, ValueError):
        raise MienError(f"expected three fractions, got {fractions!r}: pass three numbers with sum 1") from None
    if len(shares) != 3 or not (shares > 0).all() or abs(shares.sum() - 1) > 1e-6:
        raise MienError(f"expected three fractions above 0 with sum 1, got {tuple(fractions)}: pass other fractions")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise MienError(f"expected a seed of 0 or more, got {seed!r}: pass an integer")
    if count < 3 * LEAST:
        raise MienError(f"expected {3 * LEAST} pictures or more to split, got {count} in {name}: add pictures")
    valid, test = (max(LEAST, round(float(share) * count)) for share in shares[1:])
    train = count - valid - test
    if train < LEAST:
        raise MienError(
            f"expected fractions that leave {LEAST} of the {count} pictures of {name} or more for training, got "
            f"{tuple(fractions)}: pass a larger first fraction"
        )
    order = np.random.Generator(np.random.PCG64(seed)).permutation(count)
    return [np.sort(part).astype(np.int64) for part in np.split(order, [train, train + valid])]
