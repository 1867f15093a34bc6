"""Configuration and progress of a run folder, read without torch.

A run folder holds ``config.json`` (the model, its settings, the data and the training), ``weights.safetensors``,
``state.pt`` (the state for resuming, read with ``weights_only``), ``log.jsonl``, ``tensorboard/`` and ``pictures/``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mien import models
from mien.errors import MienError

FORMAT = 1  # of config.json
CONFIG, WEIGHTS, PROGRESS = "config.json", "weights.safetensors", "progress.json"


def read_config(run: str | Path) -> dict[str, Any]:
    """Return the checked content of ``config.json`` of a run folder.

    Raises:
        MienError: the folder is not a run, or has another format.
    """
    run = Path(run)
    make = f"make one with mien train … --out {run}"
    if not run.is_dir():
        raise MienError(
            f"expected a run folder, got {run}, which {'is a file' if run.exists() else 'does not exist'}: {make}"
        )
    path = run / CONFIG
    if not path.exists():
        raise MienError(f"expected a run folder, got {run}, which has no config.json: {make}")
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version, name = config["format"], config["model"]
        dict(config["config"]), dict(config["data"]), dict(config["training"])
    except (ValueError, KeyError, TypeError, OSError):
        raise MienError(
            f"expected the configuration of a run in {path}, got something else: train again into a new folder"
        ) from None
    if version != FORMAT:
        raise MienError(
            f"expected a run of format {FORMAT}, got format {version} in {path}: use the version of mien that made it"
        )
    models.check_name(name)
    return config


def check_abilities(run: str | Path, needed: Sequence[str]) -> None:
    """Check that ``run`` is a complete run of a model with the abilities named in ``needed``.

    Raises:
        MienError: it is not a run, its model lacks an ability, or it has no weights.
    """
    config = read_config(run)
    has = models.abilities(config["model"])
    if not set(needed) <= set(has):
        able = models.models_with(list(needed))
        raise MienError(
            f"needed a model that {' and '.join(needed)}, got {config['model']}, which only {' and '.join(has)}: "
            f"use a run of {' or '.join(able)}"
        )
    if not (Path(run) / WEIGHTS).exists():
        raise MienError(
            f"expected {Path(run) / WEIGHTS}, got a run without weights: run its mien train command again to finish it"
        )


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file of a run; an empty one if the file is missing or damaged."""
    try:
        value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value


def progress(run: str | Path) -> dict[str, Any]:
    """Return the progress of a run's training; an empty object if nothing has been saved yet."""
    return read_json(Path(run) / PROGRESS)
