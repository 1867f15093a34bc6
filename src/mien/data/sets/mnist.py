"""MNIST: 70,000 handwritten digits, white on black, 28x28 gray (LeCun et al., 1998), or a part of them.

The folder holds the IDX files as they are published; what they may be called, how they are resized and how
they are split is told in `mien.data.idx`: 55,000 for training, 5,000 valid, 10,000 for the test.
"""

from __future__ import annotations

from mien.data.idx import IdxSource


class Source(IdxSource):
    """MNIST's IDX files in the folder `root`, $MIEN_DATA/mnist if None."""

    name = "mnist"
    title = "MNIST"
    homes = ("mnist", "MNIST")
    classes = tuple("0123456789")
