"""``mien demo``: from nothing to a page that shows all a small VAE-WGAN can do, on two CPU cores.

Draws avatars, trains two attribute classifiers on disjoint halves of them (one becomes the loss network, the
other the judge), trains a VAE-WGAN, measures it and writes one self-contained page.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from rich.console import Console

from mien import figures
from mien.evaluation import Evaluation, evaluate
from mien.evaluation.page import sections
from mien.experiment import train
from mien.run.data import Data
from mien.run.opening import OpenRun, open_run
from mien.run.weights import load
from mien.training import logs

# what two cores can do in four minutes: small pictures, a quarter of the paper's width, and, since the training
# is a hundred times shorter than the paper's, a higher learning rate steadied by an average of the weights
SIZE, COUNT = 32, 6000
CLASSIFIER_STEPS, STEPS, BATCH, EMA = 400, 1700, 32, 0.99
SETTINGS: dict[str, Any] = {"width": 16, "latent": 32, "lr": 3e-3, "pair_loss": 2000.0}


def run(out: Path, seed: int = 0, console: Console | None = None) -> Path:
    """Make the whole demonstration in the folder ``out`` and return its page; run again, it resumes."""
    started = time.monotonic()
    options = {"count": COUNT}

    def data(share: tuple[int, int] = (1, 1)) -> Data:
        return Data("avatars", size=SIZE, options=options, share=share)

    with logs.Bar(console, "draw avatars", COUNT) as bar:
        data().open(lambda done, total: bar(done))
    loss_network, judge = out / "runs" / "loss_network", out / "runs" / "judge"
    # a judge never is the loss network: another half of the pictures, another seed
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


def _page(out: Path, opened: OpenRun, judge: Any, result: Evaluation, minutes: float) -> Path:
    parts = sections(opened, result, judge)
    for section in parts:
        if isinstance(section.body, Figure):
            figures.save(section.body, out / "figures" / f"{section.heading.lower().replace(' ', '-')}.png")
    subtitle = f"vae_wgan on {COUNT:,} avatars of {SIZE}x{SIZE}, made in {minutes:.1f} minutes on this machine"
    return figures.page(out / "index.html", "mien: what a small VAE-WGAN can do", parts, subtitle)
