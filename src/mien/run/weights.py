"""Weights of a run: writing them, and loading the model without executing anything in the run folder."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import safetensors
import safetensors.torch
import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from mien import models
from mien.errors import MienError
from mien.files import has_digests, is_intact, record_digest, write_atomically
from mien.models.base import Model, build
from mien.run.folder import CONFIG, WEIGHTS, left_out, read_config, resolve

SLACK, SLACK_COUNT = 20_000_000, 2000  # numbers and parameters of parts of a model whose weights are not stored


def save_weights(path: Path, weights: Mapping[str, torch.Tensor]) -> None:
    """Write ``weights`` as safetensors with :func:`mien.files.write_atomically`.

    The digest is recorded in a folder that has a record of digests.
    """

    def write(place: Path) -> None:
        safetensors.torch.save_file(dict(weights), place)
        if has_digests(path.parent):
            record_digest(path, place)

    write_atomically(path, write)


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
    model = _build(config, path, absent)
    load_weights(model, path, absent)
    if absent:
        # the left-out parts have random weights now, and a training would learn from them
        vars(model)["training_step"] = functools.partial(_refuse_training, run.name, absent)
        vars(model)["left_out"] = tuple(absent)  # mien.save_pretrained must not write them
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


def _build(config: Mapping[str, Any], path: Path, absent: Sequence[str]) -> Model:
    """Return the model of a configuration, whose weights are compared with the header of a file while it is built.

    A configuration with a huge width or a million layers is refused before its weights take memory: torch reserves the
    memory of a weight before it is registered, and the system provides it when values are written. (torch's meta device
    would do the same, and takes four seconds to import.)

    Args:
        config: the content of config.json.
        path: the weights.
        absent: as of :func:`load_weights`.

    Raises:
        MienError: the model cannot be built, or the file is damaged or has other weights.
    """
    shapes = _shapes(path)
    size, count = sum(map(math.prod, shapes.values())), len(shapes)
    most = (20 if absent else 2) * size + SLACK

    def check(module: nn.Module, name: str, weight: torch.Tensor | None) -> None:
        """Count a weight of the model that is being built; refuse it if there are more than the file has."""
        nonlocal most, count
        most, count = most - (0 if weight is None else weight.numel()), count - 1
        if most < 0 or count < -SLACK_COUNT:
            raise MienError(
                f"expected a model of {size:,} weights in {path.with_name(CONFIG)}, as {path.name} has, got a larger "
                "one: the two files are of different runs, or one is damaged; copy them again"
            )

    hook = register_module_parameter_registration_hook(check)
    try:
        # settings that did not exist when an old run was trained keep the value that it was trained with
        model = build(config["model"], {**models.get(config["model"]).earlier, **config["config"]})
    except MienError:
        raise
    except Exception as error:  # sizes that torch does not have, values of a type that the model does not expect
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise MienError(
            f"expected the settings of a {config['model']} in {path.with_name(CONFIG)}, got some that it cannot be "
            f"built with ({reason:.200}): the file is damaged; copy it again or train again into a new folder"
        ) from None
    finally:
        hook.remove()
    own = {key: tuple(value.shape) for key, value in model.state_dict().items() if not is_in(key, absent)}
    _compare(model.name, own, shapes, path)
    return model


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the weights in a safetensors file by name, from its header.

    Raises:
        MienError: the file is damaged or cannot be read.
    """
    if not path.is_file():  # opening a named pipe would wait forever
        raise MienError(f"expected safetensors weights in {path}, got no regular file: copy the run again")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
    except PermissionError:
        raise MienError(f"expected to read {path}, got no permission: change its permissions") from None
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> MienError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return MienError(
        f"expected safetensors weights in {path}, got a damaged file ({reason:.200}): train again or copy it again"
    )


def _compare(model: str, own: Mapping[str, Sequence[int]], stored: Mapping[str, Sequence[int]], path: Path) -> None:
    """Check that names and shapes of weights are equal.

    Raises:
        MienError: they are not; the message has the first difference.
    """
    for key in sorted(own.keys() ^ stored.keys()):
        here = "missing from" if key in own else "unknown in"
        raise MienError(
            f"expected the weights of {model} in {path}, got those of another model or version of mien: "
            f"{key:.200} is {here} it"
        )
    for key, shape in own.items():
        if tuple(stored[key]) != tuple(shape):
            raise MienError(
                f"expected {key} {tuple(shape)} in {path}, got {tuple(stored[key])}: "
                "config.json and weights.safetensors are of different runs"
            )


def load_weights(model: Model, path: Path, absent: Sequence[str] = ()) -> None:
    """Load the weights of ``model`` from a safetensors file; float16 values become float32.

    Args:
        absent: parts of the model, by their names, whose weights are not in the file.

    Raises:
        MienError: the file is damaged, or holds the weights of another model; the message has the first difference.
    """
    try:
        weights = safetensors.torch.load_file(path)
    except PermissionError:
        raise MienError(f"expected to read {path}, got no permission: change its permissions") from None
    except Exception as error:  # a type of numbers that torch lacks is a KeyError or a RuntimeError
        raise _damaged(path, error) from None
    if not is_intact(path):
        raise MienError(
            f"expected the weights that were saved in {path}, got another file or a damaged one (its digest is not the "
            "one in digests.json): run its mien train command again, which writes them from the state, or copy it again"
        )
    own = {key: value.shape for key, value in model.state_dict().items() if not is_in(key, absent)}
    _compare(model.name, own, {key: value.shape for key, value in weights.items()}, path)
    for key in own:
        if not torch.isfinite(weights[key]).all():
            raise MienError(
                f"expected finite weights in {path}, got NaN or infinity in {key}: train again with a lower learning "
                "rate, or copy the file again"
            )
    model.load_state_dict(weights, strict=not absent)  # the keys were compared above
