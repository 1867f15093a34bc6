"""Paths between pictures through the latent space (VAE-WGAN §4.3.1, Fig. 11; SelfExGAN ch. 3.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mien.abilities import Decodes, Encodes, Generates, require
from mien.applications.basics import as_batch, check_pictures, generate, map_batches
from mien.errors import MienError

Path = Callable[[Tensor, Tensor, Tensor], Tensor]


def linear(left: Tensor, right: Tensor, t: Tensor) -> Tensor:
    """Return (1 - t)·left + t·right, (S, B, K), for latents (B, K) and t (S, 1, 1): Fig. 11."""
    return (1 - t) * left + t * right


def slerp(left: Tensor, right: Tensor, t: Tensor) -> Tensor:
    """Return the great-circle path, (S, B, K), between latents (B, K) for t (S, 1, 1); linear if they are parallel.

    >>> a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    >>> round(float(slerp(a, b, torch.tensor(0.5).view(1, 1, 1)).norm()), 4)
    1.0
    """
    cosine = torch.nn.functional.cosine_similarity(left, right, dim=-1).clamp(-1, 1)
    angle = cosine.acos()[None, :, None]
    sine = angle.sin()
    parallel = sine.abs() < 1e-4
    safe = torch.where(parallel, torch.ones_like(sine), sine)
    curved = (((1 - t) * angle).sin() * left + (t * angle).sin() * right) / safe
    return torch.where(parallel, linear(left, right, t), curved)


def interpolate(model: Any, left: Tensor, right: Tensor, steps: int = 11, path: Path = linear) -> Tensor:
    """Return decoded latent paths between pictures, (B, steps, C, H, W) on the CPU.

    Args:
        model: encodes and decodes.
        left, right: start and end pictures, both (B, C, H, W) in [-1, 1].
        steps: pictures on each path, ends included; α = 0, 0.1, …, 1 of the paper is 11 steps.
        path: :func:`linear` or :func:`slerp`.

    Raises:
        MienError: fewer than 2 steps, or different numbers of pictures.
    """
    require(model, Encodes, Decodes)
    if steps < 2:
        raise MienError(f"expected 2 steps or more, got {steps}")
    left, right = as_batch(model, left), as_batch(model, right)
    if left.shape != right.shape or not left.ndim or not len(left):
        raise MienError(f"expected as many pictures left as right, got {tuple(left.shape)} and {tuple(right.shape)}")
    start, end = (_means(model, x) for x in (left, right))
    with torch.inference_mode():
        t = torch.linspace(0, 1, steps, device=start.device).view(-1, 1, 1)
        z = path(start, end, t)  # (S, B, K)
        pictures = map_batches(lambda part: model.decode(part).cpu(), z.transpose(0, 1).flatten(0, 1))
    return torch.unflatten(pictures, 0, (len(left), steps))


def chain(model: Any, x: Tensor, steps: int = 11, path: Path = linear) -> Tensor:
    """Return one decoded path through pictures in their order, ((B - 1)·(steps - 1) + 1, C, H, W) on the CPU.

    Args:
        model: encodes and decodes.
        x: pictures (B, C, H, W) in [-1, 1], B ≥ 2; for a closed path, repeat the first at the end.
        steps: pictures from one to the next, both included.
        path: :func:`linear` or :func:`slerp`.

    >>> from mien.models.base import build
    >>> vae = build("vae", {"shape": [3, 16, 16], "width": 4, "latent": 8}).eval()
    >>> chain(vae, torch.zeros(3, 3, 16, 16), steps=5).shape
    torch.Size([9, 3, 16, 16])
    """
    require(model, Encodes, Decodes)
    x = as_batch(model, x)
    if len(x) < 2 or steps < 2:
        raise MienError(f"expected 2 pictures and 2 steps or more, got {len(x)} and {steps}")
    z = _means(model, x)
    with torch.inference_mode():
        t = torch.linspace(0, 1, steps, device=z.device).view(-1, 1, 1)
        legs = path(z[:-1], z[1:], t)[:-1].transpose(0, 1).flatten(0, 1)  # ((B - 1)·(steps - 1), K)
        return map_batches(lambda part: model.decode(part).cpu(), torch.cat([legs, z[-1:]]))


def _means(model: Any, x: Tensor) -> Tensor:
    """Return the means of q(z | x) of pictures (B, C, H, W), (B, K) on the model's device."""
    return map_batches(lambda part: model.encode(part).mean, check_pictures(model, x))


def between_samples(model: Any, n: int = 5, steps: int = 11, seed: int = 0, path: Path = linear) -> Tensor:
    """Return :func:`chain` through n generated pictures.

    Not every model gives access to the latents of its samples. Therefore the samples are encoded, and the path goes
    through their reconstructions.
    """
    require(model, Encodes, Decodes, Generates)
    if n < 2:
        raise MienError(f"expected 2 samples or more, got {n}")
    return chain(model, generate(model, n, seed), steps, path)
