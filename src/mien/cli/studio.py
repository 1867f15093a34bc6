"""The command studio."""

from __future__ import annotations

import threading
from typing import Annotated

import typer

from mien.cli.app import app
from mien.cli.shared import Device, Root, bars, make_console, pick_device

DEFAULT = ("faces-64", "glasses-64", "smile-64", "recognizer-64")


@app.command(rich_help_panel="Use a run")
def studio(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            help=f"Run folders, or names of mien pretrained.  [default: {' '.join(DEFAULT)}]", show_default=False
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 lets others in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.", min=1, max=65535)] = 7860,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open the page in a browser.")] = False,
    root: Root = None,
    device: Device = "auto",
) -> None:
    """Serve a page in the browser on which photos are edited and models are explored; Ctrl-C ends it.

    The panels follow the abilities of the runs: edit, generate, recognize, interpolate, compare, map, and watch for a
    training that runs. The page works without a network, and photos are removed at the end.

    Examples:
      mien studio
      mien studio runs/faces runs/judge
      mien studio runs/faces --port 8000 --no-browser
      mien studio runs/training  # watches a training
      mien studio faces-64 --root ~/celeba  # with its data: a map, and examples to edit
    """
    from mien.studio.serving import check_gradio, check_port, served

    check_gradio()
    check_port(host, port)
    from mien.studio.runs import serve

    console = make_console()
    with bars(console) as note:
        progress = (lambda done, total: note("prepare the data", done, total)) if root else None
        opened = serve(runs or list(DEFAULT), pick_device(device), root, progress)
    with served(opened, host, port, not no_browser) as address:
        console.print(f"the studio is at {address} (Ctrl-C ends it)", markup=False, highlight=False, soft_wrap=True)
        threading.Event().wait()
