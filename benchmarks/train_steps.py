"""The training step of every model at its default and at its paper's size.

    python benchmarks/train_steps.py [--smoke] [--minutes 4] [--device cpu|cuda] [--only NAME ...] [--formats]

For each case: images/s; GFLOP an image, counted over a whole step; the share of the rate of a plain matrix product
measured in the same round; and where the time goes. Then the loop of ``mien train`` against a bare loop of the same
small model, and the share of a small model's step that reading its pictures takes. About four minutes on two cores.

Method. Five rounds of a matrix product and one or more steps, in turns. Operations are counted by torch's
FlopCounterMode over forward and backward (a multiplication and an addition are two; convolutions and matrix products
only). The parts are those of mien.training.profile: torch's profiler, an operation's own time to the network inside
whose call it runs, and of the backward pass to the network whose forward operation made it. Pictures are noise, read
from a prepared data set; loss networks have random weights. ``--formats`` adds a step whose weights are not stored
channels last. The iterative GAN takes one update of each side a step.
"""

from __future__ import annotations

import argparse
import copy
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from common import Result, parse, remaining
from loop_cost import loop
from noise import ATTRIBUTES, CLASSES, noise
from timing import Rounds, Spread, interleave, matrix_rate, subject
from torch.utils.flop_counter import FlopCounterMode

from mien import models
from mien.data.dataset import Dataset
from mien.models.base import Model, arguments, build
from mien.networks.loss_network import LossNetwork
from mien.networks.vgg import IMAGENET_MEAN, IMAGENET_STD
from mien.run.loss_network import VGG19_DEPTHS, VGG19_WIDTHS
from mien.training.loop import Order, Settings, make_fabric
from mien.training.marks import DATA, part
from mien.training.profile import Breakdown, profiled
from mien.training.resident import Resident
from mien.training.update import Update

TARGET = 0.60  # target on a CPU: share of the matrix rate of a step of the full VAE-WGAN
LOOP_MS, DATA_SHARE = 1.0, 0.02


@dataclass(frozen=True)
class Case:
    """A model at a size.

    Args:
        model, settings: as ``mien train`` takes them.
        kind: ``default``, ``paper``, ``default = paper``, or ``demo``.
        shape: (C, H, W).
        batch, gpu_batch: pictures in a step on a CPU, and on a GPU.
        loss_network: ``vgg19`` or ``small``, the attribute CNN that ``mien demo`` trains.
    """

    model: str
    kind: str
    shape: tuple[int, int, int]
    batch: int
    gpu_batch: int
    settings: dict[str, Any] = field(default_factory=dict)
    loss_network: str = "vgg19"

    @property
    def name(self) -> str:
        return f"{self.model} {self.kind}"


VGG = {"widths": (64, 128, 256, 512, 512), "depths": (2, 2, 4, 4, 4)}
CASES = [
    Case("vae_wgan", "default = paper", (3, 64, 64), 8, 256),
    Case("vae_wgan", "demo", (3, 32, 32), 32, 1024, {"width": 16, "latent": 32}, "small"),
    Case("vae", "default = paper", (3, 64, 64), 16, 512),
    Case("dfc_vae", "default = paper", (3, 64, 64), 8, 256),
    Case("iterative_gan", "default = paper", (3, 128, 128), 8, 256, {"most_updates": 1}),
    Case("residual_gan", "default = paper", (3, 128, 128), 8, 128),
    Case("selfexgan", "default", (3, 64, 64), 32, 1024),
    Case("selfexgan", "paper", (3, 64, 64), 16, 512, {"table": "celeba_crop"}),
    Case("ssavae", "default", (1, 28, 28), 64, 2048),
    Case("ssavae", "paper", (1, 28, 28), 16, 1024, {"width": 64, "hidden": 512}),
    Case("attribute_cnn", "default", (3, 64, 64), 64, 2048),
    Case("attribute_cnn", "paper", (3, 64, 64), 8, 512, VGG),
]


def cases(only: Sequence[str]) -> list[Case]:
    """Return the cases of the models ``only``, or of all; a model without a case gets its default."""
    measured = {case.model for case in CASES}
    more = [
        Case(name, "default", arguments(name)["shape"].default, 8, 256)
        for name in models.names()
        if name not in measured
    ]
    return [case for case in [*CASES, *more] if not only or case.model in only]


def small(case: Case) -> Case:
    """Return the smallest form of ``case``, for a smoke run."""
    shape = (case.shape[0], 16, 16)
    known = arguments(case.model)
    tiny: dict[str, Any] = {"width": 4, "latent": 8, "hidden": 16, "shared": 16, "widths": (4,) * 5, "depths": (1,) * 5}
    settings = {**case.settings, **{k: v for k, v in tiny.items() if k in known}}
    settings.pop("table", None)
    return Case(case.model, case.kind, shape, 4, 4, settings, "small")


def make(case: Case, device: str) -> Model:
    """Return the model of a case with random weights, in the memory format that training uses."""
    known = arguments(case.model)
    offered = {"shape": case.shape, "attributes": ATTRIBUTES, "classes": CLASSES, "attribute": ATTRIBUTES[0]}
    config = {**{k: v for k, v in offered.items() if k in known}, **case.settings}
    torch.manual_seed(0)
    for key, parameter in known.items():
        if parameter.annotation is LossNetwork:
            config[key] = loss_network(case)
    model = build(case.model, config)
    return model.to(device).to(memory_format=torch.channels_last).train()


def loss_network(case: Case) -> LossNetwork:
    """Return a loss network with random weights."""
    channels = case.shape[0]
    if case.loss_network == "small":
        return LossNetwork(channels=channels, widths=[16, 32, 64, 96, 96], depths=[1] * 5)
    return LossNetwork(
        channels=channels,
        widths=list(VGG19_WIDTHS),
        depths=list(VGG19_DEPTHS),
        batch_norm=False,
        mean=list(IMAGENET_MEAN),
        std=list(IMAGENET_STD),
    )


class Steps:
    """A model with pictures and an update for its step.

    Args:
        model: in training mode.
        dataset: where pictures are read from, by a seeded order.
        progress: of the training, for models trained in stages.
        read_from: the same pictures on the device.
    """

    def __init__(
        self, model: Model, dataset: Dataset, batch: int, device: str, precision: str, progress: float = 0.0,
        read_from: Resident | None = None,
    ):  # fmt: skip
        self.model, self.dataset, self.batch_size, self.device = model, read_from or dataset, batch, device
        self.fabric = make_fabric(Settings(steps=1, batch=batch, device=device, precision=precision))
        self.update = Update(model, self.fabric)
        self.order = Order(dataset.split().train, seed=0)
        self.position = 0
        model.progress = progress
        model.calibrate(self.read())

    def read(self) -> Any:
        """Return the next batch."""
        index = self.order.at(self.position, self.batch_size)
        self.position += self.batch_size
        return self.dataset.batch(index, self.device)

    def __call__(self) -> None:
        """Read a batch and take a step."""
        with part(DATA):
            batch = self.read()
        with self.fabric.autocast():
            self.model.training_step(batch, self.update)


def count(steps: Steps) -> float:
    """Return the operations of a step per image, counted with a small batch."""
    plain = steps.batch_size
    steps.batch_size = 4
    with FlopCounterMode(display=False) as counter:
        steps()
    steps.batch_size = plain
    return counter.get_total_flops() / 4


def measure(case: Case, folder: Path, options: argparse.Namespace, rate: Callable[[], float]) -> list[dict[str, Any]]:
    """Return one row for each stage of a model's training."""
    device, precision = options.device, options.precision
    batch = case.gpu_batch if device == "cuda" and not options.smoke else case.batch
    dataset = noise(folder, 64 if options.smoke else 512, case.shape)
    rows = []
    for number, progress in enumerate(make(case, "cpu").stages):
        steps = Steps(make(case, device), dataset, batch, device, precision, progress)
        flop = count(steps) * batch
        call = subject(steps, device, 0.0 if options.smoke else 0.5, warm_up=0 if options.smoke else 1)
        subjects = {"step": call}
        if options.formats:
            plain = copy.deepcopy(steps.model).to(memory_format=torch.contiguous_format)
            other = Steps(plain, dataset, batch, device, precision, progress)
            subjects["contiguous"] = subject(other, device, 0.0 if options.smoke else 0.5)
        rounds = interleave(subjects, options.rounds, rate)
        options.rates += rounds.rates
        parts = profiled(steps.model, steps, 1 if options.smoke else 3)
        stage = f", stage {number + 1}" if len(steps.model.stages) > 1 else ""
        rows.append(row(case, case.kind + stage, batch, precision, flop, rounds, parts))
    return rows


def row(
    case: Case, kind: str, batch: int, precision: str, flop: float, rounds: Rounds, parts: Breakdown
) -> dict[str, Any]:
    """Return the row of a case."""
    images = Spread.of(batch / s for s in rounds.seconds["step"])
    values = {
        "model": case.model,
        "size": kind,
        "shape": list(case.shape),
        "settings": {k: list(v) if isinstance(v, tuple) else v for k, v in case.settings.items()},
        "loss_network": case.loss_network if "loss_network" in arguments(case.model) else None,
        "batch": batch,
        "precision": precision,
        "gflop_per_image": round(flop / batch / 1e9, 4),
        "images_per_second": images.to_json(),
        "share_of_matrix_rate": rounds.share("step", flop).to_json(),
        "step_seconds": rounds.seconds["step"],
        "matrix_rates": rounds.rates,
        "parts": parts.to_json(),
    }
    if "contiguous" in rounds.seconds:
        values["channels_last_over_contiguous"] = rounds.speedup("step", "contiguous").to_json()
    return values


def parts_text(values: dict[str, Any]) -> str:
    """Return the four largest parts as short text."""
    parts = values.get("parts", {}).get("parts", {})
    return ", ".join(f"{name.partition(':')[0]} {part['share']:.0%}" for name, part in list(parts.items())[:5])


def _spread(values: dict[str, float] | None, digits: int, factor: float = 1.0) -> str:
    if not values:
        return ""
    return Spread(values["median"], values["q1"], values["q3"], int(values["n"])).text(digits, factor)


COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "model": lambda r: f"{r['model']} ({r['size']})",
    "batch": lambda r: str(r["batch"]),
    "GFLOP/image": lambda r: f"{r['gflop_per_image']:.2f}" if "gflop_per_image" in r else "",
    "images/s": lambda r: _spread(r["images_per_second"], 1),
    "% of matrix rate": lambda r: _spread(r.get("share_of_matrix_rate"), 0, 100),
    "where the time goes": parts_text,
}


def main(argv: Sequence[str] | None = None) -> None:
    def more(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--only", nargs="*", default=[], help="models")
        parser.add_argument("--formats", action="store_true", help="compare memory formats too")
        parser.add_argument("--precision", choices=("fp32", "bf16"), help="[fp32; on a GPU bf16]")

    options = parse(__doc__, argv, minutes=4, more=more)
    options.precision = options.precision or {"cpu": "fp32", "cuda": "bf16"}[options.device]
    options.rates = []
    rate = matrix_rate(options.device, options.precision, options.smoke)
    result = Result("train_steps", "training steps: images/s, and the share of a matrix product's rate")
    chosen = cases(options.only)
    if options.smoke:
        chosen = [case for case in chosen if case.kind.startswith("default")]
    with tempfile.TemporaryDirectory() as scratch:
        for number, case in enumerate(chosen):
            if remaining(options) <= 0:
                result.notes += [
                    f"skipped, as {options.minutes:g} minutes were over: {c.name}" for c in chosen[number:]
                ]
                break
            result.rows += measure(small(case) if options.smoke else case, Path(scratch), options, rate)
            print(json.dumps({k: result.rows[-1][k] for k in ("model", "size", "images_per_second")}), flush=True)
        looped = loop(Path(scratch), options, rate)
    result.rows.append(looped)
    if options.device == "cpu":
        fewer = ", ".join(f"{case.name} {case.batch}" for case in chosen if case.batch < 64)
        result.notes.append(f"batches under the default 64, which would take too long on a CPU: {fewer}")
    full = next((r for r in result.rows if r["model"] == "vae_wgan" and "paper" in r["size"]), None)
    if full and options.device == "cpu":
        share = full["share_of_matrix_rate"]
        got = _spread(share, 0, 100)
        result.target(
            "VAE-WGAN step, full size, of the matrix rate", f"≥ {TARGET:.0%}", f"{got} %", share["median"] >= TARGET
        )
    over, data = looped["ms_over_bare_loop"], looped["data_share"]
    result.target(
        "our loop over a bare one", f"≤ {LOOP_MS:g} ms a step", f"{_spread(over, 2)} ms", over["median"] <= LOOP_MS
    )
    result.target(
        "reading, of a small model's step",
        f"< {DATA_SHARE:.0%}",
        f"{_spread(data, 1, 100)} %",
        data["median"] < DATA_SHARE,
    )
    result.rates = options.rates
    result.finish(options, COLUMNS)


if __name__ == "__main__":
    main()
