"""VAE-WGAN: a VAE with a feature loss and a Wasserstein critic on features (Hou, Sun, Shen & Qiu 2019).

"Improving variational autoencoder with deep feature consistent and generative adversarial training",
Neurocomputing 341. Networks: §3.2 and Fig. 2. Training: Algorithm 1.

Departures
- The feature loss has a measured scale (``FeatureLoss`` in :mod:`mien.networks.loss_network`), because the weights of
  Eq. 6 assume Caffe's activations; ``feature_scale=1`` is the literal formula. The scale depends on Φ and on the
  chosen layers, so a model of one layer (Fig. 7) is balanced like a model of five.
- The label ±10 (§3.4) was tuned by the authors against the loss of their VGG-19. It is kept, although Φ's loss is
  scaled here: the balance between critic and reconstruction may differ from theirs.
- The widths of Fig. 2 are unreadable. 64-128-256-512 are DCGAN's, which the paper names as its basis. There are as many
  stages as halve the picture to 4x4: the paper's four at 64x64.
- Pictures of CelebA are cropped to 178x178 by default (§4.1); ``--data-option crop=148`` is the tighter crop of others.
- Algorithm 1 clips the critic's weights, and the text clips its gradients. The default is weights;
  ``clip_weights=0 clip_gradients=0.01`` follows the text.
- Clipped weights include the scales of the critic's BatchNorm, so scores are small and the adversarial gradient is a
  few thousandths of the reconstruction's. A critic whose BatchNorm has no scales ended no better at ``label=1``
  (32 px, 1,450 steps, one seed: feature-FID 39.8 and 15.2 of samples and reconstructions, against 41.1 and 15.8), and
  worse at the paper's 10 (42.8 and 17.3). So Algorithm 1 is implemented as written.
- The signs of Algorithm 1 are reversed to the usual convention: the critic scores real pictures high.
- The paper halves the learning rate after each of its 5 epochs. Here it is halved after each fifth of the training,
  which is the same for 5 epochs.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Normal

from mien import losses
from mien.abilities import Decodes, Encodes, Generates
from mien.data.batch import Batch
from mien.models.base import Model, Update, not_negative, positive
from mien.networks.critics import ResidualCritic
from mien.networks.decoders import ResidualDecoder
from mien.networks.encoders import ResidualEncoder
from mien.networks.loss_network import FeatureLoss, LossNetwork
from mien.networks.prior import standard_normal


class VAEWGAN(Model, Encodes, Decodes, Generates):
    """VAE-WGAN.

    Args:
        loss_network: Φ, frozen. On the command line: ``vgg19``, a file of VGG-19 weights, or the folder of a run whose
            model describes pictures.
        shape: (C, H, W) of the pictures.
        latent: K, the length of the latent vector.
        width: channels of the first stage of encoder and critic.
        layers: which of relu1_1 … relu5_1 enter the feature loss (Fig. 7 takes one at a time).
        alpha: weight of the KL divergence (Eq. 8).
        beta: weight of the feature loss (Eq. 8).
        label: the label of real pictures; its negative is the label of fakes (§3.4, where 1 and 100 failed).
        clip_weights: bound of the critic's weights after each step; 0 does not clip.
        clip_gradients: bound of the critic's gradients; 0 does not clip.
        critic_eps: number that the critic's BatchNorm adds to the variance. With clipped weights, the variance of most
            maps is below the usual 1e-5, so BatchNorm does not normalize them; with 1e-12 it does.
        prior_fakes: weight of decoded z ~ N(0, I) as additional fakes; Algorithm 1 has none.
        pair_loss: mean feature loss of two different pictures in nats; it determines the scale of the feature loss.
        feature_scale: fixed scale of the feature loss, in place of ``pair_loss``; 0 uses ``pair_loss``.
        lr: learning rate of Adam; it is halved after each fifth of the training.
        betas: decay rates of Adam.
    """

    players = ("encoder", "decoder", "critic")

    def __init__(
        self,
        loss_network: LossNetwork,
        shape: tuple[int, int, int] = (3, 64, 64),
        latent: int = 100,
        width: int = 64,
        layers: tuple[int, ...] = (1, 2, 3, 4, 5),
        alpha: float = 1.0,
        beta: float = 0.5,
        label: float = 10.0,
        clip_weights: float = 0.01,
        clip_gradients: float = 0.0,
        critic_eps: float = 1e-5,
        prior_fakes: float = 0.0,
        pair_loss: float = 3000.0,
        feature_scale: float = 0.0,
        lr: float = 5e-4,
        betas: tuple[float, float] = (0.9, 0.999),
    ):
        super().__init__()
        positive(latent=latent, width=width, label=label, lr=lr, critic_eps=critic_eps)
        not_negative(alpha=alpha, beta=beta, clip_weights=clip_weights, clip_gradients=clip_gradients)
        not_negative(prior_fakes=prior_fakes)
        self.alpha, self.beta, self.label, self.lr, self.betas = alpha, beta, label, lr, betas
        self.clip_weights, self.clip_gradients, self.prior_fakes = clip_weights, clip_gradients, prior_fakes
        self.latent = latent
        self.feature_loss = FeatureLoss(loss_network, layers, pair_loss, feature_scale)
        self.encoder = ResidualEncoder(shape, latent, width)
        self.decoder = ResidualDecoder(shape, latent, width)
        # the critic sees relu1_1 of the pictures, not their pixels (§3.4)
        self.critic = ResidualCritic((loss_network.config["widths"][0], *shape[1:]), width, critic_eps)

    def encode(self, x: Tensor) -> Normal:
        """Return q(z | x), a Normal of (B, K)."""
        q: Normal = self.encoder(x)
        return q

    def decode(self, z: Tensor) -> Tensor:
        """Return pictures (B, C, H, W) of latents (B, K)."""
        pictures: Tensor = self.decoder(z)
        return pictures

    def generate(self, n: int, attributes: Tensor | None = None, seed: int = 0) -> Tensor:
        """Return n pictures decoded from z ~ N(0, I); ``attributes`` cannot be asked for and are ignored."""
        return self.decode(standard_normal(n, self.latent, seed, self))

    def calibrate(self, batch: Batch) -> None:
        """Measure the feature loss's scale."""
        self.feature_loss.calibrate(batch.x)

    def training_step(self, batch: Batch, update: Update) -> None:
        """Algorithm 1."""
        q = self.encode(batch.x)
        z = q.rsample()
        x_rec = self.decode(z)
        real, fake = self.feature_loss.features(batch.x), self.feature_loss.features(x_rec)
        kl = losses.kl(q).mean()  # Eq. 2
        rec = self.feature_loss(real, fake).mean()  # Eq. 5, 6
        score_real, score_fake = self.critic(real[0]), self.critic(fake[0])
        gan = losses.wasserstein(score_real, score_fake, scale=self.label)
        critic, generator = gan
        if self.prior_fakes > 0:
            prior = self.feature_loss.network(self.decode(torch.randn_like(z)), upto=1)
            more = losses.wasserstein(score_real, self.critic(prior[0]), scale=self.label)
            critic = critic + self.prior_fakes * more.critic
            generator = generator + self.prior_fakes * more.generator
        update(
            # Eq. 8; the KL term does not depend on the decoder and so does not reach it
            {("encoder", "decoder"): self.alpha * kl + self.beta * rec + generator, "critic": critic},
            clip_weights={"critic": self.clip_weights},
            clip_gradients={"critic": self.clip_gradients},
            kl=kl,
            rec=rec,
            critic=gan.critic,
            generator=gan.generator,
        )

    def lr_factor(self, progress: float) -> float:
        """Halve after each fifth: after each epoch of the paper's five (§4.1)."""
        return 0.5 ** int(5 * progress)
