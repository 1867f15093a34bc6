"""The overhead of the loop of ``mien train`` over a bare loop of the same model (for train_steps.py)."""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from noise import noise
from timing import Rounds, Spread, percentile, repeats, synchronize, timed

from mien.data.dataset import Dataset
from mien.models.base import Model, build
from mien.training.loop import Observer, Order, Settings, Trainer, fit

PICTURES = 512  # pictures of noise


class Turns(Observer):
    """An observer that takes a step of a bare loop after each step of a training, in rounds.

    The loop's time is from the end of a bare step to the end of its own next step, with all that it does in between.

    Args:
        bare: the other step.
        pairs, rounds: pairs of steps in a round, and their number; a first pair warms both up.
        rate: returns the matrix rate, which is measured before each round.
    """

    def __init__(self, bare: Callable[[], None], device: str, pairs: int, rounds: int, rate: Callable[[], float]):
        self.bare, self.device, self.pairs, self.rate = timed(bare, device), device, pairs, rate
        self.steps = 1 + pairs * rounds
        self.rounds = Rounds({"ours": [], "bare": [], "reading": []})
        self.ours: list[float] = []  # seconds of each step in this round
        self.theirs: list[float] = []

    def before_step(self, trainer: Trainer) -> None:
        """Start the clock of the first step."""
        if trainer.step == 0:
            self._begin(trainer)

    def after_step(self, trainer: Trainer) -> None:
        """Stop the clock, take the bare step, and end a round after its last pair."""
        synchronize(self.device)
        ours, theirs = time.perf_counter() - self.clock, self.bare()
        if trainer.step > 1:
            self.ours.append(ours)
            self.theirs.append(theirs)
        if trainer.step == 1 or len(self.ours) == self.pairs:
            self._end(trainer)
        else:
            self.clock = time.perf_counter()

    def _begin(self, trainer: Trainer) -> None:
        self.ours, self.theirs, self.waited = [], [], trainer.waited
        self.rounds.rates.append(self.rate())
        self.clock = time.perf_counter()

    def _end(self, trainer: Trainer) -> None:
        if self.ours:
            self.rounds.seconds["ours"].append(percentile(self.ours, 0.5))
            self.rounds.seconds["bare"].append(percentile(self.theirs, 0.5))
            self.rounds.seconds["reading"].append((trainer.waited - self.waited) / self.pairs)
        else:
            self.rounds.rates.clear()  # without the warm-up pair
        if trainer.step < self.steps:
            self._begin(trainer)


def loop(folder: Path, options: argparse.Namespace, rate: Callable[[], float]) -> dict[str, Any]:
    """Return the overhead of the loop of ``mien train`` over a bare loop of the same small VAE."""
    size, batch = (16, 8) if options.smoke else (32, 32)
    dataset = noise(folder, 64 if options.smoke else PICTURES, (3, size, size))
    torch.manual_seed(0)
    model = build("vae", {"shape": [3, size, size], "width": 8, "latent": 16})
    bare_model = copy.deepcopy(model).to(options.device).to(memory_format=torch.channels_last).train()
    splits = dataset.split()
    bare = bare_step(bare_model, dataset, Order(splits.train, 0), batch, options.device)
    bare()
    # the loops alternate step by step, because the drift of the machine is larger than the overhead
    pairs = repeats(2 * timed(bare, options.device)(), 0.0 if options.smoke else 2.0)
    turns = Turns(bare, options.device, pairs, max(options.rounds, 1 if options.smoke else 9), rate)
    # report, sheet and checkpoint come only at the end
    often = {"log_every": turns.steps, "picture_every": turns.steps, "save_seconds": 1e9}
    settings = Settings(steps=turns.steps, batch=batch, device=options.device, **often)
    run = folder / "loop"
    run.mkdir()
    fit(model, dataset, splits.train, splits.valid, run, settings, observers=[turns])
    seconds = turns.rounds.seconds
    options.rates += turns.rounds.rates
    share = Spread.of(r / s for r, s in zip(seconds["reading"], seconds["ours"], strict=True))
    return {
        "model": "vae",
        "size": f"width 8, {size} px: loop",
        "batch": batch,
        "precision": "fp32",
        "images_per_second": Spread.of(batch / s for s in seconds["ours"]).to_json(),
        "bare_images_per_second": Spread.of(batch / s for s in seconds["bare"]).to_json(),
        "ms_over_bare_loop": Spread.of(
            1e3 * (a - b) for a, b in zip(seconds["ours"], seconds["bare"], strict=True)
        ).to_json(),
        "data_share": share.to_json(),
    }


def bare_step(model: Model, dataset: Dataset, order: Order, batch: int, device: str) -> Callable[[], None]:
    """Return a step of the plain VAE as in a typical script: zero_grad, backward, step."""
    from mien import losses

    optimizer = torch.optim.Adam(model.parameters(), lr=5e-4, fused=True)
    position = 0

    def step() -> None:
        nonlocal position
        x = dataset.batch(order.at(position, batch), device).x
        position += batch
        q = model.encode(x)  # type: ignore[operator]
        x_rec = model.decode(q.rsample())  # type: ignore[operator]
        loss = losses.kl(q).mean() + losses.gaussian_reconstruction(x, x_rec, 0.5).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step
