"""The abilities of models, as abstract classes. Read this file first.

A model declares its abilities by inheriting from these classes. All other code in the library works on abilities
and names no model. There are six abilities:

==============  =======================================  =====================================
ability         from                                     to
==============  =======================================  =====================================
``Encodes``     pictures ``x``                           a distribution over latents ``z``
``Decodes``     latents ``z``                            pictures
``Generates``   a count, optional attributes, a seed     pictures
``Edits``       pictures and ``{attribute: amount}``     pictures
``Recognizes``  pictures                                 a probability per attribute or class
``Describes``   pictures                                 features and logits
==============  =======================================  =====================================

Everywhere, pictures are float32 tensors (B, C, H, W) in [-1, 1]. Operations that combine abilities
(reconstruction, interpolation, attribute vectors) are functions in :mod:`mien.applications`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from mien.errors import MienError

if TYPE_CHECKING:
    from torch import Tensor
    from torch.distributions import Distribution

    from mien.networks.vgg import VGG


class Encodes(ABC):
    """Maps pictures to a distribution over latents."""

    @abstractmethod
    def encode(self, x: Tensor) -> Distribution:
        """Return q(z | x) for pictures ``x`` (B, C, H, W) in [-1, 1]; its samples are (B, K).

        A deterministic encoder returns a :class:`mien.networks.point.Point`.
        """


class Decodes(ABC):
    """Maps latents to pictures."""

    @abstractmethod
    def decode(self, z: Tensor) -> Tensor:
        """Return pictures (B, C, H, W) in [-1, 1] for latents ``z`` (B, K)."""


class Generates(ABC):
    """Draws new pictures."""

    conditions: tuple[str, ...] = ()  # names of the attributes that `generate` accepts

    @abstractmethod
    def generate(self, n: int, attributes: Tensor | None = None, seed: int = 0) -> Tensor:
        """Return ``n`` pictures (n, C, H, W) in [-1, 1]; the same ``seed`` gives the same pictures.

        Args:
            n: number of pictures.
            attributes: (n, A), the value of each of the A ``conditions`` in their order: +1 present, -1 absent,
                0 open. A model without conditions ignores this argument.
            seed: of the random latents.
        """


class Edits(ABC):
    """Changes attributes of pictures."""

    editable: tuple[str, ...] = ()  # names of the attributes that `edit` can change

    @abstractmethod
    def edit(self, x: Tensor, amounts: Mapping[str, float]) -> Tensor:
        """Return pictures ``x`` (B, C, H, W) in [-1, 1] after the edit, in the same shape and range.

        Args:
            x: pictures.
            amounts: for each attribute to change, how far: +1 adds the attribute, -1 removes it.

        Raises:
            UnknownName: an attribute is not in ``editable``.
        """


class Recognizes(ABC):
    """Recognizes the attributes of a picture, or its class."""

    attributes: tuple[str, ...] = ()  # each is independent of the others
    classes: tuple[str, ...] = ()  # they exclude each other: their probabilities sum to 1

    @abstractmethod
    def recognize(self, x: Tensor) -> Tensor:
        """Return probabilities in [0, 1] for pictures ``x`` (B, C, H, W): (B, A) of attributes, or (B, classes)."""


class Describes(ABC):
    """Maps pictures to features and logits. Judges, loss networks and feature distances need this ability."""

    @abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """Return one feature vector for each picture, (B, F), of pictures ``x`` (B, C, H, W) in [-1, 1]."""

    @abstractmethod
    def logits(self, x: Tensor) -> Tensor:
        """Return logits for pictures ``x`` (B, C, H, W) in [-1, 1]: (B, A) of attributes, or (B, classes)."""

    @property
    @abstractmethod
    def trunk(self) -> VGG:
        """The convolutional network below the features. A loss network compares its intermediate maps."""


ABILITIES: tuple[type, ...] = (Encodes, Decodes, Generates, Edits, Recognizes, Describes)


@runtime_checkable
class _ListsModels(Protocol):
    """A model that can list the models with given abilities. Through it, this file stays a leaf of the imports."""

    def models_with(self, needed: list[str]) -> list[str]:
        """Return the names of the models that have the abilities ``needed``."""


class MissingAbility(MienError):
    """A model lacks an ability that an operation needs."""


def names(model: object) -> tuple[str, ...]:
    """Return the names of the abilities of a model or of a model class.

    >>> class Decoder(Decodes):
    ...     def decode(self, z): return z
    >>> names(Decoder)
    ('Decodes',)
    """
    cls = model if isinstance(model, type) else type(model)
    return tuple(ability.__name__ for ability in ABILITIES if issubclass(cls, ability))


def can(model: object, *needed: type) -> bool:
    """Return whether ``model`` has every ability ``needed``.

    >>> can(object(), Encodes)
    False
    """
    return all(isinstance(model, ability) for ability in needed)


def require(model: object, *needed: type) -> None:
    """Raise an error unless ``model`` has every ability ``needed``.

    Raises:
        MissingAbility: with the abilities that are needed, those that the model has, and the models that have all.

    >>> require(object(), Encodes)
    Traceback (most recent call last):
    ...
    mien.abilities.MissingAbility: needed a model that Encodes, got object, which has no abilities
    """
    if can(model, *needed):
        return
    required = [ability.__name__ for ability in needed]
    has = names(model)
    message = (
        f"needed a model that {' and '.join(required)}, got {type(model).__name__}, "
        f"which {'only ' + ' and '.join(has) if has else 'has no abilities'}"
    )
    if isinstance(model, _ListsModels) and (able := model.models_with(required)):
        message += f": use {' or '.join(able)}"
    raise MissingAbility(message)
