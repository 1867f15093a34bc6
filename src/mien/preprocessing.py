"""Preparation of pictures and signals as modules, for exported graphs that take ordinary input.

The arithmetic is that of :func:`mien.data.reading.read_pictures`: the largest centered rectangle with the model's
aspect ratio is cropped and resized by Pillow's Lanczos filter, which rounds to whole levels after each of its two
passes, width before height, with weights of 22 bits.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

LOBES = 3  # of the Lanczos filter on each side
UNIT = 2.0**22  # Pillow's weights are whole multiples of 1 / UNIT
LUMA = (19595, 38470, 7471)  # Pillow's weights of red, green and blue for gray, in 1/65536


class PreparePictures(nn.Module):
    """Prepare RGB pictures of any size: uint8 (N, H, W, 3) to float32 (N, C, h, w) in [-1, 1].

    Args:
        shape: (C, h, w) of the model's pictures; C is 3, or 1 for gray.

    >>> PreparePictures((3, 8, 8))(torch.full((1, 30, 20, 3), 255, dtype=torch.uint8)).unique()
    tensor([1.])
    """

    def __init__(self, shape: tuple[int, int, int]):
        super().__init__()
        self.channels, self.height, self.width = shape

    def forward(self, x: Tensor) -> Tensor:
        """Return the prepared pictures."""
        # float64, so that rounding to levels does not depend on the order of sums
        levels = x.permute(0, 3, 1, 2).double()
        if self.channels == 1:
            red, green, blue = LUMA
            gray = levels[:, :1] * red + levels[:, 1:2] * green + levels[:, 2:] * blue
            levels = torch.floor((gray + 32768) / 65536)
        # the number of pixels as a sum of ones, because a number taken from x.shape would be fixed in the graph
        rows, columns = torch.ones_like(x[0, :, 0, 0]).double(), torch.ones_like(x[0, 0, :, 0]).double()
        scale = torch.minimum(rows.sum() / self.height, columns.sum() / self.width)
        levels = _whole(levels @ lanczos(columns, self.width, scale).T)
        levels = _whole(lanczos(rows, self.height, scale) @ levels)
        return levels.float() / 127.5 - 1


def lanczos(ones: Tensor, size: int, scale: Tensor) -> Tensor:
    """Return the weights (size, n) float64 that resize a centered part of a line of n pixels to ``size`` pixels.

    Args:
        ones: (n,) of 1.
        size: number of pixels of the result.
        scale: pixels of the line for each pixel of the result, a number as a tensor.

    >>> lanczos(torch.ones(4).double(), 4, torch.tensor(1.0).double()).round().abs().tolist()[1]
    [0.0, 1.0, 0.0, 0.0]
    """
    # Pillow takes the part in single precision
    start = (ones.sum() - scale * size) / 2
    begin, end = start.float(), (start + scale * size).float()
    scale = (end - begin).double() / size
    wide = torch.clamp(scale, min=1)  # the filter is not narrower than a pixel of the line
    index = torch.cumsum(ones, 0) - 1
    outputs = torch.arange(size, dtype=torch.float64) + 0.5
    centers = (begin.double() + outputs * scale)[:, None]
    low = torch.floor(centers - LOBES * wide + 0.5)
    high = torch.floor(centers + LOBES * wide + 0.5)
    t = math.pi * (index + 0.5 - centers) / wide
    near = torch.where(t == 0, torch.ones_like(t), t)
    window = LOBES * torch.sin(near) * torch.sin(near / LOBES) / (near * near)
    weights = torch.where(t == 0, torch.ones_like(t), window)
    inside = (index >= low) & (index < high) & (t.abs() < LOBES * math.pi)
    weights = torch.where(inside, weights, torch.zeros_like(weights))
    return torch.round(weights / weights.sum(1, keepdim=True) * UNIT) / UNIT


def _whole(levels: Tensor) -> Tensor:
    return torch.clamp(torch.floor(levels + 0.5), 0, 255)


class PrepareSignals(nn.Module):
    """Prepare signals: float32 (N, n) of n ≥ L samples to float32 (N, 1, 1, L) in [-1, 1].

    The first L samples are taken, their mean is subtracted, and they are divided by their largest absolute value.

    Args:
        length: L.

    >>> PrepareSignals(2)(torch.tensor([[1.0, 3.0, 9.0]])).tolist()
    [[[[-1.0, 1.0]]]]
    """

    def __init__(self, length: int):
        super().__init__()
        self.length = length

    def forward(self, x: Tensor) -> Tensor:
        """Return the prepared signals; a constant signal becomes zero."""
        window = x[:, : self.length].double()
        window = window - window.mean(1, keepdim=True)
        largest = torch.clamp(window.abs().amax(1, keepdim=True), min=1e-12)
        return (window / largest).float()[:, None, None]


class Levels(nn.Module):
    """Convert pictures (N, C, h, w) in [-1, 1] to uint8 (N, h, w, C), rounded and clipped.

    >>> Levels()(torch.full((1, 1, 2, 2), 2.0)).unique()
    tensor([255], dtype=torch.uint8)
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the levels."""
        return torch.clamp(torch.round((x + 1) * 127.5), 0, 255).to(torch.uint8).permute(0, 2, 3, 1)


class Samples(nn.Module):
    """Convert signals (N, 1, 1, L) to (N, L)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the samples."""
        return x[:, 0, 0]
