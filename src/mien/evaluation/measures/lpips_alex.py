"""LPIPS of reconstructions on AlexNet, which its authors recommend as a measure."""

from __future__ import annotations

from mien.evaluation.perceptual import PerceptualMeasure


class LPIPSAlex(PerceptualMeasure):
    """Zhang et al. 2018; weights from a file (``MIEN_ALEXNET``) or torchvision's download."""

    order = 100
