"""Weights of a model to ship: float16, without the parts that only training needs, and compared with the run's."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mien.abilities import Decodes, Describes, Edits, Encodes, Generates, Recognizes, can
from mien.data.dataset import spread
from mien.models.base import Model
from mien.networks.loss_network import LossNetwork
from mien.run.opening import OpenRun
from mien.run.weights import is_in

RANDOM, HELD_OUT = 32, 500  # pictures of the comparison with the run
BOUNDED = ("reconstructions", "generated", "edited", "recognized")  # outputs whose range is known
SMALLEST = torch.finfo(torch.float16).smallest_normal


def random_pictures(model: Model, n: int) -> Tensor:
    """Return smooth random pictures (n, C, H, W) in [-1, 1] of the shape that a model takes."""
    channels, height, width = model.config["shape"]
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(n, channels, min(8, height), min(8, width), generator=generator) * 2 - 1
    return F.interpolate(coarse, (height, width), mode="bilinear", align_corners=False)


@torch.inference_mode()
def outputs(model: Any, x: Tensor) -> dict[str, Tensor]:
    """Return what each ability of a model gives for pictures x (B, C, H, W)."""
    out: dict[str, Tensor] = {}
    if can(model, Encodes):
        q = model.encode(x)
        out |= {"latents": q.mean, "deviations of latents": q.stddev}
        if can(model, Decodes):
            out["reconstructions"] = model.decode(q.mean)
    if can(model, Generates):
        conditions = torch.ones(4, len(model.conditions)) if model.conditions else None
        out["generated"] = model.generate(4, conditions, 0)
    if can(model, Edits):
        edits = [model.edit(x, {name: amount}) for name in model.editable for amount in (1.0, -1.0)]
        out |= {"edited": torch.cat(edits)} if edits else {}
    if can(model, Recognizes):
        out["recognized"] = model.recognize(x)
    if can(model, Describes):
        out |= {"features": model.features(x), "logits": model.logits(x)}
    return out


def training_parts(model: Model) -> list[str]:
    """Return the parts that only training needs, by name: loss networks and players that change no output.

    A part counts only if all outputs stay the same, bit for bit, after its weights are replaced by NaN.
    """
    networks = [name for name, module in model.named_modules() if isinstance(module, LossNetwork)]
    x = random_pictures(model, 2)
    expected = outputs(model, x)
    parts = []
    for name in dict.fromkeys([*networks, *model.players]):
        broken = copy.deepcopy(model)
        weights = [v for key, v in broken.state_dict().items() if is_in(key, [name]) and v.is_floating_point()]
        for value in weights:
            value.fill_(float("nan"))
        try:
            result = outputs(broken, x)
        except (RuntimeError, ValueError):  # torch's distributions refuse NaN
            continue
        if weights and all(torch.equal(result[key], value) for key, value in expected.items()):
            parts.append(name)
    return parts


def half(model: Model, left_out: Sequence[str]) -> tuple[dict[str, Tensor], list[str]]:
    """Return the weights in float16 without the parts ``left_out``, and the names of those that stay in float32.

    A tensor stays in float32 if float16 cannot hold its values. For variances this includes values below float16's
    smallest normal number: they lose digits, and BatchNorm divides by them. Integers stay as they are.
    """
    weights: dict[str, Tensor] = {}
    kept: list[str] = []
    for key, value in model.weights().items():
        if is_in(key, left_out):
            continue
        small = value.half() if value.is_floating_point() else value
        tiny = key.endswith("running_var") and bool((value < SMALLEST).any())
        if value.is_floating_point() and (tiny or not bool(small.isfinite().all())):
            small = value
            kept.append(key)
        weights[key] = small.contiguous()
    return weights, kept


def agreement(run: Model, shipped: Model, opened: OpenRun | None) -> dict[str, Any]:
    """Return how far the outputs of the shipped model are from those of the run.

    Args:
        run, shipped: the two models.
        opened: the run with its data; None if the data are not at hand.

    Returns:
        The largest difference of each output on random pictures, and the errors of both models on held-out pictures.
    """
    x = random_pictures(run, RANDOM)
    expected, result = outputs(run, x), outputs(shipped, x)
    largest = {key: float((result[key] - value).abs().max()) for key, value in expected.items()}
    values: dict[str, Any] = {"random_pictures": {"n": RANDOM, "largest_difference": largest}, "held_out": None}
    if opened is not None:
        test = spread(opened.splits.test, HELD_OUT)
        values["held_out"] = {"n": len(test), **_held_out(run, shipped, opened.dataset.batch(test).x)}
    return values


@torch.inference_mode()
def _held_out(run: Any, shipped: Any, x: Tensor) -> dict[str, float]:
    """Return the errors of both models on pictures x (B, C, H, W), and how many decisions differ."""
    values: dict[str, float] = {}
    parts = torch.split(x, 64)
    if can(run, Encodes, Decodes):
        for key, model in (("mse_float32", run), ("mse_shipped", shipped)):
            errors = [(model.decode(model.encode(part).mean) - part).square().flatten(1).mean(1) for part in parts]
            values[key] = float(torch.cat(errors).mean())
    if can(run, Recognizes):
        one, two = (torch.cat([model.recognize(part) for part in parts]) for model in (run, shipped))
        values["largest_difference_of_probabilities"] = float((one - two).abs().max())
        changed = (one > 0.5) != (two > 0.5) if run.attributes else one.argmax(1) != two.argmax(1)
        values["decisions"], values["decisions_changed"] = changed.numel(), int(changed.sum())
    if can(run, Edits) and run.editable:
        edits = [
            (run.edit(p, {n: 1.0}) - shipped.edit(p, {n: 1.0})).square().mean() for p in parts for n in run.editable
        ]
        values["mse_between_edits"] = float(torch.stack(edits).mean())
    return values
