"""From names to a trained run: what ``mien train`` does, as functions."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from rich.console import Console

import mien
from mien import data as datasets
from mien.data.dataset import Source
from mien.data.report import attribute_summary, omission_line
from mien.data.splits import split
from mien.errors import MienError
from mien.files import is_temporary, write_json
from mien.models.base import FROM_DATA, Model, arguments, build, json_config
from mien.networks.loss_network import LossNetwork
from mien.networks.vgg import IMAGENET_MEAN, IMAGENET_STD, STAGES
from mien.run import folder as run_folder
from mien.run.data import Data
from mien.run.loss_network import VGG19_DEPTHS, VGG19_WIDTHS, loss_network
from mien.run.opening import prepare_edits
from mien.training.hold import LOCK, OWNER, hold
from mien.training.loop import Observer, Outcome, Settings, fit, make_fabric
from mien.training.settings import Alone
from mien.training.timing import seconds_per_step

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from numpy.typing import ArrayLike
    from torch.utils.data import Dataset as TorchDataset

FRACTIONS = (0.8, 0.1, 0.1)  # of a drawn split, as Dataset.split has them
# what may differ between two calls on one run folder: nothing that changes what is learned
_NEW = {"flip": 0.0}  # settings that older runs do not name, with the value they had
_FREE = {"steps", "log_every", "picture_every", "save_seconds", "device", "processes", "compile"}
_FREE |= {"schedule_steps"}  # a change of it is printed and recorded


def check(
    model: str | type[Model],
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
    model = mien.models.use(model)
    plan(model, 1, steps, epochs, training)
    height, width, channels = data.shape()
    parameters = arguments(model)
    config: dict[str, Any] = {**(settings or {})}
    if "shape" in parameters:
        config["shape"] = (channels, height, width)
    for key, parameter in parameters.items():
        if parameter.annotation is LossNetwork:
            # not on the meta device, where a reciprocal imports torch's compiler: 5 s
            config[key] = LossNetwork(channels=channels, widths=[1] * STAGES, depths=[1] * STAGES)
    with torch.device("meta"):
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
    model: str | type[Model],
    data: Data | Source | ArrayLike | TorchDataset[Any],
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
        model: a name of ``mien.models.names()``; a class that inherits from :class:`mien.models.base.Model`; or the
            text ``FILE.py:Class``, whose file is executed.
        data: a reference to pictures: ``Data("celeba", "~/celeba")``, ``Data.from_arrays(…)`` or
            ``Data.from_dataset(…)``. An array without labels and a data set of torch may be passed as they are.
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
    model, data = mien.models.use(model), Data.of(data)
    folder = Path(out).expanduser() if out else Path("runs") / f"{_word(model)}-{_word(str(data.name))}-{data.size}"
    run_folder.check_out(folder)
    check(model, data, settings, steps, epochs, **training)
    source = data.source()
    # what depends on the data is refused before pictures are prepared
    fabric = make_fabric(plan(model, len(source), steps, epochs, training))
    torch.manual_seed(training.get("seed", 0))
    net = make_model(model, settings or {}, source, data.size)
    net.needs(tuple(source.attributes), tuple(source.classes))
    opened = data.open(progress)
    if console:
        for line in filter(None, [omission_line(opened.report), *attribute_summary(opened.report)]):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    splits = opened.split(data.split_seed)
    index = data.training_index(splits)
    chosen = plan(model, len(index), steps, epochs, training)
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
        **_code(model, str(data.name)),
        "made_with": {"mien": mien.__version__, "torch": torch.__version__, "python": platform.python_version()},
    }
    with ExitStack() as held:
        _take(folder, config, fabric, held)
        chosen = replace(chosen, schedule_steps=run_folder.read_config(folder)["training"]["schedule_steps"])
        outcome = fit(net, opened, index, splits.valid, folder, chosen, console, fabric, observers)
        if outcome.finished and fabric.is_global_zero:
            prepare_edits(folder, opened, index, str(fabric.device))
        fabric.barrier()  # the first process releases the folder after all
    return folder, outcome


def _word(name: str) -> str:
    """Return the part of a name that stands in the name of a folder: the class of ``FILE.py:Class``."""
    return name.rpartition(":")[2]


def _code(model: str, data: str) -> dict[str, Any]:
    """Return where a model and a data set outside the package come from, as an entry of config.json."""
    places = {"model": mien.models.own.record(model), "data": datasets.own.record(data)}
    places = {key: place for key, place in places.items() if place}
    return {"code": places} if places else {}


def _fingerprint(folder: Path, source: Source) -> str:
    """Return the fingerprint of the data; that of an earlier version if the run in the folder has it."""
    mark = source.fingerprint()
    if (folder / "config.json").exists():
        old = run_folder.read_config(folder).get("data", {}).get("fingerprint")
        if old != mark and old == source.earlier_fingerprint():
            return str(old)
    return mark


def _take(folder: Path, config: dict[str, Any], fabric: Fabric, held: ExitStack) -> None:
    """Hold the folder and write its configuration on the first process; all processes end if that is refused."""
    error: Exception | None = None
    if fabric.is_global_zero:
        try:
            if not _is_new(folder):
                run_folder.read_config(folder)  # no lock is left in a folder that is not a run
            held.enter_context(hold(folder))
            _claim(folder, config)
        except (MienError, OSError) as refusal:
            error = refusal
    if fabric.broadcast(error is not None):
        # one message is enough: that of the first process
        raise error or SystemExit(2)


def _shape(source: Source, size: int) -> tuple[int, int, int]:
    """Return (C, H, W) of the pictures a source is prepared to."""
    height, width, channels = source.shape(size)
    return channels, height, width


def plan(model: str, pictures: int, steps: int | None, epochs: float | None, training: Mapping[str, Any]) -> Settings:
    """Return the training settings with the computed number of steps."""
    if steps is not None and epochs is not None:
        raise MienError(f"expected --steps or --epochs, got both ({steps} and {epochs})")
    if epochs is not None and not 0 < epochs < 1e6:
        raise MienError(f"expected epochs > 0, got {epochs}")
    batch = training.get("batch", 64)
    if steps is None:
        passes = epochs if epochs is not None else mien.models.get(model).epochs
        steps = max(1, math.ceil(passes * pictures / max(batch, 1)))
    return Settings(steps=steps, **training)


def _is_new(folder: Path) -> bool:
    """Return whether a folder is to become a run, and is not one yet.

    Raises:
        MienError: it holds other files.
    """
    if (folder / run_folder.CONFIG).exists():
        return False
    others = (file.name for file in folder.iterdir()) if folder.exists() else ()
    if any(name not in (LOCK, OWNER) and not is_temporary(name) for name in others):
        raise MienError(
            f"expected a new folder or a run in {folder}, got a folder with other files: choose another --out"
        )
    return True


def _claim(folder: Path, config: dict[str, Any]) -> None:
    """Write the configuration into a new folder, or check that an old one is of the same training.

    It completes ``config``: the length of the schedule, which is that of the first call unless another one is asked
    for, and the lengths so far with the step at which each began.
    """
    path, training = folder / run_folder.CONFIG, config["training"]
    if _is_new(folder):
        training["schedule_steps"] = training["schedule_steps"] or training["steps"]
        write_json(path, {**config, "lengths": [_length(0, training)]})
        return
    old = run_folder.read_config(folder)
    run_folder.check_trainable(folder, old)
    if "steps" not in old["training"]:
        raise MienError(
            f"expected the steps of the training in {path}, got none: copy the file again, or train into a new folder"
        )
    # a run of before there was this setting has the schedule of its steps
    first = {**old["training"], "schedule_steps": old["training"].get("schedule_steps") or old["training"]["steps"]}
    training["schedule_steps"] = training["schedule_steps"] or first["schedule_steps"]
    for key in ("model", "config", "data", "training"):
        difference = _difference(old[key], config[key])
        if difference:
            raise MienError(
                f"{folder} holds another training: {difference}; give the same command to resume it, or another --out"
            )
    lengths = old.get("lengths") or [_length(0, first)]
    step = run_folder.progress(folder).get("step", 0)
    if _length(step, training) != _length(step, first):
        lengths = [*lengths, _length(step, training)]
    if old["training"] != training:
        write_json(path, {**config, "lengths": lengths})


def _length(step: int, training: Mapping[str, Any]) -> dict[str, int]:
    """Return the length of a training from ``step`` on, as config.json holds it."""
    return {"from": step, "steps": training["steps"], "schedule_steps": training["schedule_steps"]}


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
            if key == "fingerprint" and old.get(key) != new.get(key):
                return "its pictures, labels or options of the data set differ from those of this call"
            difference = _difference(old.get(key, _NEW.get(key)), new.get(key), f"{name}.{key}" if name else key)
            if difference:
                return difference
        return ""
    old, new = (list(v) if isinstance(v, tuple) else v for v in (old, new))
    # in a damaged file, a name or a value can be of any length
    return "" if old == new else f"its {name or 'model':.100} is {old!s:.200}, the one asked for is {new!s:.200}"


def dry_run(
    model: str | type[Model],
    data: Data | Source | ArrayLike | TorchDataset[Any],
    settings: Mapping[str, Any] | None = None,
    steps: int | None = None,
    epochs: float | None = None,
    **training: Any,
) -> dict[str, Any]:
    """Return what :func:`train` would do, with the speed of a few steps on noise; writes and downloads nothing.

    In place of VGG-19 it measures a network of the same architecture with random weights. The counts are those of the
    tables of the data set; pictures that turn out to be damaged are left out later.

    Raises:
        MienError: as :func:`train` would.
    """
    model, data = mien.models.use(model), Data.of(data)
    check(model, data, settings, steps, epochs, **training)
    source = data.source()
    total = len(source)
    partition = np.fromiter((source.partition(i) for i in range(total)), np.int64, total)
    splits = split(
        str(data.name), total, partition if (partition >= 0).any() else None, data.split_seed, FRACTIONS, "auto"
    )
    pictures = len(data.training_index(splits))
    chosen = plan(model, pictures, steps, epochs, training)
    settings, remark = _with_stand_in(model, settings or {})
    net = make_model(model, settings, source, data.size)
    net.needs(tuple(source.attributes), tuple(source.classes))
    alone = Alone(chosen)
    # in the layout that training uses
    net.to(alone.device).to(memory_format=torch.channels_last)
    seconds = seconds_per_step(
        net, max(2, chosen.batch // chosen.processes), len(source.attributes), len(source.classes), alone
    )
    parameters = {p: sum(v.numel() for v in net.get_submodule(p).parameters()) for p in net.players}
    return {
        "model": model,
        "settings": {k: v for k, v in json_config(net).items() if k not in FROM_DATA},
        **({"loss_network": remark} if remark else {}),
        "pictures": total,
        "training_pictures": pictures,
        "split": splits.rule,
        "steps": chosen.steps,
        "epochs": round(chosen.steps * chosen.batch / pictures, 2),
        "batch": chosen.batch,
        "device": str(alone.device),
        "parameters": parameters,
        "images_per_second": round(chosen.batch / seconds, 1),
        "minutes": round(chosen.steps * seconds / 60, 1),
    }


def _with_stand_in(model: str, settings: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """Return settings in which random weights stand in for VGG-19, and a remark about that; nothing is downloaded."""
    for key, parameter in arguments(model).items():
        if parameter.annotation is LossNetwork and settings.get(key, "vgg19") == "vgg19" and not Path("vgg19").exists():
            cached = Path(torch.hub.get_dir()) / "checkpoints"
            here = any(cached.glob("vgg19-*.pth"))
            network = LossNetwork(
                source="vgg19", sha256="", channels=3, widths=list(VGG19_WIDTHS), depths=list(VGG19_DEPTHS),
                batch_norm=False, mean=list(IMAGENET_MEAN), std=list(IMAGENET_STD),
            )  # fmt: skip
            place = "in torch's cache" if here else "not on this machine; mien train downloads them (548 MB)"
            return {**settings, key: network}, f"vgg19, whose weights are {place}; random weights stand in here"
    return settings, ""
