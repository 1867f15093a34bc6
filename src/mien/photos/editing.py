"""Edits of photos: each face is aligned, changed by the model, and put back into the photo at its own size.

By default only the change is put back: the difference between the model's picture with the edit and without it is
enlarged and added to the photo. Everything that the edit does not touch stays as sharp as the photo was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from mien.data.pictures import save_picture
from mien.errors import MienError, UnknownName
from mien.files import write_atomically
from mien.photos.aligning import BORDER, Aligned, align, apply, inverse
from mien.photos.finding import DlibFinder, Face, Finder, Photo
from mien.photos.masks import mask_of
from mien.photos.template import Template

CHANGE, PICTURE = "change", "picture"
PASTES = (CHANGE, PICTURE)
JPEG = {"quality": 95, "subsampling": 0}
QUALITY: dict[str, dict[str, Any]] = {".jpg": JPEG, ".jpeg": JPEG, ".webp": {"quality": 95}}
VISIBLE = 1 / 512  # smallest weight of the mask that can change a pixel


@dataclass(frozen=True)
class PhotoEdit:
    """An edited photo.

    Args:
        photo: (H, W, 3).
        faces: the faces that were changed, in the order of their numbers.
        before, after: (n, 3, S, S) in [-1, 1], the model's pictures of them without the edit and with it.
        changed: (H, W), True where a pixel may have changed.
    """

    photo: Photo
    faces: tuple[Aligned, ...]
    before: Tensor
    after: Tensor
    changed: NDArray[np.bool_]


def find(photo: Photo, finder: Finder | None = None) -> list[Face]:
    """Return the faces of a photo (H, W, 3), the largest one first.

    Raises:
        MienError: no face was found; or the finder is not installed.
    """
    faces = (finder or DlibFinder())(photo)
    if not faces:
        height, width = photo.shape[:2]
        raise MienError(
            f"expected a face, got a photo of {width}x{height} pixels in which none was found: use one that shows a "
            "face from the front, at 40 pixels or more, or pass --no-align for a picture cropped as the model's"
        )
    return faces


def edit_photo(
    photo: Photo,
    change: Callable[[Tensor, Mapping[str, float]], Tensor],
    amounts: Mapping[str, float],
    template: Template,
    number: int = 0,
    paste: str = CHANGE,
    faces: Sequence[Face] | None = None,
) -> PhotoEdit:
    """Return a photo after an edit of its faces.

    Args:
        photo: (H, W, 3).
        change: the edit, such as the :class:`~mien.applications.arithmetic.Editor` of a run.
        amounts: for each attribute to change: +1 adds it, -1 removes it.
        template: of the model, see :func:`~mien.photos.template.template_of`.
        number: of the face, from 1; 0 changes all.
        paste: ``change`` adds what the edit changed; ``picture`` puts the model's picture in the place of the face.
        faces: of the photo, if they are known; the largest one first.

    Raises:
        MienError: no face was found, or there is no face with this number.
        UnknownName: an attribute or a way to paste that does not exist.
    """
    check_paste(paste)
    aligned = [align(photo, face, template) for face in choose(find(photo) if faces is None else faces, number)]
    x = torch.cat([one.x for one in aligned])
    before = change(x, dict.fromkeys(amounts, 0.0)).cpu()
    after = change(x, amounts).cpu()
    out, changed = photo.copy(), np.zeros(photo.shape[:2], bool)
    for one, old, new in zip(aligned, before, after, strict=True):
        if paste == CHANGE:
            add(out, changed, one, (new - old).numpy(), mask_of(one, amounts))
        else:
            put(out, changed, one, new.numpy(), mask_of(one, amounts))
    return PhotoEdit(out, tuple(aligned), before, after, changed)


def check_paste(paste: str) -> None:
    """Raise UnknownName unless ``paste`` is ``change`` or ``picture``."""
    if paste not in PASTES:
        raise UnknownName("paste", paste, PASTES)


def save_photo(photo: Photo, path: str | Path) -> None:
    """Write a photo (H, W, 3) atomically; the suffix determines the format, and JPEG and WebP get a high quality.

    Raises:
        MienError: the suffix of no picture format, or a place that cannot be written.
    """
    path = Path(path)
    options = QUALITY.get(path.suffix.lower())
    if options is None:
        save_picture(photo, path)
        return
    image = Image.fromarray(photo)
    write_atomically(path, lambda temporary: image.save(temporary, **options))


def choose(faces: Sequence[Face], number: int) -> list[Face]:
    """Return the face with a number from 1, or all faces for 0.

    Raises:
        MienError: there is no such face.
    """
    if not 0 <= number <= len(faces):
        raise MienError(f"expected --face from 1 to {len(faces)}, or 0 for all, got {number}")
    return [faces[number - 1]] if number else list(faces)


def add(
    photo: Photo, changed: NDArray[np.bool_], aligned: Aligned, change: NDArray[Any], mask: NDArray[np.float32]
) -> None:
    """Add a change (3, S, S), a difference of pictures in [-1, 1], to a photo in place, weighted by a mask."""
    where, weight = _placed(photo, aligned, mask[None])
    values = _placed(photo, aligned, change)[1]
    part = photo[where].astype(np.float32) + 127.5 * np.moveaxis(values * weight, 0, -1)
    _write(photo, changed, where, part, weight[0])


def put(
    photo: Photo, changed: NDArray[np.bool_], aligned: Aligned, picture: NDArray[Any], mask: NDArray[np.float32]
) -> None:
    """Put a picture (3, S, S) in [-1, 1] into a photo in place, weighted by a mask."""
    where, weight = _placed(photo, aligned, mask[None])
    values = 127.5 * (_placed(photo, aligned, picture)[1] + 1)
    part = photo[where].astype(np.float32)
    part += np.moveaxis(weight * (values - np.moveaxis(part, -1, 0)), 0, -1)
    _write(photo, changed, where, part, weight[0])


def _write(
    photo: Photo,
    changed: NDArray[np.bool_],
    where: tuple[slice, slice],
    part: NDArray[np.float32],
    weight: NDArray[np.float32],
) -> None:
    inside = weight > VISIBLE
    photo[where][inside] = np.rint(part[inside]).clip(0, 255).astype(np.uint8)
    changed[where] |= inside


def _placed(photo: Photo, aligned: Aligned, picture: NDArray[Any]) -> tuple[tuple[slice, slice], NDArray[np.float32]]:
    """Return a picture (C, s, s) over the aligned face, enlarged and turned to its place in the photo.

    Returns:
        The rows and columns of the photo, and values (C, h, w) there.
    """
    size, side = aligned.x.shape[-1], picture.shape[-1]
    corners = apply(aligned.matrix, np.array([[0, 0], [size, 0], [size, size], [0, size]], float))
    height, width = photo.shape[:2]
    left, top = np.floor(corners.min(0)).astype(int).clip(0)
    right, bottom = np.minimum(np.ceil(corners.max(0)).astype(int), (width, height))
    matrix = inverse(aligned.matrix)
    matrix = np.column_stack([matrix[:, :2], matrix @ [left, top, 1.0]]) * side / size
    matrix[:, 2] += BORDER  # the border is repeated, because Pillow's filters need pixels outside
    values = []
    for channel in np.pad(picture.astype(np.float32), ((0, 0), (BORDER, BORDER), (BORDER, BORDER)), mode="edge"):
        plane = Image.fromarray(channel)
        plane = plane.transform(
            (right - left, bottom - top), Image.Transform.AFFINE, tuple(matrix.ravel()), Image.Resampling.BICUBIC
        )
        values.append(np.asarray(plane))
    return (slice(top, bottom), slice(left, right)), np.stack(values)
