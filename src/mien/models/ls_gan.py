"""LS-GAN: the loss-sensitive GAN, whose margin between real and generated pictures is their distance (Qi 2017).

"Loss-Sensitive Generative Adversarial Networks on Lipschitz Densities" (G.-J. Qi, arXiv 1701.06264; IJCV 2020), Eq. 6
and 7. It is the LSGAN of Hou et al. 2019, reference [41]. The least-squares GAN is another model.

A network L_θ gives each picture a loss. The loss of a real picture is to be lower than that of a generated one, by a
margin Δ(x, G(z)): their distance. The generator minimizes L_θ(G(z)).

Departures
- Δ is the L1 distance, times 2e-4 at 64x64 in the author's code. Here it is the mean absolute difference, times
  ``margin``, so that one value fits all sizes; 2.5 is that number.
- The term E[L_θ(x)] has the weight ``gamma``. It is 0 in the author's code and by default here: a margin loss does not
  change if a constant is added to L_θ, and this term would then lower the constant without end.
- The author's code ends L_θ in a ReLU. Here it is linear: if all losses are 0, a ReLU gives no gradient to either side.
- The learning rate is DCGAN's, 2e-4; the author's code has 1e-4, which needs more steps: on avatars (32 px, seed 0),
  samples were noise after 300 steps, and faces after 400 steps with 2e-4.
- The networks are DCGAN's, as in the paper, with 5x5 convolutions. Both players step together, from one forward pass.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mien.abilities import Generates
from mien.data.batch import Batch
from mien.models.base import Model, Update, not_negative, positive
from mien.networks.dcgan import DCGANGenerator, DCGANHead
from mien.networks.prior import uniform


class LSGAN(Model, Generates):
    """Loss-sensitive GAN.

    Args:
        shape: (C, H, W) of the pictures.
        latent: K, the length of z.
        width: channels of the loss network's first map and of the generator's last one.
        margin: factor of Δ, the mean absolute difference of a real and a generated picture.
        gamma: weight of the mean loss of real pictures.
        lr: learning rate of Adam.
        betas: decay rates of Adam.
    """

    players = ("generator", "loss")
    epochs = 25

    def __init__(
        self,
        shape: tuple[int, int, int] = (3, 64, 64),
        latent: int = 100,
        width: int = 32,
        margin: float = 2.5,
        gamma: float = 0.0,
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.5, 0.999),
    ):
        super().__init__()
        positive(latent=latent, width=width, margin=margin, lr=lr)
        not_negative(gamma=gamma)
        self.latent, self.margin, self.gamma, self.lr, self.betas = latent, margin, gamma, lr, betas
        self.generator = DCGANGenerator(shape, latent, width)
        self.loss = DCGANHead(shape, width)

    def generate(self, n: int, attributes: Tensor | None = None, seed: int = 0) -> Tensor:
        """Return n pictures G(z) with z ~ U(-1, 1). The model has no conditions and ignores ``attributes``."""
        x: Tensor = self.generator(uniform(n, self.latent, seed, self))
        return x

    def training_step(self, batch: Batch, update: Update) -> None:
        """Eq. 6 and 7: each real picture is compared with one generated picture."""
        fake = self.generator(torch.rand(len(batch), self.latent, device=batch.x.device) * 2 - 1)
        loss_real, loss_fake = self.loss(batch.x)[:, 0], self.loss(fake)[:, 0]  # (B,)
        distance = self.margin * (batch.x - fake).abs().flatten(1).mean(1)  # Δ, (B,)
        hinge = (distance + loss_real - loss_fake).clamp(min=0).mean()
        update(
            {"loss": self.gamma * loss_real.mean() + hinge, "generator": loss_fake.mean()},
            hinge=hinge,
            loss_real=loss_real.mean(),
            loss_fake=loss_fake.mean(),
        )
