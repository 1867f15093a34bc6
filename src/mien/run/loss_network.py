"""Loss networks from published weights, from a file of these weights, or from a run whose model describes pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from mien import models
from mien.abilities import Describes
from mien.errors import MienError
from mien.files import sha256
from mien.networks.loss_network import LossNetwork
from mien.networks.vgg import IMAGENET_MEAN, IMAGENET_STD
from mien.run.folder import check_abilities, resolve, weights_digest
from mien.run.weights import load

# torchvision numbers convolutions, activations and pools together; these are the convolutions up to relu5_1
VGG19_CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28)
VGG19_WIDTHS, VGG19_DEPTHS = (64, 128, 256, 512, 512), (2, 2, 4, 4, 1)  # up to relu5_1


def loss_network(spec: str) -> LossNetwork:
    """Return the frozen loss network for ``spec``.

    Args:
        spec: ``vgg19`` (torchvision's ImageNet weights, from torch's cache or downloaded), a file of these weights
            (.pth or .safetensors), or the run of a model that describes pictures: its folder, or a pretrained name.

    Raises:
        MienError: the network or its weights are not available; the message lists the alternatives.
    """
    path = resolve(spec)
    if path.is_dir():
        return _from_run(path)
    if path.is_file():
        return _from_vgg19(_read_state(path), str(path.name), sha256(path))
    if spec != "vgg19":
        raise MienError(
            f"expected a loss network, got '{spec}', which is neither a folder nor a file: "
            f"use vgg19, a file of torchvision's VGG-19 weights, or the folder of a run of {_able()}"
        )
    from torchvision.models import VGG19_Weights

    weights = VGG19_Weights.IMAGENET1K_V1
    cached = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
    try:
        state = weights.get_state_dict(progress=True, check_hash=True)
    except Exception as error:
        raise MienError(
            f"could not get VGG-19's weights for the loss network ({str(error) or type(error).__name__}): either "
            f"connect to the network once, or pass a copy of {cached.name} with --set loss_network=FILE, or train one "
            f"yourself with mien train {_able()} --data DATA --out CNN and pass --set loss_network=CNN"
        ) from None
    return _from_vgg19(state, "vgg19", sha256(cached) if cached.exists() else "")


def _able() -> str:
    """Return the names of the models that describe pictures, joined by 'or'."""
    return " or ".join(models.models_with(["Describes"]))


def _from_run(run: Path) -> LossNetwork:
    check_abilities(run, ["Describes"])
    model = load(run)
    assert isinstance(model, Describes)
    network = LossNetwork(source=run.name, sha256=weights_digest(run), **model.trunk.architecture)
    network.network.load_state_dict(model.trunk.state_dict())
    return network


def _read_state(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        # the restricted unpickler builds tensors and containers and executes no code
        state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise MienError(
            f"expected torchvision's VGG-19 weights in {path}, got a file that cannot be read as such "
            f"({str(error).splitlines()[0] if str(error) else type(error).__name__})"
        ) from None
    return state


def _from_vgg19(state: Mapping[str, Tensor], source: str, digest: str) -> LossNetwork:
    network = LossNetwork(
        source=source,
        sha256=digest,
        channels=3,
        widths=list(VGG19_WIDTHS),
        depths=list(VGG19_DEPTHS),
        batch_norm=False,
        mean=list(IMAGENET_MEAN),
        std=list(IMAGENET_STD),
    )
    own = network.network.state_dict()
    for number, key in zip(VGG19_CONVOLUTIONS, [k for k in own if k.endswith(".weight")], strict=True):
        for kind in ("weight", "bias"):
            target = key.removesuffix("weight") + kind
            value = state.get(f"features.{number}.{kind}")
            if value is None or value.shape != own[target].shape:
                got = "nothing" if value is None else tuple(value.shape)
                raise MienError(
                    f"expected VGG-19's features.{number}.{kind} {tuple(own[target].shape)} in {source}, got {got}"
                )
            own[target].copy_(value)
    return network
