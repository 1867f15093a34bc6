"""The tables of docs/reproduce.md: all recipes with their state, and each stored result beside the paper's numbers."""

from __future__ import annotations

from pathlib import Path

from mien import recipes
from mien.recipes import store
from mien.recipes.recipe import SCALES

SHOWN = ("small", "paper")  # results of the scale smoke test the program, not a claim


def recipe_table(results: Path) -> str:
    """Return a row for each recipe: its experiment, the time on two cores, and its state at each scale."""
    folder = results / store.RESULTS.name
    lines = [f"| recipe | experiment | time on two cores | {' | '.join(SCALES)} |", "|---" * (3 + len(SCALES)) + "|"]
    for name in recipes.names():
        recipe = recipes.get(name)
        states = [store.state(recipe, store.read(name, scale, folder)) for scale in SCALES]
        lines.append(f"| `{name}` | {recipe.title} | {_times(name)} | {' | '.join(states)} |")
    return "\n".join(lines)


def _times(name: str) -> str:
    """Return the time on two cores at each scale, from the docstring of a recipe."""
    lines = recipes.describe(name).splitlines()
    return next(line.partition(": ")[2].rstrip(".") for line in lines if line.startswith("Time on two cores"))


def result_tables(results: Path) -> str:
    """Return each stored result of the scales small and paper: the paper's numbers beside ours, and the verdicts."""
    folder = results / store.RESULTS.name
    parts = []
    for name in recipes.names():
        for scale in SHOWN:
            if stored := store.read(name, scale, folder):
                parts.append(_result(name, scale, stored))
    return "\n\n".join(parts) or "No result of the scales small and paper is stored yet."


def _result(name: str, scale: str, stored: store.Stored) -> str:
    recipe, about = recipes.get(name), stored.about
    data, device, seeds = about["data"], about["device"], about["seeds"]
    unit = "px" if data["unit"] == "pixels" else data["unit"]
    spread = f"± deviation over {len(seeds)} seeds" if len(seeds) > 1 else "one seed, (± standard error over pictures)"
    minutes = about["seconds"]["trainings"] / 60
    where = f"{device.get('gpu') or 'a CPU'}, {device['threads']} threads"
    facts = (
        f"scale {scale}: {data['name']} at {data['size']} {unit}, {data['training']:,} for training, "
        f"{data['held_out']:,} held out; {spread}; {minutes:.0f} minutes of training on {where}; "
        f"commit {about['commit']}, {about['date']}; `{stored.path.as_posix()}`"
    )
    lines = ["| | paper | here |", "|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in store.lines(recipe, stored.result)]
    claims = [f"- **{verdict}**: {claim}" for claim, verdict in store.verdicts(recipe, stored.result)]
    skipped = [f"- not measured ({what}): {reason}" for what, reason in about["skipped"].items()]
    notes = [f"Paper: {recipe.source}. {recipe.departures}".rstrip(), f"```sh\n{about['command']}\n```"]
    return "\n\n".join([f"**{recipe.title}** ({facts})", "\n".join(lines), "\n".join([*claims, *skipped]), *notes])
