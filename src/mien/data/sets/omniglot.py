"""Omniglot: 32,460 handwritten characters of 50 alphabets by 20 people each (Lake et al., 2015), or a part of them.

The folder holds the published archives ``images_background.zip`` and ``images_evaluation.zip``, or the smaller
``images_background_small1.zip`` and ``images_background_small2.zip``, unpacked or not. One of them is enough. The two
small archives share Greek and Latin; a picture that is in two archives counts once. The class of a picture is its
alphabet.

The files are 105x105, black on white. Pictures are inverted to white on black, as in MNIST, and resized by Lanczos;
the default size is 28. There is no official split into training, validation and test: the published parts
(background and evaluation) have different alphabets. The split is drawn by the seed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ImageOps

from mien.data import base
from mien.data.archives import Files, locate
from mien.data.pictures import open_picture, to_square
from mien.errors import MienError

PARTS = ("images_background", "images_evaluation", "images_background_small1", "images_background_small2")
LAYOUT = f"put {PARTS[0]}.zip and {PARTS[1]}.zip there, or {PARTS[2]}.zip and {PARTS[3]}.zip (unpacked or not)"


class Source(base.Source):
    """Omniglot's archives in the folder ``root``, or one of them; $MIEN_DATA/omniglot if None.

    Raises:
        MienError: no archive of Omniglot, or one without characters.
    """

    name = "omniglot"
    size = 28
    channels = 1

    def __init__(self, root: str | os.PathLike[str] | None = None):
        self.root = locate(root, ("omniglot", "omniglot-py"), "Omniglot", LAYOUT)
        self._files = [Files(path) for path in _parts(self.root)]
        if not self._files:
            raise MienError(f"Omniglot: expected its archives in {self.root}, got none: {LAYOUT}")
        self.classes = tuple(sorted({key.split("/")[0] for key in self._places}))
        if not self.classes:
            archives = ", ".join(files.path.name for files in self._files)
            raise MienError(f"{self.root}: expected ALPHABET/character01/*.png in {archives}, got none: {LAYOUT}")

    @cached_property
    def _places(self) -> dict[str, tuple[Files, str]]:
        """Archive and file of each picture by "alphabet/character/file", sorted."""
        places: dict[str, tuple[Files, str]] = {}
        self._duplicates = 0
        for files in self._files:
            for name in files.names:
                parts = name.split("/")
                if len(parts) >= 3 and parts[-2].startswith("character") and name.lower().endswith(".png"):
                    key = "/".join(parts[-3:])
                    self._duplicates += key in places
                    places.setdefault(key, (files, name))
        return dict(sorted(places.items()))

    @cached_property
    def _keys(self) -> list[str]:
        return list(self._places)

    @cached_property
    def _number(self) -> dict[str, int]:
        return {alphabet: number for number, alphabet in enumerate(self.classes)}

    def __len__(self) -> int:
        return len(self._keys)

    def key(self, i: int) -> str:
        return self._keys[i]

    def label(self, i: int) -> int:
        return self._number[self._keys[i].split("/")[0]]

    def read(self, i: int, size: int) -> NDArray[np.uint8]:
        files, name = self._places[self._keys[i]]
        ink = ImageOps.invert(open_picture(files.read(name)).convert("L"))
        return to_square(ink, size)[..., None]

    @property
    def notes(self) -> Sequence[str]:
        return [f"{self._duplicates} pictures are in two archives and count once"] if self._duplicates else []

    def fingerprint(self) -> str:
        files = [(files.path.name, files.fingerprint()) for files in self._files]
        return hashlib.sha256(json.dumps(["omniglot", 1, files]).encode("utf-8", "surrogateescape")).hexdigest()

    def options(self) -> dict[str, Any]:
        return {"root": str(self.root.resolve())}


def _parts(root: Path) -> list[Path]:
    """Return the archives and unpacked folders in ``root``; if a part exists as both, the archive."""
    if not root.is_dir() or root.name in PARTS:
        return [root]
    parts: list[Path] = []
    for part in PARTS:
        paths = [root / f"{part}.zip", root / part]
        parts += [path for path in paths if path.exists()][:1]
    return parts
