"""Commands that make things: train, data prepare."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien import models as models_
from mien.cli.app import app, data_app
from mien.cli.shared import (
    DataName,
    DataSettings,
    Device,
    Root,
    Seed,
    Size,
    bars,
    make_console,
    make_data,
    parse_data,
    wrote,
)

if TYPE_CHECKING:
    from rich.console import Console

# ------------------------------------------------------------------------------------------------------- commands

TRAIN_HELP = """Train a model into a run folder; the same command resumes it.

[bold]Examples[/]

  mien train vae --data avatars --size 32 --steps 500

  mien train attribute_cnn --data celeba --root ~/celeba --share 1/2 --out runs/cnn

  mien train vae_wgan --data celeba --root ~/celeba --set loss_network=runs/cnn --set width=32 --epochs 5
"""


@app.command(help=TRAIN_HELP, rich_help_panel="Train")
def train(
    model: Annotated[str, typer.Argument(help="A model: see [bold]mien models[/].", show_default=False)],
    data: DataName = "avatars",
    root: Root = None,
    size: Size = None,
    steps: Annotated[int | None, typer.Option(help="Updates in all.", show_default=False)] = None,
    epochs: Annotated[float | None, typer.Option(help="Passes over the training pictures.  [default: the model's]", show_default=False)] = None,
    batch: Annotated[int, typer.Option(help="Pictures in a step.")] = 64,
    seed: Seed = 0,
    set_: Annotated[list[str] | None, typer.Option("--set", help="A setting of the model, such as width=32.", show_default=False)] = None,
    data_set: DataSettings = None,
    share: Annotated[str, typer.Option(help="Train on part I of N disjoint parts of the training pictures.")] = "1/1",
    split_seed: Annotated[int, typer.Option(help="Seed of the split into training and held-out pictures.", min=0)] = 0,
    precision: Annotated[str, typer.Option(help="fp32 or bf16.")] = "fp32",
    ema: Annotated[float, typer.Option(help="Decay of the average of weights that is saved; 0 saves the last.")] = 0.0,
    device: Device = "auto",
    processes: Annotated[int, typer.Option(help="Processes on this machine; gradients are averaged.")] = 1,
    compile_: Annotated[bool, typer.Option("--compile", help="Compile the networks first; for long trainings on a GPU.")] = False,
    log_every: Annotated[int, typer.Option(help="Steps between log records.")] = 20,
    picture_every: Annotated[int, typer.Option(help="Steps between sample sheets.")] = 200,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The run folder.  [default: runs/MODEL-DATA-SIZE]", show_default=False)] = None,
    profile: Annotated[bool, typer.Option("--profile", help="Trace a few steps and say where their time goes.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done and how long it takes; write nothing.")] = False,
) -> None:  # fmt: skip
    """Train a model into a run folder; the terminal shows TRAIN_HELP, which has examples."""
    models_.check_name(model)
    chosen = make_data(data, root, size, data_set, split_seed, share)
    from mien import experiment
    from mien.models.base import parse_settings
    from mien.training.profile import Profile

    settings = parse_settings(model, set_ or [])
    console = make_console()
    training = {"batch": batch, "seed": seed, "precision": precision, "ema": ema, "device": device}
    training |= {"processes": processes, "compile": compile_, "log_every": log_every, "picture_every": picture_every}
    if dry_run:
        _print_plan(console, experiment.dry_run(model, chosen, settings, steps, epochs, **training))
        return
    with bars(console) as note:
        folder, outcome = experiment.train(
            model, chosen, out, settings, steps, epochs, console,
            lambda done, total: note(f"prepare {data}", done, total),
            [Profile()] if profile else [], **training,
        )  # fmt: skip
    if int(os.environ.get("RANK", os.environ.get("GLOBAL_RANK", os.environ.get("LOCAL_RANK", "0")))) != 0:
        return
    if not outcome.finished:
        console.print(f"stopped after step {outcome.step} of {outcome.steps}; the same command goes on from there")
    else:
        rate = f" at {outcome.images_per_second:.0f} images/s" if outcome.images_per_second else " already"
        console.print(f"trained {outcome.steps} steps in {outcome.seconds:.0f} s{rate}", highlight=False)
    wrote(console, folder)
    console.print(f"next: mien show {folder}   mien evaluate {folder}", style="dim", highlight=False, soft_wrap=True)


def _print_plan(console: Console, plan: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table(title="dry run: nothing is written", show_header=False, title_justify="left")
    for key, value in plan.items():
        if isinstance(value, dict):
            value = "\n".join(f"{k} = {v:,}" if key == "parameters" else f"{k} = {v}" for k, v in value.items())
        table.add_row(key.replace("_", " "), str(value))
    console.print(table)


@data_app.command("prepare")
def prepare(
    name: Annotated[str, typer.Argument(help="A data set: see [bold]mien datasets[/].", show_default=False)],
    root: Root = None,
    size: Size = None,
    data_set: DataSettings = None,
) -> None:
    """Decode, crop and scale every picture once; resumable.

    [bold]Examples[/]

      mien data prepare avatars --size 32 --data-set count=6000

      mien data prepare celeba --root ~/celeba --size 64

      mien data prepare folder --root ~/photos --data-set table=~/photos/attributes.csv
    """
    from mien import data as datasets_

    options = parse_data(name, data_set)
    console = make_console()
    with bars(console) as note:
        size = datasets_.default_size(name) if size is None else size
        dataset = datasets_.load(name, root, size, lambda done, total: note(f"prepare {name}", done, total), **options)
    report = dataset.report
    rejected = report.get("rejected", [])
    console.print(
        f"{len(dataset):,} pictures of {dataset.shape[1]}x{dataset.shape[2]}, {len(rejected)} rejected", highlight=False
    )
    for row in rejected[:20]:
        console.print(f"  {row['file']}: {row['reason']}", markup=False, highlight=False)
    if len(rejected) > 20:
        console.print(f"  … and {len(rejected) - 20} more in {dataset.folder / 'report.json'}", markup=False)
    wrote(console, dataset.folder)
