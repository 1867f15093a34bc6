"""Time of a training step by part: a trace of a few steps and a table (``mien train --profile``).

Method: torch's profiler records every operation. An operation belongs to the network inside whose call it runs, and
an operation of the backward pass to the network whose forward operation made it (autograd numbers both alike). Times
are each operation's own, so nothing counts twice: seconds of the host on a CPU, seconds of the kernels on a GPU.
The profiler itself slows steps of small networks.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from rich.table import Table
from torch import nn
from torch.profiler import ProfilerActivity

from mien.files import write_atomically, write_json
from mien.training.marks import DATA, GRADIENTS, PREFIX, STEP, part
from mien.training.observers import Observer

if TYPE_CHECKING:
    from mien.training.loop import Trainer

__all__ = ["DATA", "GRADIENTS", "OPTIMIZER", "REST", "Breakdown", "Profile", "Profiler", "breakdown", "profiled"]

WARM_UP, STEPS = 3, 10  # steps before the profiler records, and steps that it records
FOLDER = "profile"  # in the run folder
OPTIMIZER, REST = "optimizer", "losses and all else"
WAIT = "aten::_local_scalar_dense"  # reading a number off a tensor ends in it; on a GPU the host waits for it


@dataclass
class Breakdown:
    """The time of one step by part.

    Args:
        steps: how many were recorded.
        seconds: of a step on average, by the clock.
        forward, backward: seconds of a step by part; the parts are the model's networks, :data:`DATA`,
            :data:`GRADIENTS`, :data:`OPTIMIZER` and :data:`REST`.
        waits: how often in a step the host read a number off a tensor; on a GPU it then waits for the device.
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
    """Records the steps between :meth:`start` and :meth:`stop` that run inside :meth:`step`.

    Args:
        model: its child modules are the parts.
    """

    def __init__(self, model: nn.Module):
        # the profiler's library reports each start and stop, and each machine without a GPU, as an error; it reads
        # this when it is used for the first time
        os.environ.setdefault("KINETO_LOG_LEVEL", "99")
        self.model = model
        self.device = next(model.parameters()).device.type
        activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (self.device == "cuda")
        self.trace = torch.profiler.profile(activities=activities)
        self._marks = ExitStack()  # the hooks around the networks

    def start(self) -> None:
        """Put marks around the networks and begin to record."""
        for name, child in self.model.named_children():
            self._mark(name, child)
        self.trace.start()

    def step(self) -> AbstractContextManager[Any]:
        """Return the context that one step runs in."""
        return part(STEP)

    def _mark(self, name: str, child: nn.Module) -> None:
        """Give calls of ``child``, and of modules in it that are called without it, to the part ``name``."""
        calls: list[AbstractContextManager[Any] | None] = []  # calls within calls; only the outermost has a mark

        def enter(module: nn.Module, arguments: Any) -> None:
            mark = part(name) if not calls else None
            calls.append(mark)
            if mark is not None:
                mark.__enter__()

        def leave(module: nn.Module, arguments: Any, output: Any) -> None:
            mark = calls.pop()
            if mark is not None:
                mark.__exit__(None, None, None)

        for module in child.modules():
            self._marks.callback(module.register_forward_pre_hook(enter).remove)
            self._marks.callback(module.register_forward_hook(leave, always_call=True).remove)

    def stop(self) -> Breakdown:
        """Stop recording, take the marks off, and return where the time went."""
        if self.device == "cuda":
            torch.cuda.synchronize()
        self.trace.stop()
        self._marks.close()
        return breakdown(self.trace.events(), self.device)  # type: ignore[no-untyped-call]


def profiled(model: nn.Module, step: Callable[[], Any], steps: int = STEPS) -> Breakdown:
    """Return where the time of ``step``, called ``steps`` times, goes; call it a few times before, to warm it up."""
    profiler = Profiler(model)
    profiler.start()
    try:
        for _ in range(steps):
            with profiler.step():
                step()
    finally:
        result = profiler.stop()
    return result


class Profile(Observer):
    """Profiles :data:`STEPS` steps of a training, after :data:`WARM_UP` others.

    It writes ``profile/trace.json.gz`` (for Perfetto or chrome://tracing) and ``profile/parts.json`` into the run
    folder and prints the table. In a training that ends before, the profile covers the steps up to the end.
    """

    def start(self, trainer: Trainer) -> None:
        """Choose the steps to record."""
        remaining = trainer.settings.steps - trainer.step
        self.first = trainer.step + min(WARM_UP, max(0, remaining - 1))
        self.profiler = Profiler(trainer.model)
        self.recording = False
        self.step = ExitStack()  # the mark of the step that runs

    def before_step(self, trainer: Trainer) -> None:
        """Begin to record at the first of the steps, and mark each of them."""
        if trainer.step == self.first:
            self.profiler.start()
            self.recording = True
        if self.recording:
            self.step.enter_context(self.profiler.step())

    def after_step(self, trainer: Trainer) -> None:
        """End the mark of the step, and the profile after the last of the steps."""
        self.step.close()
        if self.recording and trainer.step == self.first + STEPS:
            self._finish(trainer)

    def close(self, trainer: Trainer) -> None:
        """Write the profile of a training that ended within the steps."""
        self.step.close()
        if self.recording:
            self._finish(trainer)

    def _finish(self, trainer: Trainer) -> None:
        self.recording = False
        result = self.profiler.stop()
        if trainer.fabric.is_global_zero:
            folder = trainer.folder / FOLDER
            export = self.profiler.trace.export_chrome_trace
            write_atomically(folder / "trace.json.gz", lambda path: export(str(path)))
            write_json(folder / "parts.json", result.to_json())
        if trainer.console is not None:
            trainer.console.print(result.table())


def breakdown(events: Any, device: str) -> Breakdown:
    """Return where the time went, from the profiler's events of the steps marked :data:`STEP`."""
    forward: defaultdict[str, float] = defaultdict(float)
    backward: defaultdict[str, float] = defaultdict(float)
    owner: dict[int, str] = {}  # part by the number autograd gives an operation
    waits = 0

    def own(event: Any) -> float:
        microseconds: float = event.self_device_time_total if device == "cuda" else event.self_cpu_time_total
        return microseconds * 1e-6

    def visit(event: Any, name: str, inside: defaultdict[str, float]) -> None:
        """Add the time of an event and of those it started to the part of the step that they belong to."""
        nonlocal waits
        if event.name.startswith("autograd::engine::evaluate_function"):
            name, inside = owner.get(event.sequence_nr, REST), backward
        elif event.name.startswith(PREFIX):
            name = event.name.removeprefix(PREFIX)
        elif event.name.startswith("Optimizer.step"):
            name = OPTIMIZER
        elif inside is forward and event.sequence_nr >= 0:
            # operations that autograd does not record carry the number of the next one that it does: the last counts
            owner[event.sequence_nr] = name
        waits += event.name == WAIT
        inside[name] += own(event)
        for child in sorted(event.cpu_children, key=lambda e: e.time_range.start):
            visit(child, name, inside)

    def begin(event: Any) -> float:
        start: float = event.time_range.start
        return start

    roots = sorted((e for e in events if e.cpu_parent is None and _on_host(e)), key=begin)
    steps = [e for e in roots if e.name == PREFIX + STEP]
    for step in steps:
        forward[REST] += own(step)
        for child in sorted(step.cpu_children, key=begin):
            visit(child, REST, forward)
        # on a GPU, autograd works in a thread of its own
        for root in roots:
            if root.thread != step.thread and step.time_range.start <= begin(root) <= step.time_range.end:
                visit(root, REST, backward)
    n = max(len(steps), 1)
    seconds: float = sum(e.time_range.elapsed_us() for e in steps) * 1e-6 / n
    forwards, backwards = ({k: v / n for k, v in of.items()} for of in (forward, backward))
    return Breakdown(len(steps), seconds, forwards, backwards, waits / n, device)


def _on_host(event: Any) -> bool:
    return bool(event.device_type.name == "CPU")
