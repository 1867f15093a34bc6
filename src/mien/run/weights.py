"""Weights of a run: writing them, and loading the model without executing anything in the run folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch

from mien.errors import MienError
from mien.files import write_atomically
from mien.models.base import Model, build
from mien.run.folder import WEIGHTS, read_config


def save_weights(path: Path, weights: Mapping[str, torch.Tensor]) -> None:
    """Write ``weights`` as safetensors with :func:`mien.files.write_atomically`."""
    write_atomically(path, lambda p: safetensors.torch.save_file(dict(weights), p))


def load(run: str | Path, device: str | torch.device = "cpu") -> Model:
    """Return the model of a run folder in evaluation mode. Nothing in the folder is executed.

    Raises:
        MienError: the folder is not a run, the run is incomplete, or its weights belong to another model.
    """
    run = Path(run)
    config = read_config(run)
    path = run / WEIGHTS
    if not path.exists():
        raise MienError(f"expected {path}, got a run without weights: run its mien train command again to finish it")
    model = build(config["model"], config["config"])
    load_weights(model, path)
    # channels last, as in training: for batches of 64, encoding is 1.1 and decoding 1.35 times as fast; single pictures
    # take the same time (benchmarks/inference.py)
    return model.to(device).to(memory_format=torch.channels_last).eval()


def load_weights(model: Model, path: Path) -> None:
    """Load the weights of ``model`` from a safetensors file.

    Raises:
        MienError: the file is damaged, or holds the weights of another model; the message has the first difference.
    """
    try:
        weights = safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, OSError) as error:
        raise MienError(
            f"expected safetensors weights in {path}, got a damaged file ({error}): train again or copy it again"
        ) from None
    own = model.state_dict()
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
    model.load_state_dict(weights)
