"""The command demo: from nothing to a page, in a few minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.app import app
from mien.cli.shared import Seed, make_console


@app.command(rich_help_panel="Train")
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")] = Path("demo"),
    seed: Seed = 0,
) -> None:
    """Edit a photo, train a small VAE-WGAN on avatars, and show all it can do on one page, in a few minutes.

    Example:
      mien demo --out demo
    """
    from mien.recipes.demo import run as run_demo

    page = run_demo(out, seed, make_console())
    make_console().print(f"open {page}", highlight=False, soft_wrap=True)
