"""PSNR and SSIM of reconstructions, per picture (torchmetrics), on pictures scaled to [0, 1]."""

from __future__ import annotations

from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure


def psnr(x: Tensor, x_rec: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio of each picture in dB, (B,); both (B, C, H, W) in [-1, 1]."""
    return peak_signal_noise_ratio(
        (x_rec.float() + 1) / 2, (x.float() + 1) / 2, data_range=1.0, reduction="none", dim=(1, 2, 3)
    )


def ssim(x: Tensor, x_rec: Tensor) -> Tensor:
    """Return the structural similarity of each picture, (B,); both (B, C, H, W) in [-1, 1], H and W ≥ 11."""
    value = structural_similarity_index_measure(
        (x_rec.float() + 1) / 2, (x.float() + 1) / 2, data_range=1.0, reduction="none"
    )
    assert isinstance(value, Tensor)
    return value
