"""``mien demo``: from nothing to a page that shows all a small VAE-WGAN can do, on two CPU cores.

Draws avatars, trains two attribute classifiers on disjoint halves of them (one becomes the loss network, the
other the judge), trains a VAE-WGAN, measures it and writes one self-contained page.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from rich.console import Console

from mien import applications, figures, runs
from mien.evaluation import OpenRun, evaluate, open_run
from mien.evaluation_text import attribute_rows, headline
from mien.experiment import Data, train
from mien.figures import Captioned, Section
from mien.training import logs

# what two cores can do in four minutes: small pictures, a quarter of the paper's width, and, since the training
# is a hundred times shorter than the paper's, a higher learning rate steadied by an average of the weights
SIZE, COUNT = 32, 6000
CLASSIFIER_STEPS, STEPS, BATCH, EMA = 400, 1700, 32, 0.99
SETTINGS: dict[str, Any] = {"width": 16, "latent": 32, "lr": 3e-3, "pair_loss": 2000.0}
SHOWN = ("Eyeglasses", "Smiling", "Wearing_Hat", "Black_Hair", "Blond_Hair", "Beard")


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
    bars: dict[str, logs.Bar] = {}

    def note(what: str, done: int, total: int) -> None:
        if what not in bars:
            for old in bars.values():
                old.__exit__()
            bars[what] = logs.Bar(console, what, total)
        bars[what](done)

    result = evaluate(opened, judge, count=600, seed=seed, note=note)
    for old in bars.values():
        old.__exit__()
    minutes = (time.monotonic() - started) / 60
    return _page(out, opened, runs.load(judge), result, minutes)


def _page(out: Path, opened: OpenRun, judge: Any, result: dict[str, Any], minutes: float) -> Path:
    model, test = opened.model, opened.splits.test
    batch = opened.dataset.batch(test[:20])
    x, names = batch.x, opened.dataset.attributes
    x_rec = applications.reconstruct(model, x)
    history = [r for r in logs.read(opened.folder) if "kl" in r]
    assert batch.attributes is not None
    sections = [
        Section(
            "Real and reconstructed",
            "Held-out avatars, which the model never saw, encoded to "
            f"{model.config['latent']} numbers and decoded again.",
            figures.reconstructions(x.numpy(), x_rec.numpy()),
        ),
        Section(
            "Samples", "Decoded from z ~ N(0, I).", figures.samples(applications.generate(model, 40, seed=1).numpy())
        ),
        Section(
            "Interpolation",
            "Eleven steps between the codes of two held-out avatars (Hou et al. 2019, Fig. 11).",
            _interpolation(model, x),
        ),
        Section(
            "Attribute edits",
            "One attribute vector is added with growing weight α (Fig. 12); the vectors are mean differences of "
            "latents of the training avatars with and without the attribute.",
            _edits(opened),
        ),
        Section(
            "Edits against the truth",
            "Avatars are drawn, so the true result of every edit can be drawn too.",
            _counterfactuals(opened),
        ),
        Section(
            "Recognition",
            "What the judge, an attribute classifier trained on other avatars, says of held-out ones.",
            figures.probabilities(
                x[:4].numpy(), applications.recognise(judge, x[:4]).numpy(), names, truth=batch.attributes[:4].numpy()
            ),
        ),
        Section(
            "Training",
            f"{history[-1]['step']} steps of {BATCH} pictures.",
            figures.curves(history, keys=["kl", "rec", "critic", "generator"]),
        ),
        Section(
            "Measures",
            f"On {result['data']['test']} held-out avatars; the judge and the loss network were trained on disjoint halves.",
            [
                Captioned(
                    figures.metric_table(
                        [dict(zip(("measure", "value", "how"), row, strict=True)) for row in headline(result)]
                    ),
                    "All measures.",
                ),
                Captioned(
                    figures.metric_table(attribute_rows(result)),
                    "By attribute: linear SVMs on latents, edits as the judge sees them, distance to the true counterfactual.",
                ),
            ],
        ),
    ]
    subtitle = f"vae_wgan on {COUNT:,} avatars of {SIZE}x{SIZE}, made in {minutes:.1f} minutes on this machine"
    for section in sections:
        if isinstance(section.body, Figure):
            figures.save(section.body, out / "figures" / f"{section.heading.lower().replace(' ', '-')}.png")
    return figures.page(out / "index.html", "mien: what a small VAE-WGAN can do", sections, subtitle)


def _interpolation(model: Any, x: torch.Tensor) -> Any:
    left, right = x[0:8:2], x[1:9:2]
    rows = applications.interpolate(model, left, right, 11)
    return figures.interpolation(rows.numpy(), ends=(left.numpy(), right.numpy()))


def _without(opened: OpenRun, attribute: str, number: int = 0) -> int:
    """Return the position of a held-out picture without ``attribute`` (and without a hat, which hides hair)."""
    table, names = opened.dataset.attribute_table[opened.splits.test], opened.dataset.attributes
    rows = np.flatnonzero((table[:, names.index(attribute)] == -1) & (table[:, names.index("Wearing_Hat")] == -1))
    return int(opened.splits.test[rows[number]])


def _edits(opened: OpenRun) -> Any:
    alphas = [i / 10 for i in range(11)]
    vectors = opened.vectors()
    real, rows = [], []
    for number, attribute in enumerate(SHOWN):
        x = opened.dataset.batch(np.array([_without(opened, attribute, number)])).x
        real.append(x[0].numpy())
        rows.append(torch.cat([applications.edit(opened.model, x, {attribute: a}, vectors) for a in alphas]).numpy())
    return figures.attribute_edits(np.stack(real), np.stack(rows), attributes=SHOWN, alphas=alphas)


def _counterfactuals(opened: OpenRun) -> Any:
    from mien.data.pictures import to_float

    source: Any = opened.data.source()
    vectors = opened.vectors()
    real, edited, true, edits = [], [], [], []
    for number, attribute in enumerate(opened.dataset.attributes):
        i = _without(opened, attribute, number + 6)
        x = opened.dataset.batch(np.array([i])).x
        real.append(x[0].numpy())
        edited.append(applications.edit(opened.model, x, {attribute: 1.0}, vectors)[0].numpy())
        true.append(to_float(source.counterfactual(int(opened.dataset.keys[i]), attribute, 1, SIZE)))
        edits.append(f"+{attribute}")
    return figures.counterfactuals(np.stack(real), np.stack(edited), np.stack(true), edits=edits, columns=len(edits))
