"""The context of one evaluation, which its measures share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mien.abilities import Decodes, Encodes, can
from mien.evaluation.record import Record

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor

    from mien.models.base import Model
    from mien.run.opening import OpenRun

Note = Callable[[str, int, int], None]


def autoencodes(run: OpenRun) -> bool:
    """Return whether the model of a run encodes and decodes."""
    return can(run.model, Encodes, Decodes)


@dataclass(frozen=True)
class Context:
    """One evaluation.

    Args:
        run: the run to measure.
        test: positions (n,) of the held-out pictures.
        judge: the model of the judge run, or None; judge_sha256: the hash of its weights.
        seed: seed of the generated pictures.
        note: called with (what, done, total).
        chosen: names of all measures of this evaluation; shared: results that one measure computed for other measures.
    """

    run: OpenRun
    test: np.ndarray
    judge: Any
    judge_sha256: str | None
    seed: int
    note: Note
    chosen: tuple[str, ...] = ()
    shared: dict[str, Record] = field(default_factory=dict)

    @property
    def model(self) -> Model:
        """The model of the run."""
        return self.run.model

    @property
    def device(self) -> torch.device:
        """The device of the model."""
        from mien.applications.basics import device_of

        return device_of(self.run.model)

    @property
    def autoencodes(self) -> bool:
        """Whether the model encodes and decodes."""
        return autoencodes(self.run)

    def plain(self, x: Tensor) -> Tensor:
        """Return the model's output for pictures without an edit: their reconstructions, or ``x`` itself."""
        from mien.applications.basics import reconstruct

        return reconstruct(self.model, x) if self.autoencodes else x
