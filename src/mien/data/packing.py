"""Preparation of a data set: every picture is decoded, cropped and resized once, and written to one file.

A prepared folder holds ``images.npy`` (uint8 or float32 N, H, W, C), ``attributes.npy`` (int8 N, A), ``labels.npy``,
``identity.npy`` and ``partition.npy`` (int64 N), ``keys.json``, ``index.json`` (description of the set) and
``report.json`` (rejected pictures with reasons). It is written chunk by chunk as ``<folder>.partial`` and renamed
when it is complete. An interrupted preparation continues after the last complete chunk.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import shutil
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from mien.data.base import Source
from mien.data.dataset import FORMAT, HEADER, STORED
from mien.data.pictures import BadPicture
from mien.data.report import counts, omissions
from mien.errors import MienError
from mien.files import write_json

CHUNK = 512  # pictures between two records of progress, at most

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # a disk without file locks, such as some network disks

Progress = Callable[[int, int], None]


class State(TypedDict):
    """The content of ``state.json``: the progress of an unfinished preparation."""

    mark: str  # fingerprint of the source
    total: int  # pictures of the source
    done: int  # pictures that were read
    rejected: list[tuple[int, str]]  # number and reason of the pictures that cannot be used
    seconds: float


def prepare(
    source: Source, size: int, cache: str | os.PathLike[str] | None = None, progress: Progress | None = None
) -> Path:
    """Prepare the pictures of ``source`` at ``size``, unless they are prepared; continue an interrupted run.

    Args:
        source: the original pictures.
        size: side in the unit ``source.unit``; one of ``source.sizes``, 8 to 1024 pixels for most sets.
        cache: folder of prepared sets, ``mien.data.cache_dir()`` if None.
        progress: called with (done, total); the first call counts the pictures of earlier runs.

    Returns:
        The prepared folder, for ``mien.data.Dataset``.

    Raises:
        MienError: wrong size, full disk, a folder that cannot be written, or no usable picture.
    """
    if isinstance(size, bool) or not isinstance(size, int) or size not in source.sizes:
        least, most = source.sizes[0], source.sizes[-1]
        raise MienError(f"expected a size of {least} to {most} {source.unit}, got {size!r}: pass another size")
    source = source.at(size)
    if cache is None:
        from mien.data import cache_dir

        cache = cache_dir()
    mark = source.fingerprint()
    folder = Path(cache) / f"{source.name}-{size}-{_name(mark)}"
    if _complete(folder, mark):
        return folder
    earlier = source.earlier_fingerprint()
    if _complete(old := folder.with_name(f"{source.name}-{size}-{_name(earlier)}"), earlier):
        return old
    with _disk_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _lock(folder):
            if not _complete(folder, mark):  # another process may have prepared it in the meantime
                _pack(source, size, folder, mark, progress)
    return folder


def _name(mark: str) -> str:
    return hashlib.sha256(f"{FORMAT} {mark}".encode()).hexdigest()[:12]


def _complete(folder: Path, mark: str) -> bool:
    try:
        index = json.loads((folder / "index.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return bool(index.get("fingerprint") == mark and index.get("format") == FORMAT)


@contextlib.contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """Turn an error of the disk into one line. Complete chunks remain."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise MienError(
                f"no room on the disk of {folder.parent}: make room, or set MIEN_CACHE to a folder "
                "on another disk; the prepared pictures are kept"
            ) from None
        raise MienError(f"cannot prepare in {folder.parent}: {error}: set MIEN_CACHE to another folder") from None


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Wait until no other process prepares this folder. The system releases the lock when the process ends.

    A disk without file locks gives a warning, and the preparation continues without a lock.
    """
    lock = FileLock(folder.parent / f".{folder.name}.lock")
    try:
        lock.acquire()
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        warnings.warn(
            f"the disk of {folder.parent} has no file locks: prepare '{folder.name}' in one process at a time, "
            "or set MIEN_CACHE to a folder on another disk",
            stacklevel=2,
        )
    try:
        yield
    finally:
        lock.release()  # no effect without a lock


def _pack(source: Source, size: int, folder: Path, mark: str, progress: Progress | None) -> None:
    partial = folder.with_name(folder.name + ".partial")
    total = len(source)
    row = int(np.prod(source.shape(size))) * STORED[source.dtype].itemsize
    state = _resume(partial, mark, total, row)
    required = (total - state["done"]) * row
    if required > (free := shutil.disk_usage(partial).free):
        raise MienError(
            f"preparing {source.name} at {size} {source.unit} needs {math.ceil(required / 1e6):,} MB, and "
            f"{free // 10**6:,} MB are free on the disk of {folder.parent}: make room, or set MIEN_CACHE to "
            "a folder on another disk"
        )
    _write_pictures(source, size, row, partial, state, progress)
    _finish(source, size, partial, mark, state)
    if folder.exists():  # a folder of this name with another format or without its index
        shutil.rmtree(folder)
    partial.rename(folder)


def _write_pictures(
    source: Source, size: int, row: int, partial: Path, state: State, progress: Progress | None
) -> None:
    """Append the remaining pictures to ``images.npy``, and record the progress after each chunk."""
    total, shape = state["total"], source.shape(size)
    step = max(8, min(CHUNK, 2**26 // row))  # a chunk in memory stays under 64 MB
    start = time.monotonic()
    if progress:
        progress(state["done"], total)
    pool = ThreadPoolExecutor(_cores())  # threads: Pillow releases the interpreter lock to decode and resize
    try:
        with (partial / "images.npy").open("r+b") as images:
            images.truncate(HEADER + (state["done"] - len(state["rejected"])) * row)
            images.seek(0, os.SEEK_END)
            while state["done"] < total:
                chunk = range(state["done"], min(state["done"] + step, total))
                results = pool.map(lambda i: _attempt(source, i, size, shape), chunk)
                for i, result in zip(chunk, results, strict=True):
                    if isinstance(result, BadPicture):
                        state["rejected"].append((i, str(result)))
                    else:
                        images.write(result.data)
                images.flush()
                os.fsync(images.fileno())  # the pictures are on disk before the record counts them
                state["done"] = chunk.stop
                state["seconds"] += time.monotonic() - start
                start = time.monotonic()
                write_json(partial / "state.json", state)
                if progress:
                    progress(state["done"], total)
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C does not wait for the rest of the chunk


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _attempt(source: Source, i: int, size: int, shape: tuple[int, int, int]) -> NDArray[Any] | BadPicture:
    try:
        picture = source.read(i, size)
    except BadPicture as error:
        return error
    if picture.shape != shape or picture.dtype != source.dtype:
        raise TypeError(f"{source.name}: expected {source.dtype} {shape}, got {picture.dtype} {picture.shape}")
    return np.ascontiguousarray(picture, STORED[source.dtype])


def _resume(partial: Path, mark: str, total: int, row: int) -> State:
    """Return the state of an interrupted run; start anew if its source differs or its pictures are incomplete."""
    try:
        state: State = json.loads((partial / "state.json").read_text("utf-8"))
        count = state["done"] - len(state["rejected"])
        whole = (partial / "images.npy").stat().st_size >= HEADER + count * row
        if whole and state["mark"] == mark and state["total"] == total:
            return state
    except (OSError, ValueError, KeyError, TypeError):
        pass
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    (partial / "images.npy").write_bytes(b"\0" * HEADER)
    return {"mark": mark, "total": total, "done": 0, "rejected": [], "seconds": 0.0}


def _finish(source: Source, size: int, partial: Path, mark: str, state: State) -> None:
    """Write the tables, the report and the index after all pictures."""
    bad = {i for i, _ in state["rejected"]}
    good = [i for i in range(len(source)) if i not in bad]
    rejected = [{"file": key, "reason": reason} for key, reason in source.rejected_before]
    rejected += [{"file": source.key(i), "reason": reason} for i, reason in state["rejected"]]
    if not good:
        shutil.rmtree(partial)  # the next run may have a decoder that this one lacks
        examples = "; ".join(f"{entry['file']}: {entry['reason']}" for entry in rejected[:3])
        examples = examples or "there are none"
        raise MienError(f"{source.name}: not one of {len(rejected)} pictures can be used ({examples}): check the files")
    shape = (len(good), *source.shape(size))
    with (partial / "images.npy").open("r+b") as file:
        file.write(_header(shape, source.dtype))
    rows = np.array([source.attribute_row(i) for i in good], np.int8)
    np.save(partial / "attributes.npy", rows.reshape(len(good), len(source.attributes)))
    columns = {"labels": source.label, "identity": source.identity, "partition": source.partition}
    for name, column in columns.items():
        np.save(partial / f"{name}.npy", np.array([column(i) for i in good], np.int64))
    write_json(partial / "keys.json", [source.key(i) for i in good])
    report = {
        "name": source.name,
        "size": size,
        "pictures": len(good),
        "rejected_count": len(rejected),
        "seconds": round(state["seconds"], 3),
        "pictures_per_second": round(len(source) / max(state["seconds"], 1e-9), 1),
        "notes": list(source.notes),
        "attributes": counts(rows, source.attributes),
        "omissions": omissions(source, rejected),
        "rejected": rejected,
    }
    write_json(partial / "report.json", report)
    index = {
        "format": FORMAT,
        "name": source.name,
        "options": source.options(),
        "fingerprint": mark,
        "size": size,
        "shape": shape[1:],
        "dtype": source.dtype,
        "count": len(good),
        "attributes": source.attributes,
        "classes": source.classes,
    }
    write_json(partial / "index.json", index)
    (partial / "state.json").unlink(missing_ok=True)


def _header(shape: tuple[int, ...], dtype: str) -> bytes:
    """Return the .npy header of an array, padded to HEADER bytes."""
    entry = f"{{'descr': '{STORED[dtype].str}', 'fortran_order': False, 'shape': {shape}, }}"
    start = b"\x93NUMPY\x01\x00" + (HEADER - 10).to_bytes(2, "little")
    return start + entry.ljust(HEADER - 11).encode("latin1") + b"\n"
