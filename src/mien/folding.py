"""BatchNorm folded into the layer before it: the same function, with fewer passes over the maps, for inference."""

from __future__ import annotations

import copy
from collections import Counter
from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

Module = TypeVar("Module", bound=nn.Module)
Layer = nn.Conv1d | nn.Conv2d | nn.ConvTranspose1d | nn.ConvTranspose2d | nn.Linear
Norm = nn.BatchNorm1d | nn.BatchNorm2d
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)  # not their subclasses, which may do more, such as keep two averages


def folded(module: Module) -> Module:
    """Return a copy of ``module`` for inference, in evaluation mode, with its BatchNorms folded into other layers.

    Where a ``Sequential`` has a BatchNorm after a convolution, transposed convolution or linear layer, that layer takes
    over the BatchNorm's scale and shift (computed in float64), and an ``Identity`` replaces the BatchNorm. A BatchNorm
    elsewhere, one without running statistics, and one after a layer that is used in several places stay as they are.

    Args:
        module: any module, such as a whole model. It is not changed, and may be in training mode.

    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    >>> [type(layer).__name__ for layer in folded(net)]
    ['Conv2d', 'Identity', 'ReLU']
    """
    result = copy.deepcopy(module).eval()
    uses = Counter(id(child) for parent in result.modules() for child in parent._modules.values())
    for parent in list(result.modules()):
        if isinstance(parent, nn.Sequential):
            _fold(parent, uses)
    return result


def _fold(sequence: nn.Sequential, uses: Counter[int]) -> None:
    """Fold every pair of ``sequence`` in place."""
    before: Layer | None = None  # the layer whose outputs are the next layer's inputs
    maps = False  # whether these outputs, units of a linear layer, have become maps
    for name, layer in sequence._modules.items():
        if (
            isinstance(layer, Norm)
            and type(layer) in NORMS
            and before is not None
            and _fits(before, layer, maps)
            and uses[id(before)] == 1
        ):
            _take_over(before, layer)
            sequence._modules[name] = nn.Identity().eval()
        elif isinstance(layer, Layer):
            before, maps = layer, False
        elif isinstance(layer, nn.Unflatten):  # it keeps the values and their order, as Identity does
            maps = True
        elif not isinstance(layer, nn.Identity):
            before = None


def _fits(layer: Layer, norm: Norm, maps: bool) -> bool:
    if norm.running_mean is None or norm.running_var is None:
        return False
    if isinstance(layer, nn.Linear):
        # in maps, a channel is H·W consecutive units; otherwise a BatchNorm of fewer numbers is over another axis
        return layer.out_features == norm.num_features or (maps and layer.out_features % norm.num_features == 0)
    transposed = isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d)
    return layer.out_channels == norm.num_features and not (transposed and layer.groups > 1)


@torch.no_grad()
def _take_over(layer: Layer, norm: Norm) -> None:
    """Give ``layer`` the scale and the shift of ``norm``, computed in float64."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    transposed = isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d)
    weight = layer.weight
    # the outputs are the second axis of a transposed convolution's weights, and the first of all others'
    repeats = weight.shape[1 if transposed else 0] // norm.num_features
    mean, variance, scale, shift = (
        None if values is None else values.double().repeat_interleave(repeats)
        for values in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    bias = None if layer.bias is None else layer.bias.double()
    # a linear layer's weights are a convolution's without kernel axes
    fused = fuse_conv_bn_weights(weight.double(), bias, mean, variance, norm.eps, scale, shift, transposed)
    layer.weight, layer.bias = (
        nn.Parameter(values.to(weight.dtype), requires_grad=weight.requires_grad) for values in fused
    )
