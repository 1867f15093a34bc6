"""The settings of a training, and the devices and processes that follow from them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from mien.errors import MienError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed"}


@dataclass(frozen=True)
class Settings:
    """The length of a training and its means; the settings of a model are the model's own.

    Args:
        steps: updates in all.
        batch: pictures in a step, over all processes together.
        seed: fixes initial weights, order of pictures and noise.
        precision: ``fp32`` or ``bf16`` (autocast; weights stay float32).
        flip: share of the training pictures that are mirrored, in [0, 1]; drawn anew each time a picture is used.
        ema: decay of the moving average of weights that is saved for use, in [0, 1); 0 saves the weights themselves.
        log_every, picture_every: steps between log records and between sample sheets.
        save_seconds: seconds between checkpoints.
        device: ``auto`` (a GPU if there is one), or a name that :func:`check_device` accepts.
        processes: on this machine; a launcher such as torchrun overrides it.
        schedule_steps: the length that the model's learning-rate schedule and stages are made for. Steps after it keep
            the last learning rate. 0 is ``steps``; in a run folder, the ``steps`` of its first call, so that a longer
            training does not change the schedule.
        compile: torch compiles the networks, which takes a minute or two at the start of every call.

    Raises:
        MienError: for a value out of its range, or a device that this machine lacks.
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
    schedule_steps: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise MienError(f"expected 1 step or more, got {self.steps}")
        if self.schedule_steps < 0:
            raise MienError(
                f"expected schedule_steps of 0 or more, got {self.schedule_steps}: 0 is the number of steps"
            )
        if self.batch < 2:
            raise MienError(f"expected a batch of 2 or more (BatchNorm needs two), got {self.batch}")
        if self.precision not in PRECISIONS:
            raise MienError(f"expected precision fp32 or bf16, got {self.precision}")
        if self.device != "auto":
            check_device(self.device)
            if ":" in self.device and self.processes > 1:
                raise MienError(f"expected one process on {self.device}, got {self.processes}: choose --device cuda")
        if not 0 <= self.flip <= 1:
            raise MienError(f"expected flip in [0, 1], got {self.flip}: 0.5 mirrors half of the pictures")
        if not 0 <= self.ema < 1:
            raise MienError(f"expected an EMA decay in [0, 1), got {self.ema}")
        if min(self.log_every, self.picture_every, self.processes) < 1:
            raise MienError("expected log_every, picture_every and processes of 1 or more")


def check_device(name: str) -> str:
    """Return ``name``: ``cpu``, ``cuda``, ``cuda:1`` (a GPU by its number, from 0) or ``mps`` (a GPU of Apple).

    Raises:
        MienError: for another name, or a device that this machine lacks.
    """
    match = re.fullmatch(r"cpu|mps|cuda(?::(\d+))?", name)
    if match is None:
        raise MienError(f"expected device auto, cpu, cuda, cuda:N or mps, got {name}")
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    missing = (name.startswith("cuda") and int(match[1] or 0) >= gpus) or (
        name == "mps" and not torch.backends.mps.is_available()
    )
    if missing:
        present = ["cpu", *(["cuda"] if gpus else []), *(f"cuda:{n}" for n in range(gpus))]
        present += ["mps"] if torch.backends.mps.is_available() else []
        raise MienError(f"expected a device of this machine, got {name}: choose --device {' or '.join(present)}")
    return name


class Alone:
    """One process without Lightning Fabric, which takes seconds to import: what the timing of a step needs of it.

    Args:
        settings: its device and precision are used.
    """

    world_size, global_rank, is_global_zero = 1, 0, True

    def __init__(self, settings: Settings):
        name = settings.device
        if name == "auto":
            name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        self.device = torch.device("cuda:0" if name == "cuda" else name)
        self.half = settings.precision == "bf16"

    def autocast(self) -> torch.autocast:
        """Return the context of a training step in the precision of the settings."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.half)


def make_fabric(settings: Settings) -> Fabric:
    """Return a launched Fabric for ``settings``; under torchrun it takes the processes from there."""
    # it imports torchmetrics and torchvision, 250 MB that opening a run does not need
    from lightning_fabric import Fabric

    world = int(os.environ.get("WORLD_SIZE", "0"))
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "0")) or settings.processes
    precision: Any = PRECISIONS[settings.precision]
    strategy = "ddp" if max(world, settings.processes) > 1 else "auto"
    kind, _, number = settings.device.partition(":")
    fabric = Fabric(
        accelerator=kind,
        devices=[int(number)] if number else local,
        num_nodes=max(1, world // local),
        strategy=strategy,
        precision=precision,
    )
    fabric.launch()
    if fabric.device.type == "cpu":
        # with this variable, which Fabric sets, every step of an optimizer loads NVML to look for a GPU: .04 ms each
        os.environ.pop("PYTORCH_NVML_BASED_CUDA_CHECK", None)
    return fabric
