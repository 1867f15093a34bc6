"""CGAN: a GAN whose generator and discriminator both get the condition (Mirza & Osindero 2014).

"Conditional Generative Adversarial Nets", arXiv 1411.1784, Eq. 2: D maximizes log D(x | c) + log(1 - D(G(z | c) | c)).

The conditions are the attributes of the data set; if it has none, its classes. c is multi-hot or one-hot.

Departures
- The paper has dense networks for MNIST. Here they are DCGAN's. c is joined to z, and the discriminator gets it as
  constant maps beside the picture.
- The generator minimizes -log D(G(z | c) | c), as in Goodfellow et al. 2014, §3, and both players step together, from
  one forward pass. Adam replaces SGD with momentum, and there is no dropout.
- The c of generated pictures are those of the real pictures in the batch. Unknown attributes are drawn by their
  frequency in the training pictures.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien import losses
from mien.abilities import Generates
from mien.data.batch import Batch
from mien.models.base import Model, Update, positive
from mien.networks.conditional import ConditionalGenerator, check_conditions
from mien.networks.dcgan import DCGANHead


class CGAN(Model, Generates):
    """CGAN.

    Args:
        shape: (C, H, W) of the pictures.
        attributes: the data set's attributes, which are the conditions.
        classes: the data set's classes, which are the conditions if there are no attributes.
        latent: K, the length of z.
        width: channels of the discriminator's first map and of the generator's last one.
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
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.5, 0.999),
    ):
        super().__init__()
        positive(latent=latent, width=width, lr=lr)
        self.conditions, self.classes = attributes or classes, () if attributes else classes
        self.latent, self.lr, self.betas = latent, lr, betas
        count = len(self.conditions) or 1
        self.generator = ConditionalGenerator(shape, latent, count, width, one_of=bool(self.classes))
        self.discriminator = DCGANHead((shape[0] + count, *shape[1:]), width)

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
        """Take one step of Eq. 2."""
        labels = self.generator.conditions(batch)
        c = self.generator.multi_hot(labels, torch.rand_like(labels))  # (B, A)
        z = torch.rand(len(c), self.latent, device=c.device) * 2 - 1
        fake = self.generator(z, c, drawn=True)
        gan = losses.non_saturating(self._judge(batch.x, c), self._judge(fake, c))
        update({"discriminator": gan.critic, "generator": gan.generator}, d=gan.critic, g=gan.generator)

    def _judge(self, x: Tensor, c: Tensor) -> Tensor:
        """Return logits (B, 1) of ``x`` (B, C, H, W) being real, given ``c`` (B, A)."""
        maps = c[:, :, None, None].expand(-1, -1, *x.shape[2:])
        logits: Tensor = self.discriminator(torch.cat([x, maps], 1))
        return logits
