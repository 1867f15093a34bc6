"""The panel Generate: new pictures from a seed; a click edits one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr
import numpy as np
import torch

from mien.applications import generate
from mien.data.pictures import from_float
from mien.errors import MienError
from mien.studio.components import Amount
from mien.studio.messages import sentences
from mien.studio.photo_input import HEAVY, KEEP_SECONDS
from mien.studio.runs import Served

MOST = 64  # pictures
SEEDS = 2**31 - 1


def samples(run: Served, count: float, seed: float, present: Sequence[str], absent: Sequence[str]) -> np.ndarray:
    """Return new pictures (n, H, W, 3).

    Args:
        run: a run that generates.
        count: 1 to 64.
        seed: of the latents.
        present, absent: attributes that the pictures have or do not have.

    Raises:
        MienError: a number out of range, or an attribute that is both.
    """
    if not (1 <= count <= MOST and 0 <= seed <= SEEDS):
        raise MienError(f"expected 1 to {MOST} pictures and a seed from 0 to {SEEDS}, got {count:g} and {seed:g}")
    if both := sorted(set(present) & set(absent)):
        raise MienError(f"expected attributes to be present or absent, got both for {', '.join(both)}: choose one")
    rows = None
    if present or absent:
        names = run.model.conditions
        row = [1.0 if name in present else -1.0 if name in absent else 0.0 for name in names]
        rows = torch.tensor(row).expand(int(count), -1)
    pictures = from_float(generate(run.model, int(count), int(seed), rows).numpy())
    return np.repeat(pictures, 3, -1) if pictures.shape[-1] == 1 else pictures


class GeneratePanel:
    """The components of the panel.

    Args:
        runs: runs that generate.
        edit: (function, outputs, follow): ``function(old photo, picture, name, run)`` returns the updates of
            ``outputs`` that show a picture in the panel Edit, and ``follow(event)`` opens it; None without that panel.
    """

    def __init__(self, runs: Sequence[Served], edit: tuple[Callable[..., Any], list[Any], Any] | None):
        self.runs = {run.name: run for run in runs}
        names = list(self.runs)
        self.state = gr.State(None, time_to_live=KEEP_SECONDS)
        with gr.Row(equal_height=False):
            with gr.Column(scale=3, min_width=240):
                self.run = gr.Dropdown(names, value=names[0], label="Run", visible=len(names) > 1)
                self.count = Amount(1, MOST, value=16, step=1, label="Pictures", buttons=[])
                self.seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=SEEDS, elem_id="generate-seed")
                choices = list(runs[0].model.conditions)
                self.present = gr.Dropdown(choices, multiselect=True, label="With", visible=bool(choices))
                self.absent = gr.Dropdown(choices, multiselect=True, label="Without", visible=bool(choices))
                self.go = gr.Button("Generate", variant="primary", elem_id="generate-go")
            with gr.Column(scale=7, min_width=300):
                self.gallery = gr.Gallery(
                    label="Pictures",
                    show_label=False,
                    columns=6,
                    height=480,
                    object_fit="contain",
                    allow_preview=False,
                    format="png",
                    elem_id="generate-pictures",
                    elem_classes="thumbs",
                    buttons=[],
                )
                if edit is not None:
                    gr.Markdown("Click a picture to edit it.", elem_classes="status")
        inputs = [self.run, self.count, self.seed, self.present, self.absent]
        self.go.click(sentences(self._go), inputs, [self.gallery, self.state], **HEAVY)
        self.run.change(self._conditions, [self.run], [self.present, self.absent], show_progress="hidden")
        if edit is not None:
            function, outputs, follow = edit

            def chosen(old: Any, made: Any, event: gr.SelectData) -> Any:
                if made is None:
                    raise gr.Error("The pictures were removed after a while: generate them again.")
                name, rows = made
                return sentences(function)(old, rows[event.index], f"sample-{event.index}.png", name)

            follow(self.gallery.select(chosen, [outputs[0], self.state], outputs, show_progress="hidden"))

    def _go(self, name: str, count: float, seed: float, present: Sequence[str], absent: Sequence[str]) -> Any:
        rows = samples(self.runs[name], count or 0, seed or 0, present or (), absent or ())
        return list(rows), (name, rows)

    def _conditions(self, name: str) -> list[Any]:
        choices = list(self.runs[name].model.conditions)
        return [gr.update(choices=choices, value=[], visible=bool(choices))] * 2
