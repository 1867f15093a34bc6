"""What a model can do, as abstract classes; read this file first.

A model declares its abilities by inheriting from these classes; everything else in the library is a
function of abilities and never names a model. There are six:

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

Pictures are float32 in [-1, 1] of shape (B, C, H, W) everywhere. What can be derived from these
(reconstruction, interpolation, attribute vectors) is a function in :mod:`mien.applications`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING

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

        An encoder that gives one latent returns a :class:`mien.networks.point.Point`.
        """


class Decodes(ABC):
    """Maps latents to pictures."""

    @abstractmethod
    def decode(self, z: Tensor) -> Tensor:
        """Return pictures (B, C, H, W) in [-1, 1] for latents ``z`` (B, K)."""


class Generates(ABC):
    """Draws new pictures."""

    conditions: tuple[str, ...] = ()  # the attributes it can be asked for

    @abstractmethod
    def generate(self, n: int, attributes: Tensor | None = None, seed: int = 0) -> Tensor:
        """Return ``n`` pictures (n, C, H, W) in [-1, 1], fixed by ``seed``.

        ``attributes`` (n, A) in {-1, 0, +1} asks for ``conditions``, in their order; 0 leaves one open. A model
        without conditions ignores them.
        """


class Edits(ABC):
    """Changes named attributes of given pictures."""

    editable: tuple[str, ...] = ()  # the attributes it can change

    @abstractmethod
    def edit(self, x: Tensor, amounts: Mapping[str, float]) -> Tensor:
        """Return ``x`` (B, C, H, W) with each named attribute moved by its amount (+1 adds, -1 removes).

        Raises:
            UnknownName: for an attribute that is not in ``editable``.
        """


class Recognizes(ABC):
    """Names what is in a picture: its attributes, or else its class."""

    attributes: tuple[str, ...] = ()  # each a question of its own
    classes: tuple[str, ...] = ()  # one question; probabilities sum to 1

    @abstractmethod
    def recognize(self, x: Tensor) -> Tensor:
        """Return probabilities in [0, 1] for pictures ``x``: (B, A) per attribute, or (B, classes)."""


class Describes(ABC):
    """Turns pictures into features: what a judge, a loss network and a feature distance need."""

    @abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """Return one feature vector for each picture, (B, F), of pictures ``x`` (B, C, H, W) in [-1, 1]."""

    @abstractmethod
    def logits(self, x: Tensor) -> Tensor:
        """Return logits for pictures ``x`` (B, C, H, W): (B, A) per attribute, or (B, classes)."""

    @property
    @abstractmethod
    def trunk(self) -> VGG:
        """The convolutional network in front of the features; a loss network compares the maps inside it."""


ABILITIES: tuple[type, ...] = (Encodes, Decodes, Generates, Edits, Recognizes, Describes)


class MissingAbility(MienError):
    """A model was asked for something it cannot do."""


def names(model: object) -> tuple[str, ...]:
    """Return the names of the abilities of a model, or of a model class.

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
    """Do nothing if ``model`` has every ability ``needed``; otherwise say what is missing and who has it.

    Raises:
        MissingAbility: naming what was needed, what the model has, and the models that would do.

    >>> require(object(), Encodes)
    Traceback (most recent call last):
    ...
    mien.abilities.MissingAbility: needed a model that Encodes, got object, which has no abilities
    """
    if can(model, *needed):
        return
    wanted = [ability.__name__ for ability in needed]
    has = names(model)
    message = (
        f"needed a model that {' and '.join(wanted)}, got {type(model).__name__}, "
        f"which {'only ' + ' and '.join(has) if has else 'has no abilities'}"
    )
    # the model itself knows its siblings: this file stays a leaf
    siblings = getattr(model, "models_with", None)
    if siblings is not None and (able := siblings(wanted)):
        message += f": use {' or '.join(able)}"
    raise MissingAbility(message)
