"""Encoders: networks from pictures to Gaussian distributions over latents."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from mien.networks.residual import SLOPE, ResidualBlock, halvings, stage_widths


def gaussian(values: Tensor) -> Normal:
    """Return a Normal of (B, K) from its means and log-variances, joined: ``values`` (B, 2 K).

    >>> gaussian(torch.zeros(2, 6)).stddev.shape
    torch.Size([2, 3])
    """
    mean, log_variance = values.float().chunk(2, 1)
    # bounded, so that exp() is finite for any weights
    return Normal(mean, torch.exp(0.5 * log_variance.clamp(-20, 10)), validate_args=False)


class ResidualEncoder(nn.Module):
    """Stages of [conv 4x4 stride 2 → BatchNorm → LeakyReLU → residual block], then two linear heads.

    Args:
        shape: (C, H, W) of the pictures. Each stage halves H and W, down to 4x4 or more: four stages at 64x64, as in
            Fig. 2 of VAE-WGAN.
        latent: K.
        width: channels of the first stage; they double from stage to stage, up to eight times this.

    Raises:
        MienError: height and width cannot be halved exactly.
    """

    def __init__(self, shape: tuple[int, int, int], latent: int, width: int):
        super().__init__()
        stages = halvings(shape)
        widths = stage_widths(width, stages)
        layers: list[nn.Module] = []
        for before, after in zip([shape[0], *widths], widths, strict=False):
            layers += [
                nn.Conv2d(before, after, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.LeakyReLU(SLOPE, inplace=True),
                ResidualBlock(after),
            ]
        self.body = nn.Sequential(*layers, nn.Flatten())
        flat = widths[-1] * (shape[1] >> stages) * (shape[2] >> stages)
        self.mean = nn.Linear(flat, latent)
        self.log_variance = nn.Linear(flat, latent)

    def forward(self, x: Tensor) -> Normal:
        """Return q(z | x), a Normal of (B, K), for ``x`` (B, C, H, W)."""
        h = self.body(x)
        # float32 even under autocast, and bounded, so that exp() is finite for any weights
        log_variance = self.log_variance(h).float().clamp(-20, 10)
        return Normal(self.mean(h).float(), torch.exp(0.5 * log_variance), validate_args=False)
