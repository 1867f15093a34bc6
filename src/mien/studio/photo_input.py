"""The part of a panel where a photo is chosen: a file, a drop, a paste or the camera; then a click on a face."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from mien.errors import MienError
from mien.photos import Template
from mien.studio.components import Upload
from mien.studio.examples import Examples
from mien.studio.messages import sentence, sentences
from mien.studio.photo import Photo, face_at, forget, open_visitor_photo, outlined, photo_of

KEEP_SECONDS = 3600  # a visitor's photo is removed this long after its last change
HEAVY: dict[str, Any] = {"concurrency_id": "heavy", "concurrency_limit": 1}
"""Work of a second or more: one at a time, because dlib and full-size edits use a whole core each."""


@dataclass(frozen=True)
class Place:
    """Where the photos of visitors are, the templates of the models that see them, and examples for the models."""

    root: Path
    templates: tuple[Template, ...]
    examples: Examples


class PhotoInput:
    """The components of a photo and its faces.

    Args:
        place: for the files.
        label: above the photo.
        name: of its elements on the page.
    """

    def __init__(self, place: Place, label: str, name: str):
        self.place = place
        self.run: Any = None
        self.state = gr.State(None, time_to_live=KEEP_SECONDS, delete_callback=forget)
        gr.Markdown(f"**{label}**", elem_classes="head")
        self.source = Upload(
            show_label=False,
            sources=["upload", "webcam", "clipboard"],
            type="filepath",
            height=300,
            elem_id=f"{name}-source",
            elem_classes="photo-source",
            buttons=[],
        )
        self.examples = gr.Accordion(
            "No photo? Take an example", open=False, visible=bool(place.examples), elem_id=f"{name}-examples"
        )
        with self.examples:
            self.gallery = gr.Gallery(
                show_label=False, columns=4, height="auto", object_fit="cover", allow_preview=False, format="jpeg",
                elem_id=f"{name}-gallery", elem_classes="thumbs", buttons=[],
            )  # fmt: skip
        self.faces = gr.Image(
            show_label=False,
            visible=False,
            interactive=False,
            format="png",
            height=300,
            elem_id=f"{name}-faces",
            elem_classes="view",
            buttons=[],
        )
        self.status = gr.Markdown("", elem_classes="status", elem_id=f"{name}-status", visible=False)
        self.again = gr.Button(
            "Choose another photo", size="sm", visible=False, elem_id=f"{name}-again", elem_classes="photo-again"
        )

    @property
    def outputs(self) -> list[Any]:
        """The components that :meth:`shown` updates."""
        return [self.state, self.source, self.faces, self.status, self.again, self.examples]

    def connect(self, *listeners: tuple[Callable[..., Any], Sequence[Any], Sequence[Any]], run: Any = None) -> None:
        """Let the parts react to the visitor; each listener, (function, inputs, outputs), follows a new photo or face.

        Args:
            listeners: the inputs of their functions may hold :attr:`state`.
            run: the dropdown of the panel's runs, if an example shall choose the run that it belongs to.
        """
        self.run = run
        load = self.source.input(self._load, [self.state, self.source], self.outputs, **HEAVY)
        select = self.faces.select(
            self._select, [self.state], [self.state, self.faces, self.status], show_progress="hidden"
        )
        again = self.again.click(self._again, [self.state], self.outputs, show_progress="hidden")
        self.examples.expand(sentences(self._list), None, [self.gallery], **HEAVY)
        example = self.gallery.select(self._example, [self.state], self.receivers, show_progress="hidden")
        for event in (load, select, again, example):
            for function, inputs, outputs in listeners:
                event.then(function, inputs, outputs, show_progress="hidden")

    def _load(self, old: Photo | None, file: tuple[str, str] | None) -> list[Any]:
        """Read a new photo; one that cannot be read leaves the place empty, with a sentence."""
        forget(old)
        if file is None:
            return self.empty("")
        try:
            return self.shown(open_visitor_photo(Path(file[0]), file[1], self.place.root, self.place.templates))
        except Exception as error:
            text = sentence(error)
            gr.Warning(text, title="Not read", duration=15)
            return self.empty(text)

    def _list(self) -> list[Any]:
        """Return the pictures of the examples; a run whose data cannot be opened is a warning."""
        pictures = [one.picture for one in self.place.examples.all()]
        for text in self.place.examples.failures:
            gr.Warning(sentence(MienError(text)), title="No examples", duration=15)
        return pictures

    def _example(self, old: Photo | None, event: gr.SelectData) -> list[Any]:
        one = self.place.examples.all()[event.index]
        result: list[Any] = sentences(self.receive)(old, one.picture, one.name, one.run)
        return result

    @property
    def receivers(self) -> list[Any]:
        """The components that :meth:`receive` updates."""
        return self.outputs if self.run is None else [*self.outputs, self.run]

    def receive(self, old: Photo | None, picture: Any, name: str, run: str = "") -> list[Any]:
        """Return updates that show a picture (H, W, C) of a model as the photo, and choose its run.

        Args:
            old: the photo before.
            picture: of a model, or the portrait.
            name: of its file.
            run: the name of the run that the picture belongs to; runs that the panel does not have change nothing.
        """
        forget(old)
        updates = self.shown(photo_of(picture, name, self.place.root, self.place.templates))
        if self.run is None:
            return updates
        has = run in [value for _, value in self.run.choices]
        return [*updates, gr.update(value=run) if has else gr.update()]

    def shown(self, photo: Photo) -> list[Any]:
        """Return updates that show a photo with its faces."""
        return [
            photo,
            gr.update(value=None, visible=False),
            gr.update(value=outlined(photo), visible=True),
            gr.update(value=described(photo, self.place.templates), visible=True),
            gr.update(visible=True),
            gr.update(visible=False),
        ]

    def empty(self, text: str) -> list[Any]:
        """Return updates that ask for a photo, with a sentence of HTML."""
        return [
            None,
            gr.update(value=None, visible=True),
            gr.update(value=None, visible=False),
            gr.update(value=text, visible=bool(text)),
            gr.update(visible=False),
            gr.update(visible=bool(self.place.examples), open=False),
        ]

    def _again(self, old: Photo | None) -> list[Any]:
        forget(old)
        return self.empty("")

    def _select(self, photo: Photo | None, event: gr.SelectData) -> list[Any]:
        result: list[Any] = sentences(self._face)(photo, event.index)
        return result

    def _face(self, photo: Photo | None, index: Sequence[float]) -> list[Any]:
        photo = present(photo)
        height, width = outlined(photo).shape[:2]
        photo.number = face_at(photo, index[0] / width, index[1] / height)
        return [photo, gr.update(value=outlined(photo)), gr.update(value=described(photo, self.place.templates))]


def present(photo: Photo | None) -> Photo:
    """Return a photo.

    Raises:
        MienError: there is none.
    """
    if photo is None:
        raise MienError("expected a photo, got none: choose one first")
    return photo


def described(photo: Photo, templates: Sequence[Template]) -> str:
    """Return a line about a photo: its size and the number of its faces."""
    size = f"{photo.width} × {photo.height} pixels"
    if len(photo.faces) > 1:
        return f"{size}, {len(photo.faces)} faces. Face {photo.number} is chosen; click another one."
    if photo.faces:
        return f"{size}, one face."
    if not templates or all(photo.is_aligned(template) for template in templates):
        return f"{size}, taken as a picture of the model."
    return f"{size}, **no face found**. Choose a photo that shows a face from the front, at 40 pixels or more."
