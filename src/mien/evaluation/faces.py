"""dlib's models and the runs to which they apply, for the measures of faces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mien.errors import MienError
from mien.evaluation.context import autoencodes
from mien.evaluation.measure import Skipped

if TYPE_CHECKING:
    from mien.metrics.faces import Faces
    from mien.run.opening import OpenRun


def shows_faces(run: OpenRun) -> bool:
    """Return whether the pictures can be photographs of faces and the model reconstructs or edits them."""
    picture = run.dataset.shape[1] > 1 and run.dataset.shape[0] in (1, 3)
    return picture and (autoencodes(run) or run.edits)


def open_faces() -> Faces:
    """Return dlib's models.

    Raises:
        Skipped: dlib or a model is missing.
    """
    from mien.metrics.faces import Faces, import_dlib

    try:
        import_dlib()
        faces = Faces()
        faces.protocol()
    except MienError as reason:
        raise Skipped(str(reason)) from None
    return faces
