"""Distance between the embeddings of a face and of its reconstruction or edit, with baselines of the data set.

The measure of Ma et al. 2019, Fig. 5, with dlib's embedding for FaceNet's. The baselines are pairs of one person,
pairs of strangers, and mirror images, from the same data set at the same size. ``pip install 'mien[faces]'``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mien.evaluation.context import Context
from mien.evaluation.editing import TELLING, editable, reverse
from mien.evaluation.faces import open_faces, shows_faces
from mien.evaluation.measure import Better, Measure, Row, spread_text
from mien.evaluation.record import Record

if TYPE_CHECKING:
    from mien.run.opening import OpenRun

MOST = 200  # largest number of faces: each takes 80 ms for every change
CHANGES = 4  # number of reversed attributes


@dataclass(frozen=True, kw_only=True)
class Distances(Record):
    """Distances of pairs of faces, see :class:`mien.metrics.identity.IdentityDistances`."""

    pairs: int
    n: int
    found: float | None
    found_first: float | None
    found_second: float | None
    mean: float | None
    sd: float | None
    threshold: float
    within: float | None
    within_of_all: float | None


@dataclass(frozen=True, kw_only=True)
class Baselines(Record):
    """Distances in the data set, see :class:`mien.metrics.identity.IdentityBaselines`."""

    pictures: int
    found: float
    pairs: str
    same: Distances | None = None
    strangers: Distances | None = None
    mirrored: Distances | None = None
    auc: float | None


@dataclass(frozen=True, kw_only=True)
class IdentityScores(Record):
    """Distances between n faces and their changed versions, by change."""

    n: int
    changed: dict[str, Distances]
    baselines: Baselines
    protocol: dict[str, Any]


class Identity(Measure[IdentityScores]):
    """Preservation of identity by reconstructions and edits."""

    Result = IdentityScores
    usual = False  # only for photographs of faces, 80 ms for each face
    order = 80

    def applies(self, run: OpenRun) -> bool:
        """Return whether the pictures can be faces and the model reconstructs or edits them."""
        return shows_faces(run)

    def take(self, context: Context) -> IdentityScores:
        """Return distances of reconstructions and edits, and of pairs of the data set."""
        import numpy as np

        from mien.data.dataset import spread
        from mien.metrics.identity import identity_baselines, identity_distances, pair_people

        faces, run = open_faces(), context.run
        index = spread(context.test, MOST)
        batch = run.dataset.batch(index, context.device)
        changed = {"reconstructed": context.plain(batch.x)} if context.autoencodes else {}
        if run.edits:
            editor = run.editor()
            names = editable(run, editor)
            for attribute in [name for name in TELLING if name in names][:CHANGES] or names[:CHANGES]:
                values = np.asarray(run.dataset.attribute_table[index, run.dataset.attributes.index(attribute)])
                changed[f"{attribute} reversed"] = reverse(editor, batch.x, values, attribute)
        moved = identity_distances(batch.x, changed, faces.embeddings, lambda d, t: context.note("identity", d, t))
        held = np.sort(np.concatenate([run.splits.valid, run.splits.test]))
        pairs = pair_people(run.dataset.identity, held, MOST // 2, context.seed)
        baselines = identity_baselines(
            lambda rows: run.dataset.batch(rows).x,
            pairs,
            faces.embeddings,
            lambda d, t: context.note("baselines", d, t),
        )
        return IdentityScores(
            n=len(index),
            changed={name: Distances.from_json(one.summary()) for name, one in moved.items()},
            baselines=Baselines.from_json(baselines.summary()),
            protocol=faces.protocol(),
        )

    def rows(self, result: IdentityScores) -> list[Row]:
        """Return a row for each change, then the baselines."""
        of_data = result.baselines
        changes = [_row(f"identity distance, {name}", one, "down") for name, one in result.changed.items()]
        rows = [row for row in changes if row is not None]
        indented = bool(rows)  # without a row before it, a baseline has a full label
        for name, one in (("same", of_data.same), ("strangers", of_data.strangers), ("mirrored", of_data.mirrored)):
            label = f"{name} (real pairs)" if indented else f"identity distance, {name} (real pairs)"
            if (row := _row(label, one, None, indented=indented)) is not None:
                rows.append(row)
        return rows


def _row(label: str, one: Distances | None, better: Better | None, indented: bool = False) -> Row | None:
    """Return the row of a mean distance; None if no pair has two detected faces."""
    if one is None or not one.n:
        return None
    how = f"{one.n} of {one.pairs} with both faces found; {one.within:.1%} within {one.threshold:g}"
    return Row(label, f"{one.mean:.3f}", how, better, spread_text(one.sd, 3), indented)
