"""All stored results in a folder, with the reasons for those that cannot be reported. Nothing here imports torch."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien import __version__, recipes
from mien.data.regular import MEGABYTE, BadFile, read_regular
from mien.errors import MienError
from mien.files import sha256
from mien.recipes.recipe import SCALES, Result
from mien.recipes.store import FIGURE, Stored, path_of

LARGEST = 16 * MEGABYTE  # of a result, and of a figure
ENDS = tuple(f".{scale}.json" for scale in SCALES)
# the values that a page shows, with their types
SHAPE: Mapping[str, Any] = {
    "data": {"name": str, "size": int, "training": int, "held_out": int, "unit": str},
    "seeds": list,
    "skipped": dict,
    "versions": {"mien": str, "torch": str, "numpy": str, "python": str},
    "device": {"device": str, "threads": int},
    "date": str,
    "seconds": {"trainings": (int, float), "measures": (int, float)},
}

UNSEEN: Mapping[str, Any] = {"name": str, "size": int, "pictures": int}


class Unreadable(MienError):
    """A file cannot be reported; the message is the reason."""


@dataclass(frozen=True)
class Collection:
    """The results in a folder.

    Args:
        results: by (recipe, scale).
        figures: by (recipe, scale), the SHA-256 of the figure beside the result.
        faults: a line for each file that is not reported, and for each missing figure.
        remarks: a line for each result of another version of mien, which is reported.
    """

    results: Mapping[tuple[str, str], Stored]
    figures: Mapping[tuple[str, str], str]
    faults: tuple[str, ...]
    remarks: tuple[str, ...]

    def scales(self, name: str) -> list[str]:
        """Return the scales at which a recipe has a result, the largest first."""
        return [scale for scale in reversed(SCALES) if (name, scale) in self.results]


def collect(folder: Path) -> Collection:
    """Return the results in a folder.

    A file that cannot be reported is one line in ``faults``.

    Raises:
        MienError: the folder is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise MienError(f"expected a folder of results, got the file {folder}: pass the folder that it is in")
    results, figures, faults, remarks = dict[tuple[str, str], Stored](), dict[tuple[str, str], str](), [], []
    for path in sorted(folder.glob("*.json")):
        try:
            stored = _read(path)
        except (Unreadable, BadFile) as error:
            faults.append(f"{path.name}: {error}")
            continue
        key = str(stored.about["recipe"]), str(stored.about["scale"])
        results[key] = stored
        if (version := stored.about["versions"]["mien"]) != __version__:
            remarks.append(f"{path.name}: a result of mien {version}; this is mien {__version__}")
        try:
            _check_figure(picture := path.with_suffix(FIGURE))
            figures[key] = sha256(picture)
        except (Unreadable, BadFile) as error:
            faults.append(f"{picture.name}: {error}: run {command(*key)}")
    return Collection(results, figures, tuple(faults), tuple(remarks))


def command(name: str, scale: str) -> str:
    """Return the command that runs a recipe.

    >>> command("vae_wgan/table1", "small")
    'mien reproduce vae_wgan/table1 --scale small'
    """
    return f"mien reproduce {name} --scale {scale}"


def _read(path: Path) -> Stored:
    """Return the result in a file.

    Raises:
        Unreadable, BadFile: with the reason.
    """
    try:
        about = json.loads(read_regular(path, LARGEST))
    except (ValueError, RecursionError):
        raise Unreadable("damaged: it is not JSON") from None
    if not isinstance(about, dict) or not isinstance(about.get("recipe"), str) or "numbers" not in about:
        raise Unreadable("not a result of mien reproduce")
    name, scale = about["recipe"], about.get("scale")
    if name not in recipes.names() or scale not in SCALES:
        raise Unreadable("a result of another version of mien: this version has no such recipe or scale")
    if path_of(name, scale).name != path.name:
        raise Unreadable(f"expected the name {path_of(name, scale).name}: rename it")
    whole = fits(about, SHAPE) and ("unseen" not in about or fits(about["unseen"], UNSEEN))
    if not whole or not _numbers_fit(about["numbers"]):
        raise Unreadable("damaged, or a result of another version of mien: run the recipe again")
    labels = {row.label for row in recipes.get(name).rows}
    if other := next((label for label in about["numbers"] if label not in labels), None):
        raise Unreadable(f"a result of another version of the recipe, which has no row '{other}': run it again")
    return Stored(path, about, Result.from_json(about))


def fits(value: Any, shape: Any) -> bool:
    """Return whether a value from a file has a type, or an object has keys with values of their types.

    >>> fits({"a": 1, "b": "x"}, {"a": int}), fits({"a": True}, {"a": int}), fits([], {"a": int})
    (True, False, False)
    """
    if isinstance(shape, Mapping):
        return isinstance(value, dict) and all(fits(value.get(key), kind) for key, kind in shape.items())
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return isinstance(value, shape) and not isinstance(value, bool)


def _numbers_fit(numbers: Any) -> bool:
    """Return whether the numbers of a result have values, errors and a sample size."""
    if not isinstance(numbers, dict) or not numbers:
        return False
    for number in numbers.values():
        if not fits(number, {"each": list, "sem": list, "n": int}) or not number["each"]:
            return False
        if not all(value is None or fits(value, (int, float)) for value in (*number["each"], *number["sem"])):
            return False
    return True


def _check_figure(path: Path) -> None:
    """Raise Unreadable or BadFile for a figure that is missing or damaged."""
    import io

    from PIL import Image

    content = read_regular(path, LARGEST)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=("PNG",)) as picture:
                picture.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Unreadable("the figure is damaged") from None
