"""The command measure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.app import app
from mien.cli.measuring import JsonFile
from mien.cli.outputs import Force, file_path
from mien.cli.shared import Device, Seed, bars, make_console, pick_device, wrote

if TYPE_CHECKING:
    from rich.console import Console

NAMED = 5  # unreadable files that are printed for each folder
DIGITS = {"fid": 2, "kid": 5, "inception_score": 2}

FolderCrop = Annotated[
    int, typer.Option(help="Cut out the centered square of this side in pixels first; 0 takes all.", min=0)
]


@app.command(rich_help_panel="Measure")
def measure(
    real: Annotated[Path, typer.Argument(metavar="REAL", help="A folder or a zip of real pictures.")],
    other: Annotated[Path, typer.Argument(metavar="OTHER", help="A folder or a zip of the pictures to measure.")],
    features: Annotated[
        str,
        typer.Option(
            help="inception, dinov2, a file of weights of either, or a judge: a run folder, or judge-64.",
        ),
    ] = "inception",
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help="fid, kid, precision_recall, density_coverage or inception_score; repeat it.  [default: all]",
            show_default=False,
        ),
    ] = None,
    resizing: Annotated[
        str,
        typer.Option(help="Of Inception: tensorflow, as torch-fidelity does, or clean, as clean-fid does."),
    ] = "tensorflow",
    crop: FolderCrop = 0,
    count: Annotated[
        int, typer.Option(help="Pictures of each folder at most, drawn by --seed; 0 takes all.", min=0)
    ] = 0,
    seed: Seed = 0,
    out: JsonFile = None,
    force: Force = False,
    device: Device = "auto",
) -> None:
    """Compare the pictures of a folder with real pictures: FID, KID, precision and recall, density and coverage.

    The first folder holds the real pictures. Pictures of any tool and of any size can be measured, in subfolders too,
    by the protocols of mien evaluate. The inception score is that of the second folder.

    Examples:
      mien measure photos/ samples/
      mien measure photos/ samples/ --features judge-64 --json result.json
      mien measure photos/ samples/ --features dinov2_vits14_pretrain.pth
      mien measure photos/ samples/ --resizing clean --metric fid
    """
    if out is not None:
        out = file_path(out, "", force)
    from mien.evaluation.folders import choose, measure_folders, open_features
    from mien.files import write_json

    console = make_console()
    with bars(console) as note:
        opened = open_features(features, pick_device(device), resizing)
        choose(opened.network, metric or ())
        result = measure_folders(real, other, opened, metric or (), count, crop, seed, note)
    for side in ("real", "other"):
        print_folder(console, result[side])
    console.print(_table(result))
    console.print(_protocol(result), style="dim", highlight=False, markup=False)
    if out is not None:
        from mien import __version__

        write_json(out, {"mien": __version__, **result})
        wrote(console, out)


def print_folder(console: Console, about: dict[str, Any]) -> None:
    """Print the files of a folder that were left out: the unreadable pictures, and the number of other files."""
    unread = about["unread"]
    for line in unread[:NAMED]:
        console.print(f"left out {about['folder']}/{line}", style="bold", highlight=False, markup=False, soft_wrap=True)
    if len(unread) > NAMED:
        console.print(f"left out {len(unread) - NAMED:,} more pictures of {about['folder']}: see --json", markup=False)
    if about["other_files"]:
        texts = ", ".join(f"{number:,} {suffix}" for suffix, number in about["other_files"].items())
        console.print(f"no pictures in {about['folder']}: {texts}", style="dim", highlight=False, markup=False)


def _table(result: dict[str, Any]) -> Any:
    from rich.table import Table

    title = f"{_name(result['other'])} against {_name(result['real'])} (real), features of {result['features']['name']}"
    table = Table("measure", "value", "real / real", "how", title=title, title_justify="left")
    for name, block in result["measures"].items():
        baseline = result["baseline"].get(name)
        values, others = _values(name, block), _values(name, baseline) if baseline else {}
        for label, value in values.items():
            table.add_row(label, value, others.get(label, "–"), _how(name, block))
    for name, reason in result["left_out"].items():
        table.add_row(name, "–", "–", reason)
    return table


def _values(name: str, block: dict[str, Any]) -> dict[str, str]:
    """Return the values of a measure as texts by their labels."""
    value, spread, digits = block["value"], block["spread"], DIGITS.get(name, 3)
    if not isinstance(value, dict):
        return {name: f"{value:.{digits}f}" + ("" if spread is None else f" ± {spread:.{digits}f}")}
    return {key: f"{one:.{digits}f} ± {spread[key]:.{digits}f}" for key, one in value.items()}


def _how(name: str, block: dict[str, Any]) -> str:
    """Return the numbers of pictures and what the spread is, in few words; a warning comes first."""
    counts = f"{block['n_real']:,} / {block['n_other']:,}" if block["n_real"] else f"{block['n_other']:,}"
    spreads = {
        "fid": "jackknife error",
        "kid": f"deviation over subsets of {block.get('subset_size')}",
        "inception_score": f"deviation over {block.get('splits')} parts",
    }
    how = f"{counts}; ± {spreads.get(name, 'standard error')}" if block["spread"] is not None else counts
    return f"{block['warning']}; {how}" if "warning" in block else how


def _protocol(result: dict[str, Any]) -> str:
    """Return the lines below the table: sizes, preprocessing, seed and time."""
    lines = [
        f"{_name(result[side])}: {result[side]['pictures']:,} pictures, {_sizes(result[side]['sizes'])}"
        for side in ("real", "other")
    ]
    network = result["features"]
    lines.append(
        f"{network['features']:,} features, weights {network['weights_sha256'][:12]}; {network['preprocessing']}"
    )
    lines.append(f"{result['reading']}; seed {result['seed']}; {result['seconds']:.0f} s")
    lines.append("real / real: the same measures between two halves of the real pictures, of half as many pictures")
    return "\n".join(lines)


def _name(about: dict[str, Any]) -> str:
    return Path(about["folder"]).name or str(about["folder"])


def _sizes(sizes: dict[str, int]) -> str:
    first = list(sizes.items())[:3]
    return ", ".join(f"{size} ({number:,})" for size, number in first) + (" …" if len(sizes) > 3 else "")
