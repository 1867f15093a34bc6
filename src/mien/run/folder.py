"""A run folder, read without importing torch: its configuration and its progress.

A run folder holds ``config.json`` (model, its settings, data, training), ``weights.safetensors``, ``state.pt`` (what
resuming needs; read with ``weights_only``), ``log.jsonl``, ``tensorboard/`` and ``pictures/``.
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
    """Return the config.json of a run folder, checked.

    Raises:
        MienError: if the folder is not a run, or of another format.
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
        config = json.loads(path.read_text(encoding="utf-8"))
        found, name = config["format"], config["model"]
        dict(config["config"]), dict(config["data"]), dict(config["training"])
    except (ValueError, KeyError, TypeError, OSError):
        raise MienError(
            f"expected the configuration of a run in {path}, got something else: train again into a new folder"
        ) from None
    if found != FORMAT:
        raise MienError(
            f"expected a run of format {FORMAT}, got format {found} in {path}: use the version of mien that made it"
        )
    models.check_name(name)
    return config


def check_abilities(run: str | Path, needed: Sequence[str]) -> None:
    """Raise MienError unless ``run`` is a complete run of a model with the abilities ``needed``, by name."""
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
            f"expected {Path(run) / 'weights.safetensors'}, got a run without weights: "
            "run its mien train command again to finish it"
        )


def read_json(path: Path) -> dict[str, Any]:
    """Return what a JSON file of a run holds, nothing where it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def progress(run: str | Path) -> dict[str, Any]:
    """Return how far a run is, or nothing where it has not been saved yet."""
    return read_json(Path(run) / PROGRESS)
