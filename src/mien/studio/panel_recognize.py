"""The panel Recognize: the probability of each attribute or class of a photo, by each run that recognizes."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

import gradio as gr

from mien.applications import recognize
from mien.studio.messages import sentences
from mien.studio.photo import Photo
from mien.studio.photo_input import PhotoInput, Place
from mien.studio.runs import Served, thresholds
from mien.studio.steps import picture_of

DEFAULT = 0.5  # the threshold of an attribute without a stored one


def probabilities(photo: Photo, run: Served) -> dict[str, float]:
    """Return the probability of each attribute or class, the largest one first.

    Raises:
        MienError: the photo shows no face and the model needs one.
    """
    x, _ = picture_of(photo, run)
    names = list(run.model.config.get("attributes") or run.model.config.get("classes") or [])
    row = recognize(run.model, x)[0].tolist()
    return dict(sorted(zip(names, row, strict=True), key=lambda item: -item[1]))


def bars(values: Mapping[str, float], limits: Mapping[str, float]) -> str:
    """Return probabilities as HTML: a bar each, with a mark at the threshold.

    Args:
        values: by attribute or class.
        limits: thresholds by name; 0.5 for those without one.
    """
    rows = []
    for name, value in values.items():
        limit = limits.get(name, DEFAULT)
        kind = "yes" if value > limit else "no"
        rows.append(
            f'<span class="{kind}">{html.escape(name.replace("_", " "))}</span>'
            f'<span class="track {kind}"><span class="fill" style="display:block;width:{value:.1%}"></span>'
            f'<span class="mark" style="left:{limit:.1%}"></span></span><span class="{kind}">{value:.2f}</span>'
        )
    return f'<div class="bars">{"".join(rows)}</div>'


class RecognizePanel:
    """The components of the panel: one column of bars for each run."""

    def __init__(self, place: Place, runs: Sequence[Served], everyone: Sequence[Served]):
        self.runs = runs
        self.limits = {run.name: thresholds(run, everyone) for run in runs}
        with gr.Row(equal_height=False):
            with gr.Column(scale=4, min_width=300):
                self.photo = PhotoInput(place, "Photo", "recognize")
            with gr.Column(scale=6, min_width=300):
                self.answer = gr.HTML("", elem_id="recognize-answer")
        self.photo.connect((sentences(self._answer), [self.photo.state], [self.answer]))

    def _answer(self, photo: Photo | None) -> str:
        if photo is None:
            return ""
        parts = []
        for run in self.runs:
            if run.template is not None and not photo.faces and not photo.is_aligned(run.template):
                continue
            limits = self.limits[run.name]
            about = (
                "The mark is the threshold of each attribute that an evaluation chose on validation pictures."
                if limits
                else "The mark is 0.5 for each, because no evaluation has stored thresholds for this run."
            )
            title = f'<p class="about"><b>{html.escape(run.name)}</b>. {about}</p>'
            parts.append(title + bars(probabilities(photo, run), limits))
        return "<br>".join(parts)
