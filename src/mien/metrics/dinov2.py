"""DINOv2's vision transformers as feature networks (Oquab et al. 2023); the class token of 224-pixel pictures.

Distances on these features agree with people better than those on Inception's (Stein et al. 2023, who use ViT-L/14).
The architecture comes from timm, ``pip install 'mien[dinov2]'``. The weights come from a file: Meta's
``dinov2_vits14_pretrain.pth``, or timm's ``model.safetensors`` of ``vit_small_patch14_dinov2.lvd142m``; these have the
same names. Files of ViT-S/14, B/14 and L/14 are recognized by their shapes.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mien.errors import MienError
from mien.files import sha256
from mien.metrics.feature_networks import FeatureNetwork, as_color, bicubic, read_weights, to_bytes

VARIABLE = "MIEN_DINOV2"
FILE = "dinov2_vits14_pretrain.pth"
SIZE, PATCH = 224, 14
SIDE = SIZE // PATCH  # patches
OFFSET = 0.1  # Meta's code adds it to the number of patches before it resizes the position embedding
BATCH = 32
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's
# by the number of features: the name in tables, timm's name, the number of blocks
KINDS = {
    384: ("DINOv2 ViT-S/14", "vit_small_patch14_dinov2", 12),
    768: ("DINOv2 ViT-B/14", "vit_base_patch14_dinov2", 12),
    1024: ("DINOv2 ViT-L/14", "vit_large_patch14_dinov2", 24),
}
UNUSED = "mask_token"  # of the pretraining


def dinov2(path: str | Path | None = None, device: str | torch.device = "cpu") -> FeatureNetwork:
    """Return DINOv2: the normalized class token, 384 features of ViT-S/14, without logits.

    Args:
        path: file of the weights, ``.pth`` or ``.safetensors``; by default the file of ``MIEN_DINOV2``, else
            ``dinov2_vits14_pretrain.pth`` in torch's cache.
        device: device of the network.

    Raises:
        MienError: timm or the file is missing, or the file has other weights.
    """
    file = find(path)
    state = read(file)
    name, architecture, _ = kind(state, file)
    with torch.random.fork_rng(devices=[]):  # the constructor draws initial weights from the global generator
        network: Any = _timm().create_model(architecture, pretrained=False, num_classes=0, img_size=SIZE)
    state = {key: value.float() for key, value in state.items() if key != UNUSED}
    state["pos_embed"] = positions(state["pos_embed"])
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise MienError(f"expected the weights of {name} in {file}, got others ({reason}): use {FILE}") from None
    place = torch.device(device)
    network = network.eval().requires_grad_(False).to(place)
    mean, std = (torch.tensor(values, device=place)[:, None, None] for values in (MEAN, STD))

    def look(x: Tensor) -> tuple[Tensor, None]:
        levels = to_bytes(as_color(x, name).to(place))
        parts = [network((bicubic(part, SIZE) / 255 - mean) / std) for part in torch.split(levels, BATCH)]
        return torch.cat(parts), None

    return FeatureNetwork(
        name="dinov2",
        weights=f"{name}: {file.name}",
        sha256=sha256(file),
        number=network.num_features,
        classes=0,
        preprocessing=f"gray repeated to three channels; rounded to bytes; resized to {SIZE}x{SIZE} by Pillow's "
        "bicubic filter with antialiasing, not rounded; ImageNet's mean and deviation",
        device=place,
        look=look,
    )


def find(path: str | Path | None = None) -> Path:
    """Return the file of the weights: ``path``, else of ``MIEN_DINOV2``, else of torch's cache; nothing is downloaded.

    Raises:
        MienError: there is no such file; the message says where to put one.
    """
    for choice, origin in ((path, ""), (os.environ.get(VARIABLE), f" ({VARIABLE})")):
        if choice:
            if not Path(choice).expanduser().is_file():
                raise MienError(f"expected DINOv2's weights in {choice}{origin}, got no such file: give another path")
            return Path(choice).expanduser()
    cached = Path(torch.hub.get_dir()) / "checkpoints" / FILE
    if not cached.is_file():
        raise MienError(
            f"expected DINOv2's weights, got none: pass --features FILE with {FILE} of Meta or model.safetensors of "
            f"timm, or put {FILE} at {cached}, or set {VARIABLE} to its path"
        )
    return cached


def read(file: Path) -> dict[str, Tensor]:
    """Return the tensors of a ``.safetensors`` or torch file; no code in the file is executed.

    Raises:
        MienError: the file has other content.
    """
    if file.suffix.lower() != ".safetensors":
        return read_weights(file, "weights")
    import safetensors
    import safetensors.torch

    try:
        tensors: dict[str, Tensor] = safetensors.torch.load_file(file)
    except (safetensors.SafetensorError, OSError) as error:
        raise MienError(
            f"expected safetensors weights in {file}, got a damaged file ({error}): copy it again"
        ) from None
    return tensors


def is_dinov2(state: Mapping[str, Tensor]) -> bool:
    """Return whether the names of tensors are those of a vision transformer with DINOv2's layer scales."""
    return {"cls_token", "pos_embed", "patch_embed.proj.weight", "blocks.0.ls1.gamma"} <= set(state)


def kind(state: Mapping[str, Tensor], file: Path) -> tuple[str, str, int]:
    """Return the entry of :data:`KINDS` of some weights.

    Raises:
        MienError: the weights are not those of ViT-S/14, B/14 or L/14 without registers.
    """
    blocks = {match[1] for key in state if (match := re.match(r"blocks\.(\d+)\.", key))}
    width = state["cls_token"].shape[-1] if is_dinov2(state) else 0
    kind = KINDS.get(width)
    if kind is None or len(blocks) != kind[2] or any(key.startswith("reg") for key in state):
        names = ", ".join(name for name, *_ in KINDS.values())
        raise MienError(
            f"expected the weights of {names} without registers in {file}, got {len(blocks)} blocks of width {width}: "
            f"use {FILE}"
        )
    return kind


def positions(embedding: Tensor) -> Tensor:
    """Return the position embedding (1, 1 + n², D) of the pretraining for 224 pixels: (1, 257, D).

    It is resized as in Meta's code: bicubic without antialiasing, with 0.1 added to the number of patches.

    Raises:
        MienError: the number of patches is not a square.
    """
    if embedding.ndim != 3 or round((embedding.shape[1] - 1) ** 0.5) ** 2 != embedding.shape[1] - 1:
        raise MienError(f"expected a position embedding (1, 1 + n², D), got {tuple(embedding.shape)}: use {FILE}")
    first, patches = embedding[:, :1], embedding[:, 1:]
    side = round(patches.shape[1] ** 0.5)
    if side == SIDE:
        return embedding
    square = patches.reshape(1, side, side, -1).permute(0, 3, 1, 2)
    scale = (SIDE + OFFSET) / side
    resized = F.interpolate(square, scale_factor=(scale, scale), mode="bicubic", antialias=False)
    return torch.cat([first, resized.permute(0, 2, 3, 1).flatten(1, 2)], 1)


def _timm() -> Any:
    try:
        return importlib.import_module("timm")
    except ImportError:
        raise MienError("expected timm for DINOv2, got no such package: pip install 'mien[dinov2]'") from None
