"""The files that commands write. No command writes over a file that it reads, or over one that another call wrote.

A call is a command with its arguments. The same call may replace the files that it wrote before. Any other file needs
``--force``, and a default name gets a number instead (``edited-2.png``). The cache folder holds the record: for each
output its name, the call, and the SHA-256 of its content. A file that was changed since is protected like any other.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any

import typer

from mien.errors import MienError, MienWarning, RangeWarning, one_line
from mien.files import sha256, write_atomically

PICTURES = (".png", ".svg", ".pdf")  # the formats of figures
PICTURE_ARGUMENTS = ("pictures", "words")  # of these, the files in a folder are read too
NO_MATTER = {"out", "force", "device", "json"}  # options that do not change what a command writes

Force = Annotated[
    bool,
    typer.Option("--force", help="Replace files that another command wrote, but never a file that this command reads."),
]
Files = Callable[[Path], Iterable[Path]]
"""From the value of ``--out`` to the files that are written."""


def only(path: Path) -> list[Path]:
    """Return the files of a command that writes one file."""
    return [path]


def picture_path(
    out: Path | None, default: str, force: bool = False, files: Files = only, ignore: Iterable[str] = ()
) -> Path:
    """Return the file a command draws into, ``default`` without --out.

    Args:
        out: the value of --out.
        default: the name without --out.
        force: the value of --force.
        files: all files that the command writes, the picture among them.
        ignore: as of :func:`place`.

    Raises:
        MienError: for a format that figures do not have, and as :func:`file_path`.
    """
    path = out or Path(default)
    if path.suffix.lower() not in PICTURES:
        raise MienError(f"expected --out ending in {', '.join(PICTURES)}, got {path}: such as --out {default}")
    return file_path(out, default, force, files, ignore)


def file_path(
    out: Path | None, default: str, force: bool = False, files: Files = only, ignore: Iterable[str] = ()
) -> Path:
    """Return a file to write, ``default`` without --out.

    Raises:
        MienError: for a folder, and as :func:`place`.
    """
    path = out or Path(default)
    if path.is_dir():
        raise MienError(f"expected a file for --out, got {path}, a folder: give it a name, such as {path / 'out'}")
    return place(out, default, force, files, ignore)


def place(out: Path | None, default: str, force: bool = False, files: Files = only, ignore: Iterable[str] = ()) -> Path:
    """Return the file or folder to write: ``out``, or ``default`` with a number if other calls wrote files there.

    Args:
        out, default, force, files: as of :func:`picture_path`.
        ignore: arguments of the command that may differ between calls that replace each other's files.

    Raises:
        MienError: for a path that cannot be written, or as :func:`claim`.
    """
    if out is not None:
        claim(files(writable(out)), force, ignore)
        return out
    path = writable(Path(default))
    for number in itertools.count(1):
        name = path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")
        try:
            claim(files(name), force, ignore)
        except Refused:
            continue
        return name
    raise AssertionError("there are infinitely many numbers")


def writable(path: Path) -> Path:
    """Return a file or folder to write.

    Raises:
        MienError: for a path that cannot be written.
    """
    there = next(parent for parent in (path.absolute(), *path.absolute().parents) if parent.exists())
    if (there.is_file() and there != path.absolute()) or not os.access(there, os.W_OK):
        raise MienError(f"expected a place to write for --out, got {path}: {there} cannot be written to")
    return path


class Refused(MienError):
    """A file that the call must not write."""


def claim(paths: Iterable[Path], force: bool = False, ignore: Iterable[str] = ()) -> None:
    """Check that the present call may write files, before it computes anything; it is recorded as their writer.

    Args:
        paths: the files.
        force: allow files of other calls.
        ignore: as of :func:`place`.

    Raises:
        Refused: for a file that the call reads, or, without ``force``, a file that another call wrote.
    """
    call = _present.get()
    if call is not None:
        call.claim(list(paths), force, ignore)


class Call:
    """One call of a command.

    Args:
        name: of the command.
        values: its arguments by name.
    """

    def __init__(self, name: str, values: Mapping[str, Any]):
        self.name, self.values = name, values
        self._files: dict[Path, tuple[str, Any]] = {}  # the digest of the call, and the state of the file before it
        self._records: dict[Path, dict[str, Any]] = {}  # by folder

    def digest(self, ignore: Iterable[str] = ()) -> str:
        """Return a text that is the same for the same arguments, with paths as absolute ones."""
        skip = {*NO_MATTER, *ignore}
        values = {key: _plain(value) for key, value in sorted(self.values.items()) if key not in skip}
        return hashlib.sha256(json.dumps([self.name, values], default=str).encode()).hexdigest()[:32]

    def inputs(self) -> Iterator[tuple[Path, bool]]:
        """Yield the files and folders that the command reads, and whether it reads all files of a folder."""
        for key, value in self.values.items():
            if key == "out":
                continue
            for item in value if isinstance(value, list | tuple) else [value]:
                path = item if isinstance(item, Path) else Path(item) if key in PICTURE_ARGUMENTS and item else None
                if path is None or not os.path.lexists(path):
                    continue
                yield path, key in PICTURE_ARGUMENTS
                for root in _data_of(path):
                    yield root, False

    def claim(self, paths: list[Path], force: bool, ignore: Iterable[str] = ()) -> None:
        """Check and note files to write, as the function :func:`claim`."""
        digest, inputs = self.digest(ignore), list(self.inputs())
        for path in paths:
            if not os.path.lexists(path):
                continue
            if (source := self._read_as(path, inputs)) is not None:
                part = "" if source == path else f" as {source}" if source.is_file() else f" in {source}"
                raise Refused(
                    f"expected another place for --out, got {path}, which this command reads{part}: choose another"
                )
            record = self._record(path)
            own = record is not None and record[0] == digest and path.is_file() and record[1] == sha256(path)
            if not own and not force:
                writer = f"another call of mien {record[2]} wrote" if record else "this command did not write"
                raise Refused(
                    f"expected a new name for --out, got {path}, which {writer}: choose another one, or replace it "
                    "with --force"
                )
        for path in paths:
            self._files[path] = digest, _state(path)

    def _read_as(self, path: Path, inputs: list[tuple[Path, bool]]) -> Path | None:
        """Return the input that a file is, or is part of; None if it is none."""
        for source, whole in inputs:
            if not source.is_dir():
                if _same(path, source):
                    return source
            elif (whole and _same(path.parent, source)) or (_inside(path, source) and self._record(path) is None):
                return source
        return None

    def _record(self, path: Path) -> list[str] | None:
        folder = Path(os.path.realpath(path.parent))
        if folder not in self._records:
            self._records[folder] = _read(folder)
        record: list[str] | None = self._records[folder].get(path.name)
        return record

    def record(self, warn: bool = True) -> None:
        """Store the writer of each file that was written; a failure is a warning.

        Args:
            warn: False for a command that failed: its own error is the one line to read.
        """
        folders: dict[Path, list[list[str]]] = {}
        for path, (digest, before) in self._files.items():
            if path.is_file() and _state(path) != before:
                entry = [path.name, digest, sha256(path), self.name]
                folders.setdefault(Path(os.path.realpath(path.parent)), []).append(entry)
        try:
            for folder, entries in folders.items():
                _append(folder, entries)
        except (OSError, MienError) as error:
            if not warn:
                return
            reason = getattr(error, "strerror", None) or error
            warnings.warn(
                f"the cache cannot be written ({reason}): the same command will not replace its files without --force",
                MienWarning,
                stacklevel=2,
            )


_present: ContextVar[Call | None] = ContextVar("call", default=None)


@contextlib.contextmanager
def calling(name: str, values: Mapping[str, Any]) -> Iterator[None]:
    """Let a block be the call of a command: its outputs are recorded, and its warnings are lines on stderr."""
    call = Call(name, values)
    token = _present.set(call)
    with plain_warnings():
        whole = False
        try:
            yield
            whole = True
        finally:
            _present.reset(token)
            call.record(warn=whole)


@contextlib.contextmanager
def plain_warnings() -> Iterator[None]:
    """Print each warning of a block as one line, without Python's file and line numbers."""

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        print(f"warning: {one_line(' '.join(str(message).split()))}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("always", MienWarning)
        # commands read their pictures from files, and scale them themselves
        warnings.simplefilter("ignore", RangeWarning)
        warnings.showwarning = show
        yield


def _plain(value: Any) -> Any:
    """Return a value for the digest of a call: paths, and the names of existing files, as absolute ones."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Path) or (isinstance(value, str) and value and os.path.exists(value)):
        return os.path.realpath(value)
    return value


def _data_of(run: Path) -> list[Path]:
    """Return the folders of the data of a run; none for other paths."""
    from mien.run.folder import CONFIG, read_json

    data = read_json(run / CONFIG).get("data") if run.is_dir() else None
    root = data.get("root") if isinstance(data, dict) else None
    return [Path(one) for one in ([root] if isinstance(root, str) else root or []) if os.path.lexists(one)]


def _same(one: Path, other: Path) -> bool:
    """Return whether two paths are one file, by any spelling and through links."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)


def _inside(path: Path, folder: Path) -> bool:
    """Return whether a file, or the file that a link leads to, lies in a folder or in a folder of it."""
    place = Path(os.path.realpath(folder))
    return any(place in Path(os.path.realpath(one)).parents for one in (path, path.parent / "x"))


def _state(path: Path) -> tuple[int, ...] | None:
    """Return what changes whenever a file is written; None without a file."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_ino, state.st_mtime_ns, state.st_size


def _file(folder: Path) -> Path:
    """Return the file that holds the record of the outputs in a folder."""
    from mien.data import cache_dir

    return cache_dir() / "outputs" / f"{hashlib.sha256(os.fsencode(folder)).hexdigest()[:32]}.jsonl"


def _read(folder: Path) -> dict[str, list[str]]:
    """Return the record of a folder: [call, SHA-256, command] by the name of the file."""
    try:
        lines = _file(folder).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    records = {}
    for line in lines:
        with contextlib.suppress(ValueError):  # a line that was cut off
            name, *record = json.loads(line)
            records[str(name)] = [str(part) for part in record]
    return {name: record for name, record in records.items() if len(record) == 3}


def _append(folder: Path, entries: list[list[str]]) -> None:
    """Add entries to the record of a folder; lines that later ones replace are removed when they are most of it."""
    path, text = _file(folder), "".join(f"{json.dumps(entry)}\n" for entry in entries)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
    with path.open(encoding="utf-8") as file:
        count = sum(1 for _ in file)
    if count > 100 and count > 2 * len(records := _read(folder)):
        whole = "".join(f"{json.dumps([name, *record])}\n" for name, record in records.items())
        write_atomically(path, lambda temporary: temporary.write_text(whole, encoding="utf-8"))
