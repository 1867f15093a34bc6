"""SSAVAE: a semi-supervised VAE whose encoder is trained first, with a classifier, and then its decoder (Zemouri 2020).

"Semi-supervised adversarial variational autoencoder". Networks: §3.2 and Fig. 6. Training: Algorithms 1 and 2. It
takes pictures (C, H, W) and signals (C, 1, L): the same networks, with 1-d convolutions for the latter.

Departures
- Eq. 6 as printed is smallest where nothing is encoded: L_kl >= I(z; y) and L_cat >= H(y | z), so their sum is at
  least H(y), which KL = 0 reaches. Hence L_kl is the mean over the K dimensions, times ``kl_weight`` = 0.2, which
  serves K = 2 and 100 alike; ``kl_weight=K`` is the equation with the KL divergence as a sum.
- The text of Fig. 6 is lost, and with it all widths: ``width`` and ``hidden`` are small enough for a CPU, and
  ``width=64 hidden=512`` is a size such as GPUs are given. Pools come after the second and the fourth convolution.
  The decoder's seventh convolution makes the picture and therefore has no BatchNorm and no residual block.
- Axes that would stay longer than 16 after two pools of 2 are pooled by more (1,024 samples by 8 and 8), so that the
  dense layers stay small.
- Few labels are repeated (``labeled_share``): otherwise a batch has 0.1 of MNIST's 100. Step 2 leaves as many
  pictures out of each batch, so it sees all alike. ``labeled_share=0`` is the paper.
- ``consistency`` is not the paper's and 0 by default. With 100 of MNIST's labels, 800 training steps at seed 0 named 92.3
  instead of 78.2 % of the test digits with ``consistency=1``; step 1 then costs twice as much.
- The decoder can learn no more than step 1 kept, and that asks for the class alone: at the default length MNIST's
  reconstructions have an MSE of .21, as each class's mean has. ``kl_weight=0.02`` keeps more of the picture. Of 8
  channels the compared maps may hardly tell a gray level, and L_adv moves it: at one seed of three the black around a
  digit became -.66 and the MSE .32; there it is -.95 with ``width=16`` and -.97 with ``beta=0``.
- Algorithm 2 draws new pictures for each update; here the updates of one step share a batch, the first round of the
  discriminator and the decoder share a reconstruction, and further rounds draw a new z.
- The means of Eq. 9 are over all elements, that of Eq. 11 is over the batch. n_dis, the optimizer, its learning rate
  and the length of each step are not given in the paper.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Normal

from mien import losses
from mien.abilities import Decodes, Encodes, Generates, Recognizes
from mien.data.batch import Batch
from mien.data.dataset import Dataset
from mien.errors import MienError
from mien.models.base import Model, Update, not_negative, positive
from mien.networks.dense_residual import DenseDiscriminator, PoolingEncoder, ResidualClassifier, UpsamplingDecoder
from mien.networks.prior import standard_normal

SURE = 0.95  # probability from which a class counts as known


class SSAVAE(Model, Encodes, Decodes, Generates, Recognizes):
    """SSAVAE.

    Args:
        shape: (C, H, W) of pictures, (C, 1, L) of signals; H and W halve twice.
        classes: their names.
        latent: K; the paper has 2 and 100.
        width: channels of the first convolutions.
        hidden: units of a dense layer.
        first: share of the training that step 1 takes; step 2 has the rest.
        kl_weight: of L_kl in Eq. 6, in which L_kl is averaged over the K dimensions; K is the sum.
        consistency: weight, in step 1, of the cross-entropy between the class of a picture, its label or the one it is
            surely of, and that of the same picture shifted by up to a tenth; 0 is the paper.
        alphas: weights of the encoder's first three layers in L_rec, Eq. 9.
        beta, gamma: weights of L_adv and L_latent, Eq. 8.
        n_dis: rounds of the discriminator before each update of the decoder.
        labeled: how many labels are kept, as many of each class; 0 keeps all there are.
        labeled_share: labeled pictures are repeated until they are this share of those step 1 sees; 0 does not.
        lr, betas: Adam's; in each step the learning rate follows half a cosine to zero.
    """

    players = ("encoder", "classifier", "decoder", "discriminator")
    epochs = 5

    def __init__(
        self,
        shape: tuple[int, int, int] = (1, 28, 28),
        classes: tuple[str, ...] = (),
        latent: int = 100,
        width: int = 8,
        hidden: int = 128,
        first: float = 0.5,
        kl_weight: float = 0.2,
        consistency: float = 0.0,
        alphas: tuple[float, float, float] = (1.0, 0.1, 0.01),
        beta: float = 0.005,
        gamma: float = 0.1,
        n_dis: int = 1,
        labeled: int = 0,
        labeled_share: float = 0.5,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
    ):
        super().__init__()
        positive(latent=latent, width=width, hidden=hidden, n_dis=n_dis, lr=lr)
        not_negative(kl_weight=kl_weight, consistency=consistency, beta=beta, gamma=gamma, labeled=labeled)
        for number, alpha in enumerate(alphas, start=1):
            not_negative(**{f"alphas[{number}]": alpha})
        if not 0 < first < 1:
            raise MienError(f"expected first in (0, 1), got {first}: each of the two steps needs a share")
        if not 0 <= labeled_share < 1:
            raise MienError(f"expected labeled_share in [0, 1), got {labeled_share}")
        if 0 < labeled < len(classes):
            raise MienError(
                f"expected labeled of {len(classes)} or more, one for each class, or 0 for all, got {labeled}"
            )
        self.classes, self.latent = classes, latent
        self.first, self.stages = first, (0.0, first)
        self.kl_weight, self.consistency = kl_weight, consistency
        self.alphas, self.beta, self.gamma, self.n_dis = alphas, beta, gamma, n_dis
        self.labeled, self.labeled_share = labeled, labeled_share
        self.repeats = 0.0  # share of the positions trained on that are repeats; training_index knows
        self.lr, self.betas = lr, betas
        self.encoder = PoolingEncoder(shape, latent, width, hidden)
        self.classifier = ResidualClassifier(latent, hidden, max(len(classes), 1))
        self.decoder = UpsamplingDecoder(shape, latent, width, hidden)
        self.discriminator = DenseDiscriminator(shape, width, hidden)

    def encode(self, x: Tensor) -> Normal:
        """Return q(z | x), a Normal of (B, K)."""
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        """Return pictures (B, C, H, W) of latents (B, K)."""
        return self.decoder(z)

    def generate(self, n: int, attributes: Tensor | None = None, seed: int = 0) -> Tensor:
        """Return n pictures decoded from z ~ N(0, I); ``attributes`` cannot be asked for and are ignored."""
        return self.decode(standard_normal(n, self.latent, seed, self))

    def recognize(self, x: Tensor) -> Tensor:
        """Return the probability of each class, (B, classes), at the mean of q(z | x)."""
        return self.classifier(self.encode(x).mean).softmax(1)

    def training_step(self, batch: Batch, update: Update) -> None:
        """Algorithm 1 in the first share of the training, Algorithm 2 in the rest."""
        second = self.progress >= self.first
        # frozen in step 2, BatchNorm's statistics too
        self.encoder.train(not second)
        self.classifier.train(not second)
        (self._second if second else self._first)(batch, update)

    def _first(self, batch: Batch, update: Update) -> None:
        """Algorithm 1: the encoder and the classifier."""
        assert batch.label is not None
        q = self.encode(batch.x)
        kl = losses.kl(q).mean() / self.latent  # Eq. 4
        logits = self.classifier(q.rsample())
        # what has no label is left out: the semi-supervised part
        terms = {"kl": kl, "cat": losses.class_cross_entropy(logits, batch.label)}  # Eq. 7
        loss = self.kl_weight * kl + terms["cat"]  # Eq. 6
        if self.consistency > 0:
            surest = logits.detach().softmax(1).max(1)
            guess = surest.indices.where(surest.values > SURE, -1)
            guess = batch.label.where(batch.label >= 0, guess)
            moved = self.classifier(self.encode(shifted(batch.x)).rsample())
            # averaged over all pictures: few that are sure count little
            share = (guess >= 0).float().mean()
            terms["consistency"] = share * losses.class_cross_entropy(moved, guess)
            loss = loss + self.consistency * terms["consistency"]
        update({("encoder", "classifier"): loss}, **terms)

    def _second(self, batch: Batch, update: Update) -> None:
        """Algorithm 2: the discriminator, then the decoder; encoder and classifier only measure."""
        x = self._once(batch)
        with torch.no_grad():
            real = self.encoder.features(x)
            q = self.encoder.finish(real)
            z = q.sample()
        x_rec = self.decode(z)
        terms: dict[str, Tensor] = {}
        loss = x.new_zeros(())
        if self.beta > 0:
            terms["dis"] = self._discriminator(x, x_rec.detach(), q, update)
            with torch.no_grad():
                score = self.discriminator(x)
            terms["adv"] = (score - self.discriminator(x_rec)).square().mean()  # Eq. 10
            loss = loss + self.beta * terms["adv"]
        fake = self.encoder.features(x_rec)
        terms["rec"] = torch.stack(
            [a * (r.float() - f.float()).square().mean() for a, r, f in zip(self.alphas, real, fake, strict=True)]
        ).sum()  # Eq. 9
        loss = loss + terms["rec"]
        if self.gamma > 0:
            with torch.no_grad():
                wanted = self.classifier(z).softmax(1)
            got = self.classifier(self.encoder.finish(fake).rsample()).softmax(1)
            terms["latent"] = (wanted - got).square().sum(1).mean()  # Eq. 11
            loss = loss + self.gamma * terms["latent"]
        update({"decoder": loss}, **terms)  # Eq. 8

    def _discriminator(self, x: Tensor, x_rec: Tensor, q: Normal, update: Update) -> Tensor:
        """Move the discriminator ``n_dis`` times to +1 on real and then to -1 on reconstructed pictures; return its loss."""
        for number in range(self.n_dis):
            if number > 0:
                with torch.no_grad():
                    x_rec = self.decode(q.sample())
            real = (self.discriminator(x) - 1).square().mean()
            update({"discriminator": real})
            fake = (self.discriminator(x_rec) + 1).square().mean()
            update({"discriminator": fake})
        return (real + fake).detach()

    def _once(self, batch: Batch) -> Tensor:
        """Return the pictures of a batch without the share that are repeats: the labeled ones are left out first.

        The decoder learns all pictures alike. How many remain does not depend on the batch, so no device waits.
        """
        if not self.repeats:
            return batch.x
        assert batch.label is not None
        n = max(2, round(len(batch) * (1 - self.repeats)))
        return batch.x[(batch.label >= 0).int().argsort(stable=True)[:n]]

    def lr_factor(self, progress: float) -> float:
        """Fall along half a cosine, in each of the two steps."""
        begin, end = (0.0, self.first) if progress < self.first else (self.first, 1.0)
        return 0.5 * (1 + math.cos(math.pi * (progress - begin) / (end - begin)))

    def needs(self, attributes: tuple[str, ...], classes: tuple[str, ...]) -> None:
        """Refuse a data set without classes."""
        if len(classes) < 2:
            raise MienError(
                f"expected a data set with two classes or more to train ssavae, got {len(classes)}: use mnist, "
                "fashion_mnist, cifar10, omniglot or bearing"
            )

    def training_index(self, dataset: Dataset, index: np.ndarray, seed: int) -> np.ndarray:
        """Return the positions to train on: all, and the labeled ones again until their share is reached."""
        kept = self._kept(dataset, index, seed)
        others, share = len(index) - len(kept), self.labeled_share
        wanted = round(others * share / (1 - share))
        extra = max(0, wanted - len(kept))
        self.repeats = extra / (len(index) + extra)
        return np.concatenate([index, np.resize(kept, extra)])

    def training_labels(self, dataset: Dataset, index: np.ndarray, seed: int) -> np.ndarray | None:
        """Return the label of every picture (N,), with -1 where it is not among those kept."""
        assert dataset.labels is not None
        kept = self._kept(dataset, index, seed)
        labels = np.full(len(dataset.labels), -1, np.int64)
        labels[kept] = dataset.labels[kept]
        return labels

    def _kept(self, dataset: Dataset, index: np.ndarray, seed: int) -> np.ndarray:
        """Return the positions whose label training may see: as many of each class as can be, drawn with ``seed``."""
        labels = np.full(len(index), -1) if dataset.labels is None else np.asarray(dataset.labels)[index]
        known = np.flatnonzero(labels >= 0)
        if len(known) < max(self.labeled, 1):
            raise MienError(
                f"expected {max(self.labeled, 1)} labeled training pictures or more, got {len(known)}: "
                "lower labeled, or choose another data set"
            )
        if not self.labeled:
            return index[known]
        shuffled = np.random.default_rng([seed, 4]).permutation(known)
        # the first of each class, then the second of each, …
        rank = np.zeros(len(shuffled), np.int64)
        for c in np.unique(labels[known]):
            mine = labels[shuffled] == c
            rank[mine] = np.arange(mine.sum())
        return np.sort(index[shuffled[rank.argsort(kind="stable")[: self.labeled]]])


def shifted(x: Tensor) -> Tensor:
    """Return pictures ``x`` (B, C, H, W), each shifted by up to a tenth of H and W, its edge repeated.

    >>> shifted(torch.arange(20.0).view(1, 1, 1, 20)).shape
    torch.Size([1, 1, 1, 20])
    """
    for axis in (2, 3):
        length = x.shape[axis]
        by = torch.randint(-(length // 10), length // 10 + 1, (len(x), 1), device=x.device)
        where = (torch.arange(length, device=x.device) + by).clamp(0, length - 1)  # (B, length)
        x = x.gather(axis, where.view(len(x), 1, *(length if a == axis else 1 for a in (2, 3))).expand_as(x))
    return x
