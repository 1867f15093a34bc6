"""Frey faces: 1,965 gray pictures of one man's face, 28x20, frames of one film (Roweis, Saul and Hinton).

The set reads ``freyfaces.npz`` (an array ``images``, uint8 N, 28, 20) or the published ``frey_rawface.mat`` (key
``ff``). The size is the height. At 28 the pictures are unchanged. At other sizes they are resized by Lanczos in
proportion, and height and width are each rounded to a multiple of 4: 64x44 at size 64. There are no labels and
no official split. Neighboring frames are similar, so a random test part has near copies in the training part, and
a likelihood on it is too optimistic.
"""

from __future__ import annotations

import hashlib
import os
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.data import base
from mien.data.archives import locate
from mien.data.formats.arrays import mat_arrays, npz_array, npz_names
from mien.data.pictures import resize
from mien.errors import MienError
from mien.files import sha256

HEIGHT, WIDTH = 28, 20  # pixels
FILES = ("freyfaces.npz", "frey_rawface.mat")
LAYOUT = "put freyfaces.npz (an array images, uint8 N, 28, 20) or frey_rawface.mat there"


class Source(base.Source):
    """Frey faces in ``root``, the file or its folder; in $MIEN_DATA or its folder freyfaces if None.

    Raises:
        MienError: no such file, or one of another format.
    """

    name = "freyfaces"
    size = HEIGHT
    channels = 1

    def __init__(self, root: str | os.PathLike[str] | None = None):
        self.root = locate(root, (*FILES, "freyfaces"), "Frey faces", LAYOUT)
        paths = [self.root / name for name in FILES] if self.root.is_dir() else [self.root]
        path = next((path for path in paths if path.is_file()), None)
        if path is None or path.suffix.lower() not in (".npz", ".mat"):
            raise MienError(f"Frey faces: expected {' or '.join(FILES)}, got {self.root}: {LAYOUT}")
        self._path = path

    @cached_property
    def _pictures(self) -> NDArray[np.uint8]:
        """All pictures, uint8 (N, 28, 20)."""
        pictures = _from_mat(self._path) if self._path.suffix.lower() == ".mat" else _from_npz(self._path)
        if pictures.dtype != np.uint8 or pictures.shape[1:] != (HEIGHT, WIDTH):
            got = f"{pictures.dtype} {pictures.shape}"
            raise MienError(f"{self._path}: expected pictures uint8 (N, {HEIGHT}, {WIDTH}), got {got}: {LAYOUT}")
        return pictures

    def __len__(self) -> int:
        return len(self._pictures)

    def key(self, i: int) -> str:
        return f"{i:04d}"

    def shape(self, size: int) -> tuple[int, int, int]:
        """Return (H, W, 1); H and W are multiples of 4.

        >>> from types import SimpleNamespace as Some
        >>> [Source.shape(Some(channels=1), size) for size in (28, 64)]
        [(28, 20, 1), (64, 44, 1)]
        """
        height, width = (max(4, 4 * int(side / 4 + 0.5)) for side in (size, size * WIDTH / HEIGHT))
        return height, width, self.channels

    def read(self, i: int, size: int) -> NDArray[np.uint8]:
        height, width, _ = self.shape(size)
        picture: NDArray[np.uint8] = self._pictures[i]
        if (height, width) != picture.shape:
            picture = resize(Image.fromarray(picture), (height, width))
        return picture[..., None]

    def fingerprint(self) -> str:
        return hashlib.sha256(f"freyfaces 1 {sha256(self._path)}".encode()).hexdigest()

    def options(self) -> dict[str, Any]:
        return {"root": str(self.root.resolve())}


def _from_npz(path: Path) -> NDArray[Any]:
    if "images" not in (names := npz_names(path)):
        raise MienError(f"{path}: expected an array images, got {', '.join(names) or 'none'}: {LAYOUT}")
    return npz_array(path, "images")


def _from_mat(path: Path) -> NDArray[Any]:
    arrays = mat_arrays(path, ["ff"])
    if "ff" not in arrays or arrays["ff"].shape[:1] != (HEIGHT * WIDTH,):
        got = f"one of shape {arrays['ff'].shape}" if "ff" in arrays else "none"
        raise MienError(f"{path}: expected a key ff of shape ({HEIGHT * WIDTH}, N), got {got}: pass frey_rawface.mat")
    return arrays["ff"].T.reshape(-1, HEIGHT, WIDTH)  # each column is a picture, row by row
