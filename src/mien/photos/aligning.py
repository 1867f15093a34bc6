"""Between a photo and the small aligned pictures of a model: a similarity transform there and back.

Coordinates are continuous pixels: the center of the first pixel is (0.5, 0.5). A matrix (2, 3) maps (x, y, 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from mien.data.pictures import resize, to_float
from mien.photos.finding import Face, Photo
from mien.photos.template import Template

Matrix = NDArray[np.float64]

MOST_PIXELS = 1024  # side of the intermediate picture; larger faces are reduced first
BORDER = 4  # pixels around the part of the photo, for the filters


@dataclass(frozen=True)
class Aligned:
    """A face of a photo as the model sees it.

    Args:
        x: (1, 3, S, S) in [-1, 1].
        matrix: (2, 3) from pixels of ``x`` to pixels of the photo.
        face: the face.
        outside: share of the pixels of ``x`` that lie outside the photo; they repeat the photo by reflection.
    """

    x: Tensor
    matrix: Matrix
    face: Face
    outside: float

    @property
    def scale(self) -> float:
        """Pixels of the photo for one pixel of ``x``."""
        return float(np.sqrt(abs(np.linalg.det(self.matrix[:, :2]))))


def similarity(source: NDArray[np.float64], target: NDArray[np.float64]) -> Matrix:
    """Return the similarity transform (2, 3) from points (n, 2) to points (n, 2) with the least squared error.

    Rotation, one scale and translation, without reflection (Umeyama, "Least-squares estimation of transformation
    parameters between two point patterns", PAMI 1991).

    >>> similarity(np.array([[0.0, 0], [1, 0], [0, 1]]), np.array([[5.0, 5], [5, 7], [3, 5]])).round(3) + 0.0
    array([[ 0., -2.,  5.],
           [ 2.,  0.,  5.]])
    """
    mean_source, mean_target = source.mean(0), target.mean(0)
    a, b = source - mean_source, target - mean_target
    u, s, vt = np.linalg.svd(b.T @ a / len(source))
    sign = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])  # no reflection
    rotation = u @ np.diag(sign) @ vt
    scale = (s * sign).sum() / a.var(0).sum()
    linear = scale * rotation
    return np.column_stack([linear, mean_target - linear @ mean_source])


def inverse(matrix: Matrix) -> Matrix:
    """Return the inverse of a transform (2, 3)."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])


def apply(matrix: Matrix, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return points (n, 2) after a transform (2, 3)."""
    result: NDArray[np.float64] = points @ matrix[:, :2].T + matrix[:, 2]
    return result


def align(photo: Photo, face: Face, template: Template) -> Aligned:
    """Return the face of a photo at the place, size and rotation of the template.

    Pixels outside the photo are a reflection of it, because black corners look like hair to a model.

    Args:
        photo: (H, W, 3).
        face: a face in it.
        template: of the model.
    """
    size = template.size
    matrix = similarity(template.points, face.five)
    corners = apply(matrix, np.array([[0, 0], [size, 0], [size, size], [0, size]], float))
    part, corner = region(photo, corners)
    scale = float(np.sqrt(np.linalg.det(matrix[:, :2])))
    factor = int(scale * size // MOST_PIXELS)
    picture = Image.fromarray(part)
    if factor > 1:
        picture = picture.reduce(factor)
    factor = max(factor, 1)
    # first at the resolution of the photo, then reduced with a filter: an affine transform alone would alias
    fine = size * max(1, int(np.ceil(scale / factor)))
    to_part = np.column_stack([matrix[:, :2] * size / fine, matrix[:, 2] - corner]) / factor
    picture = picture.transform((fine, fine), Image.Transform.AFFINE, tuple(to_part.ravel()), Image.Resampling.BICUBIC)
    x = torch.from_numpy(to_float(resize(picture, size)))[None]
    return Aligned(x, matrix, face, _outside(photo, matrix, size))


def region(photo: Photo, corners: NDArray[np.float64]) -> tuple[Photo, NDArray[np.float64]]:
    """Return the part of a photo around points (n, 2), continued by reflection, and its (left, top) in the photo.

    The points of a face lie in the photo in part, so the part is not empty.
    """
    height, width = photo.shape[:2]
    left, top = np.floor(corners.min(0)).astype(int) - BORDER
    right, bottom = np.ceil(corners.max(0)).astype(int) + BORDER
    inside = photo[max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
    pad = ((max(-top, 0), max(bottom - height, 0)), (max(-left, 0), max(right - width, 0)), (0, 0))
    return np.pad(inside, pad, mode="symmetric"), np.array([left, top], float)


def _outside(photo: Photo, matrix: Matrix, size: int) -> float:
    centers = np.stack(np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5), -1).reshape(-1, 2)
    x, y = apply(matrix, centers).T
    height, width = photo.shape[:2]
    return float(((x < 0) | (y < 0) | (x > width) | (y > height)).mean())
