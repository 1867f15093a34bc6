"""The report of a folder of results: a page for each paper in Markdown, and one HTML page. Nothing here imports torch.

``mien report`` writes it, and tools/report.py writes ``docs/papers/`` by the same functions. A page depends on the
results and on the version of mien only, so a page that differs from :func:`build` is stale.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import recipes
from mien.data.regular import read_regular
from mien.figures import Captioned, Section, Table
from mien.figures.page import document
from mien.figures.tables import NOTHING
from mien.files import write_atomically
from mien.recipes import store
from mien.recipes.collection import LARGEST, Collection, command
from mien.recipes.recipe import FAILS, HOLDS, SCALES, UNTESTED
from mien.recipes.store import FIGURE, Stored

INDEX, PAGE, FIGURES = "index.md", "index.html", "figures"
WIDEST = 1000  # pixels of a figure in the HTML page
NOT_RUN = "not run at this scale"
MEANING = {
    "smoke": "The scale smoke tests the program on data that come with mien. Its numbers have no meaning.",
    "small": "The scale small has real data, but smaller pictures, narrower networks or shorter trainings than the "
    "paper. Its numbers do not compare with the paper's. A verdict is about the claim at this scale.",
    "paper": "The scale paper has the paper's own data, sizes and lengths, as far as the paper states them.",
}
LEAD = (
    "The column *paper* has the number that the paper reports, the column *here* the number of this project. A verdict "
    f"is computed from the numbers: {HOLDS}, {FAILS}, or {UNTESTED}."
)
PICTURES = re.compile(r'src="data:image/png;base64,[^"]*"')  # their bytes depend on the version of Pillow


def build(collection: Collection) -> dict[str, bytes]:
    """Return the files of a report by their path in its folder: pages in Markdown, figures, and the HTML page."""
    files = {INDEX: index(collection).encode()}
    for paper in recipes.papers():
        files[f"{paper}.md"] = paper_page(paper, collection).encode()
    for key in collection.figures:
        path = collection.results[key].path.with_suffix(FIGURE)
        files[f"{FIGURES}/{path.name}"] = read_regular(path, LARGEST)
    files[PAGE] = _html(collection).encode("utf-8", "replace")
    return files


def write(files: Mapping[str, bytes], folder: Path) -> None:
    """Write the files of a report; each one is complete or not written.

    Raises:
        MienError: a file cannot be written.
    """
    for name, content in files.items():
        write_atomically(folder / name, partial(Path.write_bytes, data=content))


def stale(files: Mapping[str, bytes], folder: Path) -> list[str]:
    """Return the names of the files that are missing in a folder or differ from the present ones.

    The HTML page holds the SHA-256 of each figure, so the bytes of its pictures are not compared.
    """

    def differs(name: str, content: bytes) -> bool:
        try:
            written = (folder / name).read_bytes()
        except OSError:
            return True
        return _without_pictures(written) != _without_pictures(content) if name == PAGE else written != content

    return [name for name, content in files.items() if differs(name, content)]


def _without_pictures(page: bytes) -> str:
    return PICTURES.sub("", page.decode("utf-8", "replace"))


def index(collection: Collection) -> str:
    """Return the first page in Markdown: all recipes with their state at each scale, and the files left out."""
    rows = []
    for name in recipes.names():
        paper = name.partition("/")[0]
        link = f"[`{name}`]({paper}.md)"
        rows.append(f"| {link} | {recipes.get(name).title} | {' | '.join(_states(name, collection))} |")
    table = [f"| recipe | experiment | {' | '.join(SCALES)} |", "|---" * (2 + len(SCALES)) + "|", *rows]
    parts = ["# The experiments of the papers", LEAD, "\n".join(f"- {MEANING[scale]}" for scale in SCALES)]
    if lines := [*collection.faults, *collection.remarks]:
        parts += ["Files that are not in the report, or that another version of mien wrote:", _lines(lines).markdown()]
    return "\n\n".join([*parts, "\n".join(table)]) + "\n"


def paper_page(paper: str, collection: Collection, scales: Sequence[str] = SCALES, figures: str = f"{FIGURES}/") -> str:
    """Return the page of a paper in Markdown: the verdicts of all claims, then each experiment with its numbers.

    Args:
        paper: the name of its folder in mien/recipes.
        collection: the results.
        scales: that the page shows.
        figures: the path from the page to the folder of the figures, with a / at its end.

    Raises:
        UnknownName: no such paper.
    """
    parts = [f"# {recipes.describe_paper(paper)}", LEAD, "\n".join(f"- {MEANING[scale]}" for scale in scales)]
    names = recipes.expand([paper])
    parts += ["## Claims", _claims(names, collection, scales).markdown()]
    for name in names:
        recipe = recipes.get(name)
        parts += [f"## {recipe.title}", f"`{name}` – {_claim(name)}", f"Numbers of the paper: {recipe.source}."]
        parts += [recipe.departures] if recipe.departures else []
        present = [scale for scale in collection.scales(name) if scale in scales]
        for scale in present:
            parts += _markdown(name, scale, collection, figures)
        if missing := [scale for scale in scales if scale not in present]:
            words = "\n".join(f"{command(name, scale)}" for scale in missing)
            parts += [f"{NOT_RUN.capitalize()}: {', '.join(missing)}.", f"```sh\n{words}\n```"]
    return "\n\n".join(parts) + "\n"


def _markdown(name: str, scale: str, collection: Collection, figures: str) -> list[str]:
    """Return the parts of a result in Markdown."""
    stored, recipe = collection.results[name, scale], recipes.get(name)
    parts = [f"### Scale {scale}", MEANING[scale], _numbers(name, stored).markdown(), _spread(stored)]
    parts += ["\n".join(f"- **{verdict}**: {claim}" for claim, verdict in store.verdicts(recipe, stored.result))]
    if (name, scale) in collection.figures:
        parts.append(f"![{recipe.title}, scale {scale}]({figures}{stored.path.with_suffix(FIGURE).name})")
    if skipped := _skipped(stored):
        parts.append(skipped.markdown())
    return [*parts, _facts(name, stored, collection).markdown()]


def _html(collection: Collection) -> str:
    """Return the HTML page with all results."""
    notice = ("Not in this report: " + "; ".join(collection.faults)) if collection.faults else ""
    rows = [[name, recipes.get(name).title, *_states(name, collection)] for name in recipes.names()]
    overview = Table(["recipe", "experiment", *SCALES], rows, [False] * (2 + len(SCALES)))
    text = "\n\n".join([LEAD.replace("*", ""), *(MEANING[scale] for scale in SCALES)])
    sections = [Section("All experiments", text, Captioned(overview, "Recipes and their state at each scale."))]
    if collection.remarks:
        sections.append(Section("Results of other versions", "They are in the report.", _lines(collection.remarks)))
    for paper in recipes.papers():
        method = recipes.describe_paper(paper)
        names = recipes.expand([paper])
        claims = Captioned(_claims(names, collection, SCALES), f"Claims of the paper on {method.partition(' (')[0]}.")
        sections.append(Section(method, "The claims of the paper and their verdicts.", claims))
        for name in names:
            sections += [_section(name, scale, collection) for scale in collection.scales(name)]
    return document("The experiments of the papers", sections, "reported numbers beside ours", notice)


def _section(name: str, scale: str, collection: Collection) -> Section:
    """Return the section of a result."""
    stored, recipe = collection.results[name, scale], recipes.get(name)
    verdicts = [[claim, verdict] for claim, verdict in store.verdicts(recipe, stored.result)]
    body: list[Any] = [
        Captioned(_numbers(name, stored), f"{recipe.source}. {_spread(stored)}"),
        Captioned(Table(["claim", "verdict"], verdicts, [False, False]), "Verdicts."),
    ]
    if (name, scale) in collection.figures:
        sheet = _sheet(stored.path.with_suffix(FIGURE))
        body.append(Captioned(sheet, f"{recipe.title}, scale {scale}."))
    if skipped := _skipped(stored):
        body.append(Captioned(skipped, "Measures that were not taken."))
    body.append(Captioned(_facts(name, stored, collection), "Origin of the numbers."))
    text = "\n\n".join(filter(None, [_claim(name), MEANING[scale], recipe.departures]))
    return Section(f"{recipe.title} ({name}, {scale})", text, body)


def _states(name: str, collection: Collection) -> list[str]:
    """Return the state of a recipe at each scale in a few words."""
    results = [collection.results.get((name, scale)) for scale in SCALES]
    return [store.state(recipes.get(name), stored) if stored else "not run" for stored in results]


def _claims(names: Sequence[str], collection: Collection, scales: Sequence[str]) -> Table:
    """Return a row for each claim: its verdict at each scale."""
    rows = []
    for name in names:
        recipe = recipes.get(name)
        results = [collection.results.get((name, scale)) for scale in scales]
        for claim in recipe.claims:
            verdicts = [claim.verdict(stored.result) if stored else NOT_RUN for stored in results]
            rows.append([claim.text, name, *verdicts])
    return Table(["claim", "recipe", *scales], rows, [False] * (2 + len(scales)))


def _numbers(name: str, stored: Stored) -> Table:
    """Return the paper's numbers beside ours, with the sample size and the number of seeds."""
    recipe, rows = recipes.get(name), []
    for label, paper, ours in store.lines(recipe, stored.result):
        number = stored.result.numbers.get(label)
        n = f"{number.n:,}" if number and number.n and number.mean is not None else NOTHING
        rows.append([label, paper, ours, n, str(len(number.each)) if number else NOTHING])
    return Table(["number", "paper", "here", "n", "seeds"], rows, [False, True, True, True, True])


def _spread(stored: Stored) -> str:
    """Return what the sign ± means in a table of numbers."""
    seeds = len(stored.about["seeds"])
    if seeds > 1:
        return f"± is the standard deviation over {seeds} seeds; n is the number of measured pictures of a seed."
    return "One seed: (±) is the standard error over pictures; n is the number of measured pictures."


def _skipped(stored: Stored) -> Table | None:
    """Return the measures that were not taken, with their reasons; None if all were."""
    rows = [[str(what), str(reason)] for what, reason in stored.about["skipped"].items()]
    return Table(["not measured", "reason"], rows, [False, False]) if rows else None


def _facts(name: str, stored: Stored, collection: Collection) -> Table:
    """Return the origin of a result: data, seeds, commit, versions, device and time."""
    about = stored.about
    data, device, seconds, versions = about["data"], about["device"], about["seconds"], about["versions"]
    unit = "px" if data["unit"] == "pixels" else data["unit"]
    where = device.get("gpu") or ("a CPU" if device["device"] == "cpu" else device["device"])
    threads = f"{device['threads']} {'thread' if device['threads'] == 1 else 'threads'}"
    rows = [
        ["data", f"{data['name']} at {data['size']} {unit}"],
        ["pictures", f"{data['training']:,} for training, {data['held_out']:,} held out"],
        *([["never trained on", _unseen(about["unseen"])]] if about.get("unseen") else []),
        ["seeds", ", ".join(map(str, about["seeds"]))],
        ["commit", str(about.get("commit") or "not known: an installed package")],
        ["versions", ", ".join(f"{package} {version}" for package, version in versions.items())],
        ["device", f"{where}, {threads}"],
        ["wall time", f"{_time(seconds['trainings'])} of training, {_time(seconds['measures'])} of measures"],
        ["date", about["date"]],
        ["result", stored.path.name],
    ]
    scale = str(about["scale"])
    if digest := collection.figures.get((name, scale)):
        rows.append(["figure", f"{stored.path.with_suffix(FIGURE).name}, SHA-256 {digest[:16]}"])
    return Table(["", f"{command(name, scale)}"], rows, [False, False])


def _unseen(data: Mapping[str, Any]) -> str:
    return f"{data['name']} at {data['size']} px, {data['pictures']:,} pictures"


def _time(seconds: float) -> str:
    """Return a wall time in words.

    >>> _time(12.3), _time(600), _time(9000)
    ('12 s', '10 min', '2.5 h')
    """
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.1f} h"
    )


def _claim(name: str) -> str:
    """Return the paper's claim from the docstring of a recipe, as one paragraph."""
    text = recipes.describe(name)
    return " ".join(text[text.index("Claim: ") :].partition("\n\n")[0].split())


def _lines(lines: Sequence[str]) -> Table:
    """Return lines about files as a table: the name of the file, and the remark."""
    return Table(["file", "remark"], [list(line.partition(": ")[::2]) for line in lines], [False, False])


def _sheet(path: Path) -> NDArray[np.uint8]:
    """Return a figure as a sheet of pixels (H, W, 3), at most WIDEST pixels wide."""
    from PIL import Image

    with Image.open(io.BytesIO(read_regular(path, LARGEST))) as picture:
        sheet = picture.convert("RGB")
    if sheet.width > WIDEST:
        height = max(1, round(sheet.height * WIDEST / sheet.width))
        sheet = sheet.resize((WIDEST, height), Image.Resampling.LANCZOS)
    return np.asarray(sheet)
