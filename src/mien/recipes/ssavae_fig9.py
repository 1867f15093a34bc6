"""SSAVAE, Fig. 9: reconstructions of held-out pictures for a grid of β and γ (Zemouri 2020, §3.3.2).

    python -m mien.recipes.ssavae_fig9 --root ~/mnist --latent 2 --out fig9-k2
    python -m mien.recipes.ssavae_fig9 --data fashion_mnist --root ~/fashion --latent 100 --out fig9-fashion

Step 1 (encoder and classifier) is trained once. Then a new decoder is trained for each (β, γ), on the same batches
with the same noise, so only the weights of the losses differ. The recipe takes minutes on one CPU core. No result of
it is stored in the repository; it writes `fig9.json` and a page into its folder.

The paper reports, for four data sets and K = 2 and 100: reconstructions are blurred up to β = .003, clear from .005 to
.01, and generated rather than reconstructed at .1; γ = .1 corrects the class of some. It gives no numbers. Here each
cell has the MSE and the share of pictures that keep their class in the reconstruction. Two classifiers judge the class:
the run's own, which γ optimizes the decoder for, and an independent one that this recipe trains on the pictures first.
Only the second one measures the effect of γ. Its accuracy on the original pictures stands beside the grid.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from mien import figures
from mien.data import default_size
from mien.data.dataset import Dataset, spread
from mien.experiment import train
from mien.files import write_json
from mien.models.base import Model, build, json_config
from mien.recipes.ssavae.fig9 import BETAS, GAMMAS
from mien.run.data import Data
from mien.run.weights import load
from mien.training.logs import Bar
from mien.training.loop import Order, Settings, make_fabric
from mien.training.update import Update

FIRST = 0.999  # the share of step 1 in the base run: all updates except the last one
SHOWN = 10  # digits in the figure
JUDGED = 1000


def main(arguments: Sequence[str] | None = None) -> Path:
    """Run the experiment; return its folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist", help="a data set with classes (default mnist, as in the paper)")
    parser.add_argument("--root", help="folder of the data set's files; by default its folder in $MIEN_DATA")
    parser.add_argument("--size", type=int, help="pixels; by default the data set's own size")
    parser.add_argument("--judge-steps", type=int, default=600, help="updates of the independent judge (default 600)")
    parser.add_argument("--latent", type=int, default=2, help="K (default 2; the paper also has 100)")
    parser.add_argument("--first-steps", type=int, default=400, help="updates of step 1 (default 400)")
    parser.add_argument("--steps", type=int, default=300, help="updates of each decoder (default 300)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("fig9"), help="folder to write (default fig9)")
    options = parser.parse_args(arguments)
    out: Path = options.out
    console = Console()
    settings = {"latent": options.latent, "first": FIRST}
    named = Data(options.data, options.root, options.size or default_size(options.data))
    base, _ = train(
        "ssavae", named, out / "base", settings, steps=options.first_steps, seed=options.seed, console=console
    )
    judged_by, _ = train(
        "attribute_cnn", named, out / "judge", {}, steps=options.judge_steps, seed=options.seed + 1, console=console
    )
    judge = load(judged_by)
    dataset = named.open()
    splits = dataset.split(0)
    index = spread(splits.test, JUDGED)
    test = dataset.batch(index).x
    first = _one_of_each(dataset, splits.test)
    rows, cells = [dataset.batch(first).x], []
    with Bar(console, "decoders", len(BETAS) * len(GAMMAS)) as bar:
        for gamma in GAMMAS:
            for beta in BETAS:
                model = _decoder(base, dataset, splits.train, beta, gamma, options.steps, options.seed)
                rows.append(_reconstruct(model, rows[0]))
                cells.append({"beta": beta, "gamma": gamma, **_measure(model, judge, test)})
                bar(len(cells), f"beta {beta:g} gamma {gamma:g} class kept {cells[-1]['class_kept_by_judge']:.1%}")
    assert dataset.labels is not None
    accuracy = float((_classes(judge, test) == torch.from_numpy(dataset.labels[index])).float().mean())
    result = {"data": options.data, "n": len(test), "seed": options.seed, "steps": options.steps}
    write_json(out / "fig9.json", {**result, "judge_accuracy": accuracy, "cells": cells})
    sections = _section(rows, cells, options.latent, accuracy)
    figures.page(out / "index.html", f"SSAVAE, Fig. 9, K = {options.latent}", sections)
    console.print(f"open {out / 'index.html'}")
    return out


def _one_of_each(dataset: Dataset, index: np.ndarray) -> np.ndarray:
    """Return the first held-out position of each class, up to SHOWN."""
    assert dataset.labels is not None
    labels = dataset.labels[index]
    return np.array([index[np.flatnonzero(labels == c)[0]] for c in np.unique(labels)[:SHOWN]])


def _decoder(
    base: Path, dataset: Dataset, index: np.ndarray, beta: float, gamma: float, steps: int, seed: int
) -> Model:
    """Return the base run's model with a decoder and a discriminator trained by step 2."""
    config = {**json_config(load(base)), "beta": beta, "gamma": gamma, "first": 0.5}
    torch.manual_seed(seed)
    model = build("ssavae", config)
    weights = load(base).weights()
    # only the networks of step 1: the last update of the base run belongs to step 2 and changed its decoder
    kept = {k: v for k, v in weights.items() if k.startswith(("encoder.", "classifier."))}
    model.load_state_dict(kept, strict=False)
    model.to(memory_format=torch.channels_last)
    update = Update(model, make_fabric(Settings(steps=steps, device="cpu")))
    order = Order(index, seed)
    model.train()
    for step in range(steps):
        model.progress = 0.5 + 0.5 * step / steps
        update.set_lr(model.lr_factor(model.progress))
        torch.manual_seed(seed * 1_000_003 + step)
        model.training_step(dataset.batch(order.at(step * 64, 64)), update)
    return model.eval()


def _reconstruct(model: Model, x: Tensor) -> Tensor:
    with torch.inference_mode():
        x_rec: Tensor = model.decode(model.encode(x).mean)  # type: ignore[operator]
    return x_rec


def _classes(model: Model, x: Tensor) -> Tensor:
    """Return the likeliest class (B,) of pictures ``x`` (B, C, H, W)."""
    with torch.inference_mode():
        classes: Tensor = model.recognize(x).argmax(1)  # type: ignore[operator]
    return classes


def _measure(model: Model, judge: Model, x: Tensor) -> dict[str, float]:
    """Return the share of classes that the reconstruction keeps, by the model and by the judge, and its MSE."""
    x_rec = _reconstruct(model, x)
    kept = {
        name: float((_classes(by, x) == _classes(by, x_rec)).float().mean())
        for name, by in (("class_kept", model), ("class_kept_by_judge", judge))
    }
    return {**kept, "mse": float((x - x_rec).square().mean())}


def _section(rows: list[Tensor], cells: list[dict[str, float]], latent: int, accuracy: float) -> list[figures.Section]:
    """Return one sheet of all rows, the digits first, with a caption that says what each row is."""
    words = [
        f"β = {c['beta']:g}, γ = {c['gamma']:g}: class kept {c['class_kept_by_judge']:.1%} by the judge and "
        f"{c['class_kept']:.1%} by the run itself, MSE {c['mse']:.3f}"
        for c in cells
    ]
    text = "Held-out pictures in the first row; below, row by row: " + "; ".join(words)
    text += f". The judge names {accuracy:.1%} of the pictures themselves correctly."
    sheet = figures.sheet(torch.cat(rows).numpy(), columns=len(rows[0]), scale=2)
    return [figures.Section(f"Reconstructions, K = {latent}", "", figures.Captioned(sheet, text, text))]


if __name__ == "__main__":
    main()
