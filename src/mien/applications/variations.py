"""Variations of a design: G(E(x) + noise) at several scales of noise (SelfExGAN §4.2.3, Fig. 4.12)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from mien.abilities import Decodes, Encodes, require
from mien.applications.basics import BATCH, Progress, as_batch, check_pictures, joined, map_batches
from mien.errors import MienError

SCALES = (0.25, 0.5, 1.0)  # Fig. 4.12 has three scales but does not give them; 1 is the deviation of N(0, I)


def directions(n: int, latent: int, seed: int) -> Tensor:
    """Return n samples ε ~ N(0, I), (n, latent), on the CPU, so that a ``seed`` gives the same on every device.

    >>> directions(2, 3, seed=0).shape
    torch.Size([2, 3])
    """
    return torch.randn(n, latent, generator=torch.Generator().manual_seed(seed))


def check_scale(scale: float) -> float:
    """Return ``scale``, a scale of noise, as a float.

    Raises:
        MienError: it is negative or not finite.
    """
    if not 0 <= scale < float("inf"):
        raise MienError(f"expected a scale of noise of 0 or more, got {scale}: 1 is the spread of the prior")
    return float(scale)


def variations(
    model: Any, x: Tensor, scales: Sequence[float] = SCALES, n: int = 8, seed: int = 0, progress: Progress = None
) -> Tensor:
    """Return n variations of each picture at each scale of noise, (B, S, n, C, H, W) on the CPU.

    All pictures and scales share the n directions of noise. So in a figure with a row for each scale, a column shows
    one direction at growing distance.

    Args:
        model: encodes and decodes.
        x: pictures (B, C, H, W) in [-1, 1].
        scales: S standard deviations of the noise that is added to the mean of q(z | x); 0 is the reconstruction.
        n: variations at each scale, 1 or more.
        seed: of the noise.
        progress: called with (done, total) variations.

    Raises:
        MienError: no pictures, scales or variations, or a negative scale.

    >>> from mien.models.base import build
    >>> vae = build("vae", {"shape": [3, 16, 16], "width": 4, "latent": 8}).eval()
    >>> variations(vae, torch.zeros(2, 3, 16, 16), n=5).shape
    torch.Size([2, 3, 5, 3, 16, 16])
    """
    require(model, Encodes, Decodes)
    x = as_batch(model, x)
    if n < 1 or not len(scales) or not len(x):
        raise MienError(
            f"expected pictures, scales and variations, got {len(x)}, {len(scales)} and {n}: 1 or more each"
        )
    scale = torch.tensor([check_scale(s) for s in scales])
    z = map_batches(lambda part: model.encode(part).mean, check_pictures(model, x))  # (B, K)
    offsets = (scale[:, None, None] * directions(n, z.shape[1], seed)).flatten(0, 1).to(z.device)  # (S·n, K)
    total, done = len(z) * len(offsets), 0

    def parts() -> Iterator[Tensor]:
        """Yield decoded pictures, a batch at a time."""
        nonlocal done
        for latents in torch.split((z[:, None] + offsets).flatten(0, 1), BATCH):
            yield model.decode(latents).cpu()
            done += len(latents)
            if progress:
                progress(done, total)

    with torch.inference_mode():
        return torch.unflatten(joined(parts(), total), 0, (len(z), len(scale), n))
