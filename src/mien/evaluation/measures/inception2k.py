"""Inception score of 2,000 generated pictures."""

from __future__ import annotations

from mien.evaluation.inception import InceptionMeasure


class InceptionScore2k(InceptionMeasure):
    """Salimans et al. 2016; no real pictures are needed."""

    order = 120
    better = "up"
