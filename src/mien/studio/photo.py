"""A visitor's photo: a copy of the file in a folder of its own, a small picture of it, and its faces."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mien.data.pictures import BadPicture, open_picture, save_picture
from mien.errors import MienError
from mien.photos import Aligned, DlibFinder, Face, Template, align
from mien.photos.aligning import apply

SIDE = 640  # pixels of the longer side of the small picture
KEPT = (".jpg", ".jpeg", ".png", ".webp")  # suffixes that an edited photo keeps, as in mien edit
CHOSEN, OTHER = (255, 176, 32), (255, 255, 255)  # colors of outlines
AROUND = 1.6  # sides of the aligned square in a close-up
LAST = 6  # previews of a photo that remain on the disk

_finder = DlibFinder()


@dataclass
class Photo:
    """A photo of one visitor.

    Args:
        folder: of this photo alone; :meth:`forget` removes it.
        file: the copy of the photo.
        name: of the visitor's file.
        width, height: of the upright photo.
        small: (h, w, 3), the photo with a longer side of at most 640 pixels.
        faces: in the coordinates of the photo, the largest one first.
        number: of the chosen face, from 1.
    """

    folder: Path
    file: Path
    name: str
    width: int
    height: int
    small: NDArray[np.uint8]
    faces: list[Face]
    number: int = 1
    cache: dict[Any, Any] = field(default_factory=dict, repr=False)
    counter: Iterator[int] = field(default_factory=itertools.count, repr=False)

    @property
    def scale(self) -> float:
        """Pixels of the small picture for one pixel of the photo."""
        return float(self.small.shape[1] / self.width)

    @property
    def face(self) -> Face:
        """The chosen face.

        Raises:
            MienError: the photo shows no face.
        """
        if not self.faces:
            raise MienError(
                f"expected a face, got a photo of {self.width}x{self.height} pixels in which none was found: choose "
                "one that shows a face from the front, at 40 pixels or more"
            )
        return self.faces[self.number - 1]

    def read(self) -> NDArray[np.uint8]:
        """Return the photo (H, W, 3) at its own size.

        Raises:
            MienError: the copy of the photo was removed.
        """
        try:
            return np.asarray(open_picture(self.file))
        except BadPicture:
            raise MienError(
                "expected the photo, got none, because it was removed after a while: choose it again"
            ) from None

    def is_aligned(self, template: Template) -> bool:
        """Return whether the photo has the size of the model's pictures, so that it is one of them."""
        return (self.height, self.width) == (template.size, template.size)

    def aligned(self, template: Template) -> Aligned:
        """Return the chosen face as a model sees it, with coordinates of the photo.

        Raises:
            MienError: the photo shows no face.
        """
        key = ("aligned", self.number, template.size, template.five.tobytes())
        if key not in self.cache:
            self.cache[key] = align(self.read(), self.face, template)
        result: Aligned = self.cache[key]
        return result

    def preview_file(self, picture: NDArray[np.uint8]) -> Path:
        """Write a picture (h, w, 3) with a new name, and remove older ones; return its path."""
        number = next(self.counter)
        (self.folder / f"preview-{number - LAST}.jpg").unlink(missing_ok=True)
        return self.write(picture, f"preview-{number}")

    def write(self, picture: NDArray[np.uint8], name: str) -> Path:
        """Write a picture (h, w, 3) as JPEG and return its path."""
        self.folder.mkdir(exist_ok=True)
        path = self.folder / f"{name}.jpg"
        Image.fromarray(picture).save(path, quality=90)
        return path

    def forget(self) -> None:
        """Remove all files of the photo."""
        shutil.rmtree(self.folder, ignore_errors=True)


def forget(photo: Photo | None) -> None:
    """Remove all files of a photo; nothing for None."""
    if photo is not None:
        photo.forget()


def open_visitor_photo(file: Path, name: str, root: Path, templates: Iterable[Template] = ()) -> Photo:
    """Return a photo with its faces; its file is copied.

    Args:
        file: any picture that ``mien edit`` reads, such as JPEG with EXIF, CMYK or HEIC.
        name: of the visitor's file.
        root: the folder for photos of visitors.
        templates: of the models; faces are searched for if there are any, unless the photo is one of their pictures.

    Raises:
        BadPicture: the file cannot be read, or has more than 64 megapixels; the message names the file.
        MienError: a face finder is needed and not installed.
    """
    try:
        pixels = np.asarray(open_picture(file))
    except BadPicture as error:
        raise BadPicture(f"{name}: {error}") from None
    templates = list(templates)
    height, width = pixels.shape[:2]
    searched = any((height, width) != (one.size, one.size) for one in templates)
    faces = _finder(pixels) if searched else []
    folder = Path(tempfile.mkdtemp(dir=root))
    copy = folder / f"photo{Path(name).suffix.lower()}"
    shutil.copyfile(file, copy)
    photo = Photo(folder, copy, Path(name).name, width, height, _small(pixels), faces)
    for template in templates if faces else ():
        key = ("aligned", 1, template.size, template.five.tobytes())
        photo.cache[key] = align(pixels, faces[0], template)
    return photo


def photo_of(picture: NDArray[np.uint8], name: str, root: Path, templates: Iterable[Template] = ()) -> Photo:
    """Return a picture (H, W, 3) or (H, W, 1) of a model as a photo, such as one that was generated."""
    with tempfile.TemporaryDirectory(dir=root) as folder:
        file = save_picture(picture, Path(folder) / "picture.png")
        return open_visitor_photo(file, name, root, templates)


def _small(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    image = Image.fromarray(pixels)
    if max(image.size) > SIDE:
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return np.array(image)


def moved(aligned: Aligned, scale: float, corner: NDArray[np.float64]) -> Aligned:
    """Return an aligned face with coordinates of a part of the photo: each point p becomes scale · (p − corner)."""
    face = aligned.face
    outline = None if face.outline is None else (face.outline - corner) * scale
    left, top, right, bottom = (np.array(face.box) - np.tile(corner, 2)) * scale
    matrix = np.column_stack([aligned.matrix[:, :2], aligned.matrix[:, 2] - corner]) * scale
    return replace(aligned, matrix=matrix, face=Face((left, top, right, bottom), (face.five - corner) * scale, outline))


def closeup(photo: Photo, aligned: Aligned) -> tuple[NDArray[np.uint8], float, NDArray[np.float64]]:
    """Return the part of a photo around a face, with a longer side of at most 640 pixels.

    Returns:
        (h, w, 3); the pixels of it for one pixel of the photo; and its corner (x, y) in the photo.
    """
    size = aligned.x.shape[-1]
    center = apply(aligned.matrix, np.array([[size / 2, size / 2]]))[0]
    half = AROUND * size * aligned.scale / 2
    left, top = (int(edge) for edge in np.floor(center - half).clip(0))
    right, bottom = (int(edge) for edge in np.minimum(np.ceil(center + half), (photo.width, photo.height)))
    part = photo.read()[top:bottom, left:right]
    small = _small(part)
    return small, small.shape[1] / part.shape[1], np.array([left, top], float)


def outlined(photo: Photo) -> NDArray[np.uint8]:
    """Return the small picture (h, w, 3) with the faces outlined and numbered; the chosen one has a color."""
    factor = max(1, round(480 / max(photo.small.shape[:2])))  # tiny pictures are enlarged, so that lines are thin
    image = Image.fromarray(photo.small)
    image = image.resize((image.width * factor, image.height * factor), Image.Resampling.LANCZOS)
    draw, scale = ImageDraw.Draw(image), photo.scale * factor
    for number, face in enumerate(photo.faces, 1):
        outline = face.outline if face.outline is not None else _corners(face)
        points = [tuple(point) for point in outline * scale]
        color = CHOSEN if number == photo.number else OTHER
        width = 4 if number == photo.number else 2
        draw.line([*points, points[0]], fill=(0, 0, 0), width=width + 2, joint="curve")
        draw.line([*points, points[0]], fill=color, width=width, joint="curve")
        if len(photo.faces) > 1:
            x, y = outline[:, 0].max() * scale + 4, outline[:, 1].min() * scale
            draw.text((x, y), str(number), fill=color, font_size=18, stroke_width=2, stroke_fill=(0, 0, 0))
    return np.array(image)


def _corners(face: Face) -> NDArray[np.float64]:
    left, top, right, bottom = face.box
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])


def face_at(photo: Photo, x: float, y: float) -> int:
    """Return the number of the face at a point, or else of the nearest one; 1 if there are none.

    Args:
        photo: with faces.
        x, y: from the left and from the top, as shares of the width and the height.
    """
    centers = [np.mean(_corners(face), 0) for face in photo.faces]
    point = np.array([x * photo.width, y * photo.height])
    distances = [float(np.linalg.norm(center - point)) for center in centers]
    return int(np.argmin(distances)) + 1 if distances else 1
