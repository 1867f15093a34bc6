"""Fashion-MNIST: 70,000 gray pictures of clothes, 28x28 (Xiao et al., 2017), in the files and split of MNIST.

The folder holds the IDX files as they are published, see `mien.data.idx`; they are called as MNIST's are, so
they need a folder of their own.
"""

from __future__ import annotations

from mien.data.idx import IdxSource


class Source(IdxSource):
    """Fashion-MNIST's IDX files in the folder `root`, $MIEN_DATA/fashion_mnist if None."""

    name = "fashion_mnist"
    title = "Fashion-MNIST"
    homes = ("fashion_mnist", "FashionMNIST")
    classes = (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    )  # fmt: skip
