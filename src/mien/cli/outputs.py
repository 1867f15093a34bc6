"""Where commands write, checked before they compute."""

from __future__ import annotations

import os
from pathlib import Path

from mien.errors import MienError

PICTURES = (".png", ".svg", ".pdf")  # what figures are saved as


def picture_path(out: Path | None, default: str) -> Path:
    """Return the file a command draws into, ``default`` without --out.

    Raises:
        MienError: no file that a figure can be saved as.
    """
    path = out or Path(default)
    if path.suffix.lower() not in PICTURES:
        raise MienError(f"expected --out ending in {', '.join(PICTURES)}, got {path}: such as --out {default}")
    return file_path(path)


def file_path(path: Path) -> Path:
    """Return a file to write.

    Raises:
        MienError: a folder, or where nothing can be written.
    """
    if path.is_dir():
        raise MienError(f"expected a file for --out, got {path}, a folder: give it a name, such as {path / 'out'}")
    return writable(path)


def writable(path: Path) -> Path:
    """Return a file or folder to write.

    Raises:
        MienError: nothing can be written there.
    """
    there = next(parent for parent in (path.absolute(), *path.absolute().parents) if parent.exists())
    if (there.is_file() and there != path.absolute()) or not os.access(there, os.W_OK):
        raise MienError(f"expected a place to write for --out, got {path}: {there} cannot be written to")
    return path
