"""``mien evaluate``: every measure a run's abilities allow, on its own held-out pictures, stored beside it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mien.abilities import Recognizes, names
from mien.applications.basics import device_of
from mien.data.dataset import spread
from mien.errors import MienError, UnknownName
from mien.evaluation.measures import MEASURES, Context, Note, Skipped
from mien.evaluation.stored import PARTIAL, about, holds, read, store, stored
from mien.files import sha256, write_json
from mien.models.base import Model
from mien.networks.loss_network import LossNetwork
from mien.run.opening import OpenRun, cached_vectors, open_run
from mien.run.weights import load

__all__ = ["Note", "OpenRun", "asked", "cached_vectors", "check_judge", "evaluate", "judge_of", "open_run"]

ALL = "all"


def asked(metrics: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the measures that names ask for: the usual ones by none, every one by ``all``.

    Raises:
        UnknownName: for a measure that does not exist.
    """
    wanted = tuple(metrics)
    for name in wanted:
        if name != ALL and name not in MEASURES:
            raise UnknownName("metric", name, (*MEASURES, ALL))
    if ALL in wanted:
        return tuple(MEASURES)
    return wanted or tuple(name for name, measure in MEASURES.items() if measure.usual)


def check_judge(
    model: Model, judge: Path, judge_model: Model, attributes: tuple[str, ...], classes: tuple[str, ...] = ()
) -> None:
    """Refuse a judge that cannot judge, or that is the loss network of what it would judge."""
    if not isinstance(judge_model, Recognizes) or not hasattr(judge_model, "features"):
        raise MienError(f"expected an attribute_cnn run as judge, got {judge}, a run of {judge_model.name}")
    if tuple(judge_model.config["shape"]) != tuple(model.config["shape"]):
        raise MienError(
            f"expected a judge of pictures {tuple(model.config['shape'])}, got {judge}, made for "
            f"{tuple(judge_model.config['shape'])}: train one at the same --size"
        )
    if (judge_model.attributes or judge_model.classes) != (attributes or classes):
        raise MienError(
            f"expected a judge of the data set's attributes or classes, got {judge}, which knows others: "
            "train one on the same --data"
        )
    digest = sha256(judge / "weights.safetensors")
    for value in model.config.values():
        if isinstance(value, LossNetwork) and value.sha256 == digest:
            raise MienError(
                f"expected a judge other than the loss network, got {judge}, which {model.name} was trained with: "
                "train another attribute_cnn with another --seed and --share"
            )


def evaluate(
    run: OpenRun,
    judge: str | Path | None = None,
    count: int = 2000,
    seed: int = 0,
    note: Note | None = None,
    metrics: Iterable[str] = (),
) -> dict[str, Any]:
    """Return every measure the run's abilities allow, each with its sample sizes, and store them in the run.

    What the run's evaluation.json holds by the same protocol (weights, pictures, seed, judge) and is not measured anew
    stays in it; an evaluation by another protocol is put aside, and found again when it is asked for. An evaluation that
    was cut short goes on where it stopped when it is asked for again.

    Args:
        judge: an ``attribute_cnn`` run, for the measures that need one; never the run's own loss network.
        count: at most this many held-out pictures, and generated ones where the measure's name fixes no number.
        seed: of the generated pictures.
        note: called with (what, done, total).
        metrics: names of ``MEASURES``; those that cost no more than minutes by default, every one by ``all``.

    Raises:
        UnknownName: for a measure that does not exist.
        MienError: for a judge that must not or cannot judge, and where nothing can be measured.
    """
    wanted = asked(metrics)
    result = measure(run, judge, count, seed, note, wanted)
    if not any(holds(result.get(name)) for name in wanted):
        reasons = "; ".join(dict.fromkeys(result[name]["skipped"] for name in wanted if name in result))
        raise MienError(
            f"nothing can be measured of {run.model.name} ({', '.join(names(run.model)) or 'no abilities'}): "
            f"{reasons or 'pass --judge RUN'}"
        )
    return result


def measure(
    run: OpenRun,
    judge: str | Path | None,
    count: int,
    seed: int,
    note: Note | None,
    wanted: tuple[str, ...],
    missing: tuple[str, ...] | None = None,
) -> dict[str, Any]:
    """Take the measures ``wanted``, as :func:`evaluate` does, and return and store all that is known of the run.

    Args:
        missing: those of ``wanted`` to take; the others are stored. All by default.
    """
    judge_model, said_by = judge_of(run, judge) if judge is not None else (None, None)
    digest = said_by["weights_sha256"] if said_by else None
    if not any(MEASURES[name].judged for name in wanted):
        digest = None  # and what another said stays
    protocol = about(run, count, seed)
    before = stored(run.folder, protocol, digest)
    chosen = wanted if missing is None else missing
    # without a judge, what one said before is worth more than what is left to measure
    chosen = tuple(n for n in chosen if said_by or n not in before["judged"] or not holds(before.get(n)))
    test = spread(run.splits.test, count)
    context = Context(run, test, judge_model, said_by, seed, note or (lambda what, done, total: None), chosen)
    started = time.monotonic()
    measured = _measure(context, chosen, {**protocol, "judge": said_by}, run.folder / PARTIAL)
    known = stored(run.folder, protocol, digest)  # anew: another evaluation may have ended meanwhile
    judged = dict(known["judged"])
    blocks = {name: known[name] for name in MEASURES if name in known}
    for name, block in measured.items():
        if holds(block) or not holds(blocks.get(name)):
            blocks |= {name: block} if block is not None else {}
            judged |= {name: said_by["weights_sha256"]} if said_by and MEASURES[name].judged else {}
    result = {**protocol, "measures": [n for n in MEASURES if n in {*known["measures"], *chosen}], "judged": judged}
    if judged:
        result["judge"] = said_by if said_by and digest else known["judge"]
    result |= {name: blocks[name] for name in MEASURES if name in blocks}
    result["seconds"] = round(time.monotonic() - started, 1)  # of what was measured now
    if chosen and any(map(holds, blocks.values())):
        store(run.folder, result)
    return result


def judge_of(run: OpenRun, judge: str | Path) -> tuple[Model, dict[str, str]]:
    """Return a judge that may judge a run, and which it is."""
    model = load(judge, device_of(run.model))
    check_judge(run.model, Path(judge), model, tuple(run.dataset.attributes), tuple(run.dataset.classes))
    return model, {"run": Path(judge).name, "weights_sha256": sha256(Path(judge) / "weights.safetensors")}


def _measure(context: Context, chosen: Iterable[str], about: dict[str, Any], partial: Path) -> dict[str, Any]:
    """Return the block of each measure chosen, None where it does not apply; keep what is done in ``partial``."""
    left = read(partial)
    kept: dict[str, Any] = left.get("blocks", {}) if left.get("about") == about else {}
    blocks: dict[str, Any] = {}
    for name in chosen:
        if name in kept:
            blocks[name] = kept[name]
            continue
        try:
            blocks[name] = kept[name] = MEASURES[name](context)
        except Skipped as reason:  # not kept: the reason may be mended when it is asked for again
            blocks[name] = {"skipped": str(reason)}
            continue
        write_json(partial, {"about": about, "blocks": kept})
    return blocks
