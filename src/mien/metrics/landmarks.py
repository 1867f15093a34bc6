"""Errors of landmarks on faces with glasses, and on the same faces with the glasses removed (Residual GAN §6.4).

The paper's Table 2 runs dlib's regression trees (ERT, trained on 300-W) on held-out CelebA faces without glasses (D0),
with glasses (D1), and with the glasses removed by the model (D1m). It gives the mean normalized distance from the
ground truth, separately for the eyes and for the rest. The paper does not name the ground truth. Its "rest landmarks"
are "the nose and the left and right corners of the mouth": together with the eyes, these are the five points that
CelebA annotates. The paper does not name the unit of the distances either. This module divides by the distance between
the centers of the eyes.

There are two protocols with different names:

- ``celeba5_error`` is Table 2 with the ground truth of `list_landmarks_align_celeba.txt`, if the data folder has that
  file. The point of an eye is the mean of its six landmarks, the point of the nose is its tip. There are two departures
  from the paper: the 300-W model is dlib's own, and faces that are not detected are counted and ignored.
- ``landmark_stability`` needs no ground truth. It moves the picture by a known amount (a margin on one side or on all
  sides, a mirror image, a JPEG), maps the landmarks back and measures their distance from the landmarks of the original
  picture; the error is the mean over seven such views. It measures the precision of landmarks, not their accuracy: a
  constant error does not count. Its numbers cannot be compared with the paper's. The eyes have twelve points; the rest
  has eleven, nine of the nose and the two corners of the mouth.

In addition, ``landmark_shift`` measures how far an edit moves the landmarks: the rest of the face should not move.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from mien.data.pictures import from_float, to_float
from mien.errors import MienError
from mien.metrics.faces import POINTS, Place, Progress

Points = NDArray[np.float64]

EYE_LEFT, EYE_RIGHT = list(range(36, 42)), list(range(42, 48))  # left and right in the picture, as in CelebA's file
NOSE_TIP, CORNERS = 30, [48, 54]
EYES, REST = EYE_LEFT + EYE_RIGHT, [*range(27, 36), *CORNERS]
# for each of the 68 points, the number of its mirror image
MIRRORED = [
    *range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1),
    45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
    *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), *range(67, 64, -1),
]  # fmt: skip
PART = 16  # pictures of one batch

FILE = "list_landmarks_align_celeba.txt"
COLUMNS = tuple(
    f"{point}_{axis}" for point in ("lefteye", "righteye", "nose", "leftmouth", "rightmouth") for axis in "xy"
)
WIDTH, HEIGHT = 178, 218  # pixels of the pictures that the file's coordinates refer to


@dataclass(frozen=True)
class LandmarkErrors:
    """Mean distances of n faces, in units of the distance between the eyes; NaN where no face was detected.

    Args:
        eyes, rest: (n,) each.
        lost: share of the moved views of detected faces in which no face was detected.
    """

    eyes: NDArray[np.float64]
    rest: NDArray[np.float64]
    lost: float = 0.0

    def summary(self) -> dict[str, Any]:
        """Return plain numbers; ``pictures`` counts all pictures, ``n`` those with a detected face."""
        valid = ~(np.isnan(self.eyes) | np.isnan(self.rest))
        n = int(valid.sum())
        return {
            "pictures": len(valid),
            "n": n,
            "found": n / len(valid) if len(valid) else None,
            "lost": self.lost,
            **{
                name: {
                    "mean": float(values[valid].mean()) if n else None,
                    "median": float(np.median(values[valid])) if n else None,
                    "sd": float(values[valid].std(ddof=1)) if n > 1 else None,
                    "sem": float(values[valid].std(ddof=1) / n**0.5) if n > 1 else None,
                }
                for name, values in (("eyes", self.eyes), ("rest", self.rest))
            },
        }


def inter_ocular(points: Points) -> NDArray[np.float64]:
    """Return the distance between the centers of the eyes (B,) in landmarks (B, 68, 2), in the same unit."""
    distance: NDArray[np.float64] = np.linalg.norm(points[:, EYE_LEFT].mean(1) - points[:, EYE_RIGHT].mean(1), axis=-1)
    return distance


def five(points: Points) -> Points:
    """Return CelebA's five points (B, 5, 2) from landmarks (B, 68, 2): eyes, tip of the nose, corners of the mouth."""
    eyes = [points[:, EYE_LEFT].mean(1), points[:, EYE_RIGHT].mean(1)]
    return np.stack([*eyes, points[:, NOSE_TIP], *(points[:, i] for i in CORNERS)], 1)


def celeba5_error(points: Points, truth: Points) -> LandmarkErrors:
    """Return the distances of landmarks from CelebA's five points, separately for the eyes and the rest (Table 2).

    Args:
        points: landmarks (B, 68, 2), NaN where no face was detected.
        truth: (B, 5, 2) in pixels of the same pictures, a result of :func:`read_five`.

    Raises:
        MienError: arrays of other shapes.
    """
    if points.shape[1:] != (POINTS, 2) or truth.shape != (len(points), 5, 2):
        raise MienError(f"expected landmarks (B, {POINTS}, 2) and (B, 5, 2), got {points.shape} and {truth.shape}")
    scale = np.linalg.norm(truth[:, 0] - truth[:, 1], axis=-1)
    distance = np.linalg.norm(five(points) - truth, axis=-1) / scale[:, None]  # (B, 5)
    return LandmarkErrors(distance[:, :2].mean(1), distance[:, 2:].mean(1))


def landmark_shift(before: Points, after: Points) -> LandmarkErrors:
    """Return the distances between landmarks (B, 68, 2) before and after an edit, separately for eyes and the rest."""
    if before.shape != after.shape or before.shape[1:] != (POINTS, 2):
        raise MienError(f"expected landmarks (B, {POINTS}, 2) twice, got {before.shape} and {after.shape}")
    distance = np.linalg.norm(after - before, axis=-1) / inter_ocular(before)[:, None]  # (B, 68)
    return LandmarkErrors(distance[:, EYES].mean(1), distance[:, REST].mean(1))


@dataclass(frozen=True)
class View:
    """A known change of pictures, and its inverse for landmarks.

    Args:
        make: function from pictures (B, C, H, W) to changed pictures, which may be larger.
        back: function from landmarks (B, 68, 2) in the changed pictures, and the width W of the original pictures, to
            landmarks in the original pictures.
    """

    make: Callable[[Tensor], Tensor]
    back: Callable[[Points, int], Points]


def margin(left: float = 0, top: float = 0, right: float = 0, bottom: float = 0) -> View:
    """Return a view with margins that repeat the border, in shares of the width: the face is shifted or smaller."""

    def make(x: Tensor) -> Tensor:
        pixels = [round(share * x.shape[-1]) for share in (left, right, top, bottom)]
        return torch.nn.functional.pad(x, pixels, mode="replicate")

    def back(points: Points, width: int) -> Points:
        return points - (round(left * width), round(top * width))

    return View(make, back)


def _mirror_back(points: Points, width: int) -> Points:
    result = points[:, MIRRORED].copy()
    result[..., 0] = width - 1 - result[..., 0]
    return result


def jpeg(x: Tensor, quality: int = 75) -> Tensor:
    """Return pictures (B, C, H, W) in [-1, 1] after JPEG compression without subsampling of the colors."""
    rows = []
    for picture in from_float(x.detach().cpu().numpy()):
        file = io.BytesIO()
        Image.fromarray(picture.squeeze(-1) if picture.shape[-1] == 1 else picture).save(
            file, "JPEG", quality=quality, subsampling=0
        )
        rows.append(to_float(np.asarray(Image.open(file)).reshape(picture.shape)))
    return torch.from_numpy(np.stack(rows))


VIEWS: dict[str, View] = {
    "right": margin(left=1 / 16),
    "left": margin(right=1 / 16),
    "down": margin(top=1 / 16),
    "up": margin(bottom=1 / 16),
    "smaller": margin(1 / 16, 1 / 16, 1 / 16, 1 / 16),
    "mirror": View(lambda x: x.flip(-1), _mirror_back),
    "jpeg75": View(jpeg, lambda points, width: points),
}


def landmark_stability(
    place: Place, x: Tensor, views: Mapping[str, View] = VIEWS, progress: Progress = None
) -> LandmarkErrors:
    """Return the distances of landmarks in ``x`` (B, C, H, W) from landmarks in moved views of ``x``, mapped back.

    Args:
        place: function from pictures to landmarks (B, 68, 2), NaN where no face is detected, such as
            ``Faces().landmarks``.
        views: the moved views; the error of a face is the mean over the views in which it was detected.
        progress: called with (done, total).
    """
    eyes: list[NDArray[np.float64]] = []
    rest: list[NDArray[np.float64]] = []
    total = lost = done = 0
    for part in torch.split(x, PART):
        plain = place(part)
        moved = [landmark_shift(plain, view.back(place(view.make(part)), part.shape[-1])) for view in views.values()]
        detected = ~np.isnan(plain).any((1, 2))
        eyes.append(_nanmean(np.stack([one.eyes for one in moved])))
        rest.append(_nanmean(np.stack([one.rest for one in moved])))
        total += int(detected.sum()) * len(views)
        lost += int(sum(np.isnan(one.eyes[detected]).sum() for one in moved))
        done += len(part)
        if progress:
            progress(done, len(x))
    if not eyes:
        return LandmarkErrors(np.zeros(0), np.zeros(0))
    return LandmarkErrors(np.concatenate(eyes), np.concatenate(rest), lost / total if total else 0.0)


def _nanmean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the means (n,) of values (V, n), NaN ignored; NaN for a column of NaN only. Unlike numpy's, no warning."""
    valid = ~np.isnan(values)
    count = valid.sum(0)
    return np.where(count > 0, np.where(valid, values, 0).sum(0) / np.maximum(count, 1), np.nan)


def landmark_table(
    measure: Callable[[Tensor, NDArray[np.int64]], LandmarkErrors],
    x: Tensor,
    has: Sequence[float] | NDArray[Any],
    edited: Mapping[str, Tensor] | None = None,
) -> dict[str, LandmarkErrors]:
    """Measure the sets of Table 2: D0 without an attribute (glasses), D1 with it, and edits of D1.

    A decoder smooths a face, and this alone makes landmarks more stable. Compare the edit D1m also with the
    reconstruction of D1 by the same model.

    Args:
        measure: function from pictures and their positions in ``x`` to errors.
        x: pictures (B, C, H, W).
        has: (B,) values: +1 with the attribute, -1 without it, 0 unknown (ignored).
        edited: by name, such as D1m, the edits (B, C, H, W) of all pictures of ``x``; only those of D1 are measured.

    Raises:
        MienError: arrays of other shapes.
    """
    values, edited = np.asarray(has), edited or {}
    if values.shape != (len(x),) or any(y.shape != x.shape for y in edited.values()):
        got = " and ".join(str(tuple(y.shape)) for y in edited.values()) or "no edits"
        raise MienError(f"expected a value and an edit for each of {len(x)} pictures, got {values.shape} and {got}")
    sets = {"D0": (x, values < 0), "D1": (x, values > 0), **{name: (y, values > 0) for name, y in edited.items()}}
    rows = {name: np.flatnonzero(mask) for name, (_, mask) in sets.items()}
    return {name: measure(pictures[rows[name]], rows[name]) for name, (pictures, _) in sets.items() if len(rows[name])}


def find_five(root: str | os.PathLike[str]) -> Path | None:
    """Return the path of CelebA's file of five points in the folder ``root`` of the data set; None without the file."""
    return next((path for folder in ("", "Anno") if (path := Path(root) / folder / FILE).is_file()), None)


def read_five(path: str | os.PathLike[str], keys: Sequence[str], size: int, crop: int = WIDTH) -> Points:
    """Return the five points of CelebA's pictures, in pixels of the cropped and scaled pictures.

    Args:
        path: `list_landmarks_align_celeba.txt`: a count, the names of ten columns, rows of a file name and ten
            numbers, in pixels of 178x218.
        keys: file names of n pictures.
        size: side of the scaled pictures in pixels.
        crop: side of the centered square that was cut out, in pixels of 178x218: the option ``crop`` of the data set.

    Returns:
        (n, 5, 2) of (x, y): eyes, nose, corners of the mouth; of two, the left one in the picture is first. The center
        of the first pixel is (0, 0). NaN for pictures that are not in the file.

    Raises:
        MienError: a crop out of range, or a file of another format.
    """
    if not 0 < crop <= WIDTH:
        raise MienError(f"expected a crop of 1 to {WIDTH} pixels, got {crop}: pass the crop of the data set")
    path, rows = Path(path), {key: i for i, key in enumerate(keys)}
    points = np.full((len(keys), len(COLUMNS)), np.nan)
    with path.open(encoding="utf-8-sig") as file:
        claimed, columns = file.readline().strip(), tuple(file.readline().split())
        if not claimed.isdigit() or columns != COLUMNS:
            got = f"{claimed[:20]} and {' '.join(columns)[:40]}"
            raise MienError(f"{path.name}: expected a count in line 1 and {COLUMNS[0]} … in line 2, got {got}")
        for number, line in enumerate(file, 3):
            parts = line.split()
            if not parts or parts[0] not in rows:
                continue
            try:
                # reshape, because numpy would broadcast a single number to all ten
                points[rows[parts[0]]] = np.array([float(part) for part in parts[1:]]).reshape(len(COLUMNS))
            except ValueError:
                raise MienError(
                    f"{path.name}, line {number}: expected a file name and {len(COLUMNS)} numbers, "
                    f"got '{line.strip()[:60]}'"
                ) from None
    corner = ((WIDTH - crop) / 2, (HEIGHT - crop) / 2)
    return (points.reshape(-1, 5, 2) + 0.5 - corner) * (size / crop) - 0.5
