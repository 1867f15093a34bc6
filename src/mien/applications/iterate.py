"""Iterative feeding: x → G(E(x)) → G(E(G(E(x)))) → … (SelfExGAN §4.1.3, Fig. 4.8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mien.abilities import Decodes, Encodes, require
from mien.applications.basics import BATCH, Progress, as_batch, check_pictures
from mien.errors import MienError


@dataclass(frozen=True)
class Rounds:
    """The results of iterative feeding.

    Args:
        pictures: (B, T + 1, C, H, W) on the CPU; the first are the start pictures.
        change: (B, T), mean |x_t − x_{t−1}| over a picture, in [0, 2]; it goes to 0 if the rounds converge.
    """

    pictures: Tensor
    change: Tensor


def iterate(model: Any, x: Tensor, rounds: int = 10, progress: Progress = None) -> Rounds:
    """Encode and decode pictures repeatedly, and return the pictures of all rounds.

    The decoder gets the mean of q(z | x), so the result is deterministic. Values are clipped to [-1, 1] in each round.

    Args:
        model: encodes and decodes.
        x: pictures (B, C, H, W) in [-1, 1].
        rounds: number of rounds, 1 or more.
        progress: called with (done, total) decoded pictures.

    >>> from mien.models.base import build
    >>> vae = build("vae", {"shape": [3, 16, 16], "width": 4, "latent": 8}).eval()
    >>> fed = iterate(vae, torch.zeros(2, 3, 16, 16), rounds=3)
    >>> fed.pictures.shape, fed.change.shape
    (torch.Size([2, 4, 3, 16, 16]), torch.Size([2, 3]))
    """
    require(model, Encodes, Decodes)
    if rounds < 1:
        raise MienError(f"expected 1 round or more, got {rounds}")
    x = as_batch(model, x)
    if not x.ndim or not len(x):
        raise MienError("expected pictures to feed back, got none")
    x = check_pictures(model, x)
    # on the CPU, because a device might not hold all rounds; torch.cat would hold all parts twice
    pictures = torch.empty(len(x), rounds + 1, *x.shape[1:])
    change = torch.empty(len(x), rounds)
    done = 0
    with torch.inference_mode():
        for part in torch.split(x, BATCH):
            current, rows = part, slice(done, done + len(part))
            pictures[rows, 0] = current.cpu()
            for t in range(rounds):
                previous, current = current, model.decode(model.encode(current).mean).clamp(-1, 1)
                pictures[rows, t + 1] = current.cpu()
                change[rows, t] = (current - previous).abs().flatten(1).mean(1).cpu()
                if progress:
                    progress(done * rounds + (t + 1) * len(part), rounds * len(x))
            done += len(part)
    return Rounds(pictures, change)
