"""SelfExGAN: a GAN whose latents are its encoder's codes, and whose second discriminator judges pairs (Liu 2018).

"Generative adversarial network for understanding latent space" (Y. Liu, master's thesis, University of Tokyo),
chapters 3 and 4. Value function: Eq. 3.4. Sphere and KL: Eq. 4.1–4.5. Networks: tables 4.1–4.7.

Departures
- Stability. With the Adam settings of the thesis (lr 0.001, β1 0.9, all four networks) D1 wins within a hundred steps,
  and reconstructions did not resemble the pictures within the 300 steps of a trial on MNIST. Here β1 = 0.5, D1 learns
  at a quarter of the rate, and E at a twentieth, presumably so that D2 can follow its codes. The game with D2 has
  weight 3 for E and G. ``betas=0.9,0.99 lr_image=1e-3 lr_encoder=1e-3 pair_weight=1`` is the thesis. Against the same
  problem §3.1 advises ``generator_updates=2`` ("update G twice, then update D") and cites ``smooth``.
- Eq. 3.4 is one game; §4.1.1 plays two, with D1 and D2, with two kinds of fakes in each. The values of the games are
  added. In each game the two kinds of fakes count half, so real and fake have equal weight, as the proofs assume. E
  and G minimize the same value. E receives gradients on all paths: through x̂ = G(E(x)), through both halves of a
  pair, and through the real pair. Each network has its own optimizer and gradients. All four networks step together,
  from one forward pass.
- The thesis prints the minimax loss, but adapts an implementation of DCGAN, which uses the non-saturating form. That
  form is the default; ``saturating=true`` is the formula of the thesis.
- The thesis does not give the center and the radius of the sphere. Here rays start at 1/2, the middle of E's sigmoid:
  from 0 they would reach positive codes only, which cannot match N(0, 1). The radius is √K, the length of a sample of
  N(0, I), and the result is centered at 0. ``center=0`` and ``shift=0.5`` are the other readings of steps 1 and 4.
- Eq. 4.5 prints -M/2 outside the mean over M dimensions; here it is -1/2 inside, as appendix A derives.
- Tables: the last deconvolution of 4.5–4.7 gives 64x64x3, not 32x32x3. The channels of D1's last convolution are not
  printed; it keeps those before it. D2 of 4.6 and 4.7 joins 64 + 128 values, which are printed as 256.
- The length of the training is not printed. Here it is 25 epochs, which is 100,000 pictures for 4,000 avatars. After 5
  epochs the pictures are smears.
- The thesis trains on 30,000 to 40,000 pictures of each data set. Here all training pictures are used;
  ``--count 30000`` limits them. The thesis does not print the initial weights. Here they are PyTorch's defaults, where
  DCGAN has N(0, 0.02).
- Without ``table`` the networks follow the pattern of the tables at any size, with a width that trains on a CPU.
- The BatchNorm statistics of E come from real pictures only.

Options beyond the thesis, off by default
- ``cycle_weight`` and ``cycle_noise_weight``: Eq. 3.2 for codes of pictures and for noise, squared and averaged over
  coordinates. The thesis cites Eq. 3.2 as a loss of AGE and does not use it. It moves G only: E could make it small by
  giving all pictures the same code.
- ``whiten``: the last layer of E begins with whitened features. With PyTorch's initial weights, a few directions of
  the features have most of the variance of the codes. ``whiten=0.5`` scales each direction by its eigenvalue^(-1/4).
- ``covariance_weight``: Eq. 4.5 sees only the diagonal of the codes' covariance. Codes with correlated coordinates
  leave most of N(0, I) empty, and G does not learn to decode it.
- ``noise_ratio``: more noise for each picture in the game with D1. ``decay``: a learning rate that ends at 0.
"""

from __future__ import annotations

import math
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
from mien.networks.sphere import covariance_gap, distance, moment_kl, project, whitened
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

CHUNK = 250  # pictures in a forward pass of the calibration

Rows = tuple[Row, ...]
Activation = Callable[[], nn.Module]


class Table(NamedTuple):
    """The four networks for one data set: G, E, D1, and D2 (``picture`` before, ``pair`` after it joins z)."""

    shape: tuple[int, int, int]  # of the pictures, (C, H, W)
    latent: int
    generator: Rows
    encoder: Rows
    image: Rows
    picture: Rows
    pair: Rows


def _deconvs(kernels: Sequence[int], channels: Sequence[int], activation: Activation) -> Rows:
    """Return deconvolutions of stride 2: all with BatchNorm, except the last, which ends in tanh."""
    *body, last = zip(kernels, channels, strict=True)
    return (*(Deconv(k, 2, c, True, activation) for k, c in body), Deconv(last[0], 2, last[1], False, Tanh))


def _pooled(kernels: Sequence[int], channels: Sequence[int], activation: Activation) -> Rows:
    """Return convolutions of stride 1, each with BatchNorm, and a pool after each."""
    return tuple(r for k, c in zip(kernels, channels, strict=True) for r in (Conv(k, 1, c, True, activation), Pool()))


def _strided(channels: Sequence[int], activation: Activation) -> Rows:
    """Return convolutions 5x5 of stride 2, each with BatchNorm."""
    return tuple(Conv(5, 2, c, True, activation) for c in channels)


def _dense(units: Sequence[int]) -> Rows:
    """Return fully connected layers with ReLU: all with BatchNorm, except the first."""
    return tuple(Dense(n, i > 0, RELU) for i, n in enumerate(units))


# Rows that several tables share. D1 and D2 end in one value (the log-odds) or in two (logits); the loss contains the
# sigmoid or the softmax.
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
    """Return networks in the pattern of the tables for pictures of any ``shape`` (C, H, W) that can be halved.

    The pattern is that of table 4.5, where ``width`` is 64.

    Args:
        shape: (C, H, W) of the pictures.
        width: channels of the first stage.
        latent: K.
    """
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
    """The outputs of D1 and D2 for one batch, log-odds (B,) of being real, and the codes z = E(x), (B, K)."""

    x: Tensor  # D1 of x
    x_rec: Tensor  # D1 of G(z)
    x_new: Tensor  # D1 of G(noise)
    pair: Tensor  # D2 of (x, z), the real pair
    pair_x: Tensor  # D2 of (G(z), z)
    pair_z: Tensor  # D2 of (x, E(G(z)))
    z: Tensor
    z_rec: Tensor  # E(G(z)), (B, K)
    fake: Tensor  # G(noise)


class SelfExGAN(Model, Encodes, Decodes, Generates):
    """SelfExGAN.

    Args:
        shape: (C, H, W) of the pictures.
        table: mnist, svhn, cifar10, imagenet32, celeba_crop, celeba_resized or cartoon for the networks of tables
            4.1 to 4.7; empty for networks of the same pattern at any shape.
        width: channels of the first stage, without a table; the tables have 64.
        latent: K, the size of the latents, without a table; the tables have 64 or 128.
        radius: radius of the sphere, Eq. 4.1–4.4; 0 is √K.
        center: start of the rays to the sphere, the same value for all coordinates, in (0, 1).
        shift: center of the sphere of latents, the same value for all coordinates.
        kl_weight: weight of the KL of the moments of E's codes, Eq. 4.5.
        pair_weight: weight of the game with D2, for E and G.
        generator_updates: updates of E and G for each update of D1 and D2.
        smooth: label smoothing: the discriminators' target for real pictures is 1 minus this, in [0, 0.5).
        saturating: whether E and G minimize log(1 - D), Eq. 3.4, in place of -log D.
        lr: learning rate of Adam for G and D2.
        lr_image, lr_encoder: learning rates of Adam for D1, and for E.
        betas: decay rates of Adam.
        cycle_weight: weight of the squared distance of E(G(z)) from z, averaged over coordinates, for codes z = E(x).
            It moves G only (Eq. 3.2).
        cycle_noise_weight: the same for z ~ N(0, I), projected to the sphere.
        whiten: exponent in [0, 1] of the whitening of the features before the last layer of E, before the first step:
            0 does not whiten, 0.5 does by half, 1 fully.
        covariance_weight: weight of the squared distance of the second moments of E's codes from those of N(0, I),
            of pairs of coordinates too, for E.
        noise_ratio: samples of N(0, I) for each picture, in the game with D1.
        decay: share of the training, at its end, in which all learning rates fall linearly to 0; in [0, 1].
    """

    players = ("generator", "encoder", "image_discriminator", "pair_discriminator")
    epochs = 25
    calibration = 3000

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
        cycle_weight: float = 0.0,
        cycle_noise_weight: float = 0.0,
        whiten: float = 0.0,
        covariance_weight: float = 0.0,
        noise_ratio: int = 1,
        decay: float = 0.0,
    ):
        super().__init__()
        positive(width=width, latent=latent, generator_updates=generator_updates, lr=lr)
        positive(lr_image=lr_image, lr_encoder=lr_encoder, noise_ratio=noise_ratio)
        not_negative(radius=radius, kl_weight=kl_weight, pair_weight=pair_weight)
        not_negative(cycle_weight=cycle_weight, cycle_noise_weight=cycle_noise_weight)
        not_negative(covariance_weight=covariance_weight)
        if not 0 <= smooth < 0.5:
            raise MienError(f"expected smooth in [0, 0.5), got {smooth}")
        for name, share in {"whiten": whiten, "decay": decay}.items():
            if not 0 <= share <= 1:
                raise MienError(f"expected {name} in [0, 1], got {share}")
        rows = _choose(table, shape) if table else stacks(shape, width, latent)
        self.latent, self.center, self.shift = rows.latent, center, shift
        self.radius = radius or rows.latent**0.5
        self.kl_weight, self.pair_weight, self.smooth = kl_weight, pair_weight, smooth
        self.generator_updates, self.fool = generator_updates, _minimax if saturating else _non_saturating
        self.lr, self.lr_image, self.lr_encoder, self.betas = lr, lr_image, lr_encoder, betas
        self.cycle_weight, self.cycle_noise_weight = cycle_weight, cycle_noise_weight
        self.whiten, self.covariance_weight, self.decay = whiten, covariance_weight, decay
        self.noise_ratio = noise_ratio
        self.generator = Stack((rows.latent,), rows.generator)
        self.encoder = Stack(shape, rows.encoder)
        self.image_discriminator = Stack(shape, rows.image)  # D1
        self.pair_discriminator = PairStack(shape, rows.latent, rows.picture, rows.pair)  # D2

    def encode(self, x: Tensor) -> Point:
        """Return E(x), a Point of (B, K) on the sphere."""
        return Point(self._code(x))

    def decode(self, z: Tensor) -> Tensor:
        """Return pictures (B, C, H, W) of latents (B, K)."""
        x: Tensor = self.generator(z)
        return x

    def generate(self, n: int, attributes: Tensor | None = None, seed: int = 0) -> Tensor:
        """Return n pictures decoded from z ~ N(0, I). The model has no conditions and ignores ``attributes``."""
        return self.decode(standard_normal(n, self.latent, seed, self))

    def _code(self, x: Tensor, remember: bool = True) -> Tensor:
        """Return E(x) (B, K) on the sphere: Eq. 4.1–4.4."""
        return project(self.encoder(x, remember), self.radius, self.center, self.shift)

    @torch.no_grad()
    def calibrate(self, batch: Batch) -> None:
        """Whiten the features before the last layer of E on the pictures of ``batch``, by the exponent ``whiten``.

        The last layer is scaled and shifted so that its outputs begin around the sigmoid's value ``center``, with a
        variance of 1 on average. The running statistics of BatchNorm do not change.
        """
        if not self.whiten:
            return
        last = [m for m in self.encoder if isinstance(m, nn.Linear)][-1]
        features: list[Tensor] = []
        handle = last.register_forward_pre_hook(lambda module, inputs: features.append(inputs[0].float()))
        training = self.encoder.training
        self.encoder.train()  # before the first step the running statistics fit no picture
        try:
            for x in torch.split(batch.x, CHUNK):
                self.encoder(x, remember=False)
        finally:
            handle.remove()
            self.encoder.train(training)
        weight, mean = whitened(last.weight, torch.cat(features), self.whiten)
        last.weight.copy_(weight)
        last.bias.copy_(math.log(self.center / (1 - self.center)) - weight @ mean)

    def lr_factor(self, progress: float) -> float:
        """Fall linearly to 0 in the last share ``decay`` of the training."""
        return min(1.0, (1 - progress) / self.decay) if self.decay else 1.0

    def play(self, x: Tensor, noise: Tensor) -> Game:
        """Return the outputs of D1 and D2 for pictures ``x`` (B, C, H, W) and ``noise`` (n, K) ~ N(0, I).

        Source: §3.3.1, Fig. 3.9.
        """
        z = self._code(x)
        x_rec, x_new = torch.split(self.decode(torch.cat([z, noise])), [len(z), len(noise)])
        z_rec = self._code(x_rec, remember=False)
        d1, d2 = self.image_discriminator, self.pair_discriminator
        h, h_rec = d2.picture(x), d2.picture(x_rec)
        return Game(
            # BatchNorm gets each kind of picture as a separate batch, as in DCGAN
            x=_log_odds(d1(x)),
            x_rec=_log_odds(d1(x_rec)),
            x_new=_log_odds(d1(x_new)),
            # z ~ N(0, I) has no picture and so forms no pair for D2 (§4.1.1)
            pair=_log_odds(d2(h, z)),
            pair_x=_log_odds(d2(h_rec, z)),
            pair_z=_log_odds(d2(h, z_rec)),
            z=z,
            z_rec=z_rec,
            fake=x_new,
        )

    def _cycle(self, game: Game, noise: Tensor) -> Tensor:
        """Return Eq. 3.2 for the codes and for ``noise`` (n, K), weighted. Only G may move by it."""
        loss = self.cycle_weight * distance(game.z_rec, game.z.detach())
        if self.cycle_noise_weight:
            z = project(noise, self.radius, 0.0, self.shift)
            loss = loss + self.cycle_noise_weight * distance(self._code(game.fake, remember=False), z)
        return loss

    def training_step(self, batch: Batch, update: Update) -> None:
        """Run one iteration (§3.3.1, §4.1.1): D1 and D2 maximize Eq. 3.4; E and G minimize it; E minimizes Eq. 4.5."""
        for number in range(self.generator_updates):
            noise = torch.randn(self.noise_ratio * len(batch), self.latent, device=batch.x.device)
            game = self.play(batch.x, noise)
            terms = {"kl": moment_kl(game.z)}
            image = (self.fool(game.x_rec) + self.fool(game.x_new)) / 2
            pair = (self.fool(game.pair_x) + self.fool(game.pair_z)) / 2
            d1 = _judge(game.x, (game.x_rec, game.x_new), self.smooth)
            d2 = _judge(game.pair, (game.pair_x, game.pair_z), self.smooth)
            # the real pair contains z = E(x), so E minimizes log D2 of it; G affects neither this term nor the KL
            encoder = self.kl_weight * terms["kl"] + self.pair_weight * self.fool(-game.pair)
            if self.covariance_weight:
                terms["covariance"] = covariance_gap(game.z)
                encoder = encoder + self.covariance_weight * terms["covariance"]
            losses: dict[str | tuple[str, ...], Tensor] = {
                ("generator", "encoder"): image + self.pair_weight * pair + encoder,
            }
            if self.cycle_weight or self.cycle_noise_weight:
                losses["generator"] = terms["cycle"] = self._cycle(game, noise)
            if number == 0:
                losses |= {"image_discriminator": d1, "pair_discriminator": d2}
            update(losses, d1=d1, d2=d2, image=image, pair=pair, **terms)

    def optimizer(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Return Adam; D1 and E have their own learning rates."""
        parameters = list(parameters)
        own = {self.image_discriminator: self.lr_image, self.encoder: self.lr_encoder}
        lr = next((rate for net, rate in own.items() if next(net.parameters()) is parameters[0]), self.lr)
        return torch.optim.Adam(parameters, lr=lr, betas=self.betas, fused=True)


def _choose(name: str, shape: tuple[int, int, int]) -> Table:
    """Return the table ``name``.

    Raises:
        UnknownName: there is no such table.
        MienError: the table is for pictures of another shape.
    """
    if name not in TABLES:
        raise UnknownName("table of selfexgan", name, TABLES)
    expected, got = TABLES[name].shape, tuple(shape)
    if expected != got:
        fitting = [n for n, t in TABLES.items() if t.shape == got]
        advice = [f"choose table {' or '.join(fitting)}"] if fitting else []
        if expected[0] == got[0]:
            advice.append(f"prepare the pictures at --size {expected[1]}")
        advice.append("leave table empty, which fits any")
        raise MienError(f"expected pictures {expected} for table {name}, got {got}: {', or '.join(advice)}")
    return TABLES[name]


def _log_odds(score: Tensor) -> Tensor:
    """Return the log-odds (B,) of one score, or of the last of two under softmax: (B, 1) or (B, 2)."""
    score = score.float()
    return score[:, 0] if score.shape[1] == 1 else score[:, 1] - score[:, 0]


def _judge(real: Tensor, fakes: Sequence[Tensor], smooth: float) -> Tensor:
    """Return -log D(real) - log(1 - D(fake)) of log-odds (B,), averaged over the batch and the kinds of fakes."""
    loss = (1 - smooth) * F.softplus(-real).mean() + smooth * F.softplus(real).mean()
    return loss + torch.stack([F.softplus(f).mean() for f in fakes]).mean()


def _minimax(fake: Tensor) -> Tensor:
    """Return the mean of log(1 - D) of log-odds (B,): Eq. 3.4."""
    return -F.softplus(fake).mean()


def _non_saturating(fake: Tensor) -> Tensor:
    """Return the mean of -log D of log-odds (B,); it has the same fixed points (Goodfellow et al. 2014)."""
    return F.softplus(-fake).mean()
