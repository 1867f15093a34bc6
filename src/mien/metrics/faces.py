"""Faces in pictures, by dlib: where they are, their 68 landmarks, and an embedding of whom they show.

Protocol, fixed for every number made with it: each picture as bytes, gray repeated; enlarged (Lanczos, never made
smaller) until its longer side has 256 pixels, where dlib's HOG detector of frontal faces looks, and 512, where the
landmarks are placed and the face is cut out (dlib rounds landmarks to whole pixels: at 512 an error of .004 of the
distance between the eyes of a CelebA face on average, at 256 twice that). Of several faces the large and central one
is taken. Landmarks are those of the regression trees (ERT, Kazemi & Sullivan 2014) that dlib trained on 300-W; the
embedding is its ResNet's, 128 numbers, without jitter (King 2017), for which it gives .6 as the distance up to which
two pictures show the same person.

Why 256, of 400 CelebA faces (seed 1) the share found with longer sides of 160, 192, 256 and 320 pixels:
89x109 as they lie .975 .978 .983 .973; 64x64 .970 .973 .978 .968; 32x32 .923 .925 .913 .918. dlib holds Python's
lock (a thread beside an embedding ran at 7 % of its speed), so more threads do not help. On one core an embedding takes
80 ms, finding a face 5 ms and placing its landmarks 1 ms.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from mien.data.pictures import from_float, resize
from mien.errors import MienError
from mien.files import sha256

FOUND_AT, PLACED_AT = 256, 512  # pixels of the longer side, at least
POINTS, NUMBERS = 68, 128

Place = Callable[[Tensor], NDArray[np.float64]]
"""Pictures (B, C, H, W) to landmarks (B, 68, 2), NaN where no face was found."""
Embed = Callable[[Tensor], NDArray[np.float64]]
"""Pictures (B, C, H, W) to embeddings (B, K), NaN where no face was found."""
Progress = Callable[[int, int], None] | None


@dataclass(frozen=True)
class ModelFile:
    """A model of dlib's: its name in ``face_recognition_models``, and the variable that may point elsewhere."""

    name: str
    variable: str

    def find(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Return where the model lies: ``path``, else where the variable says, else in the package.

        Raises:
            MienError: it lies nowhere.
        """
        given = path or os.environ.get(self.variable)
        if given:
            if not Path(given).is_file():
                raise MienError(f"expected {self.name}, got {given}, where no file is: give another path")
            return Path(given)
        # importing the package fails beside a setuptools without pkg_resources; its files need no import
        package = importlib.util.find_spec("face_recognition_models")
        for folder in package.submodule_search_locations or () if package else ():
            if (found := Path(folder) / "models" / self.name).is_file():
                return found
        raise MienError(
            f"expected {self.name}, got no face_recognition_models with it: pip install mien[faces], "
            f"or set {self.variable} to the file"
        )


LANDMARKS = ModelFile("shape_predictor_68_face_landmarks.dat", "MIEN_FACE_LANDMARKS")
EMBEDDING = ModelFile("dlib_face_recognition_resnet_model_v1.dat", "MIEN_FACE_EMBEDDING")


def import_dlib() -> Any:
    """Return dlib.

    Raises:
        MienError: it is not installed.
    """
    try:
        return importlib.import_module("dlib")
    except ImportError:
        raise MienError("expected dlib for faces, got no such package: pip install mien[faces]") from None


class Faces:
    """dlib's three models, each loaded on first use.

    Args:
        landmarks, embedding: model files; by default those of $MIEN_FACE_LANDMARKS and $MIEN_FACE_EMBEDDING, or of
            the package ``face_recognition_models``.

    Raises:
        MienError: dlib or a model is missing, when it is first needed; :meth:`protocol` needs all.
    """

    def __init__(
        self, landmarks: str | os.PathLike[str] | None = None, embedding: str | os.PathLike[str] | None = None
    ):
        self._given = {LANDMARKS: landmarks, EMBEDDING: embedding}

    @cached_property
    def _detector(self) -> Any:
        return import_dlib().get_frontal_face_detector()

    @cached_property
    def _predictor(self) -> Any:
        dlib = import_dlib()
        predictor = _loaded(dlib.shape_predictor, LANDMARKS.find(self._given[LANDMARKS]))
        points = predictor(np.zeros((64, 64, 3), np.uint8), dlib.rectangle(8, 8, 55, 55)).num_parts
        if points != POINTS:
            raise MienError(f"expected a model of {POINTS} landmarks, got one of {points}: give {LANDMARKS.name}")
        return predictor

    @cached_property
    def _network(self) -> Any:
        return _loaded(import_dlib().face_recognition_model_v1, EMBEDDING.find(self._given[EMBEDDING]))

    def landmarks(self, x: Tensor, progress: Progress = None) -> NDArray[np.float64]:
        """Return the landmarks of the face in each picture.

        Args:
            x: pictures (B, C, H, W) in [-1, 1], C 1 or 3.

        Returns:
            (B, 68, 2) of (x, y) in pixels of the given pictures, the center of the first pixel (0, 0); NaN where
            no face was found.
        """
        out = np.full((len(x), POINTS, 2), np.nan)
        for i, (_, shape, scale) in enumerate(self._placed(x, progress)):
            if shape is not None:
                points = np.array([(p.x, p.y) for p in shape.parts()], float)
                out[i] = (points + 0.5) / scale - 0.5
        return out

    def embeddings(self, x: Tensor, progress: Progress = None) -> NDArray[np.float64]:
        """Return the embedding of the face in each picture (B, C, H, W): (B, 128), NaN where none was found."""
        out = np.full((len(x), NUMBERS), np.nan)
        for i, (picture, shape, _) in enumerate(self._placed(x, progress)):
            if shape is not None:
                out[i] = np.array(self._network.compute_face_descriptor(picture, shape))
        return out

    def protocol(self) -> dict[str, Any]:
        """Return what a number made with these models must be kept with."""
        files = {"landmarks": LANDMARKS, "embedding": EMBEDDING}
        return {
            "detector": f"dlib {import_dlib().__version__} frontal HOG, longer side {FOUND_AT} or more",
            "placed_at": PLACED_AT,
            "resampling": "Lanczos",
            "models": {
                what: {"file": file.name, "sha256": sha256(file.find(self._given[file]))}
                for what, file in files.items()
            },
        }

    def _placed(self, x: Tensor, progress: Progress) -> Iterator[tuple[NDArray[np.uint8], Any, float]]:
        """Yield each picture, enlarged, with its face's landmarks in it (or None), and how much it was enlarged."""
        for i, picture in enumerate(as_bytes(x)):
            small, fewer = enlarged(picture, FOUND_AT)
            large, more = enlarged(picture, PLACED_AT)
            box = chosen(self._detector(small, 0), small.shape[1], small.shape[0])
            shape = self._predictor(large, _scaled(box, more / fewer)) if box is not None else None
            yield large, shape, more
            if progress:
                progress(i + 1, len(x))


def as_bytes(x: Tensor) -> Iterator[NDArray[np.uint8]]:
    """Return pictures (B, C, H, W) in [-1, 1] one by one as bytes (H, W, 3); what lies a little outside is clipped.

    Raises:
        MienError: signals, another number of channels, or values that are not finite.
    """
    if x.ndim != 4 or x.shape[1] not in (1, 3) or min(x.shape[2:]) < 8:
        raise MienError(
            f"expected pictures (B, C, H, W) of 8x8 or more, C 1 or 3, got {tuple(x.shape)}: no faces there"
        )
    if x.numel() and not bool(x.isfinite().all()):
        raise MienError("expected pictures in [-1, 1], got values that are not finite: the model has diverged")
    rows = (from_float(one.detach().float().cpu().numpy()) for one in x)
    return (np.ascontiguousarray(np.broadcast_to(row, (*row.shape[:2], 3))) for row in rows)


def enlarged(picture: NDArray[np.uint8], side: int) -> tuple[NDArray[np.uint8], float]:
    """Return a picture (H, W, 3) with a longer side of at least ``side``, and how much longer it has become.

    >>> enlarged(np.zeros((32, 16, 3), np.uint8), 256)[0].shape
    (256, 128, 3)
    """
    height, width, _ = picture.shape
    scale = max(1.0, side / max(height, width))
    if scale == 1:
        return picture, 1.0
    return resize(Image.fromarray(picture), (round(height * scale), round(width * scale))), scale


def chosen(boxes: Any, width: int, height: int) -> Any:
    """Return the box of the face that the picture is of: the largest, less its distance from the center; or None."""

    def prominence(box: Any) -> float:
        center = box.center()
        return float(box.width() - np.hypot(center.x - width / 2, center.y - height / 2))

    return max(boxes, key=prominence, default=None)


def _scaled(box: Any, scale: float) -> Any:
    edges = (box.left() * scale, box.top() * scale, (box.right() + 1) * scale - 1, (box.bottom() + 1) * scale - 1)
    return import_dlib().rectangle(*map(round, edges))


def _loaded(model: Callable[[str], Any], path: Path) -> Any:
    try:
        return model(str(path))
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:80]
        raise MienError(f"expected a model of dlib's, got {path.name}, which it cannot read ({reason})") from None
