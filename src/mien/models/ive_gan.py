"""IVE-GAN: a GAN that encodes what random transformations of a picture leave as it is (Winter & Clevert 2017).

"IVE-GAN: Invariant Encoding Generative Adversarial Networks", arXiv 1711.08646, as Liu 2018 (SelfExGAN, §3.2) describes
it: the structure is similar to BiGAN's, and a *translator* T makes the relation of a pair visible to the discriminator.

The discriminator of pairs sees a picture x beside T(x), which is real, or beside G(E(x), z'), which is generated. So
E(x) must describe what T keeps, and the noise z' determines what T changes. A second discriminator compares G(z, z')
for z ~ N(0, I) with pictures, so that the model also generates.

Departures
- The thesis describes the model in two sentences and a figure. The losses here are the original GAN's for both games,
  non-saturating for E and G, with equal weights.
- T shifts, scales and brightens a picture a little, by random amounts of up to ``change`` of its size. The original has
  shifts, rotations and more, chosen for each data set.
- The networks are DCGAN's. The pair is one input of twice as many channels. All players step together.
- ``decode`` takes z' = 0. So a reconstruction shows what E(x) describes, and it is not aligned with the picture to the
  pixel.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from mien import losses
from mien.abilities import Decodes, Encodes, Generates
from mien.data.batch import Batch
from mien.models.base import Model, Update, not_negative, positive
from mien.networks.dcgan import DCGANGenerator, DCGANHead
from mien.networks.point import Point
from mien.networks.prior import standard_normal


class IVEGAN(Model, Encodes, Decodes, Generates):
    """IVE-GAN.

    Args:
        shape: (C, H, W) of the pictures.
        latent: K, the length of the code z.
        noise: length of z', the noise that determines what the translator changes.
        width: channels of the first map of encoder and discriminators, and of the generator's last one.
        change: largest change of the translator: share of the size, of the scale, and of the range of gray.
        lr: learning rate of Adam.
        betas: decay rates of Adam.
    """

    players = ("generator", "encoder", "image_discriminator", "pair_discriminator")
    epochs = 25

    def __init__(
        self,
        shape: tuple[int, int, int] = (3, 64, 64),
        latent: int = 64,
        noise: int = 8,
        width: int = 32,
        change: float = 0.1,
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.5, 0.999),
    ):
        super().__init__()
        positive(latent=latent, noise=noise, width=width, lr=lr)
        not_negative(change=change)
        self.latent, self.noise, self.change, self.lr, self.betas = latent, noise, change, lr, betas
        self.generator = DCGANGenerator(shape, latent + noise, width)
        self.encoder = DCGANHead(shape, width, latent)
        self.image_discriminator = DCGANHead(shape, width)
        self.pair_discriminator = DCGANHead((2 * shape[0], *shape[1:]), width)

    def encode(self, x: Tensor) -> Point:
        """Return E(x), a Point of (B, K)."""
        return Point(self.encoder(x))

    def decode(self, z: Tensor) -> Tensor:
        """Return G(z, 0), pictures (B, C, H, W) of latents (B, K)."""
        x: Tensor = self.generator(F.pad(z, (0, self.noise)))
        return x

    def generate(self, n: int, attributes: Tensor | None = None, seed: int = 0) -> Tensor:
        """Return n pictures G(z, z') with z, z' ~ N(0, I). The model has no conditions and ignores ``attributes``."""
        z = standard_normal(n, self.latent + self.noise, seed, self)
        x: Tensor = self.generator(z, drawn=True)
        return x

    def training_step(self, batch: Batch, update: Update) -> None:
        """Take one step of both games."""
        x, n = batch.x, len(batch)
        z_new = torch.randn(n, self.latent + self.noise, device=x.device)
        noise = torch.randn(n, self.noise, device=x.device)
        moved = translated(x, self.change)
        x_rec = self.generator(torch.cat([self.encoder(x), noise], 1))
        x_new = self.generator(z_new, drawn=True)
        pair = losses.non_saturating(self._pair(moved, x), self._pair(x_rec, x))
        image = losses.non_saturating(self.image_discriminator(x), self.image_discriminator(x_new))
        update(
            {
                "pair_discriminator": pair.critic,
                "image_discriminator": image.critic,
                "encoder": pair.generator,
                "generator": pair.generator + image.generator,
            },
            d_pair=pair.critic, g_pair=pair.generator, d_image=image.critic, g_image=image.generator,
        )  # fmt: skip

    def _pair(self, x: Tensor, beside: Tensor) -> Tensor:
        """Return logits (B, 1) of ``x`` being T(``beside``), both (B, C, H, W)."""
        logits: Tensor = self.pair_discriminator(torch.cat([x, beside], 1))
        return logits


def translated(x: Tensor, change: float) -> Tensor:
    """Return pictures ``x`` (B, C, H, W), each shifted, scaled and brightened by random amounts of up to ``change``.

    Pixels from outside repeat the border.

    >>> translated(torch.ones(2, 3, 8, 8), 0.0).mean()
    tensor(1.)
    """
    n = len(x)
    amounts = change * (2 * torch.rand(n, 4, device=x.device) - 1)  # (B, 4)
    zoom = 1 + amounts[:, 0]
    zero = torch.zeros_like(zoom)
    # a shift by the whole size is 2 in the coordinates of the grid
    rows = [torch.stack([zoom, zero, 2 * amounts[:, 1]], 1), torch.stack([zero, zoom, 2 * amounts[:, 2]], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), list(x.shape), align_corners=False)
    moved = F.grid_sample(x, grid, padding_mode="border", align_corners=False)
    return (moved + 2 * amounts[:, 3, None, None, None]).clamp(-1, 1)
