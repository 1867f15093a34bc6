"""Two-stage VAE: a VAE with a learned noise level, and a second VAE of its latents (Dai & Wipf 2019).

"Diagnosing and Enhancing VAE Models", ICLR 2019, §4. The first VAE learns the standard deviation γ of its decoder. If γ
becomes small, the codes of the pictures fill the latent space and do not follow N(0, I). A second VAE, of latents z ~
q(z | x), learns their distribution. A sample is u ~ N(0, I), then z from the second decoder, then x from the first.

Departures
- The first VAE has DCGAN's layout (the paper tries the networks of InfoGAN, WAE and a residual one), and the second VAE
  has three dense layers with a skip connection, as in the paper, of ``hidden`` units in place of 1,024.
- The paper trains the first VAE for 120 epochs (CelebA) and the second for 300. Here the second begins at the share
  ``first`` of the training. Each step encodes a batch with the first VAE, which is fixed.
- γ has a learning rate of its own, ``lr_gamma``: in a short training, the rate of the networks moves it little.
- The paper halves the learning rate at intervals. Here it falls along half a cosine in each stage.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from mien import losses
from mien.abilities import Decodes, Encodes, Generates
from mien.data.batch import Batch
from mien.errors import MienError
from mien.models.base import Model, Update, positive
from mien.networks.dcgan import DCGANEncoder, DCGANGenerator
from mien.networks.dense import Deviation, SkipDense
from mien.networks.encoders import gaussian
from mien.networks.prior import standard_normal


class TwoStageVAE(Model, Encodes, Decodes, Generates):
    """Two-stage VAE.

    Args:
        shape: (C, H, W) of the pictures.
        latent: K, the length of z and of u.
        width: channels of the encoder's first map and of the decoder's last one.
        hidden: units of a dense layer of the second VAE.
        first: share of the training for the first VAE.
        lr: learning rate of Adam; it falls along half a cosine in each stage.
        lr_gamma: learning rate of both γ.
        betas: decay rates of Adam.
    """

    players = ("encoder", "decoder", "gamma", "encoder2", "decoder2", "gamma2")
    epochs = 25

    def __init__(
        self,
        shape: tuple[int, int, int] = (3, 64, 64),
        latent: int = 64,
        width: int = 32,
        hidden: int = 512,
        first: float = 0.6,
        lr: float = 1e-3,
        lr_gamma: float = 1e-2,
        betas: tuple[float, float] = (0.9, 0.999),
    ):
        super().__init__()
        positive(latent=latent, width=width, hidden=hidden, lr=lr, lr_gamma=lr_gamma)
        if not 0 < first < 1:
            raise MienError(f"expected first in (0, 1), got {first}: each stage needs a share of the training")
        self.latent, self.stages = latent, (0.0, first)
        self.lr, self.lr_gamma, self.betas = lr, lr_gamma, betas
        self.encoder, self.decoder = DCGANEncoder(shape, latent, width), DCGANGenerator(shape, latent, width)
        self.encoder2, self.decoder2 = SkipDense(latent, hidden, 2 * latent), SkipDense(latent, hidden, latent)
        self.gamma, self.gamma2 = Deviation(), Deviation()

    def encode(self, x: Tensor) -> Normal:
        """Return q(z | x) of the first VAE, a Normal of (B, K)."""
        q: Normal = self.encoder(x)
        return q

    def decode(self, z: Tensor) -> Tensor:
        """Return pictures (B, C, H, W) of latents z (B, K)."""
        x: Tensor = self.decoder(z)
        return x

    def generate(self, n: int, attributes: Tensor | None = None, seed: int = 0) -> Tensor:
        """Return n pictures of u ~ N(0, I) and z ~ p(z | u). The model has no conditions and ignores ``attributes``."""
        u, noise = standard_normal(n, 2 * self.latent, seed, self).chunk(2, 1)
        return self.decode(self.decoder2(u) + self.gamma2() * noise)

    def training_step(self, batch: Batch, update: Update) -> None:
        """Minimize the first VAE's loss, from the share ``first`` of the training on the second's (§4)."""
        if self.progress < self.stages[1]:
            q = self.encode(batch.x)
            loss, terms = vae_loss(q, batch.x, self.decode(q.rsample()), self.gamma())
            update({("encoder", "decoder", "gamma"): loss}, **terms)
            return
        self.encoder.eval()  # fixed, with its BatchNorm statistics
        with torch.no_grad():
            z = self.encode(batch.x).rsample()
        self.encoder.train(self.training)
        q = gaussian(self.encoder2(z))
        loss, terms = vae_loss(q, z, self.decoder2(q.rsample()), self.gamma2())
        update({("encoder2", "decoder2", "gamma2"): loss}, **{f"{name}2": term for name, term in terms.items()})

    def optimizer(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Return Adam; both γ have their own learning rate."""
        parameters = list(parameters)
        scalar = any(parameters[0] is gamma.log for gamma in (self.gamma, self.gamma2))
        return torch.optim.Adam(parameters, lr=self.lr_gamma if scalar else self.lr, betas=self.betas, fused=True)

    def lr_factor(self, progress: float) -> float:
        """Fall along half a cosine in each stage."""
        start, end = (0.0, self.stages[1]) if progress < self.stages[1] else (self.stages[1], 1.0)
        return 0.5 * (1 + math.cos(math.pi * (progress - start) / (end - start)))


def vae_loss(q: Normal, x: Tensor, mean: Tensor, gamma: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Return KL(q || N(0, I)) - log N(x; mean, γ²) in nats, averaged over the batch, and its terms.

    Args:
        q: of (B, K).
        x, mean: what is encoded, and the decoder's output, of the same shape (B, …).
        gamma: γ, a scalar.
    """
    kl = losses.kl(q).mean()
    error = (x - mean).square().flatten(1)  # (B, D)
    rec = (error / (2 * gamma.square()) + gamma.log() + 0.5 * math.log(2 * math.pi)).sum(1).mean()
    return kl + rec, {"kl": kl, "rec": rec, "gamma": gamma}
