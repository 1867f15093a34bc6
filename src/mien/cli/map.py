"""The command map."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from mien.cli.app import app
from mien.cli.outputs import Force, picture_path, place
from mien.cli.shared import Device, Out, Root, Run, Seed, bars, make_console, pick_device, save_figure, shown, wrote
from mien.errors import MienError, UnknownName

KINDS = ("tsne", "grid", "latent", "decoded")
SPLITS = ("train", "valid", "test")
COUNT = 625  # VAE-WGAN's Fig. 13: 25x25
PLANE = 5000  # points of a plane that needs no t-SNE
CELLS = 2500  # the assignment of more takes minutes


@app.command("map", rich_help_panel="Explore a run")
def map_(
    run: Run,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            help="tsne or latent (a scatter), grid (of pictures), decoded (a plane).  [default: all that apply]",
            show_default=False,
        ),
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="Color by this attribute.  [default: the classes, if any]", show_default=False)
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(
            help="Pictures at most.  [default: 625; 5000 of a 2-d latent space]", min=5, max=100_000, show_default=False
        ),
    ] = None,
    steps: Annotated[int, typer.Option(help="Decoded pictures along an axis.", min=2, max=60)] = 20,
    split: Annotated[str, typer.Option(help="train, valid or test.")] = "test",
    seed: Seed = 0,
    root: Root = None,
    out: Out = None,
    force: Force = False,
    device: Device = "auto",
) -> None:
    """Map a latent space: t-SNE as a scatter and as a grid of pictures; the plane itself if it has 2 dimensions.

    Examples:
      mien map runs/faces --label Smiling
      mien map runs/digits --kind latent --kind decoded --out digits.pdf
      mien map runs/faces --kind grid --count 900 --out grid.png
    """
    for each in kind or []:
        if each not in KINDS:
            raise UnknownName("kind", each, KINDS)
    if split not in SPLITS:
        raise UnknownName("split", split, SPLITS)
    if out and out.suffix:
        out = picture_path(out, "map.png", force, lambda path: _files(path, kind))
    else:
        out = place(out, "map", force, lambda path: _files(path, kind))
    from mien.run.folder import check_abilities, read_config

    check_abilities(run, ["Encodes", "Decodes"] if kind and "decoded" in kind else ["Encodes"])
    attributes = read_config(run)["data"].get("attributes", [])
    if label is not None and label not in attributes:
        raise UnknownName("attribute", label, attributes)
    console = make_console()
    from mien.abilities import Decodes, can
    from mien.applications.basics import latent_size
    from mien.run.opening import open_run

    opened = open_run(run, pick_device(device), root)
    plane = latent_size(opened.model) == 2
    kinds = kind or ["latent" if plane else "tsne", "grid"]
    if not kind and plane and can(opened.model, Decodes):
        kinds.append("decoded")
    for each in ("latent", "decoded"):
        if each in kinds and not plane:
            raise MienError(
                f"expected a run of 2 latent dimensions for --kind {each}, got {latent_size(opened.model)}: "
                "use --kind tsne, which maps any number of dimensions"
            )
    _draw(opened, kinds, _Request(label, count, steps, split, seed, out), plane, console)


@dataclass(frozen=True)
class _Request:
    """The options of ``mien map``."""

    label: str | None
    count: int | None
    steps: int
    split: str
    seed: int
    out: Path


def _picture(out: Path, kind: str, kinds: Sequence[str]) -> Path:
    """Return the file of a picture: in the folder ``out``, or beside the file ``out``."""
    if not out.suffix:
        return out / f"{kind}.png"
    return out if len(kinds) == 1 else out.with_name(f"{out.stem}-{kind}{out.suffix}")


def _table(out: Path) -> Path:
    """Return the file of the table."""
    return out.with_suffix(".csv") if out.suffix else out / "map.csv"


def _files(out: Path, kinds: Sequence[str] | None) -> list[Path]:
    """Return the files of a map; without kinds, those of every kind, because the model decides which apply."""
    return [*(_picture(out, kind, kinds or KINDS) for kind in kinds or KINDS), _table(out)]


def _draw(opened: Any, kinds: Sequence[str], request: _Request, plane: bool, console: Any) -> None:
    import numpy as np

    from mien import figures
    from mien.applications import latent_map as maps
    from mien.applications.basics import encode_all
    from mien.data.dataset import spread

    embed = "tsne" in kinds or ("grid" in kinds and not plane)
    most = request.count or (COUNT if embed else PLANE)
    # of the training pictures, the share that the run was trained on
    pictures = opened.index if request.split == "train" else getattr(opened.splits, request.split)
    index = np.sort(np.random.default_rng(request.seed).permutation(pictures)[:most])
    with bars(console) as note:
        z = encode_all(opened.model, opened.dataset, index, lambda done, total: note("encode", done, total)).numpy()
    labels = _labels(opened.dataset, index, request.label)
    columns: dict[str, Any] = {"key": [opened.dataset.keys[i] for i in index], "label": labels}
    positions = z
    if embed:
        text = f"t-SNE of {len(z):,} latents of {z.shape[1]} dimensions, perplexity {maps.perplexity_for(len(z)):.4g}"
        console.print(f"{text} …", highlight=False)
        positions = maps.tsne(z, request.seed)
        columns |= {"tsne_1": positions[:, 0], "tsne_2": positions[:, 1]}
    if plane:
        columns |= {"z_1": z[:, 0], "z_2": z[:, 1]}
    for each in kinds:
        if each == "tsne":
            figure = figures.latent_scatter(positions, labels)
        elif each == "latent":
            figure = figures.latent_scatter(z, labels, axes=("z₁", "z₂"))
        elif each == "decoded":
            z1, z2 = maps.plane_range(z)
            rows = maps.decoded_plane(opened.model, z1, z2, request.steps)
            figure = figures.decoded_grid(shown(rows), z1=z1, z2=z2)
        else:
            chosen = spread(np.arange(len(z)), min(len(z), CELLS if request.count else COUNT))
            cells = maps.grid_cells(positions[chosen])
            figure = figures.picture_grid(shown(opened.dataset.batch(index[chosen]).x), cells)
            columns |= _places(cells, chosen, len(z))
        save_figure(figure, _picture(request.out, each, kinds), console)
    _write_table(_table(request.out), columns)
    wrote(console, _table(request.out))


def _labels(dataset: Any, index: Any, label: str | None) -> list[str | None] | None:
    """Return the label of each picture, the attribute or its class; None where it is not known."""
    if label is not None:
        values = dataset.attribute_table[index, dataset.attributes.index(label)]
        return [{1: label, -1: f"not {label}"}.get(int(value)) for value in values]
    if dataset.labels is not None:
        return [dataset.classes[i] if i >= 0 else None for i in dataset.labels[index]]
    return None


def _places(cells: Any, chosen: Any, n: int) -> dict[str, list[int | None]]:
    """Return the row and the column of each picture in the grid, from 1 at the top left; None outside the grid."""
    import numpy as np

    rows: list[int | None] = [None] * n
    columns: list[int | None] = [None] * n
    for (i, j), number in np.ndenumerate(cells):
        if number >= 0:
            rows[chosen[number]], columns[chosen[number]] = i + 1, j + 1
    return {"grid_row": rows, "grid_column": columns}


def _write_table(path: Path, columns: dict[str, Any]) -> None:
    from mien.files import write_atomically

    kept = {name: values for name, values in columns.items() if values is not None}

    def write(temporary: Path) -> None:
        """Write the rows; a cell of a number has seven digits."""
        with temporary.open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(kept)
            # seven digits are all a float32 has
            for row in zip(*kept.values(), strict=True):
                table.writerow([f"{v:.7g}" if isinstance(v, float) or hasattr(v, "dtype") else v for v in row])

    write_atomically(path, write)
