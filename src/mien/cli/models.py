"""The command models."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

import typer

from mien import models as models_
from mien.abilities import ABILITIES
from mien.cli.app import app
from mien.cli.pretrained import pretrained as show_pretrained
from mien.cli.shared import make_console
from mien.errors import MienError


@app.command(rich_help_panel="Look up")
def models(
    name: Annotated[str | None, typer.Argument(help="The model to describe.", show_default=False)] = None,
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="List the models that come with the package, as mien pretrained does.")
    ] = False,
) -> None:
    """List the models with their abilities, or describe one: its abilities, and its settings with their defaults.

    Examples:
      mien models
      mien models vae_wgan
      mien models ./my_model.py:MyModel
      mien models --pretrained
    """
    if pretrained:
        show_pretrained(name)
    elif name is None:
        _list()
    else:
        _describe(models_.use(name))


def _list() -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table("model", "abilities", "what it is")
    for name in models_.names():
        try:
            has, text = ", ".join(models_.abilities(name)).lower(), models_.describe(name).partition(":")[2].strip()
        except MienError as error:  # an installed package that is broken hides no other model
            has, text = "", str(error)
        table.add_row(escape(name), has, escape(text))
    make_console().print(table)


def _describe(name: str) -> None:
    from rich.table import Table

    from mien.models.base import arguments, setting_types
    from mien.settings import in_words, meanings

    console = make_console()
    console.print(models_.describe(name), markup=False, highlight=False)
    for ability in ABILITIES:
        if ability.__name__ in models_.abilities(name):
            sentence = (inspect.getdoc(ability) or "").partition("\n")[0]
            console.print(f"  {ability.__name__.lower()}: {sentence}", markup=False, highlight=False)
    texts, parameters = meanings(models_.get(name)), arguments(name)
    table = Table("--set", "type", "meaning")
    for key, annotation in setting_types(name).items():
        kind = in_words(annotation).removeprefix("a ")
        table.add_row(f"{key}={_default(parameters[key].default)}", kind, _sentence(texts.get(key, "")))
    console.print(table)


def _sentence(text: str) -> str:
    """Return a text of a docstring as a sentence for a terminal."""
    return text[:1].upper() + text[1:].replace("``", "")


def _default(value: Any) -> str:
    """Return a default as it is written after ``--set``; the loss network has the default ``vgg19``."""
    if value is inspect.Parameter.empty:
        return "vgg19"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
