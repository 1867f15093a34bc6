"""AGE: an adversarial generator and encoder without a discriminator (Ulyanov, Vedaldi & Lempitsky 2018).

"It Takes (Only) Two: Adversarial Generator-Encoder Networks", AAAI 2018. The encoder E maps pictures to a sphere. It
makes the codes of real pictures like the prior and those of generated pictures unlike it; the generator makes the codes
of its pictures like the prior. The measure is the KL divergence Δ of the batch's moments from N(0, I) (Eq. 5). E also
minimizes the error of reconstructed pictures, and G that of reconstructed codes (Eq. 8 and 9).

Departures
- The sphere has the radius √K, not 1, so that its points have the moments of N(0, I), with which Eq. 5 compares them.
- Eq. 5 is a sum over the dimensions. Here it is the mean, as in the authors' code, and so are L_X and L_Z: ``mu`` and
  ``lam`` mean the same at every size. Their weights for CelebA are the defaults: 10 for L_X, and
  1,000 for L_Z on the unit sphere with K = 64, which is 16 here.
- The networks are DCGAN's, as theirs. The BatchNorm statistics of E come from real pictures, and G has separate
  statistics for codes of pictures and for samples of the prior.
- The updates of a step share a batch. Each update of G draws a new z.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mien.abilities import Decodes, Encodes, Generates
from mien.data.batch import Batch
from mien.models.base import Model, Update, not_negative, positive
from mien.networks.dcgan import DCGANGenerator, DCGANHead
from mien.networks.point import Point
from mien.networks.prior import standard_normal
from mien.networks.sphere import distance, moment_kl, project


class AGE(Model, Encodes, Decodes, Generates):
    """AGE.

    Args:
        shape: (C, H, W) of the pictures.
        latent: K, the length of z.
        width: channels of the encoder's first map and of the generator's last one.
        mu: μ, weight of the mean absolute error of reconstructed pictures, for the encoder.
        lam: λ, weight of the squared distance of reconstructed codes, averaged over coordinates, for the generator.
        generator_updates: updates of the generator for each update of the encoder.
        lr: learning rate of Adam.
        betas: decay rates of Adam.
    """

    players = ("generator", "encoder")
    epochs = 25

    def __init__(
        self,
        shape: tuple[int, int, int] = (3, 64, 64),
        latent: int = 64,
        width: int = 32,
        mu: float = 10.0,
        lam: float = 16.0,
        generator_updates: int = 2,
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.5, 0.999),
    ):
        super().__init__()
        positive(latent=latent, width=width, generator_updates=generator_updates, lr=lr)
        not_negative(mu=mu, lam=lam)
        self.latent, self.mu, self.lam, self.lr, self.betas = latent, mu, lam, lr, betas
        self.generator_updates, self.radius = generator_updates, latent**0.5
        self.generator = DCGANGenerator(shape, latent, width)
        self.encoder = DCGANHead(shape, width, latent)

    def encode(self, x: Tensor) -> Point:
        """Return E(x), a Point of (B, K) on the sphere."""
        return Point(self._code(x))

    def decode(self, z: Tensor) -> Tensor:
        """Return pictures (B, C, H, W) of latents (B, K)."""
        x: Tensor = self.generator(z)
        return x

    def generate(self, n: int, attributes: Tensor | None = None, seed: int = 0) -> Tensor:
        """Return n pictures of z from the uniform distribution on the sphere; ``attributes`` are ignored."""
        z = project(standard_normal(n, self.latent, seed, self), self.radius)
        x: Tensor = self.generator(z, drawn=True)
        return x

    def training_step(self, batch: Batch, update: Update) -> None:
        """Take one step of Eq. 9 for the encoder, then ``generator_updates`` steps of Eq. 8 for the generator."""
        z = self._drawn(batch)
        with torch.no_grad():
            fake = self.generator(z, drawn=True)
        code = self._code(batch.x)
        kl_real, kl_fake = moment_kl(code), moment_kl(self._code(fake, remember=False))
        rec = (batch.x - self.decode(code)).abs().mean()  # L_X
        update({"encoder": kl_real - kl_fake + self.mu * rec}, kl_real=kl_real, kl_fake=kl_fake, rec=rec)
        for _ in range(self.generator_updates):
            z = self._drawn(batch)
            code = self._code(self.generator(z, drawn=True), remember=False)
            kl, back = moment_kl(code), distance(code, z)  # L_Z
            update({"generator": kl + self.lam * back}, kl_generator=kl, z=back)

    def _code(self, x: Tensor, remember: bool = True) -> Tensor:
        """Return E(x) (B, K) on the sphere."""
        return project(self.encoder(x, remember), self.radius)

    def _drawn(self, batch: Batch) -> Tensor:
        """Return as many points z of the sphere, (B, K), as the batch has pictures."""
        return project(torch.randn(len(batch), self.latent, device=batch.x.device), self.radius)
