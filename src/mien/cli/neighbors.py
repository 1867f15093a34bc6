"""The command neighbors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

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
    make_console,
    pick_device,
    save_figure,
    shown,
)
from mien.errors import MienError

if TYPE_CHECKING:
    from rich.console import Console

CHECKED = 500  # held-out pictures, and generated ones, that are searched for copies
N = 6  # pictures without files


@app.command(rich_help_panel="Explore a run")
def neighbors(
    run: Run,
    pictures: Pictures = None,
    k: Annotated[int, typer.Option("-k", help="Number of neighbors.", min=1, max=16)] = 8,
    generated: Annotated[bool, typer.Option("--generated", help="Search for generated pictures instead.")] = False,
    seed: Seed = 0,
    root: Root = None,
    out: Out = None,
    force: Force = False,
    device: Device = "auto",
) -> None:
    """Find the training pictures nearest in latent space, and check whether generated pictures are copies of them.

    Examples:
      mien neighbors runs/faces me.jpg
      mien neighbors runs/faces --generated -k 5 --out copies.png
    """
    if generated and pictures:
        raise MienError("expected pictures or --generated, got both: choose one")
    out = picture_path(out, "neighbors.png", force)
    from mien.run.folder import check_abilities

    check_abilities(run, ["Encodes", "Generates"] if generated else ["Encodes"])
    from mien.applications.basics import encode_all
    from mien.applications.basics import generate as draw
    from mien.applications.neighbors import latents, nearest
    from mien.data.dataset import spread
    from mien.data.reading import read_pictures
    from mien.figures import explore
    from mien.run.opening import open_run

    console = make_console()
    opened = open_run(run, pick_device(device), root)
    model: Any = opened.model
    if generated:
        x = draw(model, N, seed)
    elif pictures:
        x = read_pictures(pictures, model)
    else:
        x = opened.dataset.batch(spread(opened.splits.test, N)).x
    with bars(console) as note:
        z = encode_all(model, opened.dataset, opened.index, lambda done, total: note("encoding", done, total))
    k = min(k, len(z))
    result = nearest(latents(model, x), z, k)
    index = opened.index[result.index.numpy()]  # (Q, k)
    names = [p.name for p in pictures] if pictures else [""] * len(x)
    for name, row, distance in zip(names, index, result.distance, strict=True):
        if name:
            console.print(f"{name}: {opened.dataset.keys[row[0]]} at {distance[0]:.3f}", markup=False, highlight=False)
    _print_copies(console, opened, z, seed)
    near = opened.dataset.batch(index.ravel()).x
    near = near.view(*index.shape, *near.shape[1:])  # (Q, k, C, H, W)
    labels = names if pictures else ()
    figure = explore.neighbors(shown(x), shown(near), result.distance.numpy(), labels=labels)
    save_figure(figure, out, console)


def _print_copies(console: Console, opened: Any, z: Any, seed: int) -> None:
    """Print the distance to the nearest training picture, for held-out pictures and for generated ones."""
    from rich.table import Table

    from mien.abilities import Generates, can
    from mien.applications.basics import encode_all
    from mien.applications.basics import generate as draw
    from mien.applications.neighbors import latents, nearest
    from mien.data.dataset import spread

    model = opened.model
    queries = {"held-out": encode_all(model, opened.dataset, spread(opened.splits.test, CHECKED))}
    if can(model, Generates):
        queries["generated"] = latents(model, draw(model, CHECKED, seed))
    title = f"distance to the nearest of {len(z):,} training pictures, in latent space"
    table = Table("pictures", "n", "median", "5 % to 95 %", "least", title=title, title_justify="left")
    for name, latent in queries.items():
        distance = nearest(latent, z, 1).distance[:, 0]
        low, middle, high = distance.quantile(distance.new_tensor([0.05, 0.5, 0.95])).tolist()
        spread_ = f"{low:.3f} to {high:.3f}"
        table.add_row(name, str(len(latent)), f"{middle:.3f}", spread_, f"{distance.min():.3f}")
    console.print(table)
