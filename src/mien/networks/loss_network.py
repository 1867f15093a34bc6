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
    """A trained :class:`VGG` that never trains again, with where it came from.

    Args:
        source: what it was made from, for people: ``vgg19`` or the name of an ``attribute_cnn`` run.
        sha256: hash of the weights it was made from; a judge or metric with the same hash is refused.
        **architecture: the arguments of :class:`VGG`.
    """

    def __init__(self, source: str = "", sha256: str = "", **architecture: Any):
        super().__init__()
        self.config: dict[str, Any] = {"source": source, "sha256": sha256, **architecture}
        self.network = VGG(**architecture).eval().requires_grad_(False)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> LossNetwork:
        """Return the network ``config`` describes, without its weights (they come with the run's)."""
        return cls(**config)

    @property
    def source(self) -> str:
        return self.config["source"]

    @property
    def sha256(self) -> str:
        return self.config["sha256"]

    def train(self, mode: bool = True) -> LossNetwork:
        """Stay in evaluation mode: BatchNorm statistics are part of what is frozen."""
        return super().train(False)

    def forward(self, x: Tensor, upto: int = STAGES) -> list[Tensor]:
        """Return [relu1_1, …, relu{upto}_1] of pictures (B, C, H, W) in [-1, 1]."""
        return self.network.features(x, upto)


class FeatureLoss(nn.Module):
    """Eq. 5 and 6 of VAE-WGAN on chosen layers of a loss network, times a scale that restores the balance.

    The paper's weights 100 / C² and β = 0.5 presume Caffe's VGG-19, whose activations are of the order of
    its inputs, 0..255. On any other network the same formula is orders of magnitude smaller, the KL term
    wins and the posterior collapses. The scale therefore is measured: it makes the loss between *different*
    pictures of the training set, averaged over pairs, equal ``pair_loss`` nats — a statement about pictures,
    not about a network's units, so that α = 1, β = 0.5 mean the same for every loss network and every choice
    of layers.

    Args:
        network: Φ.
        layers: which of relu1_1 … relu5_1 enter, as numbers 1 to 5.
        pair_loss: the target in nats.
        scale: a fixed scale instead of the measured one; 0 measures. Caffe's range relative to
            torchvision's is about (255 · 0.226)² = 3.3e3.
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
        # part of the state: a resumed or loaded run keeps the scale it was trained with
        self.register_buffer("scale", torch.tensor(scale))

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the maps from relu1_1 to the highest chosen layer."""
        return self.network(x, upto=self.layers[-1])

    def chosen(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Return the maps of the chosen layers."""
        return [features[l - 1] for l in self.layers]

    def forward(self, real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
        """Return the loss (B,) in nats between the features of two sets of pictures."""
        return self.scale * losses.feature_reconstruction(self.chosen(real), self.chosen(fake))

    @torch.no_grad()
    def calibrate(self, x: Tensor) -> None:
        """Set the scale from training pictures ``x`` (B, C, H, W), B >= 2, unless one was given."""
        if self.scale > 0:
            return
        features = self.features(x)
        others = [f.roll(1, 0) for f in features]
        mean = float(losses.feature_reconstruction(self.chosen(features), self.chosen(others)).mean())
        if not math.isfinite(mean) or mean <= 0:
            raise MienError(
                f"expected a loss network that tells pictures apart, got a feature distance of {mean} between "
                f"different ones: train or choose another than {self.network.source}"
            )
        self.scale.fill_(self.pair_loss / mean)
