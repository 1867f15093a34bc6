"""VAE/GAN: a VAE that reconstructs the features of a GAN's discriminator (Larsen, Sønderby, Larochelle & Winther 2016).

"Autoencoding beyond pixels using a learned similarity metric", ICML 2016. Training: Algorithm 1.

    L_prior = KL(q(z | x) || N(0, I))
    L_llike = ½ ‖Dis_l(x) - Dis_l(Dec(z))‖², which is -log N(Dis_l(x); Dis_l(Dec(z)), I) without its constant
    L_GAN = log Dis(x) + log(1 - Dis(Dec(z))) + log(1 - Dis(Dec(z_p))) with z_p ~ N(0, I)

Enc minimizes L_prior + L_llike, Dec minimizes γ L_llike - L_GAN, and Dis does not minimize L_llike.

Departures
- L_GAN is a log-likelihood, and Algorithm 1 treats it as a loss. Here the discriminator maximizes it, and the decoder
  is its opponent.
- The decoder minimizes -log Dis of its two kinds of pictures in place of log(1 - Dis) (Goodfellow et al. 2014, §3).
- The paper does not print γ. L_llike is a sum over the features, so a γ fits one layer of one network only. Here
  ``gamma`` multiplies the mean over the features, for the decoder. The encoder minimizes the sum.
- Table 1 has other widths and a dense layer of 512 in the discriminator, and of 2,048 in the encoder. Here encoder and
  discriminator have DCGAN's trunk, and the decoder is DCGAN's generator, as in the other GANs of this library.
- The paper compares the map of one layer ``l``. Here it is the discriminator's last map by default.
- The authors use RMSProp with 3e-4. Here it is Adam.
- The decoder's BatchNorm has separate running statistics for codes of pictures and for samples of the prior.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Normal
from torch.nn import functional as F

from mien import losses
from mien.abilities import Decodes, Encodes, Generates
from mien.data.batch import Batch
from mien.errors import MienError
from mien.models.base import Model, Update, not_negative, positive
from mien.networks.dcgan import DCGANEncoder, DCGANGenerator, DCGANHead
from mien.networks.prior import standard_normal


class VAEGAN(Model, Encodes, Decodes, Generates):
    """VAE/GAN.

    Args:
        shape: (C, H, W) of the pictures.
        latent: K, the length of the latent vector.
        width: channels of the first map of encoder and discriminator, and of the decoder's last one.
        layer: l, number of the discriminator's map that is compared, counted from 1; 0 is the last.
        alpha: weight of the KL divergence for the encoder; the paper has 1.
        gamma: γ, weight of L_llike for the decoder, as a mean over the features.
        lr: learning rate of Adam.
        betas: decay rates of Adam.
    """

    players = ("encoder", "decoder", "discriminator")
    epochs = 25

    def __init__(
        self,
        shape: tuple[int, int, int] = (3, 64, 64),
        latent: int = 128,
        width: int = 32,
        layer: int = 0,
        alpha: float = 1.0,
        gamma: float = 5.0,
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.5, 0.999),
    ):
        super().__init__()
        positive(latent=latent, width=width, lr=lr)
        not_negative(alpha=alpha, gamma=gamma)
        self.latent, self.alpha, self.gamma, self.lr, self.betas = latent, alpha, gamma, lr, betas
        self.encoder = DCGANEncoder(shape, latent, width)
        self.decoder = DCGANGenerator(shape, latent, width)
        self.discriminator = DCGANHead(shape, width)
        count = len(self.discriminator.trunk.stages)
        if not 0 <= layer <= count:
            raise MienError(f"expected layer from 1 to {count}, or 0 for the last, got {layer}")
        self.layer = (layer or count) - 1

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
        x: Tensor = self.decoder(standard_normal(n, self.latent, seed, self), drawn=True)
        return x

    def training_step(self, batch: Batch, update: Update) -> None:
        """Take one step of Algorithm 1: one forward pass; each of the three losses moves its own networks."""
        q = self.encode(batch.x)
        z = q.rsample()
        x_rec = self.decode(z)
        x_new = self.decoder(torch.randn_like(z), drawn=True)
        real, maps = self.discriminator.with_maps(batch.x)
        again, maps_rec = self.discriminator.with_maps(x_rec)
        new = self.discriminator(x_new)
        kl = losses.kl(q).mean()  # L_prior
        # L_llike per feature; the discriminator does not minimize it
        rec = losses.feature_distance(maps[self.layer], maps_rec[self.layer]).mean()
        d = losses.non_saturating(real, again).critic + F.softplus(new).mean()  # -L_GAN
        g = F.softplus(-again).mean() + F.softplus(-new).mean()
        update(
            {
                "encoder": self.alpha * kl + maps[self.layer][0].numel() * rec,  # the sum over the features
                "decoder": self.gamma * rec + g,
                "discriminator": d,
            },
            kl=kl, rec=rec, d=d, g=g,
        )  # fmt: skip
