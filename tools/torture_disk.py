"""Runs commands on disks of every size from empty to enough; then on enough room, where the result must be right.

    python tools/torture_disk.py                        # all commands, 24 sizes
    python tools/torture_disk.py train --sizes 100      # one command, 100 sizes
    python tools/torture_disk.py --store                # write results/torture/disk.json
    python tools/torture_disk.py --way limit            # limit the size of a file instead

On each size, a command must succeed with the result of a large disk, or end with exit code 2 and one line. A command
that ended must leave no temporary file. Then the disk becomes large, and the same command must give the result of one
that was never interrupted.

The disk is a tmpfs, which only root can mount. Without it, the size of each file is limited, with SIGXFSZ ignored, so
that writing fails as on a full disk. Each attempt is a fork of this process, see torture_kills.py.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torture_kills
import torture_record

PAGE = 4096  # bytes; the sizes of a tmpfs are multiples of it
LARGE = 256 << 20  # bytes of a disk that is large enough
WAYS = ("tmpfs", "limit")
AVATARS = "--data avatars --size 16 --data-option count=60"
TRAIN = f"train vae {AVATARS} --set width=4 --set latent=8 --steps 2 --batch 16 --picture-every 1 --device cpu --out"


@dataclass(frozen=True)
class Command:
    """A command.

    Args:
        words: of the command; FOLDER stands for the folder.
        result: returns what must be equal, as a text.
        run: whether the folder holds a finished run, and the cache its data.
    """

    words: str
    result: Callable[[Path], str]
    run: bool = True


COMMANDS = {
    "train": Command(f"{TRAIN} FOLDER/trained", torture_kills._trained, run=False),
    "prepare": Command("data prepare avatars --size 24 --data-option count=40", torture_kills._prepared, run=False),
    "evaluate": Command(
        "evaluate FOLDER/run --metric reconstruction --count 16 --device cpu", torture_kills._evaluated
    ),
    "edit": Command("edit FOLDER/run Smiling=+1 --out FOLDER/edited.png --device cpu --force", torture_kills._edited),
    "export": Command("export FOLDER/run --out FOLDER/exported --force", torture_kills._exported),
}


def can_mount() -> bool:
    """Return whether this process can mount a tmpfs."""
    with tempfile.TemporaryDirectory(prefix="mien-disk-") as place:
        try:
            with tmpfs(Path(place)):
                return True
        except (OSError, subprocess.CalledProcessError):
            return False


@contextlib.contextmanager
def tmpfs(place: Path, size: int = LARGE) -> Iterator[None]:
    """Mount a tmpfs of ``size`` bytes on a folder."""
    mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place))
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def mount(*words: str) -> None:
    """Run the command mount.

    Raises:
        OSError: it failed; the message is what it printed.
    """
    done = subprocess.run(["mount", *words], capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"mount {' '.join(words)}: code {done.returncode}: {done.stderr.strip()}")


def mien(words: str, folder: Path, limit: int | None = None) -> tuple[int, str]:
    """Run a command in a fork; return its exit code (negative: a signal) and what it printed on stderr.

    Args:
        words: of the command; FOLDER stands for ``folder``.
        folder: it also holds the cache.
        limit: of the size of a file, in bytes.
    """
    reading, writing = os.pipe()  # the limit does not hold for a pipe
    child = os.fork()
    if child == 0:
        code = 99
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(writing, 2)
            sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
            sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
            os.environ["MIEN_CACHE"] = str(folder / "cache")
            sys.argv = ["mien", *(word.replace("FOLDER", str(folder)) for word in words.split())]
            if limit is not None:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            code = _main()
        finally:
            os._exit(code)
    os.close(writing)
    with open(reading, errors="replace") as stderr:
        text = stderr.read()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), text


def _main() -> int:
    """Run the command of sys.argv and return its exit code; a traceback goes to stderr, as in a process of its own."""
    import traceback

    from mien.cli import main

    try:
        main()
    except SystemExit as end:
        sys.stdout.flush()
        return int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def used(place: Path) -> int:
    """Return the bytes in use on the disk of a folder."""
    disk = os.statvfs(place)
    return (disk.f_blocks - disk.f_bfree) * disk.f_frsize


class Torture:
    """The sizes of one command.

    Args:
        command: what is run.
        base: a folder with a run and a cache.
        place: a folder for all files.
        way: of WAYS.
    """

    def __init__(self, command: Command, base: Path, place: Path, way: str):
        self.command, self.base, self.way = command, base, way
        self.place = place / "disk"
        self.place.mkdir()
        self.failures: list[str] = []
        with self._disk() as folder:
            before = used(folder)
            code, text = mien(command.words, folder)
            if code:
                raise RuntimeError(f"{command.words}: exit code {code}: {text}")
            self.expected = command.result(folder)
            files = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
            # what stays; while the command runs, temporary files need more
            self.need = used(folder) - before if way == "tmpfs" else max(files)

    @contextlib.contextmanager
    def _disk(self) -> Iterator[Path]:
        """Give a folder with the files that the command needs, on a large disk."""
        with contextlib.ExitStack() as stack:
            if self.way == "tmpfs":
                stack.enter_context(tmpfs(self.place))
            folder = self.place / "folder"
            if self.command.run:
                shutil.copytree(self.base, folder)
            else:
                folder.mkdir()
            yield folder
            shutil.rmtree(folder)

    def _attempt(self, folder: Path, room: int) -> tuple[int, str]:
        """Run the command with ``room`` bytes, and leave the disk large again."""
        if self.way == "limit":
            return mien(self.command.words, folder, room)
        size = max(used(folder) + room, PAGE)  # a size of 0 is no limit
        mount("-o", f"remount,size={size}", str(self.place))
        ended = mien(self.command.words, folder)
        mount("-o", f"remount,size={LARGE}", str(self.place))
        return ended

    def at(self, room: int) -> bool:
        """Run the command with ``room`` bytes and then with enough; return whether the first run succeeded."""
        code = -1
        with self._disk() as folder:
            try:
                code, text = self._attempt(folder, room)
                problem = self._problem(folder, code, text)
                if not problem and code:
                    code_again, text = mien(self.command.words, folder)
                    problem = f"with enough room: exit code {code_again}: {text[-600:]}" if code_again else ""
                    if not problem and self.command.result(folder) != self.expected:
                        problem = "with enough room: another result"
                    if rest := torture_kills.leftovers(folder):
                        problem = problem or f"with enough room: temporary files: {', '.join(rest)}"
            except Exception as error:
                problem = f"{type(error).__name__}: {str(error)[-600:]}"
        if problem:
            self.failures.append(f"{self.command.words.split()[0]}, {room} bytes: {problem}")
        return code == 0

    def _problem(self, folder: Path, code: int, text: str) -> str:
        """Return what is wrong after the first run, or nothing."""
        if code == 0:
            return "" if self.command.result(folder) == self.expected else "success with another result"
        lines = text.strip().splitlines()
        if code != 2 or len(lines) != 1 or not lines[0].startswith("error: "):
            return f"exit code {code}: {text[-600:]}"
        rest = [name for name in torture_kills.leftovers(folder) if not name.endswith(".partial")]
        return f"temporary files: {', '.join(rest)}" if rest else ""

    def all(self, sizes: int) -> dict[str, Any]:
        """Try the sizes from nothing to the first that is enough, in steps of a part of what the command needs."""
        step = max(self.need // sizes, 1)
        if self.way == "tmpfs":
            step = -(-step // PAGE) * PAGE
        tried, enough = 0, False
        while not enough and tried < 4 * sizes:
            enough = self.at(tried * step)
            tried += 1
        right = tried - len(self.failures)
        if not enough:
            self.failures.append(f"{self.command.words.split()[0]}: no success with {(tried - 1) * step} bytes")
        return {"sizes": tried, "step_bytes": step, "right": right}


def make_base(place: Path) -> Path:
    """Make a folder with a finished run and the cache of its data."""
    base = place / "base"
    base.mkdir()
    code, text = mien(f"{TRAIN} FOLDER/run", base)
    if code:
        raise RuntimeError(text)
    return base


def main(argv: list[str] | None = None) -> int:
    """Run the sizes; return 1 if a command failed on one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commands", nargs="*", metavar="COMMAND", help=f"of {', '.join(COMMANDS)}  [all]")
    parser.add_argument("--sizes", type=int, default=24, help="steps up to what the command leaves on the disk")
    parser.add_argument("--way", choices=WAYS, help="a small disk, or a limit of a file's size  [the first that works]")
    parser.add_argument("--store", action="store_true", help="write results/torture/disk.json")
    options = parser.parse_args(argv)
    if unknown := set(options.commands) - COMMANDS.keys():
        parser.error(f"expected commands among {', '.join(COMMANDS)}, got {', '.join(sorted(unknown))}")
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # unmount the disk first
    way = options.way or ("tmpfs" if can_mount() else "limit")
    torture_kills.import_all()
    record, failures, table = torture_record.Record("disk"), list[str](), dict[str, Any]()
    with tempfile.TemporaryDirectory(prefix="mien-disk-") as name:
        torture_kills.import_used(Path(name))
        base = make_base(Path(name))
        for key in options.commands or COMMANDS:
            began = time.monotonic()
            place = Path(name) / key
            place.mkdir()
            torture = Torture(COMMANDS[key], base, place, way)
            table[key] = torture.all(options.sizes)
            failures += torture.failures
            print(f"{key:10} {way} {table[key]}  {time.monotonic() - began:.0f} s", flush=True)
    for line in failures[:20]:
        print(f"failed: {line}")
    if options.store:
        record.store({"way": way, "commands": table, "failures": failures})
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
