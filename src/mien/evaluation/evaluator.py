"""Evaluation of a run: the measures are taken on its held-out pictures and stored in its folder."""

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
    """Return the names of the measures to take: the usual ones by default, every one for ``all``.

    Raises:
        UnknownName: a measure that does not exist.
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
    """Raise an error if a run cannot be the judge, or if it is the loss network of the model.

    Raises:
        MienError: the message says which other judge to use.
    """
    models_text = " or ".join(models.models_with(["Recognizes", "Describes"]))
    if not can(judge_model, Recognizes, Describes) or not isinstance(judge_model, Recognizes):
        raise MienError(
            f"expected a model that Recognizes and Describes as judge, got {judge}, a run of {judge_model.name}: "
            f"use a run of {models_text}"
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
                f"train another {models_text} with another --seed and --share"
            )


def open_judge(run: OpenRun, judge: str | Path) -> tuple[Model, Judge]:
    """Return the model of a judge, checked by :func:`check_judge`, and the name and hash of the judge."""
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
    """Take the measures that the run's abilities allow, store the results in the run's folder, and return them.

    The run's evaluation.json keeps its other results by the same protocol (weights, pictures, seed, judge). An
    evaluation by another protocol is moved to a separate file; a later evaluation by that protocol uses it again. An
    interrupted evaluation continues after its last complete measure.

    Args:
        judge: a run that recognizes and describes pictures, for the measures that need one; never the run's own loss
            network.
        count: largest number of held-out pictures, and of generated ones unless the measure's name fixes the number.
        seed: seed of the generated pictures.
        note: called with (what, done, total).
        metrics: names of measures; the usual ones by default, every one by ``all``.

    Raises:
        UnknownName: a measure that does not exist.
        MienError: the judge cannot be used for this run, or no measure can be taken.
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
    """Take the measures ``selection`` as in :func:`evaluate`; store and return all results of the run.

    Args:
        missing: the measures of ``selection`` without a stored result; only these are taken. All by default.
    """
    judge_model, judge_about = open_judge(run, judge) if judge is not None else (None, None)
    # if no chosen measure needs the judge, results of another judge stay
    digest = (
        judge_about.weights_sha256 if judge_about and any(measures.get(name).judged for name in selection) else None
    )
    protocol = empty(run, count, seed)
    before = stored(run.results, protocol, digest)
    chosen = selection if missing is None else missing
    # without a judge, results of an earlier judge are more complete than new ones
    chosen = tuple(name for name in chosen if judge_about or name not in before.judges or name not in before)
    context = Context(
        run=run,
        test=spread(run.splits.test, count),
        judge=judge_model,
        judge_sha256=judge_about.weights_sha256 if judge_about else None,
        seed=seed,
        note=note or (lambda what, done, total: None),
        chosen=chosen,
    )
    started = time.monotonic()
    results, skipped = _take(context, chosen, Partial(run.results, protocol, judge_about))
    seconds = round(time.monotonic() - started, 1)  # without stored results
    present = stored(run.results, protocol, digest)  # read again, because another evaluation may have ended meanwhile
    whole = _merge(present, chosen, results, skipped, judge_about, digest, seconds)
    if chosen and whole.results:
        store(run.results, whole)
    return whole


def _merge(
    present: Evaluation,
    chosen: tuple[str, ...],
    results: dict[str, Record | None],
    skipped: dict[str, str],
    judge_about: Judge | None,
    digest: str | None,
    seconds: float,
) -> Evaluation:
    """Return the stored results, updated with the new ones. A reason for a skip does not replace an old result."""
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
        if judge_about and measures.get(name).judged:
            judges[name] = judge_about.weights_sha256
    judge = (judge_about if judge_about and digest else present.judge) if judges else None
    return present.with_results({*present.measures, *chosen}, all_results, all_skipped, judges, judge, seconds)


def _take(context: Context, chosen: Iterable[str], partial: Partial) -> tuple[dict[str, Record | None], dict[str, str]]:
    """Return the results by measure, None if it does not apply, and the reasons by skipped measure."""
    results: dict[str, Record | None] = {}
    skipped: dict[str, str] = {}
    for name in chosen:
        if name not in partial.results:
            try:
                partial.add(name, measures.get(name)(context))
            except Skipped as reason:  # not stored: the next call may have what is missing now
                skipped[name] = str(reason)
                continue
        results[name] = partial.results[name]
    return results, skipped
