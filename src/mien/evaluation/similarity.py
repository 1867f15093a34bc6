"""Whether what a model makes of held-out faces tells persons apart: what ``mien similarity`` and ``evaluate`` share.

Both follow the protocol of :mod:`mien.metrics.similarity_auc` and differ in the pictures: ``mien similarity`` takes all
of valid and test, for the most pairs; the measure ``similarity_auc`` takes the test pictures that the evaluation's other
measures take. Each says which in its ``split`` and its ``protocol``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mien.abilities import Encodes
from mien.applications import similarity as alike
from mien.applications.basics import encode_all
from mien.data.dataset import spread
from mien.errors import MienError
from mien.evaluation.context import Context, Note, Skipped
from mien.metrics import similarity_auc as auc
from mien.run.opening import OpenRun

LEAST = 20  # pairs of either kind; of fewer, the interval is wider than .25


def tell_persons(
    run: OpenRun, held: np.ndarray, split: str, noise: float, pairs: auc.Pairs, seed: int, note: Note
) -> tuple[dict[str, Any], auc.Scores]:
    """Return the AUC of every similarity with its protocol, and the similarities it was taken of.

    Args:
        held: positions (n,) of pictures the run was not trained on; split: what they are, in words.
        noise: standard deviation of the noise of neighborhoods, which a model that decodes has.
        pairs: rows of ``held``, of :func:`mien.metrics.similarity_auc.draw_pairs` with ``seed``.
        seed: of the pairs, the noise and the bootstrap.
        note: called with (what, done, total).
    """
    rows = pairs.rows()  # only these are encoded
    place = np.full(len(held), -1)
    place[rows] = np.arange(len(rows))
    placed = auc.Pairs(place[pairs.same], place[pairs.strangers], pairs.persons)
    index, model = held[rows], run.model
    z = encode_all(model, run.dataset, index, lambda d, t: note("encoding", d, t))
    reference = encode_all(model, run.dataset, spread(run.index, alike.REFERENCE))
    made = alike.available(model, z, reference, noise=noise, seed=seed, progress=lambda d, t: note("neighbors", d, t))
    made["pixels"] = alike.pixels(run.dataset, index)
    scores = auc.score_pairs(made, placed, lambda d, t: note("comparing pairs", d, t))
    identity = run.dataset.identity
    assert identity is not None, "pairs are drawn of persons"
    paired = np.unique(identity[held[pairs.same[:, 0]]])
    result = {
        "protocol": auc.protocol(split),
        "data": run.dataset.name,
        "split": split,
        "split_rule": run.splits.rule,
        "noise": noise,
        "reference": len(reference),
        **auc.same_person(scores, placed, seed),
        "paired_persons": len(paired),
        "paired_persons_in_training": int(np.isin(paired, identity[run.index]).sum()),
    }
    return result, scores


def similarity_auc(context: Context) -> dict[str, Any] | None:
    """How well similarities tell one person's pictures from strangers', in latents and, as the baseline, in pixels.

    Of the held-out test pictures of this evaluation; ``mien similarity`` takes all of valid and test.
    """
    run = context.run
    if not isinstance(run.model, Encodes) or run.dataset.identity is None:
        return None
    try:
        pairs = auc.draw_pairs(run.dataset.identity[context.test], auc.MOST, context.seed)
    except MienError as reason:
        raise Skipped(str(reason)) from None
    fewer = min(len(pairs.same), len(pairs.strangers))
    if fewer < LEAST:
        raise Skipped(
            f"expected {LEAST} pairs of one person and of strangers or more, got {len(pairs.same)} and "
            f"{len(pairs.strangers)} among {len(context.test):,} test pictures: mien similarity takes valid ones too"
        )
    result, _ = tell_persons(run, context.test, "test", alike.NOISE, pairs, context.seed, context.note)
    return {"n": result["n_same"], **result}
