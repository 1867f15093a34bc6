"""What a model is given: a batch of pictures with what is known of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """A batch of B pictures.

    Args:
        x: pictures (B, C, H, W), float32 in [-1, 1].
        attributes: (B, A) float32 of +1 (has it), -1 (has not), 0 (not known); None if the set has none.
        label: (B,) int64 class numbers, -1 where not known; None if the set has no classes.
        index: (B,) int64 positions in the data set.
    """

    x: Tensor
    attributes: Tensor | None
    label: Tensor | None
    index: Tensor

    def __len__(self) -> int:
        return len(self.x)


def on_device(values: np.ndarray, device: str | torch.device) -> Tensor:
    """Return ``values`` as a tensor on ``device``; the host does not wait for the copy to a GPU."""
    import torch

    tensor, device = torch.from_numpy(values), torch.device(device)
    if device.type != "cuda":
        return tensor.to(device)
    # only from memory that cannot be swapped out does a copy go on by itself
    return tensor.pin_memory().to(device, non_blocking=True)
