"""PSNR and SSIM of reconstructions, per picture, on pictures scaled to [0, 1].

SSIM comes from torchmetrics. PSNR is implemented here, because the import of torchmetrics takes seven seconds. A test
compares it with the PSNR of torchmetrics.
"""

from __future__ import annotations

from torch import Tensor


def psnr(x: Tensor, x_rec: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio (B,) of each picture in dB; both (B, C, H, W) in [-1, 1].

    >>> import torch
    >>> psnr(torch.zeros(1, 3, 8, 8), torch.full((1, 3, 8, 8), 0.2))  # 10 log10(1 / 0.1²)
    tensor([20.])
    """
    mse = ((x_rec.float() - x.float()) / 2).square().flatten(1).mean(1)
    return -10 * mse.log10()


def ssim(x: Tensor, x_rec: Tensor) -> Tensor:
    """Return the structural similarity (B,) of each picture; both (B, C, H, W) in [-1, 1], H and W ≥ 11."""
    from torchmetrics.functional.image import structural_similarity_index_measure

    value = structural_similarity_index_measure(
        (x_rec.float() + 1) / 2, (x.float() + 1) / 2, data_range=1.0, reduction="none"
    )
    assert isinstance(value, Tensor)
    return value
