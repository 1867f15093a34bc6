"""Where an edit may change a photo: masks (S, S) in [0, 1] over the aligned picture, with a soft border."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from mien.photos.aligning import Aligned, apply, inverse

SIDE = 256  # pixels of a mask; it is enlarged with the change
GROWTH = 0.10  # of the distance between the eyes: how far the mask reaches beyond the outline of the face
SOFTNESS = 0.12  # of the distance between the eyes: standard deviation of the blur of the border
BEYOND_FACE = (
    "Bald", "Bangs", "Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair", "Receding_Hairline", "Straight_Hair",
    "Wavy_Hair", "Wearing_Hat", "Wearing_Earrings", "Wearing_Necklace", "Wearing_Necktie", "Sideburns", "Double_Chin",
)  # fmt: skip
"""CelebA's attributes that lie outside the outline of the face: their edits may change the whole aligned picture."""


def mask_of(aligned: Aligned, attributes: Iterable[str]) -> NDArray[np.float32]:
    """Return the mask (256, 256) of an edit: the face, or the whole picture for attributes of hair, ears and neck.

    Args:
        aligned: the face.
        attributes: names of the changed attributes.
    """
    if any(name in BEYOND_FACE for name in attributes):
        return _whole()
    return face_mask(aligned)


def face_mask(aligned: Aligned) -> NDArray[np.float32]:
    """Return the mask (256, 256) of the face without the hair: its outline, or an ellipse around the five points."""
    size = aligned.x.shape[-1]
    to_mask = inverse(aligned.matrix) * SIDE / size
    five = apply(to_mask, aligned.face.five)
    eyes = float(np.linalg.norm(five[1] - five[0]))
    outline = _ellipse(five) if aligned.face.outline is None else apply(to_mask, aligned.face.outline)
    picture = Image.new("L", (SIDE, SIDE))
    draw, corners = ImageDraw.Draw(picture), [tuple(point) for point in outline]
    draw.polygon(corners, fill=255)
    draw.line([*corners, corners[0]], fill=255, width=max(1, round(2 * GROWTH * eyes)), joint="curve")
    return _soft(picture, SOFTNESS * eyes) * _whole()


def _whole() -> NDArray[np.float32]:
    """Return the mask of the whole picture; its border is soft, and its last pixels are 0."""
    margin = SIDE // 10
    picture = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(picture).rounded_rectangle([margin, margin, SIDE - margin, SIDE - margin], SIDE // 4, fill=255)
    return _soft(picture, margin / 3)


def _soft(picture: Image.Image, deviation: float) -> NDArray[np.float32]:
    blurred = np.asarray(picture.filter(ImageFilter.GaussianBlur(deviation)), np.float32) / np.float32(255)
    blurred[[0, -1]] = blurred[:, [0, -1]] = 0
    return blurred


def _ellipse(five: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return an ellipse (64, 2) around five points (5, 2) that covers an average face."""
    eyes, mouth = five[:2].mean(0), five[3:].mean(0)
    across, down = five[1] - five[0], mouth - eyes
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)[:, None]
    center = eyes + 0.55 * down
    ellipse: NDArray[np.float64] = center + 1.15 * across * np.cos(angle) + 1.65 * down * np.sin(angle)
    return ellipse
