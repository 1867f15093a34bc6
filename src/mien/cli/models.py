"""The command models: every model, or the settings of one."""

from __future__ import annotations

from typing import Annotated

import typer

from mien import models as models_
from mien.cli.app import app
from mien.cli.shared import make_console


@app.command(rich_help_panel="Look up")
def models(
    name: Annotated[str | None, typer.Argument(help="Show this model's settings.", show_default=False)] = None,
) -> None:
    """List the models with what they can do, or the settings of one.

    [bold]Examples[/]

      mien models

      mien models vae_wgan
    """
    from rich.table import Table

    if name is None:
        table = Table("model", "abilities", "what it is")
        for each in models_.names():
            table.add_row(each, " ".join(models_.abilities(each)), models_.describe(each).partition(":")[2].strip())
        make_console().print(table)
        return
    models_.check_name(name)
    from mien.models.base import arguments

    table = Table("--set", "type", "default", title=models_.describe(name), title_justify="left")
    for key, parameter in arguments(name).items():
        if key not in ("shape", "attributes", "classes"):
            kind = (
                getattr(parameter.annotation, "__name__", str(parameter.annotation))
                if "[" not in str(parameter.annotation)
                else str(parameter.annotation)
            )
            table.add_row(
                key,
                kind,
                "vgg19" if parameter.default is parameter.empty else str(parameter.default),
            )
    make_console().print(table)
