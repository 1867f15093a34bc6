"""CelebA: 202,599 aligned faces of 10,177 people with 40 attributes (Liu et al., 2015), or any part of them.

The folder holds the official download: ``img_align_celeba.zip`` (read without unpacking) or the folder
``img_align_celeba``, and ``list_attr_celeba.txt``. ``identity_CelebA.txt`` and ``list_eval_partition.txt`` are
optional. The files may lie in the official subfolders ``Img``, ``Anno`` and ``Eval``. Kaggle's tables
(``list_attr_celeba.csv``, ``list_eval_partition.csv``), PNG pictures beside ``.jpg`` rows, and CelebAMask-HQ
(``CelebA-HQ-img``, ``CelebAMask-HQ-attribute-anno.txt``) are read as well.
Each picture is cropped to a centered square: of its full width by default, 178x178 of 178x218, as in papers 1 and 2.
``crop=148`` takes the smaller square that VAE/GAN and SelfExGAN's Table 4.5 use, in which the face is larger. The side
is given in pixels of the official 178x218; files of another size are cropped in proportion. Several folders can be
joined to one set (``--root A --root B``).
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import zipfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data import base, marks
from mien.data.archives import open_zip, read_member, zip_names
from mien.data.pictures import open_picture, resize, to_square
from mien.data.regular import open_text, whole_number
from mien.errors import MienError

PICTURES = "img_align_celeba"
WIDTH = 178  # pixels of the official pictures
# the folders of the pictures; an unpacked zip may have a folder in a folder
FOLDERS = (f"{PICTURES}/{PICTURES}", PICTURES, f"{PICTURES}_png/{PICTURES}_png", f"{PICTURES}_png", "CelebA-HQ-img")
TABLES = ("list_attr_celeba.txt", "list_attr_celeba.csv", "CelebAMask-HQ-attribute-anno.txt")
IDENTITIES = ("identity_CelebA.txt", "identity_CelebA.csv")
PARTITIONS = ("list_eval_partition.txt", "list_eval_partition.csv")
ZIP_END = 2**25  # bytes. A zip ends with the list of its members and their checksums: 15 MB for all of CelebA.
LAYOUT = (
    f"put {PICTURES}.zip (or the folder {PICTURES}/) and list_attr_celeba.txt (or .csv) there, "
    "and identity_CelebA.txt and list_eval_partition.txt if you have them"
)


class Source(base.Source):
    """CelebA's pictures and tables in one folder.

    Args:
        root: the folder, $MIEN_DATA/celeba if None.
        crop: side of the centered square that is kept, in pixels of the official 178x218; 32 to 178.

    Raises:
        MienError: for a crop out of range, or a folder without the pictures or the table.
    """

    name = "celeba"

    def __init__(self, root: str | os.PathLike[str] | None = None, crop: int = WIDTH):
        if not 32 <= crop <= WIDTH:
            raise MienError(f"expected crop from 32 to {WIDTH} pixels of CelebA's {WIDTH}x218, got {crop}: such as 148")
        self.crop = crop
        if root is None:
            if not (base := os.environ.get("MIEN_DATA")):
                raise MienError(
                    "expected the folder of CelebA, got none: pass --root, or set MIEN_DATA to the folder above; "
                    f"{LAYOUT}"
                )
            root = Path(base) / "celeba"
        self.root = Path(root).expanduser()
        if not self.root.is_dir():
            raise MienError(f"CelebA: no folder {self.root}: {LAYOUT}")
        self._reading = threading.Lock()
        if (table := self._find(*TABLES)) is None:
            raise MienError(f"CelebA: no list_attr_celeba.txt in {self.root}: {LAYOUT}")
        self._table = table
        self._zip, self._folder = self._find(f"{PICTURES}.zip"), self._picture_folder()
        if self._zip is None and self._folder is None:
            raise MienError(f"CelebA: neither {PICTURES}.zip nor {PICTURES}/ in {self.root}: {LAYOUT}")
        self._claimed, self.attributes = self._header()

    def _header(self) -> tuple[str, tuple[str, ...]]:
        """Return the number of rows that the table claims, nothing in a CSV table, and the attributes."""
        with open_text(self._table) as file:
            claim, names = file.readline().strip(), file.readline()
        if self._table.suffix == ".csv":
            attributes = tuple(name.strip() for name in claim.split(",")[1:])
            if not attributes or {"1", "-1", "0"}.issuperset(attributes):
                raise MienError(f"{self._table.name}, line 1: expected a header 'image_id,…', got '{claim[:40]}'")
            return "", attributes
        if whole_number(claim) is None or not names.split():
            got = claim[:40]
            raise MienError(f"{self._table.name}: expected a count in line 1 and attributes in line 2, got '{got}'")
        return claim, tuple(names.split())

    def _find(self, *names: str) -> Path | None:
        """Return the first of the files in the folder or in an official subfolder, None if there is none."""
        for name in names:
            for folder in ("", "Img", "Anno", "Eval"):
                if (path := self.root / folder / name).is_file():
                    return path
        return None

    def _picture_folder(self) -> Path | None:
        """Return the folder of the pictures, None if there is none."""
        for folder in ("", "Img"):
            for nested in FOLDERS:
                if (path := self.root / folder / nested).is_dir():
                    return path
        return None

    # -- tables, read on first use --

    @cached_property
    def _rows(self) -> tuple[dict[str, NDArray[np.int8]], list[str]]:
        """The attributes (A,) int8 of each file by name, and notes about oddities of the table."""
        values = {"1": 1, "-1": 255}  # as bytes; 255 is -1 in int8
        rows: dict[str, NDArray[np.int8]] = {}
        comma, first = ("," if self._table.suffix == ".csv" else None), (2 if self._claimed else 1)
        with open_text(self._table) as file:
            for number, line in enumerate(file, 1):
                if number <= first or not line.strip():
                    continue
                parts = [part.strip() for part in line.split(comma)]
                where = f"{self._table.name}, line {number}"
                if len(parts) != len(self.attributes) + 1:
                    expected = f"a file name and {len(self.attributes)} values"
                    raise MienError(f"{where}: expected {expected}, got {len(parts) - 1} values")
                try:
                    rows[parts[0]] = np.frombuffer(bytes(map(values.__getitem__, parts[1:])), np.int8)
                except KeyError as error:
                    raise MienError(f"{where}: expected values 1 and -1, got {str(error)[:60]}") from None
        notes = []
        if self._claimed and int(self._claimed) != len(rows):
            notes.append(f"{self._table.name} says {self._claimed} rows in line 1 and has {len(rows)}")
        return rows, notes

    @cached_property
    def _members(self) -> dict[str, str]:
        """The place of each picture by file name: its member of the zip, or its path in the folder."""
        if self._folder is not None:
            return {entry.name: entry.path for entry in os.scandir(self._folder) if _is_picture(entry.name)}
        members = (name for name in zip_names(self._archive) if _is_picture(name) and "__MACOSX" not in name)
        return {name.rpartition("/")[2]: name for name in members}

    @cached_property
    def _places(self) -> dict[str, str]:
        """The file name of the picture of each row: the same, or one with another suffix."""
        rows, members = self._rows[0], self._members
        stems = {name.rpartition(".")[0]: name for name in members.keys() - rows.keys()}
        places = {name: name if name in members else stems.get(name.rpartition(".")[0]) for name in rows}
        return {name: place for name, place in places.items() if place}

    @cached_property
    def _keys(self) -> list[str]:
        keys = sorted(self._places)
        if not keys:
            pictures = f"{len(self._members)} pictures in {self._zip or self._folder}"
            raise MienError(f"CelebA: none of the {pictures} is in {self._table.name}")
        return keys

    @cached_property
    def _identities(self) -> dict[str, int]:
        return self._numbers(*IDENTITIES)

    @cached_property
    def _partitions(self) -> dict[str, int]:
        return self._numbers(*PARTITIONS, limit=2)

    def _numbers(self, *names: str, limit: int = 2**62) -> dict[str, int]:
        """Return a table of file names and numbers from 0 to the limit, empty if there is no such file."""
        numbers: dict[str, int] = {}
        if (path := self._find(*names)) is None:
            return numbers
        name, comma = path.name, "," if path.suffix == ".csv" else None
        with open_text(path) as file:
            for number, line in enumerate(file, 1):
                if not line.strip() or (comma and number == 1):
                    continue
                parts = [part.strip() for part in line.split(comma)]
                value = whole_number(parts[1], limit) if len(parts) == 2 else None
                if value is None:
                    got, what = line.strip()[:60], "0, 1 or 2" if limit == 2 else "a number"
                    raise MienError(f"{name}, line {number}: expected a file name and {what}, got '{got}'")
                numbers[parts[0]] = value
        return numbers

    # -- what a source is --

    def __len__(self) -> int:
        """Return the number of pictures that are in the table and among the files."""
        return len(self._keys)

    def key(self, i: int) -> str:
        """Return the file name of picture ``i``."""
        return self._keys[i]

    def attribute_row(self, i: int) -> NDArray[np.int8]:
        """Return the attributes (A,) of picture ``i``, +1 or -1."""
        return self._rows[0][self._keys[i]]

    def identity(self, i: int) -> int:
        """Return the number of the person in picture ``i``, -1 where it is not known."""
        return self._identities.get(self._keys[i], -1)

    def partition(self, i: int) -> int:
        """Return the official part of picture ``i``: 0 training, 1 validation, 2 test, -1 none."""
        return self._partitions.get(self._keys[i], -1)

    def read(self, i: int, size: int) -> NDArray[Any]:
        """Return picture i: its centered square, (size, size, 3)."""
        member = self._members[self._places[self._keys[i]]]
        if self._folder is not None:
            return self._square(member, size)
        with self._reading:
            data = read_member(self._archive, member)
        return self._square(data, size)

    def _square(self, picture: str | bytes, size: int) -> NDArray[Any]:
        """Return the centered square of a picture file, (size, size, 3)."""
        # the decoder may return a smaller picture, so ask for one whose crop has twice the size
        image = open_picture(picture, at_least=-(-2 * size * WIDTH // self.crop))
        if self.crop == WIDTH:
            return to_square(image, size)
        side = min(image.size) * self.crop / WIDTH
        left, top = (image.width - side) / 2, (image.height - side) / 2
        return resize(image, size, (left, top, left + side, top + side))

    @cached_property
    def _archive(self) -> zipfile.ZipFile:
        """The open zip, one for all threads: its list of 202,599 members takes a second and 100 MB."""
        assert self._zip is not None
        return open_zip(self._zip)

    @property
    def rejected_before(self) -> Sequence[tuple[str, str]]:
        """File names that are only in the table or only among the files, with the reason."""
        rows, members, places = self._rows[0].keys(), self._members.keys(), self._places
        absent = [(name, f"absent from {self._table.name}") for name in sorted(members - set(places.values()))]
        return absent + [(name, "in the table, but there is no such picture") for name in sorted(rows - places.keys())]

    @property
    def notes(self) -> Sequence[str]:
        """Oddities of the table, for the report."""
        return self._rows[1]

    def fingerprint(self) -> str:
        """Return a digest of the tables, of the end of the zip, or of the contents of loose pictures."""
        digest = hashlib.sha256(b"celeba 2" if self.crop == WIDTH else f"celeba 2 crop {self.crop}".encode())
        for names in (TABLES, IDENTITIES, PARTITIONS):
            path = self._find(*names)
            digest.update(path.read_bytes() if path else b"none")
        if self._folder is not None:
            states = dict(sorted((entry.name, entry.stat()) for entry in os.scandir(self._folder)))
            digest.update(json.dumps(marks.mark(self._folder, states)).encode())
        elif self._zip is not None:
            size = self._zip.stat().st_size
            with self._zip.open("rb") as file:
                file.seek(max(0, size - ZIP_END))
                digest.update(str(size).encode() + file.read())
        return digest.hexdigest()

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments that open the set again."""
        return {"root": str(self.root.resolve())} | ({"crop": self.crop} if self.crop != WIDTH else {})


def _is_picture(name: str) -> bool:
    return name.lower().endswith((".jpg", ".jpeg", ".png"))
