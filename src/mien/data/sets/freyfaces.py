"""Frey faces: 1,965 gray pictures of one man's face, 28x20, frames of one film (Roweis, Saul and Hinton).

Read are `freyfaces.npz` (an array `images`, uint8 N, 28, 20) or `frey_rawface.mat` as it is published (key `ff`).
The size is the height: 28 gives the pictures as they are. They are not square, and stay so: at another size
they are resized (Lanczos) in proportion, height and width each rounded to a multiple of 4, as 64x44 at 64.
There are no labels and no official split; neighboring frames resemble each other, so any part drawn at
random has near copies in the others: a likelihood on it says less than it seems to.
"""

from __future__ import annotations

import hashlib
import os
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from mien.data import dataset
from mien.data.archives import locate, npz_array, npz_names, reason
from mien.data.pictures import resize
from mien.errors import MienError
from mien.files import sha256

HEIGHT, WIDTH = 28, 20  # pixels
FILES = ("freyfaces.npz", "frey_rawface.mat")
LAYOUT = "put freyfaces.npz (an array images, uint8 N, 28, 20) or frey_rawface.mat there"


class Source(dataset.Source):
    """The pictures in `root`, the file or its folder; $MIEN_DATA, or freyfaces in it, if None."""

    name = "freyfaces"
    size = HEIGHT
    channels = 1

    def __init__(self, root: str | os.PathLike | None = None):
        self.root = locate(root, (*FILES, "freyfaces"), "Frey faces", LAYOUT)
        paths = [self.root / name for name in FILES] if self.root.is_dir() else [self.root]
        found = next((path for path in paths if path.is_file()), None)
        if found is None or found.suffix.lower() not in (".npz", ".mat"):
            raise MienError(f"Frey faces: neither {' nor '.join(FILES)} is {self.root} or in it: {LAYOUT}")
        self._path = found

    @cached_property
    def _pictures(self) -> np.ndarray:
        """(N, 28, 20) uint8."""
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
        """(H, W, 1), multiples of 4.

        >>> from types import SimpleNamespace as Some
        >>> [Source.shape(Some(channels=1), size) for size in (28, 64)]
        [(28, 20, 1), (64, 44, 1)]
        """
        height, width = (max(4, 4 * int(side / 4 + 0.5)) for side in (size, size * WIDTH / HEIGHT))
        return height, width, self.channels

    def read(self, i: int, size: int) -> np.ndarray:
        height, width, _ = self.shape(size)
        picture = self._pictures[i]
        if (height, width) != picture.shape:
            picture = resize(Image.fromarray(picture), (height, width))
        return picture[..., None]

    def fingerprint(self) -> str:
        return hashlib.sha256(f"freyfaces 1 {sha256(self._path)}".encode()).hexdigest()

    def options(self) -> dict:
        return {"root": str(self.root.resolve())}


def _from_npz(path: Path) -> np.ndarray:
    if "images" not in (names := npz_names(path)):
        raise MienError(f"{path}: expected an array images, got {', '.join(names) or 'none'}: {LAYOUT}")
    return npz_array(path, "images")


def _from_mat(path: Path) -> np.ndarray:
    from scipy.io import loadmat

    try:
        arrays = loadmat(path, variable_names=["ff"])
    except Exception as error:  # damaged ones raise anything: TypeError, zlib.error, NotImplementedError…
        raise MienError(f"{path} cannot be read as .mat ({reason(error)}): download it again") from None
    if "ff" not in arrays or arrays["ff"].shape[:1] != (HEIGHT * WIDTH,):
        raise MienError(f"{path}: expected a key ff, ({HEIGHT * WIDTH}, N): is it frey_rawface.mat?")
    return arrays["ff"].T.reshape(-1, HEIGHT, WIDTH)  # each column is a picture, row by row
