"""The panel Compare: one photo through several runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr
import numpy as np

from mien.abilities import Decodes, Encodes
from mien.applications import reconstruct
from mien.data.pictures import from_float
from mien.studio.components import Amount
from mien.studio.messages import sentences
from mien.studio.photo import Photo
from mien.studio.photo_input import HEAVY, PhotoInput, Place, present
from mien.studio.runs import Served
from mien.studio.steps import picture_of, step

NOTHING = "(reconstruct only)"


def compared(photo: Photo, run: Served, attribute: str, amount: float) -> list[tuple[np.ndarray, str]]:
    """Return pictures with captions: what a run makes of a photo.

    Args:
        photo: with a chosen face.
        run: a run that reconstructs or edits.
        attribute: to edit, if the run can; else empty.
        amount: of the edit.

    Raises:
        MienError: the photo shows no face and the model needs one.
    """
    x, _ = picture_of(photo, run)
    pictures = [(_rgb(from_float(x[0].numpy())), "input")]
    if run.can(Encodes, Decodes):
        y = reconstruct(run.model, x)[0].cpu().numpy()
        pictures.append((_rgb(from_float(y)), "reconstruction"))
    if run.editor is not None and attribute in run.editor.names:
        pictures.append((step(photo, run, {attribute: amount}).after, f"{attribute.replace('_', ' ')} {amount:+g}"))
    return pictures


def _rgb(picture: np.ndarray) -> np.ndarray:
    return np.repeat(picture, 3, -1) if picture.shape[-1] == 1 else picture


class ComparePanel:
    """The components of the panel: one row of pictures for each run, with its name above."""

    def __init__(self, place: Place, runs: Sequence[Served]):
        self.runs = runs
        names = sorted({name for run in runs if run.editor is not None for name in run.editor.names})
        with gr.Row(equal_height=False):
            with gr.Column(scale=4, min_width=300):
                self.photo = PhotoInput(place, "Photo", "compare")
                self.attribute = gr.Dropdown(
                    [NOTHING, *names], value=NOTHING, label="Edit", elem_id="compare-attribute"
                )
                self.amount = Amount(
                    -3,
                    3,
                    value=1,
                    step=0.1,
                    label="Amount",
                    buttons=[],
                    elem_id="compare-amount",
                    elem_classes="signed",
                )
            with gr.Column(scale=7, min_width=300):
                galleries: list[Any] = []
                for number, run in enumerate(runs):
                    gr.Markdown(f"**{run.name}**", elem_classes="head")
                    galleries.append(
                        gr.Gallery(
                            show_label=False, columns=3, height="auto", object_fit="contain", format="png",
                            elem_id=f"compare-{number}", elem_classes="captions", buttons=[],
                        )
                    )  # fmt: skip
        inputs = [self.photo.state, self.attribute, self.amount]
        self.photo.connect((sentences(self._pictures), inputs, galleries))
        for event in (self.attribute.input, self.amount.input, self.amount.release):
            event(
                sentences(self._again), inputs, galleries, trigger_mode="always_last", show_progress="hidden", **HEAVY
            )

    def _pictures(self, photo: Photo | None, attribute: str, amount: float) -> Any:
        rows = [
            compared(photo, run, attribute, amount)
            if photo is not None and (run.template is None or photo.faces or photo.is_aligned(run.template))
            else None
            for run in self.runs
        ]
        return rows if len(rows) > 1 else rows[0]

    def _again(self, photo: Photo | None, attribute: str, amount: float) -> Any:
        return self._pictures(present(photo), attribute, amount)
