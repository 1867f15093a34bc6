"""StarGAN: one generator that changes several attributes of a picture (Choi, Choi, Kim, Ha, Kim & Choo, CVPR 2018).

"StarGAN: Unified Generative Adversarial Networks for Multi-Domain Image-to-Image Translation".

G gets a picture and the description c of the result. D distinguishes real pictures from G's (D_src) and recognizes
their attributes (D_cls). G also has to restore the picture from its own result and the description c′ of the picture.

    L_adv = E[D_src(x)] - E[D_src(G(x, c))] - λ_gp E[(‖∇D_src(x̂)‖ - 1)²]
    L_cls = E[-log D_cls(c′ | x)] for D, and E[-log D_cls(c | G(x, c))] for G
    L_rec = E[‖x - G(G(x, c), c′)‖₁]
    L_D = -L_adv + λ_cls L_cls, and L_G = L_adv + λ_cls L_cls + λ_rec L_rec

Departures
- The paper has a width of 64 and five attributes of CelebA. Here the width is 16, because the residual blocks are
  costly on a CPU, and the attributes are all of the data set. Unknown ones are 0.5 in c and are left out of L_cls.
- The paper draws new pictures for each of the five updates of D. Here they share the pictures of a step and draw new
  targets each, so an epoch passes over the pictures once. The targets are the descriptions of the step's pictures in
  random order, as in the authors' code.
- D halves the picture to 2x2 at every size, with fewer convolutions below 128 pixels.
- The learning rate is constant in the first half of the training and falls to zero in the second, as in the paper (ten
  epochs each); here it falls with each step and not with each epoch.
- The paper takes c′ from the data set, also for an edit. Here an edit starts from the attributes that D_cls recognizes,
  rounded to 0 and 1, which are the values that G learned.
- The paper has no amounts. Here an amount between 0 and 1 moves a value of c that part of the way; the training has no
  such values. If two attributes exclude each other in the training pictures (two hair colors), adding one removes the
  other. The authors' code has a fixed list of hair colors for this.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien import losses
from mien.abilities import Edits, Recognizes
from mien.data.batch import Batch
from mien.models.base import Model, Update, not_negative, positive
from mien.networks.image_to_image import PatchClassifier, ResidualTranslator
from mien.networks.penalty import gradient_penalty
from mien.networks.targets import changed, check_attributes, exclusive, multi_hot, shuffled


class StarGAN(Model, Edits, Recognizes):
    """StarGAN.

    Args:
        shape: (C, H, W) of the pictures; H and W divide by 4.
        attributes: the data set's names.
        width: channels of the first layer of both networks; the paper has 64.
        blocks: residual blocks of G.
        lambda_cls: weight of L_cls, the sum over the attributes.
        lambda_rec: weight of L_rec.
        lambda_gp: weight of the gradient penalty.
        n_critic: updates of D for each update of G.
        lr: learning rate of Adam; it falls to zero in the second half of the training.
        betas: decay rates of Adam.
    """

    players = ("G", "D")
    epochs = 20
    excludes: Tensor

    def __init__(
        self,
        shape: tuple[int, int, int] = (3, 64, 64),
        attributes: tuple[str, ...] = (),
        width: int = 16,
        blocks: int = 6,
        lambda_cls: float = 1.0,
        lambda_rec: float = 10.0,
        lambda_gp: float = 10.0,
        n_critic: int = 5,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.5, 0.999),
    ):
        super().__init__()
        positive(width=width, n_critic=n_critic, lr=lr)
        not_negative(blocks=blocks, lambda_cls=lambda_cls, lambda_rec=lambda_rec, lambda_gp=lambda_gp)
        self.attributes = self.editable = attributes
        self.lambda_cls, self.lambda_rec, self.lambda_gp = lambda_cls, lambda_rec, lambda_gp
        self.n_critic, self.lr, self.betas = n_critic, lr, betas
        count = len(attributes) or 1
        self.G = ResidualTranslator(shape, width, blocks, count, kernel=4, padding="zeros")
        self.D = PatchClassifier(shape, width, count)
        self.register_buffer("excludes", torch.zeros(count, count, dtype=torch.int8))

    def edit(self, x: Tensor, amounts: Mapping[str, float]) -> Tensor:
        """Return G(x, c), where c is what D recognizes, with the amount +1 as 1 and -1 as 0.

        An amount in between moves the value of c that part of the way. An edit without amounts is G(x, c) with c
        unchanged.

        Raises:
            UnknownName: for an attribute that the model does not know.
        """
        c = (self.D(x)[1] > 0).float()
        y: Tensor = self.G(x, changed(c, amounts, self.attributes, self.excludes))
        return y

    def recognize(self, x: Tensor) -> Tensor:
        """Return D_cls, the probability of each attribute, (B, A)."""
        p: Tensor = self.D(x)[1].sigmoid()
        return p

    def needs(self, attributes: tuple[str, ...], classes: tuple[str, ...]) -> None:
        """Refuse a data set without attributes."""
        del classes
        check_attributes(self.name, attributes)

    def read_attributes(self, table: NDArray[np.int8]) -> None:
        """Find the attributes that exclude each other in the training data."""
        self.excludes.copy_(exclusive(table))

    def lr_factor(self, progress: float) -> float:
        """Return 1 in the first half of the training; then what remains on a straight line to 0."""
        return min(1.0, 2 * (1 - progress))

    def training_step(self, batch: Batch, update: Update) -> None:
        """Take ``n_critic`` updates of D by L_D, then one of G by L_G."""
        assert batch.attributes is not None
        x, labels = batch.x, batch.attributes
        for _ in range(self.n_critic):
            with torch.no_grad():
                fake = self.G(x, multi_hot(shuffled(labels)))
            source, logits = self.D(x)
            critic = losses.wasserstein(source, self.D(fake)[0]).critic  # -L_adv
            penalty = gradient_penalty(lambda pictures: self.D(pictures)[0], x, fake)
            label = self._label(logits, labels)
            update(
                {"D": critic + self.lambda_gp * penalty + self.lambda_cls * label},
                critic=critic, penalty=penalty, label_real=label,
            )  # fmt: skip
        target = shuffled(labels)
        fake = self.G(x, multi_hot(target))
        source, logits = self.D(fake)
        label = self._label(logits, target)
        rec = (x - self.G(fake, multi_hot(labels))).abs().mean()
        generator = -source.mean()
        update(
            {"G": generator + self.lambda_cls * label + self.lambda_rec * rec},
            generator=generator, label_fake=label, rec=rec,
        )  # fmt: skip

    def _label(self, logits: Tensor, attributes: Tensor) -> Tensor:
        """Return L_cls, a scalar: the cross-entropy (B, A), summed over the attributes, averaged over the pictures."""
        return attributes.shape[1] * losses.attribute_cross_entropy(logits, attributes)
