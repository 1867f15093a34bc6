"""The panel Compare: one photo through several runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr
import numpy as np

from mien.abilities import Decodes, Encodes
from mien.applications import reconstruct
from mien.data.pictures import from_float
from mien.errors import MienError
from mien.studio.messages import sentences
from mien.studio.photo import Photo
from mien.studio.photo_input import HEAVY, PhotoInput, Place, present
from mien.studio.runs import Served
from mien.studio.steps import picture_of, step

NOTHING = "(reconstruct only)"


def compared(photo: Photo, runs: Sequence[Served], attribute: str, amount: float) -> list[tuple[np.ndarray, str]]:
    """Return pictures with captions: what each run makes of a photo.

    Args:
        photo: with a chosen face.
        runs: runs that reconstruct or edit.
        attribute: to edit, in the runs that can; else empty.
        amount: of the edit.

    Raises:
        MienError: the photo shows no face and a model needs one.
    """
    pictures = []
    for run in runs:
        x, _ = picture_of(photo, run)
        pictures.append((_rgb(from_float(x[0].numpy())), f"{run.name}: input"))
        if run.can(Encodes, Decodes):
            y = reconstruct(run.model, x)[0].cpu().numpy()
            pictures.append((_rgb(from_float(y)), f"{run.name}: reconstruction"))
        if run.editor is not None and attribute in run.editor.names:
            after = step(photo, run, {attribute: amount}).after
            pictures.append((after, f"{run.name}: {attribute} {amount:+g}"))
    return pictures


def _rgb(picture: np.ndarray) -> np.ndarray:
    return np.repeat(picture, 3, -1) if picture.shape[-1] == 1 else picture


class ComparePanel:
    """The components of the panel."""

    def __init__(self, place: Place, runs: Sequence[Served]):
        self.runs = runs
        names = sorted({name for run in runs if run.editor is not None for name in run.editor.names})
        with gr.Row(equal_height=False):
            with gr.Column(scale=4, min_width=300):
                self.photo = PhotoInput(place, "Photo", "compare")
                self.attribute = gr.Dropdown([NOTHING, *names], value=NOTHING, label="Edit")
                self.amount = gr.Slider(-3, 3, value=1, step=0.1, label="Amount", buttons=[])
            with gr.Column(scale=7, min_width=300):
                self.gallery = gr.Gallery(
                    show_label=False, columns=3, height=560, object_fit="contain", format="png",
                    elem_id="compare-pictures", buttons=[],
                )  # fmt: skip
        inputs, outputs = [self.photo.state, self.attribute, self.amount], [self.gallery]
        self.photo.connect((sentences(self._pictures), inputs, outputs))
        for event in (self.attribute.input, self.amount.release):
            event(sentences(self._again), inputs, outputs, **HEAVY)

    def _pictures(self, photo: Photo | None, attribute: str, amount: float) -> Any:
        usable = [] if photo is None else [
            run for run in self.runs if run.template is None or photo.faces or photo.is_aligned(run.template)
        ]  # fmt: skip
        return [] if photo is None else compared(photo, usable, attribute, amount)

    def _again(self, photo: Photo | None, attribute: str, amount: float) -> Any:
        if amount is None:
            raise MienError("expected an amount, got none: move the slider")
        return self._pictures(present(photo), attribute, amount)
