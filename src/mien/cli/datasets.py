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
    from rich.markup import escape
    from rich.table import Table

    from mien import data as datasets_
    from mien.settings import meanings

    console = make_console()
    table = Table("data set", "options (--data-option)", "what it is")
    for name in datasets_.names():
        texts = meanings(datasets_.get(name))
        texts = {key: text.replace("``", "") for key, text in texts.items()}
        options = [f"{k}={v}: {texts[k]}" if k in texts else f"{k}={v}" for k, v in datasets_.options(name).items()]
        first = datasets_.describe(name)
        # a description may begin with the name of the set
        table.add_row(name, escape("\n".join(options)), escape(first.partition(": ")[2].strip() or first))
    console.print(table)
