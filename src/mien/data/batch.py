"""Batch, the input of a training step: pictures with their attributes and classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """A batch of B pictures.

    Args:
        x: pictures (B, C, H, W), float32 in [-1, 1].
        attributes: (B, A) float32 of +1 (present), -1 (absent), 0 (unknown); None if the set has no attributes.
        label: (B,) int64 class numbers, -1 if unknown; None if the set has no classes.
        index: (B,) int64 positions in the data set.
    """

    x: Tensor
    attributes: Tensor | None
    label: Tensor | None
    index: Tensor

    def __len__(self) -> int:
        return len(self.x)


def on_device(values: NDArray[Any], device: str | torch.device) -> Tensor:
    """Return ``values`` as a tensor on ``device``; the host does not wait for the copy to a GPU."""
    import torch

    tensor, device = torch.from_numpy(values), torch.device(device)
    if device.type != "cuda":
        return tensor.to(device)
    # only a copy from pinned memory, which cannot be swapped out, is asynchronous
    return tensor.pin_memory().to(device, non_blocking=True)
