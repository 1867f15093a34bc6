"""Picture files and signal files to the tensor that a model takes."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.data.archives import reason
from mien.data.pictures import BadPicture, open_picture, resize, to_float
from mien.data.regular import read_regular
from mien.errors import MienError, MienWarning

LARGEST_SIGNAL = 2**30  # bytes of a file


def read_pictures(paths: Sequence[str | Path], model: Any) -> Tensor:
    """Return picture files as the tensor that ``model`` takes: (B, C, H, W), float32 in [-1, 1].

    A picture is cropped to the largest centered rectangle with the model's aspect ratio and resized. A model of
    signals has H = 1 and reads ``.npy`` arrays or ``.csv`` columns of W samples or more. The first W samples are
    taken, their mean is subtracted, and they are divided by their largest absolute value.

    Args:
        paths: the files, one or more.
        model: a model; its ``config["shape"]`` is (C, H, W).

    Raises:
        MienError: a file cannot be read; the message names it.

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
    """Return picture files as a tensor (B, C, H, W), float32 in [-1, 1], as :func:`read_pictures` does.

    Args:
        paths: the files, one or more.
        shape: (C, H, W).

    Raises:
        MienError: a file cannot be read; the message names it.
    """
    if not paths:
        raise MienError("expected one picture file or more, got none: pass a path")
    if shape[1] == 1:
        return torch.from_numpy(np.stack([_signal(Path(path), shape) for path in paths]))
    return torch.from_numpy(np.stack([_picture(Path(path), shape) for path in paths]))


def read_windows(path: str | Path, model: Any) -> tuple[list[int], Tensor]:
    """Return all windows of a recording: the number of the first sample of each, and the signals (B, 1, 1, L).

    Windows do not overlap. Samples after the last whole window are left out. Each window is scaled by itself, as by
    :func:`read_pictures`.

    Args:
        path: a ``.npy`` array or a ``.csv`` column of L samples or more.
        model: a model of signals; its ``config["shape"]`` is (1, 1, L).

    Raises:
        MienError: the model takes pictures, the file cannot be read, or a window is constant; the message names it.
    """
    shape = tuple(model.config["shape"])
    if shape[1] != 1:
        raise MienError(f"expected a model of signals for windows, got {model.name} of pictures: leave out --windows")
    values = _samples(Path(path), shape)
    starts = list(range(0, len(values) - shape[2] + 1, shape[2]))
    windows = [_window(values[start : start + shape[2]], f"{path}, samples from {start:,} on") for start in starts]
    return starts, torch.from_numpy(np.stack(windows))


def _picture(path: Path, shape: tuple[int, ...]) -> NDArray[np.float32]:
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


def _signal(path: Path, shape: tuple[int, ...]) -> NDArray[np.float32]:
    return _window(_first_window(_samples(path, shape), shape[2]), str(path))


def _samples(path: Path, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return the samples of a file, (N,), at least as many as a window of the shape has."""
    expectation = f"expected a signal of {shape[2]} samples or more as .npy or .csv"
    try:
        file = io.BytesIO(read_regular(path, LARGEST_SIGNAL))
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of an empty table, or of a damaged header
            values = np.load(file, allow_pickle=False) if path.suffix == ".npy" else np.loadtxt(file, delimiter=",")
    except Exception as error:  # a damaged header raises anything: SyntaxError, TokenError, MemoryError, OSError…
        raise MienError(
            f"{expectation}, got {path}, which cannot be read ({reason(error)}): pass another file"
        ) from None
    if shape[0] != 1 or values.ndim != 1 or values.dtype.kind not in "fiu" or len(values) < shape[2]:
        raise MienError(f"{expectation}, got {values.dtype} {values.shape} in {path}: pass another file")
    samples: NDArray[Any] = values
    return samples


def _first_window(samples: NDArray[Any], length: int) -> NDArray[Any]:
    """Return the first window of a recording; a warning says so if there are others."""
    if len(samples) >= 2 * length:
        warnings.warn(
            f"the recordings are longer than a window: only the first {length:,} samples of each are read "
            "(mien recognize --windows reads all windows)",
            MienWarning,
            stacklevel=2,
        )
    return samples[:length]


def _window(values: NDArray[Any], place: str) -> NDArray[np.float32]:
    """Return a window (L,) as a signal (1, 1, L) without its mean, of the largest absolute value 1."""
    window = values.astype(np.float64)
    with np.errstate(all="ignore"):  # samples near the limit of float64 overflow; they are refused below
        window = window - window.mean()
    largest = abs(window).max()
    if not 0 < largest < np.inf:
        raise MienError(f"expected samples that vary and are finite, got others in {place}: pass another file")
    scaled: NDArray[np.float32] = (window / largest).astype(np.float32)
    return scaled[None, None]  # (1, 1, L)
