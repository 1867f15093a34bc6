"""DCGAN's generator, trunk, heads and encoder (Radford et al. 2016), for the GANs and autoencoders of that layout.

Their 5x5 convolutions of stride 2 double or halve the map exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn import functional as F

from mien.networks.encoders import gaussian
from mien.networks.residual import SLOPE, halvings, stage_widths

DEVIATION = 0.02  # standard deviation of the initial weights, whose mean is zero
MOMENTUM = 0.1  # of BatchNorm's running statistics
LARGE = 128  # pixels: the smallest map is 8x8 at this size and above, 4x4 below


def stages(shape: tuple[int, int, int]) -> int:
    """Return how many times pictures of ``shape`` (C, H, W) are halved.

    They are halved to 8x8 if they have 128x128 pixels or more, else to 4x4.

    Raises:
        MienError: height and width cannot be halved exactly.

    >>> [stages((3, size, size)) for size in (16, 32, 64, 128, 256)]
    [2, 3, 4, 4, 5]
    """
    return halvings(shape, smallest=8 if min(shape[1:]) >= LARGE else 4)


class TwoBatchNorm(nn.BatchNorm2d):
    """BatchNorm that keeps the running statistics of two kinds of input apart; both share scale and offset.

    A generator that decodes codes of pictures and codes drawn at random sees two distributions. In training each batch
    is normalized by its own statistics. One running average of both would fit neither afterwards.

    Attributes:
        second: whether the next inputs are of the second kind.
    """

    second_mean: Tensor
    second_var: Tensor

    def __init__(self, channels: int):
        super().__init__(channels, momentum=MOMENTUM)
        self.second = False
        self.register_buffer("second_mean", torch.zeros(channels))
        self.register_buffer("second_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` (B, C, H, W) normalized, by the running statistics of its kind in evaluation."""
        mean, var = (self.second_mean, self.second_var) if self.second else (self.running_mean, self.running_var)
        return F.batch_norm(x, mean, var, self.weight, self.bias, self.training, MOMENTUM, self.eps)


class DCGANGenerator(nn.Module):
    """A linear layer, then transposed convolutions 5x5 of stride 2: (B, inputs) → (B, C, H, W) in [-1, 1].

    BatchNorm and ReLU follow each layer except the last, which ends in tanh. At 128x128 and width 64 the maps are
    8x8x512, 16x16x256, 32x32x128, 64x64x64 and the picture.

    Args:
        shape: (C, H, W) of the pictures.
        inputs: length of the input vector.
        width: channels before the last layer; they double toward the first, up to eight times this.

    >>> DCGANGenerator((3, 32, 32), 10, 4)(torch.zeros(2, 10)).shape
    torch.Size([2, 3, 32, 32])
    """

    def __init__(self, shape: tuple[int, int, int], inputs: int, width: int):
        super().__init__()
        n = stages(shape)
        widths = stage_widths(width, n)[::-1]
        base = (widths[0], shape[1] >> n, shape[2] >> n)
        self.head = nn.Sequential(
            nn.Linear(inputs, base[0] * base[1] * base[2], bias=False),
            nn.Unflatten(1, base),
            TwoBatchNorm(base[0]),
            nn.ReLU(inplace=True),
        )
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [_double(before, after, bias=False), TwoBatchNorm(after), nn.ReLU(inplace=True)]
        self.body = nn.Sequential(*layers, _double(widths[-1], shape[0], bias=True))
        self.apply(initialize)

    def forward(self, z: Tensor, drawn: bool = False) -> Tensor:
        """Return pictures (B, C, H, W) in [-1, 1], float32, of ``z`` (B, inputs).

        Args:
            drawn: whether ``z`` was drawn at random; otherwise it was read from pictures. BatchNorm has running
                statistics for each.
        """
        for module in self.modules():
            if isinstance(module, TwoBatchNorm):
                module.second = drawn
        x: Tensor = self.body(self.head(z))
        return x.float().tanh()


class DCGANTrunk(nn.Module):
    """Convolutions 5x5 of stride 2, the common part of the discriminators: (B, C, H, W) → the maps of all stages.

    BatchNorm follows each convolution except the first; LeakyReLU follows each. At 128x128 and width 64 the maps are
    64x64x64, 32x32x128, 16x16x256 and 8x8x512.

    Args:
        shape: (C, H, W) of the input: pictures, with the conditions of a conditional GAN as further channels.
        width: channels of the first map; they double from stage to stage, up to eight times this.
        norm: returns what takes the place of BatchNorm, for a number of channels.

    Attributes:
        flat: number of values in the last map.
    """

    def __init__(self, shape: tuple[int, int, int], width: int, norm: Callable[[int], nn.Module] = nn.BatchNorm2d):
        super().__init__()
        n = stages(shape)
        widths = stage_widths(width, n)
        self.flat = widths[-1] * (shape[1] >> n) * (shape[2] >> n)
        self.stages = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, after, 5, stride=2, padding=2, bias=i == 0),
                norm(after) if i else nn.Identity(),
                nn.LeakyReLU(SLOPE, inplace=True),
            )
            for i, (before, after) in enumerate(pairwise([shape[0], *widths]))
        )
        self.apply(initialize)

    def forward(self, x: Tensor, remember: bool = True) -> list[Tensor]:
        """Return the maps of all stages, from (B, width, H/2, W/2) on, of ``x`` (B, C, H, W).

        Args:
            x: the input.
            remember: whether ``x`` updates BatchNorm's running statistics in training. Evaluation uses these
                statistics on real pictures, so pass False for generated pictures.
        """
        maps = []
        for stage in self.stages:
            norm = stage[1]  # type: ignore[index]
            if isinstance(norm, nn.BatchNorm2d):
                norm.momentum = MOMENTUM if remember else 0.0
            x = stage(x)
            maps.append(x)
        return maps


class DCGANHead(nn.Module):
    """The trunk, then one linear layer: a discriminator, a critic or a deterministic encoder.

    Args:
        shape, width, norm: as for :class:`DCGANTrunk`.
        outputs: number of values for each picture.

    >>> DCGANHead((3, 32, 32), 4, 10)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        width: int,
        outputs: int = 1,
        norm: Callable[[int], nn.Module] = nn.BatchNorm2d,
    ):
        super().__init__()
        self.trunk = DCGANTrunk(shape, width, norm)
        self.head = nn.Linear(self.trunk.flat, outputs)
        self.apply(initialize)

    def with_maps(self, x: Tensor, remember: bool = True) -> tuple[Tensor, list[Tensor]]:
        """Return values (B, outputs), float32, and the trunk's maps of ``x`` (B, C, H, W).

        Args:
            x, remember: as for :meth:`DCGANTrunk.forward`.
        """
        maps = self.trunk(x, remember)
        return self.head(maps[-1].flatten(1)).float(), maps

    def forward(self, x: Tensor, remember: bool = True) -> Tensor:
        """Return values (B, outputs), float32, of ``x`` (B, C, H, W); ``remember`` as for the trunk."""
        return self.with_maps(x, remember)[0]


class DCGANEncoder(nn.Module):
    """The trunk, then a linear layer to the mean and the log-variance of q(z | x).

    Args:
        shape, width: as for :class:`DCGANTrunk`.
        latent: K.
    """

    def __init__(self, shape: tuple[int, int, int], latent: int, width: int):
        super().__init__()
        self.body = DCGANHead(shape, width, 2 * latent)

    def forward(self, x: Tensor) -> Normal:
        """Return q(z | x), a Normal of (B, K), for ``x`` (B, C, H, W)."""
        return gaussian(self.body(x))


def initialize(module: nn.Module) -> None:
    """Initialize one layer as DCGAN does: weights from N(0, 0.02²), biases 0; BatchNorm's scales from N(1, 0.02²)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, DEVIATION)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, DEVIATION)


def _double(before: int, after: int, bias: bool) -> nn.ConvTranspose2d:
    """Return a transposed convolution 5x5 of stride 2; the output padding makes H into exactly 2H."""
    return nn.ConvTranspose2d(before, after, 5, stride=2, padding=2, output_padding=1, bias=bias)
