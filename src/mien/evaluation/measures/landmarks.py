"""Errors of landmarks on faces without glasses (D0), with glasses (D1) and with the glasses removed (D1m).

This is Table 2 of Shen & Liu 2017 with CelebA's five points as the ground truth, if their file is in the data folder.
The stability of the 68 points under known moves needs no ground truth. ``pip install 'mien[faces]'``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mien.evaluation.context import Context
from mien.evaluation.editing import editable, reverse
from mien.evaluation.faces import open_faces, shows_faces
from mien.evaluation.measure import Measure, Row
from mien.evaluation.record import Record

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from mien.metrics.faces import Faces
    from mien.metrics.landmarks import LandmarkErrors
    from mien.run.opening import OpenRun

MOST = 200  # largest number of faces
GLASSES = "Eyeglasses"


@dataclass(frozen=True)
class Part(Record):
    """Errors of the landmarks of one part of a face, in distances between the eyes; None if no face was detected."""

    mean: float | None
    median: float | None
    sd: float | None
    sem: float | None


@dataclass(frozen=True, kw_only=True)
class Errors(Record):
    """Errors of one set of faces, see :class:`mien.metrics.landmarks.LandmarkErrors`."""

    pictures: int
    n: int
    found: float | None
    lost: float
    eyes: Part
    rest: Part


@dataclass(frozen=True, kw_only=True)
class LandmarkScores(Record):
    """Errors of n faces by set (D0, D1, D1m): under known moves, and against the ground truth if it is known."""

    n: int
    stability: dict[str, Errors]
    celeba5: dict[str, Errors] | None = None
    protocol: dict[str, Any]


class Landmarks(Measure[LandmarkScores]):
    """The effect of the removal of glasses on landmarks."""

    Result = LandmarkScores
    usual = False  # only for photographs of faces
    order = 90

    def applies(self, run: OpenRun) -> bool:
        """Return whether the data set can show faces, names glasses, and the model reconstructs or edits."""
        return shows_faces(run) and GLASSES in run.dataset.attributes

    def take(self, context: Context) -> LandmarkScores:
        """Return the errors of each set."""
        import numpy as np

        from mien.data.dataset import spread
        from mien.metrics import landmarks as metric

        run, faces = context.run, open_faces()
        held = np.sort(np.concatenate([run.splits.valid, run.splits.test]))
        column = run.dataset.attributes.index(GLASSES)
        worn = np.asarray(run.dataset.attribute_table[held, column])
        index = np.concatenate([spread(held[worn == value], MOST // 2) for value in (-1, 1)])
        has = np.asarray(run.dataset.attribute_table[index, column])
        x = run.dataset.batch(index, context.device).x
        edited: dict[str, Tensor] = {}
        if run.edits and GLASSES in editable(run, editor := run.editor()):
            edited["D1m"] = reverse(editor, x, has, GLASSES)
        if (
            context.autoencodes
        ):  # the control of D1m: a decoder smooths faces, and this alone makes landmarks more stable
            edited["D1 reconstructed"] = context.plain(x)
        against = None
        stability = metric.landmark_table(_stability(context, faces, has, len(edited)), x, has, edited)
        root = run.dataset.options.get("root")
        roots = [root] if isinstance(root, str) else root or run.data.roots
        path = next((path for path in map(metric.find_five, roots) if path), None)
        if path:
            keys, crop = [run.dataset.keys[i] for i in index], run.data.options.get("crop", metric.WIDTH)
            truth = metric.read_five(path, keys, x.shape[-1], crop)
            against = metric.landmark_table(
                lambda pictures, rows: metric.celeba5_error(faces.landmarks(pictures), truth[rows]), x, has, edited
            )
        return LandmarkScores(
            n=len(index),
            stability=_errors(stability),
            celeba5=None if against is None else _errors(against),
            protocol=faces.protocol(),
        )

    def rows(self, result: LandmarkScores) -> list[Row]:
        """Return a row for each set: errors against the ground truth, then under known moves."""
        rows = []
        for kind, table in (("error", result.celeba5 or {}), ("stability", result.stability)):
            for name, one in table.items():
                if one.n:
                    value = f"{one.eyes.mean:.4f} / {one.rest.mean:.4f}"
                    how = f"eyes / rest, of eye distance; {one.n} of {one.pictures} faces found"
                    rows.append(Row(f"landmark {kind}, {name}", value, how, "down"))
        return rows


def _errors(table: dict[str, LandmarkErrors]) -> dict[str, Errors]:
    return {name: Errors.from_json(one.summary()) for name, one in table.items()}


def _stability(context: Context, faces: Faces, has: np.ndarray, edits: int) -> Any:
    """Return a function from (pictures, rows) to errors under known moves; it reports the progress over all sets."""
    from mien.metrics.landmarks import landmark_stability

    total, done = int((has != 0).sum() + edits * (has > 0).sum()), 0

    def measure(pictures: Tensor, rows: np.ndarray) -> LandmarkErrors:
        nonlocal done
        start, done = done, done + len(pictures)
        return landmark_stability(
            faces.landmarks, pictures, progress=lambda d, t: context.note("landmarks", start + d, total)
        )

    return measure
