"""Pictures in ``PART/CLASS`` folders of a folder or a zip, and a validation part taken from the training part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.data.archives import Files
from mien.data.pictures import open_picture

SUFFIXES = (".jpg", ".jpeg", ".png")


class Item(NamedTuple):
    """One picture: its name, its class number, and whether it belongs to the published test part."""

    key: str
    label: int
    test: bool


class ClassFolders:
    """Reader of pictures in ``PART/CLASS`` of a folder or a zip.

    Args:
        path: the folder or the zip.
        parts: the names of the parts; True for the published test part.

    Raises:
        MienError: the zip is damaged.
    """

    def __init__(self, path: Path, parts: Mapping[str, bool]):
        self.files = Files(path)
        rows = []
        for name in self.files.names:
            part, kind = ["", "", "", *name.split("/")][-3:-1]
            if part in parts and name.lower().endswith(SUFFIXES):
                rows.append((parts[part], kind, name))
        self.classes = tuple(sorted({kind for _, kind, _ in rows}))
        number = {kind: label for label, kind in enumerate(self.classes)}
        self.items = [Item(name, number[kind], test) for test, kind, name in sorted(rows)]

    def picture(self, i: int) -> Image.Image:
        """Return picture i in mode RGB."""
        return open_picture(self.files.read(self.items[i].key))

    def fingerprint(self) -> str:
        """Return a text that changes with the files, see ``Files.fingerprint``."""
        return self.files.fingerprint()


def partition(items: Sequence[Item]) -> NDArray[np.int64]:
    """Return the part (N,) of each picture: 2 test as published, 1 the last tenth of each training class, else 0.

    >>> partition([Item(str(i), 0, i > 10) for i in range(13)]).tolist()
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 2]
    """
    labels, test = np.array([item.label for item in items]), np.array([item.test for item in items])
    parts = np.where(test, 2, 0)
    for label in np.unique(labels):
        members = np.flatnonzero((labels == label) & ~test)
        parts[members[len(members) - len(members) // 10 :]] = 1
    return parts
