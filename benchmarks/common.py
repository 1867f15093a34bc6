"""What the benchmarks share: interleaved timing, a matrix rate measured beside it, the machine, results and tables.

``python benchmarks/common.py`` prints the targets and findings of all stored results.

Machines drift: only what was measured in turns can be compared. Every benchmark therefore takes its subjects in
turns, A B A B …, in at least five rounds, measures the rate of a plain matrix product in each round, and reports the
median and the quartiles of the ratios within the rounds; absolute figures stand beside them.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# torch, rich and mien are imported where they are used: the workers of other environments import this file too

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 5
PAUSE = 0.02  # seconds between subjects: threads that spin after their work stop by then
SIDE = {"cpu": 1536, "cuda": 8192}  # of the matrices whose product is the calibration
SMOKE_SIDE = 96


# ------------------------------------------------------------------------------------------------------ arithmetic


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of n values.

    >>> Spread.of([3.0, 1.0, 2.0])
    Spread(median=2.0, low=1.5, high=2.5, n=3)
    """

    median: float
    low: float
    high: float
    n: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Return the spread of ``values``, at least one; quartiles are interpolated linearly."""
        values = sorted(values)
        if len(values) == 1:
            return cls(values[0], values[0], values[0], 1)
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high, len(values))

    def text(self, digits: int = 2, factor: float = 1.0, unit: str = "") -> str:
        """Return ``median (low–high)`` in few characters."""
        a, b, c = (f"{v * factor:.{digits}f}" for v in (self.median, self.low, self.high))
        return f"{a} ({b}–{c}){unit}"

    def to_json(self) -> dict[str, float]:
        return {"median": _short(self.median), "q1": _short(self.low), "q3": _short(self.high), "n": self.n}


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which ``share`` of ``values`` lie, interpolated linearly.

    >>> percentile([1.0, 2.0, 3.0, 4.0, 5.0], 0.5), percentile([1.0, 2.0], 0.75)
    (3.0, 1.75)
    """
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


@dataclass
class Rounds:
    """Seconds of each subject, and the matrix rate in FLOP/s, round by round."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    rates: list[float] = field(default_factory=list)

    def time(self, subject: str) -> Spread:
        """Return the seconds of a subject."""
        return Spread.of(self.seconds[subject])

    def rate(self) -> Spread:
        """Return the matrix rate in FLOP/s."""
        return Spread.of(self.rates)

    def speedup(self, subject: str, over: str) -> Spread:
        """Return how many times as fast as ``over`` a subject is, within the rounds."""
        return Spread.of(b / a for a, b in zip(self.seconds[subject], self.seconds[over], strict=True))

    def difference(self, subject: str, over: str) -> Spread:
        """Return how many seconds more than ``over`` a subject takes, within the rounds."""
        return Spread.of(a - b for a, b in zip(self.seconds[subject], self.seconds[over], strict=True))

    def share(self, subject: str, flop: float) -> Spread:
        """Return which share of the matrix rate a subject of ``flop`` operations reaches, within the rounds."""
        return Spread.of(flop / s / rate for s, rate in zip(self.seconds[subject], self.rates, strict=True))


def interleave(
    subjects: Mapping[str, Callable[[], float]], count: int, rate: Callable[[], float], pause: float = PAUSE
) -> Rounds:
    """Call every subject once a round, in turns, with the matrix rate before each round.

    Args:
        subjects: functions that return the seconds they took, for one unit of work.
        count: of rounds; at least 5 for a result that counts.
        rate: returns the matrix rate in FLOP/s.
        pause: seconds before each call.
    """
    rounds = Rounds({name: [] for name in subjects})
    for _ in range(count):
        time.sleep(pause)
        rounds.rates.append(rate())
        for name, subject in subjects.items():
            time.sleep(pause)
            rounds.seconds[name].append(subject())
    return rounds


def repeats(seconds: float, total: float, most: int = 10_000) -> int:
    """Return how often to call what takes ``seconds`` so that all calls take about ``total`` seconds; 1 or more.

    >>> repeats(0.01, 0.5), repeats(2.0, 0.5), repeats(0.0, 0.5)
    (50, 1, 10000)
    """
    return max(1, min(most, round(total / seconds) if seconds > 0 else most))


def _short(value: float) -> float:
    """Return ``value`` with five digits.

    >>> _short(123456.789), _short(0.000123456)
    (123460.0, 0.00012346)
    """
    return float(f"{value:.5g}")


# ---------------------------------------------------------------------------------------------------------- timing


def synchronize(device: str) -> None:
    """Wait until the device has finished its work."""
    if device == "cuda":
        import torch

        torch.cuda.synchronize()


def timed(call: Callable[[], Any], device: str, times: int = 1) -> Callable[[], float]:
    """Return a subject: it calls ``call`` so many times and returns the seconds of one."""

    def run() -> float:
        synchronize(device)
        start = time.perf_counter()
        for _ in range(times):
            call()
        synchronize(device)
        return (time.perf_counter() - start) / times

    return run


def subject(call: Callable[[], Any], device: str, seconds: float, warm_up: int = 1) -> Callable[[], float]:
    """Return ``call`` as a subject that fills about ``seconds`` a round, after warming it up."""
    for _ in range(warm_up):
        call()
    return timed(call, device, repeats(timed(call, device)(), seconds))


def matrix_rate(device: str, precision: str = "fp32", smoke: bool = False) -> Callable[[], float]:
    """Return a function that measures the rate of a product of two square matrices, in FLOP/s."""
    import torch

    side = SMOKE_SIDE if smoke else SIDE[device]
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    out = torch.empty_like(a)
    once = timed(lambda: torch.mm(a, b, out=out), device, 1 if smoke else {"cpu": 3, "cuda": 20}[device])
    once()
    return lambda: 2 * side**3 / once()


# --------------------------------------------------------------------------------------------------------- workers


class Worker:
    """A process that answers requests, one JSON line for one JSON line; see :func:`serve`.

    Args:
        command: what to run.
        environment: variables that differ from this process's.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None):
        self.process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
        )

    def __call__(self, what: str, **values: Any) -> dict[str, Any]:
        """Ask for ``what`` and return the answer.

        Raises:
            RuntimeError: if the worker ended; its own message is on stderr.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps({"what": what, **values}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise RuntimeError(f"the worker ended at '{what}' with code {self.process.wait()}")
        return json.loads(line)

    def subject(self, what: str, **values: Any) -> Callable[[], float]:
        """Return a request as a subject of :func:`interleave`; the worker answers with its ``seconds``."""
        return lambda: self(what, **values)["seconds"]

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *exception: object) -> None:
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def serve(handlers: Mapping[str, Callable[..., dict[str, Any]]]) -> None:
    """Answer requests on stdin until it ends; whatever else is printed goes to stderr."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        request = json.loads(line)
        answers.write(json.dumps(handlers[request.pop("what")](**request)) + "\n")
        answers.flush()


def peak_megabytes() -> float:
    """Return the most memory this process has held, in MB."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


# ------------------------------------------------------------------------------------------- command line, results


def parse(
    doc: str | None,
    argv: Sequence[str] | None,
    minutes: float,
    device: str = "cpu",
    more: Callable[[argparse.ArgumentParser], Any] = lambda parser: None,
) -> argparse.Namespace:
    """Return the options of a benchmark; exit with code 2 and one line where there is no such device."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="smallest sizes, one round: only to see that it runs")
    parser.add_argument("--minutes", type=float, default=minutes, help=f"about how long it may take ({minutes:g})")
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
    """Return the seconds that remain of the minutes a benchmark may take."""
    return options.minutes * 60 - (time.monotonic() - options.started)


def machine(device: str) -> dict[str, Any]:
    """Return what a result depends on besides the code; no path and no name of a host."""
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
    """Return the commit, with a + where files differ from it."""

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
    """Return a rich console wide enough for the tables where the output is no terminal."""
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
