"""Saving of a run or a model as a folder for other people: a run folder without what belongs to this machine.

The folder has the names of a run folder, so every command takes it. It holds no state of the training, no log and no
pictures, and no path of the user's machine.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from mien import __version__, models, pretrained
from mien.abilities import Edits, can
from mien.applications.directions import DIRECTIONS
from mien.errors import MienError
from mien.evaluation.result import Evaluation
from mien.evaluation.store import RESULT, read
from mien.evaluation.wording import unit_of
from mien.files import DIGESTS, sha256, write_atomically, write_json
from mien.hub import card as cards
from mien.models.base import Model, json_config
from mien.run.folder import (
    CONFIG,
    FORMAT,
    PROGRESS,
    WEIGHTS,
    left_out,
    progress,
    read_config,
    read_json,
    resolve,
    weights_digest,
)
from mien.run.opening import SAVED, OpenRun, cached_vectors, stamps, vector_files
from mien.run.remote import CARD_TEXT, FILES
from mien.run.weights import is_in, load, save_weights
from mien.training import checkpoint

OURS = {"name", "address", "unit"}  # of a card: the values that a card of the package never overrides
KEPT = ("step", "steps", "schedule_steps", "seconds", "finished")  # of progress.json; warnings can name paths


def save_pretrained(
    run: str | Path | OpenRun | Model,
    folder: str | Path,
    *,
    title: str = "",
    license: str = "",
    address: str = "",
) -> Path:
    """Write a run or a model to a folder for other people, and return the folder. It is a run folder.

    It holds config.json without folders of data, weights.safetensors with its digest, the attribute vectors and the
    evaluation if the run has them, and the model card README.md. Nothing else of a run is copied.

    Args:
        run: a run folder, the name of a model that comes with the package, a run of :func:`mien.open_run`, or a model.
            A model alone has no data, no attribute vectors and no evaluation.
        folder: it may exist; files of these names are replaced.
        title: one line for the card: what the model is good for.
        license: the license and the allowed use; known for models of avatars and of CelebA.
        address: what the examples of the card name; by default the name of the folder.

    Raises:
        MienError: not a run, a run without weights or with damaged ones, or a folder that a training writes into.
    """
    folder = Path(folder)
    _check_target(folder)
    if isinstance(run, Model):
        config, source = _write_model(run, folder), None
        model = run
    else:
        source = run.folder if isinstance(run, OpenRun) else resolve(run)
        if folder.exists() and source.is_dir() and os.path.samefile(source, folder):
            raise MienError(f"expected another folder than the run's own, got {folder}: choose another one")
        model = load(source)  # refuses damaged files, and those of another model
        config = _write_run(source, folder, model)
    results = run.results if isinstance(run, OpenRun) else source
    evaluation = _write_evaluation(source, results, folder) if source and results else None
    facts = _facts(config, folder, model, evaluation, license, title, address)
    if source is not None and (source / pretrained.CARD).is_file():
        shutil.copyfile(source / pretrained.CARD, folder / pretrained.CARD)
        own = read_json(source / pretrained.CARD)
        facts = {**own, **{key: facts[key] for key in OURS}} if _whole(own, facts) else facts
        facts |= {key: value for key, value in (("title", title), ("license", license)) if value}
    text = f"{cards.metadata(facts)}\n\n{cards.text(facts)}"
    write_atomically(folder / CARD_TEXT, lambda path: path.write_text(text, encoding="utf-8"))
    return folder


def _check_target(folder: Path) -> None:
    """Check that a model can be saved in a folder, and remove what an earlier save wrote there."""
    if folder.exists() and not folder.is_dir():
        raise MienError(f"expected a folder, got {folder}, a file: choose another name")
    if (folder / checkpoint.FILE).exists():
        raise MienError(f"expected a folder to save in, got {folder}, which a training writes into: choose another one")


def _write_model(model: Model, folder: Path) -> dict[str, Any]:
    """Write the configuration and the weights of a model alone; return the configuration."""
    absent = tuple(getattr(model, "left_out", ()))
    config: dict[str, Any] = {
        "format": FORMAT,
        "model": model.name,
        "config": json_config(model),
        "data": {},
        "training": {},
        SAVED: {"mien": __version__},
    }
    if absent:
        config["shipped"] = {"left_out": list(absent)}
    _clear(folder)
    weights = {key: value.cpu() for key, value in model.weights().items() if not is_in(key, absent)}
    save_weights(folder / WEIGHTS, weights)
    write_json(folder / DIGESTS, {WEIGHTS: [sha256(folder / WEIGHTS)]})
    write_json(folder / CONFIG, config)
    return config


def _write_run(source: Path, folder: Path, model: Model) -> dict[str, Any]:
    """Write the files of a run but the card and the evaluation; return the configuration."""
    config: dict[str, Any] = _without_paths({**read_config(source), SAVED: {"mien": __version__}})
    config["data"] = {**config["data"], "root": None}
    _clear(folder)
    write_atomically(folder / WEIGHTS, partial(shutil.copyfile, source / WEIGHTS))
    write_json(folder / DIGESTS, {WEIGHTS: [sha256(folder / WEIGHTS)]})
    write_json(folder / CONFIG, config)
    if facts := {key: value for key, value in progress(source).items() if key in KEPT}:
        write_json(folder / PROGRESS, {**facts, "warnings": []})
    for direction in DIRECTIONS:
        vectors = None if can(model, Edits) else cached_vectors(source, direction)
        for _, stamp in stamps(source, direction):
            if vectors is None and not can(model, Edits):
                break
            path, stamp_path = vector_files(folder, direction)
            stamp = dict(stamp)
            if vectors is not None:
                vectors.save(path)
                stamp["vectors_sha256"] = sha256(path)
            write_json(stamp_path, stamp)
            break
    return config


def _clear(folder: Path) -> None:
    """Remove the files of an earlier save, so that no vectors of another model stay."""
    for name in FILES:
        (folder / name).unlink(missing_ok=True)


def _write_evaluation(source: Path, results: Path, folder: Path) -> Evaluation | None:
    """Copy the evaluation of the present weights; return it, or None if there is none."""
    evaluation = read(results / RESULT)
    if evaluation is None or evaluation.weights_sha256 not in (weights_digest(source), sha256(source / WEIGHTS)):
        return None
    write_json(folder / RESULT, _without_paths(json.loads((results / RESULT).read_text(encoding="utf-8"))))
    return evaluation


def _without_paths(value: Any) -> Any:
    """Return a value of JSON in which each path of a machine is its last part.

    >>> _without_paths({"table": "/home/me/labels.csv", "size": 64})
    {'table': 'labels.csv', 'size': 64}
    """
    if isinstance(value, Mapping):
        return {key: _without_paths(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_paths(item) for item in value]
    if isinstance(value, str) and (value.startswith(("/", "~", "\\\\")) or value[1:3] in (":\\", ":/")):
        return value.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return value


def _whole(own: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    """Return whether a card that came with a model has all parts of one, and belongs to the model."""
    same = isinstance(own.get("weights"), dict) and own["weights"].get("sha256") == facts["weights"]["sha256"]
    return same and facts.keys() - OURS <= own.keys()


def _facts(
    config: Mapping[str, Any],
    folder: Path,
    model: Model,
    evaluation: Evaluation | None,
    license: str,
    title: str,
    address: str,
) -> dict[str, Any]:
    """Return the card of a saved model."""
    data, training, state = config["data"], config["training"], read_json(folder / PROGRESS)
    absent = left_out(config)
    whole = {"name", "size", "options", "counts", "share"} <= data.keys()
    vectors = cached_vectors(folder)
    editable = list(model.editable) if isinstance(model, Edits) else list(vectors.names) if vectors else []
    has = list(models.abilities(config["model"]))
    name = address.partition("@")[0].rpartition("/")[2] or folder.absolute().name
    return {
        "name": name,
        "address": address or name,
        "title": title or cards.title(config),
        "unit": unit_of(config),
        "model": config["model"],
        "abilities": has,
        "editable": editable,
        "license": license or cards.LICENSES.get(data.get("name", ""), ""),
        "data": {"split": "random", **data} if whole else None,
        "loss_networks": [value for value in config["config"].values() if isinstance(value, Mapping)],
        "training": cards.training_facts(config, state, folder)
        if whole and {"step", "seconds"} <= state.keys() and {"batch", "device", "steps"} <= training.keys()
        else None,
        "weights": {
            "dtype": config.get("shipped", {}).get("dtype", "float32"),
            "sha256": sha256(folder / WEIGHTS),
            "bytes": (folder / WEIGHTS).stat().st_size,
            "parameters": sum(v.numel() for key, v in model.state_dict().items() if not is_in(key, absent)),
            "left_out": absent,
        },
        "limits": cards.usual_limits(config),
        "agreement": None,
        **(cards.measured(evaluation) if evaluation else {"main": [], "rows": [], "by_attribute": []}),
        "evaluation": evaluation.to_json() if evaluation else {},
    }
