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

GROWTH = 4  # a measured step has so many times the pictures of the one before it
SLOW = 1.0  # seconds of a step above which no larger one is measured
LEAST = 0.6  # of the time in proportion to the pictures: a step has a part that does not depend on them


def seconds_per_step(model: Model, batch: int, attributes: int, classes: int, fabric: Fabric | Alone) -> float:
    """Return the mean seconds of a training step on noise, over all stages of the training; the model's weights move.

    In each stage it measures steps of 2, 8, 32, … pictures, up to the whole batch or to the last one that promises to
    take less than a second. For a step that is not measured it takes the time on the line through the last two.

    Args:
        model: on the device of ``fabric``, with ``shape`` (C, H, W) in its configuration.
        batch: pictures in a step.
        attributes, classes: how many of them the data set has.
    """
    update = Update(model, cast("Fabric", fabric))  # one process asks it only for the device
    model.train()
    model.calibrate(_noise(model, 2, attributes, classes, fabric.device))
    mean = 0.0
    for begin, end in zip(model.stages, (*model.stages[1:], 1.0), strict=True):
        model.progress = begin
        mean += (end - begin) * _of_this_stage(model, update, batch, attributes, classes, fabric)
    return mean


def flop_per_picture(model: Model, attributes: int, classes: int, fabric: Fabric | Alone, n: int = 4) -> float:
    """Return the floating-point operations of a training step for one picture, over all stages; the weights move.

    Forward and backward passes of convolutions and matrix products count, by the formulas of torch's FlopCounterMode: a
    product with a sum is two operations.

    Args:
        model: on the device of ``fabric``, with ``shape`` (C, H, W) in its configuration.
        attributes, classes: how many of them the data set has.
        n: pictures in the counted steps, at least 2.
    """
    from mien.training.operations import Operations

    update = Update(model, cast("Fabric", fabric))
    model.train()
    model.calibrate(_noise(model, n, attributes, classes, fabric.device))
    mean = 0.0
    for begin, end in zip(model.stages, (*model.stages[1:], 1.0), strict=True):
        model.progress = begin
        noise = _noise(model, n, attributes, classes, fabric.device)
        with Operations() as counter:
            model.training_step(noise, update)
        mean += (end - begin) * counter.total / n
    return mean


def _of_this_stage(
    model: Model, update: Update, batch: int, attributes: int, classes: int, fabric: Fabric | Alone
) -> float:
    """Return the seconds of a training step at the present progress of the model."""

    def seconds(n: int) -> float:
        """Return the seconds of one step of n pictures."""
        noise = _noise(model, n, attributes, classes, fabric.device)
        start = time.perf_counter()
        with fabric.autocast():
            model.training_step(noise, update)
        synchronize(fabric.device)
        return time.perf_counter() - start

    n = min(2, batch)
    time_of_n = seconds(n)  # it also allocates
    if time_of_n <= SLOW:
        time_of_n = seconds(n)
    before, time_before = 0, 0.0
    while n < batch and (before == 0 or time_of_n * min(GROWTH, batch / n) <= SLOW):
        before, time_before = n, time_of_n
        # a slow model is measured at the next number of pictures, so that there are two points
        n = min(n * GROWTH if time_of_n * GROWTH <= SLOW else 2 * n, batch)
        time_of_n = seconds(n)
    if n == batch:
        return min(time_of_n, seconds(batch)) if time_of_n <= SLOW else time_of_n
    scaled = time_of_n * batch / n
    line = time_of_n + (batch - n) * (time_of_n - time_before) / (n - before)
    return min(max(line, LEAST * scaled), scaled)


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
