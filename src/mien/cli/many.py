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
    if out is not None and is_folder(out):
        return writable(out)
    return picture_path(out, default)


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
    from mien.data.folder import SUFFIXES

    suffixes = SIGNALS if shape[1] == 1 else SUFFIXES
    files: list[Path] = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        inside = [one for one in sorted(path.iterdir()) if one.suffix.lower() in suffixes and one.is_file()]
        if not inside:
            raise MienError(f"expected pictures in {path}, got none that ends in {' '.join(suffixes[:6])}")
        files += inside
    return files


def few(files: list[Path], what: str = "--out folder/") -> list[Path]:
    """Return the files, unless there are too many for one sheet."""
    if len(files) > ON_A_SHEET:
        raise MienError(f"expected up to {ON_A_SHEET} pictures on one sheet, got {len(files):,}: pass {what}")
    return files


def parts(files: Sequence[Path], shape: Sequence[int]) -> Iterator[tuple[Sequence[Path], Any]]:
    """Yield files and the pictures (B, C, H, W) in them, as many at a time as a model takes."""
    from mien.applications.basics import BATCH

    for start in range(0, len(files), BATCH):
        part = files[start : start + BATCH]
        yield part, read_pictures(list(part), tuple(shape))


def write_each(
    out: Path,
    files: Sequence[Path],
    given: Iterable[tuple[Sequence[Path], Any]],
    make: Callable[[Any], Mapping[str, Any]],
    shape: Sequence[int],
    what: str,
) -> None:
    """Write what is made of each picture into a folder, under the name of its file.

    Args:
        files: of all pictures.
        given: files and their pictures, part after part, as :func:`parts` yields them.
        make: pictures (B, C, H, W) to what is written of them (B, C, H, W), by what is put behind the names.
        what: the words before the bar.
    """
    aims, console, done = targets(files, out, shape), make_console(), 0
    with bars(console) as note:
        for part, x in given:
            for behind, y in make(x).items():
                save_each(y, [(aim := aims[file]).with_name(f"{aim.stem}{behind}{aim.suffix}") for file in part])
            done += len(part)
            note(what, done, len(files))
    wrote(console, out)


def targets(files: Sequence[Path], out: Path, shape: Sequence[int]) -> dict[Path, Path]:
    """Return the file in ``out`` that is written for each file: its own name, as .png, or .npy of a signal.

    Raises:
        MienError: two files of one name, or the folder the files are in, where they would mix.
    """
    suffix = ".npy" if shape[1] == 1 else ".png"
    named: dict[Path, Path] = {}
    for file in files:
        target = out / f"{file.stem}{suffix}"
        if other := named.get(target):
            raise MienError(f"expected files of different names, got {other} and {file}: both would become {target}")
        if file.is_file() and out.resolve() == file.parent.resolve():
            raise MienError(f"expected another folder for --out, got {out}, where {file} is: such as {out / 'new'}")
        named[target] = file
    return {file: target for target, file in named.items()}


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
