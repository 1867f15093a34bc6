"""Edits of photos on the command line: the files that are written, the edits, and pictures of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.cli.editing import EditRequest
from mien.cli.many import is_folder, picture_files, print_unread, targets
from mien.cli.outputs import place
from mien.cli.photos import is_aligned, open_photo, photo_path, photo_suffix
from mien.cli.shared import bars, load_model, make_console, shown, wrote
from mien.errors import MienError

if TYPE_CHECKING:
    from mien.photos import Template

ADDS = ("residual", "steps")  # options that add files and change no other
ALPHAS = [i / 10 for i in range(11)]  # the drawn shares of an edit


@dataclass(frozen=True)
class PhotoOptions:
    """How photos are edited.

    Args:
        template: of the model.
        face: the number of the face; 0 edits all.
        paste: ``change`` or ``picture``.
        steps: whether the face is also drawn in steps of the edit.
        residual: whether the difference is also written.
    """

    template: Template
    face: int
    paste: str
    steps: bool
    residual: bool

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The ends of the names of the files for one photo, the photo's own first."""
        return ("", *(["-steps"] if self.steps else []), *(["-residual"] if self.residual else []))


def edit_photos(
    request: EditRequest, pictures: list[Path], options: PhotoOptions, out: Path | None, force: bool
) -> None:
    """Edit the faces of photos: one photo into a file, several into a folder.

    Raises:
        MienError: for a place that cannot be written, a photo without a face, or an attribute that cannot be changed.
    """
    files = picture_files(pictures, (3, options.template.size, options.template.size))
    named = files == pictures
    outputs = _outputs(files, named, options, out, force)
    editor = request.open(load_model(request.run, request.device))
    console, done = make_console(), 0
    unread: list[str] = []
    single = len(outputs) == 1
    with bars(console) as note:
        for file, photo, x, y in _edited(files, editor, request.amounts, options, None if named else unread):
            _write(photo, x, y, editor, request, outputs[file])
            done += 1
            if not single:
                note("editing", done + len(unread), len(outputs))
    print_unread(console, unread, done)
    paths = [path for paths in outputs.values() for path in paths]
    wrote(console, paths[0] if single else paths[0].parent)


def _outputs(
    files: list[Path], named: bool, options: PhotoOptions, out: Path | None, force: bool
) -> dict[Path, list[Path]]:
    """Return the files to write for each photo: the photo, the steps, and the differences.

    Args:
        named: whether each photo was named, so that no folder of photos was.
    """
    suffixes = options.suffixes
    if len(files) == 1 and named and not (out and is_folder(out)):

        def with_others(path: Path) -> list[Path]:
            return [path, *(path.with_name(f"{path.stem}{suffix}.png") for suffix in suffixes[1:])]

        return {files[0]: photo_path(out, f"edited{photo_suffix(files[0])}", force, with_others, ADDS)}
    if out is not None and not is_folder(out):
        raise MienError(f"expected a folder for --out of {len(files):,} photos, got {out}: such as --out edited/")

    def inside(folder: Path) -> dict[Path, list[Path]]:
        # `place` refuses the files of other calls
        return targets(files, folder, (3, 8, 8), suffixes, force=True, ignore=ADDS, extension=photo_suffix)

    folder = place(out, "edited", force, lambda path: [one for paths in inside(path).values() for one in paths], ADDS)
    return inside(folder)


def _edited(
    files: Iterable[Path], editor: Any, amounts: dict[str, float], options: PhotoOptions, unread: list[str] | None
) -> Iterator[tuple[Path, Any, Any, Any]]:
    """Yield each file, the edited photo (H, W, 3), and the model's pictures (n, 3, S, S) before and after the edit.

    Args:
        unread: filled with the reasons why photos are left out; None stops at the first.
    """
    for file in files:
        try:
            yield file, *_edit(file, editor, amounts, options)
        except MienError as reason:
            if unread is None:
                raise
            unread.append(str(reason))


def _edit(file: Path, editor: Any, amounts: dict[str, float], options: PhotoOptions) -> tuple[Any, Any, Any]:
    import torch

    from mien.data.pictures import from_float, to_float
    from mien.photos import edit_photo

    photo = open_photo(file)
    if is_aligned(photo, options.template):
        x = torch.from_numpy(to_float(photo))[None]
        y = editor(x, amounts).cpu()
        return from_float(y[0].numpy()), x, y
    try:
        result = edit_photo(photo, editor, amounts, options.template, options.face, options.paste)
    except MienError as error:
        raise MienError(f"{file}: {error}") from None
    return result.photo, torch.cat([face.x for face in result.faces]), result.after


def _write(photo: Any, x: Any, y: Any, editor: Any, request: EditRequest, paths: list[Path]) -> None:
    """Write an edited photo, and beside it the steps of the edit and the differences where ``paths`` has them."""
    import torch

    from mien import figures
    from mien.applications.residuals import as_picture
    from mien.data.pictures import save_picture
    from mien.photos import save_photo

    path, *others = paths
    save_photo(photo, path)
    for other in others:
        if other.stem.endswith("-residual"):
            save_picture(figures.sheet(shown(as_picture(y - x))), other)
            continue
        parts = [{name: share * amount for name, amount in request.amounts.items()} for share in ALPHAS]
        rows = torch.stack([editor(x[:1], part).cpu() for part in parts], 1)  # (1, 11, 3, S, S)
        figure = figures.attribute_edits(shown(x[:1]), shown(rows), attributes=[request.label], alphas=ALPHAS)
        figures.save(figure, other)
