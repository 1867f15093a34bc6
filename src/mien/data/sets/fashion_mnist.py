"""Fashion-MNIST: 70,000 gray pictures of clothes, 28x28 (Xiao et al., 2017), in the files and split of MNIST.

The IDX files have the names of MNIST's files, so the two sets need different folders. See ``mien.data.sets.mnist``
for the files, the sizes and the split.
"""

from __future__ import annotations

from mien.data.sets import mnist


class Source(mnist.Source):
    """Fashion-MNIST's IDX files in the folder ``root``, $MIEN_DATA/fashion_mnist if None."""

    name = "fashion_mnist"
    title = "Fashion-MNIST"
    homes = ("fashion_mnist", "FashionMNIST")
    classes = (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    )  # fmt: skip
