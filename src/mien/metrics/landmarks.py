"""How well landmarks can be placed on faces with glasses, and with the glasses removed (Residual GAN §6.4, Table 2).

The paper runs dlib's regression trees (ERT, trained on 300-W) on held-out CelebA faces without glasses (D0), with
them (D1), and with them removed by the model (D1m), and prints the mean normalized distance from the ground truth,
eyes and the rest apart. Its ground truth: it names none, but its "rest landmarks" are "the nose and the left and
right corners of the mouth", which with the eyes are CelebA's five annotated points. It does not say what distances
are divided by either; here it is the distance between the centers of the eyes.

Two protocols, which never share a name:

- ``celeba5_error``, Table 2 as far as it can be read: against the five points of `list_landmarks_align_celeba.txt`,
  where that file lies with the data. Of the 68 points, an eye is the mean of its six, the nose is its tip.
  Departures: dlib's own 300-W model instead of one trained anew; faces not found are counted and left out.
- ``landmark_stability``, for data without that file: how far landmarks move when the picture is moved by a known
  amount (a margin at one side or at all, a mirror, a JPEG), mapped back; the mean over seven such views. No ground
  truth enters, so it sees how *surely* landmarks are placed, not how rightly: a predictor that is steadily wrong
  scores well, and its numbers do not compare with the paper's. Eyes are their twelve points, the rest the nine of
  the nose and the corners of the mouth.

Beside both, ``landmark_shift`` says how far an edit moved the landmarks: the rest of a face should stay.
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

EYE_LEFT, EYE_RIGHT = list(range(36, 42)), list(range(42, 48))  # left and right in the picture, as CelebA has them
NOSE_TIP, CORNERS = 30, [48, 54]
EYES, REST = EYE_LEFT + EYE_RIGHT, [*range(27, 36), *CORNERS]
# the point that each of the 68 becomes in the mirror
MIRRORED = [
    *range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1),
    45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
    *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), *range(67, 64, -1),
]  # fmt: skip
PART = 16  # pictures at a time

FILE = "list_landmarks_align_celeba.txt"
COLUMNS = tuple(
    f"{point}_{axis}" for point in ("lefteye", "righteye", "nose", "leftmouth", "rightmouth") for axis in "xy"
)
WIDTH, HEIGHT = 178, 218  # the frame of the file's coordinates, whatever size the pictures were scaled to since


@dataclass(frozen=True)
class LandmarkErrors:
    """Mean distances of n faces, in units of the distance between the eyes; NaN where no face was found.

    Args:
        eyes, rest: (n,) each.
        lost: share of further looks at found faces (the moved views) in which they were not found.
    """

    eyes: NDArray[np.float64]
    rest: NDArray[np.float64]
    lost: float = 0.0

    def summary(self) -> dict[str, Any]:
        """Return plain numbers; ``pictures`` counts all, ``n`` those measured."""
        known = ~(np.isnan(self.eyes) | np.isnan(self.rest))
        n = int(known.sum())
        return {
            "pictures": len(known),
            "n": n,
            "found": n / len(known) if len(known) else None,
            "lost": self.lost,
            **{
                name: {
                    "mean": float(values[known].mean()) if n else None,
                    "median": float(np.median(values[known])) if n else None,
                    "sd": float(values[known].std(ddof=1)) if n > 1 else None,
                    "sem": float(values[known].std(ddof=1) / n**0.5) if n > 1 else None,
                }
                for name, values in (("eyes", self.eyes), ("rest", self.rest))
            },
        }


def inter_ocular(points: Points) -> NDArray[np.float64]:
    """Return the distance between the centers of the eyes (B,) of landmarks (B, 68, 2), in their pixels."""
    distance: NDArray[np.float64] = np.linalg.norm(points[:, EYE_LEFT].mean(1) - points[:, EYE_RIGHT].mean(1), axis=-1)
    return distance


def five(points: Points) -> Points:
    """Return CelebA's five points (B, 5, 2) of 68 (B, 68, 2): eyes, tip of the nose, corners of the mouth."""
    eyes = [points[:, EYE_LEFT].mean(1), points[:, EYE_RIGHT].mean(1)]
    return np.stack([*eyes, points[:, NOSE_TIP], *(points[:, i] for i in CORNERS)], 1)


def celeba5_error(points: Points, truth: Points) -> LandmarkErrors:
    """Return how far landmarks are from CelebA's five points, eyes and the rest apart (Table 2).

    Args:
        points: placed (B, 68, 2), NaN where no face was found.
        truth: (B, 5, 2) in the same pixels, as :func:`read_five` gives them.
    """
    if points.shape[1:] != (POINTS, 2) or truth.shape != (len(points), 5, 2):
        raise MienError(f"expected landmarks (B, {POINTS}, 2) and (B, 5, 2), got {points.shape} and {truth.shape}")
    scale = np.linalg.norm(truth[:, 0] - truth[:, 1], axis=-1)
    off = np.linalg.norm(five(points) - truth, axis=-1) / scale[:, None]  # (B, 5)
    return LandmarkErrors(off[:, :2].mean(1), off[:, 2:].mean(1))


def landmark_shift(before: Points, after: Points) -> LandmarkErrors:
    """Return how far landmarks (B, 68, 2) of pictures are from those of their edits, eyes and the rest apart."""
    if before.shape != after.shape or before.shape[1:] != (POINTS, 2):
        raise MienError(f"expected landmarks (B, {POINTS}, 2) twice, got {before.shape} and {after.shape}")
    off = np.linalg.norm(after - before, axis=-1) / inter_ocular(before)[:, None]  # (B, 68)
    return LandmarkErrors(off[:, EYES].mean(1), off[:, REST].mean(1))


@dataclass(frozen=True)
class View:
    """A picture moved in a known way.

    Args:
        make: pictures (B, C, H, W) to pictures, which may be larger.
        back: landmarks (B, 68, 2) in those, and the width W, to landmarks in the pictures before.
    """

    make: Callable[[Tensor], Tensor]
    back: Callable[[Points, int], Points]


def margin(left: float = 0, top: float = 0, right: float = 0, bottom: float = 0) -> View:
    """Return a view with margins, in shares of the width, that repeat the border: the face shifts or gets smaller."""

    def made(x: Tensor) -> Tensor:
        pixels = [round(share * x.shape[-1]) for share in (left, right, top, bottom)]
        return torch.nn.functional.pad(x, pixels, mode="replicate")

    def back(points: Points, width: int) -> Points:
        return points - (round(left * width), round(top * width))

    return View(made, back)


def _unmirrored(points: Points, width: int) -> Points:
    turned = points[:, MIRRORED].copy()
    turned[..., 0] = width - 1 - turned[..., 0]
    return turned


def jpeg(x: Tensor, quality: int = 75) -> Tensor:
    """Return pictures (B, C, H, W) in [-1, 1] as JPEG of a quality gives them back, colors at full resolution."""
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
    "mirror": View(lambda x: x.flip(-1), _unmirrored),
    "jpeg75": View(jpeg, lambda points, width: points),
}


def landmark_stability(
    place: Place, x: Tensor, views: Mapping[str, View] = VIEWS, progress: Progress = None
) -> LandmarkErrors:
    """Return how far landmarks move when pictures ``x`` (B, C, H, W) are moved in known ways, mapped back.

    Args:
        place: pictures to landmarks (B, 68, 2), NaN where no face is found, such as ``Faces().landmarks``.
        views: the moves; a face's error is the mean over those in which it was found, relative to the landmarks
            of the picture as it is.
    """
    eyes: list[NDArray[np.float64]] = []
    rest: list[NDArray[np.float64]] = []
    looks = lost = done = 0
    for part in torch.split(x, PART):
        plain = place(part)
        moved = [landmark_shift(plain, view.back(place(view.make(part)), part.shape[-1])) for view in views.values()]
        found = ~np.isnan(plain).any((1, 2))
        eyes.append(_mean_of_known(np.stack([one.eyes for one in moved])))
        rest.append(_mean_of_known(np.stack([one.rest for one in moved])))
        looks += int(found.sum()) * len(views)
        lost += int(sum(np.isnan(one.eyes[found]).sum() for one in moved))
        done += len(part)
        if progress:
            progress(done, len(x))
    if not eyes:
        return LandmarkErrors(np.zeros(0), np.zeros(0))
    return LandmarkErrors(np.concatenate(eyes), np.concatenate(rest), lost / looks if looks else 0.0)


def _mean_of_known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the means (n,) of values (V, n) that are not NaN; NaN where all are."""
    known = ~np.isnan(values)
    count = known.sum(0)
    return np.where(count > 0, np.where(known, values, 0).sum(0) / np.maximum(count, 1), np.nan)


def landmark_table(
    measure: Callable[[Tensor, NDArray[np.int64]], LandmarkErrors],
    x: Tensor,
    has: Sequence[float] | NDArray[Any],
    edited: Mapping[str, Tensor] | None = None,
) -> dict[str, LandmarkErrors]:
    """Measure the sets of Table 2: D0 without an attribute (glasses), D1 with it, and what was made of D1.

    A model that decodes smooths a face, which alone steadies landmarks: beside D1m, the edit, belongs what the same
    model makes of D1 without an edit.

    Args:
        measure: (pictures, their positions in ``x``) to errors.
        x: pictures (B, C, H, W).
        has: (B,) of +1 with the attribute, -1 without, 0 not known (left out).
        edited: by name, such as D1m, all of ``x`` changed (B, C, H, W); only those of D1 are looked at.
    """
    values, edited = np.asarray(has), edited or {}
    if values.shape != (len(x),) or any(y.shape != x.shape for y in edited.values()):
        got = " and ".join(str(tuple(y.shape)) for y in edited.values()) or "no edits"
        raise MienError(f"expected a value and an edit for each of {len(x)} pictures, got {values.shape} and {got}")
    sets = {"D0": (x, values < 0), "D1": (x, values > 0), **{name: (y, values > 0) for name, y in edited.items()}}
    rows = {name: np.flatnonzero(chosen) for name, (_, chosen) in sets.items()}
    return {name: measure(pictures[rows[name]], rows[name]) for name, (pictures, _) in sets.items() if len(rows[name])}


def find_five(root: str | os.PathLike[str]) -> Path | None:
    """Return where CelebA's file of five points lies in its folder, or None."""
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
        (n, 5, 2) of (x, y), the center of the first pixel (0, 0): eyes, nose, corners of the mouth, left in the
        picture first; NaN for pictures that are not in the file.

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
                # a single number would be taken for all ten
                points[rows[parts[0]]] = np.array([float(part) for part in parts[1:]]).reshape(len(COLUMNS))
            except ValueError:
                raise MienError(
                    f"{path.name}, line {number}: expected a file name and {len(COLUMNS)} numbers, "
                    f"got '{line.strip()[:60]}'"
                ) from None
    corner = ((WIDTH - crop) / 2, (HEIGHT - crop) / 2)
    return (points.reshape(-1, 5, 2) + 0.5 - corner) * (size / crop) - 0.5
