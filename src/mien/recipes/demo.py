"""The demonstration: edits of a photo, and a small VAE-WGAN on drawn avatars, from data to report page.

    mien demo --out demo

In a few seconds, it edits a portrait in the public domain with faces-64, a model that comes with mien. Then it draws
avatars and trains two attribute classifiers on disjoint halves of them: the loss network and the judge. It then trains
and measures a VAE-WGAN, and writes one self-contained page. `results/demo.json` holds the time and the expected
numbers; `docs/results.md` shows them under "make demo".
"""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from rich.console import Console

from mien import figures, photos
from mien.applications.arithmetic import Editor
from mien.evaluation import Evaluation, evaluate
from mien.evaluation.page import sections
from mien.experiment import train
from mien.figures.mosaic import Band, mosaic
from mien.figures.page import Section
from mien.run.data import Data
from mien.run.folder import read_config, resolve
from mien.run.opening import OpenRun, cached_vectors, open_run
from mien.run.weights import load
from mien.training import logs

# chosen for a few minutes on two cores: small pictures and a quarter of the paper's width. The training is a hundred
# times shorter than the paper's, so the learning rate is higher, and an average of the weights reduces its noise.
SIZE, COUNT = 32, 6000
CLASSIFIER_STEPS, STEPS, BATCH, EMA = 400, 1700, 32, 0.99
SETTINGS: dict[str, Any] = {"width": 16, "latent": 32, "lr": 3e-3, "pair_loss": 2000.0}


PHOTO_MODEL = "faces-64"
PHOTO_EDITS = (("Smiling", 2.0), ("Male", 1.5), ("Young", -3.0), ("Black_Hair", 1.5), ("Bangs", 2.0))
PHOTO_PART = (110, 0, 340, 230)  # left, top, right and bottom of the face in the portrait, in pixels


def run(out: Path, seed: int = 0, console: Console | None = None) -> Path:
    """Run the demonstration and return the path of its page; a second call resumes an interrupted one.

    Args:
        out: the folder for runs, figures and page.
        seed: of the trainings and the measures; the judge uses ``seed + 1``.
        console: where progress is shown; by default it is not shown.

    Raises:
        KeyboardInterrupt: the training was interrupted.
    """
    photo = _portrait(out, console)
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
    return _page(out, opened, load(judge), result, minutes, photo)


def _portrait(out: Path, console: Console | None) -> Section | None:
    """Edit a portrait with the model that comes with mien; None where dlib, which finds the face, is not installed."""
    if importlib.util.find_spec("dlib") is None:
        if console:
            console.print("the edits of a photo are left out: pip install 'mien[faces]' for them")
        return None
    model = load(PHOTO_MODEL)
    template = photos.template_of(read_config(resolve(PHOTO_MODEL))["data"], model.config["shape"])
    assert template is not None
    editor, photo = Editor(model, cached_vectors(PHOTO_MODEL)), photos.portrait()
    faces = photos.find(photo)
    edits = [photos.edit_photo(photo, editor, {name: amount}, template, faces=faces) for name, amount in PHOTO_EDITS]
    pictures = [photo, *(edit.photo for edit in edits)]
    heads = ["the photo", *(f"{name} {amount:+g}" for name, amount in PHOTO_EDITS)]
    left, top, right, bottom = PHOTO_PART
    row = [np.asarray(Image.fromarray(one[top:bottom, left:right]).resize((256, 256))) for one in pictures]
    figure = mosaic([Band([row], heads=heads)], alt="a portrait and its edits")
    path = figures.save(figure, out / "figures" / "portrait.png")
    if console:
        console.print(f"wrote {path}: a portrait, edited by {PHOTO_MODEL}", highlight=False, soft_wrap=True)
    text = (
        f"A portrait by NASA, edited by {PHOTO_MODEL}, a model of 64x64 pixels that comes with mien. The face is found "
        "and aligned, and what the edit changes is added to the photo. Try your own photo: "
        "mien edit faces-64 me.jpg Smiling=+1.5"
    )
    return Section("A photo", text, figure)


def _page(out: Path, opened: OpenRun, judge: Any, result: Evaluation, minutes: float, photo: Section | None) -> Path:
    parts = sections(opened, result, judge)
    for section in parts:
        if isinstance(section.body, Figure):
            figures.save(section.body, out / "figures" / f"{section.heading.lower().replace(' ', '-')}.png")
    subtitle = f"vae_wgan on {COUNT:,} avatars of {SIZE}x{SIZE}, made in {minutes:.1f} minutes on this machine"
    parts = [photo, *parts] if photo else parts
    return figures.page(out / "index.html", "mien: what a small VAE-WGAN can do", parts, subtitle)
