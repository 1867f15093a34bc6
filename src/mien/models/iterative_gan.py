"""Iterative GAN: an ACGAN whose discriminator also rebuilds the picture it sees (Ma et al. 2019).

"Two birds with one stone: Transforming and generating facial images with iterative GAN" (Ma, Liu, Kang, Zhou,
Zhu & Xu), Neurocomputing. Losses: §3. Networks: §4 and Fig. 3. Training: Fig. 1 and §4.1.

D sees a picture, C reads its attributes c̃ and a code z̃ off it, and G makes the picture again of both; a changed
c̃ changes the picture.

Departures
- §4's 8,584 neurons reshaped to 5x5x512 do not double four times to 128: 8x8x512 do. Smaller pictures than 128
  pixels start at 4x4, with fewer stages; 256 has one more.
- Eq. 1 has D and C maximize L_inte too, and with it the error of the z̃ that C is to find: all minimize it.
- §3 writes expectations of norms; L_per (of each layer), L_pix and L_z are means here, so λ means the same at
  every size. L_label is the mean over the d attributes, times 10. On CelebA at 32x32 (2,000 steps of 32, seed 0, width
  16) the mean left edits hardly visible and the sum, ``label_weight=40``, made edits plainer and rebuilds worse.
- L_z is of stage 2 by §3.3, and moves in stage 1 here, where G(z, c) has just been seen: one pass instead of two.
- In stage 1 one pass serves D, C and G, which move together; an additional update has a pass and a z of its own.
- x_rebuild is compared with x by D's maps, but D is not asked whether it is real: L_adv is of G(z, c) (§3.2.1).
- BatchNorm sees real, generated and rebuilt pictures as separate batches; D's running statistics are of real
  ones only, which are what it encodes.
- §4.1 gives no numbers for "overwhelmingly higher": 4 times, each loss log 2 where D cannot tell, and at most 2
  updates of the side behind.
- §4.1 prints a learning rate of 2e-5 as DCGAN's, which is 2e-4: the latter; ``lr=2e-5`` is the former.
- The c of generated pictures are those of training pictures, so attributes go together as they do there. Attributes
  that exclude each other there (hair colors) are switched off when the other is asked for.
- G's BatchNorm keeps running statistics of generated and of rebuilt pictures apart. With one running average of both,
  pictures by it and by a batch's own statistics differed by .054 and .075 (of 2).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from mien import losses
from mien.abilities import Decodes, Edits, Encodes, Generates, Recognizes
from mien.data.batch import Batch
from mien.errors import MienError, UnknownName
from mien.models.base import Model, Update, not_negative, positive
from mien.networks.dcgan import DCGANGenerator, DCGANTrunk, initialize
from mien.networks.point import Point
from mien.networks.residual import SLOPE

DESCRIPTIONS = 256  # pictures whose attributes are remembered, to draw from
# two attributes exclude each other where independence predicts at least EXPECTED pictures with both and the training
# data have at most this share of them
EXPECTED, TOGETHER = 5.0, 0.05


class Generator(nn.Module):
    """G(z, c), and the descriptions c that it is asked for where nobody asks.

    Args:
        shape: (C, H, W) of the pictures.
        latent: K, the length of z.
        attributes: A, the length of c.
        width: of the last map.
    """

    descriptions: Tensor
    excludes: Tensor

    def __init__(self, shape: tuple[int, int, int], latent: int, attributes: int, width: int):
        super().__init__()
        self.latent = latent
        self.body = DCGANGenerator(shape, latent + attributes, width)
        # +1, -1, and 0 where not known
        self.register_buffer("descriptions", torch.zeros(DESCRIPTIONS, attributes, dtype=torch.int8))
        # row a: 1 for the attributes that a picture with attribute a does not have
        self.register_buffer("excludes", torch.zeros(attributes, attributes, dtype=torch.int8))

    def forward(self, z: Tensor, c: Tensor, drawn: bool = False) -> Tensor:
        """Return pictures (B, C, H, W) of codes ``z`` (B, K) in [-1, 1] and attributes ``c`` (B, A) in [0, 1].

        Args:
            drawn: whether ``z`` was drawn at random; otherwise it was read off pictures.
        """
        return self.body(torch.cat([z, c], 1), drawn)

    def remember(self, attributes: Tensor) -> None:
        """Keep the descriptions ``attributes`` (n, A) of n training pictures."""
        rows = torch.arange(DESCRIPTIONS, device=attributes.device) % len(attributes)
        self.descriptions.copy_(attributes[rows])

    def describe(self, requests: Tensor, rows: Tensor) -> Tensor:
        """Return descriptions (n, A) of ±1 and 0: those of training pictures, with what is requested changed.

        An attribute that a requested one excludes is switched off, unless it was requested too.

        Args:
            requests: (n, A) of ±1, or 0 for what is left as the training picture has it.
            rows: (n,) which of the remembered descriptions each picture starts from.
        """
        base = self.descriptions[rows]
        excluded = ((requests > 0).float() @ self.excludes.float()) > 0
        base = torch.where(excluded, base.new_tensor(-1), base)
        return torch.where(requests == 0, base, requests.to(base.dtype))

    def multi_hot(self, attributes: Tensor, chance: Tensor) -> Tensor:
        """Return c (n, A) of 0 and 1; of ``attributes`` (n, A) of ±1, those not known (0) are drawn by frequency.

        Args:
            chance: (n, A) uniform in [0, 1).
        """
        known = (self.descriptions != 0).sum(0)
        frequency = ((self.descriptions > 0).sum(0) + 0.5) / (known + 1)  # (A,)
        return torch.where(attributes == 0, chance < frequency, attributes > 0).float()


class Discriminator(nn.Module):
    """D: convolutions, and off the last map the source's logit and the layer shared with C."""

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
    """C: off the shared layer, the code z̃ and the logits of the attributes c̃ (§4, §5.3.1)."""

    def __init__(self, shared: int, latent: int, attributes: int, hidden: int = 128):
        super().__init__()
        self.code = nn.Linear(shared, latent)
        self.labels = nn.Sequential(nn.Linear(shared, hidden), nn.LeakyReLU(SLOPE), nn.Linear(hidden, attributes))
        self.apply(initialize)

    def z(self, shared: Tensor) -> Tensor:
        """Return z̃ (B, K) in [-1, 1]."""
        return self.code(shared).float().tanh()

    def logits(self, shared: Tensor) -> Tensor:
        """Return the logits (B, A) of c̃."""
        return self.labels(shared).float()


class Fake(NamedTuple):
    """What D and C say of pictures G(z, c)."""

    logit: Tensor  # (B,), of being real
    common: Tensor  # what all players minimize: weighted L_label and L_z, a scalar
    terms: dict[str, Tensor]  # for the log


class IterativeGAN(Model, Encodes, Decodes, Generates, Edits, Recognizes):
    """Iterative GAN; its latents are z̃ and c̃ joined, (B, latent + A), the last A in [0, 1].

    Args:
        shape: (C, H, W) of the pictures.
        attributes: the data set's names.
        width: channels of D's first map and G's last; the paper has 64.
        latent: length of z.
        shared: length of the layer that D and C share.
        lambda1, lambda2, lambda3: weights of L_per, L_pix and L_z, §3.3; 0 leaves one out, and saves its cost.
        label_weight: of L_label, which is a mean over the attributes; their number makes it the sum.
        ratio: one side is updated again when its adversarial loss is more than this many times the other's.
        most_updates: of either side in an iteration; 1 always updates both once.
        lr, betas: Adam's.
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
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.5, 0.999),
    ):
        super().__init__()
        positive(width=width, latent=latent, shared=shared, most_updates=most_updates, lr=lr)
        not_negative(lambda1=lambda1, lambda2=lambda2, lambda3=lambda3, label_weight=label_weight)
        if ratio < 1:
            raise MienError(f"expected ratio of 1 or more, got {ratio}: such as ratio=4")
        self.attributes = self.editable = self.conditions = attributes
        self.latent, self.label_weight, self.lr, self.betas = latent, label_weight, lr, betas
        self.lambda1, self.lambda2, self.lambda3 = lambda1, lambda2, lambda3
        self.ratio, self.most_updates = ratio, most_updates
        count = len(attributes) or 1
        self.generator = Generator(shape, latent, count, width)
        self.discriminator = Discriminator(shape, width, shared)
        self.classifier = Classifier(shared, latent, count)

    def encode(self, x: Tensor) -> Point:
        """Return (z̃, c̃) of pictures (B, C, H, W), a Point of (B, latent + A)."""
        z, c, _ = self._read(x)
        return Point(torch.cat([z, c], 1))

    def decode(self, z: Tensor) -> Tensor:
        """Return pictures (B, C, H, W) of (z, c) joined, (B, latent + A)."""
        return self.generator(*z.tensor_split([self.latent], 1))

    def generate(self, n: int, attributes: Tensor | None = None, seed: int = 0) -> Tensor:
        """Return n pictures of z ~ U(-1, 1), with the ``attributes`` (n, A) of ±1, or 0 for those left open.

        Each picture starts from the attributes of some training picture, so that they go together as they do there;
        what is asked for is changed, and what it excludes is switched off. The code z and the training picture depend
        on ``seed`` alone, so two calls that differ in one attribute give pictures that differ in it (Fig. 8, 9b).
        """
        generator = torch.Generator().manual_seed(seed)
        device = self.generator.descriptions.device
        count = self.generator.descriptions.shape[1]
        z = torch.rand(n, self.latent, generator=generator) * 2 - 1
        chance = torch.rand(n, count, generator=generator).to(device)
        rows = torch.randint(DESCRIPTIONS, (n,), generator=generator).to(device)
        if attributes is None:
            attributes = torch.zeros(n, count)
        elif tuple(attributes.shape) != (n, count):
            got = tuple(attributes.shape)
            raise MienError(f"expected attributes ({n}, {count}), got {got}: one row of ±1 for each picture")
        description = self.generator.describe(attributes.to(device), rows)
        return self.generator(z.to(device), self.generator.multi_hot(description, chance), drawn=True)

    def edit(self, x: Tensor, amounts: Mapping[str, float]) -> Tensor:
        """Rebuild ``x`` with the c̃ of each named attribute set: to 1 by the amount +1, to 0 by -1 (§5.3.3).

        Amounts between move it that part of the way. Attributes that an added one excludes in the training data
        (Black_Hair excludes Brown_Hair) move that part of the way to 0; all else stays as it was read off the picture.
        """
        z, c, _ = self._read(x)
        c = c.clone()
        for name, amount in amounts.items():
            if name not in self.editable:
                raise UnknownName("attribute", name, self.editable)
            column = self.attributes.index(name)
            if amount > 0:
                free = torch.tensor([other not in amounts for other in self.attributes], device=c.device)
                excluded = self.generator.excludes[column].to(c.dtype) * free  # (A,)
                c = c * (1 - min(amount, 1.0) * excluded)
            c[:, column] += abs(amount) * (float(amount > 0) - c[:, column])
        return self.generator(z, c)

    def recognize(self, x: Tensor) -> Tensor:
        """Return c̃, the probability of each attribute, (B, A)."""
        return self.classifier.logits(self.discriminator(x)[1]).sigmoid()

    def needs(self, attributes: tuple[str, ...], classes: tuple[str, ...]) -> None:
        """Refuse a data set without attributes."""
        if not attributes:
            raise MienError(
                "expected a data set with attributes to train iterative_gan, got one without: "
                "use avatars, celeba, or folder with a table of attributes"
            )

    def calibrate(self, batch: Batch) -> None:
        """Remember which attributes occur, and together."""
        assert batch.attributes is not None
        self.generator.remember(batch.attributes)

    def read_attributes(self, table: np.ndarray) -> None:
        """Find the attributes that exclude each other in the training data."""
        self.generator.excludes.copy_(torch.from_numpy(exclusive(table).astype(np.int8)))

    def training_step(self, batch: Batch, update: Update) -> None:
        """The two stages of Fig. 1."""
        self._acgan(batch, update)
        if self.lambda1 or self.lambda2:
            self._rebuild(batch.x, update)

    def _acgan(self, batch: Batch, update: Update) -> None:
        """Stage 1: L_ACGAN, with L_z, which looks at the same pictures G(z, c).

        §3.2.2 propagates L_label back "to optimize the G, D, and C", for real and for generated pictures; L_z is
        to "regularize the process of image generation" (§3.3.3) and "further tune the networks" (§3.1). So both
        move all three, and only L_adv has two sides.
        """
        real, label_real = self._real(batch)
        fake = self._fake(batch)
        d, g = _adversarial(real, fake.logit)
        update(
            {("discriminator", "classifier"): d + label_real + fake.common, "generator": g + fake.common},
            d=d, g=g, d_updates=1.0, g_updates=1.0, **fake.terms,
        )  # fmt: skip
        # §4.1: "while the loss of D is overwhelmingly higher than G, we increase the update times of D", and
        # the reverse
        # the host reads the losses here: not where one update is all there can be
        behind, updates = self._behind(d, g) if self.most_updates > 1 else "", 1
        moved = True  # whether D has moved since it saw real pictures
        while behind and updates < self.most_updates:
            updates += 1
            fake = self._fake(batch)  # of another z
            if behind == "discriminator":
                real, label_real = self._real(batch)
                d, g = _adversarial(real, fake.logit)
                update({("discriminator", "classifier"): d + label_real + fake.common}, d_updates=updates)
            else:
                if moved:
                    with torch.no_grad():
                        real = self.discriminator(batch.x, remember=False)[0]
                    moved = False
                d, g = _adversarial(real, fake.logit)
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
        """Return what D and C say of G(z, c), with the c of the batch: attributes that go together."""
        assert batch.attributes is not None
        chance = torch.rand_like(batch.attributes)
        c = self.generator.multi_hot(batch.attributes, chance)  # (B, A)
        z = torch.rand(len(c), self.latent, device=c.device) * 2 - 1  # (B, K)
        logit, shared, _ = self.discriminator(self.generator(z, c, drawn=True), remember=False)
        label = F.binary_cross_entropy_with_logits(self.classifier.logits(shared), c)
        terms = {"label_fake": label}
        common = self.label_weight * label
        if self.lambda3:
            terms["z"] = (self.classifier.z(shared) - z).abs().mean()  # L_z, §3.3.3
            common = common + self.lambda3 * terms["z"]
        return Fake(logit, common, terms)

    def _behind(self, d: Tensor, g: Tensor) -> str:
        """Return the player whose loss is overwhelmingly higher, or nothing; all processes agree."""
        both = torch.stack([d.detach() / 2, g.detach()])  # each log 2 where D cannot tell
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(both)
        loss_d, loss_g = both.tolist()
        if loss_d > self.ratio * loss_g:
            return "discriminator"
        return "generator" if loss_g > self.ratio * loss_d else ""

    def _rebuild(self, x: Tensor, update: Update) -> None:
        """Stage 2: L_per and L_pix of x_rebuild = G(z̃, c̃).

        They move G, and D and C as what reads z̃ and c̃. The maps that L_per compares take the place of a
        pretrained network's (§3.3.2): as such D is not moved, which could make them alike by making them dull.
        """
        z, c, maps = self._read(x)
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

    def _read(self, x: Tensor, remember: bool = True) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return z̃ (B, K), c̃ (B, A) and D's maps of pictures ``x`` (B, C, H, W)."""
        _, shared, maps = self.discriminator(x, remember)
        return self.classifier.z(shared), self.classifier.logits(shared).sigmoid(), maps


def exclusive(table: np.ndarray) -> np.ndarray:
    """Return which attributes exclude each other, (A, A) of bool, of a table (n, A) of +1, -1, and 0 where not known.

    Two attributes do where almost no picture has both, although independence predicts several (see ``EXPECTED``).

    >>> table = np.array([[1, -1, 1], [-1, 1, 1]] * 20)
    >>> exclusive(table).astype(int).tolist()
    [[0, 1, 0], [1, 0, 0], [0, 0, 0]]
    """
    has = (table > 0).astype(np.float64)
    together = has.T @ has
    expected = np.outer(has.sum(0), has.sum(0)) / max(len(table), 1)
    return (expected >= EXPECTED) & (together <= TOGETHER * expected)


def _adversarial(real: Tensor, fake: Tensor) -> losses.Adversarial:
    """Return L_adv on logits (B,), the non-saturating form for G (Goodfellow et al. 2014).

    >>> _adversarial(torch.zeros(2), torch.zeros(2))
    Adversarial(critic=tensor(1.3863), generator=tensor(0.6931))
    """
    return losses.Adversarial(F.softplus(-real).mean() + F.softplus(fake).mean(), F.softplus(-fake).mean())
