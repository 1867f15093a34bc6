"""DFC-VAE: deep feature consistent variational autoencoder (Hou, Shen, Sun & Qiu, WACV 2017).

Compared system of VAE-WGAN (Hou et al. 2019), which is this model plus its critic: Eq. 5 to 7 of the later
paper, with the later paper's encoder and decoder. ``layers=1,2,3`` is VAE-123 and ``layers=3,4,5`` VAE-345.

Departures: the feature loss carries a measured scale (see ``FeatureLoss`` in
:mod:`mien.networks.loss_network`); ``feature_scale=1`` is the literal formula.
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
from mien.networks.loss_network import FeatureLoss, LossNetwork
from mien.networks.prior import standard_normal


class DFCVAE(Model, Encodes, Decodes, Generates):
    """Deep feature consistent VAE.

    Args:
        loss_network: Φ, frozen; from the command line ``vgg19``, a VGG-19 weights file, or the folder of
            an ``attribute_cnn`` run.
        shape: (C, H, W) of the pictures.
        latent: K.
        width: channels of the encoder's first stage.
        layers: which of relu1_1 … relu5_1 enter the feature loss.
        alpha, beta: weights of KL and feature loss, Eq. 7.
        pair_loss, feature_scale: the feature loss's scale, measured or fixed.
        lr, betas: Adam's; the learning rate is halved after each fifth of the training.
    """

    players = ("encoder", "decoder")

    def __init__(
        self,
        loss_network: LossNetwork,
        shape: tuple[int, int, int] = (3, 64, 64),
        latent: int = 100,
        width: int = 64,
        layers: tuple[int, ...] = (1, 2, 3),
        alpha: float = 1.0,
        beta: float = 0.5,
        pair_loss: float = 3000.0,
        feature_scale: float = 0.0,
        lr: float = 5e-4,
        betas: tuple[float, float] = (0.9, 0.999),
    ):
        super().__init__()
        positive(latent=latent, width=width, lr=lr)
        not_negative(alpha=alpha, beta=beta)
        self.alpha, self.beta, self.lr, self.betas, self.latent = alpha, beta, lr, betas, latent
        self.feature_loss = FeatureLoss(loss_network, layers, pair_loss, feature_scale)
        self.encoder = ResidualEncoder(shape, latent, width)
        self.decoder = ResidualDecoder(shape, latent, width)

    def encode(self, x: Tensor) -> Normal:
        """Return q(z | x), a Normal of (B, K)."""
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        """Return pictures (B, C, H, W) of latents (B, K)."""
        return self.decoder(z)

    def generate(self, n: int, attributes: Tensor | None = None, seed: int = 0) -> Tensor:
        """Return n pictures decoded from z ~ N(0, I); ``attributes`` cannot be asked for and are ignored."""
        return self.decode(standard_normal(n, self.latent, seed, self))

    def calibrate(self, batch: Batch) -> None:
        """Measure the feature loss's scale."""
        self.feature_loss.calibrate(batch.x)

    def training_step(self, batch: Batch, update: Update) -> None:
        """Minimize Eq. 7."""
        q = self.encode(batch.x)
        x_rec = self.decode(q.rsample())
        real, fake = self.feature_loss.features(batch.x), self.feature_loss.features(x_rec)
        kl = losses.kl(q).mean()  # Eq. 2
        rec = self.feature_loss(real, fake).mean()  # Eq. 5, 6
        update({("encoder", "decoder"): self.alpha * kl + self.beta * rec}, kl=kl, rec=rec)

    def lr_factor(self, progress: float) -> float:
        """Halve after each fifth: after each epoch of the paper's five."""
        return 0.5 ** int(5 * progress)
