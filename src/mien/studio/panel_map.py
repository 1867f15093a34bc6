"""The panel Map: held-out pictures of a run's data, near each other where their latents are; a click edits one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from mien.applications.basics import latent_size
from mien.applications.latent_map import grid_cells, tsne
from mien.data.pictures import from_float
from mien.errors import MienError
from mien.run.opening import open_run
from mien.studio.messages import sentences
from mien.studio.photo_input import HEAVY
from mien.studio.runs import Served

COUNT = 225  # pictures of a map
SIDE, LARGEST = 1080, 120  # pixels of the map, and of a picture in it at most


@dataclass(frozen=True)
class Map:
    """A map of pictures.

    Args:
        pictures: (n, H, W, 3); keys: their names.
        cells: (rows, columns) of the number of the picture; -1 is empty.
    """

    pictures: np.ndarray
    keys: tuple[str, ...]
    cells: np.ndarray

    def drawing(self) -> np.ndarray:
        """Return the map as one picture (h, w, 3)."""
        rows, columns = self.cells.shape
        side = min(LARGEST, SIDE // max(rows, columns))
        sheet = Image.new("RGB", (columns * side, rows * side), "white")
        for (i, j), number in np.ndenumerate(self.cells):
            if number >= 0:
                sheet.paste(Image.fromarray(self.pictures[number]).resize((side, side)), (j * side, i * side))
        return np.array(sheet)

    def at(self, x: float, y: float) -> int:
        """Return the number of the picture at a pixel of the drawing; -1 where there is none."""
        rows, columns = self.cells.shape
        side = min(LARGEST, SIDE // max(rows, columns))
        i, j = int(y) // side, int(x) // side
        return int(self.cells[i, j]) if 0 <= i < rows and 0 <= j < columns else -1


def latent_map(run: Served, count: int = COUNT) -> Map:
    """Return the map of a run: t-SNE of held-out latents, or the latents themselves if they have two dimensions.

    Raises:
        MienError: the data cannot be opened, or there are too few pictures.
    """
    from mien.applications.basics import encode_all
    from mien.data.dataset import spread

    opened = open_run(run.folder)
    index = spread(opened.splits.test, count)
    z = encode_all(opened.model, opened.dataset, index).numpy()
    positions = z if latent_size(opened.model) == 2 else tsne(z)
    pictures = from_float(opened.dataset.batch(index).x.numpy())
    pictures = np.repeat(pictures, 3, -1) if pictures.shape[-1] == 1 else pictures
    return Map(pictures, tuple(opened.dataset.keys[i] for i in index), grid_cells(positions))


class MapPanel:
    """The components of the panel.

    Args:
        runs: runs that encode and may have data.
        edit: as of the panel Generate.
    """

    def __init__(self, runs: Sequence[Served], edit: tuple[Callable[..., Any], list[Any], Any] | None):
        self.runs = {run.name: run for run in runs}
        names = list(self.runs)
        self.map = cache(lambda name: latent_map(self.runs[name]))  # the data are the run's, and no visitor's
        with gr.Row():
            self.run = gr.Dropdown(names, value=names[0], label="Run", visible=len(names) > 1)
            self.go = gr.Button("Draw the map", variant="primary", elem_id="map-go")
        text = "Pictures with similar latents are near each other."
        gr.Markdown(text + (" Click a picture to edit it." if edit else ""), elem_classes="status")
        self.picture = gr.Image(
            show_label=False, interactive=False, format="jpeg", elem_id="map-picture", elem_classes="view", buttons=[]
        )
        self.go.click(sentences(lambda name: self.map(name).drawing()), [self.run], [self.picture], **HEAVY)
        if edit is not None:
            function, outputs, follow = edit

            def chosen(old: Any, name: str, event: gr.SelectData) -> Any:
                return sentences(self._take)(function, old, name, event.index)

            follow(self.picture.select(chosen, [outputs[0], self.run], outputs, show_progress="hidden"))

    def _take(self, function: Callable[..., Any], old: Any, name: str, index: Sequence[float]) -> Any:
        shown = self.map(name)
        number = shown.at(*index)
        if number < 0:
            raise MienError("expected a click on a picture, got an empty place: click a picture")
        return function(old, shown.pictures[number], f"{name}-{number}.png")
