"""Omniglot: 32,460 handwritten characters of 50 alphabets, 20 people each (Lake et al., 2015), or a part of them.

The folder holds the archives as they are published, read where they lie, or unpacked: `images_background.zip`
and `images_evaluation.zip`, or the smaller `images_background_small1.zip` and `images_background_small2.zip`;
any of them is enough, and a picture that is in two counts once: the small ones share Greek and Latin. The
class of a picture is its alphabet.

The files are black on white, 105x105; pictures are inverted to white on black, as MNIST's digits are, and
resized (Lanczos), to 28 pixels if no size is asked for. No split into parts of the kind used here is official
(background and evaluation differ in their alphabets): it is drawn by the seed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import ImageOps

from mien.data import dataset
from mien.data.archives import Files, locate
from mien.data.pictures import open_picture, to_square
from mien.errors import MienError

PARTS = ("images_background", "images_evaluation", "images_background_small1", "images_background_small2")
LAYOUT = f"put {PARTS[0]}.zip and {PARTS[1]}.zip there, or {PARTS[2]}.zip and {PARTS[3]}.zip (unpacked or not)"


class Source(dataset.Source):
    """Omniglot's archives in the folder `root`, or one of them; $MIEN_DATA/omniglot if None."""

    name = "omniglot"
    size = 28
    channels = 1

    def __init__(self, root: str | os.PathLike | None = None):
        self.root = locate(root, ("omniglot", "omniglot-py"), "Omniglot", LAYOUT)
        self._files = [Files(path) for path in _parts(self.root)]
        if not self._files:
            raise MienError(f"Omniglot: none of its archives is in {self.root}: {LAYOUT}")
        self.classes = tuple(sorted({key.split("/")[0] for key in self._where}))
        if not self.classes:
            found = ", ".join(files.path.name for files in self._files)
            raise MienError(f"{self.root}: no ALPHABET/character01/*.png in {found}: {LAYOUT}")

    @cached_property
    def _where(self) -> dict[str, tuple[Files, str]]:
        """The file of each picture by "alphabet/character/file", sorted."""
        where: dict[str, tuple[Files, str]] = {}
        self._twice = 0
        for files in self._files:
            for name in files.names:
                parts = name.split("/")
                if len(parts) >= 3 and parts[-2].startswith("character") and name.lower().endswith(".png"):
                    key = "/".join(parts[-3:])
                    self._twice += key in where
                    where.setdefault(key, (files, name))
        return dict(sorted(where.items()))

    @cached_property
    def _keys(self) -> list[str]:
        return list(self._where)

    @cached_property
    def _number(self) -> dict[str, int]:
        return {alphabet: number for number, alphabet in enumerate(self.classes)}

    def __len__(self) -> int:
        return len(self._keys)

    def key(self, i: int) -> str:
        return self._keys[i]

    def label(self, i: int) -> int:
        return self._number[self._keys[i].split("/")[0]]

    def read(self, i: int, size: int) -> np.ndarray:
        files, name = self._where[self._keys[i]]
        ink = ImageOps.invert(open_picture(files.read(name)).convert("L"))
        return to_square(ink, size)[..., None]

    @property
    def notes(self) -> Sequence[str]:
        return [f"{self._twice} pictures are in two archives and count once"] if self._twice else []

    def fingerprint(self) -> str:
        files = [(files.path.name, files.fingerprint()) for files in self._files]
        return hashlib.sha256(json.dumps(["omniglot", 1, files]).encode("utf-8", "surrogateescape")).hexdigest()

    def options(self) -> dict:
        return {"root": str(self.root.resolve())}


def _parts(root: Path) -> list[Path]:
    """The archives and unpacked folders there are; of both, the archive."""
    if not root.is_dir() or root.name in PARTS:
        return [root]
    found = []
    for part in PARTS:
        paths = [root / f"{part}.zip", root / part]
        found += [path for path in paths if path.exists()][:1]
    return found
