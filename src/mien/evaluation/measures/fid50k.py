"""Fréchet Inception distance of 50,000 generated pictures from the training pictures."""

from __future__ import annotations

from mien.evaluation.inception import InceptionMeasure


class FID50k(InceptionMeasure):
    """Heusel et al. 2017."""

    order = 140
