"""The panel Interpolate: a path from one picture to another, as a strip, a slider and an animation.

The animation is a GIF, which every program shows, and a WebP, which has all colors. There is no MP4: it needs an
encoder of video, which neither Pillow nor gradio brings. Programs such as ffmpeg convert the GIF.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from mien.applications import interpolation
from mien.data.pictures import from_float
from mien.errors import MienError
from mien.studio.components import Amount
from mien.studio.messages import sentences
from mien.studio.photo import Photo
from mien.studio.photo_input import HEAVY, KEEP_SECONDS, PhotoInput, Place
from mien.studio.runs import Served
from mien.studio.steps import picture_of

FRAMES, STRIP = 25, 9  # pictures of the path, and those of the strip
SIDE = 256  # pixels of a picture of the slider and the animation
PATHS = ("linear", "slerp")
MILLISECONDS = 60  # a picture of the animation


def frames(first: Photo | None, second: Photo | None, run: Served, path: str) -> np.ndarray:
    """Return the pictures (25, 256, 256, 3) of a path between two photos, ends included.

    Raises:
        MienError: a photo is missing or shows no face.
    """
    if first is None or second is None:
        raise MienError("expected two photos, got fewer: choose both first")
    left, right = picture_of(first, run)[0], picture_of(second, run)[0]
    rows = interpolation.interpolate(run.model, left, right, FRAMES, getattr(interpolation, path))
    return np.stack([_large(one) for one in from_float(rows[0].numpy())])


def _large(picture: np.ndarray) -> np.ndarray:
    image = Image.fromarray(np.ascontiguousarray(np.broadcast_to(picture, (*picture.shape[:2], 3))))
    scale = SIDE / max(image.size)
    return np.array(image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC))


def strip(rows: np.ndarray) -> np.ndarray:
    """Return some of the pictures (n, H, W, 3) side by side at half their size."""
    chosen = rows[np.linspace(0, len(rows) - 1, STRIP).round().astype(int)]
    return np.concatenate([np.asarray(Image.fromarray(one).reduce(2)) for one in chosen], 1)


def write_animations(rows: np.ndarray, root: Path) -> tuple[Path, Path]:
    """Write pictures (n, H, W, 3) forth and back as a GIF and as a WebP in a new folder of ``root``."""
    folder = Path(tempfile.mkdtemp(dir=root))
    images = [Image.fromarray(one) for one in [*rows, *rows[-2:0:-1]]]
    gif, webp = folder / "interpolation.gif", folder / "interpolation.webp"
    options: dict[str, Any] = {"quality": 85, "method": 2}  # of WebP; GIF has none of them
    for path in (gif, webp):
        images[0].save(path, save_all=True, append_images=images[1:], duration=MILLISECONDS, loop=0, **options)
    return gif, webp


class InterpolatePanel:
    """The components of the panel."""

    def __init__(self, place: Place, runs: Sequence[Served]):
        self.place, self.runs = place, {run.name: run for run in runs}
        names = list(self.runs)
        self.state = gr.State(None, time_to_live=KEEP_SECONDS)
        with gr.Row(equal_height=False):
            with gr.Column(min_width=280):
                self.first = PhotoInput(place, "From", "first")
            with gr.Column(min_width=280):
                self.second = PhotoInput(place, "To", "second")
            with gr.Column(min_width=280):
                self.run = gr.Dropdown(names, value=names[0], label="Run", visible=len(names) > 1)
                self.path = gr.Radio(PATHS, value=PATHS[0], label="Path")
                self.go = gr.Button("Interpolate", variant="primary", elem_id="interpolate-go")
                self.position = Amount(
                    0, 1, value=0.5, step=0.01, label="Position", buttons=[], visible=False,
                    elem_id="interpolate-position",
                )  # fmt: skip
                self.picture = gr.Image(
                    show_label=False,
                    interactive=False,
                    height=256,
                    format="png",
                    elem_id="interpolate-picture",
                    buttons=[],
                )
                with gr.Row():
                    self.gif = gr.DownloadButton("Save the GIF", size="md", visible=False, elem_id="interpolate-gif")
                    self.webp = gr.DownloadButton("Save the WebP", size="md", visible=False, elem_id="interpolate-webp")
        self.strip = gr.Image(
            show_label=False, visible=False, format="png", elem_id="interpolate-strip", elem_classes="view", buttons=[]
        )
        self.first.connect()
        self.second.connect()
        self.go.click(
            sentences(self._go),
            [self.first.state, self.second.state, self.run, self.path],
            [self.state, self.strip, self.picture, self.position, self.gif, self.webp],
            **HEAVY,
        )
        self.position.input(
            sentences(self._at), [self.state, self.position], [self.picture], show_progress="hidden",
            trigger_mode="always_last",
        )  # fmt: skip

    def _go(self, first: Photo | None, second: Photo | None, name: str, path: str) -> list[Any]:
        rows = frames(first, second, self.runs[name], path)
        gif, webp = write_animations(rows, self.place.root)
        return [
            rows,
            gr.update(value=strip(rows), visible=True),
            rows[FRAMES // 2],
            gr.update(value=0.5, visible=True),
            gr.update(value=str(gif), visible=True),
            gr.update(value=str(webp), visible=True),
        ]

    def _at(self, rows: np.ndarray | None, position: float) -> np.ndarray:
        if rows is None:
            raise MienError("expected a path, got none: press Interpolate first")
        picture: np.ndarray = rows[round(position * (len(rows) - 1))]
        return picture
