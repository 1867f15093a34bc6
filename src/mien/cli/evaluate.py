"""The command evaluate: every measure of one run."""

from __future__ import annotations

from mien.cli.app import app
from mien.cli.measuring import Count, Judge, Metrics
from mien.cli.shared import Device, Root, Run, Seed, bars, make_console, pick_device, wrote


@app.command(rich_help_panel="Measure")
def evaluate(
    run: Run,
    judge: Judge = None,
    count: Count = 2000,
    metric: Metrics = None,
    seed: Seed = 0,
    root: Root = None,
    device: Device = "auto",
) -> None:
    """Measure all that a run's abilities allow on its held-out pictures: evaluation.json and a page, report.html.

    Examples:
      mien evaluate runs/faces --judge runs/judge
      mien evaluate runs/cnn
      mien evaluate runs/faces --metric identity --metric fid10k
      mien evaluate runs/faces --judge runs/judge --metric edit_directions
      mien evaluate runs/faces --judge runs/judge --metric all
    """
    from mien.run.folder import check_abilities

    check_abilities(run, ())
    from mien import evaluation
    from mien.evaluation.page import write_page
    from mien.evaluation.text import tables
    from mien.files import sha256
    from mien.run.opening import open_run
    from mien.run.weights import load

    console = make_console()
    with bars(console) as note:
        opened = open_run(run, pick_device(device), root)
        result = evaluation.evaluate(opened, judge, count, seed, note, metric or ())
    for table in tables(result):
        console.print(table)
    if more := [name for name in evaluation.choose(["all"]) if name not in result.measures]:
        console.print(f"[dim]not measured: {', '.join(more)} (--metric NAME, or all)[/]")
    wrote(console, opened.folder / "evaluation.json")
    same = judge and result.judge and sha256(judge / "weights.safetensors") == result.judge.weights_sha256
    wrote(console, write_page(opened, result, opened.folder / "report.html", load(judge) if judge and same else None))
