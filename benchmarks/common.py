"""Shared code of the benchmarks: the command line, the machine, results and tables.

``python benchmarks/common.py`` prints the targets and findings of all stored results.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from timing import Spread

# torch, rich and mien are imported inside functions, because processes that measure memory import this file

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 5


def parse(
    doc: str | None,
    argv: Sequence[str] | None,
    minutes: float,
    device: str = "cpu",
    more: Callable[[argparse.ArgumentParser], Any] = lambda parser: None,
) -> argparse.Namespace:
    """Return the options of a benchmark; exit with code 2 and one line if the device is missing."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="smallest sizes, one round: a test that measures nothing")
    parser.add_argument("--minutes", type=float, default=minutes, help=f"approximate duration ({minutes:g})")
    parser.add_argument("--device", choices=("cpu", "cuda"), default=device)
    parser.add_argument("--out", type=Path, help="folder of the result  [results/bench; with --smoke: none]")
    more(parser)
    options = parser.parse_args(argv)
    if options.device == "cuda":
        import torch

        if not torch.cuda.is_available():
            print("error: expected a CUDA device, got none: choose --device cpu", file=sys.stderr)
            sys.exit(2)
    options.started = time.monotonic()
    options.rounds = 1 if options.smoke else ROUNDS
    if options.out is None and not options.smoke:
        options.out = ROOT / "results" / "bench"
    return options


def remaining(options: argparse.Namespace) -> float:
    """Return the remaining seconds of the duration of a benchmark."""
    return options.minutes * 60 - (time.monotonic() - options.started)


def machine(device: str) -> dict[str, Any]:
    """Return the machine and the versions that a result depends on, without paths and host names."""
    import torch

    import mien

    about: dict[str, Any] = {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "mien": mien.__version__,
        "commit": _commit(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }
    if device == "cuda":
        about |= {"gpu": torch.cuda.get_device_name(), "cuda": torch.version.cuda}
    return about


def _cpu() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")), "?")


def _commit() -> str:
    """Return the commit, with a + if files differ from it."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    commit = git("rev-parse", "--short=12", "HEAD")
    changed = git("status", "--porcelain", "--untracked-files=no", "--", "src", "benchmarks")
    return commit + "+" * bool(commit and changed) or "unknown"


@dataclass
class Result:
    """The result of a benchmark.

    Args:
        name: of its file.
        about: one line.
        rows: plain values, one row for each thing measured.
        targets: the goals of the project that this benchmark decides, each with the value reached.
        notes: cases that were skipped, and what a peer computes differently.
        rate: the matrix rate over all rounds.
    """

    name: str
    about: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    targets: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)

    def target(self, what: str, goal: str, value: str, reached: bool) -> None:
        """Add a target; ``goal`` and ``value`` in words."""
        self.targets.append({"what": what, "wanted": goal, "got": value, "reached": reached})

    def finish(self, options: argparse.Namespace, columns: Mapping[str, Callable[[dict[str, Any]], str]]) -> None:
        """Print rows as a table of ``columns``, targets and notes, and write the result unless it is a smoke run."""
        from rich.table import Table

        console = wide_console()
        table = Table(title=f"{self.name}: {self.about}", title_justify="left")
        for number, head in enumerate(columns):
            table.add_column(head, justify="right" if number else "left", overflow="fold")
        for row in self.rows:
            table.add_row(*(cell(row) for cell in columns.values()))
        console.print(table)
        if self.targets:
            console.print(targets_table([{**t, "benchmark": self.name} for t in self.targets]))
        for note in self.notes:
            console.print(note, markup=False, highlight=False)
        seconds = time.monotonic() - options.started
        content = {
            "benchmark": self.name,
            "about": self.about,
            "device": options.device,
            "machine": machine(options.device),
            "matrix_rate_gflops": {k: v for k, v in _gflops(self.rates).items()},
            "rounds": options.rounds,
            "seconds": round(seconds, 1),
            "rows": self.rows,
            "targets": self.targets,
            "notes": self.notes,
        }
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        if options.out is not None:
            from mien.files import write_atomically

            suffix = "" if options.device == "cpu" else f"-{options.device}"
            path = options.out / f"{self.name}{suffix}.json"
            write_atomically(path, lambda p: p.write_text(text, encoding="utf-8"))
            console.print(f"wrote {path}", style="dim", highlight=False, soft_wrap=True)


def _gflops(rates: Sequence[float]) -> dict[str, float]:
    return Spread.of([r / 1e9 for r in rates]).to_json() if rates else {}


def wide_console() -> Any:
    """Return a rich console; it is wide enough for the tables if the output is not a terminal."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=150)


def targets_table(targets: Sequence[Mapping[str, Any]]) -> Any:
    """Return targets as a rich table."""
    from rich.table import Table

    table = Table(title="targets", title_justify="left")
    for head in ("benchmark", "what", "goal", "value", ""):
        table.add_column(head, overflow="fold")
    for row in targets:
        mark = "[green]reached" if row["reached"] else "[red]missed"
        table.add_row(row["benchmark"], row["what"], row["wanted"], row["got"], mark)
    return table


def stored(folder: Path) -> list[dict[str, Any]]:
    """Return the stored results of a folder."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]


def main() -> None:
    """Print the targets of all stored results."""
    console, results = wide_console(), stored(ROOT / "results" / "bench")
    if not results:
        print("no results are stored: run make bench")
        return
    named = [{**t, "benchmark": r["benchmark"]} for r in results for t in r["targets"]]
    console.print(targets_table(named))
    for result in results:
        rate = result["matrix_rate_gflops"].get("median")
        rate = f", matrix rate {rate:.0f} GFLOP/s" if rate else ""
        line = (
            f"{result['benchmark']} ({result['device']}): {len(result['rows'])} rows in {result['seconds']:.0f} s{rate}"
        )
        console.print(f"{line}, commit {result['machine']['commit']}, {result['machine']['date']}", highlight=False)


if __name__ == "__main__":
    main()
