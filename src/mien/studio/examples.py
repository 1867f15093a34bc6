"""Pictures for a visitor without a photo: the portrait that comes with mien, and held-out pictures of the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import MienError
from mien.photos import portrait
from mien.studio.runs import Served

COUNT = 8  # held-out pictures of a run


@dataclass(frozen=True)
class Example:
    """A picture that a visitor can take.

    Args:
        picture: uint8 (H, W, 3).
        name: of its file.
        run: the name of the run whose data have it; empty for the portrait.
    """

    picture: NDArray[np.uint8]
    name: str
    run: str = ""


class Examples:
    """The examples for some runs; the data are opened when the first visitor wants to see them.

    Args:
        runs: the served runs of a panel.
    """

    def __init__(self, runs: Sequence[Served]):
        self.portrait = any(run.template is not None for run in runs)
        self.runs = [run for run in runs if run.can() and run.has_data]
        self._all: list[Example] | None = None
        self.failures: list[str] = []

    def __bool__(self) -> bool:
        return self.portrait or bool(self.runs)

    def all(self) -> list[Example]:
        """Return the examples; runs whose data cannot be opened are left out, and :attr:`failures` says why."""
        if self._all is None:
            examples = [Example(portrait(), "portrait.png")] if self.portrait else []
            for run in self.runs:
                try:
                    pictures, index = run.held_out(COUNT)
                except MienError as error:
                    self.failures.append(str(error))
                    continue
                names = [f"{run.name}-{number}.png" for number in index]
                examples += [Example(one, name, run.name) for one, name in zip(pictures, names, strict=True)]
            self._all = examples
        return self._all
