"""The lock of a run folder: one training at a time writes into it."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from mien.errors import MienError
from mien.files import write_json
from mien.run.folder import read_json

LOCK, OWNER = "train.lock", "train.owner.json"  # in the run folder


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Hold a run folder, which is created if needed, for one training.

    The operating system releases the lock when the process ends, however it ends, so the next training takes over the
    folder of a dead one. The file ``train.lock`` remains: if it were removed, a third process could lock a new file of
    the same name. ``train.owner.json`` names the holder for the message, and is removed at the end.

    Raises:
        MienError: another training holds the folder; the message names its process and host.
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock, owner = FileLock(folder / LOCK), folder / OWNER
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise MienError(
            f"expected no other training in {folder}, got {_described(owner)}: wait until it ends, stop it, or choose "
            "another --out"
        ) from None
    try:
        started = time.strftime("%Y-%m-%d %H:%M:%S")
        write_json(owner, {"process": os.getpid(), "host": platform.node(), "started": started})
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def _described(owner: Path) -> str:
    """Return the holder in words."""
    record = read_json(owner)
    if not record:
        return "one that has just begun"
    return f"process {record.get('process')} on host {record.get('host')}, which began at {record.get('started')}"
