"""CWRU bearing vibration: one signal for each condition of a bearing, cut into windows; the conditions are the classes.

The set reads an ``.npz`` with one array (samples,) for each condition, or the ``.mat`` files that the Bearing Data
Center at Case Western Reserve University publishes. Each ``.mat`` file holds one condition; its key ends in
``_DE_time`` (accelerometer at the drive end). Files with the published numbers for 0 hp and 12 kHz (97.mat,
105.mat, …) are named by their condition, other files by their own name. The sampling rate and the load are not
part of the class: do not mix files of different rates or loads if the model must distinguish them.

The size is the length of a window in samples. The default is 1,024: 85 ms at 12 kHz. Each signal is split in
time: the first 70 % is the training part, the next 10 % validation, the last 20 % test. Windows are cut inside each
part, so no sample is in two parts. Only training windows overlap: by default each starts an eighth of a window after
the one before, which gives about 6,500 instead of 820 training windows of the published files. This is the official
split.
With a seeded split, overlapping windows can be in different parts.

Each window is scaled to [-1, 1]: its mean is subtracted, and it is divided by its largest absolute value. This
removes the amplitude, which alone distinguishes some of the conditions. The model must recognize the waveform.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import re
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.data import base
from mien.data.archives import locate
from mien.data.formats.arrays import mat_arrays, mat_names, npz_array, npz_names
from mien.data.pictures import BadPicture
from mien.errors import MienError
from mien.files import sha256

PUBLISHED = {  # number of the file at 0 hp (1797 rpm), 12 kHz, drive end; outer race at 6 o'clock
    97: "normal",
    118: "ball_7", 185: "ball_14", 222: "ball_21",
    105: "inner_race_7", 169: "inner_race_14", 209: "inner_race_21",
    130: "outer_race_7", 197: "outer_race_14", 234: "outer_race_21",
}  # fmt: skip
ORDER = list(PUBLISHED.values())
PARTS = (0.0, 0.7, 0.8, 1.0)  # borders of the parts, as shares of each signal
OVERLAP = 8  # training windows start an eighth of a window apart
LAYOUT = "put cwru_bearing_1797rpm_12khz.npz there (an array for each condition), or CWRU's .mat files in bearing/"


class Window(NamedTuple):
    """A window: its signal, its first sample, and its part (0 train, 1 valid, 2 test)."""

    label: int
    start: int
    part: int


class Source(base.Source):
    """Windows of the signals in ``root``: an .npz, a .mat, or a folder of them.

    Args:
        root: file or folder; None for the .npz or the folder ``bearing`` in $MIEN_DATA.
        hop: samples between the starts of neighboring training windows, ≥ 1; 0 for an eighth of a window. The length of
            a window gives windows that do not overlap.

    Raises:
        MienError: a wrong ``hop``, no such files, or one condition in two files.
    """

    name = "bearing"
    size = 1024
    sizes = range(8, 8193)
    unit = "samples"
    channels = 1
    dtype = "float32"

    def __init__(self, root: str | os.PathLike[str] | None = None, hop: int = 0):
        if hop < 0:
            raise MienError(
                f"expected a hop of 1 sample or more, or 0 for an eighth of a window, got {hop}: pass another hop"
            )
        self.hop, self._length = hop, self.size
        self.root = locate(root, ("cwru_bearing_1797rpm_12khz.npz", "bearing"), "CWRU bearing", LAYOUT)
        paths = sorted(self.root.iterdir()) if self.root.is_dir() else [self.root]
        self._paths = [path for path in paths if path.suffix.lower() in (".npz", ".mat")]
        if not self._paths:
            raise MienError(f"CWRU bearing: expected an .npz or .mat in {self.root}, got none: {LAYOUT}")
        places: dict[str, tuple[Path, str]] = {}  # file and array name of each condition
        for path in self._paths:
            for condition in _conditions(path):
                if condition in places:
                    both = f"{places[condition][0].name} and {path.name}"
                    raise MienError(f"{self.root}: {condition} is in {both}: remove one, or pass the other as the root")
                places[condition] = path, condition
        rank = {condition: number for number, condition in enumerate(ORDER)}
        self.classes = tuple(sorted(places, key=lambda condition: (rank.get(condition, len(rank)), condition)))
        self._places = [places[condition] for condition in self.classes]

    def at(self, size: int) -> Source:
        """Return the same signals in windows of ``size`` samples."""
        other = copy.copy(self)
        other._length = size
        other.__dict__.pop("_windows", None)
        return other

    @cached_property
    def _signals(self) -> list[NDArray[np.float32]]:
        return [_signal(path, name) for path, name in self._places]

    @cached_property
    def _windows(self) -> list[Window]:
        windows = []
        for label, signal in enumerate(self._signals):
            edges = [round(share * len(signal)) for share in PARTS]
            for part, (begin, end) in enumerate(pairwise(edges)):
                step = (self.hop or max(1, self._length // OVERLAP)) if part == 0 else self._length
                starts = range(begin, end - self._length + 1, step)
                if not starts:
                    raise MienError(
                        f"{self.classes[label]} has {len(signal):,} samples and its validation part a tenth of them: "
                        f"too few for a window of {self._length}: use a size of {len(signal) // 10} or less"
                    )
                windows += [Window(label, start, part) for start in starts]
        return windows

    def __len__(self) -> int:
        return len(self._windows)

    def key(self, i: int) -> str:
        window = self._windows[i]
        return f"{self.classes[window.label]}@{window.start}"

    def label(self, i: int) -> int:
        return self._windows[i].label

    def partition(self, i: int) -> int:
        return self._windows[i].part

    def shape(self, size: int) -> tuple[int, int, int]:
        return 1, size, 1

    def read(self, i: int, size: int) -> NDArray[np.float32]:
        """Return window i scaled to [-1, 1] with mean subtracted: float32 (1, size, 1)."""
        label, start, _ = self._windows[i]
        window = self._signals[label][start : start + size].astype(np.float64)
        if not np.isfinite(window).all():
            raise BadPicture("some samples are not finite")
        window = window - window.mean()
        if (largest := abs(window).max()) == 0:
            raise BadPicture("all samples are equal: the window cannot be scaled to [-1, 1]")
        scaled: NDArray[np.float32] = (window / largest).astype(np.float32)
        return scaled.reshape(1, size, 1)

    def fingerprint(self) -> str:
        files = [(path.name, sha256(path)) for path in self._paths]
        return hashlib.sha256(json.dumps(["bearing", 1 if self.hop else 2, files, self.hop]).encode()).hexdigest()

    def options(self) -> dict[str, Any]:
        return {"root": str(self.root.resolve()), "hop": self.hop}


def _conditions(path: Path) -> list[str]:
    """Return the conditions in a file without reading their signals."""
    if path.suffix.lower() == ".mat":
        number = _number(path)
        return [PUBLISHED.get(number, path.stem)]
    names = npz_names(path)
    if not names:
        raise MienError(f"{path}: expected arrays, got none: {LAYOUT}")
    return names


def _number(path: Path) -> int:
    """Return the published number in the name of a .mat file, 97 of 97.mat or Normal_0_97.mat; 0 if it has none."""
    match = re.search(r"(?:^|_)(\d{2,4})$", path.stem)
    return int(match[1]) if match else 0


def _signal(path: Path, name: str) -> NDArray[np.float32]:
    """Return the signal of a condition, float32 (samples,)."""
    signal = _from_mat(path) if path.suffix.lower() == ".mat" else npz_array(path, name)
    if signal.dtype.kind not in "fiu" or max(signal.shape, default=0) != signal.size or not signal.size:
        raise MienError(f"{path}, {name}: expected one signal of numbers, got {signal.dtype} {signal.shape}: {LAYOUT}")
    samples: NDArray[np.float32] = signal.reshape(-1).astype(np.float32)
    return samples


def _from_mat(path: Path) -> NDArray[Any]:
    keys = [key for key in mat_names(path) if key.endswith("_DE_time")]
    if len(keys) > 1:  # some published files also hold the signal of a file with a neighboring number
        keys = [key for key in keys if key == f"X{_number(path):03d}_DE_time"] or keys
    if len(keys) != 1:
        got = ", ".join(keys) or "none"
        raise MienError(f"{path}: expected one key X…_DE_time, got {got}: pass a published file of CWRU")
    return mat_arrays(path, keys)[keys[0]]
