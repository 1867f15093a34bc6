"""Faces in ordinary photos: find them, align them to a model, and put the model's changes back into the photo."""

from __future__ import annotations

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
    "save_photo",
    "template_of",
]
