"""How many pictures a distance between sets needs. This module does not import torch."""

from __future__ import annotations


def unreliable(n: int, number: int) -> str:
    """Return why a Fréchet distance cannot be relied on; empty if the covariances can have full rank.

    The covariance of n pictures has at most the rank n - 1, so with n ≤ D a part of the D features seems to have no
    variance at all. The distance then depends on n more than on the pictures.

    Args:
        n: pictures of the smaller set.
        number: features.

    >>> unreliable(300, 2048)
    'unreliable: 300 pictures for 2,048 features'
    >>> unreliable(2049, 2048)
    ''
    """
    return f"unreliable: {n:,} pictures for {number:,} features" if n <= number else ""
