"""The command web: a static page that edits photos in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.app import app
from mien.cli.editing import Direction, Keep, open_editor
from mien.cli.outputs import Force, place
from mien.cli.shared import Root, Run, bars, load_model, make_console


@app.command(rich_help_panel="Use a run")
def web(
    run: Run,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The folder to write.  [default: web]", show_default=False)
    ] = None,
    runtime: Annotated[
        Path | None,
        typer.Option(help="The folder or the .tgz of the npm package onnxruntime-web.", show_default=False),
    ] = None,
    keep: Keep = None,
    direction: Direction = "mean",
    root: Root = None,
    force: Force = False,
) -> None:
    """Write a static page that edits photos in the browser: no server code, and no photo leaves the machine.

    The page has the editor of the run as ONNX and runs it by onnxruntime-web, which does not come with mien. A visitor
    chooses a photo, marks the eyes and the mouth, and moves sliders; those that work best come first.

    Examples:
      npm pack onnxruntime-web@1.30.0
      mien web faces-64 --runtime onnxruntime-web-1.30.0.tgz --out page
      python -m http.server --directory page --bind 127.0.0.1
    """
    from mien.web.runtime import FILES, read_runtime

    read_runtime(runtime)  # a missing package is reported before the model is loaded
    from mien.export_editor import check_model
    from mien.web.page import files, write_page

    out = place(out, "web", force, lambda folder: [folder / name for name in files(FILES)])
    model = load_model(run, "cpu")
    check_model(model)
    vectors = open_editor(run, model, [], keep or [], root, "cpu", direction).vectors
    console = make_console()
    with bars(console) as note:
        write_page(run, out, vectors, runtime, keep or [], direction, note)
    size = sum((out / name).stat().st_size for name in files(FILES))
    console.print(
        f"wrote {out}: {len(files(FILES))} files, {size / 1e6:.0f} MB", highlight=False, markup=False, soft_wrap=True
    )
    console.print(
        f"look at it: python -m http.server --directory {out} --bind 127.0.0.1, then http://127.0.0.1:8000/",
        style="dim", highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip
