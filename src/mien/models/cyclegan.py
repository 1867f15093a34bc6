"""CycleGAN: adds and removes one attribute by two translators that undo each other (Zhu, Park, Isola & Efros 2017).

"Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", ICCV 2017. Losses: Eq. 1 to 3, in
the least-squares form of §4. Networks: §7.2.

X are the pictures without the attribute, and Y those with it. G: X → Y adds the attribute, and F: Y → X removes it.
D_X and D_Y distinguish the pictures of a domain from translated ones.

Departures
- The paper has a width of 64, one picture in a step, and 200 epochs of about 1,000 pictures. Here the width is 16,
  because the residual blocks are costly on a CPU, and a step has half of its pictures from each domain.
- The authors train D on a history of 50 translated pictures, which reduces oscillation. Here D gets the translated
  pictures of the step only; a step has more than one.
- D_X and D_Y step at the same time as G and F, from one forward pass. The authors update G and F first.
- The training pictures are balanced: as many of Y as of X. The paper's sets are not balanced.
- Pictures of 128 pixels and below have 6 residual blocks, the paper's number for 128. Pictures below 32 pixels have
  fewer strides in D, see :class:`mien.networks.image_to_image.PatchDiscriminator`.
- The identity loss of §5.2, which the paper uses for paintings, is off. ``identity=0.5`` is the paper's weight; it
  keeps a picture as it is if it has the attribute already.
- The paper has no amounts. Here the amount +1 is G and -1 is F. An amount in between mixes the picture with its
  translation, pixel by pixel.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from mien.abilities import Edits
from mien.data.batch import Batch
from mien.data.dataset import Dataset
from mien.errors import UnknownName
from mien.models.base import Model, Update, not_negative, positive
from mien.networks.dcgan import initialize
from mien.networks.domains import domain, weighted_mean
from mien.networks.image_to_image import PatchDiscriminator, ResidualTranslator


class CycleGAN(Model, Edits):
    """CycleGAN of one attribute.

    Args:
        shape: (C, H, W) of the pictures; H and W divide by 4.
        attributes: the data set's names.
        attribute: the name of the attribute to add and remove; optional if there is only one.
        width: channels of the first layer of every network; the paper has 64.
        blocks: residual blocks of G and of F.
        cycle: λ, weight of the cycle-consistency loss.
        identity: weight of the identity loss, as a multiple of ``cycle``.
        lr: learning rate of Adam; it falls to zero in the second half of the training.
        betas: decay rates of Adam.
    """

    players = ("G", "F", "D_X", "D_Y")
    epochs = 20

    def __init__(
        self,
        shape: tuple[int, int, int] = (3, 64, 64),
        attributes: tuple[str, ...] = (),
        attribute: str = "",
        width: int = 16,
        blocks: int = 6,
        cycle: float = 10.0,
        identity: float = 0.0,
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.5, 0.999),
    ):
        super().__init__()
        positive(width=width, lr=lr)
        not_negative(blocks=blocks, cycle=cycle, identity=identity)
        self.domain = domain(attribute, attributes)
        self.editable = (self.domain.name,) if attributes else ()
        self.cycle, self.identity, self.lr, self.betas = cycle, identity, lr, betas
        self.G = ResidualTranslator(shape, width, blocks)
        self.F = ResidualTranslator(shape, width, blocks)
        self.D_X = PatchDiscriminator(shape, width)
        self.D_Y = PatchDiscriminator(shape, width)
        self.apply(initialize)  # N(0, 0.02²), §7.1

    def edit(self, x: Tensor, amounts: Mapping[str, float]) -> Tensor:
        """Return x + |amount| · (G(x) - x) in [-1, 1] for an amount above zero, and the same with F for one below.

        The amount +1 is G's picture, which has the attribute, and -1 is F's. An amount in between mixes it with ``x``.

        Raises:
            UnknownName: for another attribute than the model's.
        """
        for name, amount in amounts.items():
            if name not in self.editable:
                raise UnknownName("attribute", name, self.editable)
            if amount:
                translated = (self.G if amount > 0 else self.F)(x)
                x = (x + abs(amount) * (translated - x)).clamp(-1, 1)
        return x

    def changes(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the amounts +1 and -1 add to pictures ``x`` (B, C, H, W), before the result is clamped."""
        return self.G(x) - x, self.F(x) - x

    def needs(self, attributes: tuple[str, ...], classes: tuple[str, ...]) -> None:
        """Refuse a data set without attributes, and a data set with several if none was chosen."""
        del classes
        self.domain.check(self.name, attributes)

    def training_index(self, dataset: Dataset, index: np.ndarray, seed: int) -> np.ndarray:
        """Return the positions of all pictures of the rarer domain and of as many of the other, drawn by ``seed``."""
        return self.domain.balanced(dataset, index, seed)

    def lr_factor(self, progress: float) -> float:
        """Return 1 in the first half of the training; then what remains on a straight line to 0 (§7.1)."""
        return min(1.0, 2 * (1 - progress))

    def training_step(self, batch: Batch, update: Update) -> None:
        """Take one step of Eq. 3, with least squares in place of Eq. 1."""
        pictures, weight = self.domain.sides(batch)
        (x, y), (of_x, of_y) = pictures.chunk(2), weight.chunk(2)
        y_made, x_made = self.G(x), self.F(y)
        y_score, x_score = self.D_Y(y_made), self.D_X(x_made)
        gan = _squared(y_score, 1, of_x) + _squared(x_score, 1, of_y)
        cycle = _distance(self.F(y_made), x, of_x) + _distance(self.G(x_made), y, of_y)  # Eq. 2
        # the authors divide D's objective by 2, so that D learns more slowly
        d_x = 0.5 * (_squared(self.D_X(x), 1, of_x) + _squared(x_score, 0, of_y))
        d_y = 0.5 * (_squared(self.D_Y(y), 1, of_y) + _squared(y_score, 0, of_x))
        terms = {"gan": gan, "cycle": cycle, "d_x": d_x, "d_y": d_y}
        g = gan + self.cycle * cycle
        if self.identity:  # §5.2
            terms["identity"] = _distance(self.G(y), y, of_y) + _distance(self.F(x), x, of_x)
            g = g + self.cycle * self.identity * terms["identity"]
        update({("G", "F"): g, "D_X": d_x, "D_Y": d_y}, **terms)


def _squared(scores: Tensor, target: float, weight: Tensor) -> Tensor:
    """Return the mean of (D - target)² over the pictures with weight 1; ``scores`` are (B, 1, h, w)."""
    return weighted_mean((scores - target).square(), weight)


def _distance(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """Return the mean of |a - b| over the pictures with weight 1; both are (B, C, H, W)."""
    return weighted_mean((a - b).abs(), weight)
