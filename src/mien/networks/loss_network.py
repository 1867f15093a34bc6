"""The frozen loss network Φ of feature-consistent VAEs, and the feature loss with its scale."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mien import losses
from mien.errors import MienError
from mien.networks.vgg import STAGES, VGG


class LossNetwork(nn.Module):
    """A trained and frozen :class:`VGG` with the origin of its weights.

    Args:
        source: origin of the weights, for people: ``vgg19`` or the name of a run.
        sha256: hash of the weights. Evaluation refuses a judge with the same hash.
        **architecture: the arguments of :class:`VGG`.
    """

    def __init__(self, source: str = "", sha256: str = "", **architecture: Any):
        super().__init__()
        self.config: dict[str, Any] = {"source": source, "sha256": sha256, **architecture}
        self.network = VGG(**architecture).eval().requires_grad_(False)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> LossNetwork:
        """Return the network that ``config`` describes, without its weights: the weights of the run contain them."""
        return cls(**config)

    @property
    def source(self) -> str:
        """Origin of the weights, for people."""
        return str(self.config["source"])

    @property
    def sha256(self) -> str:
        """SHA-256 of the weights, or an empty string where it is not known."""
        return str(self.config["sha256"])

    def train(self, mode: bool = True) -> LossNetwork:
        """Stay in evaluation mode: the BatchNorm statistics are frozen too."""
        return super().train(False)

    def forward(self, x: Tensor, upto: int = STAGES) -> list[Tensor]:
        """Return [relu1_1, …, relu{upto}_1] of pictures (B, C, H, W) in [-1, 1]."""
        return self.network.features(x, upto)


class FeatureLoss(nn.Module):
    """Eq. 5 and 6 of VAE-WGAN on chosen layers of a loss network, times a scale.

    The paper's weights, 100 / C² and β = 0.5, suit Caffe's VGG-19, whose activations are as large as its inputs,
    0..255. For other networks the formula gives values that are smaller by orders of magnitude; then the KL term
    dominates and the posterior collapses. Therefore :meth:`calibrate` measures a scale: the mean loss between
    *different* training pictures becomes ``pair_loss`` nats. This value depends on the pictures and not on the units
    of the network, so α = 1 and β = 0.5 mean the same for every loss network and every choice of layers.

    Args:
        network: Φ.
        layers: the layers of the loss, numbers from 1 to 5 for relu1_1 … relu5_1.
        pair_loss: mean loss between different pictures after calibration, in nats.
        scale: a fixed scale; 0 measures it. The factor between Caffe's range and torchvision's is about
            (255 · 0.226)² = 3.3e3.

    Raises:
        MienError: no layers, unknown or repeated layers, or values out of range.
    """

    scale: Tensor

    def __init__(self, network: LossNetwork, layers: Sequence[int], pair_loss: float, scale: float = 0.0):
        super().__init__()
        if not layers or not all(1 <= l <= STAGES for l in layers) or len(set(layers)) != len(layers):
            raise MienError(
                f"expected layers among 1 to {STAGES}, each once, got {tuple(layers)}: such as layers=1,2,3"
            )
        if pair_loss <= 0 or scale < 0:
            raise MienError(f"expected pair_loss > 0 and scale >= 0, got {pair_loss} and {scale}")
        self.network, self.layers, self.pair_loss = network, tuple(sorted(layers)), pair_loss
        # a buffer, so that a resumed or loaded run keeps the scale of its training
        self.register_buffer("scale", torch.tensor(scale))

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the maps from relu1_1 to the highest chosen layer of pictures ``x`` (B, C, H, W) in [-1, 1]."""
        maps: list[Tensor] = self.network(x, upto=self.layers[-1])
        return maps

    def chosen(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Return the maps of the chosen layers out of ``features``, which :meth:`features` returned."""
        return [features[l - 1] for l in self.layers]

    def forward(self, real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
        """Return the loss (B,), in nats, between two results of :meth:`features`, picture by picture."""
        return self.scale * losses.feature_reconstruction(self.chosen(real), self.chosen(fake))

    @torch.no_grad()
    def calibrate(self, x: Tensor) -> None:
        """Measure the scale on training pictures ``x`` (B, C, H, W), B ≥ 2, unless a scale is fixed.

        Raises:
            MienError: the loss network gives equal features for different pictures, or values that are not finite.
        """
        if self.scale > 0:
            return
        features = self.features(x)
        others = [f.roll(1, 0) for f in features]
        mean = float(losses.feature_reconstruction(self.chosen(features), self.chosen(others)).mean())
        if not math.isfinite(mean) or mean <= 0:
            raise MienError(
                f"expected a loss network that tells pictures apart, got a mean feature distance of {mean} between "
                f"different pictures: train or choose another loss network than {self.network.source}"
            )
        self.scale.fill_(self.pair_loss / mean)
