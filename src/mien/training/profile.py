"""Where the time of a training step goes: a trace of a few steps, and a table of their parts (``mien train --profile``).

Method: torch's profiler records every operation. An operation belongs to the network inside whose call it runs, and
an operation of the backward pass to the network whose forward operation made it (autograd numbers both alike). Times
are each operation's own, so nothing counts twice: seconds of the host on a CPU, seconds of the kernels on a GPU.
The profiler itself slows steps of small networks.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from rich.table import Table
from torch import nn
from torch.profiler import ProfilerActivity, record_function

from mien.files import write_atomically, write_json
from mien.training.update import Update

if TYPE_CHECKING:
    from mien.training.loop import Trainer

WARM_UP, STEPS = 3, 10  # steps before the profiler looks, and under its eyes
FOLDER = "profile"  # in the run folder
STEP, DATA, OPTIMIZER = "a step", "data", "optimizer"
UPDATE, REST = "gradients: sums, norm, guard", "losses and all else"
WAIT = "aten::_local_scalar_dense"  # what reading a number off a tensor ends in; on a GPU the host waits for it
_PREFIX = "mien: "
# the profiler's own library tells each start and stop, and every machine without a GPU, as of an error
os.environ.setdefault("KINETO_LOG_LEVEL", "99")


@dataclass
class Breakdown:
    """Where the time of a step went.

    Args:
        steps: that were looked at.
        seconds: of a step on average, by the clock.
        forward, backward: seconds of a step by part; the parts are the model's networks and those named above.
        waits: how often in a step the host asked for a number of a tensor; on a GPU it then waits for the device.
        device: ``cpu`` or ``cuda``.
    """

    steps: int
    seconds: float
    forward: dict[str, float] = field(default_factory=dict)
    backward: dict[str, float] = field(default_factory=dict)
    waits: float = 0.0
    device: str = "cpu"

    def shares(self) -> dict[str, float]:
        """Return each part's share of all time that has a part; they sum to 1."""
        parts = {k: self.forward.get(k, 0.0) + self.backward.get(k, 0.0) for k in {**self.forward, **self.backward}}
        total = sum(parts.values()) or 1.0
        return {k: v / total for k, v in sorted(parts.items(), key=lambda item: -item[1])}

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        parts = {
            name: {
                "forward_ms": round(1e3 * self.forward.get(name, 0.0), 4),
                "backward_ms": round(1e3 * self.backward.get(name, 0.0), 4),
                "share": round(share, 4),
            }
            for name, share in self.shares().items()
        }
        head = {"steps": self.steps, "step_ms": round(1e3 * self.seconds, 4), "device": self.device}
        if self.device == "cuda":
            head["waits_for_device"] = self.waits
        return {**head, "parts": parts}

    def table(self) -> Table:
        """Return the parts as a rich table, the largest first."""
        table = Table(title=f"a step of {1e3 * self.seconds:.2f} ms, over {self.steps} steps", title_justify="left")
        table.add_column("part")
        for head in ("forward ms", "backward ms", "share"):
            table.add_column(head, justify="right")
        for name, share in self.shares().items():
            forward, backward = (1e3 * of.get(name, 0.0) for of in (self.forward, self.backward))
            table.add_row(name, f"{forward:.2f}", f"{backward:.2f}" if backward else "", f"{share:.1%}")
        busy = sum(self.forward.values()) + sum(self.backward.values())
        if self.device == "cuda":
            table.caption = f"kernels {1e3 * busy:.2f} ms; the host waits for the device {self.waits:g} times a step"
        return table


class Profiler:
    """Records calls of a step, from :meth:`start` to :meth:`stop`.

    Args:
        model: whose child modules are the parts.
        update: of the same model.
    """

    def __init__(self, model: nn.Module, update: Update):
        self.model, self.update = model, update
        self.device = next(model.parameters()).device.type
        activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (self.device == "cuda")
        self.profiler = torch.profiler.profile(activities=activities)
        self.undo: list[Callable[[], None]] = []

    def start(self) -> None:
        """Put marks around the networks and begin to record."""
        for name, child in self.model.named_children():
            self._mark(name, child)
        for name in ("_gradients", "_finite"):
            setattr(self.update, name, marked(UPDATE, getattr(self.update, name)))
            self.undo.append(lambda name=name: delattr(self.update, name))  # type: ignore[misc]
        self.profiler.start()

    def _mark(self, part: str, child: nn.Module) -> None:
        """Let calls of ``child``, and of modules in it that are called without it, run under the name ``part``."""
        open_: list[Any] = []  # marks of calls within calls; the outermost is the one that shows

        def enter(module: nn.Module, arguments: Any) -> None:
            mark = record_function(_PREFIX + part) if not open_ else None
            open_.append(mark)
            if mark is not None:
                mark.__enter__()

        def leave(module: nn.Module, arguments: Any, output: Any) -> None:
            mark = open_.pop()
            if mark is not None:
                mark.__exit__(None, None, None)

        for module in child.modules():
            self.undo.append(module.register_forward_pre_hook(enter).remove)
            self.undo.append(module.register_forward_hook(leave, always_call=True).remove)

    def stop(self) -> Breakdown:
        """Stop recording, take the marks off, and return where the time went."""
        if self.device == "cuda":
            torch.cuda.synchronize()
        self.profiler.stop()
        while self.undo:
            self.undo.pop()()
        return breakdown(self.profiler.events(), self.device)


def marked(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``function`` running under the name ``part``."""

    def run(*arguments: Any, **keywords: Any) -> Any:
        with record_function(_PREFIX + part):
            return function(*arguments, **keywords)

    return run


def profiled(model: nn.Module, update: Update, step: Callable[[], Any], steps: int = STEPS) -> Breakdown:
    """Return where the time of ``step``, called ``steps`` times, goes; call it a few times before, to warm it up."""
    profiler = Profiler(model, update)
    step = marked(STEP, step)
    profiler.start()
    try:
        for _ in range(steps):
            step()
    finally:
        found = profiler.stop()
    return found


@contextmanager
def stepping(trainer: Trainer) -> Iterator[Callable[[], None]]:
    """Give a training a step that is profiled a few times, after a few; for :func:`mien.training.loop.fit`.

    It writes ``profile/trace.json.gz`` (for Perfetto or chrome://tracing) and ``profile/parts.json`` into the run
    folder and prints the table. A training that ends before is profiled as far as it came.
    """
    profiler = Profiler(trainer.model, trainer.update)
    left = trainer.settings.steps - trainer.step
    first = min(WARM_UP, max(0, left - 1))
    plain, read = trainer._step, trainer._batch
    done = 0

    def step() -> None:
        nonlocal done
        if done == first:
            setattr(trainer, "_batch", marked(DATA, read))  # noqa: B010, of this trainer alone
            profiler.start()
        recording = first <= done < first + STEPS
        (marked(STEP, plain) if recording else plain)()
        done += 1
        if done == first + STEPS:
            finish()

    def finish() -> None:
        del trainer._batch
        found = profiler.stop()
        if trainer.fabric.is_global_zero:
            folder = trainer.folder / FOLDER
            write_atomically(folder / "trace.json.gz", lambda path: profiler.profiler.export_chrome_trace(str(path)))
            write_json(folder / "parts.json", found.to_json())
        if trainer.console is not None:
            trainer.console.print(found.table())

    yield step
    if first < done < first + STEPS:
        finish()


def breakdown(events: Any, device: str) -> Breakdown:
    """Return where the time went, from the profiler's events of the steps marked :data:`STEP`."""
    forward: defaultdict[str, float] = defaultdict(float)
    backward: defaultdict[str, float] = defaultdict(float)
    owner: dict[int, str] = {}  # part by the number autograd gives an operation
    waits = 0

    def own(event: Any) -> float:
        microseconds = event.self_device_time_total if device == "cuda" else event.self_cpu_time_total
        return microseconds * 1e-6

    def visit(event: Any, part: str, inside: defaultdict[str, float]) -> None:
        nonlocal waits
        if event.name.startswith("autograd::engine::evaluate_function"):
            part, inside = owner.get(event.sequence_nr, REST), backward
        elif event.name.startswith(_PREFIX):
            part = event.name.removeprefix(_PREFIX)
        elif event.name.startswith("Optimizer.step"):
            part = OPTIMIZER
        elif inside is forward and event.sequence_nr >= 0:
            # operations that autograd does not record carry the number of the next that it does: the last is right
            owner[event.sequence_nr] = part
        waits += event.name == WAIT
        inside[part] += own(event)
        for child in sorted(event.cpu_children, key=lambda e: e.time_range.start):
            visit(child, part, inside)

    def begins(event: Any) -> float:
        return event.time_range.start

    roots = sorted((e for e in events if e.cpu_parent is None and _on_host(e)), key=begins)
    steps = [e for e in roots if e.name == _PREFIX + STEP]
    for step in steps:
        forward[REST] += own(step)
        for child in sorted(step.cpu_children, key=begins):
            visit(child, REST, forward)
        # on a GPU, autograd works in a thread of its own
        for root in roots:
            if root.thread != step.thread and step.time_range.start <= begins(root) <= step.time_range.end:
                visit(root, REST, backward)
    n = max(len(steps), 1)
    seconds = sum(e.time_range.elapsed_us() for e in steps) * 1e-6 / n
    forwards, backwards = ({k: v / n for k, v in of.items()} for of in (forward, backward))
    return Breakdown(len(steps), seconds, forwards, backwards, waits / n, device)


def _on_host(event: Any) -> bool:
    return event.device_type == torch.autograd.DeviceType.CPU
