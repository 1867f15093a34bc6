"""Iterative feeding: x → G(E(x)) → G(E(G(E(x)))) → … (SelfExGAN §4.1.3, Fig. 4.8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mien.abilities import Decodes, Encodes, require
from mien.applications.basics import BATCH, Progress, check_pictures
from mien.errors import MienError


@dataclass(frozen=True)
class Rounds:
    """What feeding pictures back makes of them.

    Args:
        pictures: (B, T + 1, C, H, W) on the CPU, the starts first.
        change: (B, T), mean |x_t − x_{t−1}| over a picture, in [0, 2]; it falls to 0 where the rounds settle.
    """

    pictures: Tensor
    change: Tensor


def iterate(model: Any, x: Tensor, rounds: int = 10, progress: Progress = None) -> Rounds:
    """Return what comes of pictures ``x`` (B, C, H, W) in [-1, 1] that are encoded and decoded again and again.

    The mean of q(z | x) is decoded, so nothing is drawn. What leaves [-1, 1] is clipped before it is fed back.

    Args:
        rounds: how often, 1 or more.
        progress: called with (done, total) pictures decoded.

    >>> from mien.models.base import build
    >>> vae = build("vae", {"shape": [3, 16, 16], "width": 4, "latent": 8}).eval()
    >>> fed = iterate(vae, torch.zeros(2, 3, 16, 16), rounds=3)
    >>> fed.pictures.shape, fed.change.shape
    (torch.Size([2, 4, 3, 16, 16]), torch.Size([2, 3]))
    """
    require(model, Encodes, Decodes)
    if rounds < 1:
        raise MienError(f"expected 1 round or more, got {rounds}")
    if not len(x):
        raise MienError("expected pictures to feed back, got none")
    # filled in place, on the CPU: a device would have to hold every round, and joining parts holds all twice
    pictures = torch.empty(len(x), rounds + 1, *x.shape[1:])
    change = torch.empty(len(x), rounds)
    done = 0
    with torch.inference_mode():
        for part in x.split(BATCH):
            now, rows = check_pictures(model, part), slice(done, done + len(part))
            pictures[rows, 0] = now.cpu()
            for t in range(rounds):
                before, now = now, model.decode(model.encode(now).mean).clamp(-1, 1)
                pictures[rows, t + 1] = now.cpu()
                change[rows, t] = (now - before).abs().flatten(1).mean(1).cpu()
                if progress:
                    progress(done * rounds + (t + 1) * len(part), rounds * len(x))
            done += len(part)
    return Rounds(pictures, change)
