"""Edits that any tool made, as a judge recognizes them: the protocol of the measure ``edits`` on two folders.

A picture and its edit have the same path in both folders; the suffixes may differ. The thresholds of the judge and its
ceiling come from labeled real pictures (``real``), as in ``mien evaluate``. Without them the threshold is 0.5, and the
ceiling is the recall at 0.5 that ``mien evaluate`` stored for the judge.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mien.abilities import Describes, Recognizes, can
from mien.data.dataset import spread
from mien.data.listing import Listing
from mien.errors import MienError, UnknownName
from mien.evaluation.context import Context
from mien.evaluation.edit_gain import judge_view
from mien.evaluation.folder_people import people
from mien.evaluation.folders import decoded, existing, pictures_of
from mien.files import sha256
from mien.metrics.distributions import Note
from mien.metrics.edits import DEFAULT, EditScores, edit_accuracy, gain
from mien.run.data import Data
from mien.run.folder import WEIGHTS, read_config, read_json, resolve
from mien.run.opening import OpenRun
from mien.run.weights import load

VALID = 2000  # held-out pictures of the ceiling at most
DRAWS = 200  # of the bootstrap
MOST_LEAKED = 5  # attributes that are named


@dataclass(frozen=True)
class Pairs:
    """Pictures before and after an edit.

    Args:
        before, after: the files of the two folders, and of the plain reconstructions if there are any.
        names: (before, after, unedited) paths of each pair; the last is the first one without plain reconstructions.
        alone: paths of pictures without a partner, with the folder they lie in.
        unread: pictures that cannot be read, with the reason; their pairs are left out.
    """

    before: Listing
    after: Listing
    unedited: Listing
    names: tuple[tuple[str, str, str], ...]
    alone: tuple[str, ...]
    unread: tuple[str, ...]


def pair(
    before: Path, after: Path, unedited: Path | None = None, count: int = 0, seed: int = 0, note: Note = None
) -> Pairs:
    """Return the pairs of pictures with the same path without its suffix in all folders.

    Args:
        before, after: folders or zips; unedited: the plain reconstructions of the pictures, if there are any.
        count: largest number of pairs, drawn by ``seed``; 0 takes all.
        seed: seed of the draw.
        note: called with (what, done, total).

    Raises:
        MienError: a folder is missing, two pictures of one folder have the same path without a suffix, or no pair.
    """
    listings = [Listing(existing(root)) for root in (before, after, unedited) if root is not None]
    tables = [_by_name(listing) for listing in listings]
    common = sorted(set.intersection(*map(set, tables)))
    alone = [
        str(listing.root / path)
        for listing, table in zip(listings, tables, strict=True)
        for name, path in table.items()
        if name not in set(common)
    ]
    if not common:
        raise MienError(
            f"expected pictures of the same names in {before} and {after}, got none, such as {alone[0]}: "
            "name each edit as its picture"
        )
    if 0 < count < len(common):
        common = [common[i] for i in np.sort(np.random.default_rng(seed).permutation(len(common))[:count])]
    bad: dict[str, str] = {}
    for place, (listing, table) in enumerate(zip(listings, tables, strict=True)):
        for done, (name, (path, picture)) in enumerate(
            zip(common, decoded(listing, [table[n] for n in common]), strict=True)
        ):
            if isinstance(picture, str):
                bad[name] = f"{listing.root / path}: {picture}"
            if note:
                note("reading", place * len(common) + done + 1, len(tables) * len(common))
    names = tuple((tables[0][n], tables[1][n], tables[-1 if unedited else 0][n]) for n in common if n not in bad)
    if not names:
        raise MienError(
            f"expected pairs of pictures, got {len(bad):,} that cannot be read ({next(iter(bad.values()))})"
        )
    plain = listings[2] if unedited else listings[0]
    return Pairs(listings[0], listings[1], plain, names, tuple(alone), tuple(bad.values()))


def _by_name(listing: Listing) -> dict[str, str]:
    """Return the path of each picture by its path without the suffix."""
    table: dict[str, str] = {}
    for path in listing.pictures:
        name = PurePosixPath(path).with_suffix("").as_posix()
        if name in table:
            raise MienError(
                f"expected pictures of different names in {listing.root}, got {table[name]} and {path}: rename one"
            )
        table[name] = path
    return table


@dataclass(frozen=True)
class Reference:
    """What the judge finds in labeled real pictures.

    Args:
        thresholds: (A,) of the judge's probabilities.
        ceiling: share of real pictures with the attribute (without it, for a removal) that the judge finds so; None if
            it is not known.
        ceiling_n: their number, None if it is not known.
        origin: where both come from, in words.
    """

    thresholds: Tensor
    ceiling: float | None
    ceiling_n: int | None
    origin: str


def _reference(judge: Path, model: Any, attribute: str, sign: int, real: Sequence[Path], note: Note) -> Reference:
    names = tuple(model.attributes)
    if not real:
        half = torch.full((len(names),), DEFAULT)
        stored = _stored_recall(judge, attribute, sign)
        if stored is None:
            reason = "threshold 0.5; no ceiling: pass --real with the labeled data of the judge"
            return Reference(half, None, None, reason)
        return Reference(half, stored, None, f"threshold 0.5; ceiling: the recall in {judge.name}'s evaluation.json")
    values = read_config(judge)["data"]
    data = Data.from_json({**values, "root": [str(root) for root in real]})
    dataset = data.open((lambda d, t: note("preparing the real pictures", d, t)) if note else None)
    if tuple(dataset.attributes) != names:
        raise MienError(
            f"expected labels of the judge's {len(names)} attributes in {data.root}, got {len(dataset.attributes)}: "
            "pass --real with data of the same attributes"
        )
    splits = dataset.split(data.split_seed)
    same = values.get("held_out") == dataset.digest(splits.test)
    run = OpenRun(judge, model, data, dataset, splits, splits.train)
    context = Context(run, spread(splits.test, VALID), model, None, 0, note or (lambda what, done, total: None))
    view = judge_view(context)
    one = view.test.ceilings[names.index(attribute)]
    ceiling, n = (one.added, one.added_n) if sign > 0 else (one.removed, one.removed_n)
    origin = (
        f"thresholds from {len(view.valid.index):,} validation pictures, ceiling from {n:,} held-out pictures of "
        f"{data.name}"
    )
    if not same:
        origin += "; these are not the judge's own held-out pictures: it may have been trained on some of them"
    return Reference(view.thresholds.values, ceiling, n, origin)


def _stored_recall(judge: Path, attribute: str, sign: int) -> float | None:
    """Return the recall, or for a removal the specificity, of the judge as evaluate stored it; None if it did not."""
    block: Any = read_json(judge / "evaluation.json")
    for key in ("recognition", "per_attribute", attribute, "recall" if sign > 0 else "specificity"):
        if not isinstance(block, dict):
            return None
        block = block.get(key)
    return float(block) if isinstance(block, float | int) else None


def measure_edits(
    before: str | Path,
    after: str | Path,
    attribute: str,
    judge: str | Path,
    sign: int = 1,
    real: Sequence[Path] = (),
    unedited: str | Path | None = None,
    crop: int = 0,
    count: int = 0,
    seed: int = 0,
    device: str = "cpu",
    note: Note = None,
) -> dict[str, Any]:
    """Return how a judge recognizes the edits of one attribute, as plain values.

    Args:
        before, after: folders or zips of pictures and of their edits, with the same names.
        attribute: the attribute that the edits add, or remove.
        judge: a run folder, or the name of a pretrained model, that recognizes attributes.
        sign: 1 if the edits add the attribute, -1 if they remove it.
        real: folders of the judge's own data set, with labels, for its thresholds and its ceiling.
        unedited: plain reconstructions of the pictures by the tool; by default the pictures themselves.
        crop: side in pixels of a centered square that is cut out of each picture first; 0 cuts nothing.
        count: largest number of pairs, drawn by ``seed``; 0 takes all.
        seed: seed of the draws.
        device: device of the judge.
        note: called with (what, done, total).

    Returns:
        ``success``, ``unedited``, ``ceiling``, ``gain`` and ``leakage`` (each but the ceiling with its bootstrap
        standard error over pairs), ``most_leaked``, ``identity``, ``pixels`` and ``lpips`` (or in ``left_out`` why
        not), the judge with its hash, the thresholds' origin, and the files that were left out.

    Raises:
        MienError: no pairs, or a judge without attributes.
        UnknownName: the judge does not know the attribute.
    """
    started = time.monotonic()
    folder = resolve(judge)
    model: Any = load(folder, device)
    names = tuple(getattr(model, "attributes", ()) or ())
    if not can(model, Recognizes, Describes) or not names:
        raise MienError(f"expected a judge of attributes, got {folder.name}, a run of {model.name}: use judge-64")
    if attribute not in names:
        raise UnknownName("attribute", attribute, names)
    pairs = pair(Path(before), Path(after), None if unedited is None else Path(unedited), count, seed, note)
    reference = _reference(folder, model, attribute, sign, real, note)
    probabilities = _probabilities(pairs, model, crop, unedited is not None, note)
    scores = _scores(probabilities, names, attribute, sign, reference.thresholds)
    success, plain = _of_sign(scores, sign)
    others, left_out = people(pairs, note)
    return {
        "before": str(before),
        "after": str(after),
        "unedited_folder": None if unedited is None else str(unedited),
        "attribute": attribute,
        "change": "added" if sign > 0 else "removed",
        "pairs": len(pairs.names),
        "without_partner": list(pairs.alone),
        "unread": list(pairs.unread),
        "judge": {"run": folder.name, "weights_sha256": sha256(folder / WEIGHTS)},
        "reference": reference.origin,
        "threshold": float(reference.thresholds[names.index(attribute)]),
        "success": success,
        "unedited": plain,
        "ceiling": reference.ceiling,
        "ceiling_n": reference.ceiling_n,
        "gain": gain(success, plain, reference.ceiling),
        "leakage": scores.leakage,
        "standard_errors": _errors(probabilities, names, attribute, sign, reference, seed),
        "most_leaked": _most_leaked(probabilities, names, attribute, reference.thresholds),
        **others,
        "left_out": left_out,
        "reading": _reading(model, crop),
        "seed": seed,
        "count": count or None,
        "seconds": round(time.monotonic() - started, 1),
    }


def _reading(model: Any, crop: int) -> str:
    first = f"the centered square of {crop} pixels is cut out of larger pictures; " if crop else ""
    _, height, width = model.config["shape"]
    return f"{first}the largest centered part is resized to {width}x{height} pixels by Lanczos with antialiasing"


def _probabilities(pairs: Pairs, model: Any, crop: int, separate: bool, note: Note) -> tuple[Tensor, Tensor]:
    """Return the judge's probabilities (n, A) for the unedited pictures and for the edits."""
    shape, place = tuple(model.config["shape"]), next(model.parameters()).device
    sides = ((pairs.unedited, 2 if separate else 0), (pairs.after, 1))
    results, done, total = [], 0, 2 * len(pairs.names)
    for listing, column in sides:
        parts = []
        with torch.inference_mode():
            for x in pictures_of(listing, [names[column] for names in pairs.names], shape, crop):
                parts.append(model.recognize(x.to(place)).float().cpu())
                done += len(x)
                if note:
                    note("recognizing", done, total)
        results.append(torch.cat(parts))
    return results[0], results[1]


def _scores(
    probabilities: tuple[Tensor, Tensor],
    names: tuple[str, ...],
    attribute: str,
    sign: int,
    thresholds: Tensor,
    rows: Tensor | None = None,
) -> EditScores:
    """Return the scores by the function of the measure ``edits``; its pictures are positions of pairs here.

    Args:
        rows: positions (n,) of the pairs; None for all.
    """
    plain, edited = probabilities
    rows = torch.arange(len(plain)) if rows is None else rows
    values = torch.zeros(len(rows), len(names))
    values[:, names.index(attribute)] = -sign  # each picture is edited towards the other value
    return edit_accuracy(
        lambda positions, name, amount: positions,
        lambda positions: edited[positions],
        rows,
        values,
        plain[rows],
        attribute,
        names,
        thresholds,
    )


def _of_sign(scores: EditScores, sign: int) -> tuple[float, float]:
    """Return the success of the edits and the same share of the unedited pictures."""
    values = (scores.added, scores.unedited_added) if sign > 0 else (scores.removed, scores.unedited_removed)
    assert None not in values, "every pair is edited towards this sign"
    return values  # type: ignore[return-value]


def _errors(
    probabilities: tuple[Tensor, Tensor],
    names: tuple[str, ...],
    attribute: str,
    sign: int,
    reference: Reference,
    seed: int,
) -> dict[str, float | None]:
    """Return bootstrap standard errors over pairs; the judge, its thresholds and the ceiling are fixed."""
    n = len(probabilities[0])
    rng = np.random.default_rng(seed)
    draws: dict[str, list[float]] = {"success": [], "unedited": [], "gain": [], "leakage": []}
    for _ in range(DRAWS if n > 1 else 0):
        rows = torch.from_numpy(rng.integers(0, n, n))
        one = _scores(probabilities, names, attribute, sign, reference.thresholds, rows)
        success, plain = _of_sign(one, sign)
        draws["success"].append(success)
        draws["unedited"].append(plain)
        draws["leakage"].append(one.leakage)
        if (value := gain(success, plain, reference.ceiling)) is not None:
            draws["gain"].append(value)
    enough = {key: len(values) == DRAWS for key, values in draws.items()}
    return {key: float(np.std(values, ddof=1)) if enough[key] else None for key, values in draws.items()}


def _most_leaked(
    probabilities: tuple[Tensor, Tensor], names: tuple[str, ...], attribute: str, thresholds: Tensor
) -> dict[str, float]:
    """Return the other attributes whose decision changes most often, with the share of pairs."""
    plain, edited = (values > thresholds for values in probabilities)
    shares = (plain != edited).float().mean(0)
    order = [a for a in shares.argsort(descending=True).tolist() if names[a] != attribute and shares[a] > 0]
    return {names[a]: float(shares[a]) for a in order[:MOST_LEAKED]}
