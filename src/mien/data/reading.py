"""A picture file to a model's tensor: what the commands read, as public functions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mien.data.pictures import BadPicture, open_picture, resize, to_float
from mien.errors import MienError


def read_pictures(paths: Sequence[str | Path], model: Any) -> Tensor:
    """Return picture files as the tensor that ``model`` takes: (B, C, H, W), float32 in [-1, 1].

    A picture is cropped to the largest centered part of the model's proportions and scaled. A model of signals
    (height 1) reads ``.npy`` arrays and ``.csv`` columns of at least as many samples as it was trained on; the first
    of them are taken, and scaled as the bearing data are.

    Args:
        paths: the files, one or more.
        model: a model, whose ``config["shape"]`` is (C, H, W).

    Raises:
        MienError: for a file that cannot be read, naming it.

    >>> import mien, numpy as np, tempfile
    >>> from PIL import Image
    >>> model = mien.models.base.build("vae", {"shape": [3, 16, 16], "width": 4, "latent": 8})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.fromarray(np.zeros((40, 30, 3), np.uint8)).save(f"{folder}/me.png")
    ...     read_pictures([f"{folder}/me.png"], model).shape
    torch.Size([1, 3, 16, 16])
    """
    return read_shape(paths, tuple(model.config["shape"]))


def read_shape(paths: Sequence[str | Path], shape: tuple[int, ...]) -> Tensor:
    """Return files as :func:`read_pictures` does, of pictures of the ``shape`` (C, H, W)."""
    if not paths:
        raise MienError("expected one picture file or more, got none")
    if shape[1] == 1:
        return torch.from_numpy(np.stack([_signal(Path(path), shape) for path in paths]))
    return torch.from_numpy(np.stack([_picture(Path(path), shape) for path in paths]))


def _picture(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    channels, height, width = shape
    try:
        picture = open_picture(path)
    except BadPicture as error:
        raise BadPicture(f"{path}: {error}") from None
    scale = min(picture.width / width, picture.height / height)
    left, top = (picture.width - scale * width) / 2, (picture.height - scale * height) / 2
    box = (left, top, left + scale * width, top + scale * height)
    part = resize(picture.convert("L").convert("RGB") if channels == 1 else picture, (height, width), box)
    return to_float(part[..., :channels])


def _signal(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    wanted = f"expected a signal of {shape[2]} samples or more as .npy or .csv"
    try:
        values = np.load(path, allow_pickle=False) if path.suffix == ".npy" else np.loadtxt(path, delimiter=",")
    except (OSError, ValueError, EOFError) as error:
        raise MienError(f"{wanted}, got {path}, which cannot be read as such: {error}") from None
    if shape[0] != 1 or values.ndim != 1 or values.dtype.kind not in "fiu" or len(values) < shape[2]:
        raise MienError(f"{wanted}, got {values.dtype} {values.shape} in {path}")
    window = values[: shape[2]].astype(np.float64)
    window = window - window.mean()
    largest = abs(window).max()
    if not 0 < largest < np.inf:
        raise MienError(f"{wanted}, got one that is constant or not finite in {path}")
    return (window / largest).astype(np.float32)[None, None]
