"""The training loop: one for all models, resumed by calling it again with the same folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from mien.data.batch import Batch, on_device
from mien.data.dataset import Dataset, spread
from mien.errors import MienError
from mien.files import has_digests, is_newest, write_json
from mien.models.base import Model
from mien.run.folder import PROGRESS, WEIGHTS, progress
from mien.run.weights import save_weights
from mien.training import checkpoint, monitor
from mien.training.compiling import as_written, compile_networks
from mien.training.estimate import Estimate
from mien.training.logs import Bar, Log, read, terms_text, warn
from mien.training.marks import DATA, part
from mien.training.observers import Observer
from mien.training.order import Order
from mien.training.resident import where_it_fits
from mien.training.settings import Settings, make_fabric
from mien.training.stop import Stop
from mien.training.update import Update

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["Observer", "Order", "Outcome", "Settings", "Trainer", "fit", "make_fabric"]

Positions = npt.NDArray[Any]  # (n,), in a data set


@dataclass
class Outcome:
    """The result of a call of :func:`fit`."""

    step: int  # steps done, over all calls
    steps: int  # steps in all
    seconds: float  # trained in all, over all calls
    images_per_second: float  # of this call, without sheets and checkpoints
    warnings: list[str] = field(default_factory=list)
    signal: int = 0  # the signal that stopped this call before its last step; 0 without one

    @property
    def finished(self) -> bool:
        """Whether the last step is done."""
        return self.step >= self.steps


def fit(
    model: Model,
    dataset: Dataset,
    index: Positions,
    held_out: Positions,
    folder: Path,
    settings: Settings,
    console: Console | None = None,
    fabric: Fabric | None = None,
    observers: Sequence[Observer] = (),
) -> Outcome:
    """Train ``model`` on the pictures ``index`` of ``dataset`` into ``folder``, from the state stored there.

    Args:
        index: positions (n,) in ``dataset``.
        held_out: positions whose pictures are shown on the sample sheets and watched for collapse.
        console: for the progress bar and warnings; None is silent.
        observers: called before and after each step, and after each report.

    Raises:
        MienError: if training diverges, a file cannot be written, or the state there is of another model.
    """
    fabric = fabric or make_fabric(settings)
    return Trainer(model, dataset, index, held_out, folder, settings, console, fabric, observers).run()


class Trainer:
    """One call of :func:`fit`, method by method; its arguments are those of :func:`fit`.

    Attributes:
        model, update, settings, folder, fabric: as passed, or made of what was passed.
        console: None on all processes but the first.
        step: steps done, over all calls.
        schedule: steps that the learning-rate schedule and the stages are made for.
        seconds, waited: spent in the steps of this call, and of them in reading batches.
        images: pictures in the steps of this call, over all processes.
        average: the moving average of the weights by name, empty without one.
    """

    def __init__(
        self,
        model: Model,
        dataset: Dataset,
        index: Positions,
        held_out: Positions,
        folder: Path,
        settings: Settings,
        console: Console | None,
        fabric: Fabric,
        observers: Sequence[Observer] = (),
    ):
        if settings.batch % fabric.world_size:
            raise MienError(
                f"expected a batch that divides by {fabric.world_size} processes, got {settings.batch}: "
                "choose another --batch"
            )
        self.folder, self.settings, self.dataset, self.fabric = folder, settings, dataset, fabric
        self.schedule = settings.schedule_steps or settings.steps
        self.observers = (Estimate(), *observers)
        self.console = console if fabric.is_global_zero else None
        # data sets store pictures channels last; with weights in that layout CPUs train 1.3 to 1.5 times as fast
        self.model = model.to(fabric.device).to(memory_format=torch.channels_last)
        # the compiler takes seconds to import
        self.as_written: Callable[[], AbstractContextManager[None]] = as_written if settings.compile else nullcontext
        if settings.compile:
            compile_networks(self.model)
        self.update = Update(model, fabric)
        self.update.on_skip = self._report_skip
        self.average = {k: v.clone() for k, v in model.weights().items()} if settings.ema else {}
        self.step, self.before = checkpoint.load(folder, model, self.update, self.average)
        self.order = Order(model.training_index(dataset, index, settings.seed), settings.seed)
        self.labels = model.training_labels(dataset, index, settings.seed)
        self.pictures = where_it_fits(dataset, self.order.index, fabric.device)
        self.watched = dataset.batch(spread(held_out, monitor.WATCHED), fabric.device)
        # those of earlier calls too: a resumed run keeps its warnings
        self.warnings: list[str] = progress(folder).get("warnings", [])
        self.log: Log | None = None
        self.seconds = self.waited = 0.0
        self.images = 0
        self.images_per_second = 0.0
        self.signal = 0  # that stopped this call

    def run(self) -> Outcome:
        """Train to the last step or the first signal, whichever comes first."""
        if self.step and not self._is_whole():
            self._recover_warnings()
            self._write_results()
        if self.step >= self.settings.steps:
            return self._outcome()
        if self.step == 0:
            self._calibrate()
        self.log = Log(self.folder, self.step) if self.fabric.is_global_zero else None
        try:
            self._note_length()
            title, steps = f"train {self.model.name}", self.settings.steps
            with Stop() as stop, Bar(self.console, title, steps, self.step) as bar, ExitStack() as closing:
                for observer in self.observers:
                    observer.start(self)
                    closing.callback(observer.close, self)
                self._loop(stop, bar)
            self.save()
        finally:
            if self.log:
                self.log.close()
        return self._outcome()

    def progress_at(self, step: int) -> float:
        """Return the progress in [0, 1) of the schedule at ``step``; after its end, that of its last step."""
        return min(step, self.schedule - 1) / self.schedule

    def _note_length(self) -> None:
        """Print and log how the learning rate goes on, if this call has another length than the call before it."""
        before = progress(self.folder)
        steps = before.get("steps", self.settings.steps)
        schedule = before.get("schedule_steps", steps)
        if self.step == 0 or (steps, schedule) == (self.settings.steps, self.schedule):
            return
        factor = self.model.lr_factor(self.progress_at(self.step))
        text = f"step {self.step}: the training has {self.settings.steps} steps now, {steps} before; "
        if schedule != self.schedule:
            last = min(self.step, schedule - 1) / schedule
            text += (
                f"its schedule of {schedule} steps becomes one of {self.schedule}: the learning rate is multiplied by "
                f"{factor:.3g} here, by {self.model.lr_factor(last):.3g} in the schedule before"
            )
        else:
            text += f"its learning-rate schedule stays that of {schedule} steps"
            if self.settings.steps > schedule:
                end = self.model.lr_factor(self.progress_at(schedule))
                text += (
                    f": after them the learning rate stays multiplied by {end:.3g} "
                    f"(--schedule-steps {self.settings.steps} stretches the schedule from here on)"
                )
        if self.console is not None:
            self.console.print(text, markup=False, highlight=False, soft_wrap=True)
        if self.log:
            self.log(self.step, note=text)

    def _loop(self, stop: Stop, bar: Bar) -> None:
        saved = time.monotonic()
        self.model.train()
        while self.step < self.settings.steps and not self._stopped(stop):
            for observer in self.observers:
                observer.before_step(self)
            self._step()
            for observer in self.observers:
                observer.after_step(self)
            last = self.step == self.settings.steps
            if self.step % self.settings.log_every == 0 or last:
                terms = self._report(bar)
                for observer in self.observers:
                    observer.after_report(self, terms)
            if self.step % self.settings.picture_every == 0 or last:
                self._watch()
            if self._most(time.monotonic() - saved > self.settings.save_seconds):
                self.save()
                saved = time.monotonic()

    def _stopped(self, stop: Stop) -> bool:
        self.signal = self._most(stop.signal)
        return self.signal > 0

    def _most(self, mine: int) -> int:
        """Return the largest value of all processes: all must leave the loop, or save, at the same step."""
        if self.fabric.world_size == 1:
            return int(mine)
        answer = self.fabric.all_reduce(torch.tensor(float(mine), device=self.fabric.device), reduce_op="max")
        assert isinstance(answer, Tensor)
        return int(answer)

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
        n = min(self.model.calibration, len(self.order.index))
        self.model.read_attributes(np.asarray(self.dataset.attribute_table[self.order.index]))
        with self.as_written():
            self.model.calibrate(self.dataset.batch(self.order.at(0, n), self.fabric.device))

    def _step(self) -> None:
        start = time.perf_counter()
        with part(DATA):
            batch = self._batch()
        loaded = time.perf_counter()
        # noise is a function of seed, step and rank: a resumed run draws what an uninterrupted one draws, and no two
        # processes draw the same
        self._seed((self.settings.seed * 1_000_003 + self.step) * 4099 + self.fabric.global_rank)
        self.model.progress = self.progress_at(self.step)
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
        # torch.manual_seed asks every kind of device that could exist, in each step
        torch.default_generator.manual_seed(seed)
        if self.fabric.device.type == "cuda":
            torch.cuda.manual_seed(seed)
        elif self.fabric.device.type == "mps":
            torch.mps.manual_seed(seed)

    @torch.no_grad()
    def _average(self) -> None:
        # short memory at first, so that the initial weights do not linger
        decay = min(self.settings.ema, (1 + self.step) / (10 + self.step))
        weights = self.model.weights()
        players = tuple(f"{name}." for name in self.model.players)
        moving = [k for k, v in weights.items() if v.is_floating_point() and k.startswith(players)]
        average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        average([self.average[k] for k in moving], [weights[k] for k in moving], None)
        for key in weights.keys() - set(moving):
            self.average[key].copy_(weights[key])

    def _report(self, bar: Bar) -> dict[str, float]:
        """Log the terms of the last step and show them beside the bar; return them."""
        # the only place where the host waits for the device, once for all terms
        values = torch.stack([v.float().reshape(()) for v in self.update.terms.values()]).tolist()
        terms: dict[str, float] = dict(zip(self.update.terms, values, strict=True))
        self.images_per_second = self.images / max(self.seconds, 1e-9)
        if self.fabric.device.type == "cuda" and not np.isfinite(terms["gradient_norm"]):
            self.update.report_skip({})
        if self.log:
            rates = {"images_per_second": round(self.images_per_second, 2), "data_share": self.waited / self.seconds}
            self.log(self.step, **terms, lr_factor=self.model.lr_factor(self.progress_at(self.step - 1)), **rates)
        shown = {k: v for k, v in terms.items() if k != "gradient_norm"}
        rate = f"{self.images_per_second:.0f} {self.model.items}/s"
        bar(self.step, f"{rate}  data {self.waited / self.seconds:.0%}  {terms_text(shown)}")
        return terms

    def _watch(self) -> None:
        """Write the sample sheet and look for collapse; on the first process only."""
        if not self.fabric.is_global_zero:
            return
        self.model.eval()
        with torch.inference_mode(), self.fabric.autocast(), self.as_written():
            rows, findings = monitor.watch(self.model, self.watched)
        self.model.train()
        if rows:
            monitor.write_sheet(self.folder / "pictures" / f"step-{self.step:07d}.png", rows)
        if self.log and findings.values:
            self.log(self.step, **findings.values)
        # early on, a small KL is only slow learning; before its stage, a decoder has learned nothing
        last = self.model.stages[-1]
        if findings.problem and self.step >= self.schedule * (last + (1 - last) / 5):
            self._warn("collapse", f"step {self.step}: {findings.problem}")

    def _report_skip(self, terms: Mapping[str, float]) -> None:
        self._warn(
            "non-finite step left out",
            f"step {self.step}: {terms_text(terms)}; the weights were not moved. "
            "If this repeats, lower the learning rate (--set lr=…).",
        )

    def _warn(self, title: str, text: str) -> None:
        self.warnings.append(f"{title}: {text}")
        warn(self.console, title, text)
        if self.log:
            self.log(self.step, warning=f"{title}: {text}")

    def save(self) -> None:
        """Write the checkpoint, the weights for use and the progress; on the first process only."""
        if not self.fabric.is_global_zero:
            return
        seconds = self.before + self.seconds
        checkpoint.save(self.folder, self.model, self.update, self.step, seconds, self.average)
        self._write_results()

    def _is_whole(self) -> bool:
        """Return whether weights and progress are those of the state; a crash may have left older ones."""
        path = self.folder / WEIGHTS
        known = has_digests(self.folder)  # older runs have no record of digests
        return progress(self.folder).get("step") == self.step and (is_newest(path) if known else path.is_file())

    def _recover_warnings(self) -> None:
        """Add the warnings that only the log has: a crash came between the state and the progress."""
        if self.fabric.is_global_zero:
            texts = [record.get("warning") for record in read(self.folder) if record["step"] <= self.step]
            self.warnings += [text for text in texts if isinstance(text, str) and text not in self.warnings]

    def _write_results(self) -> None:
        """Write the weights for use and the progress, which belong to the state; on the first process only."""
        if not self.fabric.is_global_zero:
            return
        seconds = self.before + self.seconds
        save_weights(self.folder / WEIGHTS, self.average or self.model.weights())
        write_json(
            self.folder / PROGRESS,
            {
                "step": self.step,
                "steps": self.settings.steps,
                "schedule_steps": self.schedule,
                "seconds": round(seconds, 1),
                "images_per_second": round(self.images_per_second, 2),
                "finished": self.step >= self.settings.steps,
                "warnings": self.warnings,
            },
        )

    def _outcome(self) -> Outcome:
        seconds = self.before + self.seconds
        return Outcome(self.step, self.settings.steps, seconds, self.images_per_second, self.warnings, self.signal)
