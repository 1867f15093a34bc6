"""The command compare: several runs by the same measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.app import app
from mien.cli.measuring import Count, Judge, Metrics
from mien.cli.outputs import Force, place
from mien.cli.shared import Device, Root, Seed, bars, make_console, pick_device, run_folder, wrote
from mien.errors import MienError

if TYPE_CHECKING:
    from rich.console import Console


@app.command(rich_help_panel="Measure")
def compare(
    runs: Annotated[list[Path], typer.Argument(parser=run_folder, help="Two run folders or more.", show_default=False)],
    judge: Judge = None,
    count: Count = 2000,
    metric: Metrics = None,
    seed: Seed = 0,
    root: Root = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")] = Path("compared"),
    force: Force = False,
    device: Device = "auto",
) -> None:
    """Put runs side by side: the same measures, the same held-out pictures, one page.

    Runs that differ in their seed only share a row: the mean and the standard deviation. The table also has each
    model's parameters, operations and training speed.

    Examples:
      mien compare runs/vae runs/vae_wgan --judge runs/judge
      mien compare runs/a runs/b runs/c --metric reconstruction --out compared/
    """
    from mien.run.folder import check_abilities

    if len(runs) < 2:
        raise MienError(f"expected two runs or more to compare, got {len(runs)}")
    for run in runs:
        check_abilities(run, ())
    out = place(
        None if out == Path("compared") else out,
        "compared",
        force,
        lambda folder: [folder / "compare.json", folder / "index.html"],
    )
    from mien import figures
    from mien.evaluation import compare as comparing
    from mien.evaluation.summary import records
    from mien.evaluation.text import side_by_side
    from mien.run.opening import open_run

    console, torch_device = make_console(), pick_device(device)
    with bars(console) as note:
        opened = [open_run(run, torch_device, root) for run in runs]
        results, groups, page = comparing.compare(opened, out, judge, count, seed, note, metric or (), torch_device)
    if len(results) <= comparing.SIDE_BY_SIDE:
        _print_columns(console, side_by_side(results), f"{results[0].data.test:,} held-out pictures")
    rows, lower, higher = records(groups)
    table = figures.metric_table(rows, lower=lower, higher=higher)
    console.print(str(table), markup=False, highlight=False, soft_wrap=True)
    wrote(console, out / "compare.json")
    wrote(console, page)


def _print_columns(console: Console, rows: Sequence[Mapping[str, str]], title: str) -> None:
    """Print a row for each measure, with a column for each run."""
    from rich.table import Table

    table = Table(*rows[0], title=title, title_justify="left")
    for row in rows:
        table.add_row(*row.values())
    console.print(table)
