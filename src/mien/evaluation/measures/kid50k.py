"""Kernel Inception distance of 50,000 generated pictures from the training pictures."""

from __future__ import annotations

from mien.evaluation.inception import InceptionMeasure


class KID50k(InceptionMeasure):
    """Bińkowski et al. 2018."""

    order = 160
    digits = 4
