"""Serves one paper only (Zemouri 2020, SSAVAE, §3.2 and Fig. 6): residual networks with two pools and dense layers.

They take pictures (C, H, W) and signals (C, 1, L). Only the windows differ: convolutions are 3x3 for pictures and 1x3
for signals, and pools have a height of 1 for signals.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from mien.errors import MienError
from mien.networks.residual import SLOPE

LARGE = 16  # pools are larger than 2 on an axis that would stay longer than this after the two pools
Shape = tuple[int, int, int]
Window = tuple[int, int]


def pools(shape: Shape) -> tuple[Window, Window]:
    """Return the windows of the two pools: 2 on each axis, larger on an axis that would stay longer than 16.

    Raises:
        MienError: height (unless it is 1) or width is not a multiple of 4.

    >>> pools((1, 28, 20)), pools((1, 1, 1024))
    (((2, 2), (2, 2)), ((1, 8), (1, 8)))
    """
    _, height, width = shape
    if width % 4 or (height % 4 and height != 1):
        raise MienError(
            f"expected pictures whose height and width halve twice, or signals (height 1) whose length does, got "
            f"{height}x{width}: prepare them at a multiple of 4, such as --size 28 or --size 32"
        )
    across, along = _factors(height), _factors(width)
    return (across[0], along[0]), (across[1], along[1])


def _factors(length: int) -> Window:
    if length == 1:
        return 1, 1
    n = 2
    while length % 2 ** (n + 1) == 0 and length >> n > LARGE:
        n += 1
    return 2 ** (n - n // 2), 2 ** (n // 2)


class Plane:
    """The geometry that the networks for one input shape share.

    Attributes:
        pools: windows of the two pools.
        smallest: (h, w) of the map after both pools.
        kernel, padding: of the convolutions.
    """

    def __init__(self, shape: Shape):
        self.pools = pools(shape)
        (a, b), (c, d) = self.pools
        self.smallest = (shape[1] // (a * c), shape[2] // (b * d))
        self.kernel = (1, 3) if shape[1] == 1 else (3, 3)
        self.padding = (self.kernel[0] // 2, 1)

    def conv(self, before: int, after: int, bias: bool = True) -> nn.Conv2d:
        """Return a convolution that keeps the size of the map."""
        return nn.Conv2d(before, after, self.kernel, padding=self.padding, bias=bias)

    def residual(self, width: int) -> Residual:
        """Return a residual block of two convolutions."""
        return Residual(
            self.conv(width, width, bias=False),
            nn.BatchNorm2d(width),
            nn.LeakyReLU(SLOPE, inplace=True),
            self.conv(width, width, bias=False),
            nn.BatchNorm2d(width),
        )


class Residual(nn.Module):
    """A skip connection around ``layers``, then LeakyReLU: x → LeakyReLU(x + layers(x)).

    The last layer must be a BatchNorm. Its scales start at zero, so the block starts as the identity (Goyal et al.
    2017, §5.1).
    """

    def __init__(self, *layers: nn.Module):
        super().__init__()
        self.body = nn.Sequential(*layers)
        nn.init.zeros_(self.body[-1].weight)  # type: ignore[arg-type]
        self.activation = nn.LeakyReLU(SLOPE, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the shape of ``x``."""
        y: Tensor = self.activation(x + self.body(x))
        return y


class PoolingEncoder(nn.Module):
    """Six [conv → residual block → LeakyReLU] with pools after the second and fourth, three dense layers, two heads.

    Args:
        shape: (C, H, W); see :func:`pools`.
        latent: K.
        width: channels of the first two convolutions; the next two have twice, the last two four times as many.
        hidden: units of a dense layer.

    Raises:
        MienError: height (unless it is 1) or width is not a multiple of 4.
    """

    FEATURES = 3  # number of the convolutions whose maps a loss compares

    def __init__(self, shape: Shape, latent: int, width: int, hidden: int):
        super().__init__()
        plane = Plane(shape)
        widths = [shape[0], width, width, 2 * width, 2 * width, 4 * width, 4 * width]
        self.convs = nn.ModuleList(
            nn.Sequential(
                nn.MaxPool2d(plane.pools[i // 2 - 1]) if i in (2, 4) else nn.Identity(),
                plane.conv(before, after),
                plane.residual(after),
            )
            for i, (before, after) in enumerate(pairwise(widths))
        )
        self.dense = nn.Sequential(nn.Flatten(), *_dense([widths[-1] * _area(plane), *[hidden] * 3]))
        self.mean = nn.Linear(hidden, latent)
        self.log_variance = nn.Linear(hidden, latent)
        self.apply(initialize)

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the maps of the first three convolutions for ``x`` (B, C, H, W)."""
        maps = []
        for conv in self.convs[: self.FEATURES]:
            x = conv(x)
            maps.append(x)
        return maps

    def finish(self, features: Sequence[Tensor]) -> Normal:
        """Return q(z | x), a Normal of (B, K), from the maps that :meth:`features` returned."""
        h = features[-1]
        for conv in self.convs[self.FEATURES :]:
            h = conv(h)
        h = self.dense(h)
        # float32 even under autocast, and bounded, so that exp() is finite for any weights
        log_variance = self.log_variance(h).float().clamp(-20, 10)
        return Normal(self.mean(h).float(), torch.exp(0.5 * log_variance), validate_args=False)

    def forward(self, x: Tensor) -> Normal:
        """Return q(z | x), a Normal of (B, K), for ``x`` (B, C, H, W)."""
        return self.finish(self.features(x))


class UpsamplingDecoder(nn.Module):
    """Three dense layers, six [conv → BatchNorm → LeakyReLU → residual block], one conv and tanh.

    It mirrors :class:`PoolingEncoder`: nearest upsampling before the third and the fifth convolution reverses the
    pools.

    Args:
        shape, latent, width, hidden: as for :class:`PoolingEncoder`.
    """

    def __init__(self, shape: Shape, latent: int, width: int, hidden: int):
        super().__init__()
        plane = Plane(shape)
        base = (4 * width, *plane.smallest)
        widths = [4 * width, 4 * width, 4 * width, 2 * width, 2 * width, width, width]
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise(widths)):
            if i in (2, 4):
                # the first upsampling reverses the last pool
                layers.append(nn.Upsample(scale_factor=tuple(map(float, plane.pools[2 - i // 2])), mode="nearest"))
            layers += [plane.conv(before, after, bias=False), nn.BatchNorm2d(after)]
            layers += [nn.LeakyReLU(SLOPE, inplace=True), plane.residual(after)]
        self.dense = nn.Sequential(
            *_dense([latent, hidden, hidden, base[0] * _area(plane)], norm=True), nn.Unflatten(1, base)
        )
        self.body = nn.Sequential(*layers, plane.conv(widths[-1], shape[0]))
        self.apply(initialize)

    def forward(self, z: Tensor) -> Tensor:
        """Return (B, C, H, W) in [-1, 1], float32, for latents ``z`` (B, K)."""
        x: Tensor = self.body(self.dense(z))
        return x.float().tanh()


class DenseDiscriminator(nn.Module):
    """Three [conv → LeakyReLU] with pools between them, four dense layers, and one unbounded score.

    Args:
        shape, hidden: as for :class:`PoolingEncoder`.
        width: channels of the first convolution; they double in each of the next two.
    """

    def __init__(self, shape: Shape, width: int, hidden: int):
        super().__init__()
        plane = Plane(shape)
        first, second = (nn.MaxPool2d(window) for window in plane.pools)
        widths = [shape[0], width, 2 * width, 4 * width]
        convs = [
            nn.Sequential(plane.conv(before, after), nn.LeakyReLU(SLOPE, inplace=True))
            for before, after in pairwise(widths)
        ]
        self.body = nn.Sequential(convs[0], first, convs[1], second, convs[2], nn.Flatten())
        self.dense = nn.Sequential(*_dense([widths[-1] * _area(plane), *[hidden] * 4]), nn.Linear(hidden, 1))
        self.apply(initialize)

    def forward(self, x: Tensor) -> Tensor:
        """Return scores (B,) of ``x`` (B, C, H, W)."""
        scores: Tensor = self.dense(self.body(x))
        return scores.float().flatten()


class ResidualClassifier(nn.Module):
    """Three [dense → BatchNorm → LeakyReLU → residual block of dense layers], then logits.

    Args:
        inputs: K, the length of the input vector.
        hidden: units of a dense layer.
        classes: number of logits.
    """

    def __init__(self, inputs: int, hidden: int, classes: int):
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise([inputs, *[hidden] * 3]):
            block = [nn.Linear(after, after, bias=False), nn.BatchNorm1d(after), nn.LeakyReLU(SLOPE, inplace=True)]
            block += [nn.Linear(after, after, bias=False), nn.BatchNorm1d(after)]
            layers += [*_dense([before, after], norm=True), Residual(*block)]
        self.body = nn.Sequential(*layers, nn.Linear(hidden, classes))
        self.apply(initialize)

    def forward(self, z: Tensor) -> Tensor:
        """Return logits (B, classes), float32, for ``z`` (B, K)."""
        logits: Tensor = self.body(z)
        return logits.float()


def initialize(module: nn.Module) -> None:
    """Initialize one layer so that activations keep their variance (He et al. 2015); biases are 0.

    BatchNorm would keep it too, but most of these networks have BatchNorm only in their residual blocks.
    """
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, a=SLOPE)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _dense(units: Sequence[int], norm: bool = False) -> list[nn.Module]:
    """Return dense layers, each with LeakyReLU after it; if ``norm``, each with BatchNorm before the LeakyReLU."""
    layers: list[nn.Module] = []
    for before, after in pairwise(units):
        layers += [nn.Linear(before, after, bias=not norm), nn.BatchNorm1d(after) if norm else nn.Identity()]
        layers.append(nn.LeakyReLU(SLOPE, inplace=True))
    return layers


def _area(plane: Plane) -> int:
    return plane.smallest[0] * plane.smallest[1]
