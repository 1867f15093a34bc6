"""Decoders: networks from latents to pictures."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

from torch import Tensor, nn

from mien.networks.replication import ReplicatedConv
from mien.networks.residual import SLOPE, ResidualBlock, halvings, stage_widths
from mien.networks.upsampling import UpsampledConv


class ResidualDecoder(nn.Module):
    """A linear layer, then stages of [nearest upsampling x2 → conv 3x3 → BatchNorm → LeakyReLU → residual block].

    Convolutions pad by replication (VAE-WGAN §3.2). The last stage has no BatchNorm and no residual block, and ends
    in tanh.

    Args:
        shape: (C, H, W) of the pictures.
        latent: K.
        width: channels before the last stage. The first stage has up to eight times as many; they halve from stage
            to stage.

    Raises:
        MienError: height and width cannot be halved exactly.
    """

    def __init__(self, shape: tuple[int, int, int], latent: int, width: int):
        super().__init__()
        stages = halvings(shape)
        widths = stage_widths(width, max(stages, 4))[::-1][:stages]
        base = (widths[0], shape[1] >> stages, shape[2] >> stages)
        self.head = nn.Sequential(
            nn.Linear(latent, base[0] * base[1] * base[2]),
            nn.Unflatten(1, base),
            nn.BatchNorm2d(base[0]),
            nn.LeakyReLU(SLOPE, inplace=True),
        )
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [
                UpsampledConv(before, after, bias=False),
                nn.BatchNorm2d(after),
                nn.LeakyReLU(SLOPE, inplace=True),
                ResidualBlock(after, partial(ReplicatedConv, bias=False)),
            ]
        self.body = nn.Sequential(*layers, UpsampledConv(widths[-1], shape[0]))

    def forward(self, z: Tensor) -> Tensor:
        """Return pictures (B, C, H, W) in [-1, 1], float32, for latents ``z`` (B, K)."""
        x: Tensor = self.body(self.head(z))
        return x.float().tanh()
