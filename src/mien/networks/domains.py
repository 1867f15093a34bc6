"""Two domains of pictures: those without one attribute, and those with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mien.errors import MienError, UnknownName
from mien.networks.targets import check_attributes

if TYPE_CHECKING:
    from mien.data.batch import Batch
    from mien.data.dataset import Dataset


class Domain(NamedTuple):
    """The attribute that separates two domains.

    Args:
        name: its name; empty without attributes.
        column: its position among the data set's attributes.
        chosen: whether it was named, or is the only one.
    """

    name: str
    column: int
    chosen: bool

    def check(self, model: str, attributes: tuple[str, ...]) -> None:
        """Raise MienError if a data set has no attributes to train ``model``, or several and none was named."""
        check_attributes(model, attributes)
        if not self.chosen:
            shown = ", ".join(attributes[:45])
            raise MienError(f"expected the attribute to edit, got none: pass --set attribute=NAME, one of {shown}")

    def balanced(self, dataset: Dataset, index: np.ndarray, seed: int, oversample: bool = False) -> np.ndarray:
        """Return the positions of all pictures of the rarer domain and of as many of the other, drawn by ``seed``.

        With ``oversample``, the positions of all pictures; those of the rarer domain are repeated to as many as those
        of the other.

        Args:
            dataset: with ``attribute_table`` (N, A).
            index: positions (n,) of the pictures that may be used.
            seed: seed of the draw; nothing is drawn with ``oversample``.
            oversample: whether to repeat pictures of the rarer domain in place of leaving out those of the other.

        Raises:
            MienError: if all pictures with a known attribute belong to one domain.
        """
        known = np.asarray(dataset.attribute_table[index, self.column])  # (n,)
        without, having = index[known < 0], index[known > 0]
        n = min(len(without), len(having))
        if n == 0:
            raise MienError(
                f"expected training pictures with and without {self.name}, got {len(having)} with and "
                f"{len(without)} without: choose another --set attribute=…, or more pictures"
            )
        if oversample:
            n = max(len(without), len(having))
            return np.sort(np.concatenate([np.resize(part, n) for part in (without, having)]))
        rng = np.random.default_rng([seed, self.column])
        return np.sort(np.concatenate([rng.permutation(part)[:n] for part in (without, having)]))

    def sides(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return n pictures without the attribute and n with it (n is half the batch), and their weights (2n,).

        A side with too few pictures repeats them. A side with none holds others with weight 0. All shapes are fixed,
        so the host does not wait for the device.
        """
        assert batch.attributes is not None
        sign = batch.attributes[:, self.column]
        place = torch.arange(max(1, len(batch) // 2), device=sign.device)
        positions, weights = [], []
        for side in (-1, 1):
            mine = sign * side > 0
            count = mine.sum()
            first = torch.argsort(mine.int(), descending=True, stable=True)  # mine, then all others
            positions.append(first[place % count.clamp(min=1)])
            weights.append((count > 0).float().expand(len(place)))
        return batch.x[torch.cat(positions)], torch.cat(weights)


def domain(attribute: str, attributes: tuple[str, ...]) -> Domain:
    """Return the domain of ``attribute``, or of the first of ``attributes`` if it is empty.

    Raises:
        UnknownName: for an attribute that is not among ``attributes``.

    >>> domain("Smiling", ("Male", "Smiling"))
    Domain(name='Smiling', column=1, chosen=True)
    >>> domain("", ("Male", "Smiling"))
    Domain(name='Male', column=0, chosen=False)
    """
    if attribute and attributes and attribute not in attributes:
        raise UnknownName("attribute", attribute, attributes)
    name = attribute or next(iter(attributes), "")
    column = attributes.index(name) if attributes else 0
    return Domain(name, column, bool(attribute) or len(attributes) == 1)


def weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """Return the mean of values (B, …) over the pictures with weight 1, a scalar; ``weight`` (B,) is 0 or 1.

    >>> weighted_mean(torch.tensor([[1.0, 3.0], [9.0, 9.0]]), torch.tensor([1.0, 0.0]))
    tensor(2.)
    """
    return (values.flatten(1).mean(1) * weight).sum() / weight.sum().clamp(min=1)
