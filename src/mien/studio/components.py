"""Components of gradio with the few changes that the studio needs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from gradio import component_meta


@contextlib.contextmanager
def _without_stub() -> Iterator[None]:
    """Define a component without gradio writing a .pyi file beside its source, which may be an installed package."""
    write = component_meta.create_or_modify_pyi
    component_meta.create_or_modify_pyi = lambda *_: None
    try:
        yield
    finally:
        component_meta.create_or_modify_pyi = write


with _without_stub():

    class Upload(gr.Image):
        """A photo as the visitor sent it; gradio does not open it, so that mien's own reader decides what it is."""

        def get_block_name(self) -> str:
            """Return the name of the part of the page that shows it."""
            return "image"

        def preprocess(self, payload: Any) -> Any:
            """Return the (path, name) of the file, which gradio checked to be an upload; None without one."""
            if payload is None or payload.path is None:
                return None
            return payload.path, payload.orig_name or Path(payload.path).name

    class Amount(gr.Slider):
        """A slider whose number field may be empty while a visitor types: that is no edit, and no error."""

        def get_block_name(self) -> str:
            """Return the name of the part of the page that shows it."""
            return "slider"

        def preprocess(self, payload: float | None) -> float:
            """Return the number; 0 for an empty field, or the nearest number of the range."""
            number = min(max(float(payload or 0), self.minimum), self.maximum)
            return float(super().preprocess(number))
