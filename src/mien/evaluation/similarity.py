"""Similarities of held-out faces as a test of identity, for ``mien similarity`` and ``mien evaluate``.

Both follow the protocol of :mod:`mien.metrics.similarity_auc`, with different pictures. ``mien similarity`` uses all
validation and test pictures, to have more pairs. The measure ``similarity_auc`` uses the test pictures of the
evaluation. ``split`` and ``protocol`` of the result name the pictures.
"""

from __future__ import annotations

import numpy as np

from mien.applications import similarity as alike
from mien.applications.basics import encode_all
from mien.data.dataset import spread
from mien.evaluation.context import Note
from mien.evaluation.same_person import SamePerson
from mien.metrics import similarity_auc as auc
from mien.run.opening import OpenRun


def compare_persons(
    run: OpenRun, held: np.ndarray, split: str, noise: float, pairs: auc.Pairs, seed: int, note: Note
) -> tuple[SamePerson, auc.Scores]:
    """Return the AUC of every similarity with its protocol, and the similarities of the pairs.

    Args:
        run: the run to measure.
        held: positions (n,) of held-out pictures; split: name of these pictures for the result.
        noise: standard deviation of the noise of neighborhoods, for models that decode.
        pairs: pairs of rows of ``held``, drawn by :func:`mien.metrics.similarity_auc.draw_pairs` with ``seed``.
        seed: seed of the pairs, the noise and the bootstrap.
        note: called with (what, done, total).
    """
    rows = pairs.rows()  # only these are encoded
    place = np.full(len(held), -1)
    place[rows] = np.arange(len(rows))
    placed = auc.Pairs(place[pairs.same], place[pairs.strangers], pairs.persons)
    index, model = held[rows], run.model
    z = encode_all(model, run.dataset, index, lambda d, t: note("encoding", d, t))
    reference = encode_all(model, run.dataset, spread(run.index, alike.REFERENCE))
    measures = alike.available(
        model, z, reference, noise=noise, seed=seed, progress=lambda d, t: note("neighbors", d, t)
    )
    measures["pixels"] = alike.pixels(run.dataset, index)
    scores = auc.score_pairs(measures, placed, lambda d, t: note("comparing pairs", d, t))
    identity = run.dataset.identity
    assert identity is not None, "pairs need the identity of persons"
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
    return SamePerson.from_json(result), scores
