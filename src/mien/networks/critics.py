"""Serves one paper only (Hou, Sun, Shen & Qiu 2019, VAE-WGAN, §3.2): the critic, which scores pictures or features."""

from __future__ import annotations

from torch import Tensor, nn

from mien.networks.residual import SLOPE, ResidualBlock, halvings, stage_widths


class ResidualCritic(nn.Module):
    """Stages of [conv 4x4 stride 2 → BatchNorm → LeakyReLU → residual block], then one convolution to one score.

    The first stage has no BatchNorm, as in DCGAN. The score is unbounded (VAE-WGAN §3.2).

    Args:
        shape: (C, H, W) of the input.
        width: channels of the first stage; they double from stage to stage, up to eight times this.
        eps: added to the variance in BatchNorm. Small weights need a small one, see ``VAEWGAN``.

    Raises:
        MienError: height and width cannot be halved exactly.
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
        # the kernel covers the last map (4x4 at sizes that are powers of two), so the output is one number
        kernel = (shape[1] >> stages, shape[2] >> stages)
        self.body = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, kernel))

    def forward(self, x: Tensor) -> Tensor:
        """Return scores (B,), float32, of ``x`` (B, C, H, W)."""
        scores: Tensor = self.body(x)
        return scores.float().flatten()
