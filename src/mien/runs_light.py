"""What can be said of a run folder without importing torch: its configuration, progress and measures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mien import models
from mien.errors import MienError

FORMAT = 1  # of config.json


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
    path = run / "config.json"
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
    if not (Path(run) / "weights.safetensors").exists():
        raise MienError(
            f"expected {Path(run) / 'weights.safetensors'}, got a run without weights: "
            "run its mien train command again to finish it"
        )


def _json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def progress(run: str | Path) -> dict[str, Any]:
    """Return how far a run is, or nothing where it has not been saved yet."""
    return _json(Path(run) / "progress.json")


def summary(run: str | Path) -> list[Any]:
    """Return rich renderables that describe a run."""
    from rich.table import Table

    run = Path(run)
    config, state = read_config(run), progress(run)
    data, training = config["data"], config["training"]
    table = Table(title=f"{run.name}: {config['model']}", show_header=False, title_justify="left")
    counts = ", ".join(f"{v:,} {k}" for k, v in data["counts"].items())
    table.add_row("data", f"{data['name']} at {data['size']} px, {counts} ({data['split']} split)")
    settings = {k: v for k, v in config["config"].items() if k not in ("shape", "attributes")}
    for key, value in settings.items():
        if isinstance(value, dict) and "sha256" in value:
            settings[key] = f"{value['source']} ({value['sha256'][:12]})"
    table.add_row("settings", "\n".join(f"{k} = {v}" for k, v in settings.items()))
    table.add_row(
        "training", ", ".join(f"{k} {v}" for k, v in training.items() if k in ("batch", "seed", "precision", "ema"))
    )
    if state:
        verdict = "finished" if state["finished"] else "unfinished: the same command resumes it"
        table.add_row("progress", f"step {state['step']:,} of {state['steps']:,}, {state['seconds']:.0f} s, {verdict}")
        for warning in state["warnings"][-5:]:
            table.add_row("warning", f"[bold red]{warning}")
    else:
        table.add_row("progress", "no checkpoint yet")
    shown: list[Any] = [table]
    result = _json(run / "evaluation.json")
    if result:
        from mien.evaluation_text import tables

        shown += tables(result)
    return shown
