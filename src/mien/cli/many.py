"""Any number of pictures: from folders, into a folder, in parts, so that memory does not grow with their number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from mien.cli.outputs import Files, claim, only, picture_path, writable
from mien.cli.shared import Folders, bars, held_out, make_console, wrote
from mien.errors import MienError

ManyPictures = Annotated[
    list[Path] | None, typer.Argument(help="Picture files, or folders of them.", show_default=False)
]
ON_A_SHEET = 256  # picture files at most
SIGNALS = (".npy", ".csv")


def folder_or_sheet(
    out: Path | None, default: str, force: bool = False, files: Files = only, ignore: Sequence[str] = ()
) -> Path:
    """Return the path to write: a folder, which has no suffix or exists already, or a file for a figure.

    Args:
        out, default, force, files, ignore: as of :func:`mien.cli.outputs.place`; of a folder, :func:`targets` checks
            the files.

    Raises:
        MienError: for another path, or one that cannot be written.
    """
    if out is None or not is_folder(out):
        return picture_path(out, default, force, files, ignore)
    if out.is_file():
        raise MienError(f"expected a folder or a picture's name for --out, got {out}, a file: such as --out {default}")
    return writable(out)


def is_folder(out: Path) -> bool:
    """Return whether ``--out`` names a folder."""
    return out.is_dir() or not out.suffix


def picture_files(paths: Iterable[Path], shape: Sequence[int]) -> list[Path]:
    """Return picture files; a folder stands for the pictures in it, by name.

    Args:
        shape: of the run's pictures; (C, 1, W) reads signals.

    Raises:
        MienError: for a folder without pictures.
    """
    from mien.data.sets.folder import SUFFIXES

    suffixes = SIGNALS if shape[1] == 1 else SUFFIXES
    files: list[Path] = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        # hidden files such as ._a.png are written by other systems and are no pictures
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


def parts(files: Sequence[Path], model: Any, unread: list[str] | None = None) -> Iterator[tuple[Sequence[Path], Any]]:
    """Yield files and the pictures (B, C, H, W) in them, as many at a time as a model takes.

    Args:
        unread: filled with the reasons why files cannot be read, which are left out; None stops at the first.
    """
    from mien.applications.basics import BATCH
    from mien.data.reading import read_pictures

    for start in range(0, len(files), BATCH):
        part = list(files[start : start + BATCH])
        try:
            x = read_pictures(part, model)
        except MienError:
            if unread is None:
                raise
            part = [file for file in part if _readable(file, model, unread)]
            if not part:
                continue
            x = read_pictures(part, model)
        yield part, x


def recordings(
    files: Sequence[Path], model: Any, unread: list[str] | None = None
) -> Iterator[tuple[Sequence[Path], Any]]:
    """Yield the windows of recordings as :func:`parts` yields pictures; their names end in @ and the first sample."""
    from mien.applications.basics import BATCH
    from mien.data.reading import read_windows

    for file in files:
        try:
            starts, x = read_windows(file, model)
        except MienError as reason:
            if unread is None:
                raise
            unread.append(str(reason))
            continue
        names = [file.with_name(f"{file.name}@{start}") for start in starts]
        for begin in range(0, len(names), BATCH):
            yield names[begin : begin + BATCH], x[begin : begin + BATCH]


def _readable(file: Path, model: Any, unread: list[str]) -> bool:
    from mien.data.reading import read_pictures

    try:
        read_pictures([file], model)
    except MienError as reason:
        unread.append(str(reason))
        return False
    return True


def files_or_held_out(
    run: Path,
    model: Any,
    files: list[Path],
    n: int,
    root: Folders,
    unread: list[str] | None,
    choose: Callable[[], Any] | None = None,
) -> tuple[list[Path], Iterable[tuple[Sequence[Path], Any]]]:
    """Return files and their pictures, as :func:`parts` yields them; n held-out pictures where there is no file.

    Args:
        choose: returns the held-out pictures (n, C, H, W); by default they are evenly spread.
    """
    if files:
        return files, parts(files, model, unread)
    x = choose() if choose else held_out(run, n, root)
    names = [Path("held-out") / f"held-out-{number:03d}" for number in range(len(x))]
    return names, [(names, x)]


def print_unread(console: Any, unread: Sequence[str], read: int) -> None:
    """Print the reasons why files were left out.

    Args:
        read: the number of files that were read.

    Raises:
        MienError: if no file was read.
    """
    if not read:
        raise MienError(f"expected pictures, got none of {len(unread):,} that can be read: {unread[0]}")
    for reason in unread:
        console.print(f"[bold red]left out[/] {escaped(reason)}", highlight=False, soft_wrap=True)


def printable(text: str) -> str:
    """Return a text that every terminal takes: bytes of a file's name that are not UTF-8 are replaced."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def escaped(text: str) -> str:
    """Return a printable text in which rich finds no markup."""
    from rich.markup import escape

    return escape(printable(text))


def write_each(
    outputs: Mapping[Path, Sequence[Path]],
    pictures: Iterable[tuple[Sequence[Path], Any]],
    function: Callable[[Any], Sequence[Any]],
    what: str,
    out: Path,
    unread: Sequence[str] = (),
) -> None:
    """Write the outputs of a function for each picture.

    Args:
        outputs: the files to write for each file, as :func:`targets` returns them.
        pictures: files and their pictures, part after part, as :func:`parts` yields them.
        function: returns, for pictures (B, C, H, W), as many outputs, each (B, C, H, W).
        what: the words before the bar.
        out: the folder, which is printed.
        unread: the reasons why :func:`parts` left files out.
    """
    console, done = make_console(), 0
    with bars(console) as note:
        for part, x in pictures:
            for number, y in enumerate(function(x)):
                save_each(y, [outputs[file][number] for file in part])
            done += len(part)
            note(what, done + len(unread), len(outputs))
    print_unread(console, unread, done)
    wrote(console, out)


def targets(
    files: Sequence[Path],
    out: Path,
    shape: Sequence[int],
    suffixes: Sequence[str] = ("",),
    force: bool = False,
    ignore: Sequence[str] = (),
    extension: Callable[[Path], str] | None = None,
) -> dict[Path, list[Path]]:
    """Return the files to write in ``out`` for each file: of the same name, as .png, or .npy of a signal.

    Args:
        extension: returns the suffix of the first file to write for a file, if it is another one.
        suffixes: the end of the name, for each file to write.
        force, ignore: as of :func:`mien.cli.outputs.claim`.

    Raises:
        MienError: for two files with one output, for ``out`` that is the folder of the files themselves, and as
            :func:`mien.cli.outputs.claim`.
    """
    usual = ".npy" if shape[1] == 1 else ".png"
    outputs: dict[Path, list[Path]] = {}
    sources: dict[Path, Path] = {}
    for file in files:
        if file.is_file() and out.resolve() == file.parent.resolve():
            raise MienError(f"expected another folder for --out, got {out}, where {file} is: such as {out / 'new'}")
        outputs[file] = [out / f"{file.stem}{suffix}{usual}" for suffix in suffixes]
        if extension is not None:
            outputs[file][0] = outputs[file][0].with_suffix(extension(file))
        for output in outputs[file]:
            if output in sources:
                raise MienError(
                    f"expected files of different names, got {sources[output]} and {file}: both would become {output}"
                )
            sources[output] = file
    claim(sources, force, ignore)
    return outputs


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
