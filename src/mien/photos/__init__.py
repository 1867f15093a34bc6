"""Faces in ordinary photos: find them, align them to a model, and put the model's changes back into the photo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mien.photos.aligning import Aligned, align
from mien.photos.editing import PhotoEdit, edit_photo, find, save_photo
from mien.photos.finding import DlibFinder, Face, Finder
from mien.photos.template import Template, celeba, template_of

__all__ = [
    "Aligned",
    "DlibFinder",
    "Face",
    "Finder",
    "PhotoEdit",
    "Template",
    "align",
    "celeba",
    "edit_photo",
    "find",
    "portrait",
    "save_photo",
    "template_of",
]


def portrait() -> Any:
    """Return the portrait of the astronaut Eileen Collins by NASA, in the public domain: uint8 (512, 512, 3).

    >>> portrait().shape
    (512, 512, 3)
    """
    import numpy as np

    from mien.data.pictures import open_picture

    return np.asarray(open_picture(Path(__file__).with_name("portrait.jpg")))
