"""Shared code of the commands: options, devices, pictures, progress bars."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.errors import MienError, one_line

if TYPE_CHECKING:
    from rich.console import Console


def run_folder(text: str) -> Path:
    """Return the run folder that an argument stands for: a path, a name of a pretrained model, or hf://owner/name."""
    from mien.run.folder import resolve

    return resolve(text)


Run = Annotated[
    Path,
    typer.Argument(
        parser=run_folder, help="A run folder, a name of mien pretrained, or hf://owner/name.", show_default=False
    ),
]
Pictures = Annotated[list[Path] | None, typer.Argument(help="Picture files.", show_default=False)]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="The file or folder to write.", show_default=False)]
Seed = Annotated[int, typer.Option(help="The seed of every random draw.", min=0)]
Device = Annotated[str, typer.Option(help="auto (a GPU if there is one), cpu, cuda, cuda:1 or mps.")]
DataName = Annotated[str, typer.Option("--data", help="A data set: see mien datasets; or FILE.py:Class.")]
Folders = list[Path] | None
Root = Annotated[
    Folders,
    typer.Option(
        help="The folder of the data set's files; repeat it to join folders.  [default: $MIEN_DATA/NAME for most sets]",
        show_default=False,
    ),
]
Size = Annotated[
    int | None, typer.Option(help="Height and width in pixels.  [default: the data set's]", show_default=False)
]
DataOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--data-option",
        help="An option of the data set, such as count=4000.  [default: those of mien datasets]",
        show_default=False,
    ),
]
Noise = Annotated[float, typer.Option(help="Standard deviation of the noise on the latent; the prior's is 1.")]


def make_console(json: bool = False) -> Console:
    """Return where a command prints: stdout, or stderr where stdout holds JSON and nothing else."""
    from mien.cli import terminal

    return terminal.console(stderr=json)


def parse_share(text: str) -> tuple[int, int]:
    """Return (i, n) of ``--share I/N``."""
    try:
        i, n = (int(part) for part in text.split("/"))
    except ValueError:
        raise MienError(f"expected --share I/N, got '{text}': such as --share 1/2") from None
    return i, n


def check_data(name: str) -> None:
    """Raise UnknownName, before anything slow is imported, unless there is a data set ``name``."""
    from mien import data as datasets

    datasets.check_name(name)


def make_data(
    name: str,
    root: Folders,
    size: int | None,
    pairs: list[str] | None,
    seed: int = 0,
    share: str = "1/1",
    count: int = 0,
) -> Any:
    """Return the Data that the options of a command name; no file of the data set is opened.

    Args:
        pairs: the values of ``--data-option``.
        seed: of the split.
        share: ``--share``.
        count: ``--count``.
    """
    from mien import data as datasets

    name = datasets.use(name)
    options = datasets.parse_options(name, pairs or [])
    from mien.run.data import Data

    size = datasets.default_size(name) if size is None else size
    return Data(name, root, size, options, seed, parse_share(share), count)


def check_noise(noise: float) -> None:
    """Raise MienError unless ``--noise`` is finite and 0 or more."""
    if not 0 <= noise < float("inf"):
        raise MienError(f"expected --noise of 0 or more, got {noise}")


@contextmanager
def bars(console: Console) -> Iterator[Any]:
    """Yield note(what, done, total), which shows one bar after another."""
    from mien.training import logs  # slow

    with logs.bars(console) as note:
        yield note


def pick_device(name: str) -> str:
    """Return the device for the value of ``--device``: ``auto`` is a CUDA device if there is one, else the CPU."""
    if name == "auto":
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"
    from mien.training.settings import check_device

    return check_device(name)


def load_model(run: Path, device: str, *abilities: str) -> Any:
    """Return the model of a run; its abilities are checked before torch is imported."""
    from mien.run.folder import check_abilities

    check_abilities(run, abilities)
    from mien.run.weights import load

    return load(run, pick_device(device))


def shown(x: Any) -> Any:
    """Return pictures (..., C, H, W) as an array to draw; signals are drawn as small pictures first."""
    from mien.data import pictures

    return pictures.shown(x)


def held_out(run: Path, n: int, root: Folders = None) -> Any:
    """Return n held-out pictures (n, C, H, W) of a run's own data."""
    from mien.data.dataset import spread
    from mien.run.opening import open_run

    opened = open_run(run, root=root)
    return opened.dataset.batch(spread(opened.splits.test, n)).x


def pictures_or_held_out(run: Path, model: Any, files: list[Path] | None, n: int, root: Folders) -> Any:
    """Return the pictures (B, C, H, W) of files; without files, n held-out pictures of the run's data."""
    from mien.data.reading import read_pictures

    return read_pictures(files, model) if files else held_out(run, n, root)


def save_figure(figure: Any, path: Path, console: Console) -> None:
    """Write a figure and print its path."""
    from mien import figures

    figures.save(figure, path)
    wrote(console, path)


def wrote(console: Console, path: Path) -> None:
    """Print the path of a file or a folder that was written."""
    console.print("wrote", style="dim", end=" ")
    console.print(one_line(str(path)), highlight=False, markup=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Print a value as JSON to stdout; NaN and infinity become null."""
    import json

    from mien.files import finite

    print(json.dumps(finite(value), indent=2, allow_nan=False))
