"""The time of small training steps beside other programs, with and without a limit on how long threads spin.

    python benchmarks/busy.py [--smoke] [--minutes 1.5]

A thread of OpenMP that waits for another one spins, and GNU's library spins for seconds. With two programs on the same
cores, the spinning thread holds the core that the other thread needs. ``mien`` limits the turns (GOMP_SPINCOUNT=6000).
The step is that of ``ssavae`` on signals, whose operations are small. The neighbors are Python loops, one for each
core. Each measurement is a process of its own; the four sides take turns.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from common import Result, parse, remaining
from timing import Spread, matrix_rate

from mien.cli.app import THREADS, TURNS

STEPS, PICTURES = 12, 64
LONGEST = 60.0  # seconds of a measurement, which ends after the first step that is later
STEP = """
import sys, time, torch
from mien.models.ssavae import SSAVAE
from mien.training.settings import Alone, Settings
from mien.training.timing import _noise
from mien.training.update import Update
steps, pictures, longest = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
model = SSAVAE((1, 1, 1024), tuple("abcdefghij"))
update = Update(model, Alone(Settings(steps=1, device="cpu")))
model.train()
times = []
for number in range(steps):
    batch = _noise(model, pictures, 0, 10, torch.device("cpu"))
    start = time.perf_counter()
    model.training_step(batch, update)
    times.append(time.perf_counter() - start)
    if sum(times) > longest:
        break
print(*times[1:] or times)
"""


def measure(limited: bool, neighbors: int, steps: int, pictures: int) -> float:
    """Return the median seconds of a step in a process of its own, beside ``neighbors`` busy processes."""
    environment = {name: value for name, value in os.environ.items() if name not in (*THREADS, "OMP_NUM_THREADS")}
    environment |= TURNS if limited else {}
    # of another session, as programs of another terminal or user are: Linux gives each session the same share
    loop = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(loop, start_new_session=True) for _ in range(neighbors)]
    try:
        command = [sys.executable, "-c", STEP, str(steps), str(pictures), str(LONGEST)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    finally:
        for other in others:
            other.kill()
            other.wait()
    return Spread.of(list(map(float, done.stdout.split()))).median


COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "threads": lambda r: r["threads"],
    "neighbors": lambda r: str(r["neighbors"]),
    "ms a step": lambda r: Spread(*(r["ms"][key] for key in ("median", "q1", "q3", "n"))).text(1),
}


def main(argv: Sequence[str] | None = None) -> None:
    options: argparse.Namespace = parse(__doc__, argv, minutes=1.5)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    rate = matrix_rate("cpu", "fp32", options.smoke)
    result = Result("busy", f"a training step of ssavae on {PICTURES} signals beside busy processes")
    steps, pictures = (2, 4) if options.smoke else (STEPS, PICTURES)
    sides = [(limited, neighbors) for neighbors in (0, cores) for limited in (False, True)]
    times: dict[tuple[bool, int], list[float]] = {side: [] for side in sides}
    for number in range(options.rounds):
        start = time.monotonic()
        for side in sides:
            times[side].append(measure(*side, steps, pictures))
        result.rates.append(rate())
        if number and remaining(options) < time.monotonic() - start:
            break
    for (limited, neighbors), seconds in times.items():
        spread = Spread.of([1000 * value for value in seconds])
        about = "as mien sets them" if limited else "as the library sets them"
        result.rows.append({"threads": about, "neighbors": neighbors, "ms": spread.to_json()})
    ratios = Spread.of([a / b for a, b in zip(times[False, cores], times[True, cores], strict=True)])
    what = "beside as many busy programs as cores, the library's time over mien's"
    result.target(what, "≥ 2", ratios.text(1), ratios.median >= 2)
    idle = Spread.of([a / b for a, b in zip(times[True, 0], times[False, 0], strict=True)])
    result.target("alone, mien's time over the library's", "≤ 1.1", idle.text(2), idle.median <= 1.1)
    result.finish(options, COLUMNS)


if __name__ == "__main__":
    main()
