"""Serves one paper only (Shen & Liu 2017, residual images, Table 1): picture translators and their classifier."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from mien.errors import MienError
from mien.networks.residual import SLOPE, ResidualBlock, halvings

DEVIATION = 0.02  # standard deviation of the initial weights, whose mean is zero
MOMENTUM = 0.1  # of BatchNorm's running statistics
MASK_START = -2.0  # logit of the mask in a new network: most of a picture stays
TAP = 3  # number of the classifier's layer whose maps the perceptual loss compares


class Translator(nn.Module):
    """Two convolutions of stride 2, then two upsamplings by 2: (B, C, H, W) → (B, C, H, W), unbounded.

    Conv 5x5-w → 4x4-2w s2 → 4x4-4w s2 → 3x3-2w, upsampling → 3x3-w, upsampling → 4x4-C. BatchNorm and LeakyReLU
    follow each convolution except the last (Shen & Liu 2017, Table 1; w = 64).

    Args:
        shape: (C, H, W) of the pictures; H and W are multiples of 4.
        width: w, channels of the first convolution.
        mask: whether the output has one more map, the logit of a mask that starts at -2; beyond the paper.
        blocks: residual blocks at the lowest resolution, as in Johnson, Alahi & Fei-Fei 2016; beyond the paper. Each
            one widens the view of an output pixel by 16 pixels; without them it is 29 pixels wide.
        zero_start: whether the weights of the last convolution start at zero; beyond the paper.

    Raises:
        MienError: height or width is not a multiple of 4.

    >>> import torch
    >>> Translator((3, 20, 16), 4)(torch.zeros(2, 3, 20, 16)).shape
    torch.Size([2, 3, 20, 16])
    """

    def __init__(
        self, shape: tuple[int, int, int], width: int, mask: bool = False, blocks: int = 0, zero_start: bool = False
    ):
        super().__init__()
        channels, height, width_of_picture = shape
        if height % 4 or width_of_picture % 4:
            raise MienError(
                f"expected pictures whose height and width divide by 4, got {height}x{width_of_picture}: "
                "prepare them at another size, such as --size 32 or --size 64"
            )
        self.body = nn.Sequential(
            *_stage(nn.Conv2d(channels, width, 5, padding=2, bias=False)),
            *_stage(nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=False)),
            *_stage(nn.Conv2d(2 * width, 4 * width, 4, stride=2, padding=1, bias=False)),
            *(ResidualBlock(4 * width) for _ in range(blocks)),
            *_stage(nn.Conv2d(4 * width, 2 * width, 3, padding=1, bias=False)),
            nn.Upsample(scale_factor=2, mode="nearest"),
            *_stage(nn.Conv2d(2 * width, width, 3, padding=1, bias=False)),
            nn.Upsample(scale_factor=2, mode="nearest"),
            nn.ZeroPad2d((1, 2, 1, 2)),  # a kernel of even size has no center
            nn.Conv2d(width, channels + mask, 4),
        )
        self.apply(_initialize)
        last = self.body[-1]
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        if zero_start:
            nn.init.zeros_(last.weight)
        if mask:
            nn.init.constant_(last.bias[channels:], MASK_START)

    def forward(self, x: Tensor, remember: bool = True) -> Tensor:
        """Return float32 maps (B, C, H, W) of ``x`` (B, C, H, W); with a mask (B, C + 1, H, W).

        Args:
            x: the input.
            remember: whether ``x`` updates BatchNorm's running statistics in training. Pass False for pictures of
                another kind than those of evaluation.
        """
        for module in self.body.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = MOMENTUM if remember else 0.0
        y: Tensor = self.body(x)
        return y.float()


class StridedClassifier(nn.Module):
    """Convolutions 4x4 of stride 2 down to a map of 4x4, then one convolution over that map to the logits.

    Channels double from w up to 16 w. BatchNorm and LeakyReLU follow each convolution except the last (Shen & Liu
    2017, Table 1; w = 64, five stages at 128x128).

    Args:
        shape: (C, H, W) of the pictures.
        width: w, channels of the first convolution.
        classes: number of logits.
        spectral: whether spectral normalization (Miyato et al. 2018) of every convolution replaces BatchNorm; beyond
            the paper.

    Raises:
        MienError: height and width cannot be halved exactly.
    """

    def __init__(self, shape: tuple[int, int, int], width: int, classes: int, spectral: bool = False):
        super().__init__()
        stages = halvings(shape)
        widths = [width * min(2**i, 16) for i in range(stages)]
        self.stages = nn.ModuleList(
            nn.Sequential(*_stage(nn.Conv2d(before, after, 4, stride=2, padding=1, bias=spectral), norm=not spectral))
            for before, after in pairwise([shape[0], *widths])
        )
        self.head = nn.Conv2d(widths[-1], classes, (shape[1] >> stages, shape[2] >> stages))
        self.apply(_initialize)
        for module in list(self.modules()) if spectral else ():
            if isinstance(module, nn.Conv2d):
                spectral_norm(module)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (B, classes) and the maps of the third layer, both float32; of the last if there are fewer."""
        tap = x
        for number, stage in enumerate(self.stages, start=1):
            x = stage(x)
            if number <= TAP:
                tap = x
        return self.head(x).float().flatten(1), tap.float()


def squared_gradient(logits: Tensor, x: Tensor) -> Tensor:
    """Return an unbiased estimate of Σₖ ‖∂ logitₖ / ∂ x‖² of each picture: (B,), with derivatives of its own.

    It is the squared gradient of Σₖ vₖ logitₖ with random signs v, because E[v vᵀ] = I. So one backward pass serves all
    logits.

    Args:
        logits: (B, K), computed from ``x``.
        x: (B, C, H, W), which requires gradients.

    >>> import torch
    >>> x = torch.ones(2, 1, 1, 1, requires_grad=True)
    >>> squared_gradient(3 * x.flatten(1), x).tolist()
    [9.0, 9.0]
    """
    signs = torch.randint(0, 2, logits.shape, device=logits.device).to(logits) * 2 - 1
    (gradient,) = torch.autograd.grad((signs * logits).sum(), x, create_graph=True)
    return gradient.square().flatten(1).sum(1)


def _stage(conv: nn.Conv2d, norm: bool = True) -> tuple[nn.Module, ...]:
    return conv, *([nn.BatchNorm2d(conv.out_channels)] if norm else []), nn.LeakyReLU(SLOPE, inplace=True)


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, 0.0, DEVIATION)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
