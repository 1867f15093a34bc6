"""Maps of the latent space: t-SNE as a scatter or as a grid of pictures, and the decoded plane of a 2-d model.

VAE-WGAN's Fig. 13 is a t-SNE of 625 latents as 25x25 pictures. SSAVAE's Fig. 7 and 8 show the plane of a model with two
latent dimensions and pictures decoded from a lattice in it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from mien.abilities import Decodes, Encodes, require
from mien.applications.basics import Progress, device_of, encode_all, latent_size, map_batches
from mien.data.dataset import Dataset
from mien.errors import MienError

FEWEST = 5  # points; with fewer, the neighborhoods of t-SNE have no meaning
COMPONENTS = 50  # PCA first reduces more dimensions to this; van der Maaten and Hinton (2008, §4.1) use 30
PERPLEXITY = 30.0
MOST_CELLS = 4096  # the table of costs grows with the square of this: 128 MiB


def perplexity_for(n: int) -> float:
    """Return the perplexity of t-SNE for ``n`` points: 30, or (n - 1) / 3 for fewer than 91 points.

    >>> perplexity_for(625), perplexity_for(31)
    (30.0, 10.0)
    """
    return min(PERPLEXITY, (n - 1) / 3)


def tsne(z: ArrayLike, seed: int = 0, perplexity: float | None = None) -> NDArray[np.float32]:
    """Return positions (n, 2) in a plane that keep near latents near each other: Barnes-Hut t-SNE.

    PCA first reduces latents of more than 50 dimensions. The initial positions are the first two principal components,
    so a map depends little on the seed. Time grows as n log n: 625 latents take seconds, 10,000 take a minute.

    Args:
        z: latents (n, K), n ≥ 5, K ≥ 2.
        seed: of t-SNE and PCA.
        perplexity: approximate number of neighbors of a point, from 1 to n - 1; by default :func:`perplexity_for`.

    Raises:
        MienError: other shapes, values that are not finite, latents that are all equal, a perplexity out of range.
    """
    points = _points(z, "latents", least=2)
    n, size = points.shape
    if n < FEWEST:
        raise MienError(f"expected {FEWEST} latents or more for t-SNE, got {n}: pass more pictures")
    perplexity = perplexity_for(n) if perplexity is None else perplexity
    if not 1 <= perplexity <= n - 1:
        raise MienError(f"expected a perplexity from 1 to {n - 1} for {n} latents, got {perplexity:g}")
    # latents that are equal up to rounding: t-SNE would show the rounding errors
    if np.ptp(points, axis=0).max() <= 1e-6 * max(1.0, float(np.abs(points).max())):
        raise MienError(f"expected latents that differ, got {n} equal ones: the encoder says nothing of its pictures")
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    if size > COMPONENTS:
        points = PCA(min(COMPONENTS, n), random_state=seed).fit_transform(points)
    embed = TSNE(2, perplexity=perplexity, init="pca", learning_rate="auto", method="barnes_hut", random_state=seed)
    plane: NDArray[np.float32] = embed.fit_transform(points).astype(np.float32)
    return plane


def latent_map(
    model: Any, dataset: Dataset, index: NDArray[np.int64], seed: int = 0, progress: Progress = None
) -> NDArray[np.float32]:
    """Return the t-SNE positions (n, 2) of the latent means of the pictures at positions ``index`` of a data set."""
    return tsne(encode_all(model, dataset, index, progress).numpy(), seed)


def grid_shape(n: int) -> tuple[int, int]:
    """Return the rows and columns of the grid for ``n`` pictures that is nearest to a square.

    >>> grid_shape(625), grid_shape(24), grid_shape(20)
    ((25, 25), (5, 5), (4, 5))
    """
    if n < 1:
        raise MienError(f"expected one picture or more for a grid, got {n}")
    columns = math.isqrt(n - 1) + 1
    return -(-n // columns), columns


def grid_cells(positions: ArrayLike, rows: int | None = None, columns: int | None = None) -> NDArray[np.int64]:
    """Return the assignment of points to the cells of a grid with the least sum of squared distances.

    Positions are scaled to the grid first; then linear assignment is solved. The first row is the top, so the grid has
    the orientation of a scatter of the same positions.

    Args:
        positions: (n, 2), n ≤ rows · columns ≤ 4096.
        rows, columns: of the grid; by default :func:`grid_shape`.

    Returns:
        (rows, columns) with the number of the point in each cell; -1 in an empty cell.

    Raises:
        MienError: other shapes, values that are not finite, too few cells or too many.

    >>> grid_cells([[0, 0], [1, 0], [0, 1], [1, 1]])
    array([[2, 3],
           [0, 1]])
    """
    points = _points(positions, "positions", least=2, most=2)
    n = len(points)
    default = grid_shape(n)
    rows, columns = default[0] if rows is None else rows, default[1] if columns is None else columns
    if rows < 1 or columns < 1 or not n <= rows * columns <= MOST_CELLS:
        raise MienError(f"expected a grid of {n} to {MOST_CELLS} cells for {n} pictures, got {rows} x {columns}")
    from scipy.optimize import linear_sum_assignment

    numbers, places = linear_sum_assignment(grid_costs(points, rows, columns))
    cells = np.full(rows * columns, -1)
    cells[places] = numbers
    return cells.reshape(rows, columns)


def grid_costs(positions: ArrayLike, rows: int, columns: int) -> NDArray[np.float64]:
    """Return the squared distance of each position, scaled to the grid, to each cell: (n, rows · columns)."""
    points = _points(positions, "positions", least=2, most=2)
    low, extent = points.min(0), np.ptp(points, axis=0)
    # points on a line parallel to an axis lie in the center of the other axis
    place = np.where(extent > 0, (points - low) / np.where(extent > 0, extent, 1), 0.5) * [columns - 1, rows - 1]
    across, down = np.meshgrid(np.arange(columns), np.arange(rows))
    cells = np.stack([across, rows - 1 - down], -1).reshape(-1, 2)
    from scipy.spatial.distance import cdist

    costs: NDArray[np.float64] = cdist(place, cells, "sqeuclidean")
    return costs


def plane_range(z: ArrayLike, quantile: float = 0.01) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the range of encoded pictures in a latent plane: (low, high) of z1 and of z2, without outliers.

    Args:
        z: latents (n, 2).
        quantile: the share that is excluded at each end of each axis, from 0 to below .5.

    >>> plane_range([[0, 5], [1, 6], [2, 7]], 0)
    ((0.0, 2.0), (5.0, 7.0))
    """
    points = _points(z, "latents", least=2, most=2)
    if not 0 <= quantile < 0.5:
        raise MienError(f"expected a quantile from 0 to below 0.5, got {quantile}")
    low, high = np.quantile(points, [quantile, 1 - quantile], axis=0)
    return (float(low[0]), float(high[0])), (float(low[1]), float(high[1]))


def decoded_plane(
    model: Any, z1: tuple[float, float] = (-2.0, 2.0), z2: tuple[float, float] = (-2.0, 2.0), steps: int = 20
) -> Tensor:
    """Return pictures (steps, steps, C, H, W) decoded from a lattice in the latent plane of a 2-d model.

    Args:
        model: encodes and decodes.
        z1, z2: (low, high) of the lattice, both included; the first row has the highest z2.
        steps: pictures along each axis, 2 or more.

    Raises:
        MissingAbility: the model does not encode and decode.
        MienError: the model has another number of latent dimensions, or a range is empty.
    """
    require(model, Encodes, Decodes)
    size = latent_size(model)
    if size != 2:
        raise MienError(f"expected a model of 2 latent dimensions, got {size}: use t-SNE, which maps any number")
    if steps < 2:
        raise MienError(f"expected 2 steps or more along an axis, got {steps}")
    for name, (low, high) in (("z1", z1), ("z2", z2)):
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise MienError(f"expected a range of {name} from low to high, got {low:g} to {high:g}")
    across, up = torch.linspace(*z1, steps), torch.linspace(*z2, steps).flip(0)
    lattice = torch.stack([across.expand(steps, steps), up[:, None].expand(steps, steps)], -1).reshape(-1, 2)
    x = map_batches(lambda part: model.decode(part).cpu(), lattice.to(device_of(model)))
    return x.reshape(steps, steps, *x.shape[1:])


def _points(values: ArrayLike, what: str, least: int, most: int | None = None) -> NDArray[np.float64]:
    """Return ``values`` as finite points (n, d), n ≥ 1, least ≤ d ≤ most."""
    points = np.asarray(values, dtype=np.float64)
    if points.ndim != 2 or not len(points) or points.shape[1] < least or (most and points.shape[1] > most):
        shape = f"(n, {most})" if most else f"(n, K) with K of {least} or more"
        raise MienError(f"expected {what} {shape}, got {points.shape}")
    if not np.isfinite(points).all():
        raise MienError(f"expected finite {what}, got {np.count_nonzero(~np.isfinite(points))} values that are not")
    return points
