"""Commands that make pictures with a run: generate, reconstruct, interpolate, edit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from mien.cli.app import app
from mien.cli.many import ManyPictures, few, folder_or_sheet, is_folder, parts, picture_files, targets, write_each
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
    out = folder_or_sheet(out, "samples.png")
    if not is_folder(out) and n > 1024:
        raise MienError(f"expected up to 1024 pictures on one sheet, got {n}: pass a folder, such as --out samples/")
    model = load_model(run, device, "Generates")
    from mien import applications, figures
    from mien.applications.basics import generate_batches

    wanted = _asked(model, n, set_)
    if not is_folder(out):
        save_figure(figures.samples(shown(applications.generate(model, n, seed, wanted))), out, make_console())
        return
    names = [Path("new") / f"{number:06d}" for number in range(n)]
    drawn = zip(_runs_of(names), generate_batches(model, n, seed, wanted), strict=True)
    write_each(targets(names, out, model.config["shape"]), drawn, lambda x: [x], "pictures", out)


def _runs_of(names: list[Path]) -> Iterator[list[Path]]:
    """Yield names, as many at a time as pictures are made."""
    from mien.applications.basics import BATCH

    return (names[start : start + BATCH] for start in range(0, len(names), BATCH))


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
    run: Run, pictures: ManyPictures = None, root: Root = None, out: Out = None, device: Device = "auto"
) -> None:
    """Encode and decode pictures, or held-out ones of the run's data: one sheet (a file), or one file each (a folder).

    [bold]Examples[/]

      mien reconstruct runs/faces

      mien reconstruct runs/faces me.jpg you.png --out pair.png

      mien reconstruct runs/faces photos/ --out again/
    """
    out = folder_or_sheet(out, "reconstructions.png")
    model = load_model(run, device, "Encodes", "Decodes")
    from mien import applications, figures
    from mien.metrics.reconstruction import psnr

    console, shape = make_console(), model.config["shape"]
    files = picture_files(pictures, shape) if pictures else []
    if is_folder(out):
        scores: list[float] = []
        left_out: list[str] = []

        def rebuilt(x: Any) -> list[Any]:
            x_rec = applications.reconstruct(model, x).cpu()
            scores.extend(psnr(x, x_rec).tolist())
            return [x_rec]

        files, given = _all_of(run, files, shape, 16, root, left_out if files != pictures else None)
        write_each(targets(files, out, shape), given, rebuilt, "reconstructing", out, left_out)
        mean = sum(scores) / len(scores)
        console.print(f"{len(scores):,} picture{'s' * (len(scores) > 1)}: PSNR {mean:.2f} dB", highlight=False)
        return
    x = read_pictures(few(files), shape) if files else held_out(run, 16, root)
    x_rec = applications.reconstruct(model, x).cpu()
    for file, value in zip(files, psnr(x, x_rec), strict=False):
        console.print(f"{file.name}: PSNR {value:.2f} dB", markup=False, highlight=False)
    if not files:
        console.print(f"{len(x)} held-out pictures: PSNR {psnr(x, x_rec).mean():.2f} dB", highlight=False)
    save_figure(figures.reconstructions(shown(x), shown(x_rec)), out, console)


def _all_of(
    run: Path, files: list[Path], shape: Any, n: int, root: Path | None, left_out: list[str] | None
) -> tuple[list[Path], Any]:
    """Return files and their pictures in parts; those of n held-out pictures where no file is given."""
    if files:
        return files, parts(files, shape, left_out)
    x = held_out(run, n, root)
    names = [Path("held-out") / f"held-out-{number:03d}" for number in range(len(x))]
    return names, [(names, x)]


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
    pictures: ManyPictures = None,
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
    residual: Annotated[bool, typer.Option("--residual", help="Also write what was changed: gray is nothing.")] = False,
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

      mien edit runs/faces photos/ --set Smiling=+1 --out smiling/
    """
    if not set_:
        raise MienError("expected what to change, got nothing: pass --set Attribute=amount, such as --set Smiling=+1")
    amounts = attribute_amounts(set_)
    out = folder_or_sheet(out, "edited.png")
    model = load_model(run, device)
    from mien import applications
    from mien.applications.residuals import as_picture

    shape = model.config["shape"]
    files = picture_files(pictures, shape) if pictures else []
    behind = ("", "-residual") if residual else ("",)
    if is_folder(out):
        targets(files, out, shape, behind)  # before attribute vectors are made
    vectors = vectors_for(run, model, [*amounts, *(keep or [])], root, device)

    def edited(x: Any, share: float = 1.0) -> Any:
        changes = {name: share * amount for name, amount in amounts.items()}
        return applications.edit(model, x, changes, vectors, keep or ()).cpu()

    if is_folder(out):
        left_out: list[str] = []

        def changed(x: Any) -> list[Any]:
            y = edited(x)
            return [y, as_picture(y - x)] if residual else [y]

        files, given = _all_of(run, files, shape, 6, root, left_out if files != pictures else None)
        write_each(targets(files, out, shape, behind), given, changed, "editing", out, left_out)
        return
    x = read_pictures(few(files), shape) if files else held_out(run, 6, root)
    _edited_sheet(x, edited, ", ".join(f"{k} {v:+g}" for k, v in amounts.items()), residual, out)


def _edited_sheet(x: Any, edited: Callable[..., Any], label: str, residual: bool, out: Path) -> None:
    """Draw pictures and what becomes of them, the way there of the first, and what was changed if that is asked."""
    import torch

    from mien import figures
    from mien.applications.residuals import as_picture
    from mien.data.pictures import from_float, save_picture

    console, y = make_console(), edited(x)
    alphas = [i / 10 for i in range(11)]
    steps = torch.stack([edited(x[:1], share) for share in alphas], 1)  # (1, 11, C, H, W)
    if len(x) == 1:
        save_picture(from_float(y[0].numpy()), out)
        wrote(console, out)
    else:
        save_figure(figures.reconstructions(shown(x), shown(y)), out, console)
    figure = figures.attribute_edits(shown(x[:1]), shown(steps), attributes=[label], alphas=alphas)
    save_figure(figure, out.with_name(f"{out.stem}-steps{out.suffix}"), console)
    if residual:
        path = out.with_name(f"{out.stem}-residual.png")
        save_picture(figures.sheet(shown(as_picture(y - x))), path)
        wrote(console, path)


def vectors_for(run: Path, model: Any, named: list[str], root: Path | None, device: str) -> Any:
    """Return the attribute vectors to edit with, made now if need be; None for a model that edits by itself."""
    from mien import abilities
    from mien.run.opening import cached_vectors, open_run

    if isinstance(model, abilities.Edits):
        for name in named:
            if name not in model.editable:
                raise UnknownName("attribute", name, model.editable)
        return None
    abilities.require(model, abilities.Encodes, abilities.Decodes)
    vectors = cached_vectors(run)
    if vectors is None:
        with bars(make_console()) as note:
            opened = open_run(run, pick_device(device), str(root) if root else None)
            vectors = opened.vectors(lambda done, total: note("attribute vectors", done, total))
    for name in named:
        vectors[name]  # an unknown name is told before anything is computed
    return vectors
