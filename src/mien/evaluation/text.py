"""The tables of an evaluation for the terminal. This module does not import torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mien.evaluation.result import NOTHING, Evaluation
from mien.evaluation.warnings import below_baseline, edits_without_effect

if TYPE_CHECKING:
    from rich.table import Table


MARK = "*"
UNCHANGED = f"{MARK} edits of this run do not change the attribute, by the judge."


def marked(evaluation: Evaluation) -> list[dict[str, str]]:
    """Return the cells of each attribute, with a mark after the attributes that edits do not change."""
    names = edits_without_effect(evaluation)
    return [
        {**cells, "attribute": f"{cells['attribute']}{MARK if cells['attribute'] in names else ''}"}
        for cells in evaluation.cells()
    ]


def tables(evaluation: Evaluation) -> list[Table]:
    """Return rich tables of an evaluation: one of all rows, and one with a row for each attribute."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    judge = f", judge {evaluation.judge.run}" if evaluation.judge else ""
    title = f"{evaluation.run} on {evaluation.data.name} at {evaluation.data.size_text}{judge}"
    first = Table("measure", "value", "how", title=title, title_justify="left")
    for row in evaluation.rows():
        first.add_row(row.heading, row.text, row.how)
    left_out = [f"{name} left out: {why}" for name, why in evaluation.skipped.items()]
    notes = [evaluation.data.words(note) for note in left_out + below_baseline(evaluation)]
    if notes:
        first.caption, first.caption_justify = "\n".join(notes), "left"
    cells = marked(evaluation)
    if not cells:
        return [first]
    # little padding: the longest of CelebA's names and six numbers fit into 80 columns
    second = Table(title="by attribute", title_justify="left", box=SIMPLE_HEAD, padding=(0, 0, 0, 1))
    for name in cells[0]:
        second.add_column(name, justify="left" if name == "attribute" else "right")
    for texts in cells:
        second.add_row(*texts.values())
    if edits_without_effect(evaluation):
        second.caption, second.caption_justify = UNCHANGED, "left"
    return [first, second]


def side_by_side(evaluations: Sequence[Evaluation]) -> list[dict[str, str]]:
    """Return one row of text cells for each measure, with a column for each run."""
    columns = [_by_label(evaluation) for evaluation in evaluations]
    return [
        {
            "measure": key[-1],
            **{each.run: column.get(key, NOTHING) for each, column in zip(evaluations, columns, strict=True)},
        }
        for key in dict.fromkeys(key for column in columns for key in column)
    ]


def _by_label(evaluation: Evaluation) -> dict[tuple[str, str], str]:
    """Return the texts of rows. The key is the label of the last row without indent, and the row's own heading."""
    texts: dict[tuple[str, str], str] = {}
    lead = ""
    for row in evaluation.rows():
        lead = lead if row.indented else row.label
        texts[lead, row.heading] = row.text
    return texts
