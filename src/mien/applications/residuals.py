"""Residual images: what an edit adds to a picture and takes from it (Shen & Liu 2017, Fig. 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mien.applications.arithmetic import AttributeVectors, edit
from mien.applications.basics import BATCH, check_pictures, joined
from mien.errors import MienError


def residuals(model: Any, x: Tensor, amounts: Mapping[str, float], vectors: AttributeVectors | None = None) -> Tensor:
    """Return edited − x, (B, C, H, W) in [-2, 2], of pictures ``x`` (B, C, H, W) in [-1, 1].

    For every model that edits, by itself or with attribute vectors. For the latter it also holds what the
    reconstruction misses: the paper's point against editing by them.

    Args:
        amounts: +1 adds an attribute, -1 removes it, fractions go part of the way.
        vectors: for a model that only encodes and decodes.

    Raises:
        UnknownName: for an attribute that cannot be edited.

    >>> import torch
    >>> from mien.models.base import build
    >>> model = build("residual_gan", {"shape": [3, 16, 16], "width": 4, "attributes": ["Smiling"]}).eval()
    >>> residuals(model, torch.zeros(2, 3, 16, 16), {"Smiling": 1}).shape
    torch.Size([2, 3, 16, 16])
    """
    x = check_pictures(model, x)
    return joined((edit(model, part, amounts, vectors) - part for part in x.split(BATCH)), len(x))


def as_picture(residual: Tensor, gain: float = 1.0) -> Tensor:
    """Return residual images (B, C, H, W) in [-2, 2] as pictures in [-1, 1]: middle gray is no change.

    Args:
        gain: makes small changes visible; what leaves the range is clipped.

    >>> import torch
    >>> as_picture(torch.tensor([-2.0, 0.0, 1.0])).tolist()
    [-1.0, 0.0, 0.5]
    """
    if not 0 < gain < float("inf"):
        raise MienError(f"expected gain > 0, got {gain}")
    return (residual * (gain / 2)).clamp(-1, 1)
