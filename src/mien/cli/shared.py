"""What the commands share: options, devices, reading pictures, bars."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.errors import MienError, UnknownName

if TYPE_CHECKING:
    from rich.console import Console

Run = Annotated[Path, typer.Argument(help="A run folder, as mien train makes.", show_default=False)]
Pictures = Annotated[list[Path] | None, typer.Argument(help="Picture files.", show_default=False)]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Where to write.", show_default=False)]
Seed = Annotated[int, typer.Option(help="Fixes every random draw.", min=0)]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
DataName = Annotated[str, typer.Option("--data", help="A data set: see [bold]mien datasets[/].")]
Root = Annotated[Path | None, typer.Option(help="The folder where the data lie.", show_default=False)]
Size = Annotated[
    int | None, typer.Option(help="Height and width in pixels.  [default: the data set's]", show_default=False)
]
DataSettings = Annotated[
    list[str] | None,
    typer.Option("--data-set", help="An option of the data set, such as count=4000.", show_default=False),
]


def make_console(json: bool = False) -> Console:
    """Return where a command talks: stdout, or stderr where stdout is to hold JSON and nothing else."""
    from rich.console import Console

    return Console(stderr=json)


def parse_data(name: str, pairs: list[str] | None) -> dict[str, Any]:
    """Return ``--data-set key=value`` pairs with the types of the set's own defaults."""
    from mien import data as datasets_

    known, values = datasets_.options(name), {}
    for pair in pairs or []:
        key, equals, text = pair.partition("=")
        if not equals:
            raise MienError(f"expected --data-set key=value, got '{pair}': such as --data-set count=4000")
        if key not in known:
            raise UnknownName(f"option of {name}", key, known)
        kind = type(known[key])
        try:
            values[key] = kind(text) if kind in (int, float) else text
            if kind is bool:
                values[key] = {"true": True, "false": False}[text.lower()]
        except KeyError:
            raise MienError(f"expected true or false for {name}'s {key}, got '{text}'") from None
        except ValueError:
            raise MienError(f"expected a number for {name}'s {key}, got '{text}'") from None
    return values


def parse_share(text: str) -> tuple[int, int]:
    try:
        i, n = (int(part) for part in text.split("/"))
    except ValueError:
        raise MienError(f"expected --share I/N, got '{text}': such as --share 1/2") from None
    return i, n


def make_data(
    name: str, root: Path | None, size: int | None, pairs: list[str] | None, seed: int = 0, share: str = "1/1"
) -> Any:
    """Return the Data that the options of a command name."""
    from mien import data as datasets_

    if name not in datasets_.names():  # before the slow imports
        raise UnknownName("dataset", name, datasets_.names())
    options = parse_data(name, pairs)
    from mien.run.data import Data

    size = datasets_.default_size(name) if size is None else size
    return Data(name, str(root) if root else None, size, options, seed, parse_share(share))


@contextmanager
def bars(console: Console) -> Iterator[Any]:
    """Yield note(what, done, total), which shows one bar after another."""
    from mien.training import logs  # slow

    with logs.bars(console) as note:
        yield note


def pick_device(name: str) -> str:
    """Return ``cpu`` or ``cuda`` for what ``--device`` says, checked."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda") or (name == "cuda" and not torch.cuda.is_available()):
        raise MienError(
            f"expected a device there is, got {name}: choose --device {'cpu or cuda' if torch.cuda.is_available() else 'cpu'}"
        )
    return name


def load_model(run: Path, device: str, *abilities: str) -> Any:
    """Return the model of a run after checking, before torch is imported, that it can do what is asked."""
    from mien.run.folder import check_abilities

    check_abilities(run, abilities)
    from mien.run.weights import load

    return load(run, pick_device(device))


def read_pictures(paths: list[Path], shape: tuple[int, ...]) -> Any:
    """Return files as a tensor (B, C, H, W) in [-1, 1] of the shape a model takes."""
    from mien.data.reading import read_shape

    return read_shape(paths, shape)


def shown(x: Any) -> Any:
    """Return pictures (..., C, H, W) as an array to draw; signals are drawn as small pictures first."""
    from mien.data import pictures

    return pictures.shown(x)


def held_out(run: Path, n: int, root: Path | None = None) -> Any:
    """Return n held-out pictures of a run's own data."""
    from mien.data.dataset import spread
    from mien.run.opening import open_run

    opened = open_run(run, root=str(root) if root else None)
    return opened.dataset.batch(spread(opened.splits.test, n)).x


def save_figure(figure: Any, path: Path, console: Console) -> None:
    from mien import figures

    figures.save(figure, path)
    wrote(console, path)


def wrote(console: Console, path: Path) -> None:
    console.print("wrote", style="dim", end=" ")
    console.print(str(path), highlight=False, markup=False, soft_wrap=True)
