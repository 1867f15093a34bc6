"""DCGAN: the convolutional GAN with BatchNorm and strided convolutions (Radford, Metz & Chintala 2016).

"Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks", ICLR 2016. Networks and
settings: §3, §4 and Fig. 1. Objective: Goodfellow et al. 2014, Eq. 1.

Departures
- The discriminator steps first in the authors' code, and the generator's loss is computed with its new weights. Here
  both players step together, from one forward pass.
- The generator minimizes -log D(G(z)), as in Goodfellow et al. 2014, §3. Eq. 1 of that paper has log(1 - D(G(z))).
- Fig. 1 has 1,024 channels at 4x4 for 64x64 pictures. Here the widths double from ``width`` on, up to eight times it.
  The default is half of the paper's, so that a CPU trains it; ``width=128`` has the widths of Fig. 1. Pictures of
  128 pixels or more start at 8x8.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mien import losses
from mien.abilities import Generates
from mien.data.batch import Batch
from mien.models.base import Model, Update, positive
from mien.networks.dcgan import DCGANGenerator, DCGANHead
from mien.networks.prior import uniform


class DCGAN(Model, Generates):
    """DCGAN.

    Args:
        shape: (C, H, W) of the pictures.
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
        latent: int = 100,
        width: int = 32,
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.5, 0.999),
    ):
        super().__init__()
        positive(latent=latent, width=width, lr=lr)
        self.latent, self.lr, self.betas = latent, lr, betas
        self.generator = DCGANGenerator(shape, latent, width)
        self.discriminator = DCGANHead(shape, width)

    def generate(self, n: int, attributes: Tensor | None = None, seed: int = 0) -> Tensor:
        """Return n pictures G(z) with z ~ U(-1, 1). The model has no conditions and ignores ``attributes``."""
        x: Tensor = self.generator(uniform(n, self.latent, seed, self))
        return x

    def training_step(self, batch: Batch, update: Update) -> None:
        """Goodfellow et al. 2014, Algorithm 1 with k = 1."""
        z = torch.rand(len(batch), self.latent, device=batch.x.device) * 2 - 1
        # real and generated pictures are separate batches for BatchNorm (§3)
        gan = losses.non_saturating(self.discriminator(batch.x), self.discriminator(self.generator(z)))
        update({"discriminator": gan.critic, "generator": gan.generator}, d=gan.critic, g=gan.generator)
