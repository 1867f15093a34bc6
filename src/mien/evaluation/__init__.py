"""``mien evaluate``: every measure a run's abilities allow, on its own held-out pictures, stored beside it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mien import __version__, runs
from mien.abilities import Recognises, names
from mien.applications.basics import device_of
from mien.data.dataset import spread
from mien.errors import MienError, UnknownName
from mien.evaluation.measures import MEASURES, Context, Note, Skipped
from mien.evaluation.opening import OpenRun, cached_vectors, open_run
from mien.files import write_json
from mien.models.base import Model
from mien.networks.loss_network import LossNetwork

__all__ = ["Note", "OpenRun", "cached_vectors", "check_judge", "evaluate", "open_run"]

RESULT = "evaluation.json"
PARTIAL = "evaluation-unfinished.json"  # what an evaluation that was cut short had measured


def usual() -> tuple[str, ...]:
    """Return the measures that are taken where none is asked for by name."""
    return tuple(name for name, measure in MEASURES.items() if measure.usual)


def check_judge(
    model: Model, judge: Path, judge_model: Model, attributes: tuple[str, ...], classes: tuple[str, ...] = ()
) -> None:
    """Refuse a judge that cannot judge, or that is the loss network of what it would judge."""
    if not isinstance(judge_model, Recognises) or not hasattr(judge_model, "features"):
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
    digest = runs.sha256(judge / "weights.safetensors")
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

    An evaluation that was cut short goes on where it stopped when it is asked for again.

    Args:
        judge: an ``attribute_cnn`` run, for the measures that need one; never the run's own loss network.
        count: at most this many held-out pictures, and generated ones where the measure's name fixes no number.
        seed: of the generated pictures.
        note: called with (what, done, total).
        metrics: names of ``MEASURES``; those that cost no more than minutes by default.

    Raises:
        UnknownName: for a measure that does not exist.
        MienError: for a judge that must not or cannot judge, and where nothing can be measured.
    """
    model, dataset = run.model, run.dataset
    chosen = tuple(metrics) or usual()
    for name in chosen:
        if name not in MEASURES:
            raise UnknownName("metric", name, MEASURES)
    judge_model, about_judge = None, None
    if judge is not None:
        judge_model = runs.load(judge, device_of(model))
        check_judge(model, Path(judge), judge_model, tuple(dataset.attributes), tuple(dataset.classes))
        about_judge = {"run": Path(judge).name, "weights_sha256": runs.sha256(Path(judge) / "weights.safetensors")}
    test = spread(run.splits.test, count)
    result: dict[str, Any] = {
        "run": run.folder.name,
        "model": model.name,
        "weights_sha256": runs.sha256(run.folder / "weights.safetensors"),
        "data": {"name": dataset.name, "size": run.data.size, "split": run.splits.rule, "test": len(test)},
        "seed": seed,
        "mien": __version__,
        "measures": list(chosen),  # asked for, whether they applied or not
        **({"judge": about_judge} if about_judge else {}),
    }
    context = Context(run, test, judge_model, about_judge, seed, note or (lambda what, done, total: None), chosen)
    started = time.monotonic()
    measured = _measure(context, chosen, dict(result), run.folder / PARTIAL)
    told = {name: block for name, block in measured.items() if block is not None}
    if not any("skipped" not in block for block in told.values()):
        reasons = "; ".join(dict.fromkeys(block["skipped"] for block in told.values()))
        raise MienError(
            f"nothing can be measured of {model.name} ({', '.join(names(model)) or 'no abilities'}): "
            f"{reasons or 'pass --judge RUN'}"
        )
    result |= told
    result["seconds"] = round(time.monotonic() - started, 1)
    write_json(run.folder / RESULT, result)
    (run.folder / PARTIAL).unlink(missing_ok=True)
    return result


def _measure(context: Context, chosen: Iterable[str], about: dict[str, Any], partial: Path) -> dict[str, Any]:
    """Return the block of each measure chosen, None where it does not apply; keep what is done in ``partial``."""
    try:
        kept = json.loads(partial.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        kept = {}
    blocks: dict[str, Any] = kept.get("blocks", {}) if kept.get("about") == about else {}
    for name in chosen:
        if name not in blocks:
            try:
                blocks[name] = MEASURES[name](context)
            except Skipped as reason:
                blocks[name] = {"skipped": str(reason)}
            write_json(partial, {"about": about, "blocks": blocks})
    return {name: blocks[name] for name in chosen}
