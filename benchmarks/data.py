"""Speed of preparing and reading pictures, compared with torchvision's data sets and DataLoader, and memory.

    python benchmarks/data.py [--smoke] [--minutes 2] [--device cpu|cuda]

The pictures are real ones of CelebA (up to 9,000) if MIEN_DATA has it, otherwise drawn avatars in JPEG files. Each side
runs in a fresh process; the sides take turns in five rounds:
- Shuffled batches of 64 at 64 px: our prepared set against ImageFolder (crop, resize, to tensor, normalize) in a
  DataLoader without workers and with two.
- The same for 200,000 synthetic pictures of 64 px: our file (2.4 GB in a temporary folder, deleted afterwards; 32 px if
  the disk is nearly full) against a torchvision data set that holds them in memory, like its own array sets.
The preparation is timed once, in pictures per second. Memory is the largest resident size of each process, from
getrusage, also for small trainings on 2,000 and on 200,000 pictures. On a GPU, batches that are read from the file onto
the device are compared with batches of pictures that are on the device. A run takes about two minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from common import Result, parse, remaining
from noise import noise
from timing import Spread, interleave, matrix_rate
from workers import Worker, peak_megabytes, serve

SIZE, BATCH, MANY, FEW = 64, 64, 200_000, 2_000
PICTURES = 9_000
CELEBA = 202_599  # pictures; the target is a preparation within five minutes
SLACK_MB = 40  # allowed difference of memory between trainings on few and on many pictures (2.4 GB)

state: dict[str, Any] = {}

# ------------------------------------------------------------------------------------- requests to the worker processes


def open_ours(folder: str) -> dict[str, Any]:
    """Open a prepared set."""
    from mien.data.dataset import Dataset
    from mien.training.loop import Order

    dataset = Dataset(folder)
    order = Order(np.arange(len(dataset)), seed=0)
    state["batches"] = (dataset.batch(order.at(i * BATCH, BATCH)).x for i in range(10**9))
    return {"megabytes": peak_megabytes()}


def open_torchvision(folder: str, workers: int, size: int) -> dict[str, Any]:
    """Open a folder of pictures with torchvision."""
    from torch.utils.data import DataLoader
    from torchvision import datasets, transforms

    steps = [
        transforms.Resize(size),
        transforms.CenterCrop(size),
        transforms.ToTensor(),
        transforms.Normalize([0.5] * 3, [0.5] * 3),
    ]
    dataset = datasets.ImageFolder(folder, transforms.Compose(steps))
    state["batches"] = _endless(DataLoader(dataset, BATCH, shuffle=True, num_workers=workers, drop_last=True))
    return {"megabytes": peak_megabytes()}


def open_array(file: str, count: int, size: int) -> dict[str, Any]:
    """Hold ``count`` pictures in memory like torchvision's array sets: one picture at a time, through Pillow."""
    from PIL import Image
    from torch.utils.data import DataLoader
    from torchvision import datasets, transforms

    class Pictures(datasets.VisionDataset):
        def __init__(self) -> None:
            super().__init__(
                "", transform=transforms.Compose([transforms.ToTensor(), transforms.Normalize([0.5] * 3, [0.5] * 3)])
            )
            self.data = np.load(file)

        def __len__(self) -> int:
            return len(self.data)

        def __getitem__(self, i: int) -> tuple[Any, int]:
            assert self.transform is not None
            return self.transform(Image.fromarray(self.data[i])), 0

    dataset = Pictures()
    assert dataset.data.shape == (count, size, size, 3)
    state["batches"] = _endless(DataLoader(dataset, BATCH, shuffle=True, drop_last=True))
    return {"megabytes": peak_megabytes()}


def _endless(loader: Any) -> Iterator[Any]:
    while True:
        for x, _ in loader:
            yield x


def read(batches: int) -> dict[str, float]:
    """Read some batches; return the seconds per picture, and the peak of memory."""
    start = time.perf_counter()
    for _ in range(batches):
        x = next(state["batches"])
    assert len(x) == BATCH
    return {"seconds": (time.perf_counter() - start) / (batches * BATCH), "megabytes": peak_megabytes()}


def prepare(data: str, root: str | None, cache: str, options: dict[str, Any]) -> dict[str, float]:
    """Prepare a set; return the seconds and the number of pictures."""
    from mien import data as datasets

    start = time.perf_counter()
    dataset = datasets.load(data, root, SIZE, cache=cache, **options)
    return {
        "seconds": time.perf_counter() - start,
        "count": len(dataset),
        "folder": str(dataset.folder),  # type: ignore[dict-item]
        "megabytes": peak_megabytes(),
    }


def train(folder: str, steps: int, out: str) -> dict[str, float]:
    """Train a small VAE for a few steps; return the peak of memory."""
    from mien.data.dataset import Dataset
    from mien.models.base import build
    from mien.training.loop import Settings, fit

    dataset = Dataset(folder)
    splits = dataset.split()
    model = build("vae", {"shape": list(dataset.shape), "width": 4, "latent": 8})
    settings = Settings(steps=steps, batch=BATCH, device="cpu", picture_every=steps, log_every=steps)
    Path(out).mkdir()
    fit(model, dataset, splits.train, splits.valid, Path(out), settings)
    return {"megabytes": peak_megabytes()}


HANDLERS: dict[str, Callable[..., dict[str, Any]]] = {
    "open_ours": open_ours,
    "open_torchvision": open_torchvision,
    "open_array": open_array,
    "read": read,
    "prepare": prepare,
    "train": train,
}


class Local:
    """The requests in this process, for a smoke run, which measures nothing."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}

    def __call__(self, what: str, **values: Any) -> dict[str, Any]:
        global state
        state = self.state
        return HANDLERS[what](**values)

    def __enter__(self) -> Local:
        return self

    def __exit__(self, *exception: object) -> None:
        self.state.clear()


def worker(options: argparse.Namespace) -> Worker | Local:
    """Start a fresh process of this file."""
    return Local() if options.smoke else Worker([sys.executable, str(Path(__file__).resolve()), "--worker"])


# ------------------------------------------------------------------------------------------------- the comparisons


def files(folder: Path, count: int) -> tuple[str, str | None, dict[str, Any], str]:
    """Write at most ``count`` pictures into ``folder`` as files; return the source of the same pictures for our side.

    Returns:
        (data set, its root, its options, what they are in words).
    """
    (folder / "all").mkdir(parents=True)
    base = os.environ.get("MIEN_DATA")
    if base and (Path(base) / "celeba" / "img_align_celeba.zip").is_file():
        import zipfile

        root = Path(base) / "celeba"
        with zipfile.ZipFile(root / "img_align_celeba.zip") as archive:
            names = [n for n in archive.namelist() if n.endswith(".jpg") and "__MACOSX" not in n][:count]
            for name in names:
                (folder / "all" / Path(name).name).write_bytes(archive.read(name))
        what = "CelebA"
    else:
        from mien import data as datasets
        from mien.data.pictures import save_picture

        names = []
        source = datasets.source("avatars", count=min(count, 600))
        for i in range(min(count, 600)):
            path = folder / "all" / f"{i:06d}.jpg"
            save_picture(source.read(i, 128), path)
            names.append(path.name)
        what = "drawn avatars"
    return "folder", str(folder / "all"), {}, f"{len(names):,} JPEG pictures of {what}"


def compare(
    title: str, subjects: Mapping[str, Worker | Local], batches: dict[str, int], options: argparse.Namespace,
    rate: Callable[[], float], result: Result,
) -> None:  # fmt: skip
    """Let every worker read in turns and add a row for each peer."""
    peak: dict[str, float] = {}

    def reading(name: str) -> Callable[[], float]:
        def run() -> float:
            answer = subjects[name]("read", batches=batches[name])
            peak[name] = answer["megabytes"]
            return answer["seconds"]

        return run

    calls = {name: reading(name) for name in subjects}
    for call in calls.values():
        call()
    rounds = interleave(calls, options.rounds, rate)
    result.rates += rounds.rates
    for name in subjects:
        row = {
            "what": title,
            "side": name,
            "pictures_per_second": Spread.of(1 / s for s in rounds.seconds[name]).to_json(),
            "peak_megabytes": round(peak[name]),
        }
        if name != "ours":
            row["ours_faster"] = rounds.speedup("ours", name).to_json()
        result.rows.append(row)


def real(scratch: Path, options: argparse.Namespace, rate: Callable[[], float], result: Result) -> None:
    """Prepare and read real pictures."""
    count = 64 if options.smoke else PICTURES
    name, root, settings, what = files(scratch / "files", count)
    with worker(options) as ours:
        ready = ours("prepare", data=name, root=root, cache=str(scratch / "cache"), options=settings)
    speed = ready["count"] / ready["seconds"]
    result.rows.append(
        {
            "what": f"preparing {what} at {SIZE} px",
            "side": "ours",
            "pictures_per_second": Spread.of([speed]).to_json(),
            "peak_megabytes": round(ready["megabytes"]),
        }
    )
    minutes = CELEBA / speed / 60
    result.target(f"preparing {CELEBA:,} pictures", "< 5 min", f"{minutes:.1f} min at this rate", minutes < 5)
    with ExitStack() as stack:
        names = ("ours", "torchvision") if options.smoke else ("ours", "torchvision", "torchvision, 2 workers")
        sides = {name: stack.enter_context(worker(options)) for name in names}
        sides["ours"]("open_ours", folder=ready["folder"])
        for number, name in enumerate(names[1:]):
            sides[name]("open_torchvision", folder=str(scratch / "files"), workers=2 * number, size=SIZE)
        few, many = (1, 1) if options.smoke else (8, 200)
        batches = {name: many if name == "ours" else few for name in names}
        compare(f"reading {what} at {SIZE} px, batches of {BATCH}", sides, batches, options, rate, result)


def synthetic(scratch: Path, options: argparse.Namespace, rate: Callable[[], float], result: Result) -> None:
    """Read many pictures, and train on few and on many."""
    count, size = (512, 16) if options.smoke else (MANY, SIZE)
    if shutil.disk_usage(scratch).free < 3 * count * size * size * 3:
        size = 32
    many = noise(scratch / "many", count, (3, size, size))
    few = noise(scratch / "few", 128 if options.smoke else FEW, (3, size, size))
    with ExitStack() as stack:
        sides = {name: stack.enter_context(worker(options)) for name in ("ours", "torchvision in memory")}
        sides["ours"]("open_ours", folder=str(many.folder))
        sides["torchvision in memory"]("open_array", file=str(many.folder / "images.npy"), count=count, size=size)
        batches = (
            {"ours": 1, "torchvision in memory": 1} if options.smoke else {"ours": 200, "torchvision in memory": 20}
        )
        title = f"reading {count:,} synthetic pictures of {size} px, batches of {BATCH}"
        compare(title, sides, batches, options, rate, result)
    megabytes = {}
    for dataset in (few, many):
        with worker(options) as fresh:
            out = str(scratch / f"run-{len(dataset)}")
            megabytes[len(dataset)] = fresh(
                "train", folder=str(dataset.folder), steps=2 if options.smoke else 30, out=out
            )["megabytes"]
        result.rows.append(
            {
                "what": f"training a small VAE on {len(dataset):,} pictures of {size} px",
                "side": "ours",
                "peak_megabytes": round(megabytes[len(dataset)]),
            }
        )
    more = megabytes[len(many)] - megabytes[len(few)]
    text = f"{more:+.0f} MB for {len(many) / len(few):.0f} times the pictures"
    result.target("memory of a training does not grow with the pictures", f"< {SLACK_MB} MB", text, more < SLACK_MB)


def resident(scratch: Path, options: argparse.Namespace, rate: Callable[[], float], result: Result) -> None:
    """Read batches from the file onto a GPU, and gather batches from pictures on the GPU."""
    import torch
    from timing import timed

    from mien.training.loop import Order

    size, batch = 64, 1024
    dataset = noise(scratch / "device", 20_000, (3, size, size))
    held = torch.from_numpy(dataset.pictures(np.arange(len(dataset)))).to(options.device)
    order = Order(np.arange(len(dataset)), seed=0)
    positions = [order.at(i * batch, batch) for i in range(16)]
    on_device = [torch.from_numpy(p).to(options.device) for p in positions]

    def off_file() -> None:
        for position in positions:
            dataset.batch(position, options.device)

    def gathered() -> None:
        for position in on_device:
            held[position].permute(0, 3, 1, 2).float().div_(127.5).sub_(1)

    subjects = {"resident": timed(gathered, options.device), "off the file": timed(off_file, options.device)}
    for call in subjects.values():
        call()
    rounds = interleave(subjects, options.rounds, rate)
    result.rates += rounds.rates
    for name, seconds in rounds.seconds.items():
        row = {
            "what": f"batches of {batch} at {size} px on the device",
            "side": name,
            "pictures_per_second": Spread.of(len(positions) * batch / s for s in seconds).to_json(),
        }
        if name != "resident":
            row["ours_faster"] = rounds.speedup("resident", name).to_json()
        result.rows.append(row)


def _text(values: dict[str, float] | None, digits: int = 0) -> str:
    if not values:
        return ""
    return Spread(values["median"], values["q1"], values["q3"], int(values["n"])).text(digits)


COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "what": lambda r: r["what"],
    "side": lambda r: r["side"],
    "pictures/s": lambda r: _text(r.get("pictures_per_second")),
    "first row is faster by": lambda r: _text(r.get("ours_faster"), 1),
    "peak memory": lambda r: f"{r['peak_megabytes']:,} MB" if "peak_megabytes" in r else "",
}


def main(argv: Sequence[str] | None = None) -> None:
    options = parse(__doc__, argv, minutes=2)
    rate = matrix_rate(options.device, "fp32", options.smoke)
    result = Result("data", "preparing and reading pictures, against torchvision; memory")
    with tempfile.TemporaryDirectory() as scratch:
        real(Path(scratch), options, rate, result)
        if remaining(options) > 0:
            synthetic(Path(scratch), options, rate, result)
        else:
            result.notes.append(f"skipped, as {options.minutes:g} minutes were over: {MANY:,} synthetic pictures")
        if options.device == "cuda":
            resident(Path(scratch), options, rate, result)
    print(json.dumps({"rows": len(result.rows)}), flush=True)
    result.finish(options, COLUMNS)


if __name__ == "__main__":
    if "--worker" in sys.argv:
        serve(HANDLERS)
    else:
        main()
