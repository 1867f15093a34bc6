"""The command report: pages of the results of mien reproduce."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.app import app
from mien.cli.outputs import Force, place
from mien.cli.shared import make_console, wrote
from mien.errors import MienError, MienWarning

Results = Annotated[Path, typer.Argument(help="The folder of the results, as mien reproduce writes it.")]
Check = Annotated[
    bool,
    typer.Option(
        "--check", help="Write nothing: print the pages that are stale, with exit code 1 if any.  [default: no]"
    ),
]
DEFAULT = Path("report")


@app.command(rich_help_panel="Measure")
def report(
    results: Results = Path("results") / "recipes",
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")] = DEFAULT,
    force: Force = False,
    check: Check = False,
) -> None:
    """Write pages of the results of mien reproduce: the papers' numbers beside ours, figures and verdicts.

    The folder gets index.html (all results on one page that needs no network), index.md, and one page for each paper.
    A result that is damaged is one line, and all others are reported.

    Examples:
      mien report
      mien report my-results --out my-report
      mien report --check
    """
    import warnings

    from mien.recipes import names
    from mien.recipes import report as pages
    from mien.recipes.collection import collect

    collection = collect(results)
    for line in (*collection.faults, *collection.remarks):
        warnings.warn(line, MienWarning, stacklevel=2)
    if not collection.results:
        raise MienError(
            f"expected results in {results}, got none to report: run mien reproduce {names()[0]} --scale smoke first"
        )
    if out.is_file():
        raise MienError(f"expected a folder for --out, got {out}, a file: such as --out my-report")
    files, console = pages.build(collection), make_console()
    if check:
        _check(pages.stale(files, out), out, results)
        return
    out = place(None if out == DEFAULT else out, str(DEFAULT), force, lambda folder: [folder / name for name in files])
    pages.write(files, out)
    count = len(collection.results)
    console.print(f"{count} result{'s' * (count != 1)}", style="dim", highlight=False)
    wrote(console, out / pages.PAGE)
    wrote(console, out / pages.INDEX)


def _check(stale: list[str], out: Path, results: Path) -> None:
    """Print the stale pages; exit with 1 if there are any."""
    from mien.errors import one_line

    for name in stale:
        print(f"stale: {one_line(str(out / name))}")
    if stale:
        print(f"run mien report {one_line(str(results))} --out {one_line(str(out))}")
        raise typer.Exit(1)
