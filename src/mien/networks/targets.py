"""Descriptions c (B, A) that an editor of several attributes gets: of training pictures, and of edits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.errors import MienError, UnknownName

# Two attributes exclude each other if independence predicts at least EXPECTED training pictures with both, and at most
# the share TOGETHER of these exist.
EXPECTED, TOGETHER = 5.0, 0.05


def multi_hot(attributes: Tensor) -> Tensor:
    """Return c (B, A) of 1 and 0 for ``attributes`` (B, A) of +1 and -1; unknown ones (0) are 0.5.

    >>> multi_hot(torch.tensor([[1.0, 0.0, -1.0]]))
    tensor([[1.0000, 0.5000, 0.0000]])
    """
    return (attributes + 1) / 2


def shuffled(attributes: Tensor) -> Tensor:
    """Return the rows of ``attributes`` (B, A) in random order: targets that occur in the training pictures."""
    return attributes[torch.randperm(len(attributes), device=attributes.device)]


def changed(c: Tensor, amounts: Mapping[str, float], names: Sequence[str], excludes: Tensor | None = None) -> Tensor:
    """Return ``c`` (B, A) after an edit: the amount +1 sets an attribute to 1, and -1 sets it to 0.

    An amount in between moves the value that part of the way, and an amount beyond moves it further. If an added
    attribute excludes others, they move the same part of the way to 0, unless the edit names them too.

    Args:
        c: descriptions in [0, 1].
        amounts: for each attribute to change, how far.
        names: of the A attributes.
        excludes: (A, A), row a is 1 for the attributes that a picture with attribute a does not have.

    Raises:
        UnknownName: for an attribute that is not among ``names``.

    >>> c = torch.tensor([[0.0, 1.0]])
    >>> changed(c, {"Black_Hair": 0.5}, ("Black_Hair", "Bald"))
    tensor([[0.5000, 1.0000]])
    >>> changed(c, {"Black_Hair": 1.0}, ("Black_Hair", "Bald"), torch.tensor([[0, 1], [1, 0]]))
    tensor([[1., 0.]])
    """
    c = c.clone()
    for name, amount in amounts.items():
        if name not in names:
            raise UnknownName("attribute", name, names)
        column = names.index(name)
        if amount > 0 and excludes is not None:
            free = torch.tensor([other not in amounts for other in names], device=c.device)
            c = c * (1 - min(amount, 1.0) * (excludes[column].to(c.dtype) * free))
        c[:, column] += abs(amount) * (float(amount > 0) - c[:, column])
    return c


def exclusive(table: NDArray[np.int8]) -> Tensor:
    """Return which attributes exclude each other, (A, A) of 1 and 0, of a table (n, A) of +1, -1, and 0 for unknown.

    Two attributes exclude each other if almost no picture has both although independence predicts several pictures
    with both (see ``EXPECTED`` and ``TOGETHER``).

    >>> table = np.array([[1, -1, 1], [-1, 1, 1]] * 20)
    >>> exclusive(table).tolist()
    [[0, 1, 0], [1, 0, 0], [0, 0, 0]]
    """
    has = (table > 0).astype(np.float64)
    together = has.T @ has
    expected = np.outer(has.sum(0), has.sum(0)) / max(len(table), 1)
    return torch.from_numpy(((expected >= EXPECTED) & (together <= TOGETHER * expected)).astype(np.int8))


def check_attributes(model: str, attributes: tuple[str, ...]) -> None:
    """Raise MienError if a data set has no attributes to train ``model``."""
    if not attributes:
        raise MienError(
            f"expected a data set with attributes to train {model}, got one without: "
            "use avatars, celeba, or folder with a table of attributes"
        )
