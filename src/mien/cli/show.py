"""The command show: what a run folder holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mien.cli.app import app
from mien.cli.shared import Run, make_console


@app.command(rich_help_panel="Look up")
def show(run: Run) -> None:
    """Show what a run folder holds: model, data, progress, measures.

    Example:
      mien show runs/faces
    """

    for renderable in summary(run):
        make_console().print(renderable)


def summary(run: str | Path) -> list[Any]:
    """Return rich renderables that describe a run."""
    from rich.table import Table

    from mien.evaluation.store import RESULT, read
    from mien.evaluation.text import tables
    from mien.evaluation.wording import size_text, unit_of
    from mien.run.folder import progress, read_config

    run = Path(run)
    config, state = read_config(run), progress(run)
    data, training = config["data"], config["training"]
    table = Table(title=f"{run.name}: {config['model']}", show_header=False, title_justify="left")
    if data:  # a model that was saved without its run has none
        # a damaged file can lack any value, and what is there helps to recognize the run
        counts = "".join(f", {v:,} {k}" for k, v in data.get("counts", {}).items())
        size = size_text(data["size"], unit_of(config)) if "size" in data else "unknown size"
        named = {key: data.get(key, "unknown") for key in ("name", "split")}
        table.add_row("data", f"{named['name']} at {size}{counts} ({named['split']} split)")
    settings = {k: v for k, v in config["config"].items() if k not in ("shape", "attributes")}
    for key, value in settings.items():
        if isinstance(value, dict) and "sha256" in value:
            settings[key] = f"{value.get('source')} ({value['sha256']!s:.12})"
    table.add_row("settings", "\n".join(f"{k} = {v}" for k, v in settings.items()))
    table.add_row(
        "training", ", ".join(f"{k} {v}" for k, v in training.items() if k in ("batch", "seed", "precision", "ema"))
    )
    if {"step", "steps", "seconds"} <= state.keys():
        verdict = "finished" if state.get("finished") else "unfinished: the same command resumes it"
        table.add_row("progress", f"step {state['step']:,} of {state['steps']:,}, {state['seconds']:.0f} s, {verdict}")
        for warning in state.get("warnings", [])[-5:]:
            table.add_row("warning", f"[bold red]{warning}")
    else:
        table.add_row("progress", "no checkpoint yet")
    shown: list[Any] = [table]
    if result := read(run / RESULT):
        shown += tables(result)
    return shown
