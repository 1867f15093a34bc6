"""The Typer application that the commands register with."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(
    name="mien",
    help="Encode, generate, edit and recognize images with hybrids of VAEs and GANs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Start with:  [bold]mien demo[/]   or   [bold]mien train vae --data avatars --size 32 --steps 500[/]",
)
data_app = typer.Typer(help="Prepare pictures for training.", no_args_is_help=True)
app.add_typer(data_app, name="data", rich_help_panel="Train")


def _version(wanted: bool) -> None:
    if wanted:
        from mien import __version__

        print(f"mien {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


# ---------------------------------------------------------------------------------------------- help for commands
