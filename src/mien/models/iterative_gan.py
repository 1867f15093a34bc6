"""Iterative GAN: an ACGAN whose discriminator also rebuilds the picture it sees (Ma et al. 2019).

"Two birds with one stone: Transforming and generating facial images with iterative GAN" (Ma, Liu, Kang, Zhou,
Zhu & Xu), Neurocomputing. Losses: §3. Networks: §4 and Fig. 3. Training: Fig. 1 and §4.1.

D sees a picture. C reads its attributes c̃ and a code z̃ from D's features. G rebuilds the picture from both; a
changed c̃ changes the picture.

Departures
- The 8,584 neurons of §4, reshaped to 5x5x512, do not reach 128 pixels by four doublings; 8x8x512 does. Pictures
  below 128 pixels start at 4x4 with fewer stages; 256 pixels have one stage more.
- In Eq. 1, D and C also maximize L_inte, which contains the error of the z̃ that C predicts. Here all players minimize
  L_inte.
- §3 writes expectations of norms. L_per (per layer), L_pix and L_z are means here, so each λ means the same at every
  size. L_label is the mean over the d attributes, times 10. On CelebA at 32x32 (2,000 steps of 32, seed 0, width 16)
  edits were hardly visible with the plain mean; with the sum (``label_weight=40``) edits were clearer and rebuilt
  pictures worse.
- §3.3 puts L_z into stage 2. It is part of stage 1 here, where D has just seen G(z, c): one pass instead of two.
- In stage 1, one forward pass serves D, C and G, and they move together. Each additional update has its own pass and z.
- D's maps compare x_rebuild with x, but D does not judge whether x_rebuild is real: L_adv is about G(z, c) (§3.2.1).
- BatchNorm sees real, generated and rebuilt pictures as separate batches. D's running statistics come from real
  pictures only, because D encodes real pictures.
- §4.1 gives no numbers for "overwhelmingly higher". Here it means 4 times, where each loss is log 2 for a D that cannot
  tell real from generated; the side that is behind gets at most 2 updates.
- §4.1 prints a learning rate of 2e-5 and says that it is DCGAN's, which is 2e-4. The default is 2e-4; ``lr=2e-5`` is
  the printed value.
- The c of generated pictures are descriptions of training pictures, so attributes occur together as they do there. If
  two attributes exclude each other there (two hair colors), a request for one switches the other off.
- G's BatchNorm has separate running statistics for generated and for rebuilt pictures. With one running average for
  both, pictures in evaluation and in training mode differed by .054 and .075 on a range of 2.

Beyond the paper, all off by default
- ``swap``: a third stage draws G(z̃, c′), the code of a picture with the description of another picture, as an edit
  does. Three losses of these pictures, the adversarial one, L_label and L_z, move G. They also reach the layers of D
  and C that write z̃, so z̃ loses what c′ describes. The weights with which D and C judge these pictures are fixed in
  these losses. D also learns that the pictures are generated.
- ``true_labels``: stage 2 rebuilds with the true description in place of c̃.
- ``real_labels``: D and C learn L_label on real pictures only; on generated pictures, it moves G.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from mien import losses
from mien.abilities import Decodes, Edits, Encodes, Generates, Recognizes
from mien.data.batch import Batch
from mien.errors import MienError
from mien.models.base import Model, Update, not_negative, positive
from mien.networks.conditional import ConditionalGenerator
from mien.networks.dcgan import DCGANTrunk, initialize
from mien.networks.point import Point
from mien.networks.residual import SLOPE
from mien.networks.targets import changed, check_attributes


class Discriminator(nn.Module):
    """D: convolutions; the last map gives the source logit and the layer shared with C."""

    def __init__(self, shape: tuple[int, int, int], width: int, shared: int):
        super().__init__()
        self.trunk = DCGANTrunk(shape, width)
        self.source = nn.Linear(self.trunk.flat, 1)
        self.shared = nn.Sequential(nn.Linear(self.trunk.flat, shared), nn.LeakyReLU(SLOPE))
        self.apply(initialize)

    def forward(self, x: Tensor, remember: bool = True) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return logits (B,) of being real, the shared layer (B, S), and all maps h of ``x`` (B, C, H, W)."""
        maps = self.trunk(x, remember)
        flat = maps[-1].flatten(1)
        return self.source(flat).float()[:, 0], self.shared(flat), maps


class Classifier(nn.Module):
    """C: the shared layer gives the code z̃ and the logits of the attributes c̃ (§4, §5.3.1)."""

    def __init__(self, shared: int, latent: int, attributes: int, hidden: int = 128):
        super().__init__()
        self.code = nn.Linear(shared, latent)
        self.labels = nn.Sequential(nn.Linear(shared, hidden), nn.LeakyReLU(SLOPE), nn.Linear(hidden, attributes))
        self.apply(initialize)

    def forward(self, shared: Tensor) -> tuple[Tensor, Tensor]:
        """Return z̃ (B, K) and the logits (B, A) of c̃."""
        return self.z(shared), self.logits(shared)

    def z(self, shared: Tensor) -> Tensor:
        """Return z̃ (B, K) in [-1, 1]."""
        z: Tensor = self.code(shared).float().tanh()
        return z

    def logits(self, shared: Tensor) -> Tensor:
        """Return the logits (B, A) of c̃."""
        logits: Tensor = self.labels(shared).float()
        return logits


class Fake(NamedTuple):
    """The outputs of D and C for pictures G(z, c)."""

    logit: Tensor  # (B,), high for real
    common: Tensor  # weighted L_label and L_z, a scalar that G minimizes
    judges: Tensor  # what D and C minimize of it
    terms: dict[str, Tensor]  # for the log


class IterativeGAN(Model, Encodes, Decodes, Generates, Edits, Recognizes):
    """Iterative GAN; its latents are z̃ and c̃ joined, (B, latent + A), the last A in [0, 1].

    Args:
        shape: (C, H, W) of the pictures.
        attributes: the data set's names.
        width: channels of D's first map and G's last; the paper has 64.
        latent: length of z.
        shared: length of the layer that D and C share.
        lambda1, lambda2, lambda3: weights of L_per, L_pix and L_z (§3.3); 0 omits a loss and its cost.
        label_weight: weight of L_label, a mean over the attributes; the number of attributes turns it into the sum.
        ratio: a side gets another update when its adversarial loss is more than this many times the other side's.
        most_updates: largest number of updates of a side in one iteration; 1 updates both sides once.
        swap: weight of the third stage; 0 omits it and its cost.
        true_labels: whether stage 2 rebuilds with the true description.
        real_labels: whether D and C learn attributes on real pictures only.
        lr: learning rate of Adam.
        betas: decay rates of Adam.
    """

    players = ("generator", "discriminator", "classifier")
    epochs = 50

    def __init__(
        self,
        shape: tuple[int, int, int] = (3, 128, 128),
        attributes: tuple[str, ...] = (),
        width: int = 64,
        latent: int = 100,
        shared: int = 1024,
        lambda1: float = 2.0,
        lambda2: float = 0.5,
        lambda3: float = 1.0,
        label_weight: float = 10.0,
        ratio: float = 4.0,
        most_updates: int = 2,
        swap: float = 0.0,
        true_labels: bool = False,
        real_labels: bool = False,
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.5, 0.999),
    ):
        super().__init__()
        positive(width=width, latent=latent, shared=shared, most_updates=most_updates, lr=lr)
        not_negative(lambda1=lambda1, lambda2=lambda2, lambda3=lambda3, label_weight=label_weight, swap=swap)
        if ratio < 1:
            raise MienError(f"expected ratio of 1 or more, got {ratio}: such as ratio=4")
        self.attributes = self.editable = self.conditions = attributes
        self.latent, self.label_weight, self.lr, self.betas = latent, label_weight, lr, betas
        self.lambda1, self.lambda2, self.lambda3 = lambda1, lambda2, lambda3
        self.ratio, self.most_updates = ratio, most_updates
        self.swap, self.true_labels, self.real_labels = swap, true_labels, real_labels
        count = len(attributes) or 1
        self.generator = ConditionalGenerator(shape, latent, count, width)
        self.discriminator = Discriminator(shape, width, shared)
        self.classifier = Classifier(shared, latent, count)

    def encode(self, x: Tensor) -> Point:
        """Return (z̃, c̃) of pictures (B, C, H, W), a Point of (B, latent + A)."""
        z, c, _ = self._read(x)
        return Point(torch.cat([z, c], 1))

    def decode(self, z: Tensor) -> Tensor:
        """Return pictures (B, C, H, W) of (z, c) joined, (B, latent + A)."""
        pictures: Tensor = self.generator(*z.tensor_split([self.latent], 1))
        return pictures

    def generate(self, n: int, attributes: Tensor | None = None, seed: int = 0) -> Tensor:
        """Return n pictures G(z, c) with z ~ U(-1, 1).

        Each picture starts from the description of a random training picture, so attributes occur together as they do
        there. The requested attributes are changed, and the attributes they exclude are switched off. z and the
        description depend on ``seed`` only: two calls that differ in one attribute give pictures that differ in it
        (Fig. 8, 9b).

        Args:
            n: number of pictures.
            attributes: requests (n, A): +1, -1, or 0 for no request.
            seed: of z and of the descriptions.

        Raises:
            MienError: for requests of another shape.
        """
        return self.generator.sample(n, attributes, seed)

    def edit(self, x: Tensor, amounts: Mapping[str, float]) -> Tensor:
        """Return ``x`` rebuilt with a changed c̃: the amount +1 sets an attribute to 1, and -1 sets it to 0 (§5.3.3).

        An amount in between moves c̃ that part of the way. If an added attribute excludes others in the training data
        (Black_Hair excludes Brown_Hair), they move the same part of the way to 0. All other values keep what C reads
        from the picture.

        Raises:
            UnknownName: for an attribute that the model does not know.
        """
        z, c, _ = self._read(x)
        pictures: Tensor = self.generator(z, changed(c, amounts, self.attributes, self.generator.excludes))
        return pictures

    def recognize(self, x: Tensor) -> Tensor:
        """Return c̃, the probability of each attribute, (B, A)."""
        return self.classifier.logits(self.discriminator(x)[1]).sigmoid()

    def needs(self, attributes: tuple[str, ...], classes: tuple[str, ...]) -> None:
        """Refuse a data set without attributes."""
        check_attributes(self.name, attributes)

    def calibrate(self, batch: Batch) -> None:
        """Remember the descriptions of some training pictures."""
        assert batch.attributes is not None
        self.generator.remember(batch.attributes)

    def read_attributes(self, table: NDArray[np.int8]) -> None:
        """Find the attributes that exclude each other in the training data."""
        self.generator.read_attributes(table)

    def training_step(self, batch: Batch, update: Update) -> None:
        """Take the two stages of Fig. 1, and the third one with ``swap``."""
        self._acgan(batch, update)
        if self.lambda1 or self.lambda2:
            self._rebuild(batch, update)
        if self.swap:
            self._swap(batch, update)

    def _acgan(self, batch: Batch, update: Update) -> None:
        """Stage 1: L_ACGAN, and L_z of the same pictures G(z, c).

        §3.2.2 propagates L_label back "to optimize the G, D, and C", for real and for generated pictures. L_z is
        to "regularize the process of image generation" (§3.3.3) and to "further tune the networks" (§3.1). So both
        move all three players, and only L_adv has two sides.
        """
        real, label_real = self._real(batch)
        fake = self._fake(batch)
        d, g = losses.non_saturating(real, fake.logit)
        update(
            {("discriminator", "classifier"): d + label_real + fake.judges, "generator": g + fake.common},
            d=d, g=g, d_updates=1.0, g_updates=1.0, **fake.terms,
        )  # fmt: skip
        # §4.1: "while the loss of D is overwhelmingly higher than G, we increase the update times of D", and the
        # reverse. The host reads the losses here, so the comparison is skipped when one update is the limit.
        behind, updates = self._behind(d, g) if self.most_updates > 1 else "", 1
        moved = True  # whether D has moved since it last saw real pictures
        while behind and updates < self.most_updates:
            updates += 1
            fake = self._fake(batch)  # with a new z
            if behind == "discriminator":
                real, label_real = self._real(batch)
                d, g = losses.non_saturating(real, fake.logit)
                update({("discriminator", "classifier"): d + label_real + fake.judges}, d_updates=updates)
            else:
                if moved:
                    with torch.no_grad():
                        real = self.discriminator(batch.x, remember=False)[0]
                    moved = False
                d, g = losses.non_saturating(real, fake.logit)
                update({"generator": g + fake.common}, g_updates=updates)
            if updates < self.most_updates and self._behind(d, g) != behind:
                break

    def _real(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return D's logits (B,) of real pictures and L_label on them, a scalar."""
        assert batch.attributes is not None
        logit, shared, _ = self.discriminator(batch.x)
        label = losses.attribute_cross_entropy(self.classifier.logits(shared), batch.attributes)
        return logit, self.label_weight * label

    def _fake(self, batch: Batch) -> Fake:
        """Return the outputs of D and C for G(z, c), where c is the description of the batch."""
        assert batch.attributes is not None
        chance = torch.rand_like(batch.attributes)
        c = self.generator.multi_hot(batch.attributes, chance)  # (B, A)
        z = torch.rand(len(c), self.latent, device=c.device) * 2 - 1  # (B, K)
        logit, shared, _ = self.discriminator(self.generator(z, c, drawn=True), remember=False)
        label = F.binary_cross_entropy_with_logits(self.classifier.logits(shared), c)
        terms = {"label_fake": label}
        common = self.label_weight * label
        judges = 0 * label if self.real_labels else common
        if self.lambda3:
            terms["z"] = (self.classifier.z(shared) - z).abs().mean()  # L_z, §3.3.3
            common, judges = common + self.lambda3 * terms["z"], judges + self.lambda3 * terms["z"]
        return Fake(logit, common, judges, terms)

    def _behind(self, d: Tensor, g: Tensor) -> str:
        """Return the player whose loss is overwhelmingly higher, or an empty text; all processes agree."""
        both = torch.stack([d.detach() / 2, g.detach()])  # each is log 2 for a D that cannot tell
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(both)
        loss_d, loss_g = both.tolist()
        if loss_d > self.ratio * loss_g:
            return "discriminator"
        return "generator" if loss_g > self.ratio * loss_d else ""

    def _rebuild(self, batch: Batch, update: Update) -> None:
        """Take stage 2: L_per and L_pix of x_rebuild = G(z̃, c̃).

        They move G, and they move D and C because these read z̃ and c̃. The maps that L_per compares take the place of
        a pretrained network's maps (§3.3.2), so L_per does not move D through them: D could make them equal by making
        them constant.
        """
        x = batch.x
        z, c, maps = self._read(x)
        if self.true_labels:
            assert batch.attributes is not None
            # an unknown attribute keeps what C reads
            c = torch.where(batch.attributes == 0, c, (batch.attributes > 0).to(c))
        x_rebuild = self.generator(z, c)
        terms = {}
        loss = x_rebuild.new_zeros(())
        if self.lambda1:
            fixed = {k: p.detach() for k, p in self.discriminator.trunk.named_parameters()}
            again = functional_call(self.discriminator.trunk, fixed, (x_rebuild, False))
            distances = [(a.float() - h.detach().float()).abs().mean() for a, h in zip(again, maps, strict=True)]
            terms["per"] = torch.stack(distances).sum()
            loss = loss + self.lambda1 * terms["per"]
        if self.lambda2:
            terms["pix"] = (x - x_rebuild).abs().mean()
            loss = loss + self.lambda2 * terms["pix"]
        update({("generator", "discriminator", "classifier"): loss}, **terms)

    def _swap(self, batch: Batch, update: Update) -> None:
        """Take the third stage: pictures G(z̃, c′) with the descriptions c′ of other pictures of the batch."""
        assert batch.attributes is not None
        z = self._read(batch.x, remember=False)[0]
        other = batch.attributes.roll(1, 0)
        c = self.generator.multi_hot(other, torch.rand_like(other))
        made = self.generator(z, c)
        players = {"discriminator": self.discriminator, "classifier": self.classifier}
        fixed = {name: {key: p.detach() for key, p in network.named_parameters()} for name, network in players.items()}
        logit, shared, _ = functional_call(self.discriminator, fixed["discriminator"], (made, False))
        again, logits = functional_call(self.classifier, fixed["classifier"], (shared,))
        label = F.binary_cross_entropy_with_logits(logits, c)
        gan = F.softplus(-logit).mean()
        same = (again - z.detach()).abs().mean()
        loss = gan + self.label_weight * label + self.lambda3 * same
        d = F.softplus(self.discriminator(made.detach(), remember=False)[0]).mean()
        terms = {"swap_label": label, "swap_z": same, "swap_gan": gan, "swap_d": d}
        update({("generator", "discriminator", "classifier"): self.swap * (loss + d)}, **terms)

    def _read(self, x: Tensor, remember: bool = True) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return z̃ (B, K), c̃ (B, A) and D's maps of pictures ``x`` (B, C, H, W)."""
        _, shared, maps = self.discriminator(x, remember)
        return self.classifier.z(shared), self.classifier.logits(shared).sigmoid(), maps
