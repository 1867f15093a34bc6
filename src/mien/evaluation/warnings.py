"""Warnings from a stored evaluation: edits without effect, predictions below a baseline. It does not import torch."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from mien.evaluation.result import Evaluation
from mien.evaluation.store import RESULT, read
from mien.files import sha256
from mien.run.folder import WEIGHTS, resolve

if TYPE_CHECKING:
    from mien.evaluation.measures.baselines import BaselineScores

NO_GAIN = 0.05  # an edit with a smaller gain changes nothing that the judge can see
SMALLEST_ROOM = 0.2  # the smallest (ceiling − before) from which a gain is computed, as in mien.metrics.edits
FEWEST = 10  # pictures of the rarer kind below which a gain says nothing
NO_CHANGE = 0.02  # the same for older results, which have the shares before and after but no gain


def edits_without_effect(evaluation: Evaluation) -> dict[str, str]:
    """Return the attributes that edits do not change by the judge, each with the numbers as text.

    Attributes that the judge does not recognize in real pictures, or of which there are too few pictures, are not
    among them: nothing is known about their edits.

    Args:
        evaluation: of a run; without edits, the answer is empty.
    """
    if "edits" not in evaluation:
        return {}
    texts: dict[str, str] = {}
    for name, one in evaluation["edits"].per_attribute.items():
        judged = one.judged
        if judged is None:
            continue
        shares = f"{judged.unedited:.1%} before and {judged.success:.1%} after the edit"
        if judged.threshold is None:
            if abs(judged.success - judged.unedited) < NO_CHANGE and judged.unedited < 0.5:
                texts[name] = f"the judge finds the target in {shares}"
        elif (judged.room or 0.0) >= SMALLEST_ROOM and judged.ceiling_n >= FEWEST and (judged.gain or 0.0) < NO_GAIN:
            texts[name] = f"the judge finds the target in {shares}, and in {judged.ceiling:.1%} of real pictures"
    return texts


def edit_warnings(run: str | Path, names: Iterable[str]) -> list[str]:
    """Return a line for each attribute of ``names`` that edits of a run do not change, by its stored evaluation.

    Args:
        run: the run folder; an evaluation of other weights is ignored.
        names: the attributes to change.
    """
    folder = resolve(run)
    evaluation = read(folder / RESULT)
    if evaluation is None or evaluation.weights_sha256 != sha256(folder / WEIGHTS):
        return []
    texts = edits_without_effect(evaluation)
    return [f"{name}: this run does not change it: {texts[name]}" for name in names if name in texts]


def below_baseline(evaluation: Evaluation) -> list[str]:
    """Return a sentence for each classifier of a run that is not better than always predicting the commonest value."""
    sentences = []
    if "recognition" in evaluation:
        scores = evaluation["recognition"]
        if scores.mean_accuracy < scores.majority_baseline:
            sentences.append(
                f"The attributes that the model predicts ({scores.mean_accuracy:.1%}) are below the plain baseline of "
                f"always the commoner value ({scores.majority_baseline:.1%})."
            )
    scores = evaluation["classes"].recognition if "classes" in evaluation else None
    if scores is not None and scores.majority_baseline is not None and scores.accuracy <= scores.majority_baseline:
        sentences.append(
            f"The classes that the model predicts ({scores.accuracy:.1%}) are not better than the plain baseline "
            f"of always the commonest class ({scores.majority_baseline:.1%})."
        )
    if "baselines" in evaluation:
        sentences += _below_logistic(evaluation["baselines"])
    return sentences


def _below_logistic(scores: BaselineScores) -> list[str]:
    """Return a sentence if a logistic regression on the same labels predicts better than the model.

    The difference must be larger than the standard errors of both together.
    """
    model, other = scores.model, scores.logistic_regression
    if other.accuracy - model.accuracy <= (model.sem**2 + other.sem**2) ** 0.5:
        return []
    return [
        f"A logistic regression on the same labels predicts better than the model "
        f"({other.accuracy:.1%} against {model.accuracy:.1%})."
    ]
