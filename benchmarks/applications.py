"""Wall time, CPU time and peak memory of every measure and application on 9,000 pictures, and estimates for 100,000.

    python benchmarks/applications.py [--smoke] [--count 9000] [--only NAME ...] [--slow] [--data celeba --root R]

The pictures are 9,000 faces of CelebA at 32 px if MIEN_DATA has it, otherwise drawn avatars. Two small VAE-WGANs of
different seeds, and an attribute_cnn as the judge, are trained for a few steps, once, into --cache. Only their costs
matter, not the quality of their pictures. Feature networks have random weights, which cost as much as published ones.

Each subject runs in a separate process. The clock starts, and the peak of memory (getrusage) is reset, after the run is
opened and the subject's inputs (pictures, latents) exist. Memory has four parts: a process that has only opened the
run, the inputs, the result, and the rest, which must not grow with the number of pictures. A subject of less than a
minute runs three times in the same process, for median and quartiles; the first time includes imports and is reported
separately. --slow adds the subjects of a quarter of an hour and more. --only repeats the named subjects and keeps the
other rows of a stored result of the same data and count. Without --slow, a run takes about 25 minutes on one core.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

# the parent imports this file too and must stay small: the peak memory of a child starts at that of its parent
import subjects_measures
import subjects_uses
from common import Result, parse, remaining
from subjects import JUDGE, OTHER, RUN, SUBJECTS, WEIGHTS, Given, make, state
from timing import Spread, matrix_rate
from workers import Worker, peak_megabytes, serve

assert subjects_measures  # the import registers the subjects
assert subjects_uses
COUNT, MANY = 9_000, 100_000
REPEATS, LONG = 3, 60.0  # repeats of a subject, unless it takes more seconds than LONG
SLACK_MB = 40  # allowed difference of memory between 9,000 and 100,000 latents, without the latents


# --------------------------------------------------------------------------------- requests to the process of a subject


def open_(folder: str, copy: str, weights: bool, device: str, count: int, many: int) -> dict[str, Any]:
    """Open the run in a separate folder; return the memory of the process."""
    for name in (RUN, OTHER, JUDGE):
        shutil.copytree(Path(folder) / name, Path(copy) / name)
    if weights:
        os.environ |= {variable: str(Path(folder) / file) for variable, file in WEIGHTS.items()}
    state["given"] = Given(Path(copy), device, count, many)
    assert state["given"].run.model is not None
    forget_peak()
    return {"megabytes": peak_megabytes()}


def forget_peak() -> None:
    """Reset the peak of memory, if the system can. The peak of the preparation would hide smaller ones."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def prepare(name: str) -> dict[str, Any]:
    """Make the inputs of a subject; return their size and the number of pictures."""
    state["work"] = SUBJECTS[name].prepare(state["given"])
    forget_peak()
    return {"megabytes": megabytes(state["work"].given), "n": state["work"].n}


def once() -> dict[str, Any]:
    """Run the subject; return its costs, or the reason why it cannot run."""
    from mien.errors import MienError

    start, cpu = time.perf_counter(), time.process_time()
    try:
        result = state["work"].call()
    except MienError as reason:
        return {"skipped": str(reason).replace(str(state["given"].folder), "")}
    took = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu}
    if result is None:
        return {"skipped": "it does not apply to this run and its data"}
    matches = {"found": state.pop("found")} if "found" in state else {}
    return {**took, "result": megabytes(result), "megabytes": peak_megabytes(), **matches}


def rate(smoke: bool) -> dict[str, Any]:
    """Return the matrix rate and its threads. This request comes last, because it uses memory."""
    import torch

    return {"rate": matrix_rate("cpu", "fp32", smoke)(), "threads": torch.get_num_threads()}


def megabytes(value: Any) -> float:
    """Return the size of the arrays in a result, in MB.

    >>> import numpy as np
    >>> megabytes({"z": [np.zeros(2**18, np.float32)], "n": 3})
    1.0
    """
    if hasattr(value, "nbytes"):
        return float(value.nbytes) / 2**20
    if isinstance(value, Mapping):
        return sum(map(megabytes, value.values()))
    if isinstance(value, list | tuple):
        return sum(map(megabytes, value))
    return sum(map(megabytes, vars(value).values())) if hasattr(value, "__dataclass_fields__") else 0.0


HANDLERS: dict[str, Callable[..., dict[str, Any]]] = {
    "make": make,
    "open": open_,
    "prepare": prepare,
    "once": once,
    "rate": rate,
}


class Local:
    """The requests in this process, for a smoke run, which measures nothing."""

    def __call__(self, what: str, **values: Any) -> dict[str, Any]:
        return HANDLERS[what](**values)

    def __enter__(self) -> Local:
        return self

    def __exit__(self, *exception: object) -> None:
        state.clear()


def worker(options: argparse.Namespace) -> Worker | Local:
    """Start a fresh process of this file."""
    return Local() if options.smoke else Worker([sys.executable, str(Path(__file__).resolve()), "--worker"])


# -------------------------------------------------------------------------------------------------------- the parent


def take(name: str, folder: Path, options: argparse.Namespace, result: Result) -> dict[str, Any] | str:
    """Measure one subject in a separate process; return its row, or the reason for the skip."""
    about = {"device": options.device, "count": options.count, "many": options.many, "weights": not options.smoke}
    with tempfile.TemporaryDirectory() as copy, worker(options) as ask:
        opened = ask("open", folder=str(folder), copy=copy, **about)["megabytes"]
        inputs = ask("prepare", name=name)
        done: list[dict[str, Any]] = []
        while not done or (len(done) < options.rounds and done[0]["seconds"] < LONG):
            answer = ask("once")
            if "skipped" in answer:
                return answer["skipped"]
            done.append(answer)
        rated = ask("rate", smoke=options.smoke)
    result.rates.append(rated["rate"])
    peak = done[0]["megabytes"]
    parts = {"opened": opened, "given": inputs["megabytes"], "result": done[0]["result"]}
    return {
        "name": name,
        "kind": SUBJECTS[name].kind,
        "what": SUBJECTS[name].what,
        "n": inputs["n"],
        "threads": rated["threads"],
        "seconds": Spread.of(d["seconds"] for d in done).to_json(),
        "cpu_seconds": Spread.of(d["cpu_seconds"] for d in done).to_json(),
        "first_seconds": round(done[0]["seconds"], 2),
        "per_second": Spread.of(inputs["n"] / d["seconds"] for d in done).to_json(),
        "peak_megabytes": round(peak),
        "megabytes": {k: round(v) for k, v in parts.items()} | {"beyond": round(peak - sum(parts.values()))},
        **{k: done[0][k] for k in ("found",) if k in done[0]},
    }


def stored(options: argparse.Namespace, result: Result) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return the rows of a stored result of the same pictures, by name, and its notes."""
    path = options.out / "applications.json" if options.out else None
    if path is None or not path.is_file():
        return {}, []
    old = json.loads(path.read_text(encoding="utf-8"))
    if old["about"] != result.about:
        return {}, []
    machine_ = {key: old["machine"][key] for key in ("commit", "threads")}
    return {row["name"]: machine_ | row for row in old["rows"] if row["name"] in SUBJECTS}, old["notes"]


def judge_memory(result: Result) -> None:
    """Add the targets: apart from the latents themselves, many latents use no more memory than few."""
    rows = {row["name"]: row for row in result.rows}
    for few, many, words in (("encode", "encode_many", "encoding"), ("neighbors", "neighbors_many", "neighbors of")):
        if few in rows and many in rows:
            a, b = (rows[name]["megabytes"]["beyond"] for name in (few, many))
            what = f"{words} {rows[many]['n']:,}: memory beside pictures and latents, over that of {rows[few]['n']:,}"
            result.target(what, f"≤ {SLACK_MB} MB more", f"{b - a:+d} MB ({b} and {a})", b - a <= SLACK_MB)


def threads_note(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the rows that were measured on fewer threads than the others."""
    most = max((row["threads"] for row in rows), default=0)
    fewer = [f"{row['name']} on {row['threads']}" for row in rows if row["threads"] < most]
    return [f"Threads: {most}, but {', '.join(fewer)}."] if fewer else []


def seconds(values: Mapping[str, float]) -> str:
    """Return seconds as short text."""
    spread = Spread(values["median"], values["q1"], values["q3"], int(values["n"]))
    digits = 2 if spread.median < 10 else 1
    return spread.text(digits) if spread.n > 1 else f"{spread.median:.{digits}f}"


COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "subject": lambda r: r["name"],
    "n": lambda r: f"{r['n']:,}",
    "seconds": lambda r: seconds(r["seconds"]),
    "CPU s": lambda r: seconds(r["cpu_seconds"]),
    "first": lambda r: f"{r['first_seconds']:.1f}",
    "a second": lambda r: f"{r['per_second']['median']:,.0f}",
    "peak MB": lambda r: f"{r['peak_megabytes']:,}",
    "opened": lambda r: f"{r['megabytes']['opened']:,}",
    "given": lambda r: f"{r['megabytes']['given']:,}",
    "result": lambda r: f"{r['megabytes']['result']:,}",
    "beyond": lambda r: f"{r['megabytes']['beyond']:,}",
}


def options_of(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the options, and values derived from them."""

    def more(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--count", type=int, default=COUNT, help=f"pictures  [{COUNT}]")
        parser.add_argument(
            "--only", nargs="+", metavar="NAME", choices=SUBJECTS, help=f"subjects: {', '.join(SUBJECTS)}"
        )
        parser.add_argument("--slow", action="store_true", help="also subjects of a quarter of an hour and more")
        parser.add_argument("--data", help="data set with attributes  [celeba if MIEN_DATA has it, else avatars]")
        parser.add_argument("--root", help="folder of the data set")
        parser.add_argument("--cache", type=Path, help="folder of the trained runs  [in the cache of prepared sets]")

    options = parse(__doc__, argv, minutes=45, more=more)
    options.count, options.many = (60, 200) if options.smoke else (options.count, MANY)
    options.rounds = 1 if options.smoke else REPEATS
    if options.data is None:
        celeba = Path(os.environ.get("MIEN_DATA", "")) / "celeba" / "img_align_celeba.zip"
        options.data = "celeba" if not options.smoke and (options.root or celeba.is_file()) else "avatars"
    if options.count < 60:
        print(f"error: expected a --count of 60 or more, got {options.count}", file=sys.stderr)
        sys.exit(2)
    return options


def main(argv: Sequence[str] | None = None) -> None:
    options = options_of(argv)
    chosen = options.only or [name for name, subject in SUBJECTS.items() if options.slow or not subject.slow]
    if options.smoke:  # a smoke run has no weights, and 16 pixels show no faces
        chosen = [n for n in chosen if not n.startswith(("lpips", "inception", "identity", "landmarks", "distances"))]
    size, width, steps = (16, 4, 2) if options.smoke else (32, 16, 300)
    with tempfile.TemporaryDirectory() as scratch:
        cache = Path(scratch) if options.smoke else options.cache or cache_dir()
        folder = cache / f"applications-{options.data}-{options.count}"
        choice = {"data": options.data, "root": options.root, "count": options.count, "size": size}
        with worker(options) as ask:
            about = ask("make", folder=str(folder), width=width, steps=steps, **choice)
        words = f"{min(options.count, about['count']):,} pictures of {about['name']} at {size} px"
        result = Result("applications", f"measures and applications on {words}; vae_wgan, width {width}")
        rows: dict[str, dict[str, Any]] = {}
        skipped: dict[str, str] = {}
        for name in chosen:
            if remaining(options) <= 0:
                skipped[name] = f"skipped: {name}, as {options.minutes:g} minutes were over"
                continue
            print(f"{name} …", file=sys.stderr, flush=True)
            try:
                row = take(name, folder, options, result)
            except RuntimeError as error:  # out of memory, for example
                row = str(error)
            except KeyboardInterrupt:  # the completed rows are stored
                break
            if isinstance(row, str):
                skipped[name] = f"skipped: {name}, {row}"
            else:
                rows[name] = row
    # read here, because another call may have measured other subjects meanwhile
    old, notes = stored(options, result)
    rows = old | rows
    earlier = {name: note for note in notes for name in SUBJECTS if note.startswith(f"skipped: {name},")}
    skipped = {name: note for name, note in (earlier | skipped).items() if name not in rows}
    result.rows = [rows[name] for name in SUBJECTS if name in rows]
    judge_memory(result)
    result.notes = [*NOTES, *threads_note(result.rows), *skipped.values()]
    result.finish(options, COLUMNS)


def cache_dir() -> Path:
    """Return the folder of prepared sets; this part of mien imports neither torch nor numpy."""
    from mien.data import cache_dir

    return cache_dir() / "benchmarks"


NOTES = [
    "Trained for 300 steps: what the models make of a picture is of no interest here, and feature networks have "
    "random weights. All pictures are measured, also those trained on.",
    "Other work ran on the machine: CPU seconds suffer less of it than wall time. Where a subject is done three times, "
    "the first, which stands apart, includes imports.",
    "Memory in MB: of a process that has opened the run, of the inputs, of the result, and beyond.",
]


if __name__ == "__main__":
    if "--worker" in sys.argv:
        serve(HANDLERS)
    else:
        main()
