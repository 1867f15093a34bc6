"""The command export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mien.cli.app import app
from mien.cli.editing import Direction, Keep, open_editor, parse_amounts
from mien.cli.outputs import Force, place
from mien.cli.shared import Root, Run, bars, load_model, make_console, wrote
from mien.files import write_json

FILES = ("export.json", *(f"{name}.onnx" for name in ("encode", "decode", "edit", "editor", "recognize")))

ENTRY = ("inputs", "outputs", "attributes", "recommended", "sha256")  # of the editor, in export.json


@app.command(rich_help_panel="Use a run")
def export(
    run: Run,
    amounts: Annotated[
        list[str] | None,
        typer.Argument(metavar="ATTRIBUTE=AMOUNT", help="The change that edit.onnx makes, if any.", show_default=False),
    ] = None,
    keep: Keep = None,
    direction: Direction = "mean",
    root: Root = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")] = Path("exported"),
    editor: Annotated[
        bool, typer.Option("--editor", help="Write editor.onnx too: it edits by amounts that are an input.")
    ] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="Graphs take and return float32 (N, C, H, W) in [-1, 1], as the models do.")
    ] = False,
    force: Force = False,
) -> None:
    """Write a run as ONNX files, one for each ability, checked against the run.

    The graphs take RGB pictures uint8 (N, height, width, 3) of any size, or signals float32 (N, samples), and crop,
    resize and scale them as mien does. recognize.onnx returns probabilities, encode.onnx latents, and decode.onnx and
    edit.onnx pictures uint8. Names, sizes and versions are in the metadata of each file and in export.json.

    editor.onnx takes a picture and an amount for each attribute vector, and returns the picture at its own size with
    what the edit changes added to it.

    Examples:
      mien export recognizer-64 --out recognizer-onnx
      mien export faces-64 --editor --out editor
      mien export faces-64 Smiling=+1.5 Eyeglasses=-1 --out smile-onnx
      mien export runs/faces --raw
    """
    parsed, kept = parse_amounts(amounts or []), keep or []
    out = place(
        None if out == Path("exported") else out, "exported", force, lambda folder: [folder / name for name in FILES]
    )
    model = load_model(run, "cpu")
    from mien.export import export as write
    from mien.export_editor import EDITOR, check_model, export_editor

    if editor:
        check_model(model)
    console = make_console()
    vectors = None
    if parsed or editor:
        vectors = open_editor(run, model, list(parsed), kept, root, "cpu", direction).vectors
    with bars(console) as note:
        write(run, out, parsed, vectors if parsed else None, kept if parsed or not editor else [], note, raw, editor)
    about = json.loads((out / "export.json").read_text(encoding="utf-8"))
    if editor:
        entry = export_editor(run, out / EDITOR, vectors, kept, direction)
        about["files"][EDITOR] = {key: entry[key] for key in ENTRY}
        write_json(out / "export.json", about)
    for name in about["files"]:
        wrote(console, out / name)
    wrote(console, out / "export.json")
