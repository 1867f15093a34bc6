"""Preparing a data set: every picture decoded once, cropped, resized, and written to one file of bytes.

A prepared folder holds `images.npy` (uint8 or float32 N, H, W, C), `attributes.npy` (int8 N, A), `labels.npy`,
`identity.npy`, `partition.npy` (int64 N), `keys.json`, `index.json` (what it is) and `report.json` (what was
rejected, and why). It is written as `<folder>.partial`, chunk by chunk, and takes its name when complete;
what was interrupted goes on from the last whole chunk.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from mien.data.dataset import FORMAT, HEADER, STORED, Source
from mien.data.pictures import BadPicture
from mien.errors import MienError
from mien.files import write_json

CHUNK = 512  # pictures between two records of progress, at most

try:
    import fcntl
except ImportError:  # Windows: two processes preparing the same set at once are not kept apart there
    fcntl = None  # type: ignore[assignment]

Progress = Callable[[int, int], None]


def prepare(
    source: Source, size: int, cache: str | os.PathLike | None = None, progress: Progress | None = None
) -> Path:
    """Pack the pictures of `source` at `size`, unless that is done; go on where an interrupted run stopped.

    Args:
        source: where the pictures come from.
        size: side in pixels, or what `source.unit` says; one of `source.sizes`, 8 to 1024 as a rule.
        cache: folder of prepared sets, `mien.data.cache_dir()` if None.
        progress: called with (done, total), first with what earlier runs have done.

    Returns:
        The prepared folder, for `mien.data.Dataset`.

    Raises:
        MienError: no room on the disk, a folder that cannot be written, no usable picture at all.
    """
    if isinstance(size, bool) or not isinstance(size, int) or size not in source.sizes:
        least, most = source.sizes[0], source.sizes[-1]
        raise MienError(f"expected a size of {least} to {most} {source.unit}, got {size!r}")
    source = source.at(size)
    if cache is None:
        from mien.data import cache_dir

        cache = cache_dir()
    mark = source.fingerprint()
    folder = Path(cache) / f"{source.name}-{size}-{_name(mark)}"
    if _complete(folder, mark):
        return folder
    with _one_line(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            if not _complete(folder, mark):  # another process may have just finished it
                _pack(source, size, folder, mark, progress)
    return folder


def _name(mark: str) -> str:
    return hashlib.sha256(f"{FORMAT} {mark}".encode()).hexdigest()[:12]


def _complete(folder: Path, mark: str) -> bool:
    try:
        index = json.loads((folder / "index.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return index.get("fingerprint") == mark and index.get("format") == FORMAT


@contextlib.contextmanager
def _one_line(folder: Path) -> Iterator[None]:
    """Faults of the disk as one line; what is done stays."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise MienError(
                f"no room left on the disk of {folder.parent}: free some, or set MIEN_CACHE to a folder "
                "elsewhere; what is prepared is kept"
            ) from None
        what = f"cannot prepare in {folder.parent}: {error}"
        raise MienError(f"{what}: set MIEN_CACHE to another folder") from None


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other process prepares this folder. The lock goes with the process, however it ends."""
    # the file stays: removing it would let a third process lock a new one beside it
    with (folder.parent / f".{folder.name}.lock").open("w") as file:
        if fcntl:
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError as error:
                # some network disks have no locks
                if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
                    raise
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _pack(source: Source, size: int, folder: Path, mark: str, progress: Progress | None) -> None:
    partial = folder.with_name(folder.name + ".partial")
    total = len(source)
    shape = source.shape(size)
    row = int(np.prod(shape)) * STORED[source.dtype].itemsize
    step = max(8, min(CHUNK, 2**26 // row))  # what waits to be written stays under 64 MB
    state = _resume(partial, mark, total, row)
    needed = (total - state["done"]) * row
    if needed > (free := shutil.disk_usage(partial).free):
        raise MienError(
            f"preparing {source.name} at {size} {source.unit} needs {needed / 1e6:,.0f} MB, and "
            f"{free / 1e6:,.0f} MB are free on the disk of {folder.parent}: free some, or set MIEN_CACHE to "
            "a folder elsewhere"
        )
    started = time.monotonic()
    if progress:
        progress(state["done"], total)
    pool = ThreadPoolExecutor(_cores())  # threads: Pillow decodes and resizes without holding the interpreter
    try:
        with (partial / "images.npy").open("r+b") as images:
            images.truncate(HEADER + (state["done"] - len(state["rejected"])) * row)
            images.seek(0, os.SEEK_END)
            while state["done"] < total:
                chunk = range(state["done"], min(state["done"] + step, total))
                read = pool.map(lambda i: _attempt(source, i, size, shape), chunk)
                for i, got in zip(chunk, read, strict=True):
                    if isinstance(got, BadPicture):
                        state["rejected"].append([i, str(got)])
                    else:
                        images.write(got.data)
                images.flush()
                os.fsync(images.fileno())  # before the record that says they are there
                state["done"] = chunk.stop
                state["seconds"] += time.monotonic() - started
                started = time.monotonic()
                write_json(partial / "state.json", state)
                if progress:
                    progress(state["done"], total)
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C does not wait for the rest of the chunk
    _finish(source, size, partial, mark, state)
    if folder.exists():  # of another format, or broken: its name fits, its index does not
        shutil.rmtree(folder)
    partial.rename(folder)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _attempt(source: Source, i: int, size: int, shape: tuple[int, int, int]) -> np.ndarray | BadPicture:
    try:
        picture = source.read(i, size)
    except BadPicture as reason:
        return reason
    if picture.shape != shape or picture.dtype != source.dtype:
        raise TypeError(f"{source.name}: expected {source.dtype} {shape}, got {picture.dtype} {picture.shape}")
    return np.ascontiguousarray(picture, STORED[source.dtype])


def _resume(partial: Path, mark: str, total: int, row: int) -> dict:
    """What an earlier run has done, or a fresh start if that was something else or is not whole."""
    try:
        state = json.loads((partial / "state.json").read_text("utf-8"))
        kept = state["done"] - len(state["rejected"])
        whole = (partial / "images.npy").stat().st_size >= HEADER + kept * row
        if whole and state["mark"] == mark and state["total"] == total:
            return state
    except (OSError, ValueError, KeyError, TypeError):
        pass
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    (partial / "images.npy").write_bytes(b"\0" * HEADER)
    return {"mark": mark, "total": total, "done": 0, "rejected": [], "seconds": 0.0}


def _finish(source: Source, size: int, partial: Path, mark: str, state: dict) -> None:
    """The tables, the index and the report, once all pictures are written."""
    bad = {i for i, _ in state["rejected"]}
    kept = [i for i in range(len(source)) if i not in bad]
    rejected = [{"file": key, "reason": reason} for key, reason in source.rejected_before]
    rejected += [{"file": source.key(i), "reason": reason} for i, reason in state["rejected"]]
    if not kept:
        shutil.rmtree(partial)  # nothing worth keeping, and another try may find a decoder that was missing
        first = "; ".join(f"{entry['file']}: {entry['reason']}" for entry in rejected[:3])
        first = first or "there are none"
        raise MienError(f"{source.name}: not one of {len(rejected)} pictures can be used ({first})")
    shape = (len(kept), *source.shape(size))
    with (partial / "images.npy").open("r+b") as file:
        file.write(_header(shape, source.dtype))
    rows = np.array([source.attribute_row(i) for i in kept], np.int8)
    np.save(partial / "attributes.npy", rows.reshape(len(kept), len(source.attributes)))
    columns = {"labels": source.label, "identity": source.identity, "partition": source.partition}
    for name, of in columns.items():
        np.save(partial / f"{name}.npy", np.array([of(i) for i in kept], np.int64))
    write_json(partial / "keys.json", [source.key(i) for i in kept])
    report = {
        "name": source.name,
        "size": size,
        "pictures": len(kept),
        "rejected_count": len(rejected),
        "seconds": round(state["seconds"], 3),
        "pictures_per_second": round(len(source) / max(state["seconds"], 1e-9), 1),
        "notes": list(source.notes),
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
        "count": len(kept),
        "attributes": source.attributes,
        "classes": source.classes,
    }
    write_json(partial / "index.json", index)
    (partial / "state.json").unlink(missing_ok=True)


def _header(shape: tuple[int, ...], dtype: str) -> bytes:
    """The .npy header of an array, padded to HEADER bytes."""
    entry = f"{{'descr': '{STORED[dtype].str}', 'fortran_order': False, 'shape': {shape}, }}"
    start = b"\x93NUMPY\x01\x00" + (HEADER - 10).to_bytes(2, "little")
    return start + entry.ljust(HEADER - 11).encode("latin1") + b"\n"
