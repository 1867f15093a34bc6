"""A generator with conditions c, attributes or classes, which starts from descriptions of training pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from mien import losses
from mien.errors import MienError
from mien.networks.dcgan import DCGANGenerator
from mien.networks.targets import exclusive

if TYPE_CHECKING:
    from mien.data.batch import Batch

DESCRIPTIONS = 256  # training pictures whose attributes are remembered


class ConditionalGenerator(nn.Module):
    """G(z, c), with descriptions c of training pictures to start from.

    Args:
        shape: (C, H, W) of the pictures.
        latent: K, the length of z.
        attributes: A, the length of c.
        width: of the last map.
        one_of: whether each picture has exactly one of the A, as classes are; otherwise any number of them.
    """

    descriptions: Tensor
    excludes: Tensor

    def __init__(self, shape: tuple[int, int, int], latent: int, attributes: int, width: int, one_of: bool = False):
        super().__init__()
        self.latent, self.one_of = latent, one_of
        self.body = DCGANGenerator(shape, latent + attributes, width)
        # +1, -1, and 0 for unknown
        self.register_buffer("descriptions", torch.zeros(DESCRIPTIONS, attributes, dtype=torch.int8))
        # row a: 1 for the attributes that a picture with attribute a does not have
        excludes = 1 - torch.eye(attributes) if one_of else torch.zeros(attributes, attributes)
        self.register_buffer("excludes", excludes.to(torch.int8))

    def forward(self, z: Tensor, c: Tensor, drawn: bool = False) -> Tensor:
        """Return pictures (B, C, H, W) of codes ``z`` (B, K) in [-1, 1] and attributes ``c`` (B, A) in [0, 1].

        Args:
            drawn: whether ``z`` was drawn at random; otherwise it was read from pictures.
        """
        pictures: Tensor = self.body(torch.cat([z, c], 1), drawn)
        return pictures

    def conditions(self, batch: Batch) -> Tensor:
        """Return the conditions of a batch, (B, A), of its attributes or of its labels: +1, -1, and 0 where not known.

        >>> from mien.data.batch import Batch
        >>> batch = Batch(torch.zeros(2, 3, 8, 8), None, torch.tensor([1, -1]), torch.arange(2))
        >>> ConditionalGenerator((3, 8, 8), 4, 3, 2, one_of=True).conditions(batch)
        tensor([[-1.,  1., -1.],
                [ 0.,  0.,  0.]])
        """
        if not self.one_of:
            assert batch.attributes is not None
            return batch.attributes
        assert batch.label is not None
        classes = self.descriptions.shape[1]
        signs = 2 * F.one_hot(batch.label.clamp(min=0), classes).float() - 1  # (B, A)
        return torch.where((batch.label >= 0)[:, None], signs, 0.0)

    def read_attributes(self, table: NDArray[np.int8]) -> None:
        """Find the attributes that exclude each other in a ``table`` (n, A) of ±1 and 0; classes always do."""
        if not self.one_of:
            self.excludes.copy_(exclusive(table))

    def remember(self, attributes: Tensor) -> None:
        """Keep the descriptions ``attributes`` (n, A) of n training pictures."""
        rows = torch.arange(DESCRIPTIONS, device=attributes.device) % len(attributes)
        self.descriptions.copy_(attributes[rows])

    def describe(self, requests: Tensor, rows: Tensor) -> Tensor:
        """Return descriptions (n, A) of ±1 and 0: those of training pictures, with what is requested changed.

        An attribute that a requested one excludes is switched off, unless it was requested too.

        Args:
            requests: (n, A) of ±1, or 0 for what is left as the training picture has it.
            rows: (n,) which of the remembered descriptions each picture starts from.
        """
        base = self.descriptions[rows]
        excluded = ((requests > 0).float() @ self.excludes.float()) > 0
        base = torch.where(excluded, base.new_tensor(-1), base)
        return torch.where(requests == 0, base, requests.to(base.dtype))

    def multi_hot(self, attributes: Tensor, chance: Tensor) -> Tensor:
        """Return c (n, A) of 0 and 1 for ``attributes`` (n, A) of ±1; unknown ones (0) are drawn by their frequency.

        Args:
            chance: (n, A) uniform in [0, 1).
        """
        known = (self.descriptions != 0).sum(0)
        frequency = ((self.descriptions > 0).sum(0) + 0.5) / (known + 1)  # (A,)
        return torch.where(attributes == 0, chance < frequency, attributes > 0).float()

    def sample(self, n: int, attributes: Tensor | None, seed: int) -> Tensor:
        """Return n pictures G(z, c) with z ~ U(-1, 1); z and the descriptions depend on ``seed`` only.

        Args:
            n: number of pictures.
            attributes: requests (n, A): +1, -1, or 0 for no request; None requests nothing.
            seed: of z, of the descriptions and of unknown attributes.

        Raises:
            MienError: for requests of another shape.
        """
        generator = torch.Generator().manual_seed(seed)
        device = self.descriptions.device
        count = self.descriptions.shape[1]
        z = torch.rand(n, self.latent, generator=generator) * 2 - 1
        chance = torch.rand(n, count, generator=generator).to(device)
        rows = torch.randint(DESCRIPTIONS, (n,), generator=generator).to(device)
        if attributes is None:
            attributes = torch.zeros(n, count)
        elif tuple(attributes.shape) != (n, count):
            got = tuple(attributes.shape)
            raise MienError(f"expected attributes ({n}, {count}), got {got}: one row of ±1 for each picture")
        description = self.describe(attributes.to(device), rows)
        pictures: Tensor = self(z.to(device), self.multi_hot(description, chance), drawn=True)
        return pictures


def class_loss(logits: Tensor, conditions: Tensor) -> Tensor:
    """Return the cross-entropy of classes, a scalar, for ``conditions`` (B, A) with one +1 a row, or none if unknown.

    >>> class_loss(torch.zeros(2, 4), torch.tensor([[-1.0, 1.0, -1.0, -1.0], [0.0, 0.0, 0.0, 0.0]]))
    tensor(1.3863)
    """
    label = torch.where((conditions > 0).any(1), conditions.argmax(1), -1)
    return losses.class_cross_entropy(logits, label)


def check_conditions(model: str, attributes: tuple[str, ...], classes: tuple[str, ...]) -> None:
    """Raise MienError if a data set has neither attributes nor two classes to train a conditional ``model``."""
    if not attributes and len(classes) < 2:
        raise MienError(
            f"expected a data set with attributes or classes to train {model}, got one without: "
            "use avatars, celeba, mnist, or folder with a table of attributes"
        )
