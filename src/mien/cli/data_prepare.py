"""The command data prepare."""

from __future__ import annotations

from typing import Annotated

import typer

from mien.cli.app import data_app
from mien.cli.shared import DataOptions, Root, Size, bars, make_console, wrote

SHOWN = 20  # rejected pictures that are printed


@data_app.command("prepare")
def prepare(
    name: Annotated[str, typer.Argument(help="A data set: see mien datasets.", show_default=False)],
    root: Root = None,
    size: Size = None,
    data_option: DataOptions = None,
) -> None:
    """Decode, crop and scale every picture once; the same command resumes it.

    Examples:
      mien data prepare avatars --size 32 --data-option count=6000
      mien data prepare celeba --root ~/celeba --size 64
      mien data prepare folder --root ~/photos --data-option table=~/photos/attributes.csv
    """
    from mien import data as datasets

    name = datasets.use(name)
    from mien.data.report import attribute_lines, omission_line

    options = datasets.parse_options(name, data_option or [])
    size = datasets.default_size(name) if size is None else size
    datasets.check_size(name, size)
    console = make_console()
    with bars(console) as note:
        dataset = datasets.load(name, root, size, lambda done, total: note(f"prepare {name}", done, total), **options)
    rejected = dataset.report.get("rejected", [])
    height, width = dataset.shape[1:]
    console.print(f"{len(dataset):,} pictures of {height}x{width}, {len(rejected)} rejected", highlight=False)
    if line := omission_line(dataset.report):
        console.print(line, markup=False, highlight=False)
    for line in attribute_lines(dataset.report):
        console.print(f"  {line}", markup=False, highlight=False)
    for row in rejected[:SHOWN]:
        console.print(f"  {row['file']}: {row['reason']}", markup=False, highlight=False)
    if len(rejected) > SHOWN:
        more = len(rejected) - SHOWN
        console.print(f"  … and {more} more in {dataset.folder / 'report.json'}", markup=False)
    wrote(console, dataset.folder)
