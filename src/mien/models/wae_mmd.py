"""WAE-MMD: an autoencoder whose codes match the prior by the maximum mean discrepancy (Tolstikhin et al. 2018).

"Wasserstein Auto-Encoders" (Tolstikhin, Bousquet, Gelly & Schölkopf), ICLR 2018, Algorithm 2: c(x, G(E(x))) + λ MMD,
where c is the squared error, summed over the pixels, and MMD is the unbiased estimate with the inverse multiquadratics
kernel C / (C + ‖z - z'‖²).

Departures
- §4 has C = 2 K σ². Here the kernel is the sum over C times 0.1, 0.2, 0.5, 1, 2, 5 and 10, as in the authors' code.
- The prior is N(0, I), where §4 has σ² = 2 for CelebA, so that applications draw from the same prior for every model.
- The networks are DCGAN's. The paper halves the learning rate after 30 of its 55 epochs and divides it by 5 again after
  50; here the same at these shares of the training.
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

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # of the kernel, times 2 K


class WAEMMD(Model, Encodes, Decodes, Generates):
    """Wasserstein autoencoder with the MMD penalty.

    Args:
        shape: (C, H, W) of the pictures.
        latent: K, the length of the latent vector.
        width: channels of the encoder's first map and of the decoder's last one.
        lam: λ, weight of the MMD; the paper has 100 for CelebA and 10 for MNIST.
        lr: learning rate of Adam at the start.
        betas: decay rates of Adam.
    """

    players = ("encoder", "decoder")
    epochs = 25

    def __init__(
        self,
        shape: tuple[int, int, int] = (3, 64, 64),
        latent: int = 64,
        width: int = 32,
        lam: float = 100.0,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.5, 0.999),
    ):
        super().__init__()
        positive(latent=latent, width=width, lr=lr)
        not_negative(lam=lam)
        self.latent, self.lam, self.lr, self.betas = latent, lam, lr, betas
        self.encoder = DCGANHead(shape, width, latent)
        self.decoder = DCGANGenerator(shape, latent, width)

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
        """Take one step of Algorithm 2."""
        z = self.encoder(batch.x)
        rec = (batch.x - self.decode(z)).square().flatten(1).sum(1).mean()
        penalty = mmd(torch.randn_like(z), z)
        update({("encoder", "decoder"): rec + self.lam * penalty}, rec=rec, mmd=penalty)

    def lr_factor(self, progress: float) -> float:
        """Return 1, then 1/2 after 30/55 of the training, and 1/10 after 50/55 (appendix F of the paper)."""
        return 1.0 if progress < 30 / 55 else 0.5 if progress < 50 / 55 else 0.1


def mmd(a: Tensor, b: Tensor) -> Tensor:
    """Return the unbiased estimate of the squared maximum mean discrepancy of ``a`` and ``b`` (B, K), a scalar.

    It may be slightly negative. B must be at least 2.

    >>> mmd(torch.zeros(4, 2), torch.zeros(4, 2))
    tensor(0.)
    """
    n, k = a.shape

    def kernel(u: Tensor, v: Tensor) -> Tensor:
        """Return the kernel of all pairs of rows, (B, B)."""
        squared = (u[:, None] - v[None]).square().sum(2)  # (B, B)
        return torch.stack([scale * 2 * k / (scale * 2 * k + squared) for scale in SCALES]).sum(0)

    def pairs(u: Tensor) -> Tensor:
        """Return the mean over pairs of different rows. With itself, a row has the kernel's largest value."""
        return (kernel(u, u).sum() - n * len(SCALES)) / (n * (n - 1))

    return pairs(a) + pairs(b) - 2 * kernel(a, b).mean()
