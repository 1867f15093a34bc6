"""A warning about pictures without a face, for models of faces."""

from __future__ import annotations

import functools
import importlib.util
import json
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mien.errors import MienWarning

OF_FACES = ("celeba", "lfw")  # data sets of photographs of one face each
Part = tuple[Sequence[Path], Any]
MOST = 200  # pictures: a detection takes 5 ms
NAMES = 3  # files in the warning


def warn_without_face(run: Path, files: Sequence[Path], parts: Iterable[Any]) -> None:
    """Warn in one line if a model of faces gets pictures in which dlib detects no face.

    It does nothing for a run on other data, and nothing where dlib (``mien[faces]``) is not installed. Of many pictures
    the first 200 are searched.

    Args:
        run: the run folder.
        files: the files of the pictures.
        parts: the pictures (B, C, H, W) of the files in their order, in [-1, 1], in one tensor or several.
    """
    if not of_faces(run) or importlib.util.find_spec("dlib") is None:
        return
    rows = [row for part in parts for row in part[:MOST]][:MOST]
    searched = min(len(files), len(rows), MOST)
    without = [file for file, row in zip(files, rows, strict=False) if not _has_face(file, row)]
    if not without:
        return
    names = ", ".join(file.name for file in without[:NAMES]) + (" …" if len(without) > NAMES else "")
    count = f" of the first {searched}" if searched < len(files) else f" of {searched}"
    pictures = f"in {len(without)}{count} pictures ({names})" if len(files) > 1 else f"in {names}"
    warnings.warn(
        f"no face of the expected size was detected {pictures}: leave --no-align out, or crop to the face as in the "
        f"data of {run.name}; its results for other pictures have no meaning",
        MienWarning,
        stacklevel=2,
    )


def searched(run: Path, parts: Iterable[Part], search: bool = True) -> Iterator[Part]:
    """Yield parts, files and their pictures, as they are; after the last one, :func:`warn_without_face`.

    Args:
        search: False for pictures that are no files.
    """
    files: list[Path] = []
    rows: list[Any] = []
    for part, x in parts:
        if search and len(rows) < MOST:
            rows += x[: MOST - len(rows)]
        files += part
        yield part, x
    if search:
        warn_without_face(run, files, [rows])


def of_faces(run: Path) -> bool:
    """Return whether a run was trained on photographs of faces."""
    try:
        name = json.loads((run / "config.json").read_text(encoding="utf-8"))["data"]["name"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return name in OF_FACES


def _has_face(file: Path, x: Any) -> bool:
    """Return whether dlib detects a face in a picture (C, H, W), or in the same part of its file in more pixels."""
    from mien.data.reading import read_shape
    from mien.metrics.faces import DETECTOR_SIDE

    if _detects(x):
        return True
    channels, height, width = x.shape
    if max(height, width) >= DETECTOR_SIDE:
        return False
    scale = DETECTOR_SIDE / max(height, width)
    return _detects(read_shape([file], (channels, round(height * scale), round(width * scale)))[0])


def _detects(x: Any) -> bool:
    from mien.metrics.faces import DETECTOR_SIDE, as_bytes, enlarge, import_dlib

    (picture,) = as_bytes(x[None])
    return len(_detector(import_dlib())(enlarge(picture, DETECTOR_SIDE)[0], 0)) > 0


@functools.cache
def _detector(dlib: Any) -> Any:
    return dlib.get_frontal_face_detector()
