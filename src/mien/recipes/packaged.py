"""Data for recipes at the scale ``smoke``: scikit-learn's digits, and drawn vibrations. No file is read or fetched."""

from __future__ import annotations

import functools

import numpy as np

from mien.run.data import Data

DIGITS = 600  # of scikit-learn's 1,797
SIGNALS = 60  # of each condition


@functools.cache
def digits(size: int) -> Data:
    """Return handwritten digits (DIGITS, size, size, 1) with their classes: scikit-learn's 8x8 pixels, enlarged.

    Args:
        size: in pixels; MNIST has 28.
    """
    from PIL import Image
    from sklearn.datasets import load_digits

    bunch = load_digits()
    small = np.rint(bunch.images[:DIGITS] * (255 / 16)).astype(np.uint8)
    pictures = [Image.fromarray(one).resize((size, size), Image.Resampling.BICUBIC) for one in small]
    return Data.from_arrays(
        np.stack([np.asarray(one) for one in pictures])[..., None],
        labels=bunch.target[:DIGITS],
        classes=[str(digit) for digit in range(10)],
        name="digits",
    )


@functools.cache
def vibrations(size: int) -> Data:
    """Return drawn signals (N, 1, 1, size) of four conditions of a bearing.

    A normal bearing hums. A damaged one also rings at each pass of a ball; the rate depends on the place of the damage.

    Args:
        size: samples of a signal.
    """
    draw, time = np.random.default_rng(0), np.arange(size)
    conditions = {"normal": 0, "ball": size // 3, "inner_race": size // 6, "outer_race": size // 12}
    signals, labels = [], []
    for label, period in enumerate(conditions.values()):
        for _ in range(SIGNALS):
            signal = 0.3 * np.sin(2 * np.pi * (3 * time / size + draw.random())) + 0.1 * draw.standard_normal(size)
            if period:
                since = (time + draw.integers(period)) % period
                signal += np.exp(-since / 4) * np.sin(2 * np.pi * since / 4 + 1)
            signal -= signal.mean()
            signals.append(signal / abs(signal).max())
            labels.append(label)
    array = np.stack(signals).astype(np.float32)[:, None, None, :]
    return Data.from_arrays(array, labels=np.array(labels), classes=list(conditions), name="vibrations")
