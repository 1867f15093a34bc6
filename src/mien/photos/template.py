"""The place of a face in the pictures that a model was trained on.

Coordinates are continuous pixels: the center of the first pixel is (0.5, 0.5).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import MienError

Points = NDArray[np.float64]

CELEBA_SIZE = 178, 218  # width and height of CelebA's aligned pictures
CELEBA_CROP = 178  # the data set's default
CELEBA_FIVE = ((69.84, 113.15), (108.26, 113.23), (88.65, 135.88), (71.70, 153.18), (106.52, 153.14))
"""Eyes, tip of the nose, corners of the mouth: the means of dlib's landmarks on 393 aligned CelebA faces of 178x218.

The 393 faces are those of 400 drawn pictures (seed 0) in which dlib detects one face. CelebA's own five points, the
means of 330 rows of list_landmarks_align_celeba.txt, are (69.8, 111.7), (108.2, 111.7), (88.2, 135.9), (71.8, 152.5)
and (106.2, 152.7): dlib's eyes are 1.5 pixels lower, because they are the means of the lids. Faces are aligned with
dlib's points, so the template has dlib's points too.
"""


@dataclass(frozen=True)
class Template:
    """Five points of a face in a square picture of side 1, and the number of pixels of the model's pictures.

    Args:
        five: (5, 2) of (x, y), both in [0, 1]: eyes, tip of the nose, corners of the mouth; of two, the left one in
            the picture is first.
        size: side of the model's pictures in pixels.
    """

    five: Points
    size: int

    @property
    def points(self) -> Points:
        """The five points (5, 2) in pixels of the model's pictures."""
        return self.five * self.size


def template_of(data: Mapping[str, Any], shape: tuple[int, ...]) -> Template | None:
    """Return the template of a model's pictures; None for a model of other pictures than aligned faces.

    Args:
        data: the part ``data`` of the run's config.json: name and options of the data set.
        shape: (C, H, W) of the model.

    >>> template_of({"name": "celeba", "options": {"crop": 178}}, (3, 64, 64)).points.round(1).tolist()[0]
    [25.1, 33.5]
    >>> template_of({"name": "mnist"}, (1, 28, 28))
    """
    if data.get("name") != "celeba" or shape[1] != shape[2]:
        return None
    crop = data.get("options", {}).get("crop", CELEBA_CROP)
    return celeba(shape[1], crop)


def celeba(size: int, crop: int = CELEBA_CROP) -> Template:
    """Return the template of CelebA's pictures.

    Args:
        size: side of the model's pictures in pixels.
        crop: side of the centered square that was cut out, in pixels of 178x218: the data set's option.

    Raises:
        MienError: a crop out of range.
    """
    if not 0 < crop <= CELEBA_CROP:
        raise MienError(f"expected a crop of 1 to {CELEBA_CROP} pixels, got {crop}: pass the crop of the data set")
    width, height = CELEBA_SIZE
    corner = np.array([(width - crop) / 2, (height - crop) / 2])
    return Template((np.array(CELEBA_FIVE) - corner) / crop, size)
