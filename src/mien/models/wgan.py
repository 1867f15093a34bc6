"""WGAN: a GAN whose critic estimates the Wasserstein distance (Arjovsky, Chintala & Bottou 2017).

"Wasserstein Generative Adversarial Networks", ICML 2017, Algorithm 1. With ``penalty`` above 0 it is WGAN-GP
(Gulrajani, Ahmed, Arjovsky, Dumoulin & Courville, "Improved Training of Wasserstein GANs", NeurIPS 2017, Algorithm 1).
The settings of that paper are ``penalty=10 lr=1e-4 betas=0,0.9``.

Departures
- Algorithm 1 draws new pictures for each of the ``n_critic`` updates of the critic. Here the updates of a step share
  the pictures of a batch and draw a new z each, so an epoch passes over the pictures once.
- RMSProp is Adam with β1 = 0 and without the correction of the first steps. Here it is Adam, with the decay 0.99 of
  PyTorch's RMSProp. The correction shortens the first steps, which RMSProp makes up to ten times as long.
- The authors' code takes 100 critic updates for each of the first 25 generator updates. Here all steps are alike.
- With a gradient penalty, the critic has layer normalization in place of BatchNorm (Gulrajani et al., §4), and its
  weights are not clipped. The layout stays DCGAN's; theirs has residual blocks.
- All weights of the critic are clipped, BatchNorm's scales and offsets too, as in the authors' code.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from mien import losses
from mien.abilities import Generates
from mien.data.batch import Batch
from mien.models.base import Model, Update, not_negative, positive
from mien.networks.dcgan import DCGANGenerator, DCGANHead
from mien.networks.penalty import gradient_penalty
from mien.networks.prior import standard_normal


class WGAN(Model, Generates):
    """WGAN, or WGAN-GP with ``penalty`` above 0.

    Args:
        shape: (C, H, W) of the pictures.
        latent: K, the length of z.
        width: channels of the critic's first map and of the generator's last one.
        n_critic: updates of the critic for each update of the generator.
        clip_weights: bound of the critic's weights after each of its updates, without a penalty.
        penalty: weight of the gradient penalty; above 0 it replaces the clipping.
        lr: learning rate of Adam.
        betas: decay rates of Adam.
    """

    players = ("generator", "critic")
    epochs = 25

    def __init__(
        self,
        shape: tuple[int, int, int] = (3, 64, 64),
        latent: int = 100,
        width: int = 32,
        n_critic: int = 5,
        clip_weights: float = 0.01,
        penalty: float = 0.0,
        lr: float = 5e-5,
        betas: tuple[float, float] = (0.0, 0.99),
    ):
        super().__init__()
        positive(latent=latent, width=width, n_critic=n_critic, clip_weights=clip_weights, lr=lr)
        not_negative(penalty=penalty)
        self.latent, self.n_critic, self.lr, self.betas = latent, n_critic, lr, betas
        self.penalty, self.clip_weights = penalty, 0.0 if penalty else clip_weights
        self.generator = DCGANGenerator(shape, latent, width)
        # one group of channels normalizes over a whole map: layer normalization
        norm: Callable[[int], nn.Module] = partial(nn.GroupNorm, 1) if penalty else nn.BatchNorm2d
        self.critic = DCGANHead(shape, width, norm=norm)

    def generate(self, n: int, attributes: Tensor | None = None, seed: int = 0) -> Tensor:
        """Return n pictures G(z) with z ~ N(0, I). The model has no conditions and ignores ``attributes``."""
        x: Tensor = self.generator(standard_normal(n, self.latent, seed, self))
        return x

    def training_step(self, batch: Batch, update: Update) -> None:
        """Algorithm 1: ``n_critic`` updates of the critic, then one of the generator."""
        for _ in range(self.n_critic):
            with torch.no_grad():
                fake = self._fake(batch)
            critic = losses.wasserstein(self.critic(batch.x), self.critic(fake)).critic
            penalty = gradient_penalty(self.critic, batch.x, fake) if self.penalty else critic.new_zeros(())
            update(
                {"critic": critic + self.penalty * penalty},
                clip_weights={"critic": self.clip_weights},
                critic=critic,
                penalty=penalty,
            )
        generator = -self.critic(self._fake(batch)).mean()
        update({"generator": generator}, generator=generator)

    def _fake(self, batch: Batch) -> Tensor:
        """Return as many generated pictures as the batch has pictures."""
        x: Tensor = self.generator(torch.randn(len(batch), self.latent, device=batch.x.device))
        return x
