"""Commands that look around pictures: iterate, vary, neighbors, walk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.app import app
from mien.cli.outputs import picture_path
from mien.cli.shared import (
    Device,
    Out,
    Pictures,
    Root,
    Run,
    Seed,
    bars,
    held_out,
    load_model,
    make_console,
    pick_device,
    read_pictures,
    save_figure,
    shown,
)
from mien.errors import MienError, UnknownName
from mien.run.folder import check_abilities

if TYPE_CHECKING:
    from rich.console import Console

LINE = 10  # variations in a line of the figure; of more, half
CHECKED = 500  # pictures of either kind that are searched for copies


@app.command(rich_help_panel="Explore a run")
def iterate(
    run: Run,
    pictures: Pictures = None,
    rounds: Annotated[int, typer.Option(help="How often.", min=1, max=1000)] = 10,
    root: Root = None,
    out: Out = None,
    device: Device = "auto",
) -> None:
    """Encode and decode pictures again and again, and say whether they settle.

    [bold]Examples[/]

      mien iterate runs/faces

      mien iterate runs/faces me.jpg you.png --rounds 50 --out rounds.png
    """
    out = picture_path(out, "rounds.png")
    model = load_model(run, device, "Encodes", "Decodes")
    from rich.table import Table

    from mien.applications.iterate import iterate as feed
    from mien.figures import explore

    console = make_console()
    x = _pictures(run, model, pictures, 8, root)
    with bars(console) as note:
        fed = feed(model, x, rounds, lambda done, total: note("feeding back", done, total))
    table = Table(
        "round", "mean |change|", "lowest to highest", "mean |x − start|", title=_counted(x), title_justify="left"
    )
    away = (fed.pictures[:, 1:] - fed.pictures[:, :1]).abs().flatten(2).mean(2)  # (B, T)
    for t in range(rounds):
        if t < 10 or (t + 1) % 10 == 0 or t == rounds - 1:
            change = fed.change[:, t]
            spread = f"{change.min():.4f} to {change.max():.4f}"
            table.add_row(str(t + 1), f"{change.mean():.4f}", spread, f"{away[:, t].mean():.4f}")
    console.print(table)
    if rounds > 1:
        left = float(fed.change[:, -1].mean() / fed.change[:, 0].mean().clamp(min=1e-12))
        console.print(f"the last round changes {left:.1%} of what the first did", highlight=False)
    labels = [p.name for p in pictures] if pictures else ()
    figure = explore.rounds(shown(fed.pictures), change=fed.change.numpy(), labels=labels)
    save_figure(figure, out, console)


@app.command(rich_help_panel="Explore a run")
def vary(
    run: Run,
    pictures: Pictures = None,
    scales: Annotated[
        str, typer.Option(help="Scales of noise, with commas between; the prior's spread is 1.")
    ] = "0.25,0.5,1",
    n: Annotated[int, typer.Option("-n", "--n", help="Variations at each scale.", min=1, max=16)] = 8,
    seed: Seed = 0,
    root: Root = None,
    out: Out = None,
    device: Device = "auto",
) -> None:
    """Vary a design a little, more, and much; a column goes further and further in one direction.

    [bold]Examples[/]

      mien vary runs/cartoons sketch.png

      mien vary runs/cartoons sketch.png --scales 0.1,0.3,0.9,2 -n 10 --seed 1 --out ideas.png
    """
    parsed, out = _scales(scales), picture_path(out, "variations.png")
    model = load_model(run, device, "Encodes", "Decodes")
    from mien.applications.basics import reconstruct
    from mien.applications.variations import variations
    from mien.figures import explore

    console = make_console()
    x = _pictures(run, model, pictures, 1, root)
    with bars(console) as note:
        varied = variations(model, x, parsed, n, seed, lambda done, total: note("variations", done, total))
    x_rec = reconstruct(model, x).cpu()
    for s, scale in enumerate(parsed):
        moved = float((varied[:, s] - x_rec[:, None]).abs().mean())
        console.print(
            f"noise {scale:g}: mean |change| of a pixel {moved:.3f}, n = {len(x) * n}, seed {seed}", highlight=False
        )
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


@app.command(rich_help_panel="Explore a run")
def neighbors(
    run: Run,
    pictures: Pictures = None,
    k: Annotated[int, typer.Option("-k", help="How many of the nearest.", min=1, max=16)] = 8,
    generated: Annotated[
        bool, typer.Option("--generated", help="Of generated pictures instead of held-out ones.")
    ] = False,
    seed: Seed = 0,
    root: Root = None,
    out: Out = None,
    device: Device = "auto",
) -> None:
    """Find the training pictures nearest in latent space: what a picture resembles, and whether samples are copies.

    [bold]Examples[/]

      mien neighbors runs/faces me.jpg

      mien neighbors runs/faces --generated -k 5 --out copies.png
    """
    if generated and pictures:
        raise MienError("expected pictures or --generated, got both: choose one")
    out = picture_path(out, "neighbors.png")
    check_abilities(run, ["Encodes", "Generates"] if generated else ["Encodes"])
    from mien.applications.basics import encode_all
    from mien.applications.basics import generate as draw
    from mien.applications.neighbors import latents, nearest
    from mien.data.dataset import spread
    from mien.figures import explore
    from mien.run.opening import open_run

    console = make_console()
    opened = open_run(run, pick_device(device), str(root) if root else None)
    model: Any = opened.model
    if generated:
        x = draw(model, 6, seed)
    elif pictures:
        x = read_pictures(pictures, model.config["shape"])
    else:
        x = opened.dataset.batch(spread(opened.splits.test, 6)).x
    with bars(console) as note:
        z = encode_all(model, opened.dataset, opened.index, lambda done, total: note("encoding", done, total))
    k = min(k, len(z))
    found = nearest(latents(model, x), z, k)
    where = opened.index[found.index.numpy()]  # (Q, k)
    names = [p.name for p in pictures] if pictures else [""] * len(x)
    for name, row, off in zip(names, where, found.distance, strict=True):
        if name:
            console.print(f"{name}: {opened.dataset.keys[row[0]]} at {off[0]:.3f}", markup=False, highlight=False)
    _print_copies(console, opened, z, seed)
    near = opened.dataset.batch(where.ravel()).x.unflatten(0, where.shape)
    labels = names if pictures else ()
    figure = explore.neighbors(shown(x), shown(near), found.distance.numpy(), labels=labels)
    save_figure(figure, out, console)


def _print_copies(console: Console, opened: Any, z: Any, seed: int) -> None:
    """Print how far the nearest training picture is: of held-out pictures, and of generated ones."""
    from rich.table import Table

    from mien.abilities import Generates
    from mien.applications.basics import encode_all
    from mien.applications.basics import generate as draw
    from mien.applications.neighbors import latents, nearest
    from mien.data.dataset import spread

    model = opened.model
    asked = {"held-out": encode_all(model, opened.dataset, spread(opened.splits.test, CHECKED))}
    if isinstance(model, Generates):
        asked["generated"] = latents(model, draw(model, CHECKED, seed))
    title = f"distance to the nearest of {len(z):,} training pictures, in latent space"
    table = Table("pictures", "n", "median", "5 % to 95 %", "least", title=title, title_justify="left")
    for name, asking in asked.items():
        off = nearest(asking, z, 1).distance[:, 0]
        low, middle, high = off.quantile(off.new_tensor([0.05, 0.5, 0.95])).tolist()
        table.add_row(name, str(len(asking)), f"{middle:.3f}", f"{low:.3f} to {high:.3f}", f"{off.min():.3f}")
    console.print(table)


@app.command(rich_help_panel="Explore a run")
def walk(
    run: Run,
    pictures: Pictures = None,
    samples: Annotated[int, typer.Option(help="Walk through so many generated pictures instead.", min=0, max=64)] = 0,
    steps: Annotated[int, typer.Option(help="Pictures from one to the next, both included.", min=2, max=64)] = 6,
    path: Annotated[str, typer.Option(help="linear or slerp.")] = "linear",
    seed: Seed = 0,
    root: Root = None,
    out: Out = None,
    device: Device = "auto",
) -> None:
    """Walk one path through several pictures, given, held-out or generated.

    [bold]Examples[/]

      mien walk runs/faces me.jpg you.png them.png

      mien walk runs/faces --samples 5 --path slerp --steps 12 --out walk.png
    """
    if path not in ("linear", "slerp"):
        raise UnknownName("path", path, ["linear", "slerp"])
    if samples and pictures:
        raise MienError("expected pictures or --samples, got both: choose one")
    if (pictures and len(pictures) < 2) or samples == 1:
        raise MienError("expected two pictures or more to walk through, got one")
    out = picture_path(out, "walk.png")
    model = load_model(run, device, "Encodes", "Decodes", *(["Generates"] if samples else []))
    from mien.applications import interpolation
    from mien.figures import explore

    way = getattr(interpolation, path)
    if samples:
        walked = interpolation.between_samples(model, samples, steps, seed, way)
    else:
        walked = interpolation.chain(model, _pictures(run, model, pictures, 5, root), steps, way)
    save_figure(explore.walk(shown(walked), steps=steps), out, make_console())


def _pictures(run: Path, model: Any, pictures: list[Path] | None, n: int, root: Path | None) -> Any:
    """Return the pictures given, or n held-out ones of the run's data."""
    return read_pictures(pictures, model.config["shape"]) if pictures else held_out(run, n, root)


def _counted(x: Any) -> str:
    return f"{len(x)} {'pictures' if len(x) > 1 else 'picture'}"
