"""Networks that translate pictures, with instance normalization, and discriminators that judge patches.

The translator is that of Johnson, Alahi & Fei-Fei 2016 ("Perceptual Losses for Real-Time Style Transfer and
Super-Resolution"), as CycleGAN (Zhu et al. 2017) and StarGAN (Choi et al. 2018) use it.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from mien.errors import MienError
from mien.networks.residual import SLOPE, halvings

Padding = Literal["reflect", "zeros"]

STARGAN_SLOPE = 0.01  # of LeakyReLU in StarGAN's discriminator


class ResidualTranslator(nn.Module):
    """Convolutions down to a quarter of the size, residual blocks, and up again: pictures → pictures in [-1, 1].

    Conv 7x7-w → 2w s2 → 4w s2 → residual blocks of two convolutions 3x3 → transposed 2w → transposed w → 7x7-C, tanh.
    Instance normalization with scale and offset and ReLU follow each convolution except the last one.

    Args:
        shape: (C, H, W) of the pictures; H and W are multiples of 4.
        width: w, channels of the first convolution; both papers have 64.
        blocks: residual blocks; both papers have 6 at 128x128.
        conditions: A, values that describe the result; each is one more channel of the input, the same everywhere.
        kernel: of the convolutions that halve and double the map: 3 in CycleGAN, 4 in StarGAN.
        padding: of the 7x7 convolutions and of the blocks: reflect in CycleGAN, zeros in StarGAN.

    Raises:
        MienError: height or width is not a multiple of 4.

    >>> net = ResidualTranslator((3, 20, 16), 4, blocks=1, conditions=2)
    >>> net(torch.zeros(2, 3, 20, 16), torch.ones(2, 2)).shape
    torch.Size([2, 3, 20, 16])
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        width: int,
        blocks: int = 6,
        conditions: int = 0,
        kernel: int = 3,
        padding: Padding = "reflect",
    ):
        super().__init__()
        channels, height, width_of_picture = shape
        if height % 4 or width_of_picture % 4:
            raise MienError(
                f"expected pictures whose height and width divide by 4, got {height}x{width_of_picture}: "
                "prepare them at another size, such as --size 32 or --size 64"
            )
        halve = partial(nn.Conv2d, kernel_size=kernel, stride=2, padding=1, bias=False)
        # an odd kernel needs one more row and column to double the map exactly
        double = partial(
            nn.ConvTranspose2d, kernel_size=kernel, stride=2, padding=1, output_padding=kernel % 2, bias=False
        )
        wide = partial(nn.Conv2d, kernel_size=7, padding=3, padding_mode=padding, bias=False)
        self.body = nn.Sequential(
            *_normalized(wide(channels + conditions, width)),
            *_normalized(halve(width, 2 * width)),
            *_normalized(halve(2 * width, 4 * width)),
            *(_Block(4 * width, padding) for _ in range(blocks)),
            *_normalized(double(4 * width, 2 * width)),
            *_normalized(double(2 * width, width)),
            wide(width, channels),
        )

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Return pictures (B, C, H, W), float32, of ``x`` (B, C, H, W) and conditions ``c`` (B, A)."""
        if c is not None:
            x = torch.cat([x, c[:, :, None, None].expand(-1, -1, *x.shape[2:])], 1)  # (B, C + A, H, W)
        y: Tensor = self.body(x)
        return y.float().tanh()


class PatchDiscriminator(nn.Module):
    """A discriminator with one value for each of many overlapping patches: (B, C, H, W) → (B, 1, h, w).

    Convolutions 4x4: w s2 → 2w s2 → 4w s2 → 8w s1 → 1 s1. Instance normalization follows each except the first and
    the last one, LeakyReLU each except the last one. A value depends on 70x70 pixels (Isola et al. 2017; Zhu et al.
    2017). Pictures below 32 pixels are halved less than three times.

    Args:
        shape: (C, H, W) of the pictures.
        width: w; the paper has 64.

    Raises:
        MienError: height and width cannot be halved exactly.

    >>> PatchDiscriminator((3, 128, 128), 4)(torch.zeros(2, 3, 128, 128)).shape
    torch.Size([2, 1, 14, 14])
    """

    def __init__(self, shape: tuple[int, int, int], width: int):
        super().__init__()
        n = halvings(shape, most=3)
        widths = [shape[0], *(width * 2**i for i in range(n + 1))]
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise(widths)):
            layers += [
                nn.Conv2d(before, after, 4, stride=2 if i < n else 1, padding=1, bias=i == 0),
                nn.InstanceNorm2d(after, affine=True) if i else nn.Identity(),
                nn.LeakyReLU(SLOPE, inplace=True),
            ]
        self.body = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """Return a value for each patch, (B, 1, h, w), float32, of ``x`` (B, C, H, W)."""
        values: Tensor = self.body(x)
        return values.float()


class PatchClassifier(nn.Module):
    """StarGAN's D: a value for each patch, and the logits of the attributes (Choi et al. 2018, Table 5).

    Convolutions 4x4 of stride 2, without normalization: six at 128x128, to 2x2. Channels double from w to 32 w.

    Args:
        shape: (C, H, W) of the pictures.
        width: w; the paper has 64.
        attributes: A.

    Raises:
        MienError: height and width cannot be halved exactly.
    """

    def __init__(self, shape: tuple[int, int, int], width: int, attributes: int):
        super().__init__()
        n = halvings(shape, smallest=2)
        widths = [width * 2**i for i in range(n)]
        layers: list[nn.Module] = []
        for before, after in pairwise([shape[0], *widths]):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.LeakyReLU(STARGAN_SLOPE, inplace=True)]
        self.body = nn.Sequential(*layers)
        self.source = nn.Conv2d(widths[-1], 1, 3, padding=1, bias=False)
        self.labels = nn.Conv2d(widths[-1], attributes, (shape[1] >> n, shape[2] >> n), bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return values of patches (B, 1, h, w) and logits (B, A), both float32, of ``x`` (B, C, H, W)."""
        h = self.body(x)
        return self.source(h).float(), self.labels(h).float().flatten(1)


class _Block(nn.Module):
    """Two convolutions 3x3 with a skip connection around them; nothing follows the sum."""

    def __init__(self, width: int, padding: Padding):
        super().__init__()
        conv = partial(nn.Conv2d, width, width, 3, padding=1, padding_mode=padding, bias=False)
        self.body = nn.Sequential(*_normalized(conv()), conv(), nn.InstanceNorm2d(width, affine=True))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.body(x)
        return y


def _normalized(conv: nn.Conv2d | nn.ConvTranspose2d) -> tuple[nn.Module, ...]:
    return conv, nn.InstanceNorm2d(conv.out_channels, affine=True), nn.ReLU(inplace=True)
