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
    """Return files as a tensor (B, C, H, W) in [-1, 1]: pictures cropped to the center and scaled, or signals.

    A run on signals (height 1) reads .npy arrays and .csv columns of at least as many samples as it was trained on;
    the first of them are taken, and scaled as the bearing data are.
    """
    import numpy as np
    import torch

    from mien.data.pictures import BadPicture, open_picture, resize, to_float

    channels, height, width = shape
    if height == 1:
        return torch.from_numpy(np.stack([_read_signal(path, shape) for path in paths]))
    rows = []
    for path in paths:
        try:
            picture = open_picture(path)
        except BadPicture as error:
            raise BadPicture(f"{path}: {error}") from None
        # the largest centered part of the run's proportions
        scale = min(picture.width / width, picture.height / height)
        left, top = (picture.width - scale * width) / 2, (picture.height - scale * height) / 2
        box = (left, top, left + scale * width, top + scale * height)
        part = resize(picture.convert("L").convert("RGB") if channels == 1 else picture, (height, width), box)
        rows.append(to_float(part[..., :channels]))
    return torch.from_numpy(np.stack(rows))


def _read_signal(path: Path, shape: tuple[int, ...]) -> Any:
    import numpy as np

    wanted = f"expected a signal of {shape[2]} samples or more as .npy or .csv"
    try:
        values = np.load(path, allow_pickle=False) if path.suffix == ".npy" else np.loadtxt(path, delimiter=",")
    except (OSError, ValueError, EOFError) as error:
        raise MienError(f"{wanted}, got {path}, which cannot be read as such: {error}") from None
    if shape[0] != 1 or values.ndim != 1 or values.dtype.kind not in "fiu" or len(values) < shape[2]:
        raise MienError(f"{wanted}, got {values.dtype} {values.shape} in {path}")
    window = values[: shape[2]].astype(np.float64)
    window = window - window.mean()
    largest = abs(window).max()
    if not 0 < largest < np.inf:
        raise MienError(f"{wanted}, got one that is constant or not finite in {path}")
    return (window / largest).astype(np.float32)[None, None]


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
