"""Fréchet Inception distance of 10,000 generated pictures from the training pictures."""

from __future__ import annotations

from mien.evaluation.inception import InceptionMeasure


class FID10k(InceptionMeasure):
    """Heusel et al. 2017."""

    order = 130
