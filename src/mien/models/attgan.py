"""AttGAN: an autoencoder whose decoder gets the attributes of the result (He, Zuo, Kan, Shan & Chen 2019).

"AttGAN: Facial Attribute Editing by Only Changing What You Want", IEEE Transactions on Image Processing 28.

The decoder restores a picture x from its code and its own attributes a: x_rec. It changes the picture if it gets other
attributes b: x_b. D judges whether x_b is real, and C whether it has b; they share their convolutions. H is the
cross-entropy of attributes.

    encoder and decoder minimize λ1 E[‖x - x_rec‖₁] + λ2 E[H(b, C(x_b))] - E[D(x_b)]
    D and C minimize λ3 E[H(a, C(x))] - E[D(x)] + E[D(x_b)], with a gradient penalty

Departures
- The encoder, and the convolutions of D and C, are DCGAN's: 5x5, no normalization after the first one, to 8x8 at 128
  pixels and to 4x4 below. The paper has 4x4 convolutions, five at 128 pixels. The decoder's are 4x4. The width is 32
  and not 64.
- H is a sum over the attributes in the paper. Here, and in the authors' code, it is the mean, for which λ2 and λ3
  are chosen. Unknown attributes are 0.5 in a and b and are left out of H.
- The decoder gets b - 0.5, as in the authors' code. The paper has 13 attributes of CelebA; here they are all of the
  data set.
- The authors draw new pictures for each of the five updates of D and C. Here they share the pictures of a step and draw
  new b each. The b are the attributes of the step's pictures in random order, as in the authors' code.
- The encoder's BatchNorm sees real pictures only. The decoder's running statistics are those of restored and of changed
  pictures together.
- The paper takes a from the data set, also for an edit. Here an edit starts from the attributes that C recognizes,
  rounded to 0 and 1. If two attributes exclude each other in the training pictures (two hair colors), adding one
  removes the other.
- The learning rate is constant. The paper does not print the length of the training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien import losses
from mien.abilities import Edits, Recognizes
from mien.data.batch import Batch
from mien.models.base import Model, Update, not_negative, positive
from mien.networks.dcgan import DCGANTrunk
from mien.networks.penalty import gradient_penalty
from mien.networks.shortcut import ShortcutDecoder, TwoHeads
from mien.networks.targets import changed, check_attributes, exclusive, multi_hot, shuffled


class AttGAN(Model, Edits, Recognizes):
    """AttGAN.

    Args:
        shape: (C, H, W) of the pictures.
        attributes: the data set's names.
        width: channels of the first map of encoder and discriminator.
        lambda1: λ1, weight of the reconstruction, a mean over the values of a picture.
        lambda2: λ2, weight of the classification of changed pictures, for encoder and decoder.
        lambda3: λ3, weight of the classification of real pictures, for D and C.
        lambda_gp: weight of the gradient penalty.
        n_critic: updates of D and C for each update of encoder and decoder.
        lr: learning rate of Adam.
        betas: decay rates of Adam.
    """

    players = ("encoder", "decoder", "discriminator")  # the discriminator is D and C
    epochs = 25
    excludes: Tensor

    def __init__(
        self,
        shape: tuple[int, int, int] = (3, 64, 64),
        attributes: tuple[str, ...] = (),
        width: int = 32,
        lambda1: float = 100.0,
        lambda2: float = 10.0,
        lambda3: float = 1.0,
        lambda_gp: float = 10.0,
        n_critic: int = 5,
        lr: float = 2e-4,
        betas: tuple[float, float] = (0.5, 0.999),
    ):
        super().__init__()
        positive(width=width, n_critic=n_critic, lr=lr)
        not_negative(lambda1=lambda1, lambda2=lambda2, lambda3=lambda3, lambda_gp=lambda_gp)
        self.attributes = self.editable = attributes
        self.lambda1, self.lambda2, self.lambda3, self.lambda_gp = lambda1, lambda2, lambda3, lambda_gp
        self.n_critic, self.lr, self.betas = n_critic, lr, betas
        count = len(attributes) or 1
        self.encoder = DCGANTrunk(shape, width)
        self.decoder = ShortcutDecoder(shape, width, count)
        self.discriminator = TwoHeads(shape, width, count)
        self.register_buffer("excludes", torch.zeros(count, count, dtype=torch.int8))

    def edit(self, x: Tensor, amounts: Mapping[str, float]) -> Tensor:
        """Return ``x`` decoded with b, which is what C recognizes, with the amount +1 as 1 and -1 as 0.

        An amount in between moves the value of b that part of the way (attribute intensity control). An edit
        without amounts is the reconstruction.

        Raises:
            UnknownName: for an attribute that the model does not know.
        """
        a = (self.discriminator(x)[1] > 0).float()
        return self._decode(self.encoder(x), changed(a, amounts, self.attributes, self.excludes))

    def recognize(self, x: Tensor) -> Tensor:
        """Return C(x), the probability of each attribute, (B, A)."""
        p: Tensor = self.discriminator(x)[1].sigmoid()
        return p

    def needs(self, attributes: tuple[str, ...], classes: tuple[str, ...]) -> None:
        """Refuse a data set without attributes."""
        del classes
        check_attributes(self.name, attributes)

    def read_attributes(self, table: NDArray[np.int8]) -> None:
        """Find the attributes that exclude each other in the training data."""
        self.excludes.copy_(exclusive(table))

    def training_step(self, batch: Batch, update: Update) -> None:
        """Take ``n_critic`` updates of D and C, then one of encoder and decoder."""
        assert batch.attributes is not None
        x, a = batch.x, batch.attributes
        maps = self.encoder(x)
        for _ in range(self.n_critic):
            with torch.no_grad():
                fake = self._decode(maps, multi_hot(shuffled(a)))
            source, logits = self.discriminator(x)
            critic = losses.wasserstein(source, self.discriminator(fake)[0]).critic
            penalty = gradient_penalty(lambda pictures: self.discriminator(pictures)[0], x, fake)
            label = losses.attribute_cross_entropy(logits, a)
            update(
                {"discriminator": critic + self.lambda_gp * penalty + self.lambda3 * label},
                critic=critic, penalty=penalty, label_real=label,
            )  # fmt: skip
        b = shuffled(a)
        source, logits = self.discriminator(self._decode(maps, multi_hot(b)))
        generator = -source.mean()
        label = losses.attribute_cross_entropy(logits, b)
        rec = (x - self._decode(maps, multi_hot(a))).abs().mean()
        update(
            {("encoder", "decoder"): self.lambda1 * rec + self.lambda2 * label + generator},
            generator=generator, label_fake=label, rec=rec,
        )  # fmt: skip

    def _decode(self, maps: Sequence[Tensor], c: Tensor) -> Tensor:
        """Return pictures (B, C, H, W) of the encoder's maps and attributes (B, A) in [0, 1]."""
        x: Tensor = self.decoder(maps, c - 0.5)
        return x
