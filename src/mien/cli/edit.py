"""The command edit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from mien.cli.app import app
from mien.cli.editing import Direction, EditRequest, Keep, held_out_to_edit, pictures_and_amounts
from mien.cli.faces import searched, warn_without_face
from mien.cli.many import few, files_or_held_out, folder_or_sheet, is_folder, picture_files, targets, write_each
from mien.cli.outputs import Force
from mien.cli.photo_edits import ADDS, PhotoOptions, edit_photos
from mien.cli.photos import FaceNumber, NoAlign, Paste, check_paste, template_for
from mien.cli.shared import Device, Out, Root, Run, load_model, make_console, save_figure, shown, wrote
from mien.errors import MienError

N = 6  # held-out pictures


@app.command(rich_help_panel="Use a run")
def edit(
    run: Run,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PICTURE|ATTRIBUTE=AMOUNT",
            help="Picture files or folders of them, and attributes to change: +1 adds an attribute, -1 removes it. "
            "An argument with = is an attribute, unless a file of that name exists.",
            show_default=False,
        ),
    ] = None,
    keep: Keep = None,
    direction: Direction = "mean",
    residual: Annotated[
        bool, typer.Option("--residual", help="Also write the difference to the picture; gray is no difference.")
    ] = False,
    steps: Annotated[
        bool,
        typer.Option("--steps", help="Also draw the face of a photo in steps of the edit; a sheet always has them."),
    ] = False,
    face: FaceNumber = 0,
    paste: Paste = "change",
    no_align: NoAlign = False,
    root: Root = None,
    out: Out = None,
    force: Force = False,
    device: Device = "auto",
) -> None:
    """Change attributes of photos or pictures, or of held-out ones of the run's data.

    A model of aligned faces, such as faces-64, edits ordinary photos: each face is found, aligned and changed, and the
    change is put back into the photo at its own size. One photo becomes edited.jpg; several become files in edited/.
    Other pictures are drawn on a sheet, with steps of the edit; --out FOLDER writes one file each. Without pictures,
    held-out ones are taken that do not have the attributes to add, and have those to remove.

    Examples:
      mien edit faces-64 me.jpg Smiling=+1.5
      mien edit faces-64 family.jpg Young=-1 --face 2 --out older.jpg
      mien edit runs/faces me.jpg Smiling=+1 Eyeglasses=-1 --out changed.png
      mien edit runs/faces me.jpg Young=-1 --keep Male --keep Smiling
      mien edit runs/faces me.jpg Smiling=+1 --direction whitened
      mien edit runs/glasses me.jpg Eyeglasses=-1 --residual
      mien edit runs/faces photos/ Smiling=+1 --out smiling/
    """
    pictures, amounts = pictures_and_amounts(words or [])
    if not amounts:
        raise MienError("expected an attribute to change, got none: add Attribute=amount, such as Smiling=+1")
    request = EditRequest(run, amounts, tuple(keep or ()), direction, root, device)
    template = template_for(run, no_align) if pictures else None
    if template is not None:
        edit_photos(request, pictures, PhotoOptions(template, face, check_paste(paste), steps, residual), out, force)
    else:
        _edit_pictures(request, pictures, residual, out, force)


def _edit_pictures(request: EditRequest, pictures: list[Path], residual: bool, out: Path | None, force: bool) -> None:
    """Edit pictures as they are, or held-out ones: on a sheet, or into a folder."""
    suffixes = ("", "-residual") if residual else ("",)
    out = folder_or_sheet(out, "edited.png", force, lambda path: _files(path, residual), ADDS)
    run, amounts = request.run, request.amounts
    model = load_model(run, request.device)
    from mien.applications.residuals import as_picture
    from mien.data.reading import read_pictures

    shape = model.config["shape"]
    files = picture_files(pictures, shape) if pictures else []
    if is_folder(out):
        targets(files, out, shape, suffixes, force, ADDS)  # refused before attribute vectors are made
    editor = request.open(model)

    def change(x: Any, share: float = 1.0) -> Any:
        return editor(x, {name: share * amount for name, amount in amounts.items()}).cpu()

    def choose() -> Any:
        return held_out_to_edit(run, amounts, N, request.root)

    if not is_folder(out):
        x = read_pictures(few(files), model) if files else choose()
        warn_without_face(run, files, [x])
        _draw(x, change, request.label, residual, out)
        return

    def outputs(x: Any) -> list[Any]:
        y = change(x)
        return [y, as_picture(y - x)] if residual else [y]

    unread: list[str] = []
    skip = unread if files != pictures else None
    files, parts = files_or_held_out(run, model, files, N, request.root, skip, choose)
    parts = searched(run, parts, bool(pictures))
    write_each(targets(files, out, shape, suffixes, force, ADDS), parts, outputs, "editing", out, unread)


def _files(out: Path, residual: bool) -> list[Path]:
    """Return the files of a sheet: the edited pictures, the steps, and the differences."""
    steps = out.with_name(f"{out.stem}-steps{out.suffix}")
    return [out, steps, *([out.with_name(f"{out.stem}-residual.png")] if residual else [])]


def _draw(x: Any, change: Callable[..., Any], label: str, residual: bool, out: Path) -> None:
    """Draw pictures and their edits, the first edit in steps, and the differences if ``residual``."""
    import torch

    from mien import figures
    from mien.applications.residuals import as_picture
    from mien.data.pictures import from_float, save_picture

    console, y = make_console(), change(x)
    alphas = [i / 10 for i in range(11)]
    steps = torch.stack([change(x[:1], share) for share in alphas], 1)  # (1, 11, C, H, W)
    if len(x) == 1:
        save_picture(from_float(y[0].numpy()), out)
        wrote(console, out)
    else:
        figure = figures.reconstructions(shown(x), shown(y), names=["real", "edited"])
        figure.set_label(f"{len(x)} pictures with their edits below: {label}")
        save_figure(figure, out, console)
    figure = figures.attribute_edits(shown(x[:1]), shown(steps), attributes=[label], alphas=alphas)
    _, path, *differences = _files(out, residual)
    save_figure(figure, path, console)
    for path in differences:
        save_picture(figures.sheet(shown(as_picture(y - x))), path)
        wrote(console, path)
