"""SSAVAE: a semi-supervised VAE whose encoder is trained first, with a classifier, and then its decoder (Zemouri 2020).

"Semi-supervised adversarial variational autoencoder". Networks: §3.2 and Fig. 6. Training: Algorithms 1 and 2. The
model takes pictures (C, H, W) and signals (C, 1, L). The networks are the same, with 1-d convolutions for signals.

Departures
- Eq. 6 as printed is smallest if nothing is encoded: L_kl >= I(z; y) and L_cat >= H(y | z), so their sum is at
  least H(y), which KL = 0 reaches. Therefore L_kl is the mean over the K dimensions, times ``kl_weight`` = 0.2. This
  value suits K = 2 and K = 100; ``kl_weight=K`` is the equation with the KL divergence as a sum.
- The text of Fig. 6 is lost, and all widths with it. ``width`` and ``hidden`` are small enough for a CPU;
  ``width=64 hidden=512`` is a size for GPUs. Pools follow the second and the fourth convolution. The seventh
  convolution of the decoder outputs the picture and therefore has no BatchNorm and no residual block.
- Axes that would stay longer than 16 after two pools of 2 have larger pools (8 and 8 for 1,024 samples), so that the
  dense layers stay small.
- If labels are few, labeled pictures are repeated (``labeled_share``); otherwise a batch has on average 0.1 of 100
  labeled pictures of MNIST. Step 2 removes as many pictures from each batch, so it uses all pictures equally.
  ``labeled_share=0`` is the paper.
- The networks see the log-magnitude spectrum of a signal, ``view``. The paper gives the waveform to its networks;
  ``view=raw`` does so too. The decoder writes a spectrum and returns a waveform that has it. The phases of this
  waveform are fixed and arbitrary, so a reconstruction has the frequencies of the signal, and another course in time.
- ``augment`` and ``teacher`` are not in the paper and are 0 by default.
- ``consistency`` is not in the paper and is 0 by default. With 100 labels of MNIST, 800 training steps and seed 0,
  ``consistency=1`` recognized 92.3 % of the test digits instead of 78.2 %; step 1 then costs twice as much.
- The decoder can use only what step 1 encodes, and step 1 needs the class only: with default settings the
  reconstructions of MNIST have an MSE of .21, as high as that of the class means. ``kl_weight=0.02`` encodes more of
  the picture. With 8 channels the compared maps hardly depend on the gray level, and L_adv shifts it: for one seed of
  three the black around a digit became -.66 and the MSE .32. For that seed it is -.95 with ``width=16`` and -.97 with
  ``beta=0``.
- Algorithm 2 draws new pictures for each update. Here the updates of one step share a batch, the first round of the
  discriminator and the decoder share a reconstruction, and further rounds draw a new z.
- In each step the learning rate falls along half a cosine, and each residual block starts as the identity: the scale of
  its last BatchNorm is 0. The paper describes neither.
- With few labels, half of each batch of step 2 remains (see ``labeled_share``), so its batches have half the size.
- The means of Eq. 9 are over all elements; the mean of Eq. 11 is over the batch. The paper does not give n_dis, the
  optimizer, its learning rate and the length of each step.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributions import Distribution, Normal
from torch.nn import functional as F

from mien import losses
from mien.abilities import Decodes, Encodes, Generates, Recognizes
from mien.data.batch import Batch
from mien.data.dataset import Dataset
from mien.errors import MienError
from mien.models.base import Model, Update, not_negative, positive
from mien.networks.dense_residual import DenseDiscriminator, PoolingEncoder, ResidualClassifier, UpsamplingDecoder
from mien.networks.distortion import augmented, shifted
from mien.networks.prior import standard_normal
from mien.networks.spectral import SpectralDecoder, Spectrum

MEMORY = 0.99  # decay of the moving averages of the alignment
RISE = 0.1  # share of step 1 in which the weight of consistency rises, with a teacher
SURE = 0.95  # a class with at least this probability counts as known
VIEWS = ("auto", "raw", "spectrum")
CHANGED = 0.9  # share of the pictures of step 1 that augment changes


class SSAVAE(Model, Encodes, Decodes, Generates, Recognizes):
    """SSAVAE.

    Args:
        shape: (C, H, W) of pictures, (C, 1, L) of signals; H and W are multiples of 4.
        classes: names of the classes.
        view: what the networks see of a signal: spectrum (log-magnitude, inside the model), or raw (the waveform, as in
            the paper); auto is the spectrum for signals and raw for pictures.
        latent: K, the size of the latents; the paper has 2 and 100.
        width: channels of the first convolutions.
        hidden: units of a dense layer.
        first: share of the training for step 1; the rest is step 2.
        kl_weight: weight of L_kl in Eq. 6, where L_kl is a mean over the K dimensions; a weight of K makes it a sum.
        consistency: weight of a further loss of step 1: the cross-entropy between the class of a picture (its label,
            or a prediction that is sure) and the prediction for the picture shifted by up to a tenth; 0 is the paper.
        augment: strength of the random changes of most pictures of step 1, and of all those of ``consistency``: shift,
            rotation, scaling, slant and a smooth bend; of signals only shift and scaling. 1 is up to a tenth of the
            size, 15 degrees and 15 %; 0 is the paper.
        teacher: decay of the moving average of the encoder and classifier that makes the predictions for
            ``consistency``, such as 0.99; 0 uses the networks themselves. The predictions are then aligned: their mean
            over the pictures is made that of the labels, so that they cannot all become one class (Berthelot 2020,
            "ReMixMatch", §3.1). The weight of ``consistency`` rises over the first tenth of step 1.
        alphas: weights of the first three layers of the encoder in L_rec, Eq. 9.
        beta, gamma: weights of L_adv and L_latent, Eq. 8.
        n_dis: rounds of the discriminator before each update of the decoder.
        labeled: number of labels that training uses, equally many of each class; 0 uses all.
        labeled_share: labeled pictures are repeated up to this share of the pictures of step 1; 0 repeats none.
        lr: learning rate of Adam; it falls to zero along half a cosine in each step.
        betas: decay rates of Adam.
    """

    earlier: ClassVar[Mapping[str, Any]] = {"view": "raw"}
    players = ("encoder", "classifier", "decoder", "discriminator")
    frequencies: Tensor
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
        view: str = "auto",
        augment: float = 0.0,
        teacher: float = 0.0,
    ):
        super().__init__()
        positive(latent=latent, width=width, hidden=hidden, n_dis=n_dis, lr=lr)
        not_negative(kl_weight=kl_weight, consistency=consistency, beta=beta, gamma=gamma, labeled=labeled)
        not_negative(augment=augment)
        if not 0 <= teacher < 1:
            raise MienError(f"expected teacher in [0, 1), got {teacher}: such as 0.99, or 0 for none")
        spectral = _spectral(view, shape)
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
        self.repeats = 0.0  # share of repeats among the training positions, set by training_index
        self.lr, self.betas = lr, betas
        self.augment, self.decay = augment, teacher
        self.front = Spectrum(shape) if spectral else None
        input_shape = self.front.shape if self.front else shape
        self.encoder = PoolingEncoder(input_shape, latent, width, hidden)
        self.classifier = ResidualClassifier(latent, hidden, max(len(classes), 1))
        decoder = SpectralDecoder if spectral else UpsamplingDecoder
        self.decoder: nn.Module = decoder(shape, latent, width, hidden)
        self.discriminator = DenseDiscriminator(input_shape, width, hidden)
        if teacher:
            self.teacher = nn.ModuleList([copy.deepcopy(self.encoder), copy.deepcopy(self.classifier)])
            self.teacher.requires_grad_(False)
            # moving averages of the labels and of the predictions: what the alignment compares
            uniform = torch.full((2, max(len(classes), 1)), 1 / max(len(classes), 1))
            self.register_buffer("frequencies", uniform)

    def look(self, x: Tensor) -> Tensor:
        """Return what the networks see of ``x``: the spectra (B, C, 1, bins) of signals (B, C, 1, L), or ``x``."""
        view: Tensor = x if self.front is None else self.front(x)
        return view

    def encode(self, x: Tensor) -> Normal:
        """Return q(z | x), a Normal of (B, K)."""
        q: Normal = self.encoder(self.look(x))
        return q

    def decode(self, z: Tensor) -> Tensor:
        """Return pictures (B, C, H, W) of latents (B, K)."""
        x: Tensor = self.decoder(z)
        return x

    def generate(self, n: int, attributes: Tensor | None = None, seed: int = 0) -> Tensor:
        """Return n pictures decoded from z ~ N(0, I). The model has no conditions and ignores ``attributes``."""
        return self.decode(standard_normal(n, self.latent, seed, self))

    def recognize(self, x: Tensor) -> Tensor:
        """Return the probability of each class, (B, classes), at the mean of q(z | x)."""
        logits: Tensor = self.classifier(self.encode(x).mean)
        return logits.softmax(1)

    def training_step(self, batch: Batch, update: Update) -> None:
        """Run Algorithm 1 in the first share of the training, Algorithm 2 in the rest."""
        second = self.progress >= self.first
        # in step 2 both networks are frozen, with their BatchNorm statistics
        self.encoder.train(not second)
        self.classifier.train(not second)
        (self._second if second else self._first)(batch, update)

    def _first(self, batch: Batch, update: Update) -> None:
        """Algorithm 1: the encoder and the classifier."""
        assert batch.label is not None
        x = batch.x
        if self.augment > 0:
            # Whether a picture is changed does not depend on its label: otherwise the networks learn one answer for
            # changed pictures and another one for all others.
            chosen = torch.rand(len(x), device=x.device) < CHANGED
            x = torch.where(chosen.view(-1, 1, 1, 1), augmented(x, self.augment), x)
        q = self.encode(x)
        kl = losses.kl(q).mean() / self.latent  # Eq. 4
        logits = self.classifier(q.rsample())
        # pictures without a label do not enter the cross-entropy: the semi-supervised part
        terms = {"kl": kl, "cat": losses.class_cross_entropy(logits, batch.label)}  # Eq. 7
        loss = self.kl_weight * kl + terms["cat"]  # Eq. 6
        if self.consistency > 0:
            terms["consistency"] = self._consistency(batch.x, batch.label, logits)
            loss = loss + self.consistency * self._rise() * terms["consistency"]
        update({("encoder", "classifier"): loss}, **terms)
        if self.decay:
            self._average()

    def _consistency(self, x: Tensor, label: Tensor, logits: Tensor) -> Tensor:
        """Return the cross-entropy of the classes of ``x``, by label or sure prediction, for changed pictures."""
        if self.decay:
            encoder, classifier = self.teacher.eval()
            with torch.no_grad():
                probability = self._aligned(classifier(encoder(self.look(x)).mean).float().softmax(1), label)
        else:
            probability = logits.detach().softmax(1)
        surest = probability.max(1)
        guess = surest.indices.where(surest.values > SURE, -1)
        guess = label.where(label >= 0, guess)
        changed = augmented(x, self.augment) if self.augment > 0 else shifted(x)
        prediction = self.classifier(self.encode(changed).rsample())
        # the mean over all pictures, so that few sure predictions have little weight
        share = (guess >= 0).float().mean()
        return share * losses.class_cross_entropy(prediction, guess)

    def _rise(self) -> float:
        """Return the present share of the weight of ``consistency``: at first a teacher is often wrong."""
        return min(1.0, self.progress / (RISE * self.first)) if self.decay else 1.0

    def _aligned(self, probability: Tensor, label: Tensor) -> Tensor:
        """Return predictions (B, classes), scaled so that their moving average becomes that of the labels."""
        known = (label >= 0).float().unsqueeze(1)
        one_hot = F.one_hot(label.clamp(min=0), probability.shape[1]).float()
        share = torch.stack([(one_hot * known).sum(0), (probability * (1 - known)).sum(0)])
        counts = torch.stack([known.sum(), (1 - known).sum()]).unsqueeze(1)
        # a batch without such pictures changes nothing
        mean = torch.where(counts > 0, share / counts.clamp(min=1), self.frequencies)
        self.frequencies.lerp_(mean.to(self.frequencies.dtype), 1 - MEMORY)
        scaled = probability * (self.frequencies[0] / self.frequencies[1].clamp(min=1e-6))
        return scaled / scaled.sum(1, keepdim=True)

    @torch.no_grad()
    def _average(self) -> None:
        """Move the weights of the teacher toward the present ones; take over the statistics of BatchNorm."""
        for average, network in zip(self.teacher, (self.encoder, self.classifier), strict=True):
            theirs = [parameter.detach() for parameter in network.parameters()]
            torch._foreach_lerp_([parameter.data for parameter in average.parameters()], theirs, 1 - self.decay)
            for old, new in zip(average.buffers(), network.buffers(), strict=True):
                old.copy_(new)

    def _second(self, batch: Batch, update: Update) -> None:
        """Algorithm 2: the discriminator, then the decoder. The encoder and the classifier stay as they are."""
        x = self._without_repeats(batch)
        with torch.no_grad():
            view = self.look(x)
            real = self.encoder.features(view)
            q: Distribution = self.encoder.finish(real)
            z = q.sample()
        view_rec = self.look(self.decode(z))
        terms: dict[str, Tensor] = {}
        loss = x.new_zeros(())
        if self.beta > 0:
            terms["dis"] = self._discriminator(view, view_rec.detach(), q, update)
            with torch.no_grad():
                score = self.discriminator(view)
            terms["adv"] = (score - self.discriminator(view_rec)).square().mean()  # Eq. 10
            loss = loss + self.beta * terms["adv"]
        fake = self.encoder.features(view_rec)
        terms["rec"] = torch.stack(
            [a * (r.float() - f.float()).square().mean() for a, r, f in zip(self.alphas, real, fake, strict=True)]
        ).sum()  # Eq. 9
        loss = loss + terms["rec"]
        if self.gamma > 0:
            with torch.no_grad():
                target = self.classifier(z).softmax(1)
            prediction = self.classifier(self.encoder.finish(fake).rsample()).softmax(1)
            terms["latent"] = (target - prediction).square().sum(1).mean()  # Eq. 11
            loss = loss + self.gamma * terms["latent"]
        update({"decoder": loss}, **terms)  # Eq. 8

    def _discriminator(self, view: Tensor, view_rec: Tensor, q: Distribution, update: Update) -> Tensor:
        """Train the discriminator ``n_dis`` times toward +1 on real, then -1 on reconstructed pictures.

        Return its last loss.
        """
        for number in range(self.n_dis):
            if number > 0:
                with torch.no_grad():
                    view_rec = self.look(self.decode(q.sample()))
            real = (self.discriminator(view) - 1).square().mean()
            update({"discriminator": real})
            fake = (self.discriminator(view_rec) + 1).square().mean()
            update({"discriminator": fake})
        loss: Tensor = real + fake
        return loss.detach()

    def _without_repeats(self, batch: Batch) -> Tensor:
        """Return the pictures of a batch without the average share of repeats; labeled pictures are removed first.

        So the decoder learns from all pictures equally. The number of removed pictures does not depend on the labels
        of the batch, so the CPU need not wait for the device.
        """
        if not self.repeats:
            return batch.x
        assert batch.label is not None
        n = max(2, round(len(batch) * (1 - self.repeats)))
        return batch.x[(batch.label >= 0).int().argsort(stable=True)[:n]]

    def lr_factor(self, progress: float) -> float:
        """Let the learning rate fall along half a cosine in each of the two steps."""
        begin, end = (0.0, self.first) if progress < self.first else (self.first, 1.0)
        return 0.5 * (1 + math.cos(math.pi * (progress - begin) / (end - begin)))

    def needs(self, attributes: tuple[str, ...], classes: tuple[str, ...]) -> None:
        """Raise MienError for a data set with fewer than two classes."""
        if len(classes) < 2:
            raise MienError(
                f"expected a data set with two classes or more to train ssavae, got {len(classes)}: with --data folder "
                "pass --data-option classes=folders (a folder for each class), or use a set with classes, such as mnist"
            )

    def training_index(self, dataset: Dataset, index: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
        """Return the training positions: all, and repeats of the labeled ones up to ``labeled_share``."""
        labeled = self._labeled_positions(dataset, index, seed)
        others, share = len(index) - len(labeled), self.labeled_share
        extra = max(0, round(others * share / (1 - share)) - len(labeled))
        self.repeats = extra / (len(index) + extra)
        return np.concatenate([index, np.resize(labeled, extra)])

    def training_labels(self, dataset: Dataset, index: NDArray[np.int64], seed: int) -> NDArray[np.int64] | None:
        """Return the label of every picture, (N,): -1 if training does not use it."""
        assert dataset.labels is not None
        labeled = self._labeled_positions(dataset, index, seed)
        labels = np.full(len(dataset.labels), -1, np.int64)
        labels[labeled] = dataset.labels[labeled]
        return labels

    def _labeled_positions(self, dataset: Dataset, index: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
        """Return the positions whose labels training uses: equally many of each class if possible, by ``seed``."""
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
        # the order takes the first of each class, then the second of each, …
        rank = np.zeros(len(shuffled), np.int64)
        for c in np.unique(labels[known]):
            members = labels[shuffled] == c
            rank[members] = np.arange(members.sum())
        return np.sort(index[shuffled[rank.argsort(kind="stable")[: self.labeled]]])


def _spectral(view: str, shape: tuple[int, int, int]) -> bool:
    """Return whether the networks see spectra."""
    if view not in VIEWS:
        raise MienError(f"expected a view of {', '.join(VIEWS)}, got {view}")
    if view == "spectrum" and shape[1] != 1:
        raise MienError(f"expected signals (C, 1, L) for view=spectrum, got {shape}: use view=raw")
    return shape[1] == 1 and view != "raw"
