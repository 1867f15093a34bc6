"""The models of mien on one data set: one split, one budget, three seeds, and the table of `mien compare`.

    python benchmarks/compared.py avatars [--smoke] [--seeds 0 1 2] [--only dcgan wgan] [--device cpu|cuda] [--runs DIR]
    python benchmarks/compared.py celeba --root FOLDER [--root FOLDER] …

Each model has its own defaults and the same width, number of pictures and batch. A model that takes a loss network gets
one, and a model of one attribute gets Eyeglasses. The judge is an `attribute_cnn` that is trained here with another
seed; it never serves as the loss network. Run the same command again after an interruption: it goes on, and a model
that is finished is not trained again.

The result is results/compared/DATA.json, and --runs gets a page with pictures. Fourteen models with --steps 800 at
three seeds took 18 minutes on two cores, in two processes. The time of all 22 was not measured, and that of celeba was
not either; the editors and WGAN with penalty are the slowest.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

import mien
from mien.errors import MienError
from mien.evaluation import compare as comparing
from mien.evaluation import evaluate
from mien.experiment import check, train
from mien.files import write_json
from mien.run.data import Data
from mien.run.folder import read_config
from mien.run.opening import open_run

HERE = Path(__file__).resolve().parents[1]
ATTRIBUTE = "Eyeglasses"
LOSS, JUDGE = "loss_network", "judge"
SETS: dict[str, dict[str, Any]] = {
    "avatars": {"size": 32, "options": {"count": 5000}, "steps": 1500, "batch": 32, "judge": 400, "count": 500},
    "celeba": {"size": 64, "options": {"crop": 148}, "steps": 3000, "batch": 32, "judge": 2500, "count": 330},
}
# the settings of a model beside its width; all others are its defaults
MODELS: dict[str, dict[str, Any]] = {
    "vae": {},
    "dfc_vae": {"loss_network": LOSS},
    "vae_wgan": {"loss_network": LOSS},
    "iterative_gan": {},
    "selfexgan": {},
    "residual_gan": {"attribute": ATTRIBUTE},
    "dcgan": {},
    "wgan": {},
    "wgan_gp": {"penalty": 10.0},
    "ls_gan": {},
    "vae_gan": {},
    "cgan": {},
    "acgan": {},
    "bigan": {},
    "age": {},
    "ive_gan": {},
    "aae": {},
    "wae_mmd": {},
    "two_stage_vae": {},
    "cyclegan": {"attribute": ATTRIBUTE},
    "stargan": {},
    "attgan": {},
}
NAMES = {"wgan_gp": "wgan"}  # a row of the table that is another model's variant


def settings_of(name: str, width: int, loss: Path) -> dict[str, Any]:
    """Return the settings of a row of the table."""
    values = {key: str(loss) if value == LOSS else value for key, value in MODELS[name].items()}
    return {"width": width, **values}


def trained(name: str, data: Data, folder: Path, options: argparse.Namespace, **training: Any) -> Path:
    """Train a model, or go on with it; return its folder. A finished one stays, if its settings are these."""
    options.console.print(f"[bold]{folder.name}[/]", highlight=False)
    train(name, data, folder, console=options.console, device=options.device, **training)
    return folder


def main(arguments: Sequence[str] | None = None) -> None:
    """Train what is missing, measure, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=SETS)
    parser.add_argument("--root", action="append", help="the folder of the data; repeat it to join folders")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", choices=MODELS, default=list(MODELS), metavar="MODEL")
    parser.add_argument("--steps", type=int, help="updates of each model, in place of the data set's number")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the runs lie")
    parser.add_argument("--train-only", action="store_true", help="measure and write nothing yet")
    parser.add_argument("--smoke", action="store_true", help="two steps of each on few pictures; stores nothing")
    options = parser.parse_args(arguments)
    options.console = Console()
    chosen = dict(SETS[options.data]) | ({"steps": options.steps} if options.steps else {})
    if options.smoke:
        chosen |= {"size": 32, "options": {"count": 80}, "steps": 2, "batch": 8, "judge": 2, "count": 16}
        options.width, options.seeds = 4, options.seeds[:2]
    data = Data(options.data, options.root, chosen["size"], chosen["options"])
    # a folder for each budget: a longer training would go on with the schedule of a shorter one
    budget = f"{chosen['steps']}x{chosen['batch']}-width{options.width}"
    place = options.runs / f"compared-{options.data}-{budget}"
    loss = trained("attribute_cnn", data, place / LOSS, options, steps=chosen["judge"], batch=chosen["batch"], seed=8)
    judge = trained("attribute_cnn", data, place / JUDGE, options, steps=chosen["judge"], batch=chosen["batch"], seed=9)
    for name in options.only:
        check(NAMES.get(name, name), data, settings_of(name, options.width, loss), chosen["steps"])
    runs = []
    for seed in options.seeds:
        for name in options.only:
            folder = place / f"{name}-{seed}"
            settings = settings_of(name, options.width, loss)
            trained(NAMES.get(name, name), data, folder, options,
                    settings=settings, steps=chosen["steps"], batch=chosen["batch"], seed=seed)  # fmt: skip
            runs.append(folder)
            if not options.train_only:
                evaluate(open_run(folder, options.device, options.root), judge, chosen["count"])
    if options.train_only:
        return
    store(runs, judge, place, chosen, options)


def store(runs: Sequence[Path], judge: Path, place: Path, chosen: dict[str, Any], options: argparse.Namespace) -> None:
    """Compare the runs, and write the result."""
    opened = [open_run(run, options.device, options.root) for run in runs]
    evaluations, groups, page = comparing.compare(opened, place, judge, chosen["count"], device=options.device)
    options.console.print(f"wrote {page}", highlight=False)
    if options.smoke:
        return
    first = read_config(runs[0])
    path = HERE / "results" / "compared" / f"{options.data}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(
        path,
        {
            "title": f"All models on {options.data} at {chosen['size']} px",
            "command": _command(options),
            "mien": mien.__version__,
            "date": time.strftime("%Y-%m-%d"),
            "made_with": first["made_with"],
            "data": {key: first["data"][key] for key in ("name", "size", "options", "counts", "fingerprint")},
            "budget": {"steps": chosen["steps"], "batch": chosen["batch"], "width": options.width},
            "judge": evaluations[0].judge.to_json() if evaluations[0].judge else None,
            "held_out": evaluations[0].data.test,
            "seeds": options.seeds,
            "models": [group.to_json() for group in groups],
        },
    )
    options.console.print(f"wrote {path.relative_to(HERE)}", highlight=False)


def _command(options: argparse.Namespace) -> str:
    """Return the command of the result, without folders of this machine."""
    words = [options.data, *(["--root FOLDER"] * len(options.root or []))]
    words += [f"--seeds {' '.join(map(str, options.seeds))}"] if options.seeds != [0, 1, 2] else []
    words += [f"--steps {options.steps}"] if options.steps else []
    words += [f"--only {' '.join(options.only)}"] if options.only != list(MODELS) else []
    return " ".join(["python benchmarks/compared.py", *words])


if __name__ == "__main__":
    try:
        main()
    except MienError as error:
        sys.exit(f"error: {error}")
