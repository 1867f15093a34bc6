"""The reports of a training: a JSONL file, TensorBoard, progress bars and warnings on the terminal."""

from __future__ import annotations

import json
import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mien.data.regular import BadFile, read_regular
from mien.errors import MienError, MienWarning
from mien.files import finite, write_atomically


class Log:
    """Appends records to ``log.jsonl`` and TensorBoard; a resumed run drops records of later steps than its start.

    Args:
        folder: the run folder.
        start: the step that training starts from.
    """

    def __init__(self, folder: Path, start: int):
        from torch.utils.tensorboard import SummaryWriter

        path = folder / "log.jsonl"
        records = [r for r in read(folder) if r["step"] <= start] if start else []
        text = "".join(_line(r) for r in records)
        write_atomically(path, lambda p: p.write_text(text, encoding="utf-8"))
        self.file = path.open("a", encoding="utf-8")
        self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=start)

    def __call__(self, step: int, **values: Any) -> None:
        """Write one record; numbers also go to TensorBoard."""
        self.file.write(_line({"step": step, **values}))
        self.file.flush()
        for key, value in values.items():
            if isinstance(value, (int, float)):
                self.board.add_scalar(key, value, step)

    def close(self) -> None:
        """Flush and close both."""
        self.file.close()
        self.board.close()


def read(folder: Path) -> list[dict[str, Any]]:
    """Return the records of a run's log, without damaged lines; a null is NaN.

    A kill may cut the last line short; such a line is left out without a warning.

    Raises:
        MienError: the log cannot be read.

    Warns:
        MienWarning: other lines are damaged.
    """
    path = folder / "log.jsonl"
    try:
        lines = read_regular(path, 2**30).split(b"\n") if path.exists() else []
    except BadFile as error:
        raise MienError(
            f"expected the log of a training in {path}, got a bad file ({error}): change its permissions, or remove it"
        ) from None
    damaged, records = 0, []
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if isinstance(record, dict) and type(record.get("step")) is int:
            records.append({key: math.nan if value is None else value for key, value in record.items()})
        elif line.strip() and number < len(lines):
            damaged += 1
    if damaged:
        many = f"{damaged} damaged lines were" if damaged > 1 else "a damaged line was"
        warnings.warn(f"{many} left out of {path}", MienWarning, stacklevel=2)
    return records


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(finite(record), allow_nan=False) + "\n"


class Bar:
    """A progress bar on a terminal; elsewhere a line every ten seconds.

    The bar shows the status of the last call, or the steps a second.

    Args:
        console: None is silent.
        what: the words before the bar.
        total: steps in all.
        done: steps done before.
    """

    def __init__(self, console: Console | None, what: str, total: int, done: int = 0):
        self.console, self.what, self.total, self.done, self.start = console, what, total, done, done
        self.began = self.printed = time.monotonic()
        self.status = ""
        self.progress: Progress | None = None
        if console is not None and console.is_terminal:
            self.progress = Progress(
                TextColumn("[bold]{task.description}"),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TextColumn("{task.fields[status]}"),
                TimeRemainingColumn(compact=True),
                console=console,
            )
            self.progress.start()
            self.task = self.progress.add_task(what, total=total, completed=done, status="")

    def __call__(self, done: int, status: str = "") -> None:
        """Show that ``done`` steps of the total are done, with a status of a few words."""
        passed = time.monotonic() - self.began
        if not status and passed > 1 and done > self.start:  # the rate of less than a second is not reliable
            status = f"{(rate := (done - self.start) / passed):,.{0 if rate >= 10 else 1}f}/s"
        self.done, self.status = done, status or self.status
        if self.progress is not None:
            self.progress.update(self.task, completed=done, status=escape(self.status))
        elif self.console is not None and (time.monotonic() - self.printed > 10 or done == self.total):
            self.printed = time.monotonic()
            remaining = passed / max(done - self.start, 1) * (self.total - done)
            self.console.print(
                " ".join(filter(None, (f"{self.what} {done}/{self.total}", self.status, f"{_clock(remaining)} left"))),
                markup=False,
                highlight=False,
                soft_wrap=True,
            )

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.progress is not None:
            self.progress.stop()


@contextmanager
def bars(console: Console | None) -> Iterator[Callable[[str, int, int], None]]:
    """Yield a function ``note(what, done, total)`` that shows one bar after another."""
    shown: dict[str, Bar] = {}

    def note(what: str, done: int, total: int) -> None:
        """Show the progress of a part of the work; another part gets a bar of its own."""
        same = what in shown and shown[what].total == total and done >= shown[what].done
        if not same:  # the next part, or the same part of the next run
            for bar in shown.values():
                bar.__exit__()
            shown[what] = Bar(console, what, total, done)  # these steps took an unknown time
        shown[what](done)

    try:
        yield note
    finally:
        for bar in shown.values():
            bar.__exit__()


def _clock(seconds: float) -> str:
    """Return minutes and seconds.

    >>> _clock(125)
    '2:05'
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def warn(console: Console | None, title: str, text: str) -> None:
    """Print a warning in a red frame."""
    if console is not None:
        console.print(Panel(escape(text), title=f"[bold]WARNING: {escape(title)}", border_style="bold red"))


def terms_text(terms: Mapping[str, float]) -> str:
    """Return terms in one line, with three digits each.

    >>> terms_text({"kl": 12.345, "rec": 200.0})
    'kl 12.3 rec 200'
    """
    return " ".join(f"{k} {v:.3g}" for k, v in terms.items())
