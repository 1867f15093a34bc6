"""Taking measures of a run: every one that its abilities allow, on its own held-out pictures, stored beside it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from mien import models
from mien.abilities import Describes, Recognizes, can, names
from mien.applications.basics import device_of
from mien.data.dataset import spread
from mien.errors import MienError, UnknownName
from mien.evaluation import measures
from mien.evaluation.context import Context, Note
from mien.evaluation.measure import Skipped
from mien.evaluation.record import Record
from mien.evaluation.result import Evaluation, Judge
from mien.evaluation.store import Partial, empty, store, stored
from mien.files import sha256
from mien.models.base import Model
from mien.networks.loss_network import LossNetwork
from mien.run.folder import resolve, weights_digest
from mien.run.opening import OpenRun
from mien.run.weights import load

ALL = "all"


def choose(metrics: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the measures that names ask for: the usual ones for no name, every one for ``all``.

    Raises:
        UnknownName: for a measure that does not exist.
    """
    chosen, every = tuple(metrics), measures.names()
    for name in chosen:
        if name != ALL and name not in every:
            raise UnknownName("metric", name, (*every, ALL))
    if ALL in chosen:
        return every
    return chosen or tuple(name for name in every if measures.get(name).usual)


def check_judge(
    model: Model, judge: Path, judge_model: Model, attributes: tuple[str, ...], classes: tuple[str, ...] = ()
) -> None:
    """Refuse a judge that cannot judge, or that is the loss network of the model to be judged.

    Raises:
        MienError: saying which other judge to use.
    """
    able = " or ".join(models.models_with(["Recognizes", "Describes"]))
    if not can(judge_model, Recognizes, Describes) or not isinstance(judge_model, Recognizes):
        raise MienError(
            f"expected a model that Recognizes and Describes as judge, got {judge}, a run of {judge_model.name}: "
            f"use a run of {able}"
        )
    if tuple(judge_model.config["shape"]) != tuple(model.config["shape"]):
        raise MienError(
            f"expected a judge of pictures {tuple(model.config['shape'])}, got {judge}, for pictures "
            f"{tuple(judge_model.config['shape'])}: train one at the same --size"
        )
    if (judge_model.attributes or judge_model.classes) != (attributes or classes):
        raise MienError(
            f"expected a judge of the data set's attributes or classes, got {judge}, which knows others: "
            "train one on the same --data"
        )
    digest = weights_digest(judge)
    for value in model.config.values():
        if isinstance(value, LossNetwork) and value.sha256 == digest:
            raise MienError(
                f"expected a judge other than the loss network, got {judge}, which {model.name} was trained with: "
                f"train another {able} with another --seed and --share"
            )


def open_judge(run: OpenRun, judge: str | Path) -> tuple[Model, Judge]:
    """Return a judge's model, checked by :func:`check_judge`, and which judge it is."""
    judge = resolve(judge)
    model = load(judge, device_of(run.model))
    check_judge(run.model, Path(judge), model, tuple(run.dataset.attributes), tuple(run.dataset.classes))
    return model, Judge(Path(judge).name, sha256(Path(judge) / "weights.safetensors"))


def evaluate(
    run: OpenRun,
    judge: str | Path | None = None,
    count: int = 2000,
    seed: int = 0,
    note: Note | None = None,
    metrics: Iterable[str] = (),
) -> Evaluation:
    """Return every measure that the run's abilities allow, each with its sample sizes, and store them in the run.

    Results that the run's evaluation.json holds by the same protocol (weights, pictures, seed, judge) and that are not
    measured anew stay in it. An evaluation by another protocol is kept in a file of its own, and is used again when the
    same protocol is asked for. An evaluation that was interrupted continues where it stopped.

    Args:
        judge: a run that recognizes and describes pictures, for the measures that need one; never the run's own loss
            network.
        count: at most this many held-out pictures, and generated ones where the measure's name fixes no number.
        seed: of the generated pictures.
        note: called with (what, done, total).
        metrics: names of measures; the usual ones by default, every one by ``all``.

    Raises:
        UnknownName: for a measure that does not exist.
        MienError: for a judge that must not or cannot judge, and where nothing can be measured.
    """
    selection = choose(metrics)
    result = measure(run, judge, count, seed, note, selection)
    if not any(name in result for name in selection):
        reasons = "; ".join(dict.fromkeys(result.skipped[name] for name in selection if name in result.skipped))
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
    selection: tuple[str, ...],
    missing: tuple[str, ...] | None = None,
) -> Evaluation:
    """Take the measures ``selection``, as :func:`evaluate` does; return and store all results of the run.

    Args:
        missing: those of ``selection`` to take; the others are stored. All by default.
    """
    judge_model, whose = open_judge(run, judge) if judge is not None else (None, None)
    # a judge that no chosen measure needs leaves the results of another judge as they are
    digest = whose.weights_sha256 if whose and any(measures.get(name).judged for name in selection) else None
    protocol = empty(run, count, seed)
    before = stored(run.folder, protocol, digest)
    chosen = selection if missing is None else missing
    # without a judge, the results of an earlier one are worth more than what can be measured without
    chosen = tuple(name for name in chosen if whose or name not in before.judges or name not in before)
    context = Context(
        run=run,
        test=spread(run.splits.test, count),
        judge=judge_model,
        judge_sha256=whose.weights_sha256 if whose else None,
        seed=seed,
        note=note or (lambda what, done, total: None),
        chosen=chosen,
    )
    started = time.monotonic()
    results, skipped = _take(context, chosen, Partial(run.folder, protocol, whose))
    seconds = round(time.monotonic() - started, 1)  # of what was measured now
    present = stored(run.folder, protocol, digest)  # again: another evaluation may have ended meanwhile
    whole = _together(present, chosen, results, skipped, whose, digest, seconds)
    if chosen and whole.results:
        store(run.folder, whole)
    return whole


def _together(
    present: Evaluation,
    chosen: tuple[str, ...],
    results: dict[str, Record | None],
    skipped: dict[str, str],
    whose: Judge | None,
    digest: str | None,
    seconds: float,
) -> Evaluation:
    """Return the stored results with the new ones in their place; a new reason does not replace an old result."""
    all_results, all_skipped, judges = dict(present.results), dict(present.skipped), dict(present.judges)
    for name in chosen:
        if name in skipped:
            if name in all_results:
                continue
            all_skipped[name] = skipped[name]
        elif (result := results[name]) is not None:
            all_results[name] = result
            all_skipped.pop(name, None)
        elif name in all_results:
            continue
        if whose and measures.get(name).judged:
            judges[name] = whose.weights_sha256
    judge = (whose if whose and digest else present.judge) if judges else None
    return present.with_results({*present.measures, *chosen}, all_results, all_skipped, judges, judge, seconds)


def _take(context: Context, chosen: Iterable[str], partial: Partial) -> tuple[dict[str, Record | None], dict[str, str]]:
    """Return the result of each measure chosen, None where it does not apply, and why others are skipped."""
    results: dict[str, Record | None] = {}
    skipped: dict[str, str] = {}
    for name in chosen:
        if name not in partial.results:
            try:
                partial.add(name, measures.get(name)(context))
            except Skipped as reason:  # not kept: the reason may not hold when the measure is asked for again
                skipped[name] = str(reason)
                continue
        results[name] = partial.results[name]
    return results, skipped
