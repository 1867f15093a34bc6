"""Kills commands at every disk event, and a training at random moments; each must go on to the same result.

    python tools/torture_kills.py                          # all commands, every point, 20 random kills
    python tools/torture_kills.py train edit --every 3     # two commands, every third point
    python tools/torture_kills.py --random 100 --store     # write results/torture/kills.json

A disk event is a file flushed to the disk, a rename, or a file of which half is written. At each event the process ends
by SIGKILL, so that nothing is cleaned up. Then the same command runs again: its result must be that of a command that
nobody interrupted, every file must be readable, and no temporary file may be left.

Each attempt is a fork of this process, which has imported everything and has computed nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib
import io
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torture_record

SETTINGS = {"width": 4, "latent": 8}
COUNT = 60  # avatars of the training
TIMES = ("seconds", "images_per_second", "pictures_per_second")  # values that differ between calls


@dataclass(frozen=True)
class Command:
    """A command.

    Args:
        name: of the command.
        work: runs it in a folder; the folder ``run`` there holds a finished run.
        result: returns what must be equal after a kill, as a text.
    """

    name: str
    work: Callable[[Path], None]
    result: Callable[[Path], str]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _json(path: Path) -> str:
    values = json.loads(path.read_text(encoding="utf-8"))
    return json.dumps({key: value for key, value in values.items() if key not in TIMES}, sort_keys=True)


def _data() -> Any:
    from mien.run.data import Data

    return Data("avatars", size=16, options={"count": COUNT})


def _train(folder: Path, steps: int = 2) -> None:
    from mien.experiment import train

    options: dict[str, Any] = {"batch": 16, "device": "cpu", "save_seconds": 0.0, "log_every": 1, "picture_every": 1}
    train("vae", _data(), folder / "trained", SETTINGS, steps=steps, **options)


def _trained(folder: Path) -> str:
    from mien.training import logs

    run = folder / "trained"
    steps = [record["step"] for record in logs.read(run) if "images_per_second" in record]
    return f"{_digest(run / 'weights.safetensors')} {_json(run / 'progress.json')} {steps}"


def _prepare(folder: Path) -> None:
    from mien import data

    data.load("avatars", size=24, count=40, cache=folder / "cache")


def _prepared(folder: Path) -> str:
    (place,) = (path.parent for path in (folder / "cache").rglob("index.json"))
    arrays = " ".join(f"{path.name} {_digest(path)}" for path in sorted(place.glob("*.npy")))
    return f"{arrays} {_json(place / 'index.json')} {_json(place / 'report.json')} {_digest(place / 'keys.json')}"


def _mien(*words: object) -> None:
    """Run a command of mien in this process."""
    from mien.cli import main

    sys.argv = ["mien", *map(str, words)]
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            main()
        except SystemExit as end:
            if end.code:
                raise RuntimeError(f"{words}: exit code {end.code}") from None


def _evaluate(folder: Path) -> None:
    _mien("evaluate", folder / "run", "--metric", "reconstruction", "--count", "16", "--device", "cpu")


def _evaluated(folder: Path) -> str:
    assert (folder / "run" / "report.html").read_text(encoding="utf-8").rstrip().endswith("</html>")
    return _json(folder / "run" / "evaluation.json")


# the cache records who wrote a file only after the command: killed between the two, mien asks for --force
def _edit(folder: Path) -> None:
    _mien("edit", folder / "run", "Smiling=+1", "--out", folder / "edited.png", "--device", "cpu", "--force")


def _edited(folder: Path) -> str:
    from PIL import Image

    with Image.open(folder / "edited.png") as image:
        pixels = hashlib.sha256(image.tobytes()).hexdigest()
    return f"{pixels} {_digest(folder / 'run' / 'attribute_vectors.safetensors')}"


def _export(folder: Path) -> None:
    _mien("export", folder / "run", "--out", folder / "exported", "--force")


def _exported(folder: Path) -> str:
    about = json.loads((folder / "exported" / "export.json").read_text(encoding="utf-8"))
    return " ".join(f"{name} {_digest(folder / 'exported' / name)}" for name in about["files"])


COMMANDS = {
    one.name: one
    for one in (
        Command("train", _train, _trained),
        Command("prepare", _prepare, _prepared),
        Command("evaluate", _evaluate, _evaluated),
        Command("edit", _edit, _edited),
        Command("export", _export, _exported),
    )
}


def kill_at(point: int, note: Callable[[str], None]) -> None:
    """Let this process end at the disk event number ``point``, counted from 1; 0 is never. Each event is noted."""
    count = 0

    def event(name: str) -> None:
        nonlocal count
        count += 1
        note(name)
        if count == point:
            os.kill(os.getpid(), signal.SIGKILL)

    def wrap(name: str) -> None:
        plain = getattr(os, name)

        def call(*arguments: Any, **options: Any) -> Any:
            event(f"{name} {Path(str(arguments[-1])).name if name != 'fsync' else ''}".strip())
            return plain(*arguments, **options)

        setattr(os, name, call)

    chmod = os.chmod

    def half(path: Any, *arguments: Any, **options: Any) -> None:
        # mien sets the mode of a temporary file when it is written, before it is renamed
        if Path(str(path)).name.startswith(".mien-"):
            if count + 1 == point:
                os.truncate(path, os.stat(path).st_size // 2)
            event("half of a file")
        chmod(path, *arguments, **options)

    for name in ("fsync", "rename", "replace"):
        wrap(name)
    os.chmod = half


def fork(work: Callable[[], None], after: float | None = None) -> tuple[int, str]:
    """Run a function in a fork; return how it ended, as of :func:`os.waitpid`, and the text of its error.

    Args:
        work: the function.
        after: seconds until the fork is killed; None lets it end.
    """
    with tempfile.TemporaryFile() as file:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                work()
                code = 0
            except BaseException:
                file.write(traceback.format_exc().encode())
                file.flush()
            finally:
                os._exit(code)
        if after is not None:
            time.sleep(after)
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        file.seek(0)
        return status, file.read().decode()


def must(work: Callable[[], None]) -> None:
    """Run a function in a fork.

    Raises:
        RuntimeError: it failed; the message is its traceback.
    """
    status, text = fork(work)
    if status:
        raise RuntimeError(text or f"status {status}")


def leftovers(folder: Path) -> list[str]:
    """Return the temporary files and folders below a folder."""
    return [path.name for path in folder.rglob("*") if path.name.startswith(".mien-") or path.suffix == ".partial"]


class Torture:
    """The kills of one command.

    Args:
        command: what is killed.
        base: a folder that is copied for each attempt.
        place: where the copies lie.
    """

    def __init__(self, command: Command, base: Path, place: Path):
        self.command, self.place = command, place / command.name
        self.base = base
        self.failures: list[str] = []
        events = self.place / "events"
        self.place.mkdir(parents=True)

        def count() -> None:
            with events.open("w") as file:
                kill_at(0, lambda name: print(name, file=file, flush=True))
                command.work(whole)

        whole, start = self._copy("whole"), time.monotonic()
        must(count)
        self.seconds = time.monotonic() - start
        self.events = events.read_text().splitlines()
        self.expected = command.result(whole)

    def _copy(self, name: str) -> Path:
        return Path(shutil.copytree(self.base, self.place / name))

    def check(self, name: str, kills: list[Callable[[Path], int]]) -> bool:
        """Run the command with kills, then to its end; return whether all is well, and note a failure."""
        folder = self._copy("attempt")
        try:
            for kill in kills:
                kill(folder)
            must(lambda: self.command.work(folder))
            problem = "" if self.command.result(folder) == self.expected else "another result"
            if rest := leftovers(folder):
                problem = f"temporary files: {', '.join(rest)}"
        except Exception as error:
            problem = f"{type(error).__name__}: {str(error)[-600:]}"
        finally:
            shutil.rmtree(folder)
        if problem:
            self.failures.append(f"{self.command.name}, {name}: {problem}")
        return not problem

    def at(self, point: int) -> bool:
        """Kill at a disk event."""

        def kill(folder: Path) -> int:
            def work() -> None:
                kill_at(point, lambda name: None)
                self.command.work(folder)

            status, text = fork(work)
            if os.WTERMSIG(status) != signal.SIGKILL:
                raise RuntimeError(f"the command was not killed: {text or status}")
            return status

        return self.check(f"point {point} ({self.events[point - 1]})", [kill])

    def randomly(self, rng: np.random.Generator, kills: int = 2) -> bool:
        """Kill at random moments, several times before the command may end."""
        moments = rng.uniform(0, self.seconds, kills)

        def kill(moment: float) -> Callable[[Path], int]:
            return lambda folder: fork(lambda: self.command.work(folder), moment)[0]

        return self.check(f"moments {moments.round(3).tolist()}", [kill(moment) for moment in moments])


def import_all() -> None:
    """Import what the commands use, and compute nothing: threads do not survive a fork."""
    import matplotlib.pyplot
    import torch
    import torch._refs  # torch's meta device imports it, which takes seconds
    import torch.utils.tensorboard

    import mien.cli
    import mien.experiment
    import mien.export
    from mien import evaluation
    from mien.evaluation import measures, page

    torch.set_num_threads(1)
    del matplotlib, mien, page
    for name in measures.names():
        measures.get(name)
    del evaluation


def import_used(place: Path) -> None:
    """Import what the commands import while they run: more than 2,000 modules, which would take most of each attempt.

    A fork runs all commands and writes the names of its modules; this process imports them, and computes nothing.

    Args:
        place: a folder for files; nothing stays in it.
    """
    folder = place / "used"
    names = folder / "modules.txt"
    folder.mkdir(parents=True)

    def work() -> None:
        os.environ["MIEN_CACHE"] = str(folder / "cache")
        _train(folder)
        (folder / "trained").rename(folder / "run")
        for command in COMMANDS.values():
            command.work(folder)
        names.write_text("\n".join(sys.modules))

    must(work)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in names.read_text().splitlines():
            # some names are no files, such as those of C extensions inside others
            with contextlib.suppress(Exception):
                importlib.import_module(name)
    shutil.rmtree(folder)


def main(argv: list[str] | None = None) -> int:
    """Run the kills; return 1 if one was not survived."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commands", nargs="*", metavar="COMMAND", help=f"of {', '.join(COMMANDS)}  [all]")
    parser.add_argument("--every", type=int, default=1, help="try every n-th point only")
    parser.add_argument("--random", type=int, default=20, help="trainings that are killed at two random moments")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--store", action="store_true", help="write results/torture/kills.json")
    options = parser.parse_args(argv)
    if unknown := set(options.commands) - COMMANDS.keys():
        parser.error(f"expected commands among {', '.join(COMMANDS)}, got {', '.join(sorted(unknown))}")
    import_all()
    record, failures, table = torture_record.Record("kills"), list[str](), dict[str, Any]()
    with tempfile.TemporaryDirectory(prefix="mien-kills-") as name:
        place = Path(name)
        os.environ["MIEN_CACHE"] = str(place / "cache")
        import_used(place)
        (place / "made").mkdir()
        (place / "base").mkdir()
        must(lambda: _train(place / "made"))
        shutil.copytree(place / "made" / "trained", place / "base" / "run")
        for file in (place / "base" / "run").glob("attribute_vectors*"):
            file.unlink()
        for key in options.commands or COMMANDS:
            began = time.monotonic()
            torture = Torture(COMMANDS[key], place / "base", place)
            points = range(1, len(torture.events) + 1, options.every)
            survived = sum(torture.at(point) for point in points)
            row: dict[str, Any] = {"points": len(torture.events), "tried": len(points), "survived": survived}
            if key == "train" and options.random:
                rng = np.random.default_rng(options.seed)
                row["random_tried"] = options.random
                row["random_survived"] = sum(torture.randomly(rng) for _ in range(options.random))
            failures += torture.failures
            table[key] = row
            print(f"{key:10} {row}  {time.monotonic() - began:.0f} s", flush=True)
    for line in failures[:20]:
        print(f"failed: {line}")
    if options.store:
        record.store({"seed": options.seed, "commands": table, "failures": failures})
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
