"""Configuration and progress of a run folder, read without torch, and the names that stand for run folders.

A run folder holds ``config.json`` (the model, its settings, the data and the training), ``weights.safetensors``,
``state.pt`` (the state for resuming, read with ``weights_only``), ``log.jsonl``, ``tensorboard/`` and ``pictures/``.

Wherever a run folder is expected, the name of a model that comes with the package may stand (:mod:`mien.pretrained`),
and so may the address of a run on the Hugging Face Hub (:mod:`mien.run.remote`).
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mien import models, pretrained
from mien.data.regular import BadFile, read_regular
from mien.errors import MienError
from mien.files import sha256
from mien.run import remote

FORMAT = 1  # of config.json
LARGEST = 64 * 2**20  # bytes of a config.json
CONFIG, WEIGHTS, PROGRESS = "config.json", "weights.safetensors", "progress.json"


def resolve(run: str | Path) -> Path:
    """Return the folder that ``run`` stands for: a folder of this path, else the pretrained model of this name.

    A text with a separator is a path, except for ``mien/`` before the name of a pretrained model, and for
    ``hf://owner/name``: a run on the Hub, which is downloaded. A text that is neither is returned as a path;
    :func:`read_config` refuses it.

    Raises:
        MienError: a run on the Hub cannot be downloaded, as :func:`mien.run.remote.fetch`.

    >>> resolve("runs/faces").as_posix()
    'runs/faces'
    """
    text, path = os.fspath(run), Path(run)
    if path.is_dir():
        return path
    if remote.is_remote(run):
        return remote.fetch(*remote.parse(run))
    if text.startswith(pretrained.PREFIX) and pretrained.plain(text) in pretrained.names():
        return pretrained.folder(text)
    if os.sep in text or (os.altsep and os.altsep in text):
        # Path("./faces-64") loses its "./", and would be a name when it is resolved again
        is_name = len(path.parts) == 1 or pretrained.plain(path.as_posix()) in pretrained.names()
        return path.absolute() if is_name else path
    return pretrained.folder(text) if text in pretrained.names() else path


def _pretrained_hint(run: Path) -> str:
    """Return the end of a message: the names of the pretrained models, for a path that could be meant as a name."""
    names = pretrained.names()
    if len(run.parts) != 1 or run.is_absolute() or not names:
        return ""
    close = difflib.get_close_matches(run.name.lower(), names, n=1, cutoff=0.5)
    question = f" (did you mean {close[0]}?)" if close else ""
    return f", or use a model that comes with mien: {', '.join(names)}{question}"


def read_config(run: str | Path) -> dict[str, Any]:
    """Return the checked content of ``config.json`` of a run folder, or of a pretrained model by its name.

    Raises:
        MienError: the folder is not a run, or has another format; for a name, the message lists the pretrained models.
    """
    run = resolve(run)
    make = f"make one with mien train … --out {run}{_pretrained_hint(run)}"
    if not run.is_dir():
        raise MienError(
            f"expected a run folder, got {run}, which {'is a file' if run.exists() else 'does not exist'}: {make}"
        )
    path = run / CONFIG
    if not path.exists():
        raise MienError(f"expected a run folder, got {run}, which has no config.json: {make}")
    try:
        config: dict[str, Any] = json.loads(read_regular(path, LARGEST))
        version, name = config["format"], config["model"]
        wrong = _wrong_type(config)
    except BadFile as error:
        raise MienError(
            f"expected the configuration of a run in {path}, got a bad file ({error}): "
            "change its permissions, or train again into a new folder"
        ) from None
    except (ValueError, KeyError, TypeError, RecursionError):
        wrong, version, name = "something else", FORMAT, ""
    if wrong:
        raise MienError(
            f"expected the configuration of a run in {path}, got {wrong}: copy the file again, or train again into a "
            "new folder"
        )
    if version != FORMAT:
        raise MienError(
            f"expected a run of format {FORMAT}, got format {version!r:.40} in {path}: use the version of mien that "
            "made it"
        )
    models.check_name(name)
    return config


def _wrong_type(config: Mapping[str, Any]) -> str:
    """Return in words the first value of a configuration whose type is not the one that mien writes; else nothing.

    Values that are absent are allowed: the code that needs one says so.
    """
    for group in ("config", "data", "training", "shipped"):
        values = config.get(group, {} if group == "shipped" else None)
        if not isinstance(values, dict):
            return f"'{group}' that is no object"
        for key, value in values.items():
            if not _fits(value, _TYPES.get(group, {}).get(key)):
                return f"{value!r:.80} as the value of '{group}.{key}'"
    return "" if isinstance(config["model"], str) else "a model that is no text"


def _fits(value: Any, kind: Any) -> bool:
    """Return whether a value has a type of _TYPES: classes in a tuple, or [class] for a list or mapping of it."""
    if kind is None:
        return True
    if isinstance(kind, list):
        items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
        return items is not None and all(_fits(item, kind[0]) for item in items)
    if kind is int:
        return type(value) is int and 0 <= value < 2**53
    if isinstance(value, list) and list in kind:
        return all(isinstance(item, str) for item in value)
    return isinstance(value, kind) and not isinstance(value, bool)


# by group and key, the type: int is a count of 0 or more, [int] several of them
_TYPES: dict[str, dict[str, Any]] = {
    "data": {
        "name": (str,), "root": (str, list, type(None)), "size": int, "options": (dict,), "split_seed": int,
        "share": [int], "count": int, "counts": [int], "held_out": (str,), "split": (str,), "fingerprint": (str,),
        "attributes": [(str,)], "classes": [(str,)],
    },
    "training": {"steps": int, "batch": int, "seed": int, "schedule_steps": int},
    "shipped": {"left_out": [(str,)], "of": (dict,)},
}  # fmt: skip


def check_abilities(run: str | Path, needed: Sequence[str]) -> None:
    """Check that ``run`` is a complete run of a model with the abilities named in ``needed``.

    Raises:
        MienError: it is not a run, its model lacks an ability, or it has no weights.
    """
    run = resolve(run)
    config = read_config(run)
    has = models.abilities(config["model"])
    if not set(needed) <= set(has):
        able = models.models_with(list(needed))
        raise MienError(
            f"needed a model that {' and '.join(needed)}, got {config['model']}, which only {' and '.join(has)}: "
            f"use a run of {' or '.join(able)}"
        )
    if not (run / WEIGHTS).exists():
        raise MienError(
            f"expected {run / WEIGHTS}, got a run without weights: run its mien train command again to finish it"
        )


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file of a run; an empty one if the file is missing or damaged."""
    try:
        value = json.loads(read_regular(path, LARGEST))
    except (OSError, ValueError, RecursionError, BadFile):
        return {}
    return value if isinstance(value, dict) else {}


def progress(run: str | Path) -> dict[str, Any]:
    """Return the progress of a run's training; an empty object if nothing has been saved yet."""
    values = read_json(resolve(run) / PROGRESS)
    kinds = {"step": int, "steps": int, "schedule_steps": int, "warnings": [(str,)], "seconds": (int, float)}
    whole = all(key not in values or _fits(values[key], kind) for key, kind in kinds.items())
    # a damaged file is made again from the state
    return values if whole and isinstance(values.get("finished", False), bool) else {}


def left_out(config: Mapping[str, Any]) -> list[str]:
    """Return the parts of a model, by their names, whose weights a shipped run does not hold; none for other runs."""
    return list(config.get("shipped", {}).get("left_out", []))


def check_out(folder: Path) -> None:
    """Check that a run folder can be at a path, before data are prepared for it.

    Raises:
        MienError: the path is a file, leads through one, is too long, or is no text.
    """
    try:
        os.fspath(folder.absolute()).encode()
    except UnicodeEncodeError:
        raise MienError(f"expected a run folder with a name in UTF-8 for --out, got {folder}: rename it") from None
    try:
        if folder.exists() and not folder.is_dir():
            raise MienError(f"expected a run folder for --out, got {folder}, a file: choose another --out")
        part = next((one for one in folder.parents if one.is_file()), None)
    except OSError as error:
        raise MienError(
            f"expected a run folder for --out, got {folder!s:.200}: {error.strerror}: choose another --out"
        ) from None
    if part is not None:
        raise MienError(f"expected a run folder for --out, got {folder}: {part} is a file: choose another --out")


def check_trainable(run: str | Path, config: Mapping[str, Any]) -> None:
    """Check that the training of a run can be resumed.

    Raises:
        MienError: the run was shipped with the package: it has no state to resume from.
    """
    if "shipped" in config:
        raise MienError(
            f"expected a run that can be resumed, got {run}, a pretrained model in float16 without the state of its "
            "training: train a new run with another --out"
        )


def weights_digest(run: str | Path) -> str:
    """Return the SHA-256 that identifies the weights of a run: of a shipped model, that of the run it was made from.

    With it, a loss network and a judge count as the same network if one is the shipped form of the other.
    """
    run = resolve(run)
    shipped: Mapping[str, Any] = read_config(run).get("shipped", {})
    of = shipped.get("of", {}).get("weights_sha256")
    return str(of) if of else sha256(run / WEIGHTS)
