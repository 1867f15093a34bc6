"""CWRU bearing vibration: one signal for each condition of a bearing, cut into windows; the conditions are the classes.

Read are an `.npz` with one array (samples,) for each condition, or the `.mat` files of the Bearing Data Center
at Case Western Reserve University as they are published, one condition each (its key ends in `_DE_time`, the
accelerometer at the drive end). Files of the published numbers for 0 hp and 12 kHz (97.mat, 105.mat, …) are
called by their condition, others by their own name; do not mix rates or loads that you want told apart.

The size is the length of a window in samples, 1,024 if none is asked for: 85 ms at 12 kHz. Each signal is
split in time: the first 70 % are for training, the next 10 % valid, the last 20 % for the test. Windows are
cut inside each part, so no two parts share a sample, and only those for training overlap, if `hop` < size.
This is the official split; with one drawn by a seed instead, overlapping windows come into different parts.

A window has its mean subtracted and is divided by its largest absolute value, to lie in [-1, 1]. This removes
the amplitude, which alone tells some of the conditions apart: what remains to be recognized is the form.
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
from typing import NamedTuple

import numpy as np

from mien.data import dataset
from mien.data.archives import locate, npz_array, npz_names, reason
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
PARTS = (0.0, 0.7, 0.8, 1.0)  # of each signal, where the parts begin and end
LAYOUT = "put cwru_bearing_1797rpm_12khz.npz there (an array for each condition), or CWRU's .mat files in bearing/"


class Window(NamedTuple):
    """Where a window begins, in which signal, and its part: 0 train, 1 valid, 2 test."""

    label: int
    start: int
    part: int


class Source(dataset.Source):
    """Windows of the signals in `root`: an .npz, a .mat, or a folder of them.

    Args:
        root: file or folder; None for the .npz or the folder `bearing` in $MIEN_DATA.
        hop: samples from one window of the training part to the next; 0 for the length of a window.
    """

    name = "bearing"
    size = 1024
    sizes = range(8, 8193)
    unit = "samples"
    channels = 1
    dtype = "float32"

    def __init__(self, root: str | os.PathLike | None = None, hop: int = 0):
        if hop < 0:
            raise MienError(f"expected a hop of 1 sample or more, or 0 for the length of a window, got {hop}")
        self.hop, self._length = hop, self.size
        self.root = locate(root, ("cwru_bearing_1797rpm_12khz.npz", "bearing"), "CWRU bearing", LAYOUT)
        paths = sorted(self.root.iterdir()) if self.root.is_dir() else [self.root]
        self._paths = [path for path in paths if path.suffix.lower() in (".npz", ".mat")]
        if not self._paths:
            raise MienError(f"CWRU bearing: no .npz or .mat in {self.root}: {LAYOUT}")
        where: dict[str, tuple[Path, str]] = {}  # of each condition, its file and, in an .npz, its name
        for path in self._paths:
            for condition in _conditions(path):
                if condition in where:
                    both = f"{where[condition][0].name} and {path.name}"
                    raise MienError(f"{self.root}: {condition} is in {both}: leave one, or pass the file")
                where[condition] = path, condition
        rank = {condition: number for number, condition in enumerate(ORDER)}
        self.classes = tuple(sorted(where, key=lambda condition: (rank.get(condition, len(rank)), condition)))
        self._where = [where[condition] for condition in self.classes]

    def at(self, size: int) -> Source:
        """The same signals in windows of `size` samples."""
        other = copy.copy(self)
        other._length = size
        other.__dict__.pop("_windows", None)
        return other

    @cached_property
    def _signals(self) -> list[np.ndarray]:
        return [_signal(path, name) for path, name in self._where]

    @cached_property
    def _windows(self) -> list[Window]:
        windows = []
        for label, signal in enumerate(self._signals):
            edges = [round(share * len(signal)) for share in PARTS]
            for part, (begin, end) in enumerate(pairwise(edges)):
                step = (self.hop or self._length) if part == 0 else self._length
                starts = range(begin, end - self._length + 1, step)
                if not starts:
                    raise MienError(
                        f"{self.classes[label]} has {len(signal):,} samples, and a tenth of them are valid: too few "
                        f"for a window of {self._length}: ask for a size of {len(signal) // 10} or less"
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

    def read(self, i: int, size: int) -> np.ndarray:
        """Window i, its mean subtracted, divided by its largest absolute value: (1, size, 1)."""
        label, start, _ = self._windows[i]
        window = self._signals[label][start : start + size].astype(np.float64)
        if not np.isfinite(window).all():
            raise BadPicture("samples that are not finite")
        window = window - window.mean()
        if (largest := abs(window).max()) == 0:
            raise BadPicture("a constant: nothing to scale to [-1, 1]")
        return (window / largest).astype(np.float32).reshape(1, size, 1)

    def fingerprint(self) -> str:
        files = [(path.name, sha256(path)) for path in self._paths]
        return hashlib.sha256(json.dumps(["bearing", 1, files, self.hop]).encode()).hexdigest()

    def options(self) -> dict:
        return {"root": str(self.root.resolve()), "hop": self.hop}


def _conditions(path: Path) -> list[str]:
    """The conditions a file has signals of, without reading these."""
    if path.suffix.lower() == ".mat":
        number = _number(path)
        return [PUBLISHED.get(number, path.stem)]
    found = npz_names(path)
    if not found:
        raise MienError(f"{path}: no arrays in it: {LAYOUT}")
    return found


def _number(path: Path) -> int:
    """The published number of a .mat file: 97.mat, or Normal_0_97.mat; 0 if there is none."""
    found = re.search(r"(?:^|_)(\d{2,4})$", path.stem)
    return int(found[1]) if found else 0


def _signal(path: Path, name: str) -> np.ndarray:
    """The signal (samples,) of a condition, float32."""
    signal = _from_mat(path) if path.suffix.lower() == ".mat" else npz_array(path, name)
    if signal.dtype.kind not in "fiu" or max(signal.shape, default=0) != signal.size or not signal.size:
        raise MienError(f"{path}, {name}: expected one signal of numbers, got {signal.dtype} {signal.shape}")
    return signal.reshape(-1).astype(np.float32)


def _from_mat(path: Path) -> np.ndarray:
    from scipy.io import loadmat, whosmat

    try:
        keys = [key for key, _, _ in whosmat(path) if key.endswith("_DE_time")]
        if len(keys) > 1:  # some published files hold those of their neighbors too
            keys = [key for key in keys if key == f"X{_number(path):03d}_DE_time"] or keys
        arrays = loadmat(path, variable_names=keys[:1])
    except Exception as error:  # damaged ones raise anything: TypeError, zlib.error, NotImplementedError…
        raise MienError(f"{path} cannot be read as .mat ({reason(error)}): download it again") from None
    if len(keys) != 1:
        raise MienError(f"{path}: expected one key X…_DE_time, got {', '.join(keys) or 'none'}: is it one of CWRU's?")
    return arrays[keys[0]]
