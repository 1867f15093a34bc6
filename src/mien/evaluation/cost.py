"""The cost of a model: its parameters, and the operations and the time of a training step."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from mien.evaluation.record import Record
from mien.run.folder import read_config

if TYPE_CHECKING:
    from mien.evaluation.context import Note
    from mien.run.opening import OpenRun

ROUNDS = 3


@dataclass(frozen=True)
class Cost(Record):
    """The cost of a run's model.

    Args:
        parameters: numbers that the training moves, of all players.
        gflop: 10⁹ floating-point operations of a training step for one picture, see
            :func:`mien.training.timing.flop_per_picture`.
        images_per_second: of training steps with ``batch`` pictures, the median of three rounds in turn with the other
            runs; lowest, highest: of the rounds.
        batch: pictures in a step; device: where it was measured; threads: of the processor.
    """

    parameters: int
    gflop: float
    images_per_second: float
    lowest: float
    highest: float
    batch: int
    device: str
    threads: int


def costs(opened: Mapping[str, OpenRun], device: str = "cpu", note: Note | None = None) -> dict[str, Cost]:
    """Return the cost of each run by its key; a model without its training parts has none.

    All runs are timed in turns, so other programs slow them down alike. The models of the runs do not change.

    Args:
        opened: the runs; device: where they are timed; note: called with (what, done, total).
    """
    import torch

    from mien.training.settings import Alone, Settings
    from mien.training.timing import flop_per_picture, seconds_per_step

    subjects, gflop = {}, {}
    for key, run in opened.items():
        config = read_config(run.folder)
        if "shipped" in config or "training" not in config:
            continue
        training = config["training"]
        alone = Alone(Settings(steps=1, batch=training["batch"], precision=training["precision"], device=device))
        model = copy.deepcopy(run.model).to(alone.device)
        for player in model.players:
            model.get_submodule(player).requires_grad_(True)
        counts = len(run.dataset.attributes), len(run.dataset.classes)
        gflop[key] = flop_per_picture(model, *counts, alone) / 1e9
        model.to(memory_format=torch.channels_last)  # the layout of trainings
        subjects[key] = model, training["batch"], counts, alone
    seconds: dict[str, list[float]] = {key: [] for key in subjects}
    for turn in range(ROUNDS):
        for number, (key, (model, batch, counts, alone)) in enumerate(subjects.items(), 1):
            seconds[key].append(seconds_per_step(model, batch, *counts, alone))
            if note:
                note("training speed", turn * len(subjects) + number, ROUNDS * len(subjects))
    return {
        key: Cost(
            sum(v.numel() for player in model.players for v in model.get_submodule(player).parameters()),
            gflop[key], batch / median(seconds[key]), batch / max(seconds[key]), batch / min(seconds[key]), batch,
            str(alone.device), torch.get_num_threads(),
        )
        for key, (model, batch, _, alone) in subjects.items()
    }  # fmt: skip
