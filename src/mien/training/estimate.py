"""The estimate that a training prints: how long its remaining steps take."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mien.training.observers import Observer
from mien.training.timing import in_words, synchronize

if TYPE_CHECKING:
    from mien.training.loop import Trainer

MEASURED = 3  # steps after the first one of a stage, for the estimate
LONG = 2.0  # seconds of a first step after which nobody waits for more of them


class Estimate(Observer):
    """Prints once in each stage, after its first few steps, how long the rest takes; after one step if it is slow.

    The steps of another stage cost more or less. The first step of a stage also allocates, so it counts only if it is
    slow.
    """

    def __init__(self) -> None:
        self.stage = 0  # number of the present one, from 1
        self.first = 0  # its first step in this call
        self.printed = False
        self.start_of_step = self.end_of_first = 0.0

    def before_step(self, trainer: Trainer) -> None:
        """Note the time."""
        self.start_of_step = time.monotonic()

    def after_step(self, trainer: Trainer) -> None:
        """Print the estimate as soon as it is known."""
        stage = sum(begin <= trainer.model.progress for begin in trainer.model.stages)
        if stage != self.stage:
            synchronize(trainer.fabric.device)
            self.stage, self.first, self.printed, self.end_of_first = stage, trainer.step, False, time.monotonic()
            if (seconds := self.end_of_first - self.start_of_step) > LONG:
                self._print(trainer, seconds)
        elif trainer.step == self.first + MEASURED and not self.printed:
            synchronize(trainer.fabric.device)
            self._print(trainer, (time.monotonic() - self.end_of_first) / MEASURED)

    def _print(self, trainer: Trainer, seconds: float) -> None:
        """Print how long the remaining steps take at ``seconds`` each."""
        self.printed = True
        if trainer.console is None:
            return
        settings, stages = trainer.settings, len(trainer.model.stages)
        note = f" at the speed of stage {self.stage} of {stages}" if self.stage < stages else ""
        trainer.console.print(
            f"estimate: {settings.steps - self.first + 1:,} steps of {settings.batch} {trainer.model.items}, "
            f"{in_words((settings.steps - trainer.step) * seconds)} on {trainer.fabric.device}{note}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
