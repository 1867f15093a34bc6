"""The tables of docs/reproduce.md and the pages of docs/papers/: the numbers of the papers beside ours."""

from __future__ import annotations

import os
from pathlib import Path

from mien import recipes
from mien.errors import MienError
from mien.recipes import report, store
from mien.recipes.collection import Collection, collect
from mien.recipes.recipe import FAILS, HOLDS, SCALES, UNTESTED

SHOWN = ("small", "paper")  # results of the scale smoke test the program, not a claim
PAPERS = "papers"  # the folder in docs/


def results_of(results: Path) -> Collection:
    """Return the results of the recipes.

    Raises:
        MienError: a result that cannot be reported; the project's own results are all whole.
    """
    collection = collect(results / store.RESULTS.name)
    if collection.faults:
        raise MienError(f"expected whole results, got {collection.faults[0]}")
    return collection


def recipe_table(results: Path) -> str:
    """Return a row for each recipe: its experiment, the time on two cores, and its state at each scale."""
    collection = results_of(results)
    lines = [f"| recipe | experiment | time on two cores | {' | '.join(SCALES)} |", "|---" * (3 + len(SCALES)) + "|"]
    for name in recipes.names():
        recipe = recipes.get(name)
        states = [store.state(recipe, collection.results.get((name, scale))) for scale in SCALES]
        lines.append(f"| `{name}` | {recipe.title} | {_times(name)} | {' | '.join(states)} |")
    return "\n".join(lines)


def _times(name: str) -> str:
    """Return the time on two cores at each scale, from the docstring of a recipe."""
    lines = recipes.describe(name).splitlines()
    return next(line.partition(": ")[2].rstrip(".") for line in lines if line.startswith("Time on two cores"))


def paper_table(results: Path) -> str:
    """Return a row for each paper: its page, and the verdicts of its claims at the scales small and paper."""
    collection = results_of(results)
    lines = [
        f"| experiments of | {' | '.join(f'claims at {scale}' for scale in SHOWN)} |",
        "|---" * (1 + len(SHOWN)) + "|",
    ]
    for paper in recipes.papers():
        link = f"[{recipes.describe_paper(paper)}]({PAPERS}/{paper}.md)"
        lines.append(f"| {link} | {' | '.join(_verdicts(paper, scale, collection) for scale in SHOWN)} |")
    return "\n".join(lines)


def _verdicts(paper: str, scale: str, collection: Collection) -> str:
    """Return how many claims of a paper have each verdict at a scale."""
    counts = dict.fromkeys((HOLDS, FAILS, UNTESTED, report.NOT_RUN), 0)
    for name in recipes.expand([paper]):
        stored = collection.results.get((name, scale))
        for claim in recipes.get(name).claims:
            counts[claim.verdict(stored.result) if stored else report.NOT_RUN] += 1
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count)


def paper_pages(docs: Path, results: Path) -> dict[Path, str]:
    """Return the pages of the papers by their path; none if ``docs`` has no folder for them."""
    if not (docs / PAPERS).is_dir():
        return {}
    collection, folder = results_of(results), results / store.RESULTS.name
    figures = Path(os.path.relpath(folder, docs / PAPERS)).as_posix() + "/"
    return {
        docs / PAPERS / f"{paper}.md": report.paper_page(paper, collection, SHOWN, figures)
        for paper in recipes.papers()
    }
