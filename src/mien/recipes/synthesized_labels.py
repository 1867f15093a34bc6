"""Does labeled data made by a model train a classifier? (SelfExGAN, Liu 2018, §4.2.1, Fig. 4.10)

    python -m mien.recipes.synthesized_labels runs/selfexgan-mnist --labeled 20 --per-class 200 --out synthesized-labels

The thesis shows pictures made of E(x) + noise and trains nothing on them. Here the same small classifier
(``attribute_cnn``, one column a class, its class the likeliest) learns for the same number of steps from

    few           a few real pictures of each class (``--labeled``)
    synthesized   many made of those few (``--per-class``)
    both          the few and the many
    many          as many real ones, which is what more labels would have given

all written as folder data sets, and is judged on held-out real pictures; a fifth of each folder is kept for validation
and test by its own split. Each seed draws other pictures, other noise and another classifier. The run itself has seen
all training pictures of its set, SSAVAE also their labels. ``label kept`` is the share of synthesized pictures that the
classifier of ``many`` gives the label they carry; ``gain`` is ``both`` minus ``few``, seed by seed. ``--noise 0`` is the
control: pictures encoded and decoded again, with nothing varied.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from mien.applications import synthesize as made
from mien.applications.basics import batches, latent_size, map_batches
from mien.data.dataset import Dataset, spread
from mien.errors import MienError
from mien.experiment import train
from mien.files import sha256, write_atomically, write_json
from mien.models.base import Model
from mien.run.data import Data
from mien.run.opening import open_run
from mien.run.weights import load
from mien.training.logs import Bar

KINDS = ("few", "synthesized", "both", "many")
JUDGED = 2000  # held-out pictures
BATCH = 64


def main(arguments: Sequence[str] | None = None) -> Path:
    """Run the experiment; return its folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run of a model that encodes and decodes, on a set with classes")
    parser.add_argument("--root", help="where the run's data lie, if they have moved")
    parser.add_argument("--labeled", type=int, default=20, help="real pictures of each class (default 20)")
    parser.add_argument("--per-class", type=int, default=200, help="synthesized pictures of each class (default 200)")
    parser.add_argument("--noise", type=float, default=made.NOISE, help=f"on the latent (default {made.NOISE})")
    parser.add_argument("--steps", type=int, default=300, help="updates of each classifier (default 300)")
    parser.add_argument("--seeds", type=int, default=3, help="how many (default 3)")
    parser.add_argument("--out", type=Path, default=Path("synthesized-labels"), help="folder to write")
    asked = parser.parse_args(arguments)
    opened = open_run(asked.run, root=asked.root)
    if not opened.dataset.classes:
        raise MienError(f"expected a run on a set with classes, got one on {opened.dataset.name}: use mnist, say")
    console, rows = Console(), []
    with Bar(console, "classifiers", asked.seeds * len(KINDS)) as bar:
        for seed in range(asked.seeds):
            folders = _folders(opened, asked, seed)
            row = {}
            for kind, folder in folders.items():
                model = _classifier(folder, opened.data.size, asked.out / f"{seed}-{kind}-cnn", asked.steps, seed)
                row[kind] = _accuracy(model, opened.dataset, spread(opened.splits.test, JUDGED))
                bar(seed * len(KINDS) + len(row), f"{kind} {row[kind]:.1%}")
            rows.append(row | {"label_kept": _label_kept(model, folders["synthesized"], opened)})
    result = _result(opened, asked, rows)
    write_json(asked.out / "synthesized_labels.json", result)
    console.print(_table(result))
    return asked.out


def _folders(opened: Any, asked: argparse.Namespace, seed: int) -> dict[str, Path]:
    """Return the four folder data sets of a seed, written if they are not there."""
    few = made.plan(opened.dataset, opened.index, asked.labeled, seed)
    many = made.plan(opened.dataset, opened.index, asked.per_class, seed)
    # of the few that are labeled, and no others
    fakes = made.plan(opened.dataset, opened.index, asked.per_class, seed, asked.labeled)
    latent = latent_size(opened.model)
    about = {"weights_sha256": sha256(asked.run / "weights.safetensors"), "noise": asked.noise, "seed": seed}
    folders = {kind: asked.out / f"{seed}-{kind}" for kind in KINDS}
    real = {"pictures": "real", "seed": seed}
    made.synthesize(made.unchanged, latent, opened.dataset, few, folders["few"], real | {"per_class": asked.labeled})
    made.synthesize(
        made.unchanged, latent, opened.dataset, many, folders["many"], real | {"per_class": asked.per_class}
    )
    made.synthesize(
        made.noisy(opened.model, asked.noise), latent, opened.dataset, fakes, folders["synthesized"],
        about | {"labeled": asked.labeled, "per_class": asked.per_class},
    )  # fmt: skip
    _merge([folders["few"], folders["synthesized"]], folders["both"])
    return folders


def _merge(parts: list[Path], out: Path) -> None:
    """Write a folder data set of all pictures of several, unless it is there."""
    if (out / made.TABLE).exists():  # written last
        return
    shutil.rmtree(out, ignore_errors=True)
    rows: list[list[str]] = []
    for part in parts:
        tables = shutil.ignore_patterns(made.TABLE, made.CLASS_NAMES, made.PROVENANCE)
        shutil.copytree(part, out / part.name, ignore=tables)
        with (part / made.TABLE).open(encoding="utf-8", newline="") as file:
            header, *listed = csv.reader(file)
        rows += [[f"{part.name}/{name}", *values] for name, *values in listed]

    def write(path: Path) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([header, *rows])

    write_atomically(out / made.TABLE, write)


def _classifier(folder: Path, size: int, out: Path, steps: int, seed: int) -> Model:
    """Return a small classifier trained on a folder data set."""
    data = Data("folder", str(folder), size, split_seed=seed)
    path, _ = train("attribute_cnn", data, out, steps=steps, batch=BATCH, seed=seed, device="cpu")
    return load(path)


def _classes(model: Any, x: Tensor, names: tuple[str, ...]) -> np.ndarray:
    """Return the likeliest of the classes, by number, of pictures (B, C, H, W)."""
    columns = [model.attributes.index(name) for name in names]
    # a folder data set is always one of color
    seen = x.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
    return map_batches(model.recognize, seen)[:, columns].argmax(1).numpy()


def _accuracy(model: Model, dataset: Dataset, index: np.ndarray) -> float:
    """Return the share of real pictures whose class is named rightly."""
    assert dataset.labels is not None
    said = [_classes(model, batch.x, dataset.classes) for batch in batches(dataset, index, torch.device("cpu"))]
    return float((np.concatenate(said) == dataset.labels[index]).mean())


def _label_kept(model: Model, folder: Path, opened: Any) -> float:
    """Return the share of the pictures of a folder data set that a classifier gives the label they carry."""
    dataset = Data("folder", str(folder), opened.data.size).open()
    columns = [dataset.attributes.index(name) for name in opened.dataset.classes]
    everything = np.arange(len(dataset))
    said = [_classes(model, b.x, opened.dataset.classes) for b in batches(dataset, everything, torch.device("cpu"))]
    return float((np.concatenate(said) == np.asarray(dataset.attribute_table)[:, columns].argmax(1)).mean())


def _result(opened: Any, asked: argparse.Namespace, rows: list[dict[str, float]]) -> dict[str, Any]:
    """Return settings and accuracies, with mean and standard deviation over the seeds, as JSON can hold them."""
    values = {key: np.array([row[key] for row in rows]) for key in rows[0]}
    about = {key: getattr(asked, key) for key in ("labeled", "per_class", "noise", "steps", "seeds")}
    words = " ".join(f"--{key.replace('_', '-')} {value:g}" for key, value in about.items())
    return {
        "command": f"python -m mien.recipes.synthesized_labels runs/{asked.run.resolve().name} {words}",
        "model": opened.model.name,
        "run": asked.run.resolve().name,
        "weights_sha256": sha256(asked.run / "weights.safetensors"),
        "data": opened.dataset.name,
        "size": opened.data.size,
        "n_test": min(JUDGED, len(opened.splits.test)),
        **about,
        "accuracy": {key: _spread(v) for key, v in values.items()},
        "gain": _spread(values["both"] - values["few"]),
    }


def _spread(values: np.ndarray) -> dict[str, Any]:
    """Return mean, standard deviation (None of one) and all values (S,) of the seeds."""
    sd = float(values.std(ddof=1)) if len(values) > 1 else None
    return {"mean": float(values.mean()), "sd": sd, "each": values.tolist()}


def _table(result: dict[str, Any]) -> Table:
    seeds = f"mean ± sd of {result['seeds']} seeds" if result["seeds"] > 1 else "one seed, so no spread"
    title = (
        f"classifiers of {result['data']} trained on pictures of {result['model']}: accuracy on {result['n_test']:,} "
        f"held-out real pictures, {seeds}, {result['steps']} steps each"
    )
    table = Table("trained on", "pictures a class", "accuracy", title=title, title_justify="left")
    few, many = result["labeled"], result["per_class"]
    counts = {"few": f"{few}", "synthesized": f"{many}", "both": f"{few} + {many}", "many": f"{many}", "label_kept": ""}
    for key, scores in result["accuracy"].items():
        spread_ = "" if scores["sd"] is None else f" ± {scores['sd']:.1%}"
        table.add_row(key.replace("_", " "), counts[key], f"{scores['mean']:.1%}{spread_}")
    gain = result["gain"]
    spread_ = "" if gain["sd"] is None else f" ± {100 * gain['sd']:.1f}"
    table.add_row("both minus few", "paired by seed", f"{100 * gain['mean']:+.1f}{spread_} points")
    return table


if __name__ == "__main__":
    main()
