"""Commands that look around pictures: iterate, vary, neighbours, walk, synthesize."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.app import app
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
    wrote,
)
from mien.cli.similarity import Noise
from mien.errors import MienError, UnknownName
from mien.runs_light import check_abilities

if TYPE_CHECKING:
    from rich.console import Console

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
    left = float(fed.change[:, -1].mean() / fed.change[:, 0].mean().clamp(min=1e-12))
    console.print(f"the last round changes {left:.1%} of what the first did", highlight=False)
    labels = [p.name for p in pictures] if pictures else ()
    figure = explore.rounds(shown(fed.pictures), change=fed.change.numpy(), labels=labels)
    save_figure(figure, out or Path("rounds.png"), console)


@app.command(rich_help_panel="Explore a run")
def synthesize(
    run: Run,
    per_class: Annotated[
        int, typer.Option(help="Pictures of each class; in all where there are no classes.", min=1)
    ] = 100,
    noise: Noise = 0.5,
    labelled: Annotated[
        int, typer.Option(help="Make them of so many labelled pictures of each class; 0 is all.", min=0)
    ] = 0,
    seed: Seed = 0,
    root: Root = None,
    out: Out = None,
    device: Device = "auto",
) -> None:
    """Make labelled training pictures of the run's own: a folder for --data folder, with where each comes from.

    Interrupted, the same command goes on where it stopped.

    [bold]Examples[/]

      mien synthesize runs/digits --per-class 500 --noise 0.5 --out more-digits

      mien train attribute_cnn --data folder --root more-digits --size 32
    """
    if not 0 <= noise < float("inf"):
        raise MienError(f"expected --noise of 0 or more, got {noise}")
    out = out or Path("synthesized")
    if out.suffix.lower() in (".png", ".jpg", ".svg", ".pdf"):
        raise MienError(f"expected a folder, got --out {out}: such as --out {out.with_suffix('')}")
    check_abilities(run, ["Encodes", "Decodes"])
    from mien import runs
    from mien.applications import synthesize as made
    from mien.evaluation import open_run

    console = make_console()
    opened = open_run(run, pick_device(device), str(root) if root else None)
    model, dataset = opened.model, opened.dataset
    planned = made.plan(dataset, opened.index, per_class, seed, labelled)
    about = {
        "run": run.resolve().name, "model": model.name, "weights_sha256": runs.sha256(run / "weights.safetensors"),
        "data": opened.data.to_json() | {"root": None}, "noise": noise, "seed": seed, "labelled": labelled,
    }  # fmt: skip
    latent = made.latent_size(model, dataset, opened.index)
    with bars(console) as note:
        new = made.synthesize(
            made.noisy(model, noise), latent, dataset, planned, out, about, pick_device(device),
            lambda done, total: note("pictures", done, total),
        )  # fmt: skip
    console.print(f"{len(planned):,} labelled pictures, {new:,} of them made now", highlight=False)
    wrote(console, out)
    # beside the folder: in it, it would be taken for one of the pictures
    save_figure(_synthesized(dataset, planned, out), out.with_name(f"{out.resolve().name}.png"), console)


def _synthesized(dataset: Any, planned: list[Any], out: Path, most: int = 10) -> Any:
    """Return a figure of what was made: of each class, or below each of the first sources."""
    import numpy as np

    from mien import figures
    from mien.data.pictures import open_picture
    from mien.figures import explore

    def read(row: list[Any]) -> Any:
        return np.stack([np.asarray(open_picture(out / one.file))[..., : dataset.shape[0]] for one in row])

    def real(row: list[Any]) -> Any:
        return dataset.pictures(np.array([one.source for one in row]))

    groups: dict[str, list[Any]] = {}
    for one in planned:
        groups.setdefault(one.file.partition("/")[0], []).append(one)
    rows = [group[:most] for _, group in sorted(groups.items())][:most]
    if not dataset.classes:
        return figures.reconstructions(real(rows[0]), read(rows[0]), names=["original", "synthesized"])
    labels = [str(dataset.classes[int(dataset.labels[row[0].source])]) for row in rows]
    fakes = np.stack([read(row) for row in rows])
    return explore.neighbourhoods(
        real([row[0] for row in rows]), fakes, labels=labels, heads=("a real one", "synthesized")
    )


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
    parsed = _scales(scales)
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
    figure = explore.variations(shown(x), shown(x_rec), shown(varied), scales=parsed, columns=n)
    save_figure(figure, out or Path("variations.png"), console)


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
def neighbours(
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

      mien neighbours runs/faces me.jpg

      mien neighbours runs/faces --generated -k 5 --out copies.png
    """
    if generated and pictures:
        raise MienError("expected pictures or --generated, got both: choose one")
    check_abilities(run, ["Encodes", "Generates"] if generated else ["Encodes"])
    from mien.applications.basics import encode_all
    from mien.applications.basics import generate as draw
    from mien.applications.neighbours import latents, nearest
    from mien.data.dataset import spread
    from mien.evaluation import open_run
    from mien.figures import explore

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
    figure = explore.neighbours(shown(x), shown(near), found.distance.numpy(), labels=labels)
    save_figure(figure, out or Path("neighbours.png"), console)


def _print_copies(console: Console, opened: Any, z: Any, seed: int) -> None:
    """Print how far the nearest training picture is: of held-out pictures, and of generated ones."""
    from rich.table import Table

    from mien.abilities import Generates
    from mien.applications.basics import encode_all
    from mien.applications.basics import generate as draw
    from mien.applications.neighbours import latents, nearest
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
    model = load_model(run, device, "Encodes", "Decodes", *(["Generates"] if samples else []))
    from mien.applications import interpolation
    from mien.figures import explore

    way = getattr(interpolation, path)
    if samples:
        walked = interpolation.between_samples(model, samples, steps, seed, way)
    else:
        walked = interpolation.chain(model, _pictures(run, model, pictures, 5, root), steps, way)
    save_figure(explore.walk(shown(walked), steps=steps), out or Path("walk.png"), make_console())


def _pictures(run: Path, model: Any, pictures: list[Path] | None, n: int, root: Path | None) -> Any:
    """Return the pictures given, or n held-out ones of the run's data."""
    return read_pictures(pictures, model.config["shape"]) if pictures else held_out(run, n, root)


def _counted(x: Any) -> str:
    return f"{len(x)} {'pictures' if len(x) > 1 else 'picture'}"
