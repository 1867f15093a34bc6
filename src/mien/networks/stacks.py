"""Networks from tables: a network is a tuple of rows, and a row says what it makes, as papers print them.

A row knows the map before it, (C, H, W) or (units,), and so which layers it takes and which map they make.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mien.errors import MienError
from mien.networks.residual import SLOPE

Map = tuple[int, ...]  # (C, H, W), or (units,)
RELU = partial(nn.ReLU, inplace=True)
LEAKY = partial(nn.LeakyReLU, SLOPE, inplace=True)
MOMENTUM = 0.1  # of BatchNorm's running statistics


class Sigmoid(nn.Module):
    """The sigmoid in float32 under autocast too: bfloat16 knows 1/2 to two digits only."""

    def forward(self, x: Tensor) -> Tensor:
        return x.float().sigmoid()


class Tanh(nn.Module):
    """The hyperbolic tangent in float32 under autocast too."""

    def forward(self, x: Tensor) -> Tensor:
        return x.float().tanh()


class Conv(NamedTuple):
    """A convolution that keeps the map's size, or divides it by its stride."""

    kernel: int
    stride: int
    channels: int
    norm: bool
    activation: Callable[[], nn.Module]

    def layers(self, before: Map) -> tuple[list[nn.Module], Map]:
        """Return the modules of this row after a map (C, H, W), and the map they make."""
        conv = nn.Conv2d(
            before[0], self.channels, self.kernel, self.stride, padding=self.kernel // 2, bias=not self.norm
        )
        norm = [nn.BatchNorm2d(self.channels)] if self.norm else []
        after = (self.channels, math.ceil(before[1] / self.stride), math.ceil(before[2] / self.stride))
        return [conv, *norm, self.activation()], after


class Deconv(NamedTuple):
    """A transposed convolution that multiplies the map's size by its stride exactly; odd kernels, stride 2."""

    kernel: int
    stride: int
    channels: int
    norm: bool
    activation: Callable[[], nn.Module]

    def layers(self, before: Map) -> tuple[list[nn.Module], Map]:
        """Return the modules of this row after a map (C, H, W), and the map they make."""
        conv = nn.ConvTranspose2d(
            before[0],
            self.channels,
            self.kernel,
            self.stride,
            padding=self.kernel // 2,
            output_padding=self.stride - 1,
            bias=not self.norm,
        )
        norm = [nn.BatchNorm2d(self.channels)] if self.norm else []
        return [conv, *norm, self.activation()], (self.channels, before[1] * self.stride, before[2] * self.stride)


class Pool(NamedTuple):
    """The maximum of each window of 2x2; the channels stay, and so tables do not print them."""

    def layers(self, before: Map) -> tuple[list[nn.Module], Map]:
        return [nn.MaxPool2d(2)], (before[0], before[1] // 2, before[2] // 2)


class Dense(NamedTuple):
    """A fully connected layer; a map before it is flattened."""

    units: int
    norm: bool
    activation: Callable[[], nn.Module]

    def layers(self, before: Map) -> tuple[list[nn.Module], Map]:
        flat: list[nn.Module] = [nn.Flatten()] if len(before) > 1 else []
        norm = [nn.BatchNorm1d(self.units)] if self.norm else []
        linear = nn.Linear(math.prod(before), self.units, bias=not self.norm)
        return [*flat, linear, *norm, self.activation()], (self.units,)


class Reshape(NamedTuple):
    """A vector as a map."""

    map: Map

    def layers(self, before: Map) -> tuple[list[nn.Module], Map]:
        if math.prod(before) != math.prod(self.map):
            raise MienError(
                f"expected {math.prod(self.map)} units to reshape to {self.map}, got {math.prod(before)}: change the row before"
            )
        return [nn.Unflatten(1, self.map)], self.map


class Drop(NamedTuple):
    """Dropout of a share of the units."""

    share: float

    def layers(self, before: Map) -> tuple[list[nn.Module], Map]:
        return [nn.Dropout(self.share)], before


Row = Conv | Deconv | Pool | Dense | Reshape | Drop


class Stack(nn.Sequential):
    """The layers of the rows of a table, in their order.

    Args:
        given: the map (C, H, W), or (units,), of what comes in.
        rows: of the table.

    Attributes:
        maps: the map after each row.

    >>> stack = Stack((1, 8, 8), [Conv(5, 2, 4, True, RELU), Pool(), Dense(3, False, nn.Sigmoid)])
    >>> stack.maps
    [(4, 4, 4), (4, 2, 2), (3,)]
    """

    def __init__(self, given: Map, rows: Iterable[Row]):
        layers: list[nn.Module] = []
        maps: list[Map] = []
        for row in rows:
            made, given = row.layers(given)
            layers += made
            maps.append(given)
        super().__init__(*layers)
        self.maps = maps

    def forward(self, x: Tensor, remember: bool = True) -> Tensor:
        """Return the last map of ``x`` (B, *given).

        Args:
            remember: in training, BatchNorm's running statistics, by which it works afterwards, take ``x`` in.
                Not for inputs of another kind than those it is for: it is real pictures that are encoded.
        """
        for layer in self:
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                layer.momentum = MOMENTUM if remember else 0.0
            x = layer(x)
        return x


class PairStack(nn.Module):
    """Scores pairs (x, z): rows for the picture, whose end is joined with z, and rows for both.

    Args:
        shape: (C, H, W) of x.
        latent: K, of z.
        picture, pair: the rows before and after the joint.
    """

    def __init__(self, shape: Map, latent: int, picture: Iterable[Row], pair: Iterable[Row]):
        super().__init__()
        self.picture = Stack(shape, picture)
        (units,) = self.picture.maps[-1]
        self.pair = Stack((units + latent,), pair)

    def forward(self, h: Tensor, z: Tensor) -> Tensor:
        """Return what the rows of pairs make of ``h`` (B, units), which ``picture`` made of x, and ``z`` (B, K)."""
        return self.pair(torch.cat([h, z.to(h.dtype)], 1))
