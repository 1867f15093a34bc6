"""VAE: the plain variational autoencoder with a pixel loss (Kingma & Welling 2014).

It is the baseline of all five papers ("Plain-VAE"): Eq. 1 to 3 of Hou et al. 2019 with the encoder and decoder of that
paper. So ``vae``, ``dfc_vae`` and ``vae_wgan`` differ in the loss only.

Departures: no paper gives the standard deviation of the Gaussian likelihood. With ``sigma`` = 0.5, for pictures in
[-1, 1], the posterior neither collapses nor ignores the prior.
"""

from __future__ import annotations

from torch import Tensor
from torch.distributions import Normal

from mien import losses
from mien.abilities import Decodes, Encodes, Generates
from mien.data.batch import Batch
from mien.models.base import Model, Update, not_negative, positive
from mien.networks.decoders import ResidualDecoder
from mien.networks.encoders import ResidualEncoder
from mien.networks.prior import standard_normal


class VAE(Model, Encodes, Decodes, Generates):
    """Plain VAE.

    Args:
        shape: (C, H, W) of the pictures.
        latent: K, the size of the latents.
        width: channels of the first stage of the encoder.
        alpha: weight of the KL term; 1 is Eq. 3.
        sigma: standard deviation of p(x | z), in the units of the pictures, which are in [-1, 1].
        lr: learning rate of Adam; it is halved after each fifth of the training.
        betas: decay rates of Adam.
    """

    players = ("encoder", "decoder")

    def __init__(
        self,
        shape: tuple[int, int, int] = (3, 64, 64),
        latent: int = 100,
        width: int = 64,
        alpha: float = 1.0,
        sigma: float = 0.5,
        lr: float = 5e-4,
        betas: tuple[float, float] = (0.9, 0.999),
    ):
        super().__init__()
        positive(latent=latent, width=width, sigma=sigma, lr=lr)
        not_negative(alpha=alpha)
        self.alpha, self.sigma, self.lr, self.betas, self.latent = alpha, sigma, lr, betas, latent
        self.encoder = ResidualEncoder(shape, latent, width)
        self.decoder = ResidualDecoder(shape, latent, width)

    def encode(self, x: Tensor) -> Normal:
        """Return q(z | x), a Normal of (B, K)."""
        q: Normal = self.encoder(x)
        return q

    def decode(self, z: Tensor) -> Tensor:
        """Return pictures (B, C, H, W) of latents (B, K)."""
        x: Tensor = self.decoder(z)
        return x

    def generate(self, n: int, attributes: Tensor | None = None, seed: int = 0) -> Tensor:
        """Return n pictures decoded from z ~ N(0, I). The model has no conditions and ignores ``attributes``."""
        return self.decode(standard_normal(n, self.latent, seed, self))

    def training_step(self, batch: Batch, update: Update) -> None:
        """Minimize Eq. 3."""
        q = self.encode(batch.x)
        x_rec = self.decode(q.rsample())
        kl = losses.kl(q).mean()  # Eq. 2
        rec = losses.gaussian_reconstruction(batch.x, x_rec, self.sigma).mean()  # Eq. 1
        update({("encoder", "decoder"): self.alpha * kl + rec}, kl=kl, rec=rec)

    def lr_factor(self, progress: float) -> float:
        """Halve the learning rate after each fifth of the training: after each epoch of the papers' five."""
        return 0.5 ** int(5 * progress)
