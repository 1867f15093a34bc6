"""Writing of files. A crash or a full disk never damages the previous version of a file."""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import re
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mien.errors import MienError

DIGESTS = "digests.json"  # in a run folder: by file, the SHA-256 of the present version and of the one before
_HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:6]
# a temporary file: host, process, random digits; older versions of mien wrote .PROCESS-NAME
_TEMPORARY = re.compile(r"\.mien-([0-9a-f]{6})-(\d+)-[0-9a-f]{16}|\.\d+-.+")
_cleaned: set[Path] = set()  # folders whose leftovers this process has removed


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
    # the name does not depend on the length of the file's name, and nobody can guess it
    temporary = path.with_name(f".mien-{_HOST}-{os.getpid()}-{secrets.token_hex(8)}{path.suffix[:20]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.parent.absolute() not in _cleaned:
            _cleaned.add(path.parent.absolute())
            remove_leftovers(path.parent)
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        mode = temporary.stat().st_mode & 0o777  # that of the umask; safetensors writes 0600
        write(temporary)
        temporary.chmod(mode)
        with temporary.open("rb+") as f:
            os.fsync(f.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
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
            f"could not write {path!s:.300}: {reason}: what was saved before is intact; "
            "make room or choose another place, then run the same command again"
        ) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    """Flush the names in a folder to disk, so that a rename survives a power failure; some disks cannot."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def is_temporary(name: str) -> bool:
    """Return whether ``name`` is that of a temporary file of :func:`write_atomically`.

    >>> is_temporary(".4711-config.json"), is_temporary("config.json")
    (True, False)
    """
    return _TEMPORARY.match(name) is not None


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files in ``folder`` whose process on this host has ended."""
    with suppress(OSError):
        for path in folder.glob(".mien-*"):
            match = _TEMPORARY.match(path.name)
            if match and match[1] == _HOST and not _is_alive(int(match[2])):
                path.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def record_digest(path: Path, new: Path) -> None:
    """Record that ``new`` is about to become the file ``path``: call it in the writer of :func:`write_atomically`.

    The record keeps the digest of the present file too, because a crash before the rename leaves that one.
    """
    record = _digests(path.parent)
    before = [sha256(path)] if path.is_file() else []
    if path.name in record:
        before = [digest for digest in before if digest in record[path.name]]
    write_json(path.parent / DIGESTS, {**record, path.name: [sha256(new), *before]})


def has_digests(folder: Path) -> bool:
    """Return whether the digests of a folder's files are recorded; older runs and shipped models have no record."""
    return (folder / DIGESTS).is_file()


def is_intact(path: Path) -> bool:
    """Return whether a file has one of its recorded digests; a file without a record counts as intact."""
    digests = _digests(path.parent).get(path.name)
    return digests is None or sha256(path) in digests


def is_newest(path: Path) -> bool:
    """Return whether a file has the newest digest that was recorded for it; False without a record."""
    digests = _digests(path.parent).get(path.name)
    return digests is not None and path.is_file() and sha256(path) == digests[0]


def _digests(folder: Path) -> dict[str, list[str]]:
    """Return the record of digests; an empty one if it is missing or damaged."""
    try:
        if not has_digests(folder):  # opening a named pipe would wait forever
            return {}
        values = json.loads((folder / DIGESTS).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(values, dict):
        return {}
    return {name: [str(one) for one in value] for name, value in values.items() if isinstance(value, list) and value}


def _is_disk_error(error: Exception) -> bool:
    text = f"{type(error).__name__} {error}".lower()
    return any(
        word in text for word in ("no space", "os error", "iostream", "write failed", "inline_container", "errno")
    )


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as indented JSON with :func:`write_atomically`; NaN and infinity become null."""
    text = json.dumps(finite(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(path, lambda p: p.write_text(text, encoding="utf-8"))


def finite(value: Any) -> Any:
    """Return a value for JSON in which each NaN or infinity is None: other programs refuse the words NaN and Infinity.

    >>> finite({"a": [float("nan"), 1.0]})
    {'a': [None, 1.0]}
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    with Path(path).open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()
