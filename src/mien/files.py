"""Writing of files. A crash or a full disk never damages the previous version of a file."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mien.errors import MienError


def write_atomically(path: str | Path, write: Callable[[Path], Any]) -> None:
    """Write a file in one step: write a temporary file beside it, flush that to disk and rename it.

    Args:
        path: the file. Missing folders are created.
        write: writes the file at the path that it receives. That path has the extension of ``path``, because many
            writers choose the format by it.

    Raises:
        MienError: the disk is full or the folder cannot be written. The previous file stays as it was.
    """
    path = Path(path)
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        with temporary.open("rb+") as f:
            os.fsync(f.fileno())
        temporary.replace(path)
    except MienError:
        temporary.unlink(missing_ok=True)
        raise
    except Exception as error:
        # torch and safetensors wrap the error of the system in their own classes
        if temporary.exists():  # unlink fails where a part of the path is a file
            temporary.unlink()
        if not isinstance(error, OSError) and not _is_disk_error(error):
            raise
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).splitlines()[0]
        raise MienError(
            f"could not write {path}: {reason}: what was saved before is intact; "
            "make room or choose another place, then run the same command again"
        ) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _is_disk_error(error: Exception) -> bool:
    text = f"{type(error).__name__} {error}".lower()
    return any(
        word in text for word in ("no space", "os error", "iostream", "write failed", "inline_container", "errno")
    )


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as indented JSON with :func:`write_atomically`."""
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    write_atomically(path, lambda p: p.write_text(text, encoding="utf-8"))


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    with Path(path).open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()
