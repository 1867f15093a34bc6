"""Faces in photos: where they are, with five points and an outline each.

A finder is a function from a photo to faces, so another detector can take the place of dlib's:
``Finder = Callable[[photo], list[Face]]``.

dlib's HOG detector sees frontal faces of about 80 pixels or more that are tilted by less than about 25 degrees. Photos
are therefore searched at several sizes and, if no face was found, turned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.metrics.faces import POINTS, import_dlib, landmark_predictor
from mien.metrics.landmarks import five as five_of

Photo = NDArray[np.uint8]
"""(H, W, 3), sRGB."""

SIDES = (640, 1280)  # pixels of the longer side at which every photo is searched
LARGE_SIDE = 2560  # the same for photos in which no face was found
LARGEST_ENLARGEMENT = 4.0
ANGLES = (90, -90, 180, 30, -30, 60, -60)  # degrees, for photos in which no upright face was found
SCORE, TURNED_SCORE = 0.1, 0.3  # smallest scores of dlib's detector; a turned photo has many chances for a mistake
OVERLAP = 0.3  # boxes with a larger intersection over union are one face


@dataclass(frozen=True)
class Face:
    """A face in a photo; coordinates are continuous pixels, and the center of the first pixel is (0.5, 0.5).

    Args:
        box: (left, top, right, bottom).
        five: (5, 2): eyes, tip of the nose, corners of the mouth; of two, the one on the left of an upright face first.
        outline: (n, 2), a polygon around the face without the hair; None if the finder does not return one.
        score: certainty of the finder; the larger, the surer.
    """

    box: tuple[float, float, float, float]
    five: NDArray[np.float64]
    outline: NDArray[np.float64] | None = None
    score: float = 0.0

    @property
    def eyes(self) -> float:
        """Distance between the eyes in pixels."""
        return float(np.linalg.norm(self.five[1] - self.five[0]))

    @property
    def angle(self) -> float:
        """Rotation of the face in degrees, clockwise in the photo; 0 is upright."""
        x, y = self.five[1] - self.five[0]
        return float(np.degrees(np.arctan2(y, x)))


Finder = Callable[[Photo], list[Face]]


class DlibFinder:
    """Finds faces with dlib's detector and its 68 landmarks.

    Raises:
        MienError: dlib or its landmark model is missing; the message says what to install. Raised on the first call.
    """

    @cached_property
    def _detector(self) -> Any:
        return import_dlib().get_frontal_face_detector()

    @cached_property
    def _predictor(self) -> Any:
        return landmark_predictor()

    def __call__(self, photo: Photo) -> list[Face]:
        """Return the faces in a photo (H, W, 3), the largest one first."""
        candidates = list(self._search(photo, SIDES))
        if not candidates:
            candidates = list(self._search(photo, (LARGE_SIDE,)))
        if not candidates:
            candidates = max((list(self._turned(photo, angle)) for angle in ANGLES), key=_certainty, default=[])
        return sorted(distinct(candidates), key=lambda face: -face.eyes)

    def _search(self, photo: Photo, sides: tuple[int, ...], lowest: float = SCORE) -> Iterator[Face]:
        """Yield a face for each box that the detector returns at any of the sizes."""
        height, width = photo.shape[:2]
        scales = {min(side / max(height, width), LARGEST_ENLARGEMENT) for side in sides}
        for scale in sorted(scales):
            size = max(1, round(width * scale)), max(1, round(height * scale))
            small = np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.BILINEAR, reducing_gap=2))
            factor = np.array([width / size[0], height / size[1]])
            boxes, scores, _ = self._detector.run(small, 0, lowest)
            for box, score in zip(boxes, scores, strict=True):
                shape = self._predictor(small, box)
                points = (np.array([(p.x, p.y) for p in shape.parts()], float) + 0.5) * factor
                edges = np.array([box.left(), box.top(), box.right() + 1, box.bottom() + 1]) * np.tile(factor, 2)
                yield _face(edges, self._refined(photo, points, edges), float(score))

    def _refined(self, photo: Photo, points: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return landmarks at the resolution of the photo, because dlib rounds them to whole pixels.

        A face of many pixels is reduced: at 400 pixels, rounding is below .3 % of the distance between the eyes.
        """
        side = float(edges[2] - edges[0])
        scale = 400 / side
        if not 0.1 < scale < 4:
            return points
        margin = 0.5 * side
        left, top = np.floor(edges[:2] - margin).astype(int)
        right, bottom = np.ceil(edges[2:] + margin).astype(int)
        height, width = photo.shape[:2]
        left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
        part = Image.fromarray(photo[top:bottom, left:right])
        size = max(1, round(part.width * scale)), max(1, round(part.height * scale))
        picture = np.asarray(part.resize(size, Image.Resampling.BILINEAR, reducing_gap=2))
        factor = np.array([size[0] / part.width, size[1] / part.height])
        corner = np.array([left, top])
        box = (edges - np.tile(corner, 2)) * np.tile(factor, 2)
        dlib = import_dlib()
        rectangle = dlib.rectangle(round(box[0]), round(box[1]), round(box[2]) - 1, round(box[3]) - 1)
        shape = self._predictor(picture, rectangle)
        result: NDArray[np.float64] = (np.array([(p.x, p.y) for p in shape.parts()], float) + 0.5) / factor + corner
        return result

    def _turned(self, photo: Photo, angle: int) -> Iterator[Face]:
        """Yield the faces of the photo that is turned by ``angle`` degrees, in coordinates of the photo itself."""
        picture = Image.fromarray(photo)
        turned = picture.rotate(angle, Image.Resampling.BILINEAR, expand=True)
        turn = np.radians(angle)
        # Pillow turns counterclockwise; a point p of the turned picture is R (p - its center) + center of the photo
        back = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        center, own = np.array([turned.width, turned.height]) / 2, np.array([picture.width, picture.height]) / 2
        for face in self._search(np.asarray(turned), SIDES[:1], TURNED_SCORE):
            five = (face.five - center) @ back.T + own
            outline = None if face.outline is None else (face.outline - center) @ back.T + own
            corners = five if outline is None else outline
            low, high = corners.min(0), corners.max(0)
            yield Face((low[0], low[1], high[0], high[1]), five, outline, face.score)


def distinct(faces: list[Face]) -> list[Face]:
    """Return the faces without those that overlap a face of a higher score."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if all(_overlap(face.box, other.box) < OVERLAP for other in kept):
            kept.append(face)
    return kept


def _face(edges: NDArray[np.float64], points: NDArray[np.float64], score: float) -> Face:
    assert points.shape == (POINTS, 2)
    left, top, right, bottom = map(float, edges)
    return Face((left, top, right, bottom), five_of(points[None])[0], outline_of(points), score)


def outline_of(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a polygon (n, 2) around a face from 68 landmarks: the jaw, and a forehead above the brows.

    The landmarks end at the brows. The forehead is an arc that reaches as far above the brows as the tip of the nose
    is below them.
    """
    jaw, brows = points[0:17], points[17:27]
    up = brows.mean(0) - points[33]  # from the base of the nose to the brows
    height = np.sin(np.linspace(0.3, np.pi - 0.3, len(brows)))[:, None]
    return np.concatenate([jaw, (brows + 0.9 * height * up)[::-1]])


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    """Return the intersection of two boxes over their union.

    >>> _overlap((0, 0, 2, 2), (1, 0, 3, 2))
    0.3333333333333333
    """
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inside = max(width, 0.0) * max(height, 0.0)
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return inside / (areas - inside)


def _certainty(faces: list[Face]) -> float:
    return max((face.score for face in faces), default=-np.inf)
