"""From names to a trained run: what ``mien train`` does, as functions."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

import mien
from mien import data as datasets
from mien.data.dataset import Source
from mien.data.report import omission_line
from mien.errors import MienError
from mien.files import write_json
from mien.models.base import FROM_DATA, Model, arguments, build, json_config
from mien.networks.loss_network import LossNetwork
from mien.networks.vgg import STAGES
from mien.run import folder as run_folder
from mien.run.data import Data
from mien.run.loss_network import loss_network
from mien.training.loop import Observer, Outcome, Settings, fit, make_fabric

# what may differ between two calls on one run folder: nothing that changes what is learned
_NEW = {"flip": 0.0}  # settings that older runs do not name, with the value they had
_FREE = {"steps", "log_every", "picture_every", "save_seconds", "device", "processes", "compile"}


def check(
    model: str,
    data: Data,
    settings: Mapping[str, Any] | None = None,
    steps: int | None = None,
    epochs: float | None = None,
    **training: Any,
) -> None:
    """Refuse what :func:`train` can refuse without the data: unknown names, wrong types, values out of range.

    The model is built on torch's meta device, where weights take no memory, without the data set's names of attributes
    and classes, and with a small loss network in place of the one that is named.

    Args:
        model, data, settings, steps, epochs, **training: as of :func:`train`.

    Raises:
        UnknownName, MienError: for the first mistake.
    """
    mien.models.check_name(model)
    plan(model, 1, steps, epochs, training)
    datasets.check_size(data.name, data.size)
    parameters = arguments(model)
    height, width, channels = datasets.shape(data.name, data.size)
    config: dict[str, Any] = {**(settings or {})}
    if "shape" in parameters:
        config["shape"] = (channels, height, width)
    with torch.device("meta"):
        for key, parameter in parameters.items():
            if parameter.annotation is LossNetwork:
                config[key] = LossNetwork(channels=channels, widths=[1] * STAGES, depths=[1] * STAGES)
        build(model, config)


def make_model(name: str, settings: Mapping[str, Any], source: Source, size: int) -> Model:
    """Return a new model ``name`` for the pictures of ``source`` at ``size``.

    Args:
        settings: constructor arguments; a ``loss_network`` may be a name or path (default ``vgg19``).
    """
    parameters = arguments(name)
    shape = _shape(source, size)
    from_data = {"shape": shape, "attributes": tuple(source.attributes), "classes": tuple(source.classes)}
    config: dict[str, Any] = {**settings, **{k: v for k, v in from_data.items() if k in parameters}}
    for key, parameter in parameters.items():
        if parameter.annotation is LossNetwork and not isinstance(config.get(key), (LossNetwork, Mapping)):
            config[key] = loss_network(str(config.get(key, "vgg19")))
    model = build(name, config)
    network = next((v for v in model.config.values() if isinstance(v, LossNetwork)), None)
    if network is not None and network.config["channels"] != shape[0]:
        raise MienError(
            f"expected a loss network for pictures of {shape[0]} channels, got {network.source} of "
            f"{network.config['channels']}: train one on this data set"
        )
    return model


def train(
    model: str,
    data: Data,
    out: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    steps: int | None = None,
    epochs: float | None = None,
    console: Console | None = None,
    progress: Callable[[int, int], None] | None = None,
    observers: Sequence[Observer] = (),
    **training: Any,
) -> tuple[Path, Outcome]:
    """Train a model into a run folder, or go on where the folder was left; return folder and outcome.

    Args:
        model: a name of ``mien.models.names()``.
        out: the run folder; by default ``runs/MODEL-DATA-SIZE``.
        settings: the model's constructor arguments.
        steps, epochs: the length; the model's own number of epochs by default.
        console: for bars and warnings; None is silent.
        progress: called with (done, total) while pictures are prepared.
        observers: called before and after each step, such as :class:`mien.training.profile.Profile`.
        **training: further fields of :class:`mien.training.loop.Settings`.

    Raises:
        MienError: for a mistake in an argument, and for data that do not suit the model; nothing computed is lost.
    """
    check(model, data, settings, steps, epochs, **training)
    source = data.source()
    # what depends on the data is refused before pictures are prepared
    fabric = make_fabric(plan(model, len(source), steps, epochs, training))
    torch.manual_seed(training.get("seed", 0))
    net = make_model(model, settings or {}, source, data.size)
    net.needs(tuple(source.attributes), tuple(source.classes))
    opened = data.open(progress)
    if console and (line := omission_line(opened.report)):
        console.print(line, markup=False, highlight=False)
    splits = opened.split(data.split_seed)
    index = data.training_index(splits)
    chosen = plan(model, len(index), steps, epochs, training)
    folder = Path(out) if out else Path("runs") / f"{model}-{data.name}-{data.size}"
    config = {
        "format": run_folder.FORMAT,
        "model": model,
        "config": json_config(net),
        "data": {
            **data.to_json(),
            "fingerprint": _fingerprint(folder, source),
            "attributes": list(opened.attributes),
            "classes": list(opened.classes),
            "split": splits.rule,
            "counts": {"train": len(index), "valid": len(splits.valid), "test": len(splits.test)},
            "held_out": opened.digest(splits.test),
        },
        "training": asdict(chosen),
        "made_with": {"mien": mien.__version__, "torch": torch.__version__, "python": platform.python_version()},
    }
    if fabric.is_global_zero:
        _claim(folder, config)
    fabric.barrier()
    outcome = fit(net, opened, index, splits.valid, folder, chosen, console, fabric, observers)
    return folder, outcome


def _fingerprint(folder: Path, source: Source) -> str:
    """Return the fingerprint of the data; that of an earlier version if the run in the folder has it."""
    mark = source.fingerprint()
    if (folder / "config.json").exists():
        old = run_folder.read_config(folder).get("data", {}).get("fingerprint")
        if old != mark and old == source.earlier_fingerprint():
            return str(old)
    return mark


def _shape(source: Source, size: int) -> tuple[int, int, int]:
    """Return (C, H, W) of the pictures a source is prepared to."""
    height, width, channels = source.shape(size)
    return channels, height, width


def plan(model: str, pictures: int, steps: int | None, epochs: float | None, training: Mapping[str, Any]) -> Settings:
    """Return the training settings with the number of steps worked out."""
    if steps is not None and epochs is not None:
        raise MienError(f"expected --steps or --epochs, got both ({steps} and {epochs})")
    if epochs is not None and not 0 < epochs < 1e6:
        raise MienError(f"expected epochs > 0, got {epochs}")
    batch = training.get("batch", 64)
    if steps is None:
        passes = epochs if epochs is not None else mien.models.get(model).epochs
        steps = max(1, math.ceil(passes * pictures / max(batch, 1)))
    return Settings(steps=steps, **training)


def _claim(folder: Path, config: dict[str, Any]) -> None:
    """Write the configuration into a new folder, or check that an old one is of the same training."""
    path = folder / "config.json"
    if not path.exists():
        if folder.exists() and any(folder.iterdir()):
            raise MienError(
                f"expected a new folder or a run in {folder}, got a folder with other files: choose another --out"
            )
        write_json(path, config)
        return
    old = run_folder.read_config(folder)
    run_folder.check_trainable(folder, old)
    for key in ("model", "config", "data", "training"):
        difference = _difference(old[key], config[key])
        if difference:
            raise MienError(
                f"{folder} holds another training: {difference}; give the same command to resume it, or another --out"
            )
    if old["training"] != config["training"]:
        write_json(path, config)


def _difference(old: Any, new: Any, name: str = "") -> str:
    """Return the first difference in words, or nothing.

    >>> _difference({"a": 1, "steps": 5}, {"a": 2, "steps": 7})
    'its a is 1, the one asked for is 2'
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in [k for k in {**old, **new} if k not in _FREE]:
            if key in ("root", "source", "held_out"):
                continue  # the same pictures or weights may lie elsewhere: fingerprints and hashes tell
            # a setting that an older run does not name has the value that changes nothing
            difference = _difference(old.get(key, _NEW.get(key)), new.get(key), f"{name}.{key}" if name else key)
            if difference:
                return difference
        return ""
    old, new = (list(v) if isinstance(v, tuple) else v for v in (old, new))
    return "" if old == new else f"its {name or 'model'} is {old}, the one asked for is {new}"


def dry_run(
    model: str,
    data: Data,
    settings: Mapping[str, Any] | None = None,
    steps: int | None = None,
    epochs: float | None = None,
    **training: Any,
) -> dict[str, Any]:
    """Return what :func:`train` would do, with the speed of three steps on noise; writes nothing.

    Raises:
        MienError: as :func:`train` would.
    """
    check(model, data, settings, steps, epochs, **training)
    source = data.source()
    total = len(source)
    share = total * 0.8 / data.share[1]
    chosen = plan(model, max(1, round(share)), steps, epochs, training)
    shape = _shape(source, data.size)
    net = make_model(model, settings or {}, source, data.size)
    net.needs(tuple(source.attributes), tuple(source.classes))
    fabric = make_fabric(chosen)
    # in the layout that training uses
    net.to(fabric.device).to(memory_format=torch.channels_last)
    seconds = _time_steps(net, chosen.batch, shape, source, fabric)
    parameters = {p: sum(v.numel() for v in net.get_submodule(p).parameters()) for p in net.players}
    return {
        "model": model,
        "settings": {k: v for k, v in json_config(net).items() if k not in FROM_DATA},
        "pictures": total,
        "steps": chosen.steps,
        "epochs": round(chosen.steps * chosen.batch / share, 2),
        "batch": chosen.batch,
        "device": str(fabric.device),
        "parameters": parameters,
        "images_per_second": round(chosen.batch / seconds, 1),
        "minutes": round(chosen.steps * seconds / 60, 1),
    }


def _time_steps(net: Model, batch: int, shape: tuple[int, ...], source: Source, fabric: Any) -> float:
    from mien.data.batch import Batch
    from mien.training.update import Update

    update = Update(net, fabric)
    x = torch.rand(batch, *shape, device=fabric.device) * 2 - 1
    rows = torch.where(torch.rand(batch, max(len(source.attributes), 1), device=fabric.device) > 0.5, 1.0, -1.0)
    labels = torch.randint(max(len(source.classes), 1), (batch,), device=fabric.device)
    noise = Batch(x, rows, labels, torch.arange(batch, device=fabric.device))
    net.calibrate(noise)
    net.train()
    times = []
    for _ in range(3):
        start = time.perf_counter()
        with fabric.autocast():
            net.training_step(noise, update)
        if fabric.device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times)
