"""The panel Watch: the losses and the last pictures of a training while it runs."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from mien import figures
from mien.data.pictures import BadPicture, open_picture
from mien.errors import MienError, MienWarning
from mien.run.folder import progress, read_config
from mien.studio.messages import sentences
from mien.studio.runs import LOG, Served
from mien.training import logs

SECONDS = 4  # between two refreshes


def records(folder: Path) -> list[dict[str, Any]]:
    """Return the records of a training's log; damaged lines are left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MienWarning)
        return logs.read(folder)


def quantities(folder: Path) -> list[str]:
    """Return the names of the numbers in the log, in their order."""
    names: dict[str, None] = {}
    for record in records(folder):
        names |= {key: None for key, value in record.items() if key != "step" and isinstance(value, int | float)}
    return list(names)


@lru_cache(maxsize=16)
def curve(folder: Path, quantity: str, length: int) -> np.ndarray | None:
    """Return the drawing (h, w, 3) of a quantity over the steps; None if the log does not have it yet.

    Args:
        folder: of the run.
        quantity: its name in the log.
        length: of the log in bytes; the drawing is made again after it has grown.
    """
    try:
        figure = figures.curves(records(folder), keys=[quantity])
    except MienError:
        return None
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    return np.asarray(open_picture(file.getvalue()))


def last_picture(folder: Path) -> np.ndarray | None:
    """Return the newest picture (H, W, 3) of a training; None if there is none yet."""
    files = sorted((folder / "pictures").glob("*.png"), key=lambda path: path.stat().st_mtime_ns)
    try:
        return np.asarray(open_picture(files[-1])) if files else None
    except BadPicture:  # it is being written
        return None


def state(folder: Path) -> str:
    """Return a sentence: how far the training is."""
    saved, rows = progress(folder), records(folder)
    steps = saved.get("steps") or read_config(folder)["training"].get("steps", 0)
    step = max([saved.get("step", 0), *(row["step"] for row in rows[-1:])])
    words = "finished" if saved.get("finished") else "not finished"
    return f"Step {step:,} of {steps:,}, {words}."


class WatchPanel:
    """The components of the panel."""

    def __init__(self, runs: Sequence[Served]):
        self.runs = {run.name: run for run in runs}
        names, first = list(self.runs), runs[0].folder
        with gr.Row():
            self.run = gr.Dropdown(names, value=names[0], label="Run", visible=len(names) > 1)
            choices = quantities(first)
            self.quantity = gr.Dropdown(choices, value=choices[0] if choices else None, label="Quantity")
        self.state = gr.Markdown(state(first), elem_classes="status", elem_id="watch-state")
        with gr.Row(equal_height=False):
            with gr.Column(min_width=300):
                self.plot = gr.Image(
                    show_label=False, interactive=False, format="png", elem_id="watch-plot", elem_classes="view",
                    buttons=[],
                )  # fmt: skip
            with gr.Column(min_width=300):
                self.picture = gr.Image(
                    show_label=False, interactive=False, format="png", elem_id="watch-picture", elem_classes="view",
                    buttons=[],
                )  # fmt: skip
        outputs = [self.state, self.plot, self.picture]
        timer, refresh, inputs = gr.Timer(SECONDS), sentences(self._refresh), [self.run, self.quantity]
        timer.tick(refresh, inputs, outputs, show_progress="hidden")
        self.quantity.input(refresh, inputs, outputs, show_progress="hidden")
        self.run.input(self._choices, [self.run], [self.quantity], show_progress="hidden").then(
            refresh, inputs, outputs, show_progress="hidden"
        )

    def _choices(self, name: str) -> Any:
        choices = quantities(self.runs[name].folder)
        return gr.update(choices=choices, value=choices[0] if choices else None)

    def _refresh(self, name: str, quantity: str | None) -> list[Any]:
        folder = self.runs[name].folder
        quantity = quantity or (quantities(folder) or [""])[0]
        return [state(folder), curve(folder, quantity, (folder / LOG).stat().st_size), last_picture(folder)]
