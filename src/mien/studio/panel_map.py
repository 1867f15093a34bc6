"""The panel Map: held-out pictures of a run's data, near each other where their latents are.

The map is one picture. ``page.js`` shows the picture below the pointer enlarged; a click edits it.
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from mien.applications.basics import latent_size
from mien.applications.latent_map import grid_cells, tsne
from mien.errors import MienError
from mien.studio.messages import sentences
from mien.studio.photo_input import HEAVY
from mien.studio.runs import Served

COUNT = 225  # pictures of a map
SIDE, LARGEST = 1080, 128  # pixels of the map at least, and of a picture in it at most


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

    @property
    def side(self) -> int:
        """Pixels of a picture in the drawing: at least its own ones, so that it can be shown enlarged."""
        return int(min(LARGEST, max(SIDE // max(self.cells.shape), *self.pictures.shape[1:3])))

    def about(self) -> str:
        """Return HTML that is not visible: the rows, the columns and the names of the cells, row by row."""
        rows, columns = self.cells.shape
        names = [self.keys[number] if number >= 0 else "" for number in self.cells.ravel()]
        return (
            f'<div class="map-about" data-rows="{rows}" data-columns="{columns}" '
            f'data-names="{html.escape(json.dumps(names))}"></div>'
        )

    def drawing(self) -> np.ndarray:
        """Return the map as one picture (h, w, 3)."""
        (rows, columns), side = self.cells.shape, self.side
        sheet = Image.new("RGB", (columns * side, rows * side), "white")
        for (i, j), number in np.ndenumerate(self.cells):
            if number >= 0:
                sheet.paste(Image.fromarray(self.pictures[number]).resize((side, side)), (j * side, i * side))
        return np.array(sheet)

    def at(self, x: float, y: float) -> int:
        """Return the number of the picture at a pixel of the drawing; -1 where there is none."""
        (rows, columns), side = self.cells.shape, self.side
        i, j = int(y) // side, int(x) // side
        return int(self.cells[i, j]) if 0 <= i < rows and 0 <= j < columns else -1


def latent_map(run: Served, count: int = COUNT) -> Map:
    """Return the map of a run: t-SNE of held-out latents, or the latents themselves if they have two dimensions.

    Raises:
        MienError: the data cannot be opened, or there are too few pictures.
    """
    from mien.applications.basics import encode_all

    pictures, index = run.held_out(count)
    opened = run.opened()
    z = encode_all(opened.model, opened.dataset, index).numpy()
    positions = z if latent_size(opened.model) == 2 else tsne(z)
    return Map(pictures, tuple(str(opened.dataset.keys[i]) for i in index), grid_cells(positions))


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
        self.drawn = gr.State("")  # the name of the run whose map is on the page
        with gr.Row(equal_height=False):
            self.run = gr.Dropdown(names, value=names[0], label="Run", visible=len(names) > 1, elem_id="map-run")
            self.go = gr.Button("Draw the map", variant="primary", elem_id="map-go")
        text = "Pictures with similar latents are near each other. Point at one to see it larger"
        gr.Markdown(text + (", and click it to edit it." if edit else "."), elem_classes="status")
        self.picture = gr.Image(
            show_label=False, interactive=False, format="jpeg", elem_id="map-picture", elem_classes="view", buttons=[]
        )
        self.about = gr.HTML("", elem_id="map-about")
        self.go.click(sentences(self._draw), [self.run], [self.picture, self.about, self.drawn], **HEAVY)
        if edit is not None:
            function, outputs, follow = edit

            def chosen(old: Any, name: str, event: gr.SelectData) -> Any:
                return sentences(self._take)(function, old, name, event.index)

            follow(self.picture.select(chosen, [outputs[0], self.drawn], outputs, show_progress="hidden"))

    def _draw(self, name: str) -> list[Any]:
        shown = self.map(name)
        return [shown.drawing(), shown.about(), name]

    def _take(self, function: Callable[..., Any], old: Any, name: str, index: Sequence[float]) -> Any:
        shown = self.map(name)
        number = shown.at(*index)
        if number < 0:
            raise MienError("expected a click on a picture, got an empty place: click a picture")
        return function(old, shown.pictures[number], f"{name}-{number}.png", name)
