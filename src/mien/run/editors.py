"""The editor of a run, with its data only where they are needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from mien.abilities import Decodes, Edits, Encodes, can, require
from mien.applications.arithmetic import Editor
from mien.applications.directions import MEAN
from mien.errors import UnknownName
from mien.models.base import Model
from mien.run.folder import read_config
from mien.run.opening import cached_vectors, check_direction, open_run
from mien.run.weights import load


def load_editor(
    run: str | Path,
    device: str = "cpu",
    *,
    keep: Iterable[str] = (),
    direction: str = MEAN,
    names: Sequence[str] = (),
    root: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
    model: Model | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Editor:
    """Return the function (x, amounts) -> x that changes attributes of pictures.

    The run's data are opened only where attribute vectors are needed and the run has none yet. A pretrained model has
    them, so it needs no data.

    Args:
        run: the run folder, or the name of a pretrained model.
        device: cpu or cuda.
        keep: attributes whose directions an edit does not move along.
        direction: of the attribute vectors: mean, svm or whitened.
        names: the attributes to change; unknown ones are refused before vectors are computed.
        root: where the data lie now if they have moved.
        model: the model of the run, if it is loaded already.
        progress: called with (done, total) while attribute vectors are computed.

    Raises:
        MissingAbility: for a model that neither edits nor encodes and decodes.
        UnknownName, MienError: for an attribute that cannot be changed or kept, or a direction that does not exist.

    >>> import torch
    >>> editor = load_editor("faces-64")
    >>> editor(torch.zeros(1, 3, 64, 64), {"Smiling": 1, "Eyeglasses": -1}).shape
    torch.Size([1, 3, 64, 64])
    """
    model = load(run, device) if model is None else model
    check_direction(model, direction)
    itself, kept = can(model, Edits), tuple(keep)
    vectors = None if itself else cached_vectors(run, direction)
    if itself or vectors is not None:
        editor = Editor(model, vectors, kept)
    else:
        require(model, Encodes, Decodes)
        attributes = read_config(run)["data"].get("attributes", [])
        for name in [*names, *kept] if attributes else []:
            if name not in attributes:
                raise UnknownName("attribute", name, attributes)
        editor = open_run(run, device, root).editor(kept, progress, direction)
    editor.check([*names, *kept])
    return editor
