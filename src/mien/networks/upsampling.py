"""Upsampling and the convolution after it, computed in one step."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mien.networks.replication import replicated

# A window of three upsampled pixels covers two pixels of the small map. For an even and an odd output pixel: the taps
# (0 or 1) that fall on each of these two.
TAPS = (((1.0, 0.0, 0.0), (0.0, 1.0, 1.0)), ((1.0, 1.0, 0.0), (0.0, 0.0, 1.0)))
SMALL = 256  # pixels of a map; below this number, summing the taps costs more than it saves


class UpsampledConv(nn.Conv2d):
    """Nearest upsampling x2, then a convolution 3x3 with padding by replication: (B, C, H, W) → (B, C', 2H, 2W).

    The convolution runs at the lower resolution. The window of each output pixel covers only 2x2 different input
    pixels, so the nine taps are summed to four. This takes 2.25 times fewer products and needs no upsampled copy of
    the map (benchmarks/decoder.py measures the time). Maps below 16x16 are upsampled first, as the formula says.

    Args:
        before, after: channels C and C'.
        bias: whether it has a bias.
    """

    taps: Tensor

    def __init__(self, before: int, after: int, bias: bool = True):
        super().__init__(before, after, 3, bias=bias)
        self.register_buffer("taps", torch.tensor(TAPS), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the map (B, C', 2H, 2W) of ``x`` (B, C, H, W)."""
        height, width = x.shape[2:]
        if height * width < SMALL:
            return F.conv2d(replicated(F.interpolate(x, scale_factor=2, mode="nearest")), self.weight, self.bias)
        # (phase p, pixel a, tap t) of the rows and (q, b, u) of the columns
        kernel = torch.einsum("pat,qbu,oitu->pqoiab", self.taps, self.taps, self.weight)
        kernel = kernel.reshape(4 * self.out_channels, -1, 2, 2)
        bias = None if self.bias is None else self.bias.repeat(4)
        y = F.conv2d(replicated(x), kernel.contiguous(memory_format=torch.channels_last), bias)
        y = torch.unflatten(y.permute(0, 2, 3, 1), 3, (2, 2, self.out_channels))  # (B, H + 1, W + 1, 2, 2, C')
        # even pixels start at the first position and odd ones at the second; channels stay adjacent in memory
        rows = [
            torch.stack([y[:, p : p + height, q : q + width, p, q] for q in (0, 1)], 3) for p in (0, 1)
        ]  # (B, H, W, 2, C') each
        return torch.stack(rows, 2).reshape(-1, 2 * height, 2 * width, self.out_channels).permute(0, 3, 1, 2)
