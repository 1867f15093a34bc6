"""SelfExGAN: a GAN whose latents are its encoder's codes, and whose second discriminator judges pairs (Liu 2018).

"Generative adversarial network for understanding latent space" (Y. Liu, master's thesis, University of Tokyo),
chapters 3 and 4. Value function: Eq. 3.4. Sphere and KL: Eq. 4.1–4.5. Networks: tables 4.1–4.7.

Departures
- Stability. With the thesis's Adam (lr 0.001, β1 0.9, all four networks) D1 wins within a hundred steps, and what is
  made of codes did not resemble the picture in the 300 steps that were tried on MNIST. Here β1 = 0.5, D1 learns at a
  quarter of the rate and E at a twentieth, presumably so that D2 can follow its codes, and D2's game weighs 3 for E
  and G. ``betas=0.9,0.99 lr_image=1e-3 lr_encoder=1e-3 pair_weight=1`` is the thesis. ``generator_updates=2`` is what
  §3.1 advises against the same ("update G twice, then update D"), ``smooth`` one of the means it cites.
- Eq. 3.4 is one game; §4.1.1 plays two, with D1 and D2, and two fakes in each. Their values are added, and in each
  the two fakes count half, so that real and fake weigh the same, as the proofs suppose. E and G minimize the same
  value, which reaches E by every way there is: through x̂ = G(E(x)), as either half of a pair, and in the real pair.
  Each has an optimizer and gradients of its own; the four networks step at once, from one forward pass.
- Minimax is printed, of DCGAN, whose implementation the thesis adapts, the non-saturating form is known: that is the
  default, and ``saturating=true`` the formula.
- The sphere's center and radius are not given. Rays leave from 1/2, the middle of E's sigmoid, as from 0 they would
  reach positive codes only, which cannot match N(0, 1); the radius is √K, the length of a draw from N(0, I); and the
  result is centered at 0. ``center=0`` and ``shift=0.5`` are the other readings of step 1 and step 4.
- Eq. 4.5 prints -M/2 outside the mean over M dimensions; it is -1/2 inside, as appendix A derives.
- Tables: the last deconvolution of 4.5–4.7 gives 64x64x3, not 32x32x3; D1's last convolution, whose channels are not
  printed, keeps those before it; D2 of 4.6 and 4.7 joins 64 + 128 numbers, which are printed as 256.
- How long to train is not printed: 25 epochs, which make 4,000 avatars 100,000 pictures. After 5 they are smears.
- Without ``table`` the networks follow the tables' pattern at any size, in a width that trains on a CPU.
- BatchNorm's running statistics of E are of real pictures alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mien.abilities import Decodes, Encodes, Generates
from mien.data.batch import Batch
from mien.errors import MienError, UnknownName
from mien.models.base import Model, Update, not_negative, positive
from mien.networks.point import Point
from mien.networks.prior import standard_normal
from mien.networks.residual import halvings, stage_widths
from mien.networks.sphere import moment_kl, project
from mien.networks.stacks import (
    LEAKY,
    RELU,
    Conv,
    Deconv,
    Dense,
    Drop,
    PairStack,
    Pool,
    Reshape,
    Row,
    Sigmoid,
    Stack,
    Tanh,
)

Rows = tuple[Row, ...]
Activation = Callable[[], nn.Module]


class Table(NamedTuple):
    """The four networks of one data set: G, E, D1, and D2 before and after z joins the picture's rows."""

    shape: tuple[int, int, int]  # of the pictures, (C, H, W)
    latent: int
    generator: Rows
    encoder: Rows
    image: Rows
    picture: Rows
    pair: Rows


def _deconvs(kernels: Sequence[int], channels: Sequence[int], activation: Activation) -> Rows:
    """Deconvolutions of stride 2, all with BatchNorm but the last, which ends in tanh."""
    *body, last = zip(kernels, channels, strict=True)
    return (*(Deconv(k, 2, c, True, activation) for k, c in body), Deconv(last[0], 2, last[1], False, Tanh))


def _pooled(kernels: Sequence[int], channels: Sequence[int], activation: Activation) -> Rows:
    """Convolutions of stride 1, each with BatchNorm and a pool after it."""
    return tuple(r for k, c in zip(kernels, channels, strict=True) for r in (Conv(k, 1, c, True, activation), Pool()))


def _strided(channels: Sequence[int], activation: Activation) -> Rows:
    """Convolutions 5x5 of stride 2, each with BatchNorm."""
    return tuple(Conv(5, 2, c, True, activation) for c in channels)


def _dense(units: Sequence[int]) -> Rows:
    """Fully connected layers with BatchNorm and ReLU, but no BatchNorm in the first."""
    return tuple(Dense(n, i > 0, RELU) for i, n in enumerate(units))


# Rows that tables share. D1 and D2 end in one log-odds, whose sigmoid is in the loss, or in two, whose softmax is there.
ROOT = (Dense(4096, True, RELU), Reshape((256, 4, 4)))
ONE, TWO = Dense(1, False, nn.Identity), Dense(2, False, nn.Identity)
FLAT = (Dense(32 * 32, True, RELU), Dense(256, True, RELU))
G32 = (*ROOT, *_deconvs((5, 5, 5), (128, 64, 3), RELU))
G64 = (*ROOT, *_deconvs((3, 3, 3, 5), (128, 64, 64, 3), LEAKY))  # the last is printed 32x32x3
E32 = _pooled((5, 5, 5), (64, 128, 256), LEAKY)
E64 = _pooled((3, 3, 3, 3), (64, 64, 128, 256), RELU)
D32 = (*_strided((64, 128, 256, 256), LEAKY), TWO)  # the last convolution's channels are not printed
D64 = (*_strided((64, 64, 128, 256, 256), LEAKY), TWO)
X64 = (*_strided((64, 64, 128), LEAKY), Dense(64, False, LEAKY))
P64 = (*_dense((256, 128, 64)), TWO)

TABLES = {
    "mnist": Table(  # 4.1
        (1, 32, 32),
        64,
        generator=(*ROOT, *_deconvs((5, 5, 5), (128, 64, 1), RELU)),
        encoder=(*_pooled((3, 3, 3), (64, 128, 256), RELU), Dense(64, False, Sigmoid)),
        image=(*_strided((64, 128, 256, 256), RELU), ONE),
        picture=(*FLAT, Dense(64, False, RELU)),
        pair=(*_dense((256, 128, 64)), ONE),
    ),
    "svhn": Table(  # 4.2
        (3, 32, 32),
        128,
        generator=G32,
        encoder=(*_pooled((3, 3, 3), (64, 128, 256), RELU), Dense(128, False, Sigmoid)),
        image=(*_strided((64, 128, 256, 256), RELU), TWO),
        picture=(*FLAT, Dense(128, False, RELU)),
        pair=(*_dense((512, 256, 128, 64)), TWO),
    ),
    "cifar10": Table(  # 4.3
        (3, 32, 32),
        128,
        generator=G32,
        encoder=(*E32, Dense(128, False, Sigmoid)),
        image=D32,
        picture=(*FLAT, Dense(128, False, RELU)),
        pair=(
            Dense(256, False, RELU),
            Drop(0.1),
            Dense(512, True, RELU),
            Drop(0.1),
            *(Dense(n, True, RELU) for n in (256, 128, 64)),
            TWO,
        ),
    ),
    "imagenet32": Table(  # 4.4
        (3, 32, 32),
        128,
        generator=G32,
        encoder=(*E32, Dense(128, False, Sigmoid)),
        image=D32,
        picture=(*FLAT, Dense(128, False, RELU)),
        pair=(
            *_dense((256, 512)),
            Drop(0.1),
            Dense(1024, True, RELU),
            Drop(0.1),
            Dense(512, True, RELU),
            Drop(0.1),
            *(Dense(n, True, RELU) for n in (256, 128, 64)),
            TWO,
        ),
    ),
    "celeba_crop": Table(  # 4.5
        (3, 64, 64), 64, G64, (*E64, Dense(64, False, Sigmoid)), D64, X64, P64
    ),
    "celeba_resized": Table(  # 4.6; the joint is printed 256 = 128 + 128, and 64 + 128 = 192 by the rows before it
        (3, 64, 64), 128, G64, (*E64, Dense(128, False, Sigmoid)), D64, X64, P64
    ),
    "cartoon": Table(  # 4.7; the joint as in 4.6
        (3, 64, 64),
        128,
        generator=(*ROOT, *_deconvs((5, 5, 5, 5), (128, 64, 64, 3), LEAKY)),
        encoder=(*_pooled((5, 5, 5, 3), (64, 64, 128, 256), RELU), Dense(128, False, Sigmoid)),
        image=D64,
        picture=X64,
        pair=P64,
    ),
}


def stacks(shape: tuple[int, int, int], width: int, latent: int) -> Table:
    """Return the tables' pattern for pictures of any ``shape`` that halves: table 4.5's, with 64 as ``width``."""
    n = halvings(shape)
    widths = stage_widths(width, n)
    base = (widths[-1], shape[1] >> n, shape[2] >> n)
    return Table(
        shape,
        latent,
        generator=(
            Dense(base[0] * base[1] * base[2], True, RELU),
            Reshape(base),
            *_deconvs((5,) * n, (*widths[-2::-1], shape[0]), RELU),
        ),
        encoder=(*_pooled((3,) * n, widths, RELU), Dense(latent, False, Sigmoid)),
        image=(*_strided((*widths, widths[-1]), LEAKY), ONE),
        picture=(*_strided(widths, LEAKY), Dense(4 * width, False, LEAKY)),
        pair=(*_dense((8 * width, 4 * width, 2 * width)), ONE),
    )


class Game(NamedTuple):
    """The log-odds (B,) of being real that D1 and D2 see in one batch, and its codes z = E(x), (B, K)."""

    x: Tensor  # D1 of x
    x_rec: Tensor  # D1 of G(z)
    x_new: Tensor  # D1 of G(noise)
    pair: Tensor  # D2 of (x, z), the real pair
    pair_x: Tensor  # D2 of (G(z), z)
    pair_z: Tensor  # D2 of (x, E(G(z)))
    z: Tensor


class SelfExGAN(Model, Encodes, Decodes, Generates):
    """SelfExGAN.

    Args:
        shape: (C, H, W) of the pictures.
        table: mnist, svhn, cifar10, imagenet32, celeba_crop, celeba_resized or cartoon for the networks of tables
            4.1 to 4.7; empty for networks of their pattern at any shape.
        width: channels of the first stage where there is no table; the tables have 64.
        latent: K where there is no table; the tables have 64 or 128.
        radius, center, shift: of the sphere (Eq. 4.1–4.4): its radius, √K if 0; every coordinate of what rays leave
            from, in (0, 1); every coordinate of its center among latents.
        kl_weight: of the KL of E's moments, Eq. 4.5.
        pair_weight: of D2's game, for E and G.
        generator_updates: of E and G for each of D1 and D2.
        smooth: what the discriminators' target for real is below 1.
        saturating: E and G minimize log(1 - D), Eq. 3.4, in place of -log D.
        lr: Adam's, of G and D2.
        lr_image, lr_encoder: of D1, and of E.
        betas: Adam's.
    """

    players = ("generator", "encoder", "image_discriminator", "pair_discriminator")
    epochs = 25

    def __init__(
        self,
        shape: tuple[int, int, int] = (3, 64, 64),
        table: str = "",
        width: int = 16,
        latent: int = 64,
        radius: float = 0.0,
        center: float = 0.5,
        shift: float = 0.0,
        kl_weight: float = 1.0,
        pair_weight: float = 3.0,
        generator_updates: int = 1,
        smooth: float = 0.0,
        saturating: bool = False,
        lr: float = 1e-3,
        lr_image: float = 2.5e-4,
        lr_encoder: float = 5e-5,
        betas: tuple[float, float] = (0.5, 0.99),
    ):
        super().__init__()
        positive(width=width, latent=latent, generator_updates=generator_updates, lr=lr)
        positive(lr_image=lr_image, lr_encoder=lr_encoder)
        not_negative(radius=radius, kl_weight=kl_weight, pair_weight=pair_weight)
        if not 0 <= smooth < 0.5:
            raise MienError(f"expected smooth in [0, 0.5), got {smooth}")
        rows = _choose(table, shape) if table else stacks(shape, width, latent)
        self.latent, self.center, self.shift = rows.latent, center, shift
        self.radius = radius or rows.latent**0.5
        self.kl_weight, self.pair_weight, self.smooth = kl_weight, pair_weight, smooth
        self.generator_updates, self.fool = generator_updates, _minimax if saturating else _non_saturating
        self.lr, self.lr_image, self.lr_encoder, self.betas = lr, lr_image, lr_encoder, betas
        self.generator = Stack((rows.latent,), rows.generator)
        self.encoder = Stack(shape, rows.encoder)
        self.image_discriminator = Stack(shape, rows.image)  # D1
        self.pair_discriminator = PairStack(shape, rows.latent, rows.picture, rows.pair)  # D2

    def encode(self, x: Tensor) -> Point:
        """Return E(x), a Point of (B, K) on the sphere."""
        return Point(self._code(x))

    def decode(self, z: Tensor) -> Tensor:
        """Return pictures (B, C, H, W) of latents (B, K)."""
        return self.generator(z)

    def generate(self, n: int, attributes: Tensor | None = None, seed: int = 0) -> Tensor:
        """Return n pictures decoded from z ~ N(0, I); ``attributes`` cannot be asked for and are ignored."""
        return self.decode(standard_normal(n, self.latent, seed, self))

    def _code(self, x: Tensor, remember: bool = True) -> Tensor:
        """Return E(x) (B, K) on the sphere: Eq. 4.1–4.4."""
        return project(self.encoder(x, remember), self.radius, self.center, self.shift)

    def play(self, x: Tensor, noise: Tensor) -> Game:
        """Return what D1 and D2 see of pictures ``x`` (B, C, H, W) and ``noise`` (B, K) ~ N(0, I): §3.3.1, Fig. 3.9."""
        z = self._code(x)
        x_rec, x_new = self.decode(torch.cat([z, noise])).chunk(2)
        z_rec = self._code(x_rec, remember=False)
        d1, d2 = self.image_discriminator, self.pair_discriminator
        h, h_rec = d2.picture(x), d2.picture(x_rec)
        return Game(
            # each kind of picture is a batch of its own for BatchNorm, as in DCGAN
            x=_log_odds(d1(x)),
            x_rec=_log_odds(d1(x_rec)),
            x_new=_log_odds(d1(x_new)),
            # z ~ N(0, I) has no picture, hence no pair: there D2 does not judge (§4.1.1)
            pair=_log_odds(d2(h, z)),
            pair_x=_log_odds(d2(h_rec, z)),
            pair_z=_log_odds(d2(h, z_rec)),
            z=z,
        )

    def training_step(self, batch: Batch, update: Update) -> None:
        """One iteration (§3.3.1, §4.1.1): D1 and D2 maximize Eq. 3.4, E and G minimize it, and E its KL (4.5)."""
        for number in range(self.generator_updates):
            game = self.play(batch.x, torch.randn(len(batch), self.latent, device=batch.x.device))
            kl = moment_kl(game.z)
            image = (self.fool(game.x_rec) + self.fool(game.x_new)) / 2
            pair = (self.fool(game.pair_x) + self.fool(game.pair_z)) / 2
            d1 = _judge(game.x, (game.x_rec, game.x_new), self.smooth)
            d2 = _judge(game.pair, (game.pair_x, game.pair_z), self.smooth)
            # z = E(x) is in the real pair too, and there E minimizes log D2; G has no part in it, nor in the KL
            encoder = self.kl_weight * kl + self.pair_weight * self.fool(-game.pair)
            losses: dict[str | tuple[str, ...], Tensor] = {
                ("generator", "encoder"): image + self.pair_weight * pair + encoder,
            }
            if number == 0:
                losses |= {"image_discriminator": d1, "pair_discriminator": d2}
            update(losses, d1=d1, d2=d2, image=image, pair=pair, kl=kl)

    def optimizer(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Return Adam, for D1 and E with learning rates of their own."""
        parameters = list(parameters)
        own = {self.image_discriminator: self.lr_image, self.encoder: self.lr_encoder}
        lr = next((rate for net, rate in own.items() if next(net.parameters()) is parameters[0]), self.lr)
        return torch.optim.Adam(parameters, lr=lr, betas=self.betas, fused=True)


def _choose(name: str, shape: tuple[int, int, int]) -> Table:
    """Return the table ``name``.

    Raises:
        MienError: if there is none, or it is for pictures of another shape.
    """
    if name not in TABLES:
        raise UnknownName("table of selfexgan", name, TABLES)
    wanted, got = TABLES[name].shape, tuple(shape)
    if wanted != got:
        fitting = [n for n, t in TABLES.items() if t.shape == got]
        advice = [f"choose table {' or '.join(fitting)}"] if fitting else []
        if wanted[0] == got[0]:
            advice.append(f"prepare the pictures at --size {wanted[1]}")
        advice.append("leave table empty, which fits any")
        raise MienError(f"expected pictures {wanted} for table {name}, got {got}: {', or '.join(advice)}")
    return TABLES[name]


def _log_odds(score: Tensor) -> Tensor:
    """Return the log-odds (B,) of one score, or of the last of two under softmax: (B, 1) or (B, 2)."""
    score = score.float()
    return score[:, 0] if score.shape[1] == 1 else score[:, 1] - score[:, 0]


def _judge(real: Tensor, fakes: Sequence[Tensor], smooth: float) -> Tensor:
    """Return -log D(real) - log(1 - D(fake)) of log-odds (B,), a mean over the batch and the kinds of fakes."""
    loss = (1 - smooth) * F.softplus(-real).mean() + smooth * F.softplus(real).mean()
    return loss + torch.stack([F.softplus(f).mean() for f in fakes]).mean()


def _minimax(fake: Tensor) -> Tensor:
    """Return log(1 - D) of log-odds (B,), its mean: Eq. 3.4."""
    return -F.softplus(fake).mean()


def _non_saturating(fake: Tensor) -> Tensor:
    """Return -log D of log-odds (B,), its mean; it has the same fixed points (Goodfellow et al. 2014)."""
    return F.softplus(-fake).mean()
