"""Attribute vectors in latent space, and editing with them (VAE-WGAN §4.3.2, Fig. 12).

The directions of vectors other than the paper's are in :mod:`mien.applications.directions`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.abilities import Decodes, Edits, Encodes, can, require
from mien.applications.basics import Progress, check_amounts, check_pictures, device_of, encode_all, map_batches
from mien.applications.directions import MEAN, step_of
from mien.data.dataset import Dataset, spread
from mien.errors import MienError, UnknownName
from mien.files import write_atomically

COUNT = 2000  # pictures with an attribute, and pictures without it, for one vector (§4.3.2)
FEWEST = 5  # with fewer pictures of either kind there is no vector


@dataclass(frozen=True)
class AttributeVectors:
    """One latent direction for each attribute.

    Args:
        names: of the A attributes.
        vectors: (A, K); a row is zero if there were too few pictures.
        positives, negatives: for each attribute, the number of pictures with it and without it.
    """

    names: tuple[str, ...]
    vectors: Tensor
    positives: tuple[int, ...]
    negatives: tuple[int, ...]

    def __getitem__(self, name: str) -> Tensor:
        """Return the vector (K,) of an attribute.

        Raises:
            UnknownName: there is no such attribute; the message has the nearest names.
            MienError: there were too few pictures with it or without it.
        """
        if name not in self.names:
            raise UnknownName("attribute", name, self.names)
        i = self.names.index(name)
        if min(self.positives[i], self.negatives[i]) < FEWEST:
            raise MienError(
                f"expected {FEWEST} pictures or more with and without {name}, got {self.positives[i]} with and "
                f"{self.negatives[i]} without: it cannot be edited from this data set"
            )
        return self.vectors[i]

    def without(self, name: str, keep: Sequence[str]) -> Tensor:
        """Return the part (K,) of the vector of ``name`` that is orthogonal to the vectors of the attributes ``keep``.

        Attributes that are correlated in the training pictures (Smiling and High_Cheekbones) have correlated vectors.
        The orthogonal part moves a picture along none of the directions of ``keep``.

        Raises:
            UnknownName: there is no such attribute.
            MienError: there were too few pictures, ``keep`` contains ``name``, or the orthogonal part is zero.

        >>> vectors = AttributeVectors(("a", "b"), torch.tensor([[1.0, 1.0], [0.0, 2.0]]), (9, 9), (9, 9))
        >>> vectors.without("a", ["b"])
        tensor([1., 0.])
        """
        vector = self[name]
        if name in keep:
            raise MienError(f"expected other attributes than {name} to keep, got it among them: leave it out")
        if not keep:
            return vector
        others = torch.stack([self[other] for other in keep]).double()  # (n, K)
        # least squares, because the vectors of `keep` may be neither orthogonal nor independent
        weights = torch.linalg.pinv(others.T) @ vector.double()
        remainder: Tensor = vector - (others.T @ weights).to(vector.dtype)
        if remainder.norm() < 1e-4 * vector.norm():
            raise MienError(
                f"expected a part of {name} that is orthogonal to {', '.join(keep)}, got none: keep fewer attributes"
            )
        return remainder

    def shift(self, amounts: Mapping[str, float], keep: Sequence[str] = ()) -> Tensor:
        """Return Σ amount · vector, (K,), the step of an edit in latent space (§4.3.2).

        Args:
            amounts: an amount for each attribute to change.
            keep: attributes whose directions the step must avoid; attributes in ``amounts`` are ignored here.

        Raises:
            UnknownName, MienError: as :meth:`without`.
        """
        step = torch.zeros_like(self.vectors[0])
        for name, amount in amounts.items():
            step = step + amount * self.without(name, [other for other in keep if other not in amounts])
        return step

    def save(self, path: Path) -> None:
        """Write the vectors as safetensors."""
        about = json.dumps({"names": self.names, "positives": self.positives, "negatives": self.negatives})
        content = {"vectors": self.vectors.contiguous()}
        write_atomically(path, lambda p: safetensors.torch.save_file(content, p, metadata={"attributes": about}))

    @classmethod
    def load(cls, path: Path) -> AttributeVectors:
        """Return the vectors that :meth:`save` wrote.

        Raises:
            MienError: the file is missing or damaged.
        """
        try:
            with safetensors.safe_open(path, framework="pt") as f:
                about = json.loads(f.metadata()["attributes"])
                vectors = f.get_tensor("vectors")
        except (safetensors.SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
            raise MienError(
                f"expected attribute vectors in {path}, got a damaged file ({error}): delete it to compute them again"
            ) from None
        return cls(tuple(about["names"]), vectors, tuple(about["positives"]), tuple(about["negatives"]))


def attribute_vectors(
    model: Any,
    dataset: Dataset,
    index: NDArray[np.int64],
    count: int = COUNT,
    seed: int = 0,
    progress: Progress = None,
    direction: str = MEAN,
) -> AttributeVectors:
    """Return for each attribute the step in latent space that adds it.

    By default it is the mean latent of pictures with the attribute minus the mean latent of pictures without it.

    Args:
        model: encodes.
        dataset: with attributes.
        index: positions of the pictures to choose from, such as the training split.
        count: number of pictures with the attribute, and of pictures without it; all of them if there are fewer.
        seed: of the choice of pictures.
        progress: called with (done, total) pictures.
        direction: a name in :data:`~mien.applications.directions.DIRECTIONS`.

    Raises:
        MissingAbility: the model does not encode.
        UnknownName: there is no such direction.
        MienError: the data set has no attributes.
    """
    step = step_of(direction)
    require(model, Encodes)
    if not dataset.attributes:
        raise MienError(
            f"expected a data set with attributes, got {dataset.name}, which has none: pass a table of attributes"
        )
    order = np.random.default_rng(seed).permutation(index)
    table = np.asarray(dataset.attribute_table[order])  # (n, A)
    chosen = {(a, sign): np.flatnonzero(table[:, a] == sign)[:count] for a in range(table.shape[1]) for sign in (1, -1)}
    needed = np.unique(np.concatenate(list(chosen.values())))
    z = encode_all(model, dataset, order[needed], progress)
    rows = np.full(len(order), -1)
    rows[needed] = np.arange(len(needed))
    vectors = torch.zeros(table.shape[1], z.shape[1])
    for a in range(table.shape[1]):
        with_it, without = chosen[a, 1], chosen[a, -1]
        if min(len(with_it), len(without)) >= FEWEST:
            vectors[a] = step(z[rows[with_it]], z[rows[without]])
    n = range(table.shape[1])
    return AttributeVectors(
        tuple(dataset.attributes),
        vectors,
        tuple(len(chosen[a, 1]) for a in n),
        tuple(len(chosen[a, -1]) for a in n),
    )


def pictures_to_edit(
    dataset: Dataset, index: NDArray[np.int64], amounts: Mapping[str, float], n: int
) -> tuple[NDArray[np.int64], int]:
    """Return the positions of n pictures that an edit can change, evenly spread, and the number that suit exactly.

    A picture suits an amount above 0 if it does not have the attribute, and one below 0 if it has it. Pictures that
    suit all amounts come first, then those that suit most. Attributes that the data set does not have do not matter.

    Args:
        dataset: of the pictures.
        index: positions of the pictures to choose from, such as the test split.
        amounts: of the edit.
        n: number of pictures; all are returned if there are fewer.
    """
    changes = {name: amount for name, amount in amounts.items() if name in dataset.attributes and amount}
    suits = np.zeros(len(index), int)
    for name, amount in changes.items():
        column = np.asarray(dataset.attribute_table[index, dataset.attributes.index(name)])
        suits += column == (-1 if amount > 0 else 1)
    chosen: list[NDArray[np.int64]] = []
    for level in range(len(changes), -1, -1):
        chosen.append(spread(index[suits == level], n - sum(map(len, chosen))))
    exact = min(n, int((suits == len(changes)).sum()))
    return np.concatenate(chosen), exact


@dataclass(frozen=True)
class Editor:
    """Changes attributes of pictures, with the model if it edits by itself, else with attribute vectors.

    Args:
        model: a model that Edits, or that Encodes and Decodes.
        vectors: its attribute vectors; None for a model that edits by itself.
        keep: attributes that an edit must keep, see :meth:`AttributeVectors.without`.

    Raises:
        MissingAbility: the model has none of these abilities.
        MienError: ``keep`` for a model that edits by itself, or no vectors for another model.
    """

    model: Any
    vectors: AttributeVectors | None = None
    keep: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if can(self.model, Edits):
            if self.keep:
                raise MienError(
                    f"expected no attributes to keep of {type(self.model).__name__}, which edits by itself and keeps "
                    f"all other attributes, got {', '.join(self.keep)}: leave them out"
                )
            return
        require(self.model, Encodes, Decodes)
        if self.vectors is None:
            raise MienError(
                "expected attribute vectors to edit with, got none: compute them with applications.attribute_vectors"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the attributes that can be changed."""
        if self.vectors is None:
            return tuple(self.model.editable)
        enough = zip(self.vectors.names, self.vectors.positives, self.vectors.negatives, strict=True)
        return tuple(name for name, positives, negatives in enough if min(positives, negatives) >= FEWEST)

    def check(self, names: Iterable[str]) -> None:
        """Check that every attribute in ``names`` can be changed.

        Raises:
            UnknownName: there is no such attribute.
            MienError: there were too few pictures for its vector.
        """
        for name in names:
            if self.vectors is not None:
                self.vectors[name]
            elif name not in self.names:
                raise UnknownName("attribute", name, self.names)

    def function(self, amounts: Mapping[str, float]) -> Callable[[Any, Tensor], Tensor]:
        """Return the edit as a function (model, x) -> x of one batch; the model may be a copy, such as a folded one.

        A model that edits by itself does so. Another model decodes E(x) + Σ amount · vector (§4.3.2).
        """
        amounts = check_amounts(amounts)
        if self.vectors is None:
            return lambda model, x: model.edit(x, amounts)
        shift = self.vectors.shift(amounts, self.keep).to(device_of(self.model))
        return lambda model, x: model.decode(model.encode(x).mean + shift)

    def start(self, x: Tensor) -> Tensor:
        """Return what :meth:`finish` starts from: latents (B, K), or the pictures (B, C, H, W) of a model that edits.

        Many edits of the same pictures need one encoding.

        Raises:
            MienError: pictures of another shape or range.
        """
        x = check_pictures(self.model, x)
        return x if self.vectors is None else map_batches(lambda part: self.model.encode(part).mean, x)

    def finish(self, start: Tensor, amounts: Mapping[str, float]) -> Tensor:
        """Return the edited pictures (B, C, H, W) from rows of what :meth:`start` returned.

        Raises:
            UnknownName: an attribute cannot be changed.
            MienError: a vector without a part orthogonal to ``keep``.
        """
        if self.vectors is None:
            return map_batches(lambda part: self.model.edit(part, amounts), start)
        shift = self.vectors.shift(amounts, self.keep).to(start.device)
        return map_batches(lambda part: self.model.decode(part + shift), start)

    def __call__(self, x: Tensor, amounts: Mapping[str, float]) -> Tensor:
        """Return the edited pictures (B, C, H, W) in [-1, 1].

        Args:
            x: pictures (B, C, H, W) in [-1, 1].
            amounts: for each attribute to change: +1 adds it, -1 removes it, fractions change it in part.

        Raises:
            UnknownName: an attribute cannot be changed.
            MienError: pictures of another shape or range, or a vector without a part orthogonal to ``keep``.
        """
        x = check_pictures(self.model, x)
        change = self.function(amounts)
        return map_batches(lambda part: change(self.model, part), x)


def edit(
    model: Any,
    x: Tensor,
    amounts: Mapping[str, float],
    vectors: AttributeVectors | None = None,
    keep: Sequence[str] = (),
) -> Tensor:
    """Return the edited pictures (B, C, H, W) in [-1, 1]; see :class:`Editor`.

    Args:
        model: a model that Edits, or that Encodes and Decodes.
        x: pictures (B, C, H, W) in [-1, 1].
        amounts: for each attribute to change: +1 adds it, -1 removes it, fractions change it in part.
        vectors: attribute vectors; only for a model that does not edit by itself.
        keep: attributes that the edit must keep, see :meth:`AttributeVectors.without`; attributes in ``amounts`` are
            ignored here.

    Raises:
        UnknownName: an attribute cannot be changed.
        MienError: ``keep`` for a model that edits by itself, or a vector without a part orthogonal to ``keep``.
    """
    return Editor(model, None if can(model, Edits) else vectors, tuple(keep))(x, amounts)
