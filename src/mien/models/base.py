"""Base class of all models: the constructor's arguments are the configuration, and there is a training step."""

from __future__ import annotations

import inspect
import typing
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Protocol, Self, overload

import numpy as np
import torch
from torch import Tensor, nn

from mien import models
from mien.data.batch import Batch
from mien.data.dataset import Dataset
from mien.errors import MienError, UnknownName
from mien.networks.loss_network import LossNetwork
from mien.settings import convert, from_pairs

FROM_DATA = frozenset({"shape", "attributes", "classes"})  # arguments that the data set gives


Losses = Mapping[str | tuple[str, ...], Tensor]  # scalars by the player, or the players, that each moves


class Update(Protocol):
    """The function that a training step calls to update the networks, see :class:`mien.training.update.Update`.

    Both signatures are the same function. The first one tells a type checker that ``**terms`` never sets the clipping.
    """

    @overload
    def __call__(self, losses: Losses, /, **terms: Tensor | float) -> None: ...

    @overload
    def __call__(
        self,
        losses: Losses,
        /,
        *,
        clip_weights: Mapping[str, float] | None = None,
        clip_gradients: Mapping[str, float] | None = None,
        **terms: Tensor | float,
    ) -> None: ...


class Model(nn.Module):
    """Base of all models: its networks are attributes, ``players`` names them, and ``training_step`` updates them.

    The keyword arguments of a subclass's constructor are its whole configuration. They are recorded in
    ``self.config``, saved with a run and set on the command line. ``shape`` is (C, H, W); the arguments ``attributes``
    and ``classes`` are the names from the data set.
    """

    players: ClassVar[tuple[str, ...]]
    epochs: ClassVar[int] = 5
    earlier: ClassVar[Mapping[str, Any]] = {}  # values of the settings that runs of earlier versions do not record
    calibration: ClassVar[int] = 256  # pictures that `calibrate` gets
    config: dict[str, Any]
    lr: float
    betas: tuple[float, float] = (0.9, 0.999)
    progress: float = 0.0  # share of the training that is done, in [0, 1); set before each step
    stages: tuple[float, ...] = (0.0,)  # the progress at which each stage of the training begins

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        self = super().__new__(cls)
        try:
            bound = inspect.signature(cls.__init__).bind(self, *args, **kwargs)
        except TypeError:
            return self  # __init__ raises the clearer error; a copy is constructed without arguments, which is right
        bound.apply_defaults()
        # nn.Module.__init__ has not run yet, so its __setattr__ cannot be used
        object.__setattr__(self, "config", dict(list(bound.arguments.items())[1:]))
        return self

    @property
    def name(self) -> str:
        """The name of the model, which is the name of its file; ``FILE.py:Class`` for a model of the user."""
        module = type(self).__module__
        return module.rsplit(".", 1)[-1] if module.startswith("mien.") else models.own.name_of(type(self))

    @property
    def items(self) -> str:
        """What the model takes, in words: images, or signals, whose height is 1."""
        return "signals" if self.config.get("shape", (3, 0, 0))[1] == 1 else "images"

    @classmethod
    def models_with(cls, needed: list[str]) -> list[str]:
        """Return the models that have the abilities ``needed`` (for :func:`mien.abilities.require`)."""
        return models.models_with(needed)

    @abstractmethod
    def training_step(self, batch: Batch, update: Update) -> None:
        """Update the networks with one batch: compute losses and call ``update({names: loss, …}, term=…)``.

        :class:`mien.training.update.Update` describes the arguments of ``update``.
        """

    def calibrate(self, batch: Batch) -> None:
        """Set, once before the first step, the values that depend on the pictures; none by default."""
        del batch

    def read_attributes(self, table: np.ndarray) -> None:
        """Set, once before the first step, the values that depend on all training attributes; none by default.

        Args:
            table: attributes (n, A): +1, -1, or 0 for unknown.
        """
        del table

    def needs(self, attributes: tuple[str, ...], classes: tuple[str, ...]) -> None:
        """Raise MienError if training needs attributes or classes that the data set lacks; no check by default."""
        del attributes, classes

    def training_index(self, dataset: Dataset, index: np.ndarray, seed: int) -> np.ndarray:
        """Return the positions of the training pictures; a position may be repeated or left out.

        Args:
            dataset: the data set, with ``attribute_table`` (N, A) and ``labels`` (N,).
            index: positions (n,) of the pictures that may be used.
            seed: seed of the training.
        """
        del dataset, seed
        return index

    def training_labels(self, dataset: Dataset, index: np.ndarray, seed: int) -> np.ndarray | None:
        """Return the labels (N,) that training may use, -1 for a withheld one; None allows all labels."""
        del dataset, index, seed
        return None

    def optimizer(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimizer of one player: Adam with the model's ``lr`` and ``betas``."""
        return torch.optim.Adam(parameters, lr=self.lr, betas=self.betas, fused=True)

    def lr_factor(self, progress: float) -> float:
        """Return the factor of the learning rate at ``progress``, the share of the training that is done, in [0, 1)."""
        del progress
        return 1.0

    def weights(self) -> dict[str, Tensor]:
        """Return all parameters and buffers, contiguous, for saving."""
        return {k: v.detach().contiguous() for k, v in self.state_dict().items()}


def json_config(model: Model) -> dict[str, Any]:
    """Return the model's configuration as plain JSON values."""
    return {
        key: value.config if isinstance(value, LossNetwork) else list(value) if isinstance(value, tuple) else value
        for key, value in model.config.items()
    }


def arguments(name: str) -> dict[str, inspect.Parameter]:
    """Return the constructor arguments of the model ``name`` with their types and defaults."""
    cls = models.get(name)
    hints = typing.get_type_hints(cls.__init__)
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    return {p.name: p.replace(annotation=hints[p.name]) for p in parameters}


def build(name: str, config: Mapping[str, Any]) -> Model:
    """Return a new model ``name`` from a configuration of plain values (such as a config.json holds).

    Raises:
        UnknownName: for a model or an argument that does not exist.
        MienError: for a value of the wrong type or out of range.

    >>> build("vae", {"shape": [3, 16, 16], "width": 4, "latent": 8}).config["width"]
    4
    """
    values = check_types(name, config)
    missing = [k for k, p in arguments(name).items() if p.default is p.empty and k not in values]
    if missing:
        raise MienError(f"expected {', '.join(missing)} for {name}, got none: pass --set {missing[0]}=VALUE")
    return models.get(name)(**values)


def check_types(name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return constructor arguments of the model ``name`` with the types that it declares.

    A loss network may be a :class:`~mien.networks.loss_network.LossNetwork`, the configuration of one, or its name.

    Raises:
        UnknownName: for an argument that does not exist.
        MienError: for a value of the wrong type.
    """
    parameters = arguments(name)
    values = {}
    for key, value in config.items():
        if key not in parameters:
            raise UnknownName(f"setting of {name}", key, parameters)
        if parameters[key].annotation is LossNetwork:
            values[key] = LossNetwork.from_config(value) if isinstance(value, Mapping) else value
        else:
            values[key] = convert(f"{name}'s {key}", value, parameters[key].annotation)
    return values


def setting_types(name: str) -> dict[str, Any]:
    """Return the type of each setting of a model as it is written on the command line; a loss network is a text."""
    types = {key: parameter.annotation for key, parameter in arguments(name).items() if key not in FROM_DATA}
    return {key: str if annotation is LossNetwork else annotation for key, annotation in types.items()}


def parse_settings(name: str, pairs: Iterable[str]) -> dict[str, Any]:
    """Return the settings of ``--set key=value`` options as plain values, checked against the constructor.

    Raises:
        UnknownName, MienError: as :func:`mien.settings.from_pairs`; for an argument that the data set gives.

    >>> parse_settings("vae", ["width=32", "lr=1e-3"])
    {'width': 32, 'lr': 0.001}
    """
    pairs, reserved = list(pairs), FROM_DATA & arguments(name).keys()
    for pair in pairs:
        if (key := pair.partition("=")[0]) in reserved:
            raise MienError(f"{key} comes from the data, got --set {pair}: choose --data and --size instead")
    return from_pairs("--set", "width=32", name, "setting", pairs, setting_types(name))


def positive(**values: float) -> None:
    """Raise MienError unless every named value is finite and above zero.

    >>> positive(width=0)
    Traceback (most recent call last):
    ...
    mien.errors.MienError: expected width > 0, got 0
    """
    for name, value in values.items():
        if not 0 < value < float("inf"):
            raise MienError(f"expected {name} > 0, got {value}")


def not_negative(**values: float) -> None:
    """Raise MienError unless every named value is finite and at least zero."""
    for name, value in values.items():
        if not 0 <= value < float("inf"):
            raise MienError(f"expected {name} >= 0, got {value}")
