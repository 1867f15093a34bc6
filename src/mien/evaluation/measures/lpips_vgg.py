"""LPIPS of reconstructions on VGG-16, the network that losses use."""

from __future__ import annotations

from mien.evaluation.perceptual import PerceptualMeasure


class LPIPSVGG(PerceptualMeasure):
    """Zhang et al. 2018; weights from a file (``MIEN_VGG16``) or torchvision's download."""

    order = 110
