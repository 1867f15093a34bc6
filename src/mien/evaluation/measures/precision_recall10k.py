"""Precision and recall of 10,000 generated pictures on Inception's features."""

from __future__ import annotations

from mien.evaluation.inception import InceptionMeasure


class PrecisionRecall10k(InceptionMeasure):
    """Kynkäänniemi et al. 2019, against 10,000 training pictures."""

    order = 170
    better = "up"
