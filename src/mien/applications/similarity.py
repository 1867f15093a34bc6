"""How alike two pictures are, by their neighborhoods in latent space (SelfExGAN §4.2.2, Fig. 4.11).

The thesis makes a neighborhood of fake faces G(E(x) + noise) for each face and leaves comparing them to the eye;
it gives no number. Here are two, both symmetric, in [0, 1], and 1 of a picture with itself:

``neighborhood``  the overlap of the two clouds of fakes where the encoder sees them, E(G(E(x) + noise)): the
                   normalized inner product of their kernel mean embeddings (Smola et al. 2007). Of the noisy
                   latents themselves, without G and E, the overlap would be a function of the distance alone.
``shared``         how many of the k nearest of a set of reference pictures the two have in common (Jaccard).

Cosine and distance of the latents are there to compare with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mien.abilities import Decodes, Encodes, require
from mien.applications.basics import BATCH, Progress, device_of
from mien.applications.neighbors import nearest
from mien.applications.variations import check_scale, directions
from mien.data.dataset import Dataset
from mien.errors import MienError

NOISE, COUNT = 0.5, 8  # of a neighborhood; the thesis does not say
REFERENCE, SHARED = 2000, 100  # reference pictures, and how many of them are near
PAIRS = 2048  # compared at a time

Measure = Callable[[np.ndarray], np.ndarray]
"""Pairs (P, 2) of rows to similarities (P,), larger for more alike."""


def clouds(
    model: Any, z: Tensor, noise: float = NOISE, n: int = COUNT, seed: int = 0, progress: Progress = None
) -> Tensor:
    """Return the neighborhoods of latents ``z`` (B, K) as the encoder sees them, E(G(z + noise)): (B, n, K) on the CPU.

    Args:
        noise: standard deviation of the noise.
        n: fakes of each neighborhood; their n directions are the same for every latent.
        seed: of the noise.
        progress: called with (done, total) latents.
    """
    require(model, Encodes, Decodes)
    if n < 1 or not len(z):
        raise MienError(f"expected latents and fakes, got {len(z)} and {n}: 1 or more each")
    offsets = check_scale(noise) * directions(n, z.shape[1], seed)  # (n, K)
    parts: list[Tensor] = []
    with torch.inference_mode():
        for part in z.split(max(1, BATCH // n)):
            latents = (part.cpu()[:, None] + offsets).flatten(0, 1).to(device_of(model))
            seen = model.encode(model.decode(latents).clamp(-1, 1)).mean
            parts.append(seen.cpu().unflatten(0, (len(part), n)))
            if progress:
                progress(sum(map(len, parts)), len(z))
    return torch.cat(parts)


def overlap(a: Tensor, b: Tensor) -> Tensor:
    """Return the overlap (P,) in [0, 1] of neighborhoods ``a`` and ``b``, both (P, n, K), pair by pair.

    ⟨μ_a, μ_b⟩ / (|μ_a| |μ_b|) of the mean embeddings of a Gaussian kernel whose squared width is K, the mean
    squared length of a draw from N(0, I).

    >>> cloud = torch.randn(3, 8, 5, generator=torch.Generator().manual_seed(0))
    >>> bool(torch.allclose(overlap(cloud, cloud), torch.ones(3)))
    True
    """

    def inner(left: Tensor, right: Tensor) -> Tensor:
        off = torch.cdist(left.double(), right.double()).square()  # (P, n, n)
        return (-off / (2 * a.shape[2])).exp().mean((1, 2))

    # very far apart all three may be too small to divide by
    length = (inner(a, a) * inner(b, b)).sqrt().clamp(min=1e-300)
    return (inner(a, b) / length).clamp(0, 1).float()


def shared(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return |A ∩ B| / |A ∪ B| (P,) of sets of k different numbers, both (P, k), pair by pair.

    >>> shared(np.array([[1, 2, 3]]), np.array([[3, 4, 1]])).tolist()
    [0.5]
    """
    together = np.sort(np.concatenate([a, b], 1), 1)  # a number in both comes twice
    common = (together[:, 1:] == together[:, :-1]).sum(1)
    return common / (a.shape[1] + b.shape[1] - common)


def measures(
    model: Any,
    z: Tensor,
    reference: Tensor | None = None,
    k: int = SHARED,
    noise: float = NOISE,
    n: int = COUNT,
    seed: int = 0,
    progress: Progress = None,
) -> dict[str, Measure]:
    """Return, by name, functions of pairs (P, 2) of rows of ``z`` (B, K) that say how alike (P,) they are.

    ``neighborhood`` and ``shared`` are this file's; ``cosine`` is of the latents; ``distance`` is minus the
    Euclidean one.

    Args:
        reference: latents (N, K) of the pictures for ``shared``, which is left out without them.
        k: how many of them are near, at most a twentieth.
        noise, n, seed: of the neighborhoods, see :func:`clouds`.

    >>> from mien.models.base import build
    >>> vae = build("vae", {"shape": [3, 16, 16], "width": 4, "latent": 8}).eval()
    >>> alike = measures(vae, torch.eye(3, 8))
    >>> sorted(alike), [round(float(s), 3) for s in alike["cosine"](np.array([[0, 0], [0, 1]]))]
    (['cosine', 'distance', 'neighborhood'], [1.0, 0.0])
    """
    z = z.cpu()
    near = clouds(model, z, noise, n, seed, progress)
    made: dict[str, Measure] = {"neighborhood": _in_parts(lambda i, j: overlap(near[i], near[j]).numpy())}
    return made | of_latents(z, reference, k)


def of_latents(z: Tensor, reference: Tensor | None = None, k: int = SHARED) -> dict[str, Measure]:
    """Return those of :func:`measures` that need no decoder.

    >>> sorted(of_latents(torch.eye(3, 8)))
    ['cosine', 'distance']
    """
    z = z.cpu()
    made: dict[str, Measure] = {}
    if reference is not None:
        sets = nearest(z, reference, max(1, min(k, len(reference) // 20))).index.numpy()
        made["shared"] = _in_parts(lambda i, j: shared(sets[i], sets[j]))
    made["cosine"] = _in_parts(lambda i, j: torch.nn.functional.cosine_similarity(z[i], z[j]).numpy())
    made["distance"] = _in_parts(lambda i, j: -(z[i] - z[j]).norm(dim=1).numpy())
    return made


def available(
    model: Any, z: Tensor, reference: Tensor, noise: float = NOISE, seed: int = 0, progress: Progress = None
) -> dict[str, Measure]:
    """Return :func:`measures` of a model that decodes, :func:`of_latents` of one that only encodes."""
    require(model, Encodes)
    if not isinstance(model, Decodes):
        return of_latents(z, reference)
    return measures(model, z, reference, noise=noise, seed=seed, progress=progress)


def pixels(dataset: Dataset, index: np.ndarray) -> Measure:
    """Return minus the Euclidean distance of pictures ``index`` (B,) in [-1, 1], the baseline that knows no model."""
    scale = 127.5 if dataset.dtype == "uint8" else 1.0

    def compare(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        left, right = (dataset.pictures(index[rows]).astype(np.float32) / scale for rows in (i, j))
        return -np.linalg.norm((left - right).reshape(len(i), -1), axis=1)

    return _in_parts(compare)


def _in_parts(compare: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Measure:
    """Return a measure that compares PAIRS pairs at a time, so that memory does not grow with their number."""

    def measure(pairs: np.ndarray) -> np.ndarray:
        parts = [pairs[start : start + PAIRS] for start in range(0, len(pairs), PAIRS)]
        return np.concatenate([compare(part[:, 0], part[:, 1]) for part in parts])

    return measure
