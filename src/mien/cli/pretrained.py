"""The command pretrained: the models that come with the package."""

from __future__ import annotations

from typing import Annotated

import typer

from mien import models
from mien import pretrained as shipped
from mien.cli.app import app
from mien.cli.shared import make_console


@app.command(rich_help_panel="Look up")
def pretrained(
    name: Annotated[str | None, typer.Argument(help="The model whose card is printed.", show_default=False)] = None,
) -> None:
    """List the models that come with the package, or print the card of one; its name stands for a run folder.

    Examples:
      mien pretrained
      mien pretrained faces-64
      mien edit faces-64 me.jpg Smiling=+1
    """
    if name is None:
        _list()
    else:
        make_console().print(shipped.card_text(name), markup=False, highlight=False, soft_wrap=True, end="")


def _list() -> None:
    from rich.table import Table

    console, names = make_console(), shipped.names()
    if not names:
        console.print("no model comes with this version of mien: train one with mien train", highlight=False)
        return
    table = Table("name", "size", "abilities", "good for", "measured on held-out pictures")
    for each in names:
        card = shipped.card(each)
        numbers = "\n".join(f"{row['label']} {row['value']}" for row in card["main"])
        abilities = ", ".join(models.abilities(card["model"])).lower()
        table.add_row(each, f"{shipped.size(each) / 1e6:.1f} MB", abilities, card["title"], numbers)
    console.print(table)
    console.print("mien pretrained NAME prints a card: data, training, numbers, limits, license", style="dim")
