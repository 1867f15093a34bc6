"""The state that a training resumes from: one file, replaced atomically, read without running code from it."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mien.errors import MienError
from mien.files import write_atomically
from mien.models.base import Model
from mien.training.update import Update

FILE = "state.pt"


def save(folder: Path, model: Model, update: Update, step: int, seconds: float, average: dict[str, Tensor]) -> None:
    """Write the state: weights, optimizers, the moving average, the position.

    No random state is saved: the seed and the step determine the random numbers of each step.
    Everything is in one file, so that a kill cannot leave weights and optimizers of different steps.

    Args:
        seconds: trained so far, over all calls.
        average: of the weights, by name; empty without one.
    """
    state = {
        "step": step,
        "seconds": seconds,
        "weights": model.state_dict(),
        "optimizers": {name: optimizer.state_dict() for name, optimizer in update.optimizers.items()},
        "average": average,
    }
    write_atomically(folder / FILE, lambda path: torch.save(state, path))


def load(folder: Path, model: Model, update: Update, average: dict[str, Tensor]) -> tuple[int, float]:
    """Restore the state in ``folder`` in place and return its step and the seconds trained; (0, 0) without a state.

    Raises:
        MienError: if the file is damaged or belongs to another model.
    """
    path = folder / FILE
    if not path.exists():
        return 0, 0.0
    device = next(model.parameters()).device
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        model.load_state_dict(state["weights"])
        for name, optimizer in update.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        for key, value in state["average"].items():
            average[key].copy_(value)
        return state["step"], state["seconds"]
    except (RuntimeError, KeyError, ValueError, EOFError, pickle.UnpicklingError, AttributeError) as error:
        raise MienError(
            f"expected the state of this training in {path}, got a damaged or different one "
            f"({str(error).splitlines()[0] if str(error) else type(error).__name__}): "
            "delete it to start again from step 0"
        ) from None
