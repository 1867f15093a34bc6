"""The targets for one large GPU: full-size training in bf16 at several batch sizes, with pictures on the device.

    python benchmarks/gpu.py [--smoke] [--minutes 6] [--device cuda|cpu]

VAE-WGAN at 64 px and iterative GAN at 128 px, at full width in bf16, with batches of 64 to 2,048 as memory allows. Each
step gathers its batch from pictures that are on the device as bytes, as ``mien train`` does if they fit. Five rounds of
a bf16 matrix product and some steps in turns give images/s and the share of the matrix rate. The profile follows: the
time by network, the number of waits of the host for the device, and the peak of device memory. The best batch is
measured again with compiled networks (``mien train --compile``), in turns with networks that are not compiled.
benchmarks/inference.py measures the latency of an edit at batch 1. With ``--smoke`` the benchmark also runs on a CPU,
at the smallest sizes; otherwise it needs CUDA. A run takes about six minutes on an H200.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import Result, parse, remaining
from noise import noise
from timing import Spread, interleave, matrix_rate, subject
from train_steps import CASES, Case, Steps, count, make, parts_text, small

from mien.data.dataset import Dataset
from mien.training.compiling import compile_networks
from mien.training.profile import profiled
from mien.training.resident import Resident

SWEEP = (64, 128, 256, 512, 1024, 2048)
PICTURES = 8_192
SHARE = 0.35  # target: share of the matrix rate of the large-batch step
GOALS = {"vae_wgan": 6_000, "iterative_gan": 3_000}  # images/s


def resident_steps(case: Case, dataset: Dataset, batch: int, options: argparse.Namespace, compiled: bool) -> Steps:
    """Return steps with their pictures on the device."""
    model = make(case, options.device)
    if compiled:
        # the compilation of kernels takes a minute, the other stages take seconds
        compile_networks(model, **({"backend": "aot_eager"} if options.smoke else {}))
    held = Resident(dataset, np.arange(len(dataset)), options.device)
    return Steps(model, dataset, batch, options.device, "bf16", read_from=held)


def sweep(case: Case, folder: Path, options: argparse.Namespace, rate: Callable[[], float], result: Result) -> None:
    """Measure a case at one batch after another, until memory or time ends."""
    device = options.device
    chosen = small(case) if options.smoke else case
    dataset = noise(folder, 64 if options.smoke else PICTURES, chosen.shape)
    rows = []
    for batch in (4, 8) if options.smoke else SWEEP:
        if remaining(options) <= 0:
            result.notes.append(f"skipped, as {options.minutes:g} minutes were over: {case.model} at batch {batch}")
            break
        try:
            rows.append(measure(chosen, dataset, batch, device, options, rate, result))
        except torch.OutOfMemoryError:
            result.notes.append(f"skipped, as it does not fit the device: {case.model} at batch {batch}")
            torch.cuda.empty_cache()
            break
    result.rows += rows
    if not rows:
        return
    best = max(rows, key=lambda r: r["images_per_second"]["median"])
    if options.smoke and case.model != "vae_wgan":
        return  # one case is enough
    if remaining(options) > 0:
        result.rows.append(compiled(chosen, dataset, best, options, rate, result))
        best = max(result.rows[-1], best, key=lambda r: r["images_per_second"]["median"])
    else:
        result.notes.append(f"skipped, as {options.minutes:g} minutes were over: {case.model} compiled")
    speed, share = best["images_per_second"]["median"], best["share_of_matrix_rate"]["median"]
    where = f"batch {best['batch']}{', compiled' if best.get('compiled') else ''}"
    goal = GOALS[case.model]
    name = f"{case.model} at {case.shape[1]} px, bf16"
    result.target(name, f"≥ {goal:,} images/s", f"{speed:,.0f} ({where})", speed >= goal)
    result.target(f"{name}, of the matrix rate", f"≥ {SHARE:.0%}", f"{share:.0%} ({where})", share >= SHARE)


def measure(
    case: Case, dataset: Dataset, batch: int, device: str, options: argparse.Namespace,
    rate: Callable[[], float], result: Result,
) -> dict[str, Any]:  # fmt: skip
    """Return the row of a case at one batch."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    steps = resident_steps(case, dataset, batch, options, compiled=False)
    flop = count(steps) * batch
    call = subject(steps, device, 0.0 if options.smoke else 1.0, warm_up=1 if options.smoke else 5)
    rounds = interleave({"step": call}, options.rounds, rate)
    result.rates += rounds.rates
    parts = profiled(steps.model, steps, 1 if options.smoke else 5)
    return {
        "model": case.model,
        "shape": list(case.shape),
        "batch": batch,
        "compiled": False,
        "gflop_per_image": round(flop / batch / 1e9, 4),
        "images_per_second": Spread.of(batch / s for s in rounds.seconds["step"]).to_json(),
        "share_of_matrix_rate": rounds.share("step", flop).to_json(),
        "step_seconds": rounds.seconds["step"],
        "matrix_rates": rounds.rates,
        "peak_device_megabytes": round(torch.cuda.max_memory_allocated() / 2**20) if device == "cuda" else None,
        "parts": parts.to_json(),
    }


def compiled(
    case: Case, dataset: Dataset, plain: dict[str, Any], options: argparse.Namespace,
    rate: Callable[[], float], result: Result,
) -> dict[str, Any]:  # fmt: skip
    """Return the row of a case with compiled networks, at the batch of the row ``plain``."""
    device, batch = options.device, plain["batch"]
    seconds, warm_up = (0.0, 1) if options.smoke else (1.0, 5)
    subjects = {
        name: subject(
            resident_steps(case, dataset, batch, options, name == "compiled"), device, seconds, warm_up=warm_up
        )
        for name in ("compiled", "written")
    }
    rounds = interleave(subjects, options.rounds, rate)
    result.rates += rounds.rates
    return {
        **{k: plain[k] for k in ("model", "shape", "batch", "gflop_per_image")},
        "compiled": True,
        "images_per_second": Spread.of(batch / s for s in rounds.seconds["compiled"]).to_json(),
        "share_of_matrix_rate": rounds.share("compiled", plain["gflop_per_image"] * 1e9 * batch).to_json(),
        "over_written": rounds.speedup("compiled", "written").to_json(),
        "step_seconds": rounds.seconds["compiled"],
        "matrix_rates": rounds.rates,
        "peak_device_megabytes": None,
    }


def _text(values: dict[str, float], digits: int, factor: float = 1.0) -> str:
    return Spread(values["median"], values["q1"], values["q3"], int(values["n"])).text(digits, factor)


COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "model": lambda r: f"{r['model']}, {r['shape'][1]} px",
    "batch": lambda r: f"{r['batch']}{', compiled' if r['compiled'] else ''}",
    "images/s": lambda r: _text(r["images_per_second"], 0),
    "% of matrix rate": lambda r: _text(r["share_of_matrix_rate"], 0, 100),
    "over as written": lambda r: _text(r["over_written"], 2) if r["compiled"] else "",
    "device memory": lambda r: f"{r['peak_device_megabytes']:,} MB" if r["peak_device_megabytes"] else "",
    "where the time goes": parts_text,
}


def main(argv: Sequence[str] | None = None) -> None:
    options = parse(__doc__, argv, minutes=6, device="cuda")
    rate = matrix_rate(options.device, "bf16", options.smoke)
    result = Result("gpu", "training at full size, bf16, pictures resident on the device")
    with tempfile.TemporaryDirectory() as scratch:
        for model in GOALS:
            case = next(c for c in CASES if c.model == model and "paper" in c.kind)
            sweep(case, Path(scratch), options, rate, result)
    result.finish(options, COLUMNS)


if __name__ == "__main__":
    main()
