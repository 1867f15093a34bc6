"""Run folders: what a training leaves behind, and how it is read back without executing any of it.

A run folder holds ``config.json`` (model, its settings, data, training), ``weights.safetensors``,
``state.pt`` (what resuming needs; read with ``weights_only``), ``log.jsonl``, ``tensorboard/`` and
``pictures/``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from mien.errors import MienError
from mien.files import write_atomically
from mien.models.base import Model, build
from mien.networks.loss_network import LossNetwork
from mien.networks.vgg import IMAGENET_MEAN, IMAGENET_STD, VGG
from mien.runs_light import read_config

# torchvision numbers convolutions, activations and poolings alike; these are the convolutions up to relu5_1
VGG19_CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28)
VGG19_WIDTHS, VGG19_DEPTHS = (64, 128, 256, 512, 512), (2, 2, 4, 4, 1)  # up to relu5_1


def save_weights(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Write ``weights`` as safetensors, atomically."""
    write_atomically(path, lambda p: safetensors.torch.save_file(dict(weights), p))


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def load(run: str | Path, device: str | torch.device = "cpu") -> Model:
    """Return the model of a run folder, ready for use (evaluation mode); nothing in the folder is executed.

    Raises:
        MienError: if the folder is not a run, is incomplete, or its weights are of another model.
    """
    run = Path(run)
    config = read_config(run)
    path = run / "weights.safetensors"
    if not path.exists():
        raise MienError(f"expected {path}, got a run without weights: run its mien train command again to finish it")
    model = build(config["model"], config["config"])
    load_weights(model, path)
    # as in training: of batches of 64, encoding is 1.1 and decoding 1.35 times as fast so, of single pictures as fast
    # (benchmarks/inference.py)
    return model.to(device).to(memory_format=torch.channels_last).eval()


def load_weights(model: Model, path: Path) -> None:
    """Fill ``model`` from a safetensors file.

    Raises:
        MienError: if the file is damaged or holds another model's weights, naming the first difference.
    """
    try:
        weights = safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, OSError) as error:
        raise MienError(
            f"expected safetensors weights in {path}, got a damaged file ({error}): train again or copy it again"
        ) from None
    own = model.state_dict()
    for key in sorted(own.keys() ^ weights.keys()):
        here = "missing from" if key in own else "unknown in"
        raise MienError(
            f"expected the weights of {model.name} in {path}, got those of another model or version of mien: "
            f"{key} is {here} it"
        )
    for key, value in own.items():
        if weights[key].shape != value.shape:
            raise MienError(
                f"expected {key} {tuple(value.shape)} in {path}, got {tuple(weights[key].shape)}: "
                "config.json and weights.safetensors are of different runs"
            )
    model.load_state_dict(weights)


def loss_network(spec: str) -> LossNetwork:
    """Return the frozen loss network that ``spec`` names.

    Args:
        spec: ``vgg19`` (torchvision's ImageNet weights: from torch's cache or downloaded), a file of
            those weights (.pth or .safetensors), or the folder of an ``attribute_cnn`` run.

    Raises:
        MienError: if it cannot be had, with the ways out.
    """
    path = Path(spec)
    if path.is_dir():
        return _from_run(path)
    if path.is_file():
        return _from_vgg19(_read_state(path), str(path.name), sha256(path))
    if spec != "vgg19":
        raise MienError(
            f"expected a loss network, got '{spec}', which is neither a folder nor a file: "
            "use vgg19, a file of torchvision's VGG-19 weights, or the folder of an attribute_cnn run"
        )
    from torchvision.models import VGG19_Weights

    weights = VGG19_Weights.IMAGENET1K_V1
    cached = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
    try:
        state = weights.get_state_dict(progress=True, check_hash=True)
    except Exception as error:
        raise MienError(
            f"could not get VGG-19's weights for the loss network ({str(error) or type(error).__name__}): either connect to "
            f"the network once, or pass a copy of {cached.name} with --set loss_network=FILE, or train one yourself with "
            "mien train attribute_cnn --data DATA --out CNN and pass --set loss_network=CNN"
        ) from None
    return _from_vgg19(state, "vgg19", sha256(cached) if cached.exists() else "")


def _from_run(run: Path) -> LossNetwork:
    model = load(run)
    body = getattr(model, "body", None)
    if not isinstance(body, VGG):
        raise MienError(f"expected an attribute_cnn run as loss network, got {run}, a run of {model.name}")
    config = {"channels": model.config["shape"][0], "widths": list(body.widths), "depths": list(body.depths)}
    config["batch_norm"] = body.batch_norm
    network = LossNetwork(source=run.name, sha256=sha256(run / "weights.safetensors"), **config)
    network.network.load_state_dict(body.state_dict())
    return network


def _read_state(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        # the restricted unpickler: builds tensors and containers, runs nothing
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise MienError(
            f"expected torchvision's VGG-19 weights in {path}, got a file that cannot be read as such "
            f"({str(error).splitlines()[0] if str(error) else type(error).__name__})"
        ) from None


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
