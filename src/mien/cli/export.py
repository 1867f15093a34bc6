"""The command that takes a run elsewhere: export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mien.cli.app import app
from mien.cli.shared import Root, Run, bars, make_console, wrote
from mien.cli.use import attribute_amounts, vectors_for


@app.command(rich_help_panel="Use a run")
def export(
    run: Run,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Also write edit.onnx, which makes this change: Attribute=amount.", show_default=False
        ),
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option(help="An attribute that the change leaves as it is.", show_default=False)
    ] = None,
    root: Root = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")] = Path("exported"),
) -> None:
    """Write a run as ONNX files, one for each ability, checked against the run.

    [bold]Examples[/]

      mien export runs/faces --out faces-onnx

      mien export runs/faces --set Smiling=+1 --set Eyeglasses=-1
    """
    from mien.run.folder import check_abilities

    check_abilities(run, ())
    amounts = attribute_amounts(set_ or [])
    from mien.export import export as write
    from mien.run.weights import load

    console = make_console()
    vectors = vectors_for(run, load(run), [*amounts, *(keep or [])], root, "cpu") if amounts else None
    with bars(console) as note:
        write(run, out, amounts, vectors, keep or (), note)
    for name in json.loads((out / "export.json").read_text(encoding="utf-8"))["files"]:
        wrote(console, out / name)
    wrote(console, out / "export.json")
