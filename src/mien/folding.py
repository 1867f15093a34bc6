"""BatchNorm folded into the layer before it: the same function, with fewer passes over the maps, for inference."""

from __future__ import annotations

import copy
from collections import Counter
from typing import TypeVar

import torch
from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)
Layer = nn.Conv1d | nn.Conv2d | nn.ConvTranspose1d | nn.ConvTranspose2d | nn.Linear
Norm = nn.BatchNorm1d | nn.BatchNorm2d


def folded(module: Module) -> Module:
    """Return a copy of ``module`` for inference, in evaluation mode, whose BatchNorms are part of the layers before them.

    Wherever a ``Sequential`` has a convolution, transposed convolution or linear layer and a BatchNorm after it, the
    layer takes over the BatchNorm's scale and shift (computed in float64) and an ``Identity`` takes its place. A BatchNorm elsewhere, one without running statistics, or one after a layer that is used in several places
    stays as it is.

    Args:
        module: any module; a whole model too. It is not changed, and need not be in evaluation mode.

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
    before: Layer | None = None  # the layer whose outputs come next
    maps = False  # whether they were units and are maps now
    for name, layer in sequence._modules.items():
        if isinstance(layer, Norm) and before is not None and _fits(before, layer, maps) and uses[id(before)] == 1:
            _take_over(before, layer)
            sequence._modules[name] = nn.Identity().eval()
        elif isinstance(layer, Layer):
            before, maps = layer, False
        elif isinstance(layer, nn.Unflatten):  # which leaves the values and their order alone, as Identity does
            maps = True
        elif not isinstance(layer, nn.Identity):
            before = None


def _fits(layer: Layer, norm: Norm, maps: bool) -> bool:
    if norm.running_mean is None or norm.running_var is None:
        return False
    if isinstance(layer, nn.Linear):
        # of maps, each channel is H·W units in a row; else a BatchNorm of fewer numbers is over another axis
        return layer.out_features == norm.num_features or (maps and layer.out_features % norm.num_features == 0)
    transposed = isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d)
    return layer.out_channels == norm.num_features and not (transposed and layer.groups > 1)


@torch.no_grad()
def _take_over(layer: Layer, norm: Norm) -> None:
    """Give ``layer`` the scale and the shift of ``norm``."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        scale *= norm.weight.double()
    shift = -norm.running_mean.double() * scale
    if norm.bias is not None:
        shift += norm.bias.double()
    weight = layer.weight
    # the outputs are the second axis of a transposed convolution's weights, and the first of all others'
    axis = 1 if isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d) else 0
    repeats = weight.shape[axis] // len(scale)
    scale, shift = scale.repeat_interleave(repeats), shift.repeat_interleave(repeats)
    bias = shift if layer.bias is None else layer.bias.double() * scale + shift
    across = [-1 if i == axis else 1 for i in range(weight.ndim)]
    layer.weight = _like(weight, weight.double() * scale.view(across))
    layer.bias = _like(weight, bias)


def _like(weight: Tensor, values: Tensor) -> nn.Parameter:
    return nn.Parameter(values.to(weight.dtype), requires_grad=weight.requires_grad)
