"""One step of an edit in the studio: the preview, the residual, the identity, the full size and the command line."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from mien.applications.residuals import as_picture
from mien.data.pictures import from_float
from mien.data.reading import read_shape
from mien.errors import MienError
from mien.metrics.identity import SAME
from mien.photos import Aligned, align, celeba, edit_photo, save_photo
from mien.photos.editing import add
from mien.photos.masks import BEYOND_FACE, mask_of
from mien.studio.photo import KEPT, Photo, closeup, moved
from mien.studio.runs import Served

ENLARGED = 384  # pixels of the preview of a picture that is one of the model's
GAIN = 2.0  # factor of the residual, so that small changes are visible


@dataclass
class Start:
    """What all edits of one face by one run start from; it is computed once.

    Args:
        view: (h, w, 3), what the preview shows: the photo or a close-up of the face.
        file: the view as a file.
        aligned: the face in coordinates of the view; None for a picture of the model's own kind.
        start: (1, K) or (1, C, H, W), of :meth:`mien.applications.arithmetic.Editor.start`.
        before: (C, H, W), the model's picture without an edit.
        masks: (256, 256) by whether the edit reaches beyond the face.
    """

    view: NDArray[np.uint8]
    file: Path
    aligned: Aligned | None
    start: Tensor
    before: NDArray[np.float32]
    masks: dict[bool, NDArray[np.float32]] = field(default_factory=dict)


def picture_of(photo: Photo, run: Served) -> tuple[Tensor, bool]:
    """Return a photo as the model of a run sees it, (1, C, H, W) in [-1, 1], and whether it is an aligned face.

    Raises:
        MienError: the photo shows no face and the model needs one.
    """
    if run.template is not None and not photo.is_aligned(run.template):
        return photo.aligned(run.template).x, True
    return read_shape([photo.file], tuple(run.model.config["shape"])), False


def start(photo: Photo, run: Served, whole: bool = False) -> Start:
    """Return what edits of the chosen face start from.

    Args:
        photo: with a chosen face.
        run: a run that edits.
        whole: show the whole photo, and no close-up of the face.

    Raises:
        MienError: the run does not edit, or the photo shows no face.
    """
    if run.editor is None:
        raise MienError(f"expected a run that edits, got {run.name}: choose another one")
    key = ("start", run.name, photo.number, whole)
    if key not in photo.cache:
        x, face = picture_of(photo, run)
        aligned, view = None, _enlarged(x[0].numpy())
        if face and run.template is not None:
            aligned = photo.aligned(run.template)
            view, scale, corner = (photo.small, photo.scale, np.zeros(2)) if whole else closeup(photo, aligned)
            aligned = moved(aligned, scale, corner)
        latents = run.editor.start(x)
        before = run.editor.finish(latents, {})[0].cpu().numpy()
        photo.cache[key] = Start(view, photo.write(view, f"view-{len(photo.cache)}"), aligned, latents, before)
    result: Start = photo.cache[key]
    return result


@dataclass(frozen=True)
class Step:
    """The result of a step.

    Args:
        before, after: (h, w, 3), of equal size.
        residual: (S, S, 3), what the edit changes in the model's picture; middle gray is no change.
    """

    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    residual: NDArray[np.uint8]


def step(photo: Photo, run: Served, amounts: Mapping[str, float], whole: bool = False) -> Step:
    """Return the preview of an edit: one decoding, pasted into the view.

    Args:
        photo: with a chosen face.
        run: a run that edits.
        amounts: by attribute; zeros change nothing.
        whole: as of :func:`start`.

    Raises:
        MienError: as :func:`start`, or an attribute that cannot be changed.
    """
    base = start(photo, run, whole)
    amounts = nonzero(amounts)
    assert run.editor is not None  # start() raises without one
    after = run.editor.finish(base.start, amounts)[0].cpu().numpy() if amounts else base.before
    result = base.view.copy()
    if amounts and base.aligned is None:
        result = _enlarged(after)
    elif amounts and base.aligned is not None:
        wide = any(name in BEYOND_FACE for name in amounts)
        if wide not in base.masks:
            base.masks[wide] = mask_of(base.aligned, amounts)
        add(result, np.zeros(result.shape[:2], bool), base.aligned, after - base.before, base.masks[wide])
    return Step(base.view, result, _residual(after - base.before))


def nonzero(amounts: Mapping[str, float]) -> dict[str, float]:
    """Return the amounts that change something, rounded to hundredths.

    >>> nonzero({"Smiling": 1.0000001, "Young": 0.0})
    {'Smiling': 1.0}
    """
    return {name: round(float(amount), 2) for name, amount in amounts.items() if round(float(amount), 2)}


def _enlarged(x: NDArray[np.float32]) -> NDArray[np.uint8]:
    picture = from_float(x)
    factor = max(1, ENLARGED // max(picture.shape[:2]))
    image = Image.fromarray(np.broadcast_to(picture, (*picture.shape[:2], 3)))
    return np.array(image.resize((image.width * factor, image.height * factor), Image.Resampling.BICUBIC))


def _residual(change: NDArray[np.float32]) -> NDArray[np.uint8]:
    return _enlarged(as_picture(torch.from_numpy(change)[None], GAIN)[0].numpy())


def full_size(photo: Photo, run: Served, amounts: Mapping[str, float]) -> Path:
    """Write the edit of the photo at its own size, as ``mien edit`` does, and return the file.

    Raises:
        MienError: no amount, or as :func:`start`.
    """
    amounts = nonzero(amounts)
    if run.editor is None or not amounts:
        raise MienError("expected an edit to download, got none: move a slider first")
    stem, suffix = Path(photo.name).stem or "photo", Path(photo.name).suffix.lower()
    path = photo.folder / f"{stem}-edited{suffix if suffix in KEPT else '.png'}"
    if run.template is None or photo.is_aligned(run.template):
        y = run.editor(picture_of(photo, run)[0], amounts).cpu()
        picture = from_float(y[0].numpy())
        save_photo(np.array(np.broadcast_to(picture, (*picture.shape[:2], 3))), path)
        return path
    _ = photo.face  # says so if there is none
    result = edit_photo(photo.read(), run.editor, amounts, run.template, photo.number, faces=photo.faces)
    save_photo(result.photo, path)
    return path


def command(photo: Photo, run: Served, amounts: Mapping[str, float]) -> str:
    """Return the command line of the same edit; an empty text without an edit."""
    changes = [f"{name}={amount:+g}" for name, amount in nonzero(amounts).items()]
    if not changes:
        return ""
    face = ["--face", str(photo.number)] if len(photo.faces) > 1 else []
    return shlex.join(["mien", "edit", run.word, photo.name, *changes, *face])


@cache
def _embed() -> Any:
    """Return dlib's embedding of faces."""
    from mien.metrics.faces import Faces

    return Faces().embeddings


def identity(photo: Photo, run: Served, amounts: Mapping[str, float]) -> str:
    """Return a sentence: the distance of dlib's embedding between the face before and after the edit.

    Without dlib, or for a picture without an aligned face, the sentence says that there is no measure.
    """
    base = start(photo, run)
    if base.aligned is None:
        return "No measure of identity: the picture is one of the model's own size."
    template = celeba(256, 178)
    try:
        if ("embedding", run.name, photo.number) not in photo.cache:
            x = align(base.view, base.aligned.face, template).x
            photo.cache["embedding", run.name, photo.number] = _embed()(x)[0]
        after = _embed()(align(step(photo, run, amounts).after, base.aligned.face, template).x)[0]
    except MienError as error:
        return f"No measure of identity: {error}"
    distance = float(np.linalg.norm(after - photo.cache["embedding", run.name, photo.number]))
    if not np.isfinite(distance):
        return "No measure of identity: no face was found again in the edited picture."
    verdict = "the same person" if distance < SAME else "another person"
    return f"Identity distance {distance:.2f}: dlib sees {verdict} (below {SAME:g} is the same)."
