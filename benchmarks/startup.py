"""Response time of the command: help, an error, the page of a run.

    python benchmarks/startup.py [--smoke] [--minutes 0.5]

Each subject is a separate process. The subjects take turns with an empty Python process and with one that imports
torch, in ten rounds; a first round writes the bytecode. A run takes about half a minute on two cores.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from common import Result, parse
from timing import Spread, interleave, matrix_rate, percentile

PYTHON = [sys.executable]
MIEN = [sys.executable, "-m", "mien.cli"]
GOAL = 0.5  # target for commands without torch: share of the time of torch's import


def make_run(folder: Path) -> Path:
    """Train a small VAE for two steps and return its run folder."""
    from mien.experiment import train
    from mien.run.data import Data

    os.environ["MIEN_CACHE"] = str(folder / "cache")
    data = Data("avatars", size=16, options={"count": 40})
    return train("vae", data, folder / "run", {"width": 4, "latent": 4}, steps=2, batch=8, device="cpu")[0]


def process(command: Sequence[str], code: int, threads: str) -> Callable[[], float]:
    """Return a subject that runs ``command`` and checks its exit code."""

    def run() -> float:
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": threads})
        seconds = time.perf_counter() - start
        assert done.returncode == code, done.stdout + done.stderr
        return seconds

    return run


COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "command": lambda r: r["command"],
    "p50": lambda r: f"{r['p50_ms']:.0f} ms",
    "p95": lambda r: f"{r['p95_ms']:.0f} ms",
    "of import torch": lambda r: Spread(
        r["of_import_torch"]["median"],
        r["of_import_torch"]["q1"],
        r["of_import_torch"]["q3"],
        r["of_import_torch"]["n"],
    ).text(2),
}


def main(argv: Sequence[str] | None = None) -> None:
    options: argparse.Namespace = parse(__doc__, argv, minutes=0.5)
    rate = matrix_rate("cpu", "fp32", options.smoke)
    result = Result("startup", "from the start of the process to its end")
    before = os.environ.get("MIEN_CACHE")
    threads = os.environ.get("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as scratch:
        try:
            run = make_run(Path(scratch))
        finally:
            if before is None:
                os.environ.pop("MIEN_CACHE", None)
            else:
                os.environ["MIEN_CACHE"] = before
        commands = {
            "python -c pass": ([*PYTHON, "-c", "pass"], 0),
            "python -c 'import torch'": ([*PYTHON, "-c", "import torch"], 0),
            "mien --help": ([*MIEN, "--help"], 0),
            "mien train vea": ([*MIEN, "train", "vea"], 2),
            "mien show nowhere": ([*MIEN, "show", str(run.parent / "nowhere")], 2),
            "mien show RUN": ([*MIEN, "show", str(run)], 0),
            "mien models": ([*MIEN, "models"], 0),
        }
        if options.smoke:
            commands = {name: commands[name] for name in ("python -c pass", "mien --help", "mien show RUN")}
        base = "python -c pass" if options.smoke else "python -c 'import torch'"
        subjects = {name: process(command, code, threads) for name, (command, code) in commands.items()}
        if not options.smoke:
            for subject in subjects.values():
                subject()
        rounds = interleave(subjects, 1 if options.smoke else 10, rate)
    result.rates = rounds.rates
    for name, seconds in rounds.seconds.items():
        result.rows.append(
            {
                "command": name,
                "p50_ms": round(1e3 * percentile(seconds, 0.5), 1),
                "p95_ms": round(1e3 * percentile(seconds, 0.95), 1),
                "seconds": [round(s, 4) for s in seconds],
                "of_import_torch": Spread.of(
                    a / b for a, b in zip(seconds, rounds.seconds[base], strict=True)
                ).to_json(),
            }
        )
    light = [r for r in result.rows if r["command"].startswith("mien")]
    slowest = max(light, key=lambda r: r["of_import_torch"]["median"])
    share = slowest["of_import_torch"]["median"]
    text = f"{share:.2f} ({slowest['command']})"
    result.target("help, mistakes and show, of importing torch", f"< {GOAL:g}", text, share < GOAL)
    result.finish(options, COLUMNS)


if __name__ == "__main__":
    main()
