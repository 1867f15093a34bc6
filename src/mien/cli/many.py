"""Any number of pictures: folders of them in, a folder out, a part at a time, so that memory does not grow with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from mien.cli.outputs import picture_path, writable
from mien.cli.shared import bars, make_console, read_pictures, wrote
from mien.errors import MienError

ManyPictures = Annotated[
    list[Path] | None, typer.Argument(help="Picture files, or folders of them.", show_default=False)
]
ON_A_SHEET = 256  # pictures given; more are not looked at on one sheet
SIGNALS = (".npy", ".csv")


def folder_or_sheet(out: Path | None, default: str) -> Path:
    """Return where to write: a folder, which has no suffix or is there already, or a file for a figure.

    Raises:
        MienError: neither, or where nothing can be written.
    """
    if out is None or not is_folder(out):
        return picture_path(out, default)
    if out.is_file():
        raise MienError(f"expected a folder or a picture's name for --out, got {out}, a file: such as --out {default}")
    return writable(out)


def is_folder(out: Path) -> bool:
    """Return whether ``--out`` names a folder."""
    return out.is_dir() or not out.suffix


def picture_files(paths: Iterable[Path], shape: Sequence[int]) -> list[Path]:
    """Return picture files, in place of each folder the ones that lie in it, by name.

    Args:
        shape: what the run was trained on: (C, 1, W) reads signals.

    Raises:
        MienError: a folder without any.
    """
    from mien.data.sets.folder import SUFFIXES

    suffixes = SIGNALS if shape[1] == 1 else SUFFIXES
    files: list[Path] = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        # hidden ones are other systems' notes on pictures, such as ._a.png
        visible = [one for one in sorted(path.iterdir()) if not one.name.startswith(".") and one.is_file()]
        inside = [one for one in visible if one.suffix.lower() in suffixes]
        if not inside:
            ends = " ".join(suffixes[:6])
            raise MienError(f"expected pictures in {path} itself, not in folders in it, got none that ends in {ends}")
        files += inside
    return files


def few(files: list[Path], what: str = "--out folder/") -> list[Path]:
    """Return the files, unless there are too many for one sheet."""
    if len(files) > ON_A_SHEET:
        raise MienError(f"expected up to {ON_A_SHEET} pictures on one sheet, got {len(files):,}: pass {what}")
    return files


def parts(
    files: Sequence[Path], shape: Sequence[int], left_out: list[str] | None = None
) -> Iterator[tuple[Sequence[Path], Any]]:
    """Yield files and the pictures (B, C, H, W) in them, as many at a time as a model takes.

    Args:
        left_out: filled with why files cannot be read, which are then left out; None to stop at the first.
    """
    from mien.applications.basics import BATCH

    for start in range(0, len(files), BATCH):
        part = list(files[start : start + BATCH])
        try:
            x = read_pictures(part, tuple(shape))
        except MienError:
            if left_out is None:
                raise
            part = [file for file in part if _readable(file, shape, left_out)]
            if not part:
                continue
            x = read_pictures(part, tuple(shape))
        yield part, x


def _readable(file: Path, shape: Sequence[int], left_out: list[str]) -> bool:
    try:
        read_pictures([file], tuple(shape))
    except MienError as reason:
        left_out.append(str(reason))
        return False
    return True


def tell_left_out(console: Any, left_out: Sequence[str], read: int) -> None:
    """Print which files were left out, and why.

    Raises:
        MienError: if none was ``read``.
    """
    if not read:
        raise MienError(f"expected pictures, got none of {len(left_out):,} that can be read: {left_out[0]}")
    for reason in left_out:
        console.print(f"[bold red]left out[/] {escaped(reason)}", highlight=False, soft_wrap=True)


def printable(text: str) -> str:
    """Return text that every terminal takes: bytes in a file's name that are no UTF-8 are replaced."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def escaped(text: str) -> str:
    """Return printable text in which nothing is taken for markup."""
    from rich.markup import escape

    return escape(printable(text))


def write_each(
    aims: Mapping[Path, Sequence[Path]],
    given: Iterable[tuple[Sequence[Path], Any]],
    make: Callable[[Any], Sequence[Any]],
    what: str,
    out: Path,
    left_out: Sequence[str] = (),
) -> None:
    """Write what is made of each picture.

    Args:
        aims: what is written of each file, as :func:`targets` gives it.
        given: files and their pictures, part after part, as :func:`parts` yields them.
        make: pictures (B, C, H, W) to what is written of them, each (B, C, H, W).
        what: the words before the bar.
        out: the folder, which is told.
        left_out: what :func:`parts` could not read.
    """
    console, done = make_console(), 0
    with bars(console) as note:
        for part, x in given:
            for number, y in enumerate(make(x)):
                save_each(y, [aims[file][number] for file in part])
            done += len(part)
            note(what, done + len(left_out), len(aims))
    tell_left_out(console, left_out, done)
    wrote(console, out)


def targets(
    files: Sequence[Path], out: Path, shape: Sequence[int], behind: Sequence[str] = ("",)
) -> dict[Path, list[Path]]:
    """Return the files in ``out`` that are written for each file: of its own name, as .png, or .npy of a signal.

    Args:
        behind: what is put behind the name, for each thing that is written.

    Raises:
        MienError: two files that would become one, or the folder the files are in, where they would mix.
    """
    suffix = ".npy" if shape[1] == 1 else ".png"
    aims: dict[Path, list[Path]] = {}
    taken: dict[Path, Path] = {}
    for file in files:
        if file.is_file() and out.resolve() == file.parent.resolve():
            raise MienError(f"expected another folder for --out, got {out}, where {file} is: such as {out / 'new'}")
        aims[file] = [out / f"{file.stem}{words}{suffix}" for words in behind]
        for aim in aims[file]:
            if aim in taken:
                raise MienError(
                    f"expected files of different names, got {taken[aim]} and {file}: both would become {aim}"
                )
            taken[aim] = file
    return aims


def save_each(x: Any, paths: Sequence[Path]) -> None:
    """Write pictures (B, C, H, W) in [-1, 1] as PNG, or signals as .npy."""
    import numpy as np

    from mien.data.pictures import from_float, save_picture
    from mien.files import write_atomically

    values = x.cpu().numpy()
    if values.shape[2] != 1:
        for picture, path in zip(from_float(values), paths, strict=True):
            save_picture(picture, path)
        return
    for signal, path in zip(values[:, 0, 0], paths, strict=True):
        write_atomically(path, partial(np.save, arr=signal, allow_pickle=False))
