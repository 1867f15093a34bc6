"""ACGAN: a conditional GAN whose discriminator also recognizes the condition (Odena, Olah & Shlens 2017).

"Conditional Image Synthesis with Auxiliary Classifier GANs", ICML 2017, §3: L_S is the log-likelihood of the source,
real or generated, and L_C that of the class. D maximizes L_S + L_C; G maximizes L_C - L_S.

The conditions are the attributes of the data set; if it has none, its classes. c is multi-hot or one-hot.

Departures
- The paper has classes. Attributes are independent questions here, and L_C is the mean over the known ones, times
  ``label_weight``; 1 is the paper for classes. On avatars (32 px, seed 0), samples had the requested attributes after
  300 steps with 10 (L_C .04 on generated pictures) and were gray; with 1 they were clearer after 250 steps, and the
  attributes weak (.58). The default lies between.
- G maximizes the log-likelihood that its pictures are real, in place of minimizing L_S (Goodfellow et al. 2014, §3).
- The networks are DCGAN's; the paper's discriminator for ImageNet has six convolutions with dropout. Both players step
  together, from one forward pass.
- The c of generated pictures are descriptions of training pictures, so attributes occur together as they do there. The
  paper draws classes from a uniform distribution.
- The BatchNorm statistics of D come from real pictures only, because D recognizes real pictures.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien import losses
from mien.abilities import Generates, Recognizes
from mien.data.batch import Batch
from mien.models.base import Model, Update, not_negative, positive
from mien.networks.conditional import ConditionalGenerator, check_conditions, class_loss
from mien.networks.dcgan import DCGANHead


class ACGAN(Model, Generates, Recognizes):
    """ACGAN.

    Args:
        shape: (C, H, W) of the pictures.
        attributes: the data set's attributes, which are the conditions.
        classes: the data set's classes, which are the conditions if there are no attributes.
        latent: K, the length of z.
        width: channels of the discriminator's first map and of the generator's last one.
        label_weight: weight of L_C, a mean over the attributes; 1 is the paper for classes.
        lr: learning rate of Adam.
        betas: decay rates of Adam.
    """

    players = ("generator", "discriminator")
    epochs = 25

    def __init__(
        self,
        shape: tuple[int, int, int] = (3, 64, 64),
        attributes: tuple[str, ...] = (),
        classes: tuple[str, ...] = (),
        latent: int = 100,
        width: int = 32,
        label_weight: float = 3.0,
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.5, 0.999),
    ):
        super().__init__()
        positive(latent=latent, width=width, lr=lr)
        not_negative(label_weight=label_weight)
        self.attributes, self.classes = attributes, () if attributes else classes
        self.conditions = self.attributes or self.classes
        self.label_loss = losses.attribute_cross_entropy if attributes else class_loss
        self.latent, self.label_weight, self.lr, self.betas = latent, label_weight, lr, betas
        count = len(self.conditions) or 1
        self.generator = ConditionalGenerator(shape, latent, count, width, one_of=bool(self.classes))
        self.discriminator = DCGANHead(shape, width, 1 + count)  # the source, then the conditions

    def generate(self, n: int, attributes: Tensor | None = None, seed: int = 0) -> Tensor:
        """Return n pictures G(z, c) with z ~ U(-1, 1) and c from training pictures, with the requests changed.

        Args:
            n: number of pictures.
            attributes: requests (n, A): +1, -1, or 0 for no request.
            seed: of z and c.

        Raises:
            MienError: for requests of another shape.
        """
        return self.generator.sample(n, attributes, seed)

    def recognize(self, x: Tensor) -> Tensor:
        """Return the probability of each attribute, (B, A), or class, (B, classes)."""
        logits: Tensor = self.discriminator(x)[:, 1:]
        return logits.softmax(1) if self.classes else logits.sigmoid()

    def needs(self, attributes: tuple[str, ...], classes: tuple[str, ...]) -> None:
        """Refuse a data set with neither attributes nor two classes."""
        check_conditions(self.name, attributes, classes)

    def calibrate(self, batch: Batch) -> None:
        """Remember the conditions of some training pictures."""
        self.generator.remember(self.generator.conditions(batch))

    def read_attributes(self, table: NDArray[np.int8]) -> None:
        """Find the attributes that exclude each other in the training data."""
        self.generator.read_attributes(table)

    def training_step(self, batch: Batch, update: Update) -> None:
        """Take one step of L_S and L_C (§3)."""
        labels = self.generator.conditions(batch)
        c = self.generator.multi_hot(labels, torch.rand_like(labels))  # (B, A)
        z = torch.rand(len(c), self.latent, device=c.device) * 2 - 1
        real = self.discriminator(batch.x)
        fake = self.discriminator(self.generator(z, c, drawn=True), remember=False)
        source = losses.non_saturating(real[:, 0], fake[:, 0])  # L_S
        label_real = self.label_loss(real[:, 1:], labels)  # L_C
        label_fake = self.label_loss(fake[:, 1:], 2 * c - 1)
        update(
            {
                "discriminator": source.critic + self.label_weight * (label_real + label_fake),
                "generator": source.generator + self.label_weight * label_fake,
            },
            d=source.critic, g=source.generator, label_real=label_real, label_fake=label_fake,
        )  # fmt: skip
