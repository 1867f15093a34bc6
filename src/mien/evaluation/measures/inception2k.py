"""Inception score of 2,000 generated pictures."""

from __future__ import annotations

from mien.evaluation.inception import InceptionMeasure


class InceptionScore2k(InceptionMeasure):
    """Salimans et al. 2016. The score needs no real pictures."""

    order = 120
    better = "up"
