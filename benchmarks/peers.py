"""Our training step against peers on the same nets, batch and pictures.

    python benchmarks/peers.py [--smoke] [--minutes 4] [--device cpu|cuda] [--env FOLDER] [--no-pythae]

Compares, in turns, five rounds of each:
- pythae's VAEGAN (its CelebA nets, batch 16), its VAE with the same nets, and its VAE of dense layers at 28 px, each
  trained by pythae's own trainer in an environment of its own, with the same nets as a model of ours moved by our
  update. Both start from the same weights, and their losses are compared before they are timed.
- a plain PyTorch loop of VAE-WGAN's Algorithm 1, with zero_grad, three backward passes and step, with our model.

Gradients are compared too: ours with those of the written algorithm, and those that pythae's trainer passes to its
optimizers with the gradients of pythae's own losses. No time includes reading pictures. pythae comes from the package
registry; uv makes its environment in --env on the first run (about 5 GB with torch, most of it in uv's cache).
About four minutes on two cores.
"""

from __future__ import annotations

import argparse
import copy
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from common import Result, parse, remaining
from peer_models import GAMMA, LR, load_weights, rebuild
from sides import Ours, PlainLoop, distances, faster_format
from timing import Rounds, Spread, interleave, matrix_rate, repeats, timed
from train_steps import CASES, Case, make, small
from workers import Worker

HERE = Path(__file__).parent
PYTHAE = "0.1.2"
CLOSE = 1e-3  # relative distance of equal gradients: the order of float32 sums differs

# -------------------------------------------------------------------------------------------------- against pythae

PEERS = {  # case: title, shape, latent, batch, and the ratio to reach
    "vaegan": ("pythae VAEGAN, CelebA nets", (3, 64, 64), 64, 16, 1.3),
    "conv_vae": ("pythae VAE, CelebA nets", (3, 64, 64), 64, 16, None),
    "mlp_vae": ("pythae VAE, dense layers at 28 px", (1, 28, 28), 16, 64, 1.15),
}


def environment(folder: Path) -> Path:
    """Return the Python of pythae's environment; uv creates the environment if it is missing."""
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if (folder / "complete").exists():
        return python
    beside = Path(sys.executable).parent / "uv"
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        raise RuntimeError("uv is not installed: install it, or pass --no-pythae")
    print(f"installing pythae {PYTHAE} into {folder}", flush=True)
    # the same torch on both sides
    torch_ = f"torch=={torch.__version__.partition('+')[0]}"
    for words in (
        ["venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder)],
        ["pip", "install", "--quiet", "--python", str(python), f"pythae=={PYTHAE}", torch_],
    ):
        done = subprocess.run([uv, *words], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"uv {words[0]} failed: {' '.join(done.stderr.split())[:300]}")
    (folder / "complete").touch()
    return python


def against_pythae(
    case: str, python: Path, options: argparse.Namespace, rate: Callable[[], float], result: Result
) -> None:
    """Compare one case and add its row."""
    title, shape, latent, batch, goal = PEERS[case]
    if options.smoke:
        batch = 2
    device = options.device
    values = {"case": case, "shape": shape, "latent": latent, "lr": LR, "device": device}
    with tempfile.TemporaryDirectory() as folder, Worker([str(python), str(HERE / "pythae_worker.py")]) as pythae:
        # the check comes first, with a small batch, because it takes ten backward passes
        pythae("build", **values, batch=2 if options.smoke else 4, folder=folder)
        ours, off = start(case, folder, options, shape, latent)
        result.notes.append(
            f"{title}: losses of both at equal weights and noise differ by at most {off:.1g} (relative)"
        )
        if case == "vaegan":
            theirs = pythae("gradients", folder=folder)
            written = torch.load(Path(folder) / "written_gradients.pt", weights_only=True)
            equal = distances(ours.gradients(), written)
            result.notes += gradient_notes(theirs, equal)
        pythae("build", **values, batch=batch, folder=folder)
        ours, _ = start(case, folder, options, shape, latent)
        parameters = sum(p.numel() for p in ours.model.parameters())
        ours()
        times = 1 if options.smoke else repeats(timed(ours, device)(), 0.5)
        pythae("step", times=1)
        subjects = {"ours": timed(ours, device, times), "pythae": pythae.subject("step", times=times)}
        rounds = interleave(subjects, options.rounds, rate)
    result.rates += rounds.rates
    add(result, title, "pythae", batch, parameters, rounds, goal)


def start(case: str, folder: str, options: argparse.Namespace, shape: Sequence[int], latent: int) -> tuple[Ours, float]:
    """Return our model with pythae's initial weights and pictures, and the largest relative difference of a loss."""
    saved = torch.load(Path(folder) / "start.pt", weights_only=True)
    model = rebuild(case, shape, latent)
    load_weights(model, saved["weights"])
    x = saved["x"]
    ours = Ours(model, x, options.device, faster_format(model, x, options.device, options.smoke))
    with torch.no_grad():
        torch.manual_seed(1)
        parts = ours.model.parts(ours.batch.x)  # type: ignore[operator]
    if options.device == "cuda":
        return ours, float("nan")  # the noise of a GPU differs between processes
    shared = {k: v for k, v in saved["losses"].items() if k in parts}
    return ours, max(abs(float(parts[k]) - v) / max(abs(v), 1e-12) for k, v in shared.items())


def gradient_notes(theirs: Mapping[str, Any], equal: Mapping[str, float]) -> list[str]:
    """Return a text: which losses reach which of pythae's networks, and whether ours follow the algorithm."""
    encoder, decoder, discriminator = (theirs[name] for name in ("encoder", "decoder", "discriminator"))
    verdict = "equal" if max(equal.values()) < CLOSE else "NOT equal"
    listed = ", ".join(f"{name} {value:.1g}" for name, value in equal.items())
    return [
        f"VAEGAN, ours: gradients are {verdict} to those of pythae's losses, each for its own network "
        f"(relative distances: {listed})",
        "VAEGAN, pythae: the gradients that its trainer passes to the optimizers differ, as its backward passes add up "
        f"in networks that no zero_grad clears between them: the encoder is {encoder['own']:.2g} away from the "
        f"gradient of its own loss and {encoder['encoder + decoder']:.1g} from that of encoder + decoder loss (so its "
        "reconstruction weighs "
        f"{2 - GAMMA:g} instead of 1); the decoder is {decoder['own']:.2g} away from its own and "
        f"{decoder['decoder + discriminator']:.1g} from decoder + discriminator loss: its adversarial gradient is "
        f"{decoder['adversarial_factor']:+.2f} times the one its loss is written for, so it helps the discriminator; "
        f"the discriminator is {discriminator['own']:.1g} away from its own",
    ]


def add(result: Result, title: str, peer: str, batch: int, parameters: int, rounds: Rounds, goal: float | None) -> None:
    """Add a row, and a target if the case has one."""
    speedup = rounds.speedup("ours", peer)
    result.rows.append(
        {
            "what": title,
            "batch": batch,
            "parameters": parameters,
            "speedup": speedup.to_json(),
            "ours_images_per_second": Spread.of(batch / s for s in rounds.seconds["ours"]).to_json(),
            "peer_images_per_second": Spread.of(batch / s for s in rounds.seconds[peer]).to_json(),
            "ours_seconds": rounds.seconds["ours"],
            "peer_seconds": rounds.seconds[peer],
            "matrix_rates": rounds.rates,
        }
    )
    if goal is not None:
        result.target(f"ours over {title}", f"≥ {goal:g}", speedup.text(), speedup.median >= goal)
    print(json.dumps({"what": title, "speedup": speedup.to_json()}), flush=True)


def against_plain_loop(case: Case, options: argparse.Namespace, rate: Callable[[], float], result: Result) -> None:
    """Compare our VAE-WGAN with the plain loop of its algorithm: gradients first, then time."""
    device = options.device
    if options.smoke:
        case = small(case)
    batch = case.gpu_batch if device == "cuda" and not options.smoke else case.batch
    torch.manual_seed(0)
    x = torch.rand(batch, *case.shape) * 2 - 1
    model = make(case, device)
    ours = Ours(model, x, device, torch.channels_last)
    ours.model.calibrate(ours.batch)
    plain = PlainLoop(copy.deepcopy(ours.model), ours.batch.x)
    equal = distances(ours.gradients(), plain.gradients())
    listed = ", ".join(f"{name} {value:.1g}" for name, value in equal.items())
    verdict = "equal" if max(equal.values()) < CLOSE else "NOT equal"
    result.notes.append(f"{case.name}: our gradients are {verdict} to the plain loop's (relative distances: {listed})")
    seconds = 0.0 if options.smoke else 0.5
    times = repeats(timed(ours, device)(), seconds)
    subjects = {"ours": timed(ours, device, times), "plain": timed(plain, device, times)}
    rounds = interleave(subjects, options.rounds, rate)
    result.rates += rounds.rates
    parameters = sum(p.numel() for player in model.players for p in model.get_submodule(player).parameters())
    add(result, f"plain loop of VAE-WGAN, {case.kind}, {case.shape[1]} px", "plain", batch, parameters, rounds, None)


COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "against": lambda r: r["what"],
    "batch": lambda r: str(r["batch"]),
    "weights": lambda r: f"{r['parameters'] / 1e6:.1f} M",
    "ours, images/s": lambda r: _text(r["ours_images_per_second"]),
    "theirs": lambda r: _text(r["peer_images_per_second"]),
    "ours over theirs": lambda r: _text(r["speedup"]),
}


def _text(values: dict[str, float]) -> str:
    digits = 2 if values["median"] < 100 else 0
    return Spread(values["median"], values["q1"], values["q3"], int(values["n"])).text(digits)


def main(argv: Sequence[str] | None = None) -> None:
    def more(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--env", type=Path, default=HERE / ".pythae", help="pythae's environment")
        parser.add_argument("--no-pythae", action="store_true", help="compare with the plain loop only")

    options = parse(__doc__, argv, minutes=4, more=more)
    rate = matrix_rate(options.device, "fp32", options.smoke)
    result = Result("peers", "our training step against peers', same nets, batch and pictures")
    for case in [c for c in CASES if c.model == "vae_wgan"]:
        against_plain_loop(case, options, rate, result)
    if options.no_pythae:
        result.notes.append("skipped by --no-pythae: pythae")
    else:
        try:
            python = environment(options.env)
        except RuntimeError as error:
            result.notes.append(f"skipped: pythae ({error})")
        else:
            for case in ("mlp_vae", "vaegan", "conv_vae"):
                if remaining(options) <= 0:
                    result.notes.append(f"skipped, as {options.minutes:g} minutes were over: {PEERS[case][0]}")
                    continue
                against_pythae(case, python, options, rate, result)
    result.finish(options, COLUMNS)


if __name__ == "__main__":
    main()
