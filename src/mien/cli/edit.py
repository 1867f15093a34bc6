"""The command edit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from mien.cli.app import app
from mien.cli.editing import Direction, Keep, far_amounts, held_out_to_edit, open_editor, pictures_and_amounts
from mien.cli.faces import searched, warn_without_face
from mien.cli.many import (
    few,
    files_or_held_out,
    folder_or_sheet,
    is_folder,
    picture_files,
    print_unread,
    targets,
    write_each,
)
from mien.cli.outputs import Force, place
from mien.cli.photos import (
    FaceNumber,
    NoAlign,
    Paste,
    PhotoEditing,
    check_paste,
    photo_path,
    photo_suffix,
    template_for,
)
from mien.cli.shared import (
    Device,
    Out,
    Root,
    Run,
    bars,
    load_model,
    make_console,
    save_figure,
    shown,
    wrote,
)
from mien.errors import MienError

N = 6  # held-out pictures
ADDS = ("residual", "steps")  # options that add files and change no other


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
    from mien.evaluation.warnings import edit_warnings

    pictures, amounts = pictures_and_amounts(words or [])
    if not amounts:
        raise MienError("expected an attribute to change, got none: add Attribute=amount, such as Smiling=+1")
    template = template_for(run, no_align) if pictures else None
    if template is not None:
        files = picture_files(pictures, (3, template.size, template.size))
        paths = _photo_outputs(files, files == pictures, out, force, residual, steps)
        photos = PhotoEditing(template, face, check_paste(paste), unread=None if files == pictures else [])
        model = load_model(run, device)
        photos.editor = open_editor(run, model, list(amounts), keep or [], root, device, direction)
        for line in [*far_amounts(run, amounts, direction), *edit_warnings(run, amounts)]:
            make_console().print(f"[dim]{line}[/]")
        _write_photos(photos, paths, amounts)
        return
    suffixes = ("", "-residual") if residual else ("",)
    out = folder_or_sheet(out, "edited.png", force, lambda path: _files(path, residual), ADDS)
    model = load_model(run, device)
    from mien.applications.residuals import as_picture
    from mien.data.reading import read_pictures

    shape, kept = model.config["shape"], keep or []
    files = picture_files(pictures, shape) if pictures else []
    if is_folder(out):
        targets(files, out, shape, suffixes, force, ADDS)  # refused before attribute vectors are made
    editor = open_editor(run, model, list(amounts), kept, root, device, direction)
    for line in [*far_amounts(run, amounts, direction), *edit_warnings(run, amounts)]:
        make_console().print(f"[dim]{line}[/]")

    def change(x: Any, share: float = 1.0) -> Any:
        return editor(x, {name: share * amount for name, amount in amounts.items()}).cpu()

    def choose() -> Any:
        return held_out_to_edit(run, amounts, N, root)

    if not is_folder(out):
        x = read_pictures(few(files), model) if files else choose()
        warn_without_face(run, files, [x])
        _draw(x, change, ", ".join(f"{name} {amount:+g}" for name, amount in amounts.items()), residual, out)
        return

    def outputs(x: Any) -> list[Any]:
        y = change(x)
        return [y, as_picture(y - x)] if residual else [y]

    unread: list[str] = []
    files, parts = files_or_held_out(run, model, files, N, root, unread if files != pictures else None, choose)
    parts = searched(run, parts, bool(pictures))
    write_each(targets(files, out, shape, suffixes, force, ADDS), parts, outputs, "editing", out, unread)


def _photo_outputs(
    files: list[Path], named: bool, out: Path | None, force: bool, residual: bool, steps: bool
) -> dict[Path, list[Path]]:
    """Return the files to write for each photo: the photo, the steps, and the differences.

    Args:
        named: whether each photo was named, so that no folder of photos was.
    """
    suffixes = ("", *(["-steps"] if steps else []), *(["-residual"] if residual else []))
    if len(files) == 1 and named and not (out and is_folder(out)):

        def with_others(path: Path) -> list[Path]:
            return [path, *(path.with_name(f"{path.stem}{suffix}.png") for suffix in suffixes[1:])]

        return {files[0]: photo_path(out, f"edited{photo_suffix(files[0])}", force, with_others, ADDS)}
    if out is not None and not is_folder(out):
        raise MienError(f"expected a folder for --out of {len(files):,} photos, got {out}: such as --out edited/")

    def all_files(folder: Path) -> list[Path]:
        outputs = targets(files, folder, (3, 8, 8), suffixes, True, ADDS, photo_suffix)
        return [path for paths in outputs.values() for path in paths]

    folder = place(out, "edited", force, all_files, ADDS)
    return targets(files, folder, (3, 8, 8), suffixes, True, ADDS, photo_suffix)


def _write_photos(photos: PhotoEditing, outputs: dict[Path, list[Path]], amounts: dict[str, float]) -> None:
    """Write edited photos; of a single one also the steps of the edit."""
    from mien.photos import save_photo

    console, done, unread = make_console(), 0, [] if photos.unread is None else photos.unread
    single = len(outputs) == 1
    with bars(console) as note:
        for file, photo, x, y in photos.edited(outputs, amounts):
            path, *others = outputs[file]
            save_photo(photo, path)
            done += 1
            for other in others:
                if other.stem.endswith("-steps"):
                    _draw_steps(x, photos.editor, amounts, other)
                else:
                    _draw_residual(x, y, other)
            if not single:
                note("editing", done + len(unread), len(outputs))
    print_unread(console, unread, done)
    paths = [path for paths in outputs.values() for path in paths]
    wrote(console, paths[0] if single else paths[0].parent)


def _draw_steps(x: Any, editor: Any, amounts: dict[str, float], path: Path) -> None:
    """Draw the first aligned face (1, 3, S, S) in steps of the edit."""
    import torch

    from mien import figures

    alphas = [i / 10 for i in range(11)]
    rows = [editor(x[:1], {name: share * amount for name, amount in amounts.items()}).cpu() for share in alphas]
    label = ", ".join(f"{name} {amount:+g}" for name, amount in amounts.items())
    figure = figures.attribute_edits(shown(x[:1]), shown(torch.stack(rows, 1)), attributes=[label], alphas=alphas)
    figures.save(figure, path)


def _draw_residual(x: Any, y: Any, path: Path) -> None:
    from mien import figures
    from mien.applications.residuals import as_picture
    from mien.data.pictures import save_picture

    save_picture(figures.sheet(shown(as_picture(y - x))), path)


def _residual_path(out: Path) -> Path:
    return out.with_name(f"{out.stem}-residual.png")


def _files(out: Path, residual: bool) -> list[Path]:
    """Return the files of a sheet: the edited pictures, the steps, and the differences."""
    steps = out.with_name(f"{out.stem}-steps{out.suffix}")
    return [out, steps, *([_residual_path(out)] if residual else [])]


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
