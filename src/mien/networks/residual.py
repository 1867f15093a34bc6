"""The blocks the encoders, decoders and critics are made of."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from mien.errors import MienError

SLOPE = 0.2  # of every LeakyReLU, as in DCGAN


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions of one width around a skip connection: (B, C, H, W) → (B, C, H, W).

    It starts as the identity (Goyal et al. 2017, §5.1): at 32 px a VAE of 1,000 steps then ends 33 nats nearer.
    """

    def __init__(self, width: int, padding_mode: Literal["zeros", "replicate"] = "zeros"):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, padding_mode=padding_mode, bias=False),
            nn.BatchNorm2d(width),
            nn.LeakyReLU(SLOPE, inplace=True),
            nn.Conv2d(width, width, 3, padding=1, padding_mode=padding_mode, bias=False),
            nn.BatchNorm2d(width),
        )
        nn.init.zeros_(self.body[-1].weight)  # type: ignore[arg-type]
        self.activation = nn.LeakyReLU(SLOPE, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(x + self.body(x))


def halvings(shape: tuple[int, int, int], smallest: int = 4, most: int = 6) -> int:
    """Return how often height and width can be halved exactly without falling below ``smallest``.

    Raises:
        MienError: if they cannot be halved at least once.

    >>> halvings((3, 64, 64)), halvings((1, 28, 20))
    (4, 2)
    """
    _, height, width = shape
    n = 0
    while n < most and all(s % 2 ** (n + 1) == 0 and s >> (n + 1) >= smallest for s in (height, width)):
        n += 1
    if n == 0:
        raise MienError(
            f"expected pictures whose height and width halve exactly to {smallest} or more, got {height}x{width}: "
            "prepare them at a multiple of 8, such as --size 32 or --size 64"
        )
    return n


def stage_widths(width: int, stages: int) -> list[int]:
    """Return the channels of each stage, doubling up to eight times ``width`` (DCGAN's rule).

    >>> stage_widths(64, 5)
    [64, 128, 256, 512, 512]
    """
    return [width * min(2**i, 8) for i in range(stages)]
