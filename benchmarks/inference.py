"""Encoding, decoding and editing at batch 1 and 64: eager PyTorch, its faster forms, and ONNX Runtime.

    python benchmarks/inference.py [--smoke] [--minutes 2] [--device cpu|cuda] [--width 64]

VAE-WGAN at 64 px in the paper's width, with random weights. An edit encodes, adds an attribute vector and decodes.
These forms take turns: eager (weights in the layout of their creation), channels last, folded BatchNorm, both; on a CPU
also ONNX Runtime, with one session for the encoder and one for the decoder, whose threads must not spin; on a GPU also
bf16 and a captured CUDA graph. p50 and p95 are of single calls. Ratios are of the medians within each of five rounds.
Operations are counted in the eager form. Outputs are compared before the timing. ONNX Runtime is skipped with a message
if onnx, onnxscript and onnxruntime are not installed. A run takes about two minutes on two cores.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import logging
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from common import Result, parse, remaining
from timing import Spread, interleave, matrix_rate, percentile, repeats, synchronize, timed
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from train_steps import Case, make

from mien.folding import folded

ONNX = ("onnx", "onnxscript", "onnxruntime")
WANTED, GPU_MS = 1.6, 2.0
Functions = dict[str, Callable[[], Any]]  # encode, decode, edit


class Mean(nn.Module):
    """An encoder as a function to the mean of its distribution."""

    def __init__(self, encoder: nn.Module):
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean


def plain(model: Any, x: Tensor, z: Tensor, vector: Tensor) -> Functions:
    """Return the three functions of a model on these pictures and latents."""
    return {
        "encode": lambda: model.encode(x).mean,
        "decode": lambda: model.decode(z),
        "edit": lambda: model.decode(model.encode(x).mean + vector),
    }


def variants(model: Any, x: Tensor, z: Tensor, vector: Tensor, device: str) -> dict[str, Functions]:
    """Return the forms of the functions, by name; ``eager`` is the reference."""
    last = torch.channels_last
    forms = {"eager": model, "channels last": _to(model, last), "folded": folded(model)}
    forms["folded, channels last"] = _to(forms["folded"], last)
    ways = {
        name: plain(net, x.contiguous(memory_format=last) if "last" in name else x, z, vector)
        for name, net in forms.items()
    }
    if device == "cuda":
        half = plain(forms["folded, channels last"], x.contiguous(memory_format=last), z, vector)
        ways["folded, bf16"] = {name: autocast(call) for name, call in half.items()}
        ways["folded, bf16, graph"] = {name: captured(call) for name, call in ways["folded, bf16"].items()}
    return ways


def _to(model: Any, memory_format: torch.memory_format) -> Any:
    import copy

    return copy.deepcopy(model).to(memory_format=memory_format)


def autocast(call: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """Return ``call`` in bf16."""

    def run() -> Tensor:
        with torch.autocast("cuda", torch.bfloat16):
            return call()

    return run


def captured(call: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """Return ``call`` as a CUDA graph, captured after three calls on a separate stream."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = call()

    def run() -> Tensor:
        graph.replay()
        return out

    return run


def onnx_functions(model: Any, x: Tensor, z: Tensor, vector: Tensor, folder: Path) -> Functions:
    """Return the three functions by ONNX Runtime, exported with a free batch size."""
    import onnxruntime

    for name, net, inputs in (("encode", Mean(model.encoder), x), ("decode", model.decoder, z)):
        if (folder / f"{name}.onnx").exists():
            continue
        with warnings.catch_warnings(), _quiet():
            warnings.simplefilter("ignore")
            example = inputs if len(inputs) > 1 else inputs.repeat(2, *[1] * (inputs.ndim - 1))
            torch.onnx.export(
                net.eval(),
                (example,),
                str(folder / f"{name}.onnx"),
                input_names=["inputs"],
                output_names=["out"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                dynamo=True,
                verbose=False,
            )
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = torch.get_num_threads()
    # spinning threads of one session would block the cores of the other
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = {
        name: onnxruntime.InferenceSession(str(folder / f"{name}.onnx"), settings, providers=["CPUExecutionProvider"])
        for name in ("encode", "decode")
    }
    pictures, latents, shift = x.numpy(), z.numpy(), vector.numpy()

    def encode(inputs: Any) -> Any:
        return session["encode"].run(None, {"inputs": inputs})[0]

    def decode(inputs: Any) -> Any:
        return session["decode"].run(None, {"inputs": inputs})[0]

    return {
        "encode": lambda: encode(pictures),
        "decode": lambda: decode(latents),
        "edit": lambda: decode(encode(pictures) + shift),
    }


@contextlib.contextmanager
def _quiet() -> Any:
    """Silence the exporter's log."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def lasting(call: Callable[[], Any], device: str, seconds: float, record: list[float]) -> Callable[[], float]:
    """Return a subject: the median of single calls in about ``seconds``; ``record`` gets the time of each call."""
    call()
    count = repeats(timed(call, device)(), seconds, most=200)

    def run() -> float:
        times = []
        for _ in range(count):
            synchronize(device)
            start = time.perf_counter()
            call()
            synchronize(device)
            times.append(time.perf_counter() - start)
        record.extend(times)
        return percentile(times, 0.5)

    return run


def compare(
    ways: Mapping[str, Functions], what: str, batch: int, options: argparse.Namespace,
    rate: Callable[[], float], result: Result,
) -> None:  # fmt: skip
    """Check that all forms give the same result, then time them in turns."""
    with FlopCounterMode(display=False) as counter:
        expected = torch.as_tensor(ways["eager"][what]()).float().cpu()
    flop = counter.get_total_flops()
    calls_of: dict[str, list[float]] = {name: [] for name in ways}
    seconds = 0.0 if options.smoke else min(0.4, options.minutes * 60 / 200)
    subjects = {name: lasting(calls[what], options.device, seconds, calls_of[name]) for name, calls in ways.items()}
    rounds = interleave(subjects, options.rounds, rate)
    result.rates += rounds.rates
    for name, calls in ways.items():
        got = torch.as_tensor(calls[what]()).float().cpu()
        speedup = rounds.speedup(name, "eager")
        result.rows.append(
            {
                "what": what,
                "batch": batch,
                "way": name,
                "p50_ms": round(1e3 * percentile(calls_of[name], 0.5), 4),
                "p95_ms": round(1e3 * percentile(calls_of[name], 0.95), 4),
                "calls": len(calls_of[name]),
                "over_eager": speedup.to_json(),
                "share_of_matrix_rate": rounds.share(name, flop).to_json(),
                "largest_difference": float((got - expected).abs().max()),
            }
        )
        if what == "edit" and name == "ONNX Runtime":
            title = f"edit by ONNX Runtime over eager, batch {batch}"
            result.target(title, f"≥ {WANTED:g}", speedup.text(), speedup.median >= WANTED)
    if what == "edit" and options.device == "cuda" and batch == 1:
        best = min((r for r in result.rows if r["what"] == what and r["batch"] == 1), key=lambda r: r["p50_ms"])
        text = f"{best['p50_ms']:.2f} ms ({best['way']})"
        result.target("edit at batch 1", f"≤ {GPU_MS:g} ms", text, best["p50_ms"] <= GPU_MS)


COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "what": lambda r: f"{r['what']}, batch {r['batch']}",
    "way": lambda r: r["way"],
    "p50": lambda r: f"{r['p50_ms']:.2f} ms",
    "p95": lambda r: f"{r['p95_ms']:.2f} ms",
    "over eager": lambda r: Spread(
        r["over_eager"]["median"], r["over_eager"]["q1"], r["over_eager"]["q3"], r["over_eager"]["n"]
    ).text(),
    "% of matrix rate": lambda r: f"{100 * r['share_of_matrix_rate']['median']:.0f}",
    "differs by": lambda r: f"{r['largest_difference']:.0e}",
}


def main(argv: Sequence[str] | None = None) -> None:
    def more(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--width", type=int, default=64, help="width of the VAE-WGAN (64)")

    options = parse(__doc__, argv, minutes=2, more=more)
    device, size = options.device, 16 if options.smoke else 64
    rate = matrix_rate(device, "fp32", options.smoke)
    width = 4 if options.smoke else options.width
    title = f"VAE-WGAN at {size} px, width {width}"
    result = Result("inference", title)
    case = Case("vae_wgan", "paper", (3, size, size), 4, 4, {"width": width}, "small")
    # in the layout of its creation, not in the layout of training
    model: Any = make(case, device).to(memory_format=torch.contiguous_format).eval()
    missing = [name for name in ONNX if importlib.util.find_spec(name) is None]
    if missing and device == "cpu":
        result.notes.append(f"skipped: ONNX Runtime ({', '.join(missing)} not installed)")
    with tempfile.TemporaryDirectory() as scratch, torch.inference_mode():
        for batch in (1, 2) if options.smoke else (1, 64):
            if remaining(options) <= 0:
                result.notes.append(f"skipped, as {options.minutes:g} minutes were over: batch {batch}")
                continue
            torch.manual_seed(1)
            x = torch.rand(batch, *case.shape, device=device) * 2 - 1
            z, vector = (torch.randn(n, model.latent, device=device) for n in (batch, 1))
            ways = variants(model, x, z, vector, device)
            if device == "cpu" and not missing:
                with torch.inference_mode(False):
                    clean = [v.clone() for v in (x, z, vector)]
                    ways["ONNX Runtime"] = onnx_functions(model, *clean, folder=Path(scratch))
            for what in ("encode", "decode", "edit"):
                compare(ways, what, batch, options, rate, result)
    result.finish(options, COLUMNS)


if __name__ == "__main__":
    main()
