"""The spectral view of signals: the log-magnitude of the Fourier transform of a window, and a decoder that inverts it.

In vibration, the class is in the frequencies; the phase of a window depends on where it was cut, and carries no class.
The view is part of a model, so an exported model takes the waveform. A fixed scale replaces the statistics of a data
set: a window of unit power has values of about -2.5 to 2.5.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mien.networks.dense_residual import Shape, UpsamplingDecoder

FLOOR = 0.01  # added to the magnitudes before the logarithm: -40 dB of the mean power
CENTER, SCALE = -1.5, 1.5  # a log-magnitude m becomes (m - CENTER) / SCALE
RANGE = 4.0  # the decoder writes values of the view in [-RANGE, RANGE]
MULTIPLE = 8  # windows are padded with zeros to a multiple of this, so that two pools of 2 fit the spectrum
QUIET = 1e-6  # the least root mean square of a window


class Spectrum(nn.Module):
    """The log-magnitude spectrum of windows, (B, C, 1, L) → (B, C, 1, bins).

    A window is divided by its root mean square, tapered by a Hann window, and transformed. The values are
    log(magnitude + 0.01), shifted and scaled by constants. Bin k is the frequency k / length of the sampling rate; the
    highest, one half, is left out.

    Args:
        shape: (C, 1, L) of the windows.

    Attributes:
        length: L, or the next multiple of 8.
        shape: (C, 1, bins) with length / 2 bins.

    >>> tone = torch.sin(2 * math.pi * 5 * torch.arange(64) / 64).view(1, 1, 1, 64)
    >>> spectrum = Spectrum((1, 1, 64))(tone)
    >>> spectrum.shape, int(spectrum.argmax())
    (torch.Size([1, 1, 1, 32]), 5)
    """

    taper: Tensor

    def __init__(self, shape: Shape):
        super().__init__()
        channels, _, samples = shape
        self.length = -(-samples // MULTIPLE) * MULTIPLE
        self.shape: Shape = (channels, 1, self.length // 2)
        taper = torch.hann_window(samples)
        # a constant of the code, not a weight: a file of weights does not hold it
        self.register_buffer("taper", taper / taper.square().sum().sqrt(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the spectra (B, C, 1, bins), float32, of windows ``x`` (B, C, 1, L)."""
        with torch.autocast(x.device.type, enabled=False):
            x = x.float()
            power = x.square().mean(-1, keepdim=True)
            x = x * self.taper / power.clamp_min(QUIET**2).sqrt()
            transformed = torch.view_as_real(torch.fft.rfft(x, n=self.length))[..., : self.length // 2, :]
            # the small constant keeps the gradient of the root finite where a magnitude is 0
            magnitude = (transformed.square().sum(-1) + QUIET).sqrt()
            view: Tensor = ((magnitude + FLOOR).log() - CENTER) / SCALE
            return view


class SpectralDecoder(nn.Module):
    """A decoder that writes a spectrum, and gives the waveform of it: (B, K) → (B, C, 1, L).

    The network has the layers of :class:`~mien.networks.dense_residual.UpsamplingDecoder`, for spectra. Its
    magnitudes receive fixed random phases, because the view has none: the waveform has the spectrum of a window, and
    its course in time is arbitrary. As in the data, its largest absolute value is 1.

    Args:
        shape: (C, 1, L) of the windows.
        latent, width, hidden: as of :class:`~mien.networks.dense_residual.UpsamplingDecoder`.
    """

    phases: Tensor

    def __init__(self, shape: Shape, latent: int, width: int, hidden: int):
        super().__init__()
        spectrum = Spectrum(shape)
        self.length, self.samples = spectrum.length, shape[2]
        self.network = UpsamplingDecoder(spectrum.shape, latent, width, hidden)
        angles = torch.rand(spectrum.shape, generator=torch.Generator().manual_seed(0)) * 2 * math.pi
        self.register_buffer("phases", torch.stack([angles.cos(), angles.sin()], -1), persistent=False)

    def forward(self, z: Tensor) -> Tensor:
        """Return windows (B, C, 1, L) in [-1, 1], float32, for latents ``z`` (B, K)."""
        view = RANGE * self.network(z)
        with torch.autocast(z.device.type, enabled=False):
            magnitude = ((view * SCALE + CENTER).exp() - FLOOR).clamp_min(0)
            # the bin of half the sampling rate, which the view leaves out, is 0
            parts = nn.functional.pad(magnitude.unsqueeze(-1) * self.phases, (0, 0, 0, 1))
            x = torch.fft.irfft(torch.view_as_complex(parts.contiguous()), n=self.length)[..., : self.samples]
            x = x - x.mean(-1, keepdim=True)
            waveform: Tensor = x / x.abs().amax(-1, keepdim=True).clamp_min(QUIET)
            return waveform
