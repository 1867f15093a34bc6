"""The demonstration: a small VAE-WGAN on drawn avatars, from data to report page, on two CPU cores.

    mien demo --out demo

It draws avatars and trains two attribute classifiers on disjoint halves of them: the loss network and the judge. It
then trains and measures a VAE-WGAN, and writes one self-contained page. `results/demo.json` holds the time and the
expected numbers; `docs/results.md` shows them under "make demo".
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from rich.console import Console

from mien import figures
from mien.evaluation import evaluate
from mien.evaluation.page import sections
from mien.experiment import train
from mien.run.data import Data
from mien.run.opening import OpenRun, open_run
from mien.run.weights import load
from mien.training import logs

# chosen for a few minutes on two cores: small pictures and a quarter of the paper's width. The training is a hundred
# times shorter than the paper's, so the learning rate is higher, and an average of the weights reduces its noise.
SIZE, COUNT = 32, 6000
CLASSIFIER_STEPS, STEPS, BATCH, EMA = 400, 1700, 32, 0.99
SETTINGS: dict[str, Any] = {"width": 16, "latent": 32, "lr": 3e-3, "pair_loss": 2000.0}


def run(out: Path, seed: int = 0, console: Console | None = None) -> Path:
    """Run the demonstration and return the path of its page; a second call resumes an interrupted one.

    Args:
        out: the folder for runs, figures and page.
        seed: of the trainings and the measures; the judge uses ``seed + 1``.
        console: where progress is shown; by default it is not shown.

    Raises:
        KeyboardInterrupt: the training was interrupted.
    """
    started = time.monotonic()
    options = {"count": COUNT}

    def data(share: tuple[int, int] = (1, 1)) -> Data:
        return Data("avatars", size=SIZE, options=options, share=share)

    with logs.Bar(console, "draw avatars", COUNT) as bar:
        data().open(lambda done, total: bar(done))
    loss_network, judge = out / "runs" / "loss_network", out / "runs" / "judge"
    # the judge is not the loss network: it has the other half of the pictures and another seed
    train("attribute_cnn", data((1, 2)), loss_network, steps=CLASSIFIER_STEPS, seed=seed, console=console)
    train("attribute_cnn", data((2, 2)), judge, steps=CLASSIFIER_STEPS, seed=seed + 1, console=console)
    settings = {**SETTINGS, "loss_network": str(loss_network)}
    folder, outcome = train(
        "vae_wgan", data(), out / "runs" / "vae_wgan", settings, STEPS, seed=seed, console=console, batch=BATCH, ema=EMA
    )
    if not outcome.finished:
        raise KeyboardInterrupt
    opened = open_run(folder)
    with logs.bars(console) as note:
        result = evaluate(opened, judge, count=600, seed=seed, note=note)
    minutes = (time.monotonic() - started) / 60
    return _page(out, opened, load(judge), result, minutes)


def _page(out: Path, opened: OpenRun, judge: Any, result: dict[str, Any], minutes: float) -> Path:
    parts = sections(opened, result, judge)
    for section in parts:
        if isinstance(section.body, Figure):
            figures.save(section.body, out / "figures" / f"{section.heading.lower().replace(' ', '-')}.png")
    subtitle = f"vae_wgan on {COUNT:,} avatars of {SIZE}x{SIZE}, made in {minutes:.1f} minutes on this machine"
    return figures.page(out / "index.html", "mien: what a small VAE-WGAN can do", parts, subtitle)
