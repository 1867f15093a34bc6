"""Upsampling and convolution in one step at the lower resolution, compared with two separate layers.

    python benchmarks/decoder.py [--smoke] [--minutes M] [--device cpu|cuda]

Forward and backward pass of every upsampling layer of a VAE-WGAN's decoder at 64 px, with width 16 and the paper's 64,
batch 32 and channels last as in training. Values and gradients are equal (tests/test_upsampling.py). A run takes about
a minute.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from common import Result, parse
from timing import interleave, matrix_rate, subject

SECONDS = 0.3  # duration of one subject in one round
LAYERS = [(8, 4, 4), (4, 2, 8), (2, 1, 16), (1, 0, 32)]  # channels in widths (0: a picture's), and the map's side


def written(before: int, after: int, device: str, x: Any) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return the forward and backward pass of the combined layer, and of the two separate layers."""
    import torch
    from torch import nn

    from mien.networks.upsampling import UpsampledConv

    fused = UpsampledConv(before, after).to(device)
    conv = nn.Conv2d(before, after, 3, padding=1, padding_mode="replicate").to(device)
    two = nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), conv).to(memory_format=torch.channels_last)
    fused = fused.to(memory_format=torch.channels_last)

    def step(module: nn.Module) -> Callable[[], Any]:
        inputs = [x, *module.parameters()]
        return lambda: torch.autograd.grad(module(x).sum(), inputs)

    return step(fused), step(two)


COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "layer": lambda r: r["layer"],
    "one step": lambda r: f"{r['ms']['median']:.2f} ms",
    "two": lambda r: f"{r['written_ms']['median']:.2f} ms",
    "times as fast": lambda r: f"{r['ratio']['median']:.2f} ({r['ratio']['q1']:.2f}–{r['ratio']['q3']:.2f})",
}


def main(argv: Sequence[str] | None = None) -> None:
    options: argparse.Namespace = parse(__doc__, argv, minutes=1)
    import torch

    rate = matrix_rate(options.device, "fp32", options.smoke)
    result = Result("decoder", "forward and backward of upsampling and convolution, batch 32")
    for width in (4,) if options.smoke else (16, 64):
        for before, after, side in LAYERS[-1:] if options.smoke else LAYERS:
            channels, out = before * width, after * width or 3
            x = torch.randn(32, channels, side, side, device=options.device)
            x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
            one, two = written(channels, out, options.device, x)
            seconds = 0.0 if options.smoke else SECONDS
            subjects = {"one": subject(one, options.device, seconds), "two": subject(two, options.device, seconds)}
            rounds = interleave(subjects, options.rounds, rate)
            result.rates += rounds.rates
            result.rows.append(
                {
                    "layer": f"{channels} → {out}, {side} → {2 * side} px",
                    "ms": {k: v * 1e3 for k, v in rounds.time("one").to_json().items() if k != "n"},
                    "written_ms": {k: v * 1e3 for k, v in rounds.time("two").to_json().items() if k != "n"},
                    "ratio": rounds.speedup("one", "two").to_json(),
                }
            )
    result.finish(options, COLUMNS)


if __name__ == "__main__":
    main()
