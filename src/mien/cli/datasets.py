"""The command datasets: every data set with its options."""

from __future__ import annotations

from mien.cli.app import app
from mien.cli.shared import make_console


@app.command(rich_help_panel="Look up")
def datasets() -> None:
    """List the data sets with their options.

    Example:

      mien datasets
    """
    from rich.table import Table

    from mien import data as datasets_

    table = Table("data set", "options (--data-option)", "what it is")
    for name in datasets_.names():
        options = ", ".join(f"{k}={v}" for k, v in datasets_.options(name).items())
        table.add_row(name, options, datasets_.describe(name).partition(":")[2].strip())
    make_console().print(table)
