"""The command evaluate: every measure of one run."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Annotated

import typer

from mien.cli.app import app
from mien.cli.measuring import Count, Judge, Metrics
from mien.cli.outputs import Force, place
from mien.cli.shared import Device, Root, Run, Seed, bars, make_console, pick_device, wrote
from mien.errors import MienError

RESULT, PAGE = "evaluation.json", "report.html"
HOW = ("metric", "judge", "count", "seed", "root")  # results by these are kept beside each other


@app.command(rich_help_panel="Measure")
def evaluate(
    run: Run,
    judge: Judge = None,
    count: Count = 2000,
    metric: Metrics = None,
    seed: Seed = 0,
    root: Root = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The folder to write.  [default: the run folder]", show_default=False),
    ] = None,
    force: Force = False,
    device: Device = "auto",
) -> None:
    """Measure all that a run's abilities allow on its held-out pictures: evaluation.json and a page, report.html.

    Both are in the run folder, or in the folder --out, for a run that cannot be written.

    Examples:
      mien evaluate runs/faces --judge runs/judge
      mien evaluate runs/cnn
      mien evaluate runs/faces --metric identity --metric fid10k
      mien evaluate runs/faces --judge runs/judge --metric edit_directions
      mien evaluate runs/faces --judge runs/judge --metric all
      mien evaluate /shared/faces --out faces-measured
    """
    from mien.run.folder import check_abilities

    check_abilities(run, ())
    if out is not None and out.is_file():
        raise MienError(f"expected a folder for --out, got {out}, a file: such as --out measured")
    if out is not None and out.resolve() != run.resolve():
        place(out, "", force, lambda folder: [folder / RESULT, folder / PAGE], ignore=HOW)
    from mien import evaluation
    from mien.evaluation.page import write_page
    from mien.evaluation.text import tables
    from mien.files import sha256
    from mien.run.opening import open_run
    from mien.run.weights import load

    console = make_console()
    with bars(console) as note:
        opened = open_run(run, pick_device(device), root, results=out)
        if out is None:
            _check_place(opened.results)
        result = evaluation.evaluate(opened, judge, count, seed, note, metric or ())
    for table in tables(result):
        console.print(table)
    if more := [name for name in evaluation.choose(["all"]) if name not in result.measures]:
        console.print(f"[dim]not measured: {', '.join(more)} (--metric NAME, or all)[/]")
    wrote(console, opened.results / RESULT)
    same = judge and result.judge and sha256(judge / "weights.safetensors") == result.judge.weights_sha256
    wrote(console, write_page(opened, result, opened.results / PAGE, load(judge) if judge and same else None))


def _check_place(folder: Path) -> None:
    """Raise MienError before the measuring if the folder of the results cannot be written."""
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise MienError(
            f"expected a folder for the results that can be written, got neither the run folder nor {folder} in the "
            "cache: pass --out FOLDER"
        )
