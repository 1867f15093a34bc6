"""What edits do besides their attribute: the distance between the persons, the change of pixels, and LPIPS."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mien.data.dataset import spread
from mien.data.pictures import open_picture, to_float
from mien.errors import MienError
from mien.evaluation.folders import part_of
from mien.metrics.distributions import Note

if TYPE_CHECKING:
    from mien.evaluation.folder_edits import Pairs

MOST = 200  # pairs: an embedding takes 80 ms
Photo = NDArray[np.uint8]
Pair = tuple[Photo, Photo, Photo]
"""The picture before the edit, the unedited picture in the size of the edit, and the edit."""


def people(pairs: Pairs, note: Note = None) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the measures of at most 200 pairs, evenly spread, and the reasons why others were left out.

    ``identity`` is the distance between dlib's embeddings of a picture and of its edit, with the distance between
    different pictures of the folder as the baseline. ``pixels`` is the mean absolute change in levels of 0 to 255 from
    the unedited picture, on the whole picture, inside and outside the outline of its face. ``lpips`` is the distance
    between the same two, if the weights of AlexNet are at hand.

    Args:
        pairs: the pairs.
        note: called with (what, done, total).
    """
    chosen = spread(np.arange(len(pairs.names)), MOST)
    photos: list[Pair] = []
    for row in chosen:
        first, second, third = pairs.names[row]
        before, after = open_picture(pairs.before.read(first)), open_picture(pairs.after.read(second))
        plain = before if pairs.unedited is pairs.before else open_picture(pairs.unedited.read(third))
        photos.append((np.asarray(before), fitted(plain, after.size), np.asarray(after)))
        if note:
            note("reading pairs", len(photos), len(chosen))
    results: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    for name, function in (("identity", _identity), ("pixels", _pixels), ("lpips", _lpips)):
        try:
            results[name] = function(photos, note)
        except MienError as reason:
            left_out[name] = str(reason)
    return results, left_out


def fitted(picture: Image.Image, size: tuple[int, int]) -> Photo:
    """Return an unedited picture in the size (width, height) of its edit: its largest centered part, resized."""
    return np.asarray(picture) if picture.size == size else part_of(picture, (3, size[1], size[0]))


def _identity(photos: list[Pair], note: Note) -> dict[str, Any]:
    """Return the distances of pictures to their edits, and of pictures to the next pictures of the folder.

    Raises:
        MienError: dlib or its models are missing, or no pair has two detected faces.
    """
    from mien.metrics.faces import Faces, import_dlib
    from mien.metrics.identity import distances

    import_dlib()
    faces = Faces()
    protocol = faces.protocol()
    rows: list[list[NDArray[np.float64]]] = [[], []]
    for done, (before, _, after) in enumerate(photos):
        for side, photo in zip(rows, (before, after), strict=True):
            side.append(faces.embeddings(_tensor(photo))[0])
        if note:
            note("identity", done + 1, len(photos))
    first, second = (np.stack(side) for side in rows)
    summary = distances(first, second).summary()
    if not summary["n"]:
        raise MienError(f"expected a face in a picture and in its edit, got none in {len(photos)} pairs: no identity")
    others = distances(first, np.roll(first, 1, 0)).summary() if len(first) > 1 else None
    return {"edits": summary, "other_pictures": others, "protocol": protocol}


def _pixels(photos: list[Pair], note: Note) -> dict[str, Any]:
    """Return the mean absolute change of pixels, on whole pictures and, where a face was found, on either side."""
    whole, inside, outside = [], [], []
    finder = _finder()
    for done, (_, plain, after) in enumerate(photos):
        change = np.abs(plain.astype(np.float64) - after).mean(2)  # (H, W)
        whole.append(change.mean())
        if finder is not None and (mask := _mask(finder, plain)) is not None:
            inside.append(change[mask].mean())
            outside.append(change[~mask].mean())
        if note:
            note("pixels", done + 1, len(photos))
    return {
        "n": len(whole),
        "change": float(np.mean(whole)),
        "faces": len(inside),
        "inside_face": float(np.mean(inside)) if inside else None,
        "outside_face": float(np.mean(outside)) if outside else None,
    }


def _finder() -> Any:
    """Return dlib's finder of faces; None where dlib or its model is not installed."""
    if importlib.util.find_spec("dlib") is None:
        return None
    from mien.metrics.faces import LANDMARKS
    from mien.photos.finding import DlibFinder

    try:
        LANDMARKS.find()
    except MienError:
        return None
    return DlibFinder()


def _mask(finder: Any, photo: Photo) -> NDArray[np.bool_] | None:
    """Return the mask (H, W) of the largest face in a photo; None without one, or if it fills the photo."""
    faces = finder(np.ascontiguousarray(photo))
    if not faces or faces[0].outline is None:
        return None
    picture = Image.new("1", (photo.shape[1], photo.shape[0]))
    ImageDraw.Draw(picture).polygon([tuple(point) for point in faces[0].outline], fill=1)
    mask = np.asarray(picture)
    return mask if mask.any() and not mask.all() else None


def _lpips(photos: list[Pair], note: Note) -> dict[str, Any]:
    """Return the mean LPIPS on AlexNet between unedited pictures and their edits.

    Raises:
        MienError: the weights of AlexNet are not at hand; they are not downloaded.
    """
    from torchvision.models import AlexNet_Weights

    from mien.metrics.feature_networks import local_weights
    from mien.metrics.lpips import lpips, lpips_alex

    url = AlexNet_Weights.IMAGENET1K_V1.url
    if local_weights(url.rpartition("/")[2], "MIEN_ALEXNET") is None:
        raise MienError(f"expected the weights of AlexNet for LPIPS, got none: set MIEN_ALEXNET to the file of {url}")
    network = lpips_alex()
    values = []
    for done, (_, plain, after) in enumerate(photos):
        values.append(float(lpips(_tensor(plain), _tensor(after), network)[0]))
        if note:
            note("LPIPS", done + 1, len(photos))
    return {"n": len(values), "mean": float(np.mean(values)), "sd": float(np.std(values)), **network.about()}


def _tensor(photo: Photo) -> torch.Tensor:
    return torch.from_numpy(to_float(photo[None]))
