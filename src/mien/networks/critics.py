"""Networks that score pictures, or the features of pictures."""

from __future__ import annotations

from torch import Tensor, nn

from mien.networks.residual import SLOPE, ResidualBlock, halvings, stage_widths


class ResidualCritic(nn.Module):
    """Stages of [conv 4x4 stride 2 → BatchNorm → LeakyReLU → residual block], then one convolution to a number.

    The first stage has no BatchNorm, as in DCGAN, and nothing bounds the score (VAE-WGAN §3.2).

    Args:
        shape: (C, H, W) of what is scored.
        width: channels of the first stage; they double up to eight times this.
        eps: of BatchNorm, added to the variance. Small weights need a small one, see ``VAEWGAN``.
    """

    def __init__(self, shape: tuple[int, int, int], width: int, eps: float = 1e-5):
        super().__init__()
        stages = halvings(shape)
        widths = stage_widths(width, stages)
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(zip([shape[0], *widths], widths, strict=False)):
            layers += [
                nn.Conv2d(before, after, 4, stride=2, padding=1, bias=i == 0),
                nn.BatchNorm2d(after, eps) if i else nn.Identity(),
                nn.LeakyReLU(SLOPE, inplace=True),
                ResidualBlock(after, eps=eps),
            ]
        # the last map is 4x4 at power-of-two sizes; elsewhere the kernel is the map, so one number remains
        kernel = (shape[1] >> stages, shape[2] >> stages)
        self.body = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, kernel))

    def forward(self, x: Tensor) -> Tensor:
        """Return scores (B,) of ``x`` (B, C, H, W)."""
        return self.body(x).float().flatten()
