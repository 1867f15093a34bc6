"""Upsampling and the convolution after it in one step."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mien.networks.replication import replicated

# which of the three taps fall on each of the two pixels that an even, or an odd, pixel of the upsampled map sees
TAPS = (((1.0, 0.0, 0.0), (0.0, 1.0, 1.0)), ((1.0, 1.0, 0.0), (0.0, 0.0, 1.0)))
SMALL = 256  # pixels of a map below which summing the taps costs more than it spares


class UpsampledConv(nn.Conv2d):
    """Nearest upsampling x2, then a convolution 3x3 padded by replication: (B, C, H, W) → (B, C', 2H, 2W).

    It is computed at the lower resolution. Each of the four pixels that one becomes sees only 2x2 different pixels,
    so the nine taps are summed to four for each: 2.25 times fewer products, and no upsampled copy of the map
    (benchmarks/decoder.py times it). Maps below 16x16 are upsampled as it is written.

    Args:
        before, after: channels C and C'.
        bias: whether it has one.
    """

    taps: Tensor

    def __init__(self, before: int, after: int, bias: bool = True):
        super().__init__(before, after, 3, bias=bias)
        self.register_buffer("taps", torch.tensor(TAPS), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        if height * width < SMALL:
            return F.conv2d(replicated(F.interpolate(x, scale_factor=2, mode="nearest")), self.weight, self.bias)
        # (phase p, pixel a, tap t) of the rows and (q, b, u) of the columns
        kernel = torch.einsum("pat,qbu,oitu->pqoiab", self.taps, self.taps, self.weight)
        kernel = kernel.reshape(4 * self.out_channels, -1, 2, 2)
        bias = None if self.bias is None else self.bias.repeat(4)
        y = F.conv2d(replicated(x), kernel.contiguous(memory_format=torch.channels_last), bias)
        y = y.permute(0, 2, 3, 1).unflatten(3, (2, 2, self.out_channels))  # (B, H + 1, W + 1, 2, 2, C')
        # even pixels start where the map does, odd ones a position later; channels stay together in memory
        rows = [
            torch.stack([y[:, p : p + height, q : q + width, p, q] for q in (0, 1)], 3) for p in (0, 1)
        ]  # (B, H, W, 2, C') each
        return torch.stack(rows, 2).reshape(-1, 2 * height, 2 * width, self.out_channels).permute(0, 3, 1, 2)
