"""Labeled Faces in the Wild: photographs of faces with the name of each person (Huang et al., 2007).

The set reads a folder ``lfw/PERSON/PERSON_0001.jpg`` or a zip of it (``lfw_150x150.zip``, ``lfw.zip``), which is not
unpacked. The identity of a picture is its person; there are no attributes, no classes and no official split. Each
picture is cropped to a centered square. ``crop`` is its side in pixels of the official 250x250; files of another size
are cropped in proportion. The default is the whole picture.

If the folder also holds ``list_landmarks_lfw.txt`` (five points of each picture, in the format of CelebA's
``list_landmarks_align_celeba.txt``), ``Source.landmarks`` returns them.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data import base
from mien.data.archives import Files, locate
from mien.data.pictures import open_picture, resize
from mien.errors import MienError

SIDE = 250  # pixels of the official pictures
ARCHIVES = ("lfw_150x150.zip", "lfw.zip")
LANDMARKS = "list_landmarks_lfw.txt"
PICTURE = re.compile(r"(?:^|/)(([^/]+)/\2_\d{4}\.jpg)$", re.IGNORECASE)  # group 1 PERSON/PERSON_0001.jpg, 2 PERSON
LAYOUT = (
    f"put the folder lfw/PERSON/PERSON_0001.jpg or {ARCHIVES[0]} there, and {LANDMARKS} if you have it "
    "(download the pictures of http://vis-www.cs.umass.edu/lfw)"
)


class Source(base.Source):
    """LFW in ``root``, a folder or a zip; lfw or a zip of it in $MIEN_DATA if None.

    Args:
        root: the folder or the zip.
        crop: side of the centered square in pixels of the official 250x250, 32 to 250; 250 is the whole picture.

    Raises:
        MienError: a crop out of range, no such pictures, or a damaged zip.
    """

    name = "lfw"

    def __init__(self, root: str | os.PathLike[str] | None = None, crop: int = SIDE):
        if not 32 <= crop <= SIDE:
            raise MienError(f"expected crop from 32 to {SIDE} pixels of LFW's {SIDE}x{SIDE}, got {crop}: such as 150")
        self.crop = crop
        self.root = locate(root, ("lfw", *ARCHIVES), "LFW", LAYOUT)
        archives = [self.root / name for name in ARCHIVES if (self.root / name).is_file()]
        self._files = Files(archives[0] if archives else self.root)
        if not self._names:
            raise MienError(f"LFW: expected PERSON/PERSON_0001.jpg in {self._files.path}, got none: {LAYOUT}")

    @cached_property
    def _names(self) -> dict[str, str]:
        """The file of each picture by "PERSON/PERSON_0001.jpg", sorted."""
        matches = ((PICTURE.search(name), name) for name in self._files.names)
        return dict(sorted((match[1], name) for match, name in matches if match))

    @cached_property
    def _keys(self) -> list[str]:
        return list(self._names)

    @cached_property
    def _people(self) -> dict[str, int]:
        """The number of each person."""
        return {person: number for number, person in enumerate(sorted({key.split("/")[0] for key in self._keys}))}

    @property
    def _list(self) -> Path:
        return (self.root if self.root.is_dir() else self.root.parent) / LANDMARKS

    @cached_property
    def _points(self) -> dict[str, NDArray[np.float64]]:
        """Five points (5, 2) by key; empty if there is no list."""
        points: dict[str, NDArray[np.float64]] = {}
        if not self._list.is_file():
            return points
        for number, line in enumerate(self._list.read_text("utf-8-sig").splitlines(), 1):
            if number <= 2 or not line.strip():
                continue  # a count and the names of the columns
            name, *fields = line.split()
            try:
                points[name] = np.array(fields, np.float64).reshape(5, 2)
            except ValueError:
                where = f"{LANDMARKS}, line {number}"
                got = f"'{line.strip()[:60]}'"
                raise MienError(f"{where}: expected a file name and 10 numbers, got {got}: correct it") from None
        return points

    def __len__(self) -> int:
        return len(self._keys)

    def key(self, i: int) -> str:
        return self._keys[i]

    def identity(self, i: int) -> int:
        return self._people[self._keys[i].split("/")[0]]

    def read(self, i: int, size: int) -> NDArray[np.uint8]:
        """Return picture i: the centered square, resized by Lanczos, uint8 (size, size, 3).

        Raises:
            BadPicture: the picture cannot be read.
        """
        # the decoder may return a smaller picture whose crop still has twice the size
        at_least = -(-2 * size * SIDE // self.crop)
        picture = open_picture(self._files.read(self._names[self._keys[i]]), at_least)
        return resize(picture, size, self._box(picture.width, picture.height))

    def _box(self, width: int, height: int) -> tuple[float, float, float, float]:
        side = min(width, height) * self.crop / SIDE
        left, top = (width - side) / 2, (height - side) / 2
        return left, top, left + side, top + side

    def landmarks(self, i: int, size: int) -> NDArray[np.float64] | None:
        """Return the five points of picture i: eyes, nose, corners of the mouth.

        Args:
            i: number of the picture.
            size: side in pixels of the picture that ``read(i, size)`` returns.

        Returns:
            float64 (5, 2) of (x, y) in pixels of that picture, the left one in the picture first; None without
            a list or without a row for this picture.

        Raises:
            MienError: a wrong line in the list.
        """
        if (points := self._points.get(self._keys[i])) is None:
            return None
        picture = open_picture(self._files.read(self._names[self._keys[i]]))
        left, top, right, _ = self._box(picture.width, picture.height)
        scaled: NDArray[np.float64] = (points - (left, top)) * (size / (right - left))
        return scaled

    def fingerprint(self) -> str:
        text = json.dumps(["lfw", 1, self._files.fingerprint(), self.crop])
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()

    def options(self) -> dict[str, Any]:
        return {"root": str(self.root.resolve()), "crop": self.crop}
