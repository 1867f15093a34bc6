"""The paths that commands write, checked before anything is computed."""

from __future__ import annotations

import os
from pathlib import Path

from mien.errors import MienError

PICTURES = (".png", ".svg", ".pdf")  # the formats of figures


def picture_path(out: Path | None, default: str) -> Path:
    """Return the file a command draws into, ``default`` without --out.

    Raises:
        MienError: for a format that figures do not have, and as :func:`file_path`.
    """
    path = out or Path(default)
    if path.suffix.lower() not in PICTURES:
        raise MienError(f"expected --out ending in {', '.join(PICTURES)}, got {path}: such as --out {default}")
    return file_path(path)


def file_path(path: Path) -> Path:
    """Return a file to write.

    Raises:
        MienError: for a folder, and as :func:`writable`.
    """
    if path.is_dir():
        raise MienError(f"expected a file for --out, got {path}, a folder: give it a name, such as {path / 'out'}")
    return writable(path)


def writable(path: Path) -> Path:
    """Return a file or folder to write.

    Raises:
        MienError: for a path that cannot be written.
    """
    there = next(parent for parent in (path.absolute(), *path.absolute().parents) if parent.exists())
    if (there.is_file() and there != path.absolute()) or not os.access(there, os.W_OK):
        raise MienError(f"expected a place to write for --out, got {path}: {there} cannot be written to")
    return path
