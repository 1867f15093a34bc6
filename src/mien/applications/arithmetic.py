"""Attribute vectors in the latent space, and editing with them (VAE-WGAN §4.3.2, Fig. 12)."""

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
from torch import Tensor

from mien.abilities import Decodes, Edits, Encodes, can, require
from mien.applications.basics import Progress, check_pictures, device_of, encode_all, map_batches
from mien.data.dataset import Dataset
from mien.errors import MienError, UnknownName
from mien.files import write_atomically

COUNT = 2000  # pictures with, and as many without, that a vector is the difference of (§4.3.2)
FEWEST = 5  # of either kind, for a vector to be taken at all


@dataclass(frozen=True)
class AttributeVectors:
    """One latent direction for each attribute.

    Args:
        names: A attribute names.
        vectors: (A, K); zero where there were too few pictures.
        positives, negatives: how many pictures each is the mean difference of.
    """

    names: tuple[str, ...]
    vectors: Tensor
    positives: tuple[int, ...]
    negatives: tuple[int, ...]

    def __getitem__(self, name: str) -> Tensor:
        """Return the vector (K,) of an attribute.

        Raises:
            UnknownName: with the nearest names.
            MienError: if there were too few pictures with or without it.
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
        """Return the part (K,) of an attribute's vector that is orthogonal to those of the attributes ``keep``.

        Attributes that go together in the training pictures (Smiling and High_Cheekbones) have vectors that do too;
        what is left then moves the picture along none of the others' directions.

        Raises:
            UnknownName, MienError: as ``vectors[name]``; where nothing is left of the vector; for ``name`` itself.

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
        # least squares, since the others need not be orthogonal, nor even independent
        weights = torch.linalg.pinv(others.T) @ vector.double()
        left = vector - (others.T @ weights).to(vector.dtype)
        if left.norm() < 1e-4 * vector.norm():
            raise MienError(
                f"expected a part of {name} that is orthogonal to {', '.join(keep)}, got none: keep fewer attributes"
            )
        return left

    def shift(self, amounts: Mapping[str, float], keep: Sequence[str] = ()) -> Tensor:
        """Return Σ amount · vector (K,), the step in latent space of an edit (§4.3.2).

        Args:
            amounts: by attribute.
            keep: attributes whose directions the step must not move along; those that are changed are left out.

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
        """Return what :meth:`save` wrote."""
        try:
            with safetensors.safe_open(path, framework="pt") as f:
                about = json.loads(f.metadata()["attributes"])
                vectors = f.get_tensor("vectors")
        except (safetensors.SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
            raise MienError(
                f"expected attribute vectors in {path}, got a damaged file ({error}): delete it, it is made again"
            ) from None
        return cls(tuple(about["names"]), vectors, tuple(about["positives"]), tuple(about["negatives"]))


def attribute_vectors(
    model: Any, dataset: Dataset, index: np.ndarray, count: int = COUNT, seed: int = 0, progress: Progress = None
) -> AttributeVectors:
    """Return, for each attribute, the mean latent of pictures with it minus that of pictures without it.

    Args:
        index: positions to take pictures from, such as the training split.
        count: pictures with, and as many without; all there are where there are fewer.
        seed: which pictures are taken.
    """
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
            vectors[a] = z[rows[with_it]].mean(0) - z[rows[without]].mean(0)
    n = range(table.shape[1])
    return AttributeVectors(
        tuple(dataset.attributes),
        vectors,
        tuple(len(chosen[a, 1]) for a in n),
        tuple(len(chosen[a, -1]) for a in n),
    )


@dataclass(frozen=True)
class Editor:
    """Changes attributes of pictures: by the model itself if it edits, by attribute vectors if it encodes and decodes.

    Args:
        model: a model that Edits, or that Encodes and Decodes.
        vectors: its attribute vectors; None for a model that edits by itself.
        keep: attributes whose directions an edit must not move along, see :meth:`AttributeVectors.without`.
    """

    model: Any
    vectors: AttributeVectors | None = None
    keep: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if can(self.model, Edits):
            if self.keep:
                raise MienError(
                    f"expected no attributes to keep of {type(self.model).__name__}, which edits by itself and keeps "
                    f"what it is not asked to change, got {', '.join(self.keep)}: leave them out"
                )
            return
        require(self.model, Encodes, Decodes)
        if self.vectors is None:
            raise MienError(
                "expected attribute vectors to edit with, got none: make them with applications.attribute_vectors"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The attributes that can be changed."""
        if self.vectors is None:
            return tuple(self.model.editable)
        enough = zip(self.vectors.names, self.vectors.positives, self.vectors.negatives, strict=True)
        return tuple(name for name, positives, negatives in enough if min(positives, negatives) >= FEWEST)

    def check(self, names: Iterable[str]) -> None:
        """Raise UnknownName, or MienError for too few pictures, unless every attribute named can be changed."""
        for name in names:
            if self.vectors is not None:
                self.vectors[name]
            elif name not in self.names:
                raise UnknownName("attribute", name, self.names)

    def function(self, amounts: Mapping[str, float]) -> Callable[[Any, Tensor], Tensor]:
        """Return the edit as a function (model, x) -> x of one batch, for a copy of the model such as a folded one.

        A model that edits by itself is asked to; another one decodes E(x) + Σ amount · vector (§4.3.2).
        """
        if self.vectors is None:
            return lambda model, x: model.edit(x, amounts)
        shift = self.vectors.shift(amounts, self.keep).to(device_of(self.model))
        return lambda model, x: model.decode(model.encode(x).mean + shift)

    def __call__(self, x: Tensor, amounts: Mapping[str, float]) -> Tensor:
        """Return pictures ``x`` (B, C, H, W) in [-1, 1] with each named attribute moved by its amount.

        Args:
            amounts: +1 adds an attribute, -1 removes it, fractions go part of the way.

        Raises:
            UnknownName: for an attribute that cannot be changed.
            MienError: for pictures of another shape or range, or where ``keep`` leaves nothing of a vector.
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
    """Return pictures ``x`` (B, C, H, W) with each named attribute moved by its amount; see :class:`Editor`.

    Args:
        amounts: +1 adds an attribute, -1 removes it, fractions go part of the way.
        vectors: attribute vectors, for a model that does not edit by itself.
        keep: attributes whose directions the edit must not move along, see :meth:`AttributeVectors.without`;
            those that are themselves changed are left out.

    Raises:
        UnknownName: for an attribute that cannot be changed.
        MienError: ``keep`` of a model that edits by itself, or so much of it that nothing is left of a vector.
    """
    return Editor(model, None if can(model, Edits) else vectors, tuple(keep))(x, amounts)
