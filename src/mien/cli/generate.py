"""The command generate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from mien.cli.app import app
from mien.cli.editing import parse_amounts
from mien.cli.many import folder_or_sheet, is_folder, targets, write_each
from mien.cli.outputs import Force
from mien.cli.shared import Device, Out, Run, Seed, load_model, make_console, save_figure, shown
from mien.errors import MienError, UnknownName

ON_A_SHEET = 1024  # generated pictures


@app.command(rich_help_panel="Use a run")
def generate(
    run: Run,
    amounts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ATTRIBUTE=AMOUNT",
            help="Attributes that the pictures have (+1) or do not have (-1); a draw decides the others.",
            show_default=False,
        ),
    ] = None,
    n: Annotated[int, typer.Option("-n", "--n", help="Number of pictures.", min=1)] = 64,
    seed: Seed = 0,
    out: Out = None,
    force: Force = False,
    device: Device = "auto",
) -> None:
    """Generate new pictures: one sheet (a file), or one file for each (a folder).

    Examples:
      mien generate runs/faces -n 64 --out samples.png
      mien generate runs/faces -n 1000 --seed 1 --out samples/
      mien generate runs/iterative_gan Smiling=+1 Male=-1
    """
    parsed = parse_amounts(amounts or [])
    out = folder_or_sheet(out, "samples.png", force)
    if not is_folder(out) and n > ON_A_SHEET:
        raise MienError(
            f"expected up to {ON_A_SHEET} pictures on one sheet, got {n}: pass a folder, such as --out samples/"
        )
    model = load_model(run, device, "Generates")
    from mien import applications, figures
    from mien.applications.basics import generate_batches

    conditions = _conditions(model, n, parsed)
    if not is_folder(out):
        x = applications.generate(model, n, seed, conditions)
        save_figure(figures.samples(shown(x)), out, make_console())
        return
    names = [Path("new") / f"{number:06d}" for number in range(n)]
    batches = zip(_parts(names), generate_batches(model, n, seed, conditions), strict=True)
    write_each(targets(names, out, model.config["shape"], force=force), batches, lambda x: [x], "pictures", out)


def _parts(names: list[Path]) -> Iterator[list[Path]]:
    """Yield names, as many at a time as pictures are generated."""
    from mien.applications.basics import BATCH

    return (names[start : start + BATCH] for start in range(0, len(names), BATCH))


def _conditions(model: Any, n: int, amounts: dict[str, float]) -> Any:
    """Return attributes (n, A) of +1, -1, or 0 where no amount is given; None without amounts."""
    if not amounts:
        return None
    import torch

    if not model.conditions:
        raise MienError(
            f"expected a model that generates pictures with given attributes, got {model.name}: "
            f"use a run of {' or '.join(_conditional())}"
        )
    rows = torch.zeros(n, len(model.conditions))
    for name, amount in amounts.items():
        if name not in model.conditions:
            raise UnknownName("attribute", name, model.conditions)
        rows[:, model.conditions.index(name)] = 1.0 if amount > 0 else -1.0
    return rows


def _conditional() -> list[str]:
    """Return the models that generate, and are built for the data set's attributes."""
    from mien import models
    from mien.models.base import arguments

    return [name for name in models.models_with(["Generates"]) if "attributes" in arguments(name)]
