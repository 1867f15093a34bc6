"""The order of pictures in a training."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


class Order:
    """An endless sequence of seeded permutations, readable at any position.

    Args:
        index: positions (n,) in a data set.
        seed: of the permutations; each epoch has its own.

    >>> order = Order(np.array([10, 11, 12]), seed=0)
    >>> sorted(order.at(0, 3).tolist()), len(order.at(2, 5))
    ([10, 11, 12], 5)
    """

    def __init__(self, index: npt.NDArray[Any], seed: int):
        self.index, self.seed = index, seed
        self.epoch, self.shuffled = -1, index

    def at(self, position: int, n: int) -> npt.NDArray[Any]:
        """Return the ``n`` positions (n,) in the data set from place ``position`` on; they may span two epochs."""
        parts = []
        while n > 0:
            epoch, start = divmod(position, len(self.index))
            if epoch != self.epoch:
                self.shuffled = np.random.default_rng([self.seed, epoch]).permutation(self.index)
                self.epoch = epoch
            part = self.shuffled[start : start + n]
            parts.append(part)
            position, n = position + len(part), n - len(part)
        return np.concatenate(parts)
