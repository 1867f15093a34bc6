"""Residual GAN: adds and removes one attribute by learned residual images (Shen & Liu, CVPR 2017).

"Learning Residual Images for Face Attribute Manipulation". Networks: Table 1. Training: §3.

G0 adds the attribute to pictures without it, G1 removes it from pictures with it, and each learns only what is
to be changed: x̃ = x + G(x). D tells three classes apart: without, with, and made by G0 or G1.

Departures
- ‖·‖₁ of Eq. 3 and 5 are sums whose size depends on the number of pixels and channels, and so then does what α
  means. They are rescaled to the size they have in the paper (pictures 3x128x128, maps 256x16x16), so α means
  the same at every size and width; ``literal_sums=true`` is the plain sum. At 128x128 and width 64 they agree.
- Each step takes as many pictures without as with the attribute; the paper balances the data set only (§4).
- The paper holds out 1,000 + 1,000 pictures of each attribute; here the project's validation and test parts are.
- Table 1 gives D one output and the text three classes: three logits. Eq. 6 and 7, read with them: x̃₀ and x̂₁ are
  to be of class 1, x̃₁ and x̂₀ of class 0.
- D, and G0 with G1, step at the same time from one forward pass; the paper says only "iteratively". BatchNorm in D
  takes real pictures, made ones and those of the dual phase as batches of their own. D's loss has x̃ in its third
  class as the text says, not x̂.
- The paper names neither batch size, length, Adam's β nor the kind of upsampling: β₁ = 0.5 and nearest neighbors.
- D and the dual phase see x̃ and x̂ clamped to [-1, 1], as ``edit`` shows them; the gradient passes the clamp unchanged.
  The paper does not say what becomes of values outside.
- BatchNorm's running statistics are of real pictures only: those of the dual phase are what G0 and G1 made. With
  both in them, edits of CelebA at 32 px differed from the same edits by batch statistics by .074 on average (of 2),
  and by .007 without.
- Other sizes than 128x128 have as many stages in D as halve them to 4x4; with fewer than three the last stands
  for the third layer.
- §5 has α = 1e-6 for global attributes, §7 5e-6: the former; ``alpha=5e-6`` is the latter.
"""

from __future__ import annotations

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
from mien.networks.translators import StridedClassifier, Translator

WITHOUT, WITH, MADE = 0, 1, 2  # D's classes
GLOBAL = ("Male", "Young")  # §5; its local ones are Eyeglasses, No_Beard, Mouth_Slightly_Open, Smiling
ALPHA_LOCAL, ALPHA_GLOBAL = 5e-4, 1e-6
PIXELS, FEATURES = 3 * 128 * 128, 256 * 16 * 16  # addends of Eq. 3 and 5 in the paper


class ResidualGAN(Model, Edits):
    """Residual GAN of one attribute.

    Args:
        shape: (C, H, W) of the pictures; H and W divide by 4.
        attributes: the data set's names.
        attribute: which of them is added and removed; may be left out where there is only one.
        width: channels of the first layer of every network; the paper has 64.
        alpha: weight of the pixels' loss, Eq. 8; 0 takes the paper's for the attribute (1e-6 for Male and Young,
            5e-4 for all others).
        beta_ratio: weight of the perceptual loss, as a multiple of alpha.
        residual: G's output is added to the picture; false: it is the picture (§6.2's ablation).
        dual: what G0 made is given to G1, and the reverse, Eq. 7; false is §6.2's other ablation.
        literal_sums: see *Departures*.
        lr, betas: Adam's.
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
    ):
        super().__init__()
        positive(width=width, lr=lr)
        not_negative(alpha=alpha, beta_ratio=beta_ratio)
        if attribute and attributes and attribute not in attributes:
            raise UnknownName("attribute", attribute, attributes)
        self.attribute = attribute or next(iter(attributes), "")
        self.chosen = bool(attribute) or len(attributes) == 1
        self.column = attributes.index(self.attribute) if attributes else 0
        self.editable = (self.attribute,) if attributes else ()
        self.alpha = alpha or (ALPHA_GLOBAL if self.attribute in GLOBAL else ALPHA_LOCAL)
        self.beta = beta_ratio * self.alpha
        self.as_residual = _itself if residual else _difference
        self.dual, self.lr, self.betas = dual, lr, betas
        self.literal_sums = literal_sums
        self.G0 = Translator(shape, width)
        self.G1 = Translator(shape, width)
        self.D = StridedClassifier(shape, width, classes=3)

    def residual(self, x: Tensor, amount: float, remember: bool = True) -> Tensor:
        """Return r (B, C, H, W) of Eq. 2: G0's for an amount above zero (it adds), otherwise G1's (it removes).

        ``remember``: see :class:`mien.networks.translators.Translator`.
        """
        network = self.G0 if amount > 0 else self.G1
        return self.as_residual(network(x, remember), x)

    def edit(self, x: Tensor, amounts: Mapping[str, float]) -> Tensor:
        """Return x + |amount| · r in [-1, 1], with G0's r for an amount above zero and G1's for one below."""
        for name, amount in amounts.items():
            if name not in self.editable:
                raise UnknownName("attribute", name, self.editable)
            if amount:
                x = (x + abs(amount) * self.residual(x, amount)).clamp(-1, 1)
        return x

    def needs(self, attributes: tuple[str, ...], classes: tuple[str, ...]) -> None:
        """Refuse a data set without attributes, and a choice of one left open."""
        del classes
        if not attributes:
            raise MienError(
                "expected a data set with attributes to train residual_gan, got one without: "
                "use avatars, celeba, or folder with a table of attributes"
            )
        if not self.chosen:
            shown = ", ".join(attributes[:45])
            raise MienError(f"expected the attribute to edit, got none: pass --set attribute=NAME, one of {shown}")

    def training_index(self, dataset: Dataset, index: np.ndarray, seed: int) -> np.ndarray:
        """Return all pictures of the rarer class and as many of the other, drawn by ``seed`` (§4).

        Raises:
            MienError: if all pictures whose attribute is known are of one class.
        """
        known = np.asarray(dataset.attribute_table[index, self.column])  # (n,)
        without, having = index[known < 0], index[known > 0]
        n = min(len(without), len(having))
        if n == 0:
            raise MienError(
                f"expected training pictures with and without {self.attribute}, got {len(having)} with and "
                f"{len(without)} without: choose another --set attribute=…, or more pictures"
            )
        rng = np.random.default_rng([seed, self.column])
        return np.sort(np.concatenate([rng.permutation(part)[:n] for part in (without, having)]))

    def training_step(self, batch: Batch, update: Update) -> None:
        """§3.5: D by Eq. 9, G0 and G1 by Eq. 8."""
        x, weight = self._sides(batch)  # (2n, C, H, W): n without the attribute, then n with it
        x0, x1 = x.chunk(2)
        r = torch.cat([self.residual(x0, 1), self.residual(x1, -1)])
        made = _shown(x + r)  # x̃, Eq. 2
        given = torch.full((len(x) // 2,), WITHOUT, device=x.device)
        given = torch.cat([given, torch.full_like(given, WITH)])  # class of each x
        real, phi = self.D(x)
        fake, phi_made = self.D(made)
        # Eq. 9: every picture counts the same
        d = 0.5 * (_classify(real, given, weight) + _classify(fake, torch.full_like(given, MADE), weight))
        gan = _classify(fake, WITH - given, weight)  # Eq. 6
        pix = _mean(r.abs(), weight) * (r[0].numel() if self.literal_sums else PIXELS)  # Eq. 3
        # Eq. 5
        per = _mean((phi.detach() - phi_made).abs(), weight) * (phi[0].numel() if self.literal_sums else FEATURES)
        g = gan + self.alpha * pix + self.beta * per  # Eq. 8
        terms = {"d": d, "gan": gan, "pix": self.alpha * pix, "per": self.beta * per}
        if self.dual:
            made0, made1 = made.chunk(2)
            again = torch.cat([made0 + self.residual(made0, -1, False), made1 + self.residual(made1, 1, False)])
            again = _shown(again)  # x̂
            terms["dual"] = _classify(self.D(again)[0], given, weight)  # Eq. 7
            g = g + terms["dual"]
        update({("G0", "G1"): g, "D": d}, **terms)

    def _sides(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return n pictures without the attribute and n with it, n half the batch, and their weights (2n,).

        A side with too few pictures repeats them; one with none holds others, of weight zero. All shapes are
        fixed, so nothing waits for the device.
        """
        assert batch.attributes is not None
        sign = batch.attributes[:, self.column]
        place = torch.arange(max(1, len(batch) // 2), device=sign.device)
        positions, weights = [], []
        for side in (-1, 1):
            mine = sign * side > 0
            count = mine.sum()
            first = torch.argsort(mine.int(), descending=True, stable=True)  # mine, then all others
            positions.append(first[place % count.clamp(min=1)])
            weights.append((count > 0).float().expand(len(place)))
        return batch.x[torch.cat(positions)], torch.cat(weights)


def _shown(x: Tensor) -> Tensor:
    """Return pictures (B, C, H, W) clamped to [-1, 1], as ``edit`` shows them; the gradient passes unchanged.

    >>> x = torch.tensor([0.5, 2.0], requires_grad=True)
    >>> _shown(x).sum().backward()
    >>> _shown(x).tolist(), x.grad.tolist()
    ([0.5, 1.0], [1.0, 1.0])
    """
    return x + (x.clamp(-1, 1) - x).detach()


def _itself(output: Tensor, x: Tensor) -> Tensor:
    """G's output (B, C, H, W) is the residual."""
    del x
    return output


def _difference(output: Tensor, x: Tensor) -> Tensor:
    """G's output (B, C, H, W) is the picture, in [-1, 1] (§6.2: without the identity mapping)."""
    return output.tanh() - x


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """Return the mean of values (B, …) over the pictures that count, weight (B,) of 0 and 1; a scalar."""
    return (values.flatten(1).mean(1) * weight).sum() / weight.sum().clamp(min=1)


def _classify(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return −log p_t (Eq. 4) of logits (B, 3) and classes t (B,), averaged over the pictures that count.

    >>> _classify(torch.zeros(2, 3), torch.tensor([0, 2]), torch.tensor([1.0, 0.0]))
    tensor(1.0986)
    """
    return _mean(F.cross_entropy(logits, target, reduction="none")[:, None], weight)
