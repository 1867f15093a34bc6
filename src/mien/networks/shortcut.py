"""Serves one paper only (He et al. 2019, AttGAN): a decoder with one shortcut, and a critic that also classifies."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from mien.networks.dcgan import DCGANTrunk, initialize, stages
from mien.networks.residual import SLOPE, stage_widths

HIDDEN = 16  # channels of a head's hidden layer, as a multiple of the width: 1,024 in the paper


class ShortcutDecoder(nn.Module):
    """Transposed convolutions 4x4 of stride 2, from an encoder's maps and attributes to pictures in [-1, 1].

    The attributes join the last map as channels that are the same everywhere. The encoder's last map but one joins the
    result of the first transposed convolution. BatchNorm and ReLU follow each layer except the last, which ends in
    tanh.

    Args:
        shape: (C, H, W) of the pictures.
        width: channels of the encoder's first map, which is a :class:`mien.networks.dcgan.DCGANTrunk`.
        attributes: A.

    >>> trunk, decoder = DCGANTrunk((3, 16, 16), 4), ShortcutDecoder((3, 16, 16), 4, 2)
    >>> decoder(trunk(torch.zeros(2, 3, 16, 16)), torch.zeros(2, 2)).shape
    torch.Size([2, 3, 16, 16])
    """

    def __init__(self, shape: tuple[int, int, int], width: int, attributes: int):
        super().__init__()
        widths = stage_widths(width, stages(shape))[::-1]
        results = [*widths[:-1], shape[0]]
        inputs = [widths[0] + attributes, *results[:-1]]
        if len(widths) > 1:
            inputs[1] += widths[1]  # the shortcut
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=i == len(results) - 1),
                *([nn.BatchNorm2d(after), nn.ReLU(inplace=True)] if i < len(results) - 1 else []),
            )
            for i, (before, after) in enumerate(zip(inputs, results, strict=True))
        )
        self.apply(initialize)

    def forward(self, maps: Sequence[Tensor], c: Tensor) -> Tensor:
        """Return pictures (B, C, H, W), float32, of the encoder's ``maps`` and attributes ``c`` (B, A)."""
        x = maps[-1]
        x = torch.cat([x, c[:, :, None, None].expand(-1, -1, *x.shape[2:]).to(x.dtype)], 1)
        for i, layer in enumerate(self.layers):
            if i == 1:
                x = torch.cat([x, maps[-2]], 1)
            x = layer(x)
        return x.float().tanh()


class TwoHeads(nn.Module):
    """A trunk with layer normalization, then a critic's value and the logits of the attributes, each by a hidden layer.

    Args:
        shape: (C, H, W) of the pictures.
        width: channels of the first map.
        attributes: A.
    """

    def __init__(self, shape: tuple[int, int, int], width: int, attributes: int):
        super().__init__()
        # one group of channels normalizes over a whole map: layer normalization
        self.trunk = DCGANTrunk(shape, width, partial(nn.GroupNorm, 1))
        self.source, self.labels = (_head(self.trunk.flat, HIDDEN * width, n) for n in (1, attributes))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return values (B, 1) and logits (B, A), both float32, of ``x`` (B, C, H, W)."""
        flat = self.trunk(x)[-1].flatten(1)
        return self.source(flat).float(), self.labels(flat).float()


def _head(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    head = nn.Sequential(
        nn.Linear(inputs, hidden, bias=False),
        nn.LayerNorm(hidden),
        nn.LeakyReLU(SLOPE, inplace=True),
        nn.Linear(hidden, outputs),
    )
    return head.apply(initialize)
