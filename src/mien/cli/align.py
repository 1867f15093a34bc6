"""The command align."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.app import app
from mien.cli.many import picture_files, print_unread
from mien.cli.outputs import Force, place
from mien.cli.photos import FaceNumber, open_photo, template_for
from mien.cli.shared import Out, bars, make_console, run_folder, wrote
from mien.errors import MienError


@app.command(rich_help_panel="Use a run")
def align(
    photos: Annotated[list[Path], typer.Argument(help="Photos, or folders of them.", show_default=False)],
    run: Annotated[
        Path | None,
        typer.Option("--for", parser=run_folder, help="A run: its size and crop are taken.", show_default=False),
    ] = None,
    size: Annotated[int, typer.Option(help="Side of the aligned pictures in pixels.", min=16, max=2048)] = 178,
    crop: Annotated[
        int, typer.Option(help="Side of CelebA's centered square, in its pixels: the option of its data.")
    ] = 178,
    face: FaceNumber = 0,
    out: Out = None,
    force: Force = False,
) -> None:
    """Cut the faces out of photos, at the place and size of CelebA's aligned pictures.

    Each face is found, turned upright, scaled and cropped; me.jpg becomes me.png, and the faces of a group become
    group-1.png, group-2.png and so on, the largest first. The folder is data for --data folder.

    Examples:
      mien align me.jpg
      mien align photos/ --out aligned/ --size 128 --crop 148
      mien align group.jpg --face 2 --for faces-64
    """
    from mien.data.pictures import from_float, save_picture
    from mien.photos import align as aligned
    from mien.photos import celeba, find
    from mien.photos.editing import choose

    template = celeba(size, crop)
    if run is not None:
        chosen = template_for(run, no_align=False)
        if chosen is None:
            raise MienError(f"expected a run of aligned faces for --for, got {run}: such as faces-64")
        template = chosen
    files = picture_files(photos, (3, template.size, template.size))
    folder = place(out, "aligned", force, lambda path: [path] if path.is_file() else [])
    if folder.is_file():
        raise MienError(f"expected a folder for --out, got {folder}, a file: such as --out aligned")
    console, unread, count = make_console(), [], 0
    with bars(console) as note:
        for number, file in enumerate(files, 1):
            try:
                photo = open_photo(file)
                faces = choose(find(photo), face)
            except MienError as reason:
                if files == photos and len(files) == 1:
                    raise
                unread.append(str(reason) if str(file) in str(reason) else f"{file}: {reason}")
                continue
            for i, one in enumerate(faces, 1):
                name = f"{file.stem}.png" if len(faces) == 1 else f"{file.stem}-{i}.png"
                path = place(folder / name, name, force)
                save_picture(from_float(aligned(photo, one, template).x[0].numpy()), path)
                count += 1
            if len(files) > 1:
                note("aligning", number, len(files))
    print_unread(console, unread, count)
    console.print(f"{count:,} face{'s' * (count != 1)} of {len(files):,} photo{'s' * (len(files) != 1)}")
    wrote(console, folder)
