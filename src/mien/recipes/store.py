"""Stored results of recipes, and how tables show them. Nothing here imports torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.errors import MienError
from mien.recipes.recipe import HOLDS, UNTESTED, Number, Recipe, Result, Row

RESULTS = Path("results") / "recipes"
FIGURE = ".png"


@dataclass(frozen=True)
class Stored:
    """A stored result.

    Args:
        path: of the file; about: its content; result: its numbers.
    """

    path: Path
    about: Mapping[str, Any]
    result: Result


def path_of(name: str, scale: str, folder: Path = RESULTS) -> Path:
    """Return the path of a result.

    >>> path_of("vae_wgan/table1", "smoke").as_posix()
    'results/recipes/vae_wgan-table1.smoke.json'
    """
    return folder / f"{name.replace('/', '-')}.{scale}.json"


def read(name: str, scale: str, folder: Path = RESULTS) -> Stored | None:
    """Return a stored result; None if there is no such file.

    Raises:
        MienError: the file is damaged, or no result of this recipe at this scale.
    """
    path = path_of(name, scale, folder)
    if not path.exists():
        return None
    with suppress(OSError, ValueError, TypeError, AttributeError, MienError):
        about = json.loads(path.read_text(encoding="utf-8"))
        if (about.get("recipe"), about.get("scale")) == (name, scale):
            return Stored(path, about, Result.from_json(about))
    raise _refused(f"expected a result of {name} at scale {scale} in {path}, got another or a damaged file")


def check_place(name: str, scale: str, folder: Path = RESULTS) -> None:
    """Refuse a folder where a result would replace a file that no result of this recipe and scale wrote.

    Raises:
        MienError: the folder is a file, or holds another file with the name of the result or of its figure.
    """
    above = next(place for place in (folder, *folder.parents) if place.exists())
    if not above.is_dir():
        raise _refused(f"expected a folder for results, got the file {above}")
    figure = path_of(name, scale, folder).with_suffix(FIGURE)
    # the result is written before its figure, so a figure without a result is another file
    if read(name, scale, folder) is None and figure.exists():
        raise _refused(f"expected no figure {figure} without a result beside it, got one")


def _refused(words: str) -> MienError:
    return MienError(f"{words}: move it, or choose another --out")


def verdicts(recipe: Recipe, result: Result) -> list[tuple[str, str]]:
    """Return each claim of the paper with its verdict, which is computed from the numbers anew."""
    return [(claim.text, claim.verdict(result)) for claim in recipe.claims]


def state(recipe: Recipe, stored: Stored | None) -> str:
    """Return the state of a recipe at a scale in a few words; a dash without a result."""
    if stored is None:
        return "–"
    words = [word for _, word in verdicts(recipe, stored.result)]
    if all(word == UNTESTED for word in words):
        return "measured"
    tested = [word for word in words if word != UNTESTED]
    return tested[0] if len(words) == 1 else f"{tested.count(HOLDS)} of {len(words)} hold"


def ours(row: Row, number: Number | None) -> str:
    """Return our value of a row: the mean with the deviation over seeds, or with the error of one seed.

    >>> ours(Row("accuracy", unit="%", digits=1), Number((0.5,), (0.01,), 100))
    '50.0 % (± 1.0 %)'
    """
    if number is None or number.mean is None:
        return row.text(None)
    spread = number.spread
    if spread is not None:
        return f"{row.text(number.mean)} ± {row.text(spread)}"
    return f"{row.text(number.mean)} (± {row.text(number.error)})" if number.error else row.text(number.mean)


def lines(recipe: Recipe, result: Result) -> list[tuple[str, str, str]]:
    """Return (label, the paper's value, our value) of each row that the paper or the result has a number for."""
    rows = [(row, result.numbers.get(row.label)) for row in recipe.rows]
    return [(row.label, row.paper, ours(row, number)) for row, number in rows if number or row.reported is not None]
