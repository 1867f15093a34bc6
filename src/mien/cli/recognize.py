"""The command recognize."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from mien.cli.app import app
from mien.cli.faces import searched
from mien.cli.many import escaped, few, parts, picture_files, print_unread, printable, recordings
from mien.cli.outputs import Force, file_path, picture_path
from mien.cli.photos import NoAlign, OneFace, aligned_parts, template_for
from mien.cli.shared import Device, Out, Run, bars, load_model, make_console, print_json, save_figure, shown, wrote

SIDE_BY_SIDE = 5  # pictures at most that have a column each; of more, each has a line


@app.command(rich_help_panel="Use a run")
def recognize(
    run: Run,
    pictures: Annotated[list[Path], typer.Argument(help="Picture files, or folders of them.", show_default=False)],
    face: OneFace = 1,
    no_align: NoAlign = False,
    windows: Annotated[
        bool, typer.Option("--windows", help="Of signals: a row for each window of a recording, not for the first one.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    out: Out = None,
    force: Force = False,
    device: Device = "auto",
) -> None:
    """Recognize attributes or classes of pictures, with their probabilities; --out NAME.csv writes a table.

    A model of aligned faces finds the face in an ordinary photo and aligns it; of several faces it takes the largest.

    Examples:
      mien recognize recognizer-64 me.jpg
      mien recognize runs/cnn me.jpg --out me.png
      mien recognize runs/cnn *.jpg --json
      mien recognize runs/cnn photos/ --out photos.csv
      mien recognize runs/bearing recording.npy --windows --out rows.csv
    """
    table = out is not None and out.suffix.lower() == ".csv"
    if out:
        out = file_path(out, "", force) if table else picture_path(out, "recognized.png", force)
    model = load_model(run, device, "Recognizes")
    import numpy as np

    from mien import applications, figures

    files = picture_files(pictures, model.config["shape"])
    drawn: list[Any] = []
    results: list[Any] = []
    read: list[Path] = []
    unread: list[str] = []
    if out and not table:
        few(files, "--out table.csv")
    console = make_console(json)
    with bars(console) as note:
        skip = unread if files != pictures else None
        template = template_for(run, no_align)
        if windows:
            read_parts = recordings(files, model, skip)
        elif template is None:
            read_parts = searched(run, parts(files, model, skip))
        else:
            read_parts = aligned_parts(files, template, face, skip)
        for part, x in read_parts:
            results.append(applications.recognize(model, x).cpu().numpy())
            drawn += [x] if out and not table else []
            read += part
            if len(files) > len(part) and not windows:
                note("recognizing", len(read) + len(unread), len(files))
    print_unread(console, unread, len(read))
    files = read
    names = list(model.config.get("attributes") or model.config.get("classes") or [])
    probabilities = np.concatenate(results)
    if json:
        rows = [
            {"file": str(file), **dict(zip(names, map(float, row), strict=True))}
            for file, row in zip(files, probabilities, strict=True)
        ]
        print_json(rows)
    elif len(files) <= SIDE_BY_SIDE:
        _side_by_side(files, names, probabilities, console)
    elif not table:
        _line_by_line(files, names, probabilities, console, bool(model.config.get("attributes")))
    if out and table:
        _write_csv(files, names, probabilities, out)
        wrote(console, out)
    elif out:
        save_figure(figures.probabilities(shown(np.concatenate(drawn)), probabilities, names), out, console)


def _side_by_side(files: Sequence[Path], names: Sequence[str], probabilities: Any, console: Any) -> None:
    from rich.table import Table

    table = Table("attribute or class", *[escaped(file.name) for file in files])
    for a in sorted(range(len(names)), key=lambda a: -probabilities[:, a].mean()):
        cells = [f"[bold green]{p:.2f} ●[/]" if p > 0.5 else f"{p:.2f}  " for p in probabilities[:, a]]
        table.add_row(names[a], *cells)
    console.print(table)


def _line_by_line(files: Sequence[Path], names: Sequence[str], probabilities: Any, console: Any, several: bool) -> None:
    """Print for each file the attributes of a probability above 0.5 (``several``), or the most probable class."""
    for file, row in zip(files, probabilities, strict=True):
        order = (-row).argsort()
        chosen = [a for a in order if row[a] > 0.5] if several else order[:1]
        text = ", ".join(f"{names[a]} {row[a]:.2f}" for a in chosen) or "nothing"
        console.print(f"{printable(file.name)}: {text}", markup=False, highlight=False, soft_wrap=True)


def _write_csv(files: Sequence[Path], names: Sequence[str], probabilities: Any, out: Path) -> None:
    import csv
    import io

    from mien.files import write_atomically

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", *names])
    writer.writerows([str(file), *(f"{p:.4f}" for p in row)] for file, row in zip(files, probabilities, strict=True))
    data = text.getvalue().encode("utf-8", "surrogateescape")  # a file's name need not be UTF-8
    write_atomically(out, lambda path: path.write_bytes(data))
