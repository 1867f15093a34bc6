"""The training loop: one for all models, resumed by calling it again with the same folder."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from mien.data.batch import Batch, on_device
from mien.data.dataset import Dataset, spread
from mien.errors import MienError
from mien.files import write_json
from mien.models.base import Model
from mien.run.folder import PROGRESS, WEIGHTS, progress
from mien.run.weights import save_weights
from mien.training import checkpoint, monitor
from mien.training.compiling import as_written, compile_networks
from mien.training.logs import Bar, Log, terms_text, warn
from mien.training.resident import where_it_fits
from mien.training.update import Update

if TYPE_CHECKING:
    from lightning_fabric import Fabric

PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed"}
CALIBRATION = 256  # pictures a model may measure before its first step


@dataclass(frozen=True)
class Settings:
    """How long and with what to train; everything about the model itself is the model's.

    Args:
        steps: updates in all.
        batch: pictures in a step, over all processes together.
        seed: fixes initial weights, order of pictures and noise.
        precision: ``fp32`` or ``bf16`` (autocast; weights stay float32).
        flip: share of the training pictures that are mirrored, drawn anew each time a picture is seen; in [0, 1].
        ema: decay of the moving average of weights that is saved for use; 0 saves the weights themselves.
        log_every, picture_every: steps between log records and between sample sheets.
        save_seconds: seconds between checkpoints.
        device: ``auto``, ``cpu`` or ``cuda``.
        processes: on this machine; a launcher such as torchrun overrides it.
        compile: let torch compile the networks; a minute or two at the start of every call.
    """

    steps: int
    batch: int = 64
    seed: int = 0
    precision: str = "fp32"
    flip: float = 0.0
    ema: float = 0.0
    log_every: int = 20
    picture_every: int = 200
    save_seconds: float = 60.0
    device: str = "auto"
    processes: int = 1
    compile: bool = False

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise MienError(f"expected 1 step or more, got {self.steps}")
        if self.batch < 2:
            raise MienError(f"expected a batch of 2 or more (BatchNorm needs two), got {self.batch}")
        if self.precision not in PRECISIONS:
            raise MienError(f"expected precision fp32 or bf16, got {self.precision}")
        if self.device not in ("auto", "cpu", "cuda"):
            raise MienError(f"expected device auto, cpu or cuda, got {self.device}")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise MienError("expected a CUDA device, got none: choose --device cpu")
        if not 0 <= self.flip <= 1:
            raise MienError(f"expected flip in [0, 1], got {self.flip}: 0.5 mirrors half of the pictures")
        if not 0 <= self.ema < 1:
            raise MienError(f"expected an EMA decay in [0, 1), got {self.ema}")
        if min(self.log_every, self.picture_every, self.processes) < 1:
            raise MienError("expected log_every, picture_every and processes of 1 or more")


@dataclass
class Outcome:
    """What a call of :func:`fit` did."""

    step: int
    steps: int
    seconds: float  # trained in all, over all calls
    images_per_second: float  # of this call, without sheets and checkpoints
    warnings: list[str] = field(default_factory=list)

    @property
    def finished(self) -> bool:
        return self.step >= self.steps


def make_fabric(settings: Settings) -> Fabric:
    """Return a launched Fabric for ``settings``; under torchrun it takes the processes from there."""
    from lightning_fabric import Fabric  # imports torchmetrics and torchvision: 250 MB that opening a run needs not

    world = int(os.environ.get("WORLD_SIZE", "0"))
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "0")) or settings.processes
    precision: Any = PRECISIONS[settings.precision]
    strategy = "ddp" if max(world, settings.processes) > 1 else "auto"
    fabric = Fabric(
        accelerator=settings.device,
        devices=local,
        num_nodes=max(1, world // local),
        strategy=strategy,
        precision=precision,
    )
    fabric.launch()
    if fabric.device.type == "cpu":
        # Fabric lets torch load NVML to look for a GPU, which every step of an optimizer does: .04 ms each
        os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)
    return fabric


class Order:
    """The order of pictures: an endless sequence of seeded permutations, readable at any position.

    >>> order = Order(np.array([10, 11, 12]), seed=0)
    >>> sorted(order.at(0, 3).tolist()), len(order.at(2, 5))
    ([10, 11, 12], 5)
    """

    def __init__(self, index: np.ndarray, seed: int):
        self.index, self.seed = index, seed
        self.epoch, self.shuffled = -1, index

    def at(self, position: int, n: int) -> np.ndarray:
        """Return the ``n`` dataset positions from ``position`` on; they may reach into the next epoch."""
        parts = []
        while n > 0:
            epoch, start = divmod(position, len(self.index))
            if epoch != self.epoch:
                self.shuffled = np.random.default_rng([self.seed, epoch]).permutation(self.index)
                self.epoch = epoch
            part = self.shuffled[start : start + n]
            parts.append(part)
            position, n = position + len(part), n - len(part)
        return np.concatenate(parts)


class Stop:
    """Turns Ctrl-C and SIGTERM into a wish to stop after the step; a second one stops at once."""

    def __init__(self) -> None:
        self.wanted = False
        self.before: dict[int, Any] = {}

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self.before[number] = signal.signal(number, self._heard)
        return self

    def _heard(self, number: int, frame: object) -> None:
        if self.wanted:
            raise KeyboardInterrupt
        self.wanted = True

    def __exit__(self, *exception: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)


@contextmanager
def plain(trainer: Trainer) -> Iterator[Callable[[], None]]:
    """Give a training its own step; :func:`mien.training.profile.stepping` is the other way."""
    yield trainer._step


Stepping = Callable[["Trainer"], AbstractContextManager[Callable[[], None]]]


def fit(
    model: Model,
    dataset: Dataset,
    index: np.ndarray,
    held_out: np.ndarray,
    folder: Path,
    settings: Settings,
    console: Console | None = None,
    fabric: Fabric | None = None,
    stepping: Stepping = plain,
) -> Outcome:
    """Train ``model`` on the pictures ``index`` of ``dataset`` into ``folder``, from where it was left.

    Args:
        held_out: positions whose pictures are shown on the sample sheets and watched for collapse.
        console: for the progress bar and warnings; None is silent.
        stepping: gives the step that is taken again and again.

    Raises:
        MienError: if training diverges, a file cannot be written, or the state there is of another model.
    """
    fabric = fabric or make_fabric(settings)
    return Trainer(model, dataset, index, held_out, folder, settings, console, fabric).run(stepping)


class Trainer:
    """One call of :func:`fit`, taken apart into what happens in it."""

    def __init__(
        self,
        model: Model,
        dataset: Dataset,
        index: np.ndarray,
        held_out: np.ndarray,
        folder: Path,
        settings: Settings,
        console: Console | None,
        fabric: Fabric,
    ):
        self.folder, self.settings, self.dataset, self.fabric = folder, settings, dataset, fabric
        self.console = console if fabric.is_global_zero else None
        # data sets store pictures channels last; networks that follow train 1.3 to 1.5 times as fast on CPUs
        self.model = model.to(fabric.device).to(memory_format=torch.channels_last)
        # the compiler takes seconds to import
        self.as_written: Callable[[], AbstractContextManager[None]] = as_written if settings.compile else nullcontext
        if settings.compile:
            compile_networks(self.model)
        self.update = Update(model, fabric)
        self.update.on_skip = self._skipped
        self.average = {k: v.clone() for k, v in model.weights().items()} if settings.ema else {}
        self.step, self.before = checkpoint.load(folder, model, self.update, self.average)
        if settings.batch % fabric.world_size:
            raise MienError(
                f"expected a batch that divides by {fabric.world_size} processes, got {settings.batch}: choose another --batch"
            )
        self.order = Order(model.training_index(dataset, index, settings.seed), settings.seed)
        self.labels = model.training_labels(dataset, index, settings.seed)
        self.pictures = where_it_fits(dataset, self.order.index, fabric.device)
        self.watched = dataset.batch(spread(held_out, monitor.WATCHED), fabric.device)
        # of earlier calls too: a resumed run does not forget what went wrong
        self.warnings: list[str] = progress(folder).get("warnings", [])
        self.seconds = self.waited = self.images = 0.0
        self.images_per_second = 0.0

    def run(self, stepping: Stepping = plain) -> Outcome:
        """Train to the last step or the first signal, whichever comes first."""
        if self.step >= self.settings.steps:
            return self._outcome()
        if self.step == 0:
            self._calibrate()
        self.log = Log(self.folder, self.step) if self.fabric.is_global_zero else None
        try:
            title, steps = f"train {self.model.name}", self.settings.steps
            with Stop() as stop, Bar(self.console, title, steps, self.step) as bar, stepping(self) as step:
                self._loop(stop, bar, step)
            self._save()
        finally:
            if self.log:
                self.log.close()
        return self._outcome()

    def _loop(self, stop: Stop, bar: Bar, step: Callable[[], None]) -> None:
        saved = time.monotonic()
        self.model.train()
        while self.step < self.settings.steps and not self._any(stop.wanted):
            step()
            last = self.step == self.settings.steps
            if self.step % self.settings.log_every == 0 or last:
                self._report(bar)
            if self.step % self.settings.picture_every == 0 or last:
                self._watch()
            if self._any(time.monotonic() - saved > self.settings.save_seconds):
                self._save()
                saved = time.monotonic()

    def _any(self, mine: bool) -> bool:
        """Return whether any process says so: all must leave the loop, or save, at the same step."""
        if self.fabric.world_size == 1:
            return mine
        answer = self.fabric.all_reduce(torch.tensor(float(mine), device=self.fabric.device), reduce_op="sum")
        assert isinstance(answer, Tensor)
        return bool(answer > 0)

    def _batch(self) -> Batch:
        rank, world = self.fabric.global_rank, self.fabric.world_size
        index = self.order.at(self.step * self.settings.batch, self.settings.batch)
        batch = self.pictures.batch(index[rank::world], self.fabric.device)
        if self.settings.flip:
            # drawn for the whole batch on the host, so that it does not depend on processes or device
            draws = np.random.default_rng([self.settings.seed, self.step, 1]).random(len(index)) < self.settings.flip
            mirrored = on_device(draws[rank::world], self.fabric.device).view(-1, 1, 1, 1)
            batch = replace(batch, x=torch.where(mirrored, batch.x.flip(3), batch.x))
        if self.labels is None:
            return batch
        return replace(batch, label=on_device(self.labels[index[rank::world]], self.fabric.device))

    def _calibrate(self) -> None:
        n = min(CALIBRATION, len(self.order.index))
        self.model.read_attributes(np.asarray(self.dataset.attribute_table[self.order.index]))
        with self.as_written():
            self.model.calibrate(self.dataset.batch(self.order.at(0, n), self.fabric.device))

    def _step(self) -> None:
        start = time.perf_counter()
        batch = self._batch()
        loaded = time.perf_counter()
        # noise is a function of seed and step, so a resumed run draws what an uninterrupted one draws
        self._seed((self.settings.seed * 1_000_003 + self.step) * 4099 + self.fabric.global_rank)
        self.model.progress = self.step / self.settings.steps
        self.update.set_lr(self.model.lr_factor(self.model.progress))
        with self.fabric.autocast():
            self.model.training_step(batch, self.update)
        if self.average:
            self._average()
        self.step += 1
        end = time.perf_counter()
        self.waited += loaded - start
        self.seconds += end - start
        self.images += self.settings.batch

    def _seed(self, seed: int) -> None:
        # torch.manual_seed asks after every kind of device there could be, each step
        torch.default_generator.manual_seed(seed)
        if self.fabric.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    @torch.no_grad()
    def _average(self) -> None:
        # short memory at first, so that the start does not linger
        decay = min(self.settings.ema, (1 + self.step) / (10 + self.step))
        weights = self.model.weights()
        players = tuple(f"{name}." for name in self.model.players)
        moving = [k for k, v in weights.items() if v.is_floating_point() and k.startswith(players)]
        torch._foreach_lerp_([self.average[k] for k in moving], [weights[k] for k in moving], 1 - decay)
        for key in weights.keys() - set(moving):
            self.average[key].copy_(weights[key])

    def _report(self, bar: Bar) -> None:
        # the only place where the host waits for the device, once for all terms
        values = torch.stack([v.float().reshape(()) for v in self.update.terms.values()]).tolist()
        terms = dict(zip(self.update.terms, values, strict=True))
        self.images_per_second = self.images / max(self.seconds, 1e-9)
        if self.fabric.device.type == "cuda" and not np.isfinite(terms["gradient_norm"]):
            self.update.report_skip({})
        if self.log:
            rates = {"images_per_second": round(self.images_per_second, 2), "data_share": self.waited / self.seconds}
            self.log(self.step, **terms, lr_factor=self.model.lr_factor((self.step - 1) / self.settings.steps), **rates)
        shown = {k: v for k, v in terms.items() if k != "gradient_norm"}
        bar(
            self.step,
            f"{self.images_per_second:.0f} images/s  data {self.waited / self.seconds:.0%}  {terms_text(shown)}",
        )

    def _watch(self) -> None:
        """Write the sample sheet and look for collapse; on the first process only."""
        if not self.fabric.is_global_zero:
            return
        self.model.eval()
        with torch.inference_mode(), self.fabric.autocast(), self.as_written():
            rows, found = monitor.watch(self.model, self.watched)
        self.model.train()
        if rows:
            monitor.write_sheet(self.folder / "pictures" / f"step-{self.step:07d}.png", rows)
        if self.log and found.values:
            self.log(self.step, **found.values)
        # early on a small KL is only slow learning, and before its stage a decoder has learned nothing
        last = self.model.stages[-1]
        if found.problem and self.step >= self.settings.steps * (last + (1 - last) / 5):
            self._warn("collapse", f"step {self.step}: {found.problem}")

    def _skipped(self, terms: dict[str, float]) -> None:
        self._warn(
            "non-finite step left out",
            f"step {self.step}: {terms_text(terms)}; the weights were not moved. If this repeats, lower the learning rate (--set lr=…).",
        )

    def _warn(self, title: str, text: str) -> None:
        self.warnings.append(f"{title}: {text}")
        warn(self.console, title, text)
        if self.log:
            self.log(self.step, warning=f"{title}: {text}")

    def _save(self) -> None:
        if not self.fabric.is_global_zero:
            return
        seconds = self.before + self.seconds
        checkpoint.save(self.folder, self.model, self.update, self.step, seconds, self.average)
        save_weights(self.folder / WEIGHTS, self.average or self.model.weights())
        write_json(
            self.folder / PROGRESS,
            {
                "step": self.step,
                "steps": self.settings.steps,
                "seconds": round(seconds, 1),
                "images_per_second": round(self.images_per_second, 2),
                "finished": self.step >= self.settings.steps,
                "warnings": self.warnings,
            },
        )

    def _outcome(self) -> Outcome:
        return Outcome(
            self.step, self.settings.steps, self.before + self.seconds, self.images_per_second, self.warnings
        )
