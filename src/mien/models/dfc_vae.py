"""DFC-VAE: deep feature consistent variational autoencoder (Hou, Shen, Sun & Qiu, WACV 2017).

VAE-WGAN (Hou et al. 2019) compares itself with this model and adds a critic to it. The equations here, 5 to 7, and
the encoder and decoder are those of that later paper. ``layers=1,2,3`` is VAE-123 and ``layers=3,4,5`` VAE-345.

Departures: the feature loss has a measured scale (see ``FeatureLoss`` in :mod:`mien.networks.loss_network`);
``feature_scale=1`` is the formula of the paper.
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
        loss_network: Φ, frozen; on the command line ``vgg19``, a file of VGG-19 weights, or the folder of an
            ``attribute_cnn`` run.
        shape: (C, H, W) of the pictures.
        latent: K, the size of the latents.
        width: channels of the first stage of the encoder.
        layers: the layers of the feature loss, numbers from 1 to 5 for relu1_1 … relu5_1.
        alpha: weight of the KL divergence (Eq. 7).
        beta: weight of the feature loss (Eq. 7).
        pair_loss: the feature loss between different pictures that the measured scale gives, in nats.
        feature_scale: a fixed scale of the feature loss in place of the measured one; 0 measures it.
        lr: learning rate of Adam; it is halved after each fifth of the training.
        betas: decay rates of Adam.
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
        q: Normal = self.encoder(x)
        return q

    def decode(self, z: Tensor) -> Tensor:
        """Return pictures (B, C, H, W) of latents (B, K)."""
        x: Tensor = self.decoder(z)
        return x

    def generate(self, n: int, attributes: Tensor | None = None, seed: int = 0) -> Tensor:
        """Return n pictures decoded from z ~ N(0, I). The model has no conditions and ignores ``attributes``."""
        return self.decode(standard_normal(n, self.latent, seed, self))

    def calibrate(self, batch: Batch) -> None:
        """Measure the scale of the feature loss."""
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
        """Halve the learning rate after each fifth of the training: after each epoch of the paper's five."""
        return 0.5 ** int(5 * progress)
