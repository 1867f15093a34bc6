"""Names for parts of a training step, which :mod:`mien.training.profile` reads from the profiler's events."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.profiler import record_function

PREFIX = "mien: "  # of the names of events
STEP, DATA, GRADIENTS = "a step", "data", "gradients: sums, norm, guard"
_NOTHING = nullcontext()


def part(name: str) -> AbstractContextManager[Any]:
    """Return a context that gives its operations to the part ``name`` while torch's profiler records.

    Without a profiler it does nothing: a mark takes 12 µs, this test 0.1 µs.
    """
    enabled: bool = torch.autograd._profiler_enabled()  # type: ignore[attr-defined]
    return record_function(PREFIX + name) if enabled else _NOTHING
