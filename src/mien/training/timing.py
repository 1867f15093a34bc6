"""The time of a training, measured from a few steps and said in words."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

import torch

from mien.data.batch import Batch
from mien.models.base import Model
from mien.training.update import Update

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from mien.training.settings import Alone

SMALL = 4  # pictures in the steps that are measured first
SLOW = 0.5  # seconds of a step above which no step of the whole batch is measured
ENOUGH = 1.0  # seconds of the first step above which it is not measured again
LEAST = 0.6  # of the time in proportion to the pictures: a step has a part that does not depend on them


def seconds_per_step(model: Model, batch: int, attributes: int, classes: int, fabric: Fabric | Alone) -> float:
    """Return the seconds of a training step on noise; the model's weights move.

    It measures a step of 2 and one of 4 pictures. If a step of the whole batch takes less than half a second by that,
    it measures two of these; else it returns the time on the line through both.

    Args:
        model: on the device of ``fabric``, with ``shape`` (C, H, W) in its configuration.
        batch: pictures in a step.
        attributes, classes: how many of them the data set has.
    """
    update = Update(model, cast("Fabric", fabric))  # one process asks it only for the device
    model.train()

    def seconds(n: int) -> float:
        """Return the seconds of one step of n pictures."""
        noise = _noise(model, n, attributes, classes, fabric.device)
        start = time.perf_counter()
        with fabric.autocast():
            model.training_step(noise, update)
        synchronize(fabric.device)
        return time.perf_counter() - start

    small = min(SMALL, batch)
    model.calibrate(_noise(model, 2, attributes, classes, fabric.device))
    first = seconds(2)  # it also allocates
    two = first if first > ENOUGH else seconds(2)
    scaled = (last := seconds(small) if small > 2 else two) * batch / small
    if small == batch or scaled > SLOW:
        line = last + (batch - small) * (last - two) / max(small - 2, 1)
        return min(max(line, LEAST * scaled), scaled)
    return min(seconds(batch) for _ in range(2))


def synchronize(device: torch.device) -> None:
    """Wait until a device has done all its work; a CPU always has."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def in_words(seconds: float) -> str:
    """Return a duration in words.

    >>> in_words(20), in_words(90), in_words(400), in_words(9000)
    ('less than a minute', 'about 2 minutes', 'about 7 minutes', 'about 2.5 hours')
    """
    if seconds < 50:
        return "less than a minute"
    if seconds < 90 * 60:
        minutes = max(1, round(seconds / 60))
        return f"about {minutes} minute{'s' * (minutes > 1)}"
    return f"about {seconds / 3600:.1f} hours" if seconds < 48 * 3600 else f"about {seconds / 86400:.1f} days"


def _noise(model: Model, n: int, attributes: int, classes: int, device: torch.device) -> Batch:
    """Return a batch of ``n`` random pictures, with random attributes and classes."""
    x = torch.rand(n, *model.config["shape"], device=device) * 2 - 1
    rows = torch.where(torch.rand(n, max(attributes, 1), device=device) > 0.5, 1.0, -1.0)
    labels = torch.randint(max(classes, 1), (n,), device=device)
    return Batch(x, rows, labels, torch.arange(n, device=device))
