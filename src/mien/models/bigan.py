"""BiGAN: a GAN that judges pairs of picture and code, so that its encoder inverts its generator (Donahue et al. 2017).

J. Donahue, Krähenbühl & Darrell, "Adversarial Feature Learning", ICLR 2017, Eq. 2 and 3; at the same time Dumoulin et
al., "Adversarially Learned Inference" (ALI), ICLR 2017. D maximizes log D(x, E(x)) + log(1 - D(G(z), z)). At the
optimum, E and G invert each other. There is no reconstruction loss.

Departures
- E and G minimize the game with the labels exchanged, as in the authors' code: -log(1 - D(x, E(x))) - log D(G(z), z).
- The encoder is Gaussian and z ~ N(0, I), as in ALI. BiGAN's encoder is deterministic and its z is U(-1, 1). A new
  Gaussian encoder returns about N(0, I), so D cannot recognize the pairs by their codes.
- The papers have one learning rate. D at first judges the picture alone. Then nothing keeps the codes near N(0, I): on
  avatars (32 px, seed 0), reconstructions were black after 300 steps, with a deterministic encoder too. Here the
  encoder learns at a tenth of the generator's rate, and D at half of it.
- The networks are DCGAN's. D joins the features of the picture with z, and three dense layers judge both. All players
  step together, from one forward pass.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from mien import losses
from mien.abilities import Decodes, Encodes, Generates
from mien.data.batch import Batch
from mien.models.base import Model, Update, positive
from mien.networks.dcgan import DCGANEncoder, DCGANGenerator, initialize
from mien.networks.prior import standard_normal
from mien.networks.residual import halvings, stage_widths
from mien.networks.stacks import LEAKY, Conv, Dense, PairStack


class BiGAN(Model, Encodes, Decodes, Generates):
    """BiGAN.

    Args:
        shape: (C, H, W) of the pictures.
        latent: K, the length of z.
        width: channels of the first map of encoder and discriminator, and of the generator's last one.
        lr: learning rate of Adam for the generator.
        lr_encoder: learning rate of Adam for the encoder.
        lr_discriminator: learning rate of Adam for the discriminator.
        betas: decay rates of Adam.
    """

    players = ("generator", "encoder", "discriminator")
    epochs = 25

    def __init__(
        self,
        shape: tuple[int, int, int] = (3, 64, 64),
        latent: int = 100,
        width: int = 32,
        lr: float = 2e-4,
        lr_encoder: float = 2e-5,
        lr_discriminator: float = 1e-4,
        betas: tuple[float, float] = (0.5, 0.999),
    ):
        super().__init__()
        positive(latent=latent, width=width, lr=lr, lr_encoder=lr_encoder, lr_discriminator=lr_discriminator)
        self.latent, self.lr, self.betas = latent, lr, betas
        self.lr_encoder, self.lr_discriminator = lr_encoder, lr_discriminator
        self.generator = DCGANGenerator(shape, latent, width)
        self.encoder = DCGANEncoder(shape, latent, width)
        units = 16 * width
        convs = [Conv(5, 2, c, i > 0, LEAKY) for i, c in enumerate(stage_widths(width, halvings(shape)))]
        pair = (Dense(units, False, LEAKY), Dense(units, False, LEAKY), Dense(1, False, nn.Identity))
        self.discriminator = PairStack(shape, latent, [*convs, Dense(units, False, LEAKY)], pair)
        self.discriminator.apply(initialize)

    def encode(self, x: Tensor) -> Normal:
        """Return q(z | x), a Normal of (B, K)."""
        q: Normal = self.encoder(x)
        return q

    def decode(self, z: Tensor) -> Tensor:
        """Return G(z), pictures (B, C, H, W) of latents (B, K)."""
        x: Tensor = self.generator(z)
        return x

    def generate(self, n: int, attributes: Tensor | None = None, seed: int = 0) -> Tensor:
        """Return n pictures G(z) with z ~ N(0, I). The model has no conditions and ignores ``attributes``."""
        return self.decode(standard_normal(n, self.latent, seed, self))

    def training_step(self, batch: Batch, update: Update) -> None:
        """Take one step of Eq. 3."""
        z = torch.randn(len(batch), self.latent, device=batch.x.device)
        real = self._judge(batch.x, self.encode(batch.x).rsample())
        fake = self._judge(self.decode(z), z)
        d = losses.non_saturating(real, fake).critic
        other = losses.non_saturating(fake, real).critic  # with the labels exchanged
        update({"discriminator": d, ("generator", "encoder"): other}, d=d, ge=other)

    def optimizer(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Return Adam; each player has its own learning rate."""
        parameters = list(parameters)
        own = {self.encoder: self.lr_encoder, self.discriminator: self.lr_discriminator}
        lr = next((rate for net, rate in own.items() if next(net.parameters()) is parameters[0]), self.lr)
        return torch.optim.Adam(parameters, lr=lr, betas=self.betas, fused=True)

    def _judge(self, x: Tensor, z: Tensor) -> Tensor:
        """Return logits (B, 1) of the pairs of pictures (B, C, H, W) and codes (B, K)."""
        logits: Tensor = self.discriminator(self.discriminator.picture(x), z)
        return logits.float()
