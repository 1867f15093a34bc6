"""The command measure-edits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mien.cli.app import app
from mien.cli.measure import FolderCrop
from mien.cli.measuring import JsonFile
from mien.cli.outputs import Force, file_path
from mien.cli.shared import Device, Seed, bars, make_console, pick_device, run_folder, wrote
from mien.errors import MienError

NAMED = 5  # files that are printed


@app.command("measure-edits", rich_help_panel="Measure")
def measure_edits(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="A folder or a zip of pictures.")],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="Their edits, with the same file names.")],
    attr: Annotated[
        str,
        typer.Option(metavar="NAME", help="The attribute that the edits add; NAME=-1 if they remove it."),
    ],
    judge: Annotated[
        Path, typer.Option(parser=run_folder, metavar="RUN", help="A judge of attributes: a run, or judge-64.")
    ],
    real: Annotated[
        list[Path] | None,
        typer.Option(
            help="A folder of the judge's data set, with labels, for its thresholds and the ceiling; repeat it to join "
            "folders.  [default: threshold 0.5, and the judge's stored recall]",
            show_default=False,
        ),
    ] = None,
    unedited: Annotated[
        Path | None,
        typer.Option(help="Plain reconstructions of the pictures by the tool.  [default: BEFORE]", show_default=False),
    ] = None,
    crop: FolderCrop = 0,
    count: Annotated[int, typer.Option(help="Pairs at most, drawn by --seed; 0 takes all.", min=0)] = 0,
    seed: Seed = 0,
    out: JsonFile = None,
    force: Force = False,
    device: Device = "auto",
) -> None:
    """Measure edits that any tool made: how often a judge finds the attribute, what else changes, and the identity.

    A picture and its edit have the same name in both folders. The protocol is that of the measure edits of mien
    evaluate: success, the same of unedited pictures, what the judge finds in real ones (the ceiling), gain, leakage.

    Examples:
      mien measure-edits photos/ smiling/ --attr Smiling --judge judge-64
      mien measure-edits photos/ shaved/ --attr Mustache=-1 --judge judge-64
      mien measure-edits photos/ smiling/ --attr Smiling --judge runs/judge --real data/celeba --json result.json
    """
    name, sign = parse_change(attr)
    if out is not None:
        out = file_path(out, "", force)
    from mien.evaluation import folder_edits
    from mien.files import write_json

    console = make_console()
    with bars(console) as note:
        result = folder_edits.measure_edits(
            before, after, name, judge, sign, real or (), unedited, crop, count, seed, pick_device(device), note
        )
    for what, lines in (("left out", result["unread"]), ("no partner for", result["without_partner"])):
        for line in lines[:NAMED]:
            console.print(f"{what} {line}", style="bold", highlight=False, markup=False, soft_wrap=True)
        if len(lines) > NAMED:
            console.print(f"{what} {len(lines) - NAMED:,} more: see --json", highlight=False)
    console.print(_table(result))
    for text in (result["reference"], f"{result['reading']}; seed {result['seed']}; {result['seconds']:.0f} s"):
        console.print(text, style="dim", highlight=False, markup=False)
    for key, reason in result["left_out"].items():
        console.print(f"{key} left out: {reason}", style="dim", highlight=False, markup=False)
    if out is not None:
        from mien import __version__

        write_json(out, {"mien": __version__, **result})
        wrote(console, out)


def parse_change(text: str) -> tuple[str, int]:
    """Return the attribute and the sign of ``--attr``.

    Raises:
        MienError: a value other than 1 and -1.

    >>> parse_change("Smiling"), parse_change("Mustache=-1")
    (('Smiling', 1), ('Mustache', -1))
    """
    name, equals, value = text.partition("=")
    signs = {"1": 1, "+1": 1, "-1": -1} | ({} if equals else {"": 1})
    if value not in signs or not name:
        raise MienError(f"expected --attr NAME, NAME=+1 or NAME=-1, got {text}: such as --attr Smiling")
    return name, signs[value]


def _table(result: dict[str, Any]) -> Any:
    from rich.table import Table

    title = f"{result['attribute']} {result['change']}, {result['pairs']:,} pairs, judge {result['judge']['run']}"
    table = Table("measure", "value", "how", title=title, title_justify="left")
    errors = result["standard_errors"]

    def share(key: str) -> str:
        value, error = result[key], errors.get(key)
        return "–" if value is None else f"{value:.1%}" + ("" if error is None else f" ± {error:.1%}")

    target = "with" if result["change"] == "added" else "without"
    table.add_row(
        "success", share("success"), f"edits that the judge finds {target} it, threshold {result['threshold']:.3f}"
    )
    plain = "plain reconstructions" if result["unedited_folder"] else "pictures before the edit"
    table.add_row("  unedited", share("unedited"), f"the same of the {plain}")
    table.add_row("  ceiling", share("ceiling"), f"the same of real pictures {target} it")
    table.add_row("gain", share("gain"), "(success − unedited) / (ceiling − unedited)")
    leaked = ", ".join(f"{name} {value:.0%}" for name, value in result["most_leaked"].items())
    table.add_row(
        "leakage", share("leakage"), f"other attributes that change; most: {leaked}" if leaked else "none changes"
    )
    for label, value, how in _others(result):
        table.add_row(label, value, how)
    return table


def _others(result: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return the rows of identity, pixels and LPIPS that were measured."""
    rows = []
    if one := result.get("identity"):
        edits, others = one["edits"], one["other_pictures"]
        how = f"{edits['n']} of {edits['pairs']} pairs with both faces found; "
        how += f"{edits['within']:.0%} within {edits['threshold']:g}"
        rows.append(("identity distance", _number(edits["mean"], edits["sd"], 3), how))
        if others and others["n"]:
            rows.append(
                ("  other pictures", _number(others["mean"], others["sd"], 3), "the next picture of the folder")
            )
    if one := result.get("pixels"):
        rows.append(
            ("pixel change", f"{one['change']:.2f}", f"mean |difference| of {one['n']} pairs, levels of 0 to 255")
        )
        if one["faces"]:
            rows.append(("  inside the face", f"{one['inside_face']:.2f}", f"{one['faces']} pairs with a face found"))
            rows.append(("  outside the face", f"{one['outside_face']:.2f}", "the same pairs"))
    if one := result.get("lpips"):
        rows.append(("LPIPS", _number(one["mean"], one["sd"], 3), f"{one['n']} pairs, {one['weights']}"))
    return rows


def _number(mean: float, sd: float | None, digits: int) -> str:
    return f"{mean:.{digits}f}" + ("" if sd is None else f" ± {sd:.{digits}f}")
