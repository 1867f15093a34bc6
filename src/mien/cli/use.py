"""Commands that use a run: generate, reconstruct, interpolate, edit, recognise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mien.cli.app import app
from mien.cli.outputs import picture_path, writable
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
from mien.errors import MienError, UnknownName


@app.command(rich_help_panel="Use a run")
def generate(
    run: Run,
    n: Annotated[int, typer.Option("-n", "--n", help="How many.", min=1)] = 64,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Ask for Attribute=+1 or -1, of a model that can be asked; the rest is drawn.",
            show_default=False,
        ),
    ] = None,
    seed: Seed = 0,
    out: Out = None,
    device: Device = "auto",
) -> None:
    """Draw new pictures: one sheet (a file), or one file for each (a folder).

    [bold]Examples[/]

      mien generate runs/faces -n 64 --out samples.png

      mien generate runs/faces -n 1000 --seed 1 --out samples/

      mien generate runs/iterative_gan --set Smiling=+1 --set Male=-1
    """
    out = out or Path("samples.png")
    out = picture_path(out, "samples.png") if out.suffix else writable(out)
    if out.suffix and n > 1024:
        raise MienError(f"expected up to 1024 pictures on one sheet, got {n}: pass a folder, such as --out samples/")
    model = load_model(run, device, "Generates")
    from mien import applications, figures
    from mien.data.pictures import from_float, save_picture

    console = make_console()
    x = shown(applications.generate(model, n, seed, _asked(model, n, set_)))
    if out.suffix:
        save_figure(figures.samples(x), out, console)
        return
    for number, picture in enumerate(from_float(x)):
        save_picture(picture, out / f"{number:06d}.png")
    wrote(console, out)


def _asked(model: Any, n: int, pairs: list[str] | None) -> Any:
    """Return the attributes (n, A) that ``--set`` asks for, 0 where it is silent; None if it asks for none."""
    if not pairs:
        return None
    import torch

    if not model.conditions:
        raise MienError(f"expected a model that can be asked for attributes, got {model.name}: use iterative_gan")
    wanted = torch.zeros(n, len(model.conditions))
    for name, amount in attribute_amounts(pairs).items():
        if name not in model.conditions:
            raise UnknownName("attribute", name, model.conditions)
        wanted[:, model.conditions.index(name)] = 1.0 if amount > 0 else -1.0
    return wanted


@app.command(rich_help_panel="Use a run")
def reconstruct(
    run: Run, pictures: Pictures = None, root: Root = None, out: Out = None, device: Device = "auto"
) -> None:
    """Encode and decode pictures, or held-out ones of the run's data where none are given.

    [bold]Examples[/]

      mien reconstruct runs/faces

      mien reconstruct runs/faces me.jpg you.png --out pair.png
    """
    out = picture_path(out, "reconstructions.png")
    model = load_model(run, device, "Encodes", "Decodes")
    from mien import applications, figures
    from mien.metrics.reconstruction import psnr

    console = make_console()
    x = read_pictures(pictures, model.config["shape"]) if pictures else held_out(run, 16, root)
    x_rec = applications.reconstruct(model, x).cpu()
    names = [p.name for p in pictures] if pictures else None
    for name, value in zip(names or [], psnr(x, x_rec), strict=False):
        console.print(f"{name}: PSNR {value:.2f} dB", markup=False, highlight=False)
    if not names:
        console.print(f"{len(x)} held-out pictures: PSNR {psnr(x, x_rec).mean():.2f} dB", highlight=False)
    save_figure(figures.reconstructions(shown(x), shown(x_rec)), out, console)


@app.command(rich_help_panel="Use a run")
def interpolate(
    run: Run,
    pictures: Pictures = None,
    steps: Annotated[int, typer.Option(help="Pictures on the path, ends included.", min=2, max=64)] = 11,
    path: Annotated[str, typer.Option(help="linear or slerp.")] = "linear",
    root: Root = None,
    out: Out = None,
    device: Device = "auto",
) -> None:
    """Walk through the latent space from each picture to the next, or between held-out ones.

    [bold]Examples[/]

      mien interpolate runs/faces me.jpg you.png

      mien interpolate runs/faces --path slerp --steps 15 --out walk.png
    """
    out = picture_path(out, "interpolation.png")
    if path not in ("linear", "slerp"):
        raise UnknownName("path", path, ["linear", "slerp"])
    if pictures and len(pictures) < 2:
        raise MienError("expected two pictures or more to walk between, got one")
    model = load_model(run, device, "Encodes", "Decodes")
    from mien import figures
    from mien.applications import interpolation

    x = read_pictures(pictures, model.config["shape"]) if pictures else held_out(run, 8, root)
    left, right = (x[:-1], x[1:]) if pictures else (x[0::2], x[1::2])
    rows = interpolation.interpolate(model, left, right, steps, getattr(interpolation, path))
    save_figure(
        figures.interpolation(shown(rows), ends=(shown(left), shown(right))),
        out,
        make_console(),
    )


def attribute_amounts(pairs: list[str]) -> dict[str, float]:
    """Return the amounts of ``--set Attribute=amount`` options, checked."""
    amounts = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        try:
            amounts[key] = float(text)
        except ValueError:
            equals = ""
        if not equals or not -10 <= amounts[key] <= 10:
            raise MienError(f"expected --set Attribute=amount from -10 to +10, got '{pair}': such as --set Smiling=+1")
    return amounts


@app.command(rich_help_panel="Use a run")
def edit(
    run: Run,
    pictures: Pictures = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Attribute=amount: +1 adds it, -1 removes it.", show_default=False),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            help="An attribute to leave as it is, even if it goes together with those changed; repeat for several.",
            show_default=False,
        ),
    ] = None,
    residual: Annotated[bool, typer.Option("--residual", help="Also write what was changed: grey is nothing.")] = False,
    root: Root = None,
    out: Out = None,
    device: Device = "auto",
) -> None:
    """Change attributes of pictures, or of held-out ones of the run's data: the result, and the way there in steps.

    [bold]Examples[/]

      mien edit runs/faces me.jpg --set Smiling=+1

      mien edit runs/faces me.jpg --set Smiling=+1 --set Eyeglasses=-1 --out changed.png

      mien edit runs/faces me.jpg --set Young=-1 --keep Male --keep Smiling

      mien edit runs/glasses me.jpg --set Eyeglasses=-1 --residual
    """
    if not set_:
        raise MienError("expected what to change, got nothing: pass --set Attribute=amount, such as --set Smiling=+1")
    amounts = attribute_amounts(set_)
    out = picture_path(out, "edited.png")
    model = load_model(run, device)
    from mien import applications, figures
    from mien.applications.residuals import as_picture
    from mien.data.pictures import from_float, save_picture

    vectors = vectors_for(run, model, [*amounts, *(keep or [])], root, device)
    import torch

    x = read_pictures(pictures, model.config["shape"]) if pictures else held_out(run, 6, root)
    alphas = [i / 10 for i in range(11)]
    rows = torch.stack(
        [
            applications.edit(model, x, {k: a * v for k, v in amounts.items()}, vectors, keep or ()).cpu()
            for a in alphas
        ],
        1,
    )  # (B, 11, C, H, W)
    console = make_console()
    label = ", ".join(f"{k} {v:+g}" for k, v in amounts.items())
    if len(x) == 1:
        save_picture(from_float(rows[0, -1].numpy()), out)
        wrote(console, out)
    else:
        save_figure(figures.reconstructions(shown(x), shown(rows[:, -1])), out, console)
    figure = figures.attribute_edits(shown(x[:1]), shown(rows[:1]), attributes=[label], alphas=alphas)
    save_figure(figure, out.with_name(f"{out.stem}-steps{out.suffix}"), console)
    if residual:
        changed = as_picture(rows[:, -1] - x)
        path = out.with_name(f"{out.stem}-residual.png")
        save_picture(figures.sheet(shown(changed)), path)
        wrote(console, path)


def vectors_for(run: Path, model: Any, named: list[str], root: Path | None, device: str) -> Any:
    """Return the attribute vectors to edit with, made now if need be; None for a model that edits by itself."""
    from mien import abilities, evaluation

    if isinstance(model, abilities.Edits):
        for name in named:
            if name not in model.editable:
                raise UnknownName("attribute", name, model.editable)
        return None
    abilities.require(model, abilities.Encodes, abilities.Decodes)
    vectors = evaluation.cached_vectors(run)
    if vectors is None:
        with bars(make_console()) as note:
            opened = evaluation.open_run(run, pick_device(device), str(root) if root else None)
            vectors = opened.vectors(lambda done, total: note("attribute vectors", done, total))
    for name in named:
        vectors[name]  # an unknown name is told before anything is computed
    return vectors


@app.command(rich_help_panel="Use a run")
def recognise(
    run: Run,
    pictures: Annotated[list[Path], typer.Argument(help="Picture files.", show_default=False)],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    out: Out = None,
    device: Device = "auto",
) -> None:
    """Name what is in pictures: the probability of each attribute, or class.

    [bold]Examples[/]

      mien recognise runs/cnn me.jpg

      mien recognise runs/cnn *.jpg --json
    """
    out = picture_path(out, "recognised.png") if out else None
    model = load_model(run, device, "Recognises")
    from mien import applications, figures

    x = read_pictures(pictures, model.config["shape"])
    names = list(model.config.get("attributes") or model.config.get("classes") or [])
    probabilities = applications.recognise(model, x).cpu().numpy()
    if json:
        import json as json_

        rows = [
            {"file": str(p), **dict(zip(names, map(float, row), strict=True))}
            for p, row in zip(pictures, probabilities, strict=True)
        ]
        print(json_.dumps(rows, indent=2))
    else:
        _print_probabilities(pictures, names, probabilities)
    if out:
        save_figure(figures.probabilities(shown(x), probabilities, names), out, make_console(json))


def _print_probabilities(pictures: list[Path], names: list[str], probabilities: Any) -> None:
    from rich.table import Table

    table = Table("attribute or class", *[p.name for p in pictures])
    order = sorted(range(len(names)), key=lambda a: -probabilities[:, a].mean())
    for a in order:
        cells = [f"[bold green]{p:.2f} ●[/]" if p > 0.5 else f"{p:.2f}  " for p in probabilities[:, a]]
        table.add_row(names[a], *cells)
    make_console().print(table)
