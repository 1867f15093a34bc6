"""Kernel Inception distance of 10,000 generated pictures from the training pictures."""

from __future__ import annotations

from mien.evaluation.inception import InceptionMeasure


class KID10k(InceptionMeasure):
    """Bińkowski et al. 2018."""

    order = 150
    digits = 4
