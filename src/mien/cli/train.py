"""The command train."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien import models
from mien.cli.app import app
from mien.cli.shared import DataName, DataOptions, Device, Root, Seed, Size, bars, make_console, make_data, wrote
from mien.evaluation.wording import SAMPLES, of_signals

if TYPE_CHECKING:
    from rich.console import Console

Name = Annotated[str, typer.Argument(help="A model: see mien models; or FILE.py:Class.", show_default=False)]
Steps = Annotated[
    int | None, typer.Option(help="Updates in all.  [default: as many as --epochs takes]", show_default=False)
]
Epochs = Annotated[
    float | None, typer.Option(help="Passes over the training pictures.  [default: the model's]", show_default=False)
]
ScheduleSteps = Annotated[
    int,
    typer.Option(
        help="Length that the learning-rate schedule and the stages are made for; later steps keep the last rate; "
        "0 takes the first --steps of the run.",
        min=0,
    ),
]
Batch = Annotated[int, typer.Option(help="Pictures in a step.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="A setting of the model, such as width=32.  [default: those of mien models MODEL]",
        show_default=False,
    ),
]
Share = Annotated[str, typer.Option(help="Train on part I of N disjoint parts of the training pictures.")]
SplitSeed = Annotated[int, typer.Option(help="Seed of the split into training and held-out pictures.", min=0)]
Count = Annotated[int, typer.Option(help="Train on at most this many pictures; 0 takes all.", min=0)]
Flip = Annotated[float, typer.Option(help="Share of the training pictures that are mirrored, such as 0.5.")]
Ema = Annotated[float, typer.Option(help="Decay of the average of weights that is saved; 0 saves the last weights.")]
Processes = Annotated[int, typer.Option(help="Processes on this machine; gradients are averaged.")]
Compile = Annotated[
    bool, typer.Option("--compile", help="Compile the networks first; for long trainings on a GPU.  [default: no]")
]
LogEvery = Annotated[int, typer.Option(help="Steps between log records.")]
PictureEvery = Annotated[int, typer.Option(help="Steps between sample sheets.")]
Folder = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="The run folder.  [default: runs/MODEL-DATA-SIZE]", show_default=False),
]
Profile = Annotated[
    bool, typer.Option("--profile", help="Trace a few steps and print where their time goes.  [default: no]")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print the plan and how long it takes; write nothing.  [default: no]")
]


@app.command(rich_help_panel="Train")
def train(
    model: Name,
    data: DataName = "avatars",
    root: Root = None,
    size: Size = None,
    steps: Steps = None,
    epochs: Epochs = None,
    schedule_steps: ScheduleSteps = 0,
    batch: Batch = 64,
    seed: Seed = 0,
    set_: Set = None,
    data_option: DataOptions = None,
    share: Share = "1/1",
    split_seed: SplitSeed = 0,
    count: Count = 0,
    flip: Flip = 0.0,
    precision: Annotated[str, typer.Option(help="fp32 or bf16.")] = "fp32",
    ema: Ema = 0.0,
    device: Device = "auto",
    processes: Processes = 1,
    compile_: Compile = False,
    log_every: LogEvery = 20,
    picture_every: PictureEvery = 200,
    out: Folder = None,
    profile: Profile = False,
    dry_run: DryRun = False,
) -> None:
    """Train a model into a run folder; the same command resumes it.

    Examples:
      mien train vae --data avatars --data-option count=2000 --size 32 --set width=16 --steps 200
      mien train attribute_cnn --data celeba --root ~/celeba --share 1/2 --out runs/cnn
      mien train vae --data celeba --root ~/celeba --root ~/more --data-option crop=148 --flip 0.5 --count 30000
      mien train vae_wgan --data celeba --root ~/celeba --set loss_network=runs/cnn --set width=32 --epochs 5
      mien train ./my_model.py:MyModel --data ./my_data.py:MyData --size 32
    """
    model = models.use(model)
    chosen = make_data(data, root, size, data_option, split_seed, share, count)
    from mien import experiment
    from mien.models.base import parse_settings

    settings = parse_settings(model, set_ or [])
    console = make_console()
    training = {"batch": batch, "seed": seed, "precision": precision, "flip": flip, "ema": ema, "device": device}
    training |= {"processes": processes, "compile": compile_, "log_every": log_every, "picture_every": picture_every}
    training |= {"schedule_steps": schedule_steps}
    signals = chosen.kind.unit == SAMPLES
    if dry_run:
        plan = experiment.dry_run(model, chosen, settings, steps, epochs, **training)
        _print_plan(console, plan, signals)
        return
    from mien.training.profile import Profile as Profiler

    with bars(console) as note:
        folder, outcome = experiment.train(
            model,
            chosen,
            out,
            settings,
            steps,
            epochs,
            console,
            lambda done, total: note(f"prepare {data}", done, total),
            [Profiler()] if profile else [],
            **training,
        )
    if _rank() == 0:
        _print_outcome(console, folder, outcome, "signals" if signals else "images")
        if outcome.signal:  # the first process speaks for all; what follows with && does not run on half a model
            raise typer.Exit(128 + outcome.signal)


def _rank() -> int:
    """Return the number of this process among those that train together."""
    names = ("RANK", "GLOBAL_RANK", "LOCAL_RANK")
    return int(next((os.environ[name] for name in names if name in os.environ), "0"))


def _print_outcome(console: Console, folder: Path, outcome: Any, items: str) -> None:
    if outcome.finished:
        rate = f" at {outcome.images_per_second:.0f} {items}/s" if outcome.images_per_second else " already"
        console.print(f"trained {outcome.steps} steps in {outcome.seconds:.0f} s{rate}", highlight=False)
    else:
        console.print(f"stopped after step {outcome.step} of {outcome.steps}; the same command resumes the training")
    wrote(console, folder)
    place = shlex.quote(str(folder))  # to be copied into a shell
    text = f"next: mien show {place}   mien evaluate {place}"
    console.print(text, style="dim", markup=False, highlight=False, soft_wrap=True)


def _print_plan(console: Console, plan: dict[str, Any], signals: bool) -> None:
    from rich.table import Table

    table = Table(title="dry run: nothing is written", show_header=False, title_justify="left")
    for key, value in plan.items():
        if isinstance(value, dict):
            value = "\n".join(f"{k} = {v:,}" if key == "parameters" else f"{k} = {v}" for k, v in value.items())
        label = key.replace("_", " ")
        table.add_row(of_signals(label).replace("images", "signals") if signals else label, str(value))
    console.print(table)
