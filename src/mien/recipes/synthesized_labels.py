"""Does labeled data made by a model train a classifier? (SelfExGAN, Liu 2018, §4.2.1, Fig. 4.10)

    python -m mien.recipes.synthesized_labels runs/selfexgan-mnist --labeled 20 --per-class 200 --out synthesized-labels

The thesis shows pictures decoded from E(x) + noise, but trains nothing on them. Here the same small classifier
(``attribute_cnn`` with one column for each class; it predicts the most probable one) is trained for the same number
of steps on

    few           a few real pictures of each class (``--labeled``)
    synthesized   many synthesized from those few (``--per-class``)
    both          the few and the many
    many          the same number of real pictures, as if there were more labels

Each is written as a folder data set, and the classifier is tested on held-out real pictures. The split of each folder
reserves a fifth of it for validation and test. Each seed draws other pictures, other noise and another classifier. The
run was trained on all training pictures of its data set; SSAVAE also used their labels. ``label kept`` is the share of
synthesized pictures for which the classifier of ``many`` predicts the label of their source. ``gain`` is ``both`` minus
``few`` for each seed. ``--noise 0`` is the control: the pictures are encoded and decoded without variation.

The results are stored in `results/synthesized_labels/`, one file for each run, number of labels and noise, with the
command; `docs/results.md` shows them.
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

from mien.applications import synthesize as synthesis
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
    parser.add_argument("run", type=Path, help="a run of a model that encodes and decodes, on a data set with classes")
    parser.add_argument("--root", help="the folder of the run's data, if it has moved")
    parser.add_argument("--labeled", type=int, default=20, help="real pictures of each class (default 20)")
    parser.add_argument("--per-class", type=int, default=200, help="synthesized pictures of each class (default 200)")
    parser.add_argument(
        "--noise", type=float, default=synthesis.NOISE, help=f"added to the latent (default {synthesis.NOISE})"
    )
    parser.add_argument("--steps", type=int, default=300, help="updates of each classifier (default 300)")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds (default 3)")
    parser.add_argument("--out", type=Path, default=Path("synthesized-labels"), help="folder to write")
    options = parser.parse_args(arguments)
    out: Path = options.out
    opened = open_run(options.run, root=options.root)
    if not opened.dataset.classes:
        raise MienError(f"expected a run on a set with classes, got one on {opened.dataset.name}: use mnist, say")
    console, rows = Console(), []
    with Bar(console, "classifiers", options.seeds * len(KINDS)) as bar:
        for seed in range(options.seeds):
            folders = _folders(opened, options, seed)
            row = {}
            for kind, folder in folders.items():
                model = _classifier(folder, opened.data.size, options.out / f"{seed}-{kind}-cnn", options.steps, seed)
                row[kind] = _accuracy(model, opened.dataset, spread(opened.splits.test, JUDGED))
                bar(seed * len(KINDS) + len(row), f"{kind} {row[kind]:.1%}")
            rows.append(row | {"label_kept": _label_kept(model, folders["synthesized"], opened)})
    result = _result(opened, options, rows)
    write_json(options.out / "synthesized_labels.json", result)
    console.print(_table(result))
    return out


def _folders(opened: Any, options: argparse.Namespace, seed: int) -> dict[str, Path]:
    """Return the four folder data sets of a seed; missing ones are written."""
    few = synthesis.plan(opened.dataset, opened.index, options.labeled, seed)
    many = synthesis.plan(opened.dataset, opened.index, options.per_class, seed)
    # only from the few labeled pictures
    fakes = synthesis.plan(opened.dataset, opened.index, options.per_class, seed, options.labeled)
    latent = latent_size(opened.model)
    about = {"weights_sha256": sha256(options.run / "weights.safetensors"), "noise": options.noise, "seed": seed}
    folders = {kind: options.out / f"{seed}-{kind}" for kind in KINDS}
    real = {"pictures": "real", "seed": seed}
    synthesis.synthesize(
        synthesis.unchanged, latent, opened.dataset, few, folders["few"], real | {"per_class": options.labeled}
    )
    synthesis.synthesize(
        synthesis.unchanged, latent, opened.dataset, many, folders["many"], real | {"per_class": options.per_class}
    )
    synthesis.synthesize(
        synthesis.noisy(opened.model, options.noise), latent, opened.dataset, fakes, folders["synthesized"],
        about | {"labeled": options.labeled, "per_class": options.per_class},
    )  # fmt: skip
    _merge([folders["few"], folders["synthesized"]], folders["both"])
    return folders


def _merge(parts: list[Path], out: Path) -> None:
    """Write a folder data set with all pictures of several, unless it exists."""
    if (out / synthesis.TABLE).exists():  # written last
        return
    shutil.rmtree(out, ignore_errors=True)
    rows: list[list[str]] = []
    for part in parts:
        tables = shutil.ignore_patterns(synthesis.TABLE, synthesis.CLASS_NAMES, synthesis.PROVENANCE)
        shutil.copytree(part, out / part.name, ignore=tables)
        with (part / synthesis.TABLE).open(encoding="utf-8", newline="") as file:
            header, *lines = csv.reader(file)
        rows += [[f"{part.name}/{name}", *values] for name, *values in lines]

    def write(path: Path) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([header, *rows])

    write_atomically(out / synthesis.TABLE, write)


def _classifier(folder: Path, size: int, out: Path, steps: int, seed: int) -> Model:
    """Return a small classifier trained on a folder data set."""
    data = Data("folder", str(folder), size, split_seed=seed)
    path, _ = train("attribute_cnn", data, out, steps=steps, batch=BATCH, seed=seed, device="cpu")
    return load(path)


def _classes(model: Any, x: Tensor, names: tuple[str, ...]) -> np.ndarray:
    """Return the number of the most probable class of pictures (B, C, H, W)."""
    columns = [model.attributes.index(name) for name in names]
    # pictures of a folder data set always have three channels
    color = x.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
    return map_batches(model.recognize, color)[:, columns].argmax(1).numpy()


def _accuracy(model: Model, dataset: Dataset, index: np.ndarray) -> float:
    """Return the share of real pictures with the correct class."""
    assert dataset.labels is not None
    predicted = [_classes(model, batch.x, dataset.classes) for batch in batches(dataset, index, torch.device("cpu"))]
    return float((np.concatenate(predicted) == dataset.labels[index]).mean())


def _label_kept(model: Model, folder: Path, opened: Any) -> float:
    """Return the share of pictures of a folder data set for which a classifier predicts their label."""
    dataset = Data("folder", str(folder), opened.data.size).open()
    columns = [dataset.attributes.index(name) for name in opened.dataset.classes]
    everything = np.arange(len(dataset))
    predicted = [
        _classes(model, b.x, opened.dataset.classes) for b in batches(dataset, everything, torch.device("cpu"))
    ]
    return float((np.concatenate(predicted) == np.asarray(dataset.attribute_table)[:, columns].argmax(1)).mean())


def _result(opened: Any, options: argparse.Namespace, rows: list[dict[str, float]]) -> dict[str, Any]:
    """Return settings and accuracies, with mean and standard deviation over the seeds, as values for JSON."""
    values = {key: np.array([row[key] for row in rows]) for key in rows[0]}
    about = {key: getattr(options, key) for key in ("labeled", "per_class", "noise", "steps", "seeds")}
    words = " ".join(f"--{key.replace('_', '-')} {value:g}" for key, value in about.items())
    return {
        "command": f"python -m mien.recipes.synthesized_labels runs/{options.run.resolve().name} {words}",
        "model": opened.model.name,
        "run": options.run.resolve().name,
        "weights_sha256": sha256(options.run / "weights.safetensors"),
        "data": opened.dataset.name,
        "size": opened.data.size,
        "n_test": min(JUDGED, len(opened.splits.test)),
        **about,
        "accuracy": {key: _spread(v) for key, v in values.items()},
        "gain": _spread(values["both"] - values["few"]),
    }


def _spread(values: np.ndarray) -> dict[str, Any]:
    """Return mean, standard deviation (None for one seed) and all values (S,) of the seeds."""
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
