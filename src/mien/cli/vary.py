"""The command vary."""

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
    bars,
    load_model,
    make_console,
    pictures_or_held_out,
    save_figure,
    shown,
)
from mien.errors import MienError

LINE = 10  # variations in a line of the figure; more are drawn in two lines


@app.command(rich_help_panel="Explore a run")
def vary(
    run: Run,
    pictures: Pictures = None,
    scales: Annotated[
        str, typer.Option(help="Scales of noise, with commas between them; the prior's standard deviation is 1.")
    ] = "0.25,0.5,1",
    n: Annotated[int, typer.Option("-n", "--n", help="Variations at each scale.", min=1, max=16)] = 8,
    seed: Seed = 0,
    root: Root = None,
    out: Out = None,
    force: Force = False,
    device: Device = "auto",
) -> None:
    """Vary a picture by noise on its latent, at several scales; a column of the figure is one direction of noise.

    Examples:
      mien vary runs/cartoons sketch.png
      mien vary runs/cartoons sketch.png --scales 0.1,0.3,0.9,2 -n 10 --seed 1 --out ideas.png
    """
    parsed, out = _scales(scales), picture_path(out, "variations.png", force)
    model = load_model(run, device, "Encodes", "Decodes")
    from mien.applications.basics import reconstruct
    from mien.applications.variations import variations
    from mien.figures import explore

    console = make_console()
    x = pictures_or_held_out(run, model, pictures, 1, root)
    with bars(console) as note:
        varied = variations(model, x, parsed, n, seed, lambda done, total: note("variations", done, total))
    x_rec = reconstruct(model, x).cpu()
    for s, scale in enumerate(parsed):
        change = float((varied[:, s] - x_rec[:, None]).abs().mean())
        text = f"noise {scale:g}: mean |change| of a pixel {change:.3f}, n = {len(x) * n}, seed {seed}"
        console.print(text, highlight=False)
    figure = explore.variations(
        shown(x), shown(x_rec), shown(varied), scales=parsed, columns=n if n <= LINE else -(-n // 2)
    )
    save_figure(figure, out, console)


def _scales(text: str) -> list[float]:
    """Return --scales as numbers."""
    try:
        scales = [float(part) for part in text.split(",")]
    except ValueError:
        scales = []
    if not 1 <= len(scales) <= 10 or not all(0 <= scale < float("inf") for scale in scales):
        raise MienError(f"expected --scales as 1 to 10 numbers of 0 or more, got '{text}': such as --scales 0.25,0.5,1")
    return scales
