"""The command iterate."""

from __future__ import annotations

from typing import Annotated

import typer

from mien.cli.app import app
from mien.cli.outputs import Force, picture_path
from mien.cli.shared import (
    Device,
    Out,
    Pictures,
    Root,
    Run,
    bars,
    load_model,
    make_console,
    pictures_or_held_out,
    save_figure,
    shown,
)

N = 8  # held-out pictures


@app.command(rich_help_panel="Explore a run")
def iterate(
    run: Run,
    pictures: Pictures = None,
    rounds: Annotated[int, typer.Option(help="Number of rounds.", min=1, max=1000)] = 10,
    root: Root = None,
    out: Out = None,
    force: Force = False,
    device: Device = "auto",
) -> None:
    """Encode and decode pictures again and again, and measure whether they settle.

    Examples:
      mien iterate runs/faces
      mien iterate runs/faces me.jpg you.png --rounds 50 --out rounds.png
    """
    out = picture_path(out, "rounds.png", force)
    model = load_model(run, device, "Encodes", "Decodes")
    from rich.table import Table

    from mien.applications.iterate import iterate as feed_back
    from mien.figures import explore

    console = make_console()
    x = pictures_or_held_out(run, model, pictures, N, root)
    with bars(console) as note:
        result = feed_back(model, x, rounds, lambda done, total: note("feeding back", done, total))
    title = f"{len(x)} {'pictures' if len(x) > 1 else 'picture'}"
    columns = ("round", "mean |change|", "lowest to highest", "mean |x − start|")
    table = Table(*columns, title=title, title_justify="left")
    distance = (result.pictures[:, 1:] - result.pictures[:, :1]).abs().flatten(2).mean(2)  # (B, T)
    for t in range(rounds):
        if t < 10 or (t + 1) % 10 == 0 or t == rounds - 1:
            change = result.change[:, t]
            spread = f"{change.min():.4f} to {change.max():.4f}"
            table.add_row(str(t + 1), f"{change.mean():.4f}", spread, f"{distance[:, t].mean():.4f}")
    console.print(table)
    if rounds > 1:
        ratio = float(result.change[:, -1].mean() / result.change[:, 0].mean().clamp(min=1e-12))
        console.print(f"the last round changes {ratio:.1%} of what the first did", highlight=False)
    labels = [p.name for p in pictures] if pictures else ()
    figure = explore.rounds(shown(result.pictures), change=result.change.numpy(), labels=labels)
    save_figure(figure, out, console)
