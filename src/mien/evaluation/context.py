"""What the measures of one evaluation share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mien.abilities import Decodes, Encodes
from mien.applications.basics import device_of, reconstruct
from mien.errors import MienError
from mien.models.base import Model
from mien.run.opening import OpenRun

Note = Callable[[str, int, int], None]


class Skipped(MienError):
    """A measure applies but cannot be taken; the message says what to do about it."""


@dataclass(frozen=True)
class Context:
    """One evaluation.

    Args:
        run: what is measured.
        test: positions (n,) of the held-out pictures.
        judge: the model of the judge run, or None; about_judge: its name and the hash of its weights.
        seed: of generated pictures.
        note: called with (what, done, total).
        chosen: the names of all measures that are taken; shared: what one of them has left for another.
    """

    run: OpenRun
    test: np.ndarray
    judge: Any
    about_judge: dict[str, str] | None
    seed: int
    note: Note
    chosen: tuple[str, ...] = ()
    shared: dict[str, Any] = field(default_factory=dict)

    @property
    def model(self) -> Model:
        return self.run.model

    @property
    def device(self) -> torch.device:
        return device_of(self.run.model)

    @property
    def autoencodes(self) -> bool:
        return isinstance(self.run.model, Encodes) and isinstance(self.run.model, Decodes)

    def plain(self, x: Tensor) -> Tensor:
        """Return what the model makes of pictures it is not asked to change: their reconstructions, or themselves."""
        return reconstruct(self.model, x) if self.autoencodes else x
