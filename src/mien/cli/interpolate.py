"""The command interpolate."""

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
    Seed,
    held_out,
    load_model,
    make_console,
    save_figure,
    shown,
)
from mien.errors import MienError, UnknownName

PATHS = ("linear", "slerp")
N = 8  # held-out pictures, which make four pairs


@app.command(rich_help_panel="Use a run")
def interpolate(
    run: Run,
    pictures: Pictures = None,
    samples: Annotated[int, typer.Option(help="Number of generated pictures to use instead.", min=0, max=64)] = 0,
    steps: Annotated[int, typer.Option(help="Pictures on each path, ends included.", min=2, max=64)] = 11,
    path: Annotated[str, typer.Option(help="linear or slerp.")] = "linear",
    seed: Seed = 0,
    root: Root = None,
    out: Out = None,
    force: Force = False,
    device: Device = "auto",
) -> None:
    """Interpolate in latent space from each picture to the next: given pictures, generated or held-out ones.

    Each path is a row of the figure. Held-out pictures are taken in pairs.

    Examples:
      mien interpolate runs/faces me.jpg you.png them.png
      mien interpolate runs/faces --path slerp --steps 15 --out paths.png
      mien interpolate runs/faces --samples 5 --seed 1
    """
    out = picture_path(out, "interpolation.png", force)
    if path not in PATHS:
        raise UnknownName("path", path, PATHS)
    if samples and pictures:
        raise MienError("expected pictures or --samples, got both: choose one")
    if (pictures and len(pictures) < 2) or samples == 1:
        raise MienError("expected two pictures or more to interpolate between, got one: add another")
    model = load_model(run, device, "Encodes", "Decodes", *(["Generates"] if samples else []))
    from mien import figures
    from mien.applications import basics, interpolation
    from mien.data.reading import read_pictures

    if pictures or samples:
        x = read_pictures(pictures, model) if pictures else basics.generate(model, samples, seed)
        starts, ends = x[:-1], x[1:]
    else:
        x = held_out(run, N, root)
        starts, ends = x[0::2], x[1::2]
    rows = interpolation.interpolate(model, starts, ends, steps, getattr(interpolation, path))
    figure = figures.interpolation(shown(rows), ends=(shown(starts), shown(ends)))
    save_figure(figure, out, make_console())
