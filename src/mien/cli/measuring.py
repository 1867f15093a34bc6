"""The options that evaluate and compare share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.shared import run_folder

Judge = Annotated[
    Path | None,
    typer.Option(
        parser=run_folder,
        metavar="RUN",
        help="A run that recognizes and describes pictures, never the run's own loss network.",
        show_default=False,
    ),
]
JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write all numbers as JSON.", show_default=False)
]
Count = Annotated[int, typer.Option(help="Held-out pictures, and samples, at most.", min=16)]
Metrics = Annotated[
    list[str] | None,
    typer.Option(
        "--metric", help="This measure; repeat for several, or all.  [default: the usual]", show_default=False
    ),
]
