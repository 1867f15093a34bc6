"""The command push: a run for other people, on the Hugging Face Hub."""

from __future__ import annotations

from typing import Annotated

import typer

from mien.cli.app import app
from mien.cli.shared import Run, make_console
from mien.errors import one_line


@app.command(rich_help_panel="Use a run")
def push(
    run: Run,
    name: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="The repository on the Hub.", show_default=False)],
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    title: Annotated[str, typer.Option(help="One line of the model card: what the model is good for.")] = "",
    license: Annotated[
        str,
        typer.Option(help="License and allowed use, for the card.  [known for avatars and CelebA]", show_default=False),
    ] = "",
    branch: Annotated[
        str | None, typer.Option(help="The branch to push to.  [default: main]", show_default=False)
    ] = None,
    message: Annotated[str, typer.Option(help="The message of the commit.", show_default=False)] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be uploaded, and send nothing.")] = False,
) -> None:
    """Upload a run to the Hugging Face Hub, with a model card made from its evaluation.

    Configuration, weights, attribute vectors, evaluation and card are uploaded. Pictures, logs, the state of the
    training and paths of this machine are not. The login is that of HF_TOKEN or of "hf auth login".

    Every command then takes hf://OWNER/NAME or hf://OWNER/NAME@REVISION as a run.

    Examples:
      mien push runs/faces me/faces --dry-run
      mien push runs/faces me/faces --private --title "Edits faces of 64 pixels"
      mien edit hf://me/faces photo.jpg Smiling=+1
    """
    from mien.run.folder import check_abilities
    from mien.run.remote import check_name, library

    check_name(name)
    check_abilities(run, [])
    console = make_console()
    if not dry_run:
        library()  # a missing package is reported before the model is loaded
    from mien.hub import plan, push_to_hub

    upload = plan(run, name, title=title, license=license)
    if dry_run:
        console.print(f"would upload to {name} ({'private' if private else 'public, unless the owner set otherwise'}):")
        for file, size in upload.files.items():
            console.print(f"  {file}: {size:,} bytes", markup=False, highlight=False)
        console.print(upload.card.partition("\n## ")[0], markup=False, highlight=False, soft_wrap=True)
        return
    address = push_to_hub(
        run, name, private=private or None, title=title, license=license, branch=branch, commit_message=message
    )
    console.print(
        f"pushed {len(upload.files)} files: {one_line(address)}", markup=False, highlight=False, soft_wrap=True
    )
    console.print(f"use it as hf://{name}", style="dim", markup=False, highlight=False)
