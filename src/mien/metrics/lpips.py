"""LPIPS, a learned perceptual distance between two pictures (Zhang et al. 2018), version 0.1, by torchmetrics.

There are two networks, ``lpips_alex`` and ``lpips_vgg``. The linear weights are part of torchmetrics. The weights of
the backbone (torchvision's, trained on ImageNet) come from a file. The distance was fitted on pictures of 64 pixels: if
the shorter side is smaller, pictures are enlarged bilinearly. Larger pictures are not resized.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mien.errors import MienError
from mien.files import sha256
from mien.metrics.feature_networks import as_color, find_weights, is_published, read_weights

SMALLEST = 64  # pixels of the shorter side
BATCH = 32

PREPROCESSING = (
    f"gray repeated to three channels; clipped to [-1, 1]; enlarged bilinearly to {SMALLEST} pixels on the shorter "
    "side where that is less"
)


@dataclass(frozen=True)
class PerceptualNetwork:
    """A network that measures the perceptual distance between two pictures.

    Args:
        name: name of the metric, ``lpips_alex`` or ``lpips_vgg``.
        weights: name of the backbone's weights, for readers.
        sha256: hash of the backbone's file; linear_sha256: hash of the file of the linear weights.
        device: device of the network.
        distance: function from two sets of prepared pictures (B, 3, H, W) in [-1, 1] to distances (B,).
    """

    name: str
    weights: str
    sha256: str
    linear_sha256: str
    device: torch.device
    distance: Callable[[Tensor, Tensor], Tensor] = field(repr=False, compare=False)

    def about(self) -> dict[str, Any]:
        """Return the description of the network that every result stores."""
        return {
            "network": self.name,
            "weights": self.weights,
            "weights_sha256": self.sha256,
            "linear_sha256": self.linear_sha256,
            "preprocessing": PREPROCESSING,
            "device": self.device.type,
        }


def lpips_alex(path: str | Path | None = None, device: str | torch.device = "cpu") -> PerceptualNetwork:
    """Return LPIPS on AlexNet, which its authors recommend as a measure.

    Args:
        path: of torchvision's AlexNet weights; else ``MIEN_ALEXNET`` names them, else torch's cache, else downloaded.

    Raises:
        MienError: the weights are not available, or the file has other weights.
    """
    from torchvision.models import AlexNet_Weights

    return _network("lpips_alex", "alex", AlexNet_Weights.IMAGENET1K_V1.url, "MIEN_ALEXNET", path, device)


def lpips_vgg(path: str | Path | None = None, device: str | torch.device = "cpu") -> PerceptualNetwork:
    """Return LPIPS on VGG-16, the one that losses are made of.

    Args:
        path: of torchvision's VGG-16 weights; else ``MIEN_VGG16`` names them, else torch's cache, else downloaded.

    Raises:
        MienError: the weights are not available, or the file has other weights.
    """
    from torchvision.models import VGG16_Weights

    return _network("lpips_vgg", "vgg", VGG16_Weights.IMAGENET1K_V1.url, "MIEN_VGG16", path, device)


def _network(
    name: str, backbone: str, url: str, variable: str, path: str | Path | None, device: str | torch.device
) -> PerceptualNetwork:
    from torchmetrics.functional.image import lpips as torchmetrics_lpips

    # torchmetrics' public class loads backbones with the unrestricted unpickler, or downloads them
    make: Any = torchmetrics_lpips._NoTrainLpips
    published = Path(url).name
    file = find_weights(published, url, variable, path)
    digest, what = sha256(file), f"torchvision's weights {published}"
    state = read_weights(file, what)
    with torch.random.fork_rng(devices=[]):  # the constructor draws initial weights from the global generator
        network = make(net=backbone, pnet_rand=True)
    for key, own in network.net.named_parameters():
        _, number, kind = key.split(".")
        value = state.get(f"features.{number}.{kind}")
        if value is None or value.shape != own.shape:
            got = "nothing" if value is None else tuple(value.shape)
            raise MienError(f"expected {what} in {file}, got {got} for features.{number}.{kind} {tuple(own.shape)}")
        own.data.copy_(value)
    linear = Path(inspect.getfile(make)).parent / "lpips_models" / f"{backbone}.pth"
    return PerceptualNetwork(
        name=name,
        weights=published if is_published(published, digest) else f"not the published ones: {file.name}",
        sha256=digest,
        linear_sha256=sha256(linear),
        device=torch.device(device),
        distance=network.to(device),
    )


def prepare(x: Tensor) -> Tensor:
    """Return pictures (B, 1 or 3, H, W) in [-1, 1] as (B, 3, H, W), enlarged to at least 64 pixels on the shorter side.

    >>> prepare(torch.zeros(2, 1, 32, 48)).shape
    torch.Size([2, 3, 64, 96])
    """
    x = as_color(x, "LPIPS").float().clamp(-1, 1)
    shorter = min(x.shape[2:])
    if shorter >= SMALLEST:
        return x
    size = [round(side * SMALLEST / shorter) for side in x.shape[2:]]
    return F.interpolate(x, size, mode="bilinear", align_corners=False)


def lpips(x: Tensor, x_rec: Tensor, network: PerceptualNetwork) -> Tensor:
    """Return the perceptual distance (B,) of each pair of pictures; both (B, C, H, W) in [-1, 1].

    Args:
        network: :func:`lpips_alex` or :func:`lpips_vgg`.

    Raises:
        MienError: pictures of different shapes, or signals.
    """
    if x.shape != x_rec.shape:
        raise MienError(
            f"expected pictures and reconstructions of one shape, got {tuple(x.shape)}, {tuple(x_rec.shape)}"
        )
    with torch.inference_mode():
        parts = [
            network.distance(prepare(a.to(network.device)), prepare(b.to(network.device))).flatten()
            for a, b in zip(torch.split(x, BATCH), torch.split(x_rec, BATCH), strict=True)
        ]
    return torch.cat(parts)
