"""The command multiview."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.app import app
from mien.cli.outputs import Force, file_path
from mien.cli.shared import Device, Root, bars, make_console, pick_device, print_json, run_folder, wrote
from mien.errors import MienError

DEFAULT = Path("multiview.json")


@app.command(rich_help_panel="Measure")
def multiview(
    runs: Annotated[
        list[Path],
        typer.Argument(parser=run_folder, help="Run folders whose latents are concatenated.", show_default=False),
    ],
    beside: Annotated[
        list[Path] | None,
        typer.Option(
            parser=run_folder, metavar="RUN", help="A run to compare with; repeat for each.", show_default=False
        ),
    ] = None,
    most: Annotated[int, typer.Option("--train", help="Training pictures at most.", min=2)] = 20_000,
    c: Annotated[
        float, typer.Option("--c", help="C of the SVMs; latents of hundreds of dimensions need less, such as 0.001.")
    ] = 1.0,
    attributes: Annotated[bool, typer.Option("--attributes", help="Also a table of every attribute.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    root: Root = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write, with all numbers.")] = DEFAULT,
    force: Force = False,
    device: Device = "auto",
) -> None:
    """Predict attributes from the latents of several runs together, and of each alone, with linear SVMs.

    Examples:
      mien multiview runs/layer1 runs/layer2 runs/layer3
      mien multiview runs/layer* --beside runs/vae-123 --attributes --out table.json
    """
    if not 0 < c < float("inf"):
        raise MienError(f"expected --c above 0, got {c:g}: mien evaluate takes 1")
    out = file_path(None if out == DEFAULT else out, str(DEFAULT), force, ignore=("attributes",))
    from mien.run.folder import check_abilities, read_config

    folders = [*runs, *(beside or [])]
    for run in folders:
        check_abilities(run, ["Encodes"])
        data = read_config(run)["data"]
        if not data.get("attributes"):
            raise MienError(
                f"expected runs on a data set with attributes, got {run} on {data['name']}, which has none: "
                "use runs on celeba, avatars or a folder with a table"
            )
    from mien.files import write_json
    from mien.recipes import vae_wgan_table1 as table1

    console = make_console(json)
    with bars(console) as note:
        result = table1.measure(
            runs,
            beside or [],
            device=pick_device(device),
            root=root,
            most=most,
            c=c,
            note=(lambda *_: None) if json else note,
        )
    write_json(out, result)
    if json:
        print_json(result)
        return
    for table in table1.tables(result, attributes):
        console.print(table)
    wrote(console, out)
