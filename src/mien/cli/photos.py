"""Photos on the command line: faces are aligned to the model, and edits are put back into the photo."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.outputs import Files, file_path
from mien.errors import MienError

if TYPE_CHECKING:
    from mien.photos import Template

NoAlign = Annotated[
    bool,
    typer.Option(
        "--no-align",
        help="Do not search for faces: take the center of the picture.  [default: faces are aligned, if the model was "
        "trained on aligned faces]",
    ),
]
FaceNumber = Annotated[
    int,
    typer.Option("--face", help="The number of a face in the photo; 1 is the largest, and 0 takes all.", min=0),
]
OneFace = Annotated[int, typer.Option("--face", help="The number of a face in the photo; 1 is the largest.", min=1)]
Paste = Annotated[
    str,
    typer.Option(
        help="What is put back into the photo: change (what the edit changed) or picture (the model's picture)."
    ),
]
KEPT = (".jpg", ".jpeg", ".png", ".webp")  # suffixes that an edited photo keeps; others become .png


def template_for(run: Path, no_align: bool) -> Template | None:
    """Return the place of faces in the run's pictures; None if pictures are taken as they are.

    It reads the run's configuration only.
    """
    from mien.run.folder import read_config

    config = read_config(run)
    shape = config["config"].get("shape")
    data = config.get("data", {})
    if no_align or data.get("name") != "celeba" or not shape or shape[0] != 3:
        return None
    from mien.photos import template_of

    return template_of(data, tuple(shape))


def photo_suffix(file: Path) -> str:
    """Return the suffix of the edited photo of a file.

    >>> photo_suffix(Path("a/me.JPG")), photo_suffix(Path("you.heic"))
    ('.jpg', '.png')
    """
    suffix = file.suffix.lower()
    return suffix if suffix in KEPT else ".png"


def photo_path(out: Path | None, default: str, force: bool, files: Files, ignore: Sequence[str] = ()) -> list[Path]:
    """Return the files to write for one photo, the photo first.

    Args:
        out: the value of --out.
        default: the name without --out.
        force, files, ignore: as of :func:`mien.cli.outputs.place`.

    Raises:
        MienError: for a suffix that photos do not have, and as :func:`mien.cli.outputs.file_path`.
    """
    if out is not None and out.suffix.lower() not in KEPT:
        raise MienError(f"expected --out ending in {', '.join(KEPT)}, got {out}: such as --out {default}")
    return list(files(file_path(out, default, force, files, ignore)))


def open_photo(file: Path) -> Any:
    """Return a photo (H, W, 3) as sRGB, upright.

    Raises:
        MienError: it cannot be read; the message names the file.
    """
    import numpy as np

    from mien.data.pictures import BadPicture, open_picture

    try:
        return np.asarray(open_picture(file))
    except BadPicture as error:
        raise BadPicture(f"{file}: {error}") from None


def is_aligned(photo: Any, template: Template) -> bool:
    """Return whether a photo has the size of the model's pictures, so that it is one of them."""
    return bool(photo.shape[:2] == (template.size, template.size))


def aligned_face(file: Path, template: Template, number: int = 1) -> Any:
    """Return the face of a photo as the model sees it, (1, 3, S, S) in [-1, 1].

    Args:
        file: the photo; one of the model's size is taken as it is.
        number: of the face; 1 is the largest.

    Raises:
        MienError: the photo cannot be read, shows no face, or has no face of this number.
    """
    import torch

    from mien.data.pictures import to_float
    from mien.photos import align, find
    from mien.photos.editing import choose

    photo = open_photo(file)
    if is_aligned(photo, template):
        return torch.from_numpy(to_float(photo))[None]
    try:
        return align(photo, choose(find(photo), number)[0], template).x
    except MienError as error:
        raise MienError(f"{file}: {error}") from None


def aligned_parts(
    files: Sequence[Path], template: Template, number: int = 1, unread: list[str] | None = None
) -> Iterator[tuple[Sequence[Path], Any]]:
    """Yield files and the aligned faces (B, 3, S, S) in them, as many at a time as a model takes.

    Args:
        files: photos.
        template: of the model.
        number: of the face in each photo; 1 is the largest.
        unread: filled with the reasons why photos are left out; None stops at the first.
    """
    import torch

    from mien.applications.basics import BATCH

    part: list[Path] = []
    rows: list[Any] = []
    for file in files:
        try:
            rows.append(aligned_face(file, template, number))
            part.append(file)
        except MienError as reason:
            if unread is None:
                raise
            unread.append(str(reason))
        if len(part) == BATCH:
            yield part, torch.cat(rows)
            part, rows = [], []
    if part:
        yield part, torch.cat(rows)


def check_paste(paste: str) -> str:
    """Return the value of --paste.

    Raises:
        UnknownName: there is no such way to paste.
    """
    from mien.photos import editing

    editing.check_paste(paste)
    return paste
