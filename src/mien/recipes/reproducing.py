"""Runs a recipe: trains what is missing, measures, draws, and writes the result."""

from __future__ import annotations

import datetime
import hashlib
import inspect
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

import mien
from mien import experiment, figures
from mien.data.dataset import spread
from mien.errors import MienError
from mien.evaluation.context import Note
from mien.files import finite, sha256, write_json
from mien.recipes import get
from mien.recipes.planning import Root, Step, plan, unseen_of
from mien.recipes.recipe import Number, Recipe, Result
from mien.recipes.store import FIGURE, check_place, path_of, verdicts
from mien.recipes.trained import Trained
from mien.run.data import Data
from mien.run.folder import WEIGHTS, progress
from mien.training.logs import bars

MEASURED = "measured"  # the folder of further numbers, beside the run folders


def reproduce(
    name: str,
    scale: str,
    runs: Path,
    results: Path,
    root: Root = None,
    device: str = "cpu",
    console: Console | None = None,
    others: Mapping[str, Root] | None = None,
) -> Path:
    """Run a recipe at a scale and return the path of its result; a second call continues an interrupted one.

    Args:
        name: of the recipe; scale: ``smoke``, ``small`` or ``paper``.
        runs: the folder of the run folders; results: the folder of results and figures.
        root: the folder of the data set; None for its folder in $MIEN_DATA.
        device: of trainings and measures.
        console: where progress is shown; None is silent.
        others: folders of further data sets by name, for recipes that measure data on which nothing is trained.

    Raises:
        MienError: a mistake in the arguments, data that are not there, or another file in the place of the result.
        KeyboardInterrupt: a training was interrupted; nothing computed is lost.
    """
    began, recipe = time.monotonic(), get(name)
    check_place(name, scale, results)
    steps, unseen = plan(recipe, scale, runs, root), unseen_of(recipe, scale, others)
    for number, step in enumerate(steps):
        _train(step, device, console, f"{number + 1} of {len(steps)}")
    measuring = time.monotonic()
    with bars(console) as note:
        parts = [_of_seed(recipe, scale, seed, steps, device, note, unseen) for seed in recipe.scales[scale].seeds]
        each = [_numbers(name, part, runs) for part in parts]
    numbers = {label: _joined([values[label] for values in each]) for label in each[0]}
    path = path_of(name, scale, results)
    figure, result = recipe.figure(parts[0]), Result(scale, numbers)
    about = {
        "recipe": name,
        "scale": scale,
        "title": recipe.title,
        "command": f"mien reproduce {name} --scale {scale}",
        "data": _data(parts[0]),
        **_unseen(parts[0]),
        "seeds": list(recipe.scales[scale].seeds),
        "numbers": {label: number.to_json() for label, number in numbers.items()},
        "skipped": _skipped(parts[0]),
        "verdicts": [{"claim": claim, "verdict": verdict} for claim, verdict in verdicts(recipe, result)],
        "runs": [_about(step) for step in steps],
        "figure": path.with_suffix(FIGURE).name,
        **provenance(device),
        "seconds": {
            "trainings": round(sum(float(progress(step.folder).get("seconds", 0)) for step in steps), 1),
            "measures": round(time.monotonic() - measuring, 1),
            "this_call": round(time.monotonic() - began, 1),
        },
    }
    write_json(path, finite(about))
    figures.save(figure, path.with_suffix(FIGURE))
    return path


def _train(step: Step, device: str, console: Console | None, place: str) -> None:
    """Train one run, or continue it; a finished one is left as it is."""
    if step.finished:
        return
    if console:
        console.print(
            f"training {place}: {step.run}, seed {step.seed} ({step.folder.name})", style="dim", highlight=False
        )
    _, outcome = experiment.train(
        step.model,
        step.data,
        step.folder,
        step.settings,
        step.steps,
        step.epochs,
        console,
        device=device,
        **step.training,
    )
    if not outcome.finished:
        raise KeyboardInterrupt


def _of_seed(
    recipe: Recipe, scale: str, seed: int, steps: Sequence[Step], device: str, note: Note, unseen: Data | None
) -> Trained:
    """Return the runs of one seed."""
    own = [step for step in steps if step.seed in (seed, recipe.runs[step.run].seed)]
    folders, data = {step.run: step.folder for step in own}, {step.run: step.data for step in own}
    return Trained(recipe, scale, seed, folders, data, device, note, unseen)


def _numbers(name: str, part: Trained, runs: Path) -> dict[str, Number]:
    """Return the numbers of one seed by the label of their row."""
    for run in part.names:
        part.evaluate(run)
    rows = {row.label: part.number(row.run, row.path) for row in part.recipe.rows if row.run in part.names}
    extra = _extra(name, part, runs)
    labels = [row.label for row in part.recipe.rows]
    if unknown := [label for label in extra if label not in labels]:
        raise MienError(f"expected a row for each further number of {name}, got none for {unknown[0]}: add a row")
    return {label: {**rows, **extra}[label] for label in labels if label in rows or label in extra}


def _extra(name: str, part: Trained, runs: Path) -> Mapping[str, Number]:
    """Return the further numbers of one seed; stored ones if recipe, weights and protocol are the same."""
    source = inspect.getsource(sys.modules[part.recipe.extra.__module__])
    weights = {run: sha256(folder / WEIGHTS) for run, folder in part.folders.items()}
    protocol = [name, part.seed, part.held_out, weights, source, mien.__version__]
    if part.unseen:
        protocol.append([part.unseen.to_json() | {"root": None}, part.unseen.source().fingerprint()])
    words = json.dumps(protocol, sort_keys=True, default=str)
    path = runs / MEASURED / f"{name.replace('/', '-')}-{hashlib.sha256(words.encode()).hexdigest()[:12]}.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return {label: Number.from_json(value) for label, value in values.items()}
    except (OSError, ValueError, KeyError, TypeError):
        numbers = part.recipe.extra(part)
        if numbers:
            write_json(path, finite({label: number.to_json() for label, number in numbers.items()}))
        return numbers


def _joined(parts: Sequence[Number]) -> Number:
    """Return the numbers of single seeds as one."""
    sem = [value for part in parts for value in (part.sem or (None,) * len(part.each))]
    return Number(tuple(value for part in parts for value in part.each), tuple(sem), min(part.n for part in parts))


def _skipped(part: Trained) -> dict[str, str]:
    """Return the reasons of measures that were not taken, by run and measure."""
    evaluations = {run: part.evaluate(run) for run in part.names}
    return {
        # the reason can name a file in the user's home
        f"{run}, {measure}": str(values[measure]["skipped"]).replace(str(Path.home()), "~")
        for run, values in evaluations.items()
        for measure in part.recipe.measures_at(part.scale)
        if isinstance(values.get(measure), Mapping) and "skipped" in values[measure]
    }


def _data(part: Trained) -> dict[str, Any]:
    """Return the data: name, size, options and sample sizes."""
    opened = part.open(part.names[0])
    return {
        "name": opened.dataset.name,
        "size": opened.data.size,
        "options": dict(opened.data.options),
        "training": len(opened.index),
        "held_out": len(spread(opened.splits.test, part.held_out)),
        "split": opened.splits.rule,
        "unit": str(opened.data.kind.unit),
    }


def _unseen(part: Trained) -> dict[str, Any]:
    """Return the data on which nothing was trained; nothing for most recipes."""
    if part.unseen is None:
        return {}
    data = part.unseen
    options = {key: value for key, value in data.options.items() if key != "root"}
    return {"unseen": {"name": data.name, "size": data.size, "options": options, "pictures": len(data.source())}}


def _about(step: Step) -> dict[str, Any]:
    """Return a training: settings, length, seconds and the hash of the weights."""
    state = progress(step.folder)
    return {
        "run": step.run,
        "seed": step.seed,
        "folder": step.folder.name,
        "model": step.model,
        "settings": {key: value for key, value in step.settings.items() if key not in step.uses},
        "uses": {key: used.run for key, used in step.uses.items()},
        "share": list(step.data.share),
        "steps": state.get("steps"),
        "training": dict(step.training),
        "seconds": state.get("seconds"),
        "weights_sha256": sha256(step.folder / WEIGHTS),
    }


def provenance(device: str) -> dict[str, Any]:
    """Return commit, versions, device and date of a result, without paths and names of machines."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    about: dict[str, Any] = {"device": device, "cores": cores, "threads": torch.get_num_threads()}
    if device.startswith("cuda"):
        about["gpu"] = torch.cuda.get_device_name(device)
    versions = {"mien": mien.__version__, "torch": torch.__version__, "numpy": np.__version__}
    return {
        "commit": _commit(),
        "versions": {**versions, "python": platform.python_version()},
        "device": about,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def _commit() -> str | None:
    """Return the commit of the source, with a + if files differ from it; None for an installed package."""
    source = Path(mien.__file__).parent

    def git(*words: str) -> str:
        try:
            done = subprocess.run(["git", "-C", str(source), *words], capture_output=True, text=True, check=False)
        except OSError:
            return ""
        return done.stdout.strip() if done.returncode == 0 else ""

    if not git("ls-files", "--", "__init__.py"):
        return None
    commit = git("rev-parse", "--short=12", "HEAD")
    return commit + "+" * bool(git("status", "--porcelain", "--untracked-files=no", "--", ".")) or None
