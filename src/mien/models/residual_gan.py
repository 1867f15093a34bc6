"""Residual GAN: adds and removes one attribute by learned residual images (Shen & Liu, CVPR 2017).

"Learning Residual Images for Face Attribute Manipulation". Networks: Table 1. Training: §3.

G0 adds the attribute to pictures without it, and G1 removes it from pictures with it. Each learns only the change:
x̃ = x + G(x). D has three classes: without the attribute, with it, and made by G0 or G1.

Departures
- ‖·‖₁ in Eq. 3 and 5 is a sum, so its size and the meaning of α depend on the number of pixels and channels. The sums
  are rescaled to their size in the paper (pictures 3x128x128, maps 256x16x16), so α means the same at every size and
  width. ``literal_sums=true`` is the plain sum; both are equal at 128x128 and width 64.
- Each step takes as many pictures without the attribute as with it. The paper balances the data set only (§4).
- The paper holds out 1,000 + 1,000 pictures of each attribute. Here the validation and test parts are held out.
- Table 1 gives D one output, and the text gives it three classes: D has three logits. With these, Eq. 6 and 7 say
  that x̃₀ and x̂₁ have class 1, and x̃₁ and x̂₀ have class 0.
- D steps at the same time as G0 and G1, from one forward pass. The paper says only "iteratively". In D's BatchNorm,
  real pictures, made pictures and those of the dual phase are separate batches. D's third class contains x̃, as the
  text says, and not x̂.
- The paper does not state batch size, length, Adam's β or the kind of upsampling. Here β₁ = 0.5, and upsampling is by
  nearest neighbors.
- D and the dual phase see x̃ and x̂ clamped to [-1, 1], as ``edit`` returns them; the gradient passes the clamp
  unchanged. The paper does not say what happens to values outside.
- BatchNorm's running statistics come from real pictures only, because the dual phase feeds pictures that G0 and G1
  made. With both, edits of CelebA at 32 px in evaluation and in training mode differed by .074 on average (range 2);
  with real pictures only, by .007.
- At sizes other than 128x128, D has as many stages as halve the picture to 4x4. With fewer than three stages, the last
  one replaces the third layer.
- α for global attributes is 1e-6 in §5 and 5e-6 in §7. The default is 1e-6; ``alpha=5e-6`` is the other value.

Beyond the paper, all off by default
- ``mask``, ``mask_weight``: r is multiplied by a mask that the network outputs, as in Pumarola et al. 2018
  ("GANimation", Eq. 1 and 4). ``mask=true residual=false`` is r = m·(y − x).
- ``tv``: total variation of r (Rudin, Osher & Fatemi 1992), against speckle.
- ``zero_start``: the last layer of G0 and G1 starts at zero, so the first pictures are unchanged.
- ``blocks``: residual blocks in G0 and G1, as in Johnson, Alahi & Fei-Fei 2016.
- ``augment``: DiffAugment (Zhao et al. 2020). One draw changes x, x̃ and x̂ of the same picture alike.
- ``r1``: gradient penalty of D on real pictures (Mescheder, Geiger & Nowozin 2018, Eq. 9), for all three logits.
  ``r1_every`` makes it lazy as in Karras et al. 2020 ("StyleGAN2", §3.1); the steps are drawn at random, so a resumed
  training takes the same ones.
- ``spectral``: spectral normalization of D in place of BatchNorm (Miyato et al. 2018).
- ``schedule``: the learning rate falls to zero, ``linear`` in the second half (Zhu et al. 2017, "CycleGAN", §4) or
  along half a ``cosine`` (Loshchilov & Hutter 2017).
- ``oversample``: pictures of the rarer class are repeated, in place of leaving out those of the other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mien.abilities import Edits
from mien.data.batch import Batch
from mien.data.dataset import Dataset
from mien.errors import MienError, UnknownName
from mien.models.base import Model, Update, not_negative, positive
from mien.networks.augment import check_policies, random_change
from mien.networks.domains import domain, weighted_mean
from mien.networks.translators import StridedClassifier, Translator, squared_gradient

WITHOUT, WITH, MADE = 0, 1, 2  # D's classes
GLOBAL = ("Male", "Young")  # §5; its local ones are Eyeglasses, No_Beard, Mouth_Slightly_Open, Smiling
ALPHA_LOCAL, ALPHA_GLOBAL = 5e-4, 1e-6
SCHEDULES = ("constant", "linear", "cosine")
PIXELS, FEATURES = 3 * 128 * 128, 256 * 16 * 16  # addends of Eq. 3 and 5 in the paper


class ResidualGAN(Model, Edits):
    """Residual GAN of one attribute.

    Args:
        shape: (C, H, W) of the pictures; H and W divide by 4.
        attributes: the data set's names.
        attribute: the name of the attribute to add and remove; optional if there is only one.
        width: channels of the first layer of every network; the paper has 64.
        alpha: weight of the pixel loss (Eq. 8); 0 takes the paper's value: 1e-6 for Male and Young, 5e-4 for others.
        beta_ratio: weight of the perceptual loss, as a multiple of alpha.
        residual: true adds G's output to the picture; false takes it as the picture (an ablation of §6.2).
        dual: whether G1 gets the pictures of G0, and G0 those of G1 (Eq. 7); false is the other ablation of §6.2.
        literal_sums: whether Eq. 3 and 5 are plain sums, see *Departures*.
        lr: learning rate of Adam.
        betas: decay rates of Adam.
        mask: whether G also outputs a mask in (0, 1) that multiplies r.
        mask_weight: weight of the mean of the mask.
        tv: weight of the mean absolute difference of neighboring values of r.
        zero_start: whether the last layer of G0 and G1 starts at zero.
        blocks: residual blocks of G0 and of G1 at their lowest resolution.
        augment: random changes of all pictures that D sees: color, translation, cutout.
        r1: weight of the gradient penalty of D.
        r1_every: one of so many steps has the penalty, with so many times its weight.
        spectral: whether D has spectral normalization in place of BatchNorm.
        schedule: of the learning rate: constant, linear or cosine.
        oversample: whether pictures of the rarer class are repeated until all pictures of the other are used.
    """

    players = ("G0", "G1", "D")
    epochs = 20

    def __init__(
        self,
        shape: tuple[int, int, int] = (3, 128, 128),
        attributes: tuple[str, ...] = (),
        attribute: str = "",
        width: int = 64,
        alpha: float = 0.0,
        beta_ratio: float = 0.1,
        residual: bool = True,
        dual: bool = True,
        literal_sums: bool = False,
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.5, 0.999),
        mask: bool = False,
        mask_weight: float = 0.0,
        tv: float = 0.0,
        zero_start: bool = False,
        blocks: int = 0,
        augment: tuple[str, ...] = (),
        r1: float = 0.0,
        r1_every: int = 1,
        spectral: bool = False,
        schedule: str = "constant",
        oversample: bool = False,
    ):
        super().__init__()
        positive(width=width, lr=lr, r1_every=r1_every)
        not_negative(alpha=alpha, beta_ratio=beta_ratio, mask_weight=mask_weight, tv=tv, blocks=blocks, r1=r1)
        check_policies(augment)
        if schedule not in SCHEDULES:
            raise UnknownName("schedule", schedule, SCHEDULES)
        if mask_weight and not mask:
            raise MienError(
                f"expected mask=true with mask_weight={mask_weight:g}, got mask=false: pass --set mask=true"
            )
        self.domain = domain(attribute, attributes)
        self.attribute, self.column = self.domain.name, self.domain.column
        self.editable = (self.attribute,) if attributes else ()
        self.alpha = alpha or (ALPHA_GLOBAL if self.attribute in GLOBAL else ALPHA_LOCAL)
        self.beta = beta_ratio * self.alpha
        self.as_residual = _itself if residual else _difference
        self.dual, self.lr, self.betas = dual, lr, betas
        self.literal_sums = literal_sums
        self.mask, self.mask_weight, self.tv = mask, mask_weight, tv
        self.augment, self.r1, self.r1_every = augment, r1, r1_every
        self.schedule, self.oversample = schedule, oversample
        self.G0 = Translator(shape, width, mask, blocks, zero_start)
        self.G1 = Translator(shape, width, mask, blocks, zero_start)
        self.D = StridedClassifier(shape, width, classes=3, spectral=spectral)

    def residual(self, x: Tensor, amount: float, remember: bool = True) -> Tensor:
        """Return r (B, C, H, W) of Eq. 2: G0's for an amount above zero (it adds), otherwise G1's (it removes).

        ``remember``: see :class:`mien.networks.translators.Translator`.
        """
        return self._change(x, amount, remember)[0]

    def _change(self, x: Tensor, amount: float, remember: bool) -> tuple[Tensor, Tensor]:
        """Return r (B, C, H, W), which is multiplied by the mask, and the mask (B, 1, H, W); it is 1 without mask."""
        output = (self.G0 if amount > 0 else self.G1)(x, remember)
        channels = x.shape[1]
        r = self.as_residual(output[:, :channels], x)
        if not self.mask:
            return r, torch.ones_like(r[:, :1])
        m = output[:, channels:].sigmoid()
        return m * r, m

    def lr_factor(self, progress: float) -> float:
        """Return 1, or what remains of the learning rate at ``progress`` by the schedule."""
        if self.schedule == "linear":
            return min(1.0, 2 * (1 - progress))
        return 0.5 * (1 + math.cos(math.pi * progress)) if self.schedule == "cosine" else 1.0

    def edit(self, x: Tensor, amounts: Mapping[str, float]) -> Tensor:
        """Return x + |amount| · r in [-1, 1], with G0's r for an amount above zero and G1's for one below."""
        for name, amount in amounts.items():
            if name not in self.editable:
                raise UnknownName("attribute", name, self.editable)
            if amount:
                x = (x + abs(amount) * self.residual(x, amount)).clamp(-1, 1)
        return x

    def changes(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the amounts +1 and -1 add to pictures ``x`` (B, C, H, W), before the result is clamped."""
        return self.residual(x, 1.0), self.residual(x, -1.0)

    def needs(self, attributes: tuple[str, ...], classes: tuple[str, ...]) -> None:
        """Refuse a data set without attributes, and a data set with several if none was chosen."""
        del classes
        self.domain.check(self.name, attributes)

    def training_index(self, dataset: Dataset, index: np.ndarray, seed: int) -> np.ndarray:
        """Return the positions of all pictures of the rarer class and of as many of the other, drawn by ``seed`` (§4).

        With ``oversample``, the positions of all pictures, those of the rarer class repeated to as many as the others.

        Raises:
            MienError: if all pictures with a known attribute belong to one class.
        """
        return self.domain.balanced(dataset, index, seed, self.oversample)

    def training_step(self, batch: Batch, update: Update) -> None:
        """§3.5: D by Eq. 9, G0 and G1 by Eq. 8."""
        # drawn on the host, which therefore does not wait for the device
        if self.r1 and float(torch.rand(())) * self.r1_every < 1:
            # Compiled networks have no second derivatives, and a compiled call of D after the penalty's would change
            # BatchNorm's statistics, which the second derivative still reads.
            with torch.compiler.set_stance("force_eager"):
                self._step(batch, update, self.r1 * self.r1_every)
        else:
            self._step(batch, update, 0.0)

    def _step(self, batch: Batch, update: Update, r1: float) -> None:
        """Take a step with the gradient penalty of weight ``r1``; 0 has none."""
        x, weight = self._sides(batch)  # (2n, C, H, W): n without the attribute, then n with it
        (r_add, m_add), (r_remove, m_remove) = (
            self._change(part, way, True) for part, way in zip(x.chunk(2), (1, -1), strict=True)
        )
        r = torch.cat([r_add, r_remove])
        made = _shown(x + r)  # x̃, Eq. 2
        given = torch.full((len(x) // 2,), WITHOUT, device=x.device)
        given = torch.cat([given, torch.full_like(given, WITH)])  # class of each x
        change = random_change(x, self.augment)
        real, phi, penalty = self._judge_real(change(x), weight, r1)
        fake, phi_made = self.D(change(made))
        # Eq. 9: every picture counts the same
        d = 0.5 * (_classify(real, given, weight) + _classify(fake, torch.full_like(given, MADE), weight))
        gan = _classify(fake, WITH - given, weight)  # Eq. 6
        pix = weighted_mean(r.abs(), weight) * (r[0].numel() if self.literal_sums else PIXELS)  # Eq. 3
        # Eq. 5
        per = weighted_mean((phi.detach() - phi_made).abs(), weight) * (
            phi[0].numel() if self.literal_sums else FEATURES
        )
        g = gan + self.alpha * pix + self.beta * per  # Eq. 8
        terms = {"d": d, "gan": gan, "pix": self.alpha * pix, "per": self.beta * per}
        if self.dual:
            made0, made1 = made.chunk(2)
            again = torch.cat([made0 + self.residual(made0, -1, False), made1 + self.residual(made1, 1, False)])
            again = _shown(again)  # x̂
            terms["dual"] = _classify(self.D(change(again))[0], given, weight)  # Eq. 7
            g = g + terms["dual"]
        if self.mask_weight:
            terms["mask"] = self.mask_weight * weighted_mean(torch.cat([m_add, m_remove]), weight)
            g = g + terms["mask"]
        if self.tv:
            terms["tv"] = self.tv * weighted_mean(_variation(r), weight)
            g = g + terms["tv"]
        if self.r1:
            terms["r1"] = penalty
        update({("G0", "G1"): g, "D": d + penalty}, **terms)

    def _judge_real(self, x: Tensor, weight: Tensor, r1: float) -> tuple[Tensor, Tensor, Tensor]:
        """Return D's logits and maps of real pictures, and the gradient penalty of weight ``r1``."""
        if not r1:
            return *self.D(x), x.new_zeros(())
        x = x.detach().requires_grad_()
        logits, phi = self.D(x)
        return logits, phi, r1 / 2 * weighted_mean(squared_gradient(logits, x)[:, None], weight)

    def _sides(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the pictures (2n, C, H, W) and weights (2n,) of :meth:`mien.networks.domains.Domain.sides`."""
        return self.domain.sides(batch)


def _shown(x: Tensor) -> Tensor:
    """Return pictures (B, C, H, W) clamped to [-1, 1], as ``edit`` shows them; the gradient passes unchanged.

    >>> x = torch.tensor([0.5, 2.0], requires_grad=True)
    >>> _shown(x).sum().backward()
    >>> _shown(x).tolist(), x.grad.tolist()
    ([0.5, 1.0], [1.0, 1.0])
    """
    return x + (x.clamp(-1, 1) - x).detach()


def _variation(r: Tensor) -> Tensor:
    """Return the mean absolute difference of horizontal and of vertical neighbors of r (B, C, H, W): (B, 2).

    >>> _variation(torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]]]))
    tensor([[1., 0.]])
    """
    return torch.stack([r.diff(dim=dim).abs().flatten(1).mean(1) for dim in (3, 2)], 1)


def _itself(output: Tensor, x: Tensor) -> Tensor:
    """G's output (B, C, H, W) is the residual."""
    del x
    return output


def _difference(output: Tensor, x: Tensor) -> Tensor:
    """G's output (B, C, H, W) is the picture, in [-1, 1] (§6.2: without the identity mapping)."""
    return output.tanh() - x


def _classify(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return −log p_t (Eq. 4) for logits (B, 3) and classes t (B,), averaged over the pictures with weight 1.

    >>> _classify(torch.zeros(2, 3), torch.tensor([0, 2]), torch.tensor([1.0, 0.0]))
    tensor(1.0986)
    """
    return weighted_mean(F.cross_entropy(logits, target, reduction="none")[:, None], weight)
