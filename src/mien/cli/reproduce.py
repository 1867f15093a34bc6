"""The command reproduce: the experiments of the papers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.app import app
from mien.cli.shared import Device, Root, make_console, pick_device, wrote
from mien.errors import MienError

if TYPE_CHECKING:
    from rich.console import Console

Names = Annotated[
    list[str] | None,
    typer.Argument(help="Recipes, or a paper for all of its recipes; without one, all are listed.", show_default=False),
]
ScaleName = Annotated[str, typer.Option(help="smoke (seconds, packaged data), small (an hour) or paper.")]
Runs = Annotated[Path, typer.Option(help="The folder of the run folders, which recipes share.")]
Results = Annotated[Path, typer.Option("--out", "-o", help="The folder of the results.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print the plan and how long it takes; write nothing.  [default: no]")
]


@app.command(rich_help_panel="Measure")
def reproduce(
    names: Names = None,
    scale: ScaleName = "smoke",
    root: Root = None,
    runs: Runs = Path("runs") / "reproduce",
    out: Results = Path("results") / "recipes",
    device: Device = "auto",
    dry_run: DryRun = False,
) -> None:
    """Repeat experiments of the papers, and print their numbers beside the papers' own.

    It trains what is missing, measures, draws a figure and stores the result. After Ctrl-C, the same command continues.
    A recipe that measures pictures of a second data set takes its folder as --root NAME=FOLDER.

    Examples:
      mien reproduce
      mien reproduce vae_wgan/table1 --scale smoke
      mien reproduce vae_wgan/table1 --scale small --root ~/celeba --dry-run
      mien reproduce residual_gan/lfw --scale small --root ~/celeba --root lfw=~/lfw
    """
    from mien import recipes
    from mien.recipes.recipe import SCALES

    chosen, console = recipes.expand(names or []), make_console()
    if scale not in SCALES:
        raise MienError(f"expected --scale {', '.join(SCALES)}, got '{scale}': choose one of them")
    if not chosen:
        _list(console, out)
        return
    place, others = _folders(root or [])
    if dry_run:
        for name in chosen:
            _plan(console, name, scale, runs, place, others)
        return
    from mien.recipes.reproducing import reproduce as run_recipe

    for name in chosen:
        console.print(f"[bold]{name}[/] at scale {scale}: {recipes.get(name).title}", highlight=False)
        path = run_recipe(name, scale, runs, out, place, pick_device(device), console, others)
        _print(console, name, scale, out)
        wrote(console, path)
        wrote(console, path.with_suffix(".png"))


def _folders(roots: list[Path]) -> tuple[list[str] | None, dict[str, Any]]:
    """Return the folders of the training data, and those of further data sets: ``NAME=FOLDER``, by the name."""
    from mien import data

    own, others = list[str](), dict[str, Any]()
    for root in roots:
        name, sign, folder = str(root).partition("=")
        if sign and name in data.names() and not root.exists():
            others[name] = str(Path(folder).expanduser())
        else:
            own.append(str(root))
    return own or None, others


def _list(console: Console, folder: Path) -> None:
    """Print all recipes with their state at each scale."""
    from rich.table import Column, Table

    from mien import recipes
    from mien.recipes import store
    from mien.recipes.recipe import SCALES

    # a name is typed as it stands here, so it is never shortened
    name_column = Column("recipe", no_wrap=True, min_width=max(map(len, recipes.names())))
    table = Table(name_column, "experiment", *SCALES, title=f"results in {folder}", title_justify="left")
    for name in recipes.names():
        recipe = recipes.get(name)
        states = [store.state(recipe, store.read(name, scale, folder)) for scale in SCALES]
        table.add_row(name, recipe.title, *states)
    console.print(table)
    console.print("run one: mien reproduce NAME --scale smoke", style="dim", highlight=False)


def _plan(console: Console, name: str, scale: str, runs: Path, root: Any, others: dict[str, Any]) -> None:
    """Print the trainings of a recipe with their state and their time on this machine."""
    from rich.table import Table

    from mien import recipes
    from mien.recipes.planning import estimate, plan, unseen_of

    unseen_of(recipes.get(name), scale, others)  # refused before the estimates, which take time
    table = Table(
        "training", "seed", "model", "steps", "state", "minutes",
        title=f"dry run of {name} at scale {scale}: nothing is written", title_justify="left",
    )  # fmt: skip
    total, by_kind = 0.0, dict[str, dict[str, Any]]()
    for step in plan(recipes.get(name), scale, runs, root):
        if step.finished:
            table.add_row(step.run, str(step.seed), step.model, f"{step.done:,}", "done", "0")
            continue
        kind = repr((step.model, sorted(step.settings), step.steps, step.epochs, step.run))
        by_kind[kind] = by_kind.get(kind) or estimate(step)
        steps, minutes = by_kind[kind]["steps"], by_kind[kind]["minutes"]
        minutes *= 1 - step.done / max(steps, 1)
        total += minutes
        state = f"step {step.done:,}" if step.done else "to train"
        table.add_row(step.run, str(step.seed), step.model, f"{steps:,}", state, f"{minutes:.1f}")
    console.print(table)
    console.print(f"{total:.1f} minutes of training on this machine; measures come after it", highlight=False)


def _print(console: Console, name: str, scale: str, folder: Path) -> None:
    """Print a stored result: its numbers beside the paper's, and the verdicts."""
    from rich.table import Table

    from mien import recipes
    from mien.recipes import store

    recipe, stored = recipes.get(name), store.read(name, scale, folder)
    assert stored is not None, "the result was written before"
    data = stored.about["data"]
    title = f"{data['held_out']:,} held-out of {data['name']} at size {data['size']}, {data['training']:,} for training"
    table = Table(name, "paper", "here", title=title, title_justify="left")
    for row in store.lines(recipe, stored.result):
        table.add_row(*row)
    console.print(table)
    console.print(f"paper: {recipe.source}", style="dim", highlight=False)
    for claim, verdict in store.verdicts(recipe, stored.result):
        console.print(f"{verdict}: {claim}", highlight=False, markup=False)
