"""Similarity of two pictures by their neighborhoods in latent space (SelfExGAN §4.2.2, Fig. 4.11).

The thesis generates a neighborhood of fake faces G(E(x) + noise) for each face and compares the neighborhoods by eye.
It gives no number. This module has two. Both are symmetric, in [0, 1], and 1 for a picture and itself:

- ``neighborhood``: the overlap of the two clouds of encoded fakes, E(G(E(x) + noise)): the normalized inner product of
  their kernel mean embeddings (Smola et al. 2007). Without G and E, the overlap of the noisy latents would depend on
  their distance only.
- ``shared``: the share of common members among the k nearest reference pictures of each (Jaccard index).

Cosine and distance of the latents serve as baselines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.abilities import Decodes, Encodes, require
from mien.applications.basics import BATCH, Progress, device_of
from mien.applications.neighbors import nearest
from mien.applications.variations import check_scale, directions
from mien.data.dataset import Dataset
from mien.errors import MienError

NOISE, COUNT = 0.5, 8  # scale of the noise and number of fakes; the thesis does not give them
REFERENCE, SHARED = 2000, 100  # number of reference pictures, and number of the nearest among them
PAIRS = 2048  # pairs compared at a time

Measure = Callable[[NDArray[np.int64]], NDArray[np.floating[Any]]]
"""A function from pairs (P, 2) of rows to similarities (P,): the larger, the more similar."""


def clouds(
    model: Any, z: Tensor, noise: float = NOISE, n: int = COUNT, seed: int = 0, progress: Progress = None
) -> Tensor:
    """Return the encoded neighborhoods of latents, E(G(z + noise)): (B, n, K) on the CPU.

    Args:
        model: encodes and decodes.
        z: latents (B, K).
        noise: standard deviation of the noise.
        n: fakes in each neighborhood; all latents share the n directions of noise.
        seed: of the noise.
        progress: called with (done, total) latents.

    Raises:
        MienError: no latents, no fakes, or a negative scale of noise.
    """
    require(model, Encodes, Decodes)
    if n < 1 or not len(z):
        raise MienError(f"expected latents and fakes, got {len(z)} and {n}: 1 or more each")
    offsets = check_scale(noise) * directions(n, z.shape[1], seed)  # (n, K)
    parts: list[Tensor] = []
    with torch.inference_mode():
        for part in torch.split(z, max(1, BATCH // n)):
            latents = (part.cpu()[:, None] + offsets).flatten(0, 1).to(device_of(model))
            codes = model.encode(model.decode(latents).clamp(-1, 1)).mean
            parts.append(torch.unflatten(codes.cpu(), 0, (len(part), n)))
            if progress:
                progress(sum(map(len, parts)), len(z))
    return torch.cat(parts)


def overlap(a: Tensor, b: Tensor) -> Tensor:
    """Return the overlap (P,) in [0, 1] of neighborhoods ``a`` and ``b``, both (P, n, K), pair by pair.

    It is ⟨μ_a, μ_b⟩ / (|μ_a| |μ_b|) for the mean embeddings of a Gaussian kernel. The squared width of the kernel is K,
    the mean squared length of a sample of N(0, I).

    >>> cloud = torch.randn(3, 8, 5, generator=torch.Generator().manual_seed(0))
    >>> bool(torch.allclose(overlap(cloud, cloud), torch.ones(3)))
    True
    """

    def inner(left: Tensor, right: Tensor) -> Tensor:
        squared = torch.cdist(left.double(), right.double()).square()  # (P, n, n)
        return (-squared / (2 * a.shape[2])).exp().mean((1, 2))

    # for very distant neighborhoods all three products may be too small for a division
    length = (inner(a, a) * inner(b, b)).sqrt().clamp(min=1e-300)
    return (inner(a, b) / length).clamp(0, 1).float()


def shared(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return |A ∩ B| / |A ∪ B|, (P,), of sets of k different numbers, both (P, k), pair by pair.

    >>> shared(np.array([[1, 2, 3]]), np.array([[3, 4, 1]])).tolist()
    [0.5]
    """
    numbers = np.sort(np.concatenate([a, b], 1), 1)  # common numbers come twice
    common = (numbers[:, 1:] == numbers[:, :-1]).sum(1)
    jaccard: NDArray[np.float64] = common / (a.shape[1] + b.shape[1] - common)
    return jaccard


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
    """Return the similarity measures by name: functions from pairs (P, 2) of rows of ``z`` to similarities (P,).

    ``neighborhood`` and ``shared`` are defined at the top of this file. ``cosine`` is the cosine of the latents, and
    ``distance`` is minus their Euclidean distance.

    Args:
        model: encodes and decodes.
        z: latents (B, K) of the pictures to compare.
        reference: latents (N, K) of the reference pictures; without them ``shared`` is not returned.
        k: number of the nearest reference pictures; at most a twentieth of them.
        noise, n, seed: of the neighborhoods, see :func:`clouds`.
        progress: called with (done, total) latents.

    >>> from mien.models.base import build
    >>> vae = build("vae", {"shape": [3, 16, 16], "width": 4, "latent": 8}).eval()
    >>> functions = measures(vae, torch.eye(3, 8))
    >>> sorted(functions), [round(float(s), 3) for s in functions["cosine"](np.array([[0, 0], [0, 1]]))]
    (['cosine', 'distance', 'neighborhood'], [1.0, 0.0])
    """
    z = z.cpu()
    near = clouds(model, z, noise, n, seed, progress)
    functions: dict[str, Measure] = {"neighborhood": _in_parts(lambda i, j: overlap(near[i], near[j]).numpy())}
    return functions | of_latents(z, reference, k)


def of_latents(z: Tensor, reference: Tensor | None = None, k: int = SHARED) -> dict[str, Measure]:
    """Return those functions of :func:`measures` that need no decoder.

    >>> sorted(of_latents(torch.eye(3, 8)))
    ['cosine', 'distance']
    """
    z = z.cpu()
    functions: dict[str, Measure] = {}
    if reference is not None:
        sets = nearest(z, reference, max(1, min(k, len(reference) // 20))).index.numpy()
        functions["shared"] = _in_parts(lambda i, j: shared(sets[i], sets[j]))
    functions["cosine"] = _in_parts(lambda i, j: torch.nn.functional.cosine_similarity(z[i], z[j]).numpy())
    functions["distance"] = _in_parts(lambda i, j: -torch.linalg.vector_norm(z[i] - z[j], dim=1).numpy())
    return functions


def available(
    model: Any, z: Tensor, reference: Tensor, noise: float = NOISE, seed: int = 0, progress: Progress = None
) -> dict[str, Measure]:
    """Return :func:`measures` for a model that encodes and decodes, :func:`of_latents` for one that only encodes."""
    require(model, Encodes)
    if not isinstance(model, Decodes):
        return of_latents(z, reference)
    return measures(model, z, reference, noise=noise, seed=seed, progress=progress)


def pixels(dataset: Dataset, index: NDArray[np.int64]) -> Measure:
    """Return the baseline that uses no model: minus the Euclidean distance of pictures ``index`` (B,) in [-1, 1]."""
    scale = 127.5 if dataset.dtype == "uint8" else 1.0

    def compare(i: NDArray[np.int64], j: NDArray[np.int64]) -> NDArray[np.floating[Any]]:
        left, right = (dataset.pictures(index[rows]).astype(np.float32) / scale for rows in (i, j))
        distance: NDArray[np.floating[Any]] = np.linalg.norm((left - right).reshape(len(i), -1), axis=1)
        return -distance

    return _in_parts(compare)


def _in_parts(compare: Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.floating[Any]]]) -> Measure:
    """Return a measure that compares PAIRS pairs at a time, so that memory does not grow with their number."""

    def measure(pairs: NDArray[np.int64]) -> NDArray[np.floating[Any]]:
        parts = [pairs[start : start + PAIRS] for start in range(0, len(pairs), PAIRS)]
        return np.concatenate([compare(part[:, 0], part[:, 1]) for part in parts])

    return measure
