"""Detection of faces with dlib, their 68 landmarks, and an embedding of the person.

The protocol is fixed. Each picture is rounded to bytes, and gray is repeated to three channels. It is enlarged with
Lanczos, never reduced, until its longer side has 256 pixels for dlib's HOG detector of frontal faces, and 512 pixels
for the landmarks and the embedding. dlib rounds landmarks to whole pixels: the mean error on a CelebA face is .004 of
the distance between the eyes at 512 pixels, and twice that at 256. If a picture has several faces, the large and
central one is used. The landmarks come from the regression trees (ERT, Kazemi & Sullivan 2014) that dlib trained on
300-W. The embedding, 128 numbers without jitter, comes from dlib's ResNet (King 2017). Its author recommends .6 as the
largest distance between two pictures of the same person.

The side of 256 was chosen on 400 CelebA faces (seed 1). The share of detected faces with longer sides of 160, 192, 256
and 320 pixels is .975 .978 .983 .973 for pictures of 89x109, .970 .973 .978 .968 for 64x64 and .923 .925 .913 .918 for
32x32. dlib holds Python's lock (a thread beside an embedding ran at 7 % of its speed): more threads do not help. On one
core an embedding takes 80 ms, a detection 5 ms and the landmarks 1 ms.
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

DETECTOR_SIDE, LANDMARK_SIDE = 256, 512  # pixels of the longer side, at least
POINTS, NUMBERS = 68, 128

Place = Callable[[Tensor], NDArray[np.float64]]
"""Pictures (B, C, H, W) to landmarks (B, 68, 2), NaN where no face was detected."""
Embed = Callable[[Tensor], NDArray[np.float64]]
"""Pictures (B, C, H, W) to embeddings (B, K), NaN where no face was detected."""
Progress = Callable[[int, int], None] | None


@dataclass(frozen=True)
class ModelFile:
    """A model file of dlib: its name in ``face_recognition_models``, and an environment variable with its path."""

    name: str
    variable: str

    def find(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Return the path of the model: ``path``, else the environment variable, else the file of the package.

        Raises:
            MienError: there is no such file.
        """
        choice = path or os.environ.get(self.variable)
        if choice:
            if not Path(choice).is_file():
                raise MienError(f"expected {self.name}, got {choice}, where no file is: give another path")
            return Path(choice)
        # the package cannot be imported without pkg_resources (setuptools); its files need no import
        package = importlib.util.find_spec("face_recognition_models")
        for folder in package.submodule_search_locations or () if package else ():
            if (file := Path(folder) / "models" / self.name).is_file():
                return file
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


def landmark_predictor(path: str | os.PathLike[str] | None = None) -> Any:
    """Return dlib's predictor of 68 landmarks, a function from a picture (H, W, 3) and a box to a shape.

    Args:
        path: the model; by default the file of $MIEN_FACE_LANDMARKS, or of the package ``face_recognition_models``.

    Raises:
        MienError: dlib or the model is missing, or it is a model of another number of points.
    """
    dlib = import_dlib()
    predictor = _load(dlib.shape_predictor, LANDMARKS.find(path))
    points = predictor(np.zeros((64, 64, 3), np.uint8), dlib.rectangle(8, 8, 55, 55)).num_parts
    if points != POINTS:
        raise MienError(f"expected a model of {POINTS} landmarks, got one of {points}: give {LANDMARKS.name}")
    return predictor


class Faces:
    """dlib's three models, each loaded on first use.

    Args:
        landmarks, embedding: model files; by default the files of $MIEN_FACE_LANDMARKS and $MIEN_FACE_EMBEDDING, or
            of the package ``face_recognition_models``.

    Raises:
        MienError: dlib or a model is missing. Each is loaded on first use; :meth:`protocol` needs all.
    """

    def __init__(
        self, landmarks: str | os.PathLike[str] | None = None, embedding: str | os.PathLike[str] | None = None
    ):
        self._files = {LANDMARKS: landmarks, EMBEDDING: embedding}

    @cached_property
    def _detector(self) -> Any:
        return import_dlib().get_frontal_face_detector()

    @cached_property
    def _predictor(self) -> Any:
        return landmark_predictor(self._files[LANDMARKS])

    @cached_property
    def _network(self) -> Any:
        return _load(import_dlib().face_recognition_model_v1, EMBEDDING.find(self._files[EMBEDDING]))

    def landmarks(self, x: Tensor, progress: Progress = None) -> NDArray[np.float64]:
        """Return the landmarks of the face in each picture.

        Args:
            x: pictures (B, C, H, W) in [-1, 1], C 1 or 3.

        Returns:
            (B, 68, 2) of (x, y) in pixels of ``x``; the center of the first pixel is (0, 0); NaN where no face was
            detected.
        """
        out = np.full((len(x), POINTS, 2), np.nan)
        for i, (_, shape, scale) in enumerate(self._place(x, progress)):
            if shape is not None:
                points = np.array([(p.x, p.y) for p in shape.parts()], float)
                out[i] = (points + 0.5) / scale - 0.5
        return out

    def embeddings(self, x: Tensor, progress: Progress = None) -> NDArray[np.float64]:
        """Return the embedding of the face in each picture (B, C, H, W): (B, 128), NaN where none was detected."""
        out = np.full((len(x), NUMBERS), np.nan)
        for i, (picture, shape, _) in enumerate(self._place(x, progress)):
            if shape is not None:
                out[i] = np.array(self._network.compute_face_descriptor(picture, shape))
        return out

    def protocol(self) -> dict[str, Any]:
        """Return the versions and hashes that results store beside their numbers."""
        files = {"landmarks": LANDMARKS, "embedding": EMBEDDING}
        return {
            "detector": f"dlib {import_dlib().__version__} frontal HOG, longer side {DETECTOR_SIDE} or more",
            "placed_at": LANDMARK_SIDE,
            "resampling": "Lanczos",
            "models": {
                what: {"file": file.name, "sha256": sha256(file.find(self._files[file]))}
                for what, file in files.items()
            },
        }

    def _place(self, x: Tensor, progress: Progress) -> Iterator[tuple[NDArray[np.uint8], Any, float]]:
        """Yield each enlarged picture, the landmarks of its face (None without a face), and the factor of the scale."""
        for i, picture in enumerate(as_bytes(x)):
            small, small_scale = enlarge(picture, DETECTOR_SIDE)
            large, large_scale = enlarge(picture, LANDMARK_SIDE)
            box = main_face(self._detector(small, 0), small.shape[1], small.shape[0])
            shape = self._predictor(large, _scale(box, large_scale / small_scale)) if box is not None else None
            yield large, shape, large_scale
            if progress:
                progress(i + 1, len(x))


def as_bytes(x: Tensor) -> Iterator[NDArray[np.uint8]]:
    """Return pictures (B, C, H, W) in [-1, 1] one by one as bytes (H, W, 3); values outside the range are clipped.

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


def enlarge(picture: NDArray[np.uint8], side: int) -> tuple[NDArray[np.uint8], float]:
    """Return a picture (H, W, 3) enlarged to a longer side of at least ``side``, and the factor of the scale.

    >>> enlarge(np.zeros((32, 16, 3), np.uint8), 256)[0].shape
    (256, 128, 3)
    """
    height, width, _ = picture.shape
    scale = max(1.0, side / max(height, width))
    if scale == 1:
        return picture, 1.0
    return resize(Image.fromarray(picture), (round(height * scale), round(width * scale))), scale


def main_face(boxes: Any, width: int, height: int) -> Any:
    """Return the box with the largest width minus distance from the center; None without boxes."""

    def prominence(box: Any) -> float:
        center = box.center()
        return float(box.width() - np.hypot(center.x - width / 2, center.y - height / 2))

    return max(boxes, key=prominence, default=None)


def _scale(box: Any, scale: float) -> Any:
    edges = (box.left() * scale, box.top() * scale, (box.right() + 1) * scale - 1, (box.bottom() + 1) * scale - 1)
    return import_dlib().rectangle(*map(round, edges))


def _load(model: Callable[[str], Any], path: Path) -> Any:
    try:
        return model(str(path))
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:80]
        raise MienError(
            f"expected a model of dlib's, got {path.name}, which it cannot read ({reason}): download it again"
        ) from None
