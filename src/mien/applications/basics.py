"""Reconstruction, generation, recognition and encoding of any number of pictures, batch by batch."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.abilities import Decodes, Encodes, Generates, Recognizes, require
from mien.data.batch import Batch
from mien.data.dataset import Dataset
from mien.errors import MienError, RangeWarning

BATCH = 128  # pictures
DARK = 0.1  # a value that the darkest pixel of a picture rarely exceeds in [0, 1]
Progress = Callable[[int, int], None] | None


def device_of(model: Any) -> torch.device:
    """Return the device of a model's parameters."""
    parameter: Tensor = next(model.parameters())
    return parameter.device


def as_batch(model: Any, x: Any) -> Tensor:
    """Return what a caller passes as pictures as a tensor, without a check of its values.

    Raises:
        MienError: ``x`` is no tensor, array or list of numbers.
    """
    try:
        batch: Tensor = torch.as_tensor(x)
    except (TypeError, ValueError, RuntimeError):
        shape = ", ".join(map(str, model.config["shape"]))
        raise MienError(
            f"expected pictures (B, {shape}) as a tensor or an array, got {type(x).__name__}: pass numbers"
        ) from None
    return batch


def check_pictures(model: Any, x: Any) -> Tensor:
    """Return pictures ``x`` as float32 on the model's device.

    Values in [0, 1] are legal, but are most often pictures of another convention, which give a wrong result. The rule
    for the warning: pictures, not signals; no output of a model of this library; no value below 0; not all values
    equal; and either two pictures or more, or one whose smallest value is at most 0.1 (which is a bright gray in
    [-1, 1] and a near black in [0, 1]). Callers pass all pictures of a user at once: a part of them may be bright.

    Args:
        model: a model with ``shape`` (C, H, W) in its configuration.
        x: (B, C, H, W) in [-1, 1], a tensor or an array of any numeric type.

    Raises:
        MienError: ``x`` is not (B, C, H, W) with the model's (C, H, W) and B of 1 or more, or has NaN, infinities or
            values outside [-1, 1].

    Warns:
        RangeWarning: the pictures seem to be in [0, 1].
    """
    shape = tuple(model.config["shape"])
    expected = f"expected pictures (B, {', '.join(map(str, shape))})"
    pictures = as_batch(model, x)
    if pictures.ndim != 4 or tuple(pictures.shape[1:]) != shape:
        raise MienError(f"{expected}, got {tuple(pictures.shape)}: crop and scale them first")
    if not len(pictures):
        raise MienError(f"{expected}, got none: pass one picture or more")
    pictures = pictures.to(device_of(model), torch.float32)
    least, most = float(pictures.min()), float(pictures.max())  # NaN if there is one
    if not (math.isfinite(least) and math.isfinite(most)):
        raise MienError("expected pictures in [-1, 1], got NaN or infinite values: remove these pictures")
    if least < -1.001 or most > 1.001:
        raise MienError(
            f"expected pictures in [-1, 1], got {least:.3g} to {most:.3g}: divide bytes by 127.5 and take off 1"
        )
    # the output of a model, an inference tensor, is in the right range whatever its values are
    output = isinstance(x, Tensor) and x.is_inference()
    if not output and shape[1] > 1 and 0 <= least < most and (len(pictures) > 1 or least <= DARK):
        warnings.warn(
            f"expected pictures in [-1, 1], got values from {least:.3g} to {most:.3g}, which seem to be in [0, 1]: "
            "pass 2 * x - 1 if they are",
            RangeWarning,
            stacklevel=3,
        )
    return pictures


def check_amounts(amounts: Mapping[str, Any]) -> dict[str, float]:
    """Return the amounts of an edit as numbers; a text such as ``"+1"`` becomes one.

    Raises:
        MienError: an amount is no finite number.

    >>> check_amounts({"Smiling": "+1", "Eyeglasses": -0.5})
    {'Smiling': 1.0, 'Eyeglasses': -0.5}
    """
    numbers = {}
    for name, amount in amounts.items():
        try:
            numbers[name] = float(amount)
        except (TypeError, ValueError):
            raise MienError(f"expected a number as the amount of {name}, got {amount!r}: such as 1 or -0.5") from None
        if not math.isfinite(numbers[name]):
            raise MienError(f"expected a finite amount of {name}, got {amount}: such as 1 or -0.5")
    return numbers


def map_batches(function: Callable[[Tensor], Tensor], x: Tensor, size: int = BATCH) -> Tensor:
    """Return ``function(x)``, computed without gradients for ``size`` rows of ``x`` at a time."""
    x = torch.as_tensor(x)  # a caller may pass an array
    with torch.inference_mode():
        return joined((function(part) for part in torch.split(x, size)), len(x))


def joined(parts: Iterable[Tensor], n: int) -> Tensor:
    """Return the concatenation of ``parts``, which have n rows in total. It holds one part at a time beside it."""
    whole, done = torch.empty(0), 0
    for part in parts:
        if not done:  # torch.cat would hold all parts twice
            whole = part.new_empty(n, *part.shape[1:])
        whole[done : done + len(part)] = part
        done += len(part)
    return whole


def batches(dataset: Dataset, index: NDArray[np.int64], device: torch.device, size: int = BATCH) -> Iterator[Batch]:
    """Yield the pictures at the positions ``index`` (n,) of a data set as batches of up to ``size`` pictures."""
    for start in range(0, len(index), size):
        yield dataset.batch(index[start : start + size], device)


def reconstruct(model: Any, x: Tensor) -> Tensor:
    """Return the reconstructions (B, C, H, W) of pictures ``x`` (B, C, H, W) in [-1, 1], from the mean of q(z | x).

    >>> from mien.models.base import build
    >>> vae = build("vae", {"shape": [3, 16, 16], "width": 4, "latent": 8}).eval()
    >>> reconstruct(vae, torch.zeros(2, 3, 16, 16)).shape
    torch.Size([2, 3, 16, 16])
    """
    require(model, Encodes, Decodes)
    return map_batches(lambda part: model.decode(model.encode(part).mean), check_pictures(model, x))


def generate(model: Any, n: int, seed: int = 0, attributes: Tensor | None = None) -> Tensor:
    """Return ``n`` new pictures (n, C, H, W) in [-1, 1] on the CPU; the same ``seed`` gives the same pictures.

    Args:
        model: a model that generates.
        n: number of pictures; it may be large, because the model works batch by batch.
        seed: of the random latents.
        attributes: (n, A) of +1, -1, or 0 (open), for the model's ``conditions``.

    Raises:
        MienError: attributes for a model without conditions, or of another shape; n below 1.
    """
    return joined((part.cpu() for part in generate_batches(model, n, seed, attributes)), n)


def generate_batches(model: Any, n: int, seed: int = 0, attributes: Tensor | None = None) -> Iterator[Tensor]:
    """Yield the pictures of :func:`generate` in parts, on the model's device; it holds one part at a time."""
    require(model, Generates)
    if attributes is not None and tuple(attributes.shape) != (n, len(model.conditions)):
        conditions = (
            f"the model can be asked for {len(model.conditions)}" if model.conditions else "the model takes none"
        )
        raise MienError(f"expected attributes ({n}, A), got {tuple(attributes.shape)}: {conditions}")
    if n < 1:
        raise MienError(f"expected 1 picture or more to generate, got {n}")
    for number, start in enumerate(range(0, n, BATCH)):
        rows = None
        if attributes is not None:  # every part has the same size; further rows are open
            rows = attributes.new_zeros(BATCH, attributes.shape[1])
            rows[: min(BATCH, n - start)] = attributes[start : start + BATCH]
        with torch.inference_mode():
            # each part has its own seed, so the first pictures do not depend on n
            part = model.generate(BATCH, rows, seed * 1_000_003 + number)[: n - start]
        yield part


def recognize(model: Any, x: Tensor) -> Tensor:
    """Return the probability of each attribute, (B, A), or of each class, (B, classes), of pictures (B, C, H, W)."""
    require(model, Recognizes)
    return map_batches(model.recognize, check_pictures(model, x))


def encode_all(model: Any, dataset: Dataset, index: NDArray[np.int64], progress: Progress = None) -> Tensor:
    """Return the means of q(z | x), (n, K) on the CPU, of the pictures at positions ``index`` (n,) of a data set.

    Raises:
        MissingAbility: the model does not encode.
        MienError: there are no pictures.
    """
    require(model, Encodes)
    if not len(index):
        raise MienError("expected pictures to encode, got none")
    means, done = torch.empty(0), 0
    with torch.inference_mode():
        for batch in batches(dataset, index, device_of(model)):
            part = model.encode(batch.x).mean.cpu()
            if not done:  # torch.cat would hold all latents twice
                means = part.new_empty(len(index), part.shape[1])
            means[done : done + len(part)] = part
            done += len(part)
            if progress:
                progress(done, len(index))
    return means


def latent_size(model: Any) -> int:
    """Return K, the size of a model's latents.

    >>> from mien.models.base import build
    >>> latent_size(build("vae", {"shape": [3, 16, 16], "width": 4, "latent": 8}))
    8
    """
    require(model, Encodes)
    training = model.training
    with torch.inference_mode():
        x = torch.zeros(1, *model.config["shape"], device=device_of(model))
        size: int = model.eval().encode(x).mean.shape[1]
    model.train(training)
    return size
