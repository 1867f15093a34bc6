"""Random changes of pictures and signals that leave their class as it is."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

TURN, SHIFT, ZOOM = 0.26, 0.1, 0.15  # largest change by strength 1: radians, share of the size, share of the scale
SHEAR, BEND, KNOTS = 0.2, 0.04, 5  # the slant; standard deviation of the bend in sizes; knots of the bend on each side


def shifted(x: Tensor) -> Tensor:
    """Return pictures ``x`` (B, C, H, W), each shifted by a random offset of up to a tenth of H and W.

    The border pixels are repeated.

    >>> shifted(torch.arange(20.0).view(1, 1, 1, 20)).shape
    torch.Size([1, 1, 1, 20])
    """
    for axis in (2, 3):
        length = x.shape[axis]
        offset = torch.randint(-(length // 10), length // 10 + 1, (len(x), 1), device=x.device)
        source = (torch.arange(length, device=x.device) + offset).clamp(0, length - 1)  # (B, length)
        x = x.gather(axis, source.view(len(x), 1, *(length if a == axis else 1 for a in (2, 3))).expand_as(x))
    return x


def augmented(x: Tensor, strength: float) -> Tensor:
    """Return pictures ``x`` (B, C, H, W), each changed at random; signals are shifted and scaled only.

    A picture is shifted, rotated, scaled, slanted, and bent: its points move by a smooth random field (Simard,
    Steinkraus & Platt 2003, §2). The border pixels are repeated.

    Args:
        x: (B, C, H, W), or signals (B, C, 1, L).
        strength: 1 allows a shift of a tenth of the size, 15 degrees, 15 % of scale and a slant of 0.2; the bend has a
            standard deviation of 4 % of the size at 5 x 5 knots.

    >>> augmented(torch.rand(2, 1, 8, 8), 1.0).shape
    torch.Size([2, 1, 8, 8])
    """
    height, width = x.shape[2:]
    turn, zoom, right, down, slant = strength * (torch.rand(5, len(x), device=x.device) * 2 - 1)
    turn, zoom, slant = TURN * turn * (height > 1), 1 + ZOOM * zoom, SHEAR * slant * (height > 1)
    # the output is read at these places of the input, in coordinates from -1 to 1
    across = [turn.cos() * zoom, slant - turn.sin() * zoom * height / width, 2 * SHIFT * right]
    along = [turn.sin() * zoom * width / height, turn.cos() * zoom, 2 * SHIFT * down]
    if height == 1:  # a row of its own has no place to go
        along = [torch.zeros_like(zoom), torch.ones_like(zoom), torch.zeros_like(zoom)]
    matrix = torch.stack([torch.stack(across, 1), torch.stack(along, 1)], 1).to(x.dtype)
    grid = F.affine_grid(matrix, list(x.shape), align_corners=False)
    if height > 1:
        # coordinates from -1 to 1: a size is 2
        knots = torch.randn(len(x), 2, KNOTS, KNOTS, device=x.device, dtype=x.dtype) * (2 * BEND * strength)
        field = F.interpolate(knots, size=(height, width), mode="bicubic", align_corners=True)
        grid = grid + field.permute(0, 2, 3, 1)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)
