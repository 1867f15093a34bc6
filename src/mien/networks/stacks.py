"""Networks as tables of rows, as the tables 4.1–4.7 of SelfExGAN (Liu 2018) have them.

A network is a tuple of rows, as the paper prints them. Each row returns its layers and the shape of its output for the
shape of its input, (C, H, W) or (units,).
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
    """The sigmoid, in float32 even under autocast: bfloat16 has only two digits around 1/2."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the sigmoid of ``x``, float32."""
        return x.float().sigmoid()


class Tanh(nn.Module):
    """The hyperbolic tangent, in float32 even under autocast."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the hyperbolic tangent of ``x``, float32."""
        return x.float().tanh()


class Conv(NamedTuple):
    """A convolution that divides the size of the map by its stride; stride 1 keeps the size.

    Args:
        kernel, stride: in pixels.
        channels: of the output.
        norm: whether BatchNorm follows.
        activation: returns the activation module.
    """

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
    """A transposed convolution that multiplies the size of the map by its stride exactly; for odd kernels, stride 2.

    Args:
        kernel, stride, channels, norm, activation: as for :class:`Conv`.
    """

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
    """Max-pooling with windows of 2x2. It keeps the channels."""

    def layers(self, before: Map) -> tuple[list[nn.Module], Map]:
        """Return the modules of this row for an input (C, H, W), and the shape of their output."""
        return [nn.MaxPool2d(2)], (before[0], before[1] // 2, before[2] // 2)


class Dense(NamedTuple):
    """A fully connected layer. It flattens a map.

    Args:
        units: of the output.
        norm: whether BatchNorm follows.
        activation: returns the activation module.
    """

    units: int
    norm: bool
    activation: Callable[[], nn.Module]

    def layers(self, before: Map) -> tuple[list[nn.Module], Map]:
        """Return the modules of this row for an input (C, H, W) or (units,), and the shape of their output."""
        flat: list[nn.Module] = [nn.Flatten()] if len(before) > 1 else []
        norm = [nn.BatchNorm1d(self.units)] if self.norm else []
        linear = nn.Linear(math.prod(before), self.units, bias=not self.norm)
        return [*flat, linear, *norm, self.activation()], (self.units,)


class Reshape(NamedTuple):
    """A vector reshaped to a map (C, H, W)."""

    map: Map

    def layers(self, before: Map) -> tuple[list[nn.Module], Map]:
        """Return the modules of this row for an input (units,), and the shape of their output.

        Raises:
            MienError: the input has another number of units than the map.
        """
        if math.prod(before) != math.prod(self.map):
            raise MienError(
                f"expected {math.prod(self.map)} units to reshape to {self.map}, got {math.prod(before)}: "
                "change the row before"
            )
        return [nn.Unflatten(1, self.map)], self.map


class Drop(NamedTuple):
    """Dropout of a share of the units, from 0 to 1."""

    share: float

    def layers(self, before: Map) -> tuple[list[nn.Module], Map]:
        """Return the modules of this row, and the shape of their output: that of their input."""
        return [nn.Dropout(self.share)], before


Row = Conv | Deconv | Pool | Dense | Reshape | Drop


class Stack(nn.Sequential):
    """The layers of the rows of a table, in their order.

    Args:
        shape: of the input, (C, H, W) or (units,).
        rows: of the table.

    Attributes:
        maps: the shape of the output of each row.

    >>> stack = Stack((1, 8, 8), [Conv(5, 2, 4, True, RELU), Pool(), Dense(3, False, nn.Sigmoid)])
    >>> stack.maps
    [(4, 4, 4), (4, 2, 2), (3,)]
    """

    def __init__(self, shape: Map, rows: Iterable[Row]):
        layers: list[nn.Module] = []
        maps: list[Map] = []
        for row in rows:
            modules, shape = row.layers(shape)
            layers += modules
            maps.append(shape)
        super().__init__(*layers)
        self.maps = maps

    def forward(self, x: Tensor, remember: bool = True) -> Tensor:
        """Return the last map of ``x``, ``(B, *shape)``.

        Args:
            x: the input.
            remember: whether ``x`` updates BatchNorm's running statistics in training. Evaluation uses these
                statistics on real pictures, so pass False for generated pictures.
        """
        for layer in self:
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                layer.momentum = MOMENTUM if remember else 0.0
            x = layer(x)
        return x


class PairStack(nn.Module):
    """Scores pairs (x, z): the rows of the picture, then the rows of their output concatenated with z.

    Args:
        shape: (C, H, W) of x.
        latent: K, of z.
        picture: rows for x; they end in a vector.
        pair: rows for the concatenation.
    """

    def __init__(self, shape: Map, latent: int, picture: Iterable[Row], pair: Iterable[Row]):
        super().__init__()
        self.picture = Stack(shape, picture)
        (units,) = self.picture.maps[-1]
        self.pair = Stack((units + latent,), pair)

    def forward(self, h: Tensor, z: Tensor) -> Tensor:
        """Return the output of the rows ``pair`` for ``h`` (B, units), the output of ``picture``, and ``z`` (B, K)."""
        scores: Tensor = self.pair(torch.cat([h, z.to(h.dtype)], 1))
        return scores
