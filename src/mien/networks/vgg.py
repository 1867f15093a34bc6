"""Five-stage convolutional networks of the VGG type (Simonyan & Zisserman 2015).

They serve as the loss network Φ and as the body of attribute classifiers. Layers have the names of the style-transfer
papers: ``relu3_1`` is the activation after the first convolution of the third stage.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STAGES = 5
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class VGG(nn.Module):
    """Five stages of 3x3 convolutions with ReLU, with 2x2 max-pooling between them.

    Args:
        channels: C of the pictures.
        widths: channels of each of the five stages.
        depths: convolutions in each stage; VGG-19 up to relu5_1 has (2, 2, 4, 4, 1).
        batch_norm: whether BatchNorm follows each convolution.
        mean, std: the input is (x - mean) / std of pictures x in [0, 1]; one value, or one for each channel.

    Attributes:
        architecture: the arguments as plain values, to build the same network again.
    """

    gain: Tensor
    offset: Tensor

    def __init__(
        self,
        channels: int,
        widths: Sequence[int],
        depths: Sequence[int] = (1, 1, 1, 1, 1),
        batch_norm: bool = True,
        mean: Sequence[float] = (0.5,),
        std: Sequence[float] = (0.5,),
    ):
        super().__init__()
        self.architecture: dict[str, Any] = {
            "channels": channels, "widths": list(widths), "depths": list(depths), "batch_norm": batch_norm
        }  # fmt: skip
        if tuple(mean) != (0.5,) or tuple(std) != (0.5,):
            self.architecture |= {"mean": list(mean), "std": list(std)}
        # ((x + 1) / 2 - mean) / std as one product and one sum; not saved, because the configuration holds them
        gain = 0.5 / torch.tensor(std, dtype=torch.float64)
        offset = (0.5 - torch.tensor(mean, dtype=torch.float64)) * 2 * gain
        self.identity = all(value == 0.5 for value in (*mean, *std))  # gain 1 and offset 0
        self.register_buffer("gain", gain.float().view(1, -1, 1, 1), persistent=False)
        self.register_buffer("offset", offset.float().view(1, -1, 1, 1), persistent=False)
        self.stages = nn.ModuleList()
        before = channels
        for width, depth in zip(widths, depths, strict=True):
            convs = nn.ModuleList()
            for _ in range(depth):
                conv = nn.Conv2d(before, width, 3, padding=1, bias=not batch_norm)
                if not batch_norm:
                    # without BatchNorm, this keeps the variance of the activations (He et al. 2015)
                    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
                    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
                convs.append(nn.Sequential(conv, nn.BatchNorm2d(width)) if batch_norm else conv)
                before = width
            self.stages.append(convs)

    def features(self, x: Tensor, upto: int = STAGES) -> list[Tensor]:
        """Return [relu1_1, …, relu{upto}_1] of pictures ``x`` (B, C, H, W) in [-1, 1]; each stage halves H and W."""
        taps = []
        h = x if self.identity else x * self.gain + self.offset
        for number, stage in enumerate(self.stages, start=1):
            assert isinstance(stage, nn.ModuleList)
            if number > 1:
                # rounded up, so that a small picture keeps at least one pixel through all stages
                h = F.max_pool2d(h, 2, ceil_mode=True)
            h = F.relu(_convolve(stage[0], h))
            taps.append(h)
            if number == upto:
                break
            for conv in stage[1:]:
                h = F.relu(_convolve(conv, h))
        return taps

    def forward(self, x: Tensor) -> Tensor:
        """Return the last map (B, widths[-1], H/16, W/16) of pictures ``x`` (B, C, H, W) in [-1, 1]."""
        h = self.features(x)[-1]
        last = self.stages[-1]
        assert isinstance(last, nn.ModuleList)
        for conv in last[1:]:
            h = F.relu(_convolve(conv, h))
        return h


def _convolve(layer: nn.Module, h: Tensor) -> Tensor:
    """Return the map of a convolution and, where it has one, of its BatchNorm.

    In evaluation mode the two are computed as one convolution. This saves the passes of BatchNorm over the maps,
    forward and backward: a tenth to a fifth of the time of Φ when a VAE-WGAN trains on a CPU.
    """
    norm = layer[1] if isinstance(layer, nn.Sequential) else None
    if layer.training or not isinstance(layer, nn.Sequential) or not isinstance(norm, nn.BatchNorm2d):
        y: Tensor = layer(h)
        return y
    conv = layer[0]
    assert isinstance(conv, nn.Conv2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    # torch.nn.utils.fusion.fuse_conv_bn_weights returns new leaf parameters: no gradient would reach conv and norm
    gain = norm.weight * torch.rsqrt(norm.running_var + norm.eps)  # (C,)
    weight = conv.weight * gain.view(-1, 1, 1, 1)
    return F.conv2d(h, weight, norm.bias - norm.running_mean * gain, padding=1)
