"""The state that a training resumes from: one file, replaced atomically, read without running code from it."""

from __future__ import annotations

import os
import pickletools
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mien.errors import MienError
from mien.files import is_intact, record_digest, write_atomically
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

    def write(path: Path) -> None:
        torch.save(state, path)
        record_digest(folder / FILE, path)

    write_atomically(folder / FILE, write)


def load(folder: Path, model: Model, update: Update, average: dict[str, Tensor]) -> tuple[int, float]:
    """Restore the state in ``folder`` in place and return its step and the seconds trained; (0, 0) without a state.

    Raises:
        MienError: if the file is damaged or belongs to another model.
    """
    path = folder / FILE
    if not path.exists():
        return 0, 0.0
    device = next(model.parameters()).device
    if not os.access(path, os.R_OK):
        raise MienError(f"expected to read {path}, got no permission: change its permissions")
    if not path.is_file():  # opening a named pipe would wait forever
        raise _damaged(path, "no regular file")
    if not is_intact(path):
        raise _damaged(path, "its digest is not the one in digests.json")
    _check_size(path)
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        model.load_state_dict(state["weights"])
        for name, optimizer in update.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        for key, value in state["average"].items():
            average[key].copy_(value)
        step, seconds = state["step"], float(state["seconds"])
    except Exception as error:  # an unpickler raises errors of any kind on a damaged file
        text = "" if "weights_only" in str(error) else (str(error).splitlines() or [""])[0]
        raise _damaged(path, text or type(error).__name__) from None
    if type(step) is not int or not 0 <= step < 2**53 or not 0 <= seconds < float("inf"):
        raise _damaged(path, f"step {step!r:.40}, {seconds!r:.40} seconds")
    return step, seconds


def _damaged(path: Path, reason: str) -> MienError:
    return MienError(
        f"expected the state of this training in {path}, got a damaged or different one ({reason}): "
        "delete it to start again from step 0"
    )


def _check_size(path: Path) -> None:
    """Refuse a file that is no archive of torch, or whose members are larger than the file.

    torch stores members without compression. Without this check, a pickle of nine bytes makes the unpickler allocate
    4 GiB, and a compressed member unpacks to any size.

    Raises:
        MienError: the file is not such an archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            whole = all(member.compress_type == zipfile.ZIP_STORED for member in members)
            size = sum(member.file_size for member in members)
            programs = [archive.read(member) for member in members if member.filename.endswith("data.pkl")]
            if not whole or size > path.stat().st_size or len(programs) != 1:
                raise _damaged(path, "not an archive of PyTorch")
            for opcode, argument, _ in pickletools.genops(programs[0]):
                # a memo of this size is allocated at once
                if "PUT" in opcode.name and isinstance(argument, int) and argument > len(programs[0]):
                    raise _damaged(path, f"a pickle with the memo index {argument}")
    except MienError:
        raise
    except Exception as error:  # zipfile and pickletools raise errors of many kinds on a damaged file
        raise _damaged(path, (str(error).splitlines() or [type(error).__name__])[0]) from None
