"""Faces after what a model made of them: is it still the same person, are landmarks where they were."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mien.abilities import Edits
from mien.applications.arithmetic import edit
from mien.data.dataset import spread
from mien.errors import MienError
from mien.evaluation.context import Context, Skipped
from mien.evaluation.edits import TELLING, editable, edits_apply

MOST = 200  # faces looked at: 80 ms each, for every change
CHANGES = 4  # attributes that are reversed
GLASSES = "Eyeglasses"


def _applies(context: Context) -> bool:
    """Whether the pictures can be photographs of faces, and the model makes something of them."""
    picture = context.run.dataset.shape[1] > 1 and context.run.dataset.shape[0] in (1, 3)
    return picture and (context.autoencodes or edits_apply(context.run))


def _faces() -> Any:
    from mien.metrics.faces import Faces, import_dlib

    try:
        import_dlib()
        found = Faces()
        found.protocol()
    except MienError as reason:
        raise Skipped(str(reason)) from None
    return found


def _reversed(context: Context, x: Tensor, values: np.ndarray, attribute: str, vectors: Any) -> Tensor:
    """Return pictures (B, C, H, W) with the attribute removed where it is and added where it is not."""
    changed = torch.empty_like(x)
    for sign in (1, -1):
        rows = torch.from_numpy(values == -sign).to(x.device)
        if rows.any():
            changed[rows] = edit(context.model, x[rows], {attribute: float(sign)}, vectors)
    return changed


def identity(context: Context) -> dict[str, Any] | None:
    """Distance of the persons in held-out faces from themselves, in reconstructions and edits, beside baselines.

    Fig. 5 of Ma et al. 2019, by dlib's embedding; the baselines are same-person pairs, strangers and mirror images of
    the data set itself at the same size.
    """
    from mien.metrics.identity import identity_baselines, identity_distances, pair_people

    if not _applies(context):
        return None
    faces, run = _faces(), context.run
    index = spread(context.test, MOST)
    batch = run.dataset.batch(index, context.device)
    changed = {"reconstructed": context.plain(batch.x)} if context.autoencodes else {}
    if edits_apply(run):
        vectors = None if isinstance(context.model, Edits) else run.vectors()
        names = editable(run, vectors)
        for attribute in [name for name in TELLING if name in names][:CHANGES] or names[:CHANGES]:
            values = np.asarray(run.dataset.attribute_table[index, run.dataset.attributes.index(attribute)])
            changed[f"{attribute} reversed"] = _reversed(context, batch.x, values, attribute, vectors)
    moved = identity_distances(batch.x, changed, faces.embeddings, lambda d, t: context.note("identity", d, t))
    held = np.sort(np.concatenate([run.splits.valid, run.splits.test]))
    pairs = pair_people(run.dataset.identity, held, MOST // 2, context.seed)
    baselines = identity_baselines(
        lambda rows: run.dataset.batch(rows).x, pairs, faces.embeddings, lambda d, t: context.note("baselines", d, t)
    )
    return {
        "n": len(index),
        "changed": {name: one.summary() for name, one in moved.items()},
        "baselines": baselines.summary(),
        "protocol": faces.protocol(),
    }


def landmarks(context: Context) -> dict[str, Any] | None:
    """How surely landmarks are placed on faces without glasses (D0), with (D1), and with them removed (D1m).

    Table 2 of Shen & Liu 2017, against CelebA's five points where their file lies beside the pictures; without it,
    the stability of the 68 points under known moves, which needs no truth.
    """
    from mien.metrics import landmarks as metric

    run = context.run
    if not _applies(context) or GLASSES not in run.dataset.attributes:
        return None
    faces = _faces()
    held = np.sort(np.concatenate([run.splits.valid, run.splits.test]))
    column = run.dataset.attributes.index(GLASSES)
    worn = np.asarray(run.dataset.attribute_table[held, column])
    index = np.concatenate([spread(held[worn == value], MOST // 2) for value in (-1, 1)])
    has = np.asarray(run.dataset.attribute_table[index, column])
    x = run.dataset.batch(index, context.device).x
    edited: dict[str, Tensor] = {}
    if edits_apply(run):
        vectors = None if isinstance(context.model, Edits) else run.vectors()
        if GLASSES in editable(run, vectors):
            edited["D1m"] = _reversed(context, x, has, GLASSES, vectors)
    if context.autoencodes:  # decoding smooths a face, which alone steadies landmarks: the control of D1m
        edited["D1 reconstructed"] = context.plain(x)
    total, done = int((has != 0).sum() + len(edited) * (has > 0).sum()), 0

    def stability(pictures: Tensor, rows: np.ndarray) -> metric.LandmarkErrors:
        nonlocal done
        start, done = done, done + len(pictures)
        return metric.landmark_stability(
            faces.landmarks, pictures, progress=lambda d, t: context.note("landmarks", start + d, total)
        )

    table = metric.landmark_table(stability, x, has, edited)
    result: dict[str, Any] = {"stability": {name: one.summary() for name, one in table.items()}}
    root = run.dataset.options.get("root") or run.data.root
    roots = [root] if isinstance(root, str) else list(root or ())
    if path := next((path for one in roots if (path := metric.find_five(one))), None):
        truth = metric.read_five(path, [run.dataset.keys[i] for i in index], x.shape[-1])
        against = metric.landmark_table(
            lambda pictures, rows: metric.celeba5_error(faces.landmarks(pictures), truth[rows]), x, has, edited
        )
        result["celeba5"] = {name: one.summary() for name, one in against.items()}
    return {"n": len(index), **result, "protocol": faces.protocol()}
