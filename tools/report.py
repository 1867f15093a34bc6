"""Write the tables of README.md and docs/*.md and the pages docs/papers/*.md, or store evaluated runs as a result.

All numbers in the pages come from files in results/. A page marks the place of a table with `<!-- report: NAME -->`
before it and `<!-- /report -->` after it. Run this script in the project's folder.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import report_compared
import report_pretrained
import report_recipes
import report_studio
import report_tables as tables
import report_torture

from mien.errors import MienError, UnknownName
from mien.files import write_atomically
from mien.run.folder import PROGRESS, read_config

README, DOCS, RESULTS = Path("README.md"), Path("docs"), Path("results")
LEADING = ("celeba64", "demo")  # the results that the README shows; docs/ shows all
MARK = re.compile(r"<!-- report: (.*?) -->\n")
END = "<!-- /report -->"
EXAMPLES = """examples:
  python tools/report.py
  python tools/report.py runs/a runs/b --store results/faces.json --title "a against b" --command "mien train ..."
"""

Blocks = Mapping[str, Callable[[], str]]


def blocks(page: Path, results: Path = RESULTS) -> Blocks:
    """Return the function of each mark of a page; the README has shorter tables of results and speed."""

    def all_results() -> str:
        makers = (tables.result_tables, tables.multiview_tables, tables.face_table, tables.label_table)
        return "\n\n".join(filter(None, (make(results) for make in makers)))

    def all_speed() -> str:
        return "\n\n".join(filter(None, (tables.bench_table(results), tables.cost_table(results))))

    short = page.name == README.name
    return {
        "models": tables.model_table,
        "data": tables.data_table,
        "measures": tables.measure_table,
        "results": partial(tables.result_tables, results, LEADING) if short else all_results,
        "photos": partial(tables.photo_tables, results),
        "studio": partial(report_studio.table, results),
        "compared": partial(report_compared.tables, results),
        "pretrained": report_pretrained.table,
        "torture": partial(report_torture.table, results),
        "recipes": partial(report_recipes.recipe_table, results),
        "papers": partial(report_recipes.paper_table, results),
        "bench": partial(tables.bench_table, results) if short else all_speed,
    }


def write(readme: Path = README, docs: Path = DOCS, results: Path = RESULTS) -> list[Path]:
    """Rewrite the marked blocks of the README and of the pages in docs/, and the pages of the papers.

    Returns:
        The paths of the pages with marks, and of the pages of the papers if ``docs`` has a folder for them.

    Raises:
        MienError: no README, no marks in any page, an unknown mark, or a damaged result. No page is written then.
    """
    if not readme.exists():
        raise MienError(f"expected {readme} in this folder, got none: run tools/report.py in the project's own folder")
    pages = [readme, *sorted(docs.glob("*.md"))]
    texts = {page: filled(page, blocks(page, results)) for page in pages}
    marked = {page: text for page, text in texts.items() if text is not None}
    if not marked:
        raise MienError(
            f"expected the marks '<!-- report: models -->' and '{END}' in {readme} or {docs}/*.md, got none"
        )
    marked |= report_recipes.paper_pages(docs, results)
    for page, text in marked.items():
        write_atomically(page, partial(Path.write_text, data=text, encoding="utf-8"))
    return list(marked)


def filled(page: Path, contents: Blocks) -> str | None:
    """Return the text of a page with rewritten blocks; None for a page without marks.

    Raises:
        MienError: a mark that is not in ``contents``, or that has no end.
    """
    text = page.read_text(encoding="utf-8")
    parts, position = [], 0
    for mark in MARK.finditer(text):
        name, end = mark[1], text.find(END, mark.end())
        if name not in contents:
            raise UnknownName(f"mark in {page}", name, contents)
        following = MARK.search(text, mark.end())
        if end < 0 or (following and following.start() < end):
            raise MienError(f"expected '{END}' after '<!-- report: {name} -->' in {page}, got none: write it there")
        parts += [text[position : mark.end()], contents[name](), "\n"]
        position = end
    return "".join([*parts, text[position:]]) if parts else None


def store(path: Path, title: str, about: str, commands: Sequence[str], runs: Sequence[Path]) -> Path:
    """Write a result file from evaluated runs.

    Raises:
        MienError: a run that was not evaluated.
    """
    rows = []
    for run in runs:
        config = read_config(run)
        try:
            evaluation = json.loads((run / "evaluation.json").read_text(encoding="utf-8"))
            training = json.loads((run / PROGRESS).read_text(encoding="utf-8"))
        except OSError:
            raise MienError(f"expected an evaluated run, got {run}: run mien evaluate {run} first") from None
        rows.append(
            {
                "name": run.name,
                "model": config["model"],
                "settings": config["config"],
                # without the folder of the data on this machine
                "data": {key: value for key, value in config["data"].items() if key != "root"},
                "training": {**config["training"], **training},
                "made_with": config["made_with"],
                "evaluation": evaluation,
            }
        )
    content = json.dumps({"title": title, "about": about, "commands": list(commands), "runs": rows}, indent=1) + "\n"
    write_atomically(path, lambda p: p.write_text(content, encoding="utf-8"))
    return path


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="*", type=Path, help="evaluated runs to store as a result first")
    parser.add_argument("--store", type=Path, metavar="FILE", help="the result file to write from the runs")
    parser.add_argument("--title", default="", help="the result's title")
    parser.add_argument("--about", default="", help="the comparison and the machine")
    parser.add_argument(
        "--command", action="append", default=[], help="a command that made the result; can be repeated"
    )
    options = parser.parse_args(words)
    try:
        if options.runs:
            if options.store is None:
                raise MienError("expected --store FILE for the runs, got none: such as --store results/faces.json")
            title = options.title or options.store.stem
            print("wrote", store(options.store, title, options.about, options.command, options.runs))
        for page in write():
            print("wrote", page)
    except MienError as error:
        print("error: " + " ".join(str(error).split()), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
