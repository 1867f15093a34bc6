"""Residual images: the difference between an edited picture and the picture (Shen & Liu 2017, Fig. 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mien.abilities import Edits, can
from mien.applications.arithmetic import AttributeVectors, Editor
from mien.applications.basics import check_pictures, map_batches
from mien.errors import MienError


def residuals(model: Any, x: Tensor, amounts: Mapping[str, float], vectors: AttributeVectors | None = None) -> Tensor:
    """Return edited − x, (B, C, H, W) in [-2, 2], of pictures ``x`` (B, C, H, W) in [-1, 1].

    With attribute vectors the residual also contains the error of the reconstruction. The paper names this as a
    weakness of editing with attribute vectors.

    Args:
        model: a model that edits, or one that encodes and decodes.
        x: pictures (B, C, H, W) in [-1, 1].
        amounts: for each attribute to change: +1 adds it, -1 removes it, fractions change it in part.
        vectors: attribute vectors; only for a model that does not edit by itself.

    Raises:
        UnknownName: an attribute cannot be edited.

    >>> import torch
    >>> from mien.models.base import build
    >>> model = build("residual_gan", {"shape": [3, 16, 16], "width": 4, "attributes": ["Smiling"]}).eval()
    >>> residuals(model, torch.zeros(2, 3, 16, 16), {"Smiling": 1}).shape
    torch.Size([2, 3, 16, 16])
    """
    x = check_pictures(model, x)
    change = Editor(model, None if can(model, Edits) else vectors).function(amounts)
    return map_batches(lambda part: change(model, part) - part, x)


def as_picture(residual: Tensor, gain: float = 1.0) -> Tensor:
    """Return residual images (B, C, H, W) in [-2, 2] as pictures in [-1, 1], where middle gray means no change.

    Args:
        residual: (B, C, H, W).
        gain: factor that makes small changes visible; values outside the range are clipped.

    Raises:
        MienError: the gain is not positive and finite.

    >>> import torch
    >>> as_picture(torch.tensor([-2.0, 0.0, 1.0])).tolist()
    [-1.0, 0.0, 0.5]
    """
    if not 0 < gain < float("inf"):
        raise MienError(f"expected gain > 0, got {gain}")
    return (residual * (gain / 2)).clamp(-1, 1)
