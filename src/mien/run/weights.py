"""Weights of a run: writing them, and loading the model without executing anything in the run folder."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import safetensors
import safetensors.torch
import torch

from mien import models
from mien.errors import MienError
from mien.files import write_atomically
from mien.models.base import Model, build
from mien.run.folder import WEIGHTS, left_out, read_config, resolve


def save_weights(path: Path, weights: Mapping[str, torch.Tensor]) -> None:
    """Write ``weights`` as safetensors with :func:`mien.files.write_atomically`."""
    write_atomically(path, lambda p: safetensors.torch.save_file(dict(weights), p))


def load(run: str | Path, device: str | torch.device = "cpu") -> Model:
    """Return the model of a run folder in evaluation mode, in float32. Nothing in the folder is executed.

    Args:
        run: a run folder, or the name of a model that comes with the package (``mien.pretrained.names()``). Parts that
            such a model needs for training only may be missing from its weights; then it cannot be trained.
        device: cpu or cuda.

    Raises:
        MienError: the folder is not a run, the run is incomplete, or its weights belong to another model.
    """
    run = resolve(run)
    config = read_config(run)
    path, absent = run / WEIGHTS, left_out(config)
    if not path.exists():
        raise MienError(f"expected {path}, got a run without weights: run its mien train command again to finish it")
    model = build(config["model"], {**models.get(config["model"]).earlier, **config["config"]})
    load_weights(model, path, absent)
    if absent:
        # the left-out parts have random weights now, and a training would learn from them
        vars(model)["training_step"] = functools.partial(_refuse_training, run.name, absent)
    # channels last, as in training: for batches of 64, encoding is 1.1 and decoding 1.35 times as fast; single pictures
    # take the same time (benchmarks/inference.py)
    return model.to(device).to(memory_format=torch.channels_last).eval()


def _refuse_training(name: str, absent: Sequence[str], *_: Any) -> NoReturn:
    raise MienError(
        f"expected a model with all its parts to train, got {name}, whose {' and '.join(absent)} did not come with the "
        "package: train a new run"
    )


def is_in(key: str, parts: Sequence[str]) -> bool:
    """Return whether the weight ``key`` belongs to one of the ``parts`` of a model.

    >>> is_in("critic.0.weight", ["critic"]), is_in("critics.0.weight", ["critic"])
    (True, False)
    """
    return any(key.startswith(f"{part}.") for part in parts)


def load_weights(model: Model, path: Path, absent: Sequence[str] = ()) -> None:
    """Load the weights of ``model`` from a safetensors file; float16 values become float32.

    Args:
        absent: parts of the model, by their names, whose weights are not in the file.

    Raises:
        MienError: the file is damaged, or holds the weights of another model; the message has the first difference.
    """
    try:
        weights = safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, OSError) as error:
        raise MienError(
            f"expected safetensors weights in {path}, got a damaged file ({error}): train again or copy it again"
        ) from None
    own = {key: value for key, value in model.state_dict().items() if not is_in(key, absent)}
    for key in sorted(own.keys() ^ weights.keys()):
        here = "missing from" if key in own else "unknown in"
        raise MienError(
            f"expected the weights of {model.name} in {path}, got those of another model or version of mien: "
            f"{key} is {here} it"
        )
    for key, value in own.items():
        if weights[key].shape != value.shape:
            raise MienError(
                f"expected {key} {tuple(value.shape)} in {path}, got {tuple(weights[key].shape)}: "
                "config.json and weights.safetensors are of different runs"
            )
    model.load_state_dict(weights, strict=not absent)  # the keys were compared above
