"""Commands that look and measure: evaluate, models, datasets, show, demo, report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mien import models as models_
from mien.cli.app import app
from mien.cli.shared import Device, Root, Run, Seed, bars, make_console, pick_device, wrote
from mien.errors import MienError

Judge = Annotated[
    Path | None, typer.Option(help="An attribute_cnn run, never the run's own loss network.", show_default=False)
]
Count = Annotated[int, typer.Option(help="Held-out pictures, and samples, at most.", min=16)]
Metrics = Annotated[
    list[str] | None,
    typer.Option(
        "--metric", help="This measure; repeat for several, or all.  [default: the usual]", show_default=False
    ),
]


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
    """Measure all a run's abilities allow on its held-out pictures: evaluation.json and a page, report.html.

    [bold]Examples[/]

      mien evaluate runs/faces --judge runs/judge

      mien evaluate runs/cnn

      mien evaluate runs/faces --metric identity --metric fid10k

      mien evaluate runs/faces --judge runs/judge --metric all
    """
    from mien.run.folder import check_abilities

    check_abilities(run, ())
    from mien import evaluation
    from mien.evaluation.page import write_page
    from mien.evaluation_text import tables
    from mien.files import sha256
    from mien.run.opening import open_run
    from mien.run.weights import load

    console = make_console()
    with bars(console) as note:
        opened = open_run(run, pick_device(device), str(root) if root else None)
        result = evaluation.evaluate(opened, judge, count, seed, note, metric or ())
    for table in tables(result):
        console.print(table)
    if more := [name for name in evaluation.asked(["all"]) if name not in result["measures"]]:
        console.print(f"[dim]not asked for: {', '.join(more)} (--metric NAME, or all)[/]")
    wrote(console, run / "evaluation.json")
    of_it = judge and sha256(judge / "weights.safetensors") == result.get("judge", {}).get("weights_sha256")
    wrote(console, write_page(opened, result, run / "report.html", load(judge) if judge and of_it else None))


@app.command(rich_help_panel="Measure")
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Two run folders or more.", show_default=False)],
    judge: Judge = None,
    count: Count = 2000,
    metric: Metrics = None,
    seed: Seed = 0,
    root: Root = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")] = Path("compared"),
    device: Device = "auto",
) -> None:
    """Put runs side by side: the same measures, the same held-out pictures, one page.

    [bold]Examples[/]

      mien compare runs/vae runs/vae_wgan --judge runs/judge

      mien compare runs/a runs/b runs/c --metric reconstruction --out compared/
    """
    from mien.run.folder import check_abilities

    if len(runs) < 2:
        raise MienError(f"expected two runs or more to compare, got {len(runs)}")
    for run in runs:
        check_abilities(run, ())
    from rich.table import Table

    from mien.evaluation import compare as comparing
    from mien.run.opening import open_run

    console, place = make_console(), pick_device(device)
    with bars(console) as note:
        opened = [open_run(run, place, str(root) if root else None) for run in runs]
        results, page = comparing.compare(opened, out, judge, count, seed, note, metric or ())
    rows = comparing.table(results)
    table = Table(*rows[0], title=f"{results[0]['data']['test']:,} held-out pictures", title_justify="left")
    for row in rows:
        table.add_row(*row.values())
    console.print(table)
    wrote(console, out / "compare.json")
    wrote(console, page)


@app.command(rich_help_panel="Look up")
def models(
    name: Annotated[str | None, typer.Argument(help="Show this model's settings.", show_default=False)] = None,
) -> None:
    """List the models with what they can do, or the settings of one.

    [bold]Examples[/]

      mien models

      mien models vae_wgan
    """
    from rich.table import Table

    if name is None:
        table = Table("model", "abilities", "what it is")
        for each in models_.names():
            table.add_row(each, " ".join(models_.abilities(each)), models_.describe(each).partition(":")[2].strip())
        make_console().print(table)
        return
    models_.check_name(name)
    from mien.models.base import arguments

    table = Table("--set", "type", "default", title=models_.describe(name), title_justify="left")
    for key, parameter in arguments(name).items():
        if key not in ("shape", "attributes", "classes"):
            kind = (
                getattr(parameter.annotation, "__name__", str(parameter.annotation))
                if "[" not in str(parameter.annotation)
                else str(parameter.annotation)
            )
            table.add_row(
                key,
                kind,
                "vgg19" if parameter.default is parameter.empty else str(parameter.default),
            )
    make_console().print(table)


@app.command(rich_help_panel="Look up")
def datasets() -> None:
    """List the data sets with their options.

    [bold]Example[/]

      mien datasets
    """
    from rich.table import Table

    from mien import data as datasets_

    table = Table("data set", "options (--data-set)", "what it is")
    for name in datasets_.names():
        options = ", ".join(f"{k}={v}" for k, v in datasets_.options(name).items())
        table.add_row(name, options, datasets_.describe(name).partition(":")[2].strip())
    make_console().print(table)


@app.command(rich_help_panel="Look up")
def show(run: Run) -> None:
    """Show what a run folder holds: model, data, progress, measures.

    [bold]Example[/]

      mien show runs/faces
    """

    for renderable in summary(run):
        make_console().print(renderable)


@app.command(rich_help_panel="Train")
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")] = Path("demo"),
    seed: Seed = 0,
) -> None:
    """Train a small VAE-WGAN on avatars and show all it can do, on one page, in a few minutes.

    [bold]Example[/]

      mien demo --out demo
    """
    from mien.recipes.demo import run as run_demo

    page = run_demo(out, seed, make_console())
    make_console().print(f"open {page}", highlight=False, soft_wrap=True)


@app.command(rich_help_panel="Measure")
def report(
    runs: Annotated[
        list[Path] | None, typer.Argument(help="Evaluated runs to store as a result first.", show_default=False)
    ] = None,
    store: Annotated[
        Path | None, typer.Option(help="The result file to write from the runs.", show_default=False)
    ] = None,
    title: Annotated[str, typer.Option(help="The result's title.")] = "",
    about: Annotated[str, typer.Option(help="What was compared, on what machine.")] = "",
    command: Annotated[
        list[str] | None, typer.Option(help="A command that made it; repeat for each.", show_default=False)
    ] = None,
) -> None:
    """Write the tables of the README and of docs/results.md from the models and the stored results.

    [bold]Examples[/]

      mien report

      mien report runs/a runs/b --store results/faces.json --title "a against b"
    """
    from mien import report as report_

    if runs:
        if store is None:
            raise MienError("expected --store FILE for the runs given, got none: such as --store results/faces.json")
        wrote(make_console(), report_.store(store, title or store.stem, about, command or [], runs))
    for path in report_.write():
        wrote(make_console(), path)


def summary(run: str | Path) -> list[Any]:
    """Return rich renderables that describe a run."""
    from rich.table import Table

    from mien.run.folder import progress, read_config, read_json

    run = Path(run)
    config, state = read_config(run), progress(run)
    data, training = config["data"], config["training"]
    table = Table(title=f"{run.name}: {config['model']}", show_header=False, title_justify="left")
    counts = ", ".join(f"{v:,} {k}" for k, v in data["counts"].items())
    table.add_row("data", f"{data['name']} at {data['size']} px, {counts} ({data['split']} split)")
    settings = {k: v for k, v in config["config"].items() if k not in ("shape", "attributes")}
    for key, value in settings.items():
        if isinstance(value, dict) and "sha256" in value:
            settings[key] = f"{value['source']} ({value['sha256'][:12]})"
    table.add_row("settings", "\n".join(f"{k} = {v}" for k, v in settings.items()))
    table.add_row(
        "training", ", ".join(f"{k} {v}" for k, v in training.items() if k in ("batch", "seed", "precision", "ema"))
    )
    if state:
        verdict = "finished" if state["finished"] else "unfinished: the same command resumes it"
        table.add_row("progress", f"step {state['step']:,} of {state['steps']:,}, {state['seconds']:.0f} s, {verdict}")
        for warning in state["warnings"][-5:]:
            table.add_row("warning", f"[bold red]{warning}")
    else:
        table.add_row("progress", "no checkpoint yet")
    shown: list[Any] = [table]
    result = read_json(run / "evaluation.json")
    if result:
        from mien.evaluation_text import tables

        shown += tables(result)
    return shown
