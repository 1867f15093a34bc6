"""AAE: an autoencoder whose codes a discriminator compares with samples of the prior (Makhzani et al. 2016).

"Adversarial Autoencoders" (Makhzani, Shlens, Jaitly, Goodfellow & Frey), ICLR 2016 workshop, §2. In the reconstruction
phase, encoder and decoder minimize the error of the reconstruction. In the regularization phase, the discriminator
learns to distinguish codes from samples of N(0, I), and then the encoder learns to confuse it.

Departures
- The paper has dense networks for MNIST, TFD and SVHN. Here encoder and decoder have DCGAN's layout.
- The paper's encoder may be deterministic or Gaussian. Here it is deterministic.
- The phases are one step, from one forward pass: the encoder minimizes the weighted sum of its losses. The paper takes
  separate SGD steps with different rates. ``weight`` is for a reconstruction error that is a mean over the pixels.
- The encoder minimizes -log D(E(x)), as in Goodfellow et al. 2014, §3.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mien import losses
from mien.abilities import Decodes, Encodes, Generates
from mien.data.batch import Batch
from mien.models.base import Model, Update, not_negative, positive
from mien.networks.dcgan import DCGANGenerator, DCGANHead
from mien.networks.point import Point
from mien.networks.prior import standard_normal
from mien.networks.stacks import LEAKY, Dense, Stack


class AAE(Model, Encodes, Decodes, Generates):
    """Adversarial autoencoder.

    Args:
        shape: (C, H, W) of the pictures.
        latent: K, the length of the latent vector.
        width: channels of the encoder's first map and of the decoder's last one.
        hidden: units of the two hidden layers of the discriminator.
        weight: weight of the adversarial loss for the encoder, beside the mean squared error of the pixels.
        lr: learning rate of Adam.
        betas: decay rates of Adam.
    """

    players = ("encoder", "decoder", "discriminator")
    epochs = 25

    def __init__(
        self,
        shape: tuple[int, int, int] = (3, 64, 64),
        latent: int = 64,
        width: int = 32,
        hidden: int = 512,
        weight: float = 0.01,
        lr: float = 5e-4,
        betas: tuple[float, float] = (0.5, 0.999),
    ):
        super().__init__()
        positive(latent=latent, width=width, hidden=hidden, lr=lr)
        not_negative(weight=weight)
        self.latent, self.weight, self.lr, self.betas = latent, weight, lr, betas
        self.encoder = DCGANHead(shape, width, latent)
        self.decoder = DCGANGenerator(shape, latent, width)
        self.discriminator = Stack(
            (latent,), (Dense(hidden, False, LEAKY), Dense(hidden, False, LEAKY), Dense(1, False, nn.Identity))
        )

    def encode(self, x: Tensor) -> Point:
        """Return E(x), a Point of (B, K)."""
        return Point(self.encoder(x))

    def decode(self, z: Tensor) -> Tensor:
        """Return pictures (B, C, H, W) of latents (B, K)."""
        x: Tensor = self.decoder(z)
        return x

    def generate(self, n: int, attributes: Tensor | None = None, seed: int = 0) -> Tensor:
        """Return n pictures decoded from z ~ N(0, I). The model has no conditions and ignores ``attributes``."""
        return self.decode(standard_normal(n, self.latent, seed, self))

    def training_step(self, batch: Batch, update: Update) -> None:
        """Take both phases (§2) in one step."""
        z = self.encoder(batch.x)
        rec = (batch.x - self.decode(z)).square().mean()
        drawn, code = self.discriminator(torch.randn_like(z)).float(), self.discriminator(z).float()
        gan = losses.non_saturating(drawn, code)
        update(
            {
                ("encoder", "decoder"): rec,
                "encoder": self.weight * gan.generator,
                "discriminator": gan.critic,
            },
            rec=rec, d=gan.critic, g=gan.generator,
        )  # fmt: skip
