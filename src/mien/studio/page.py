"""The page of the studio: the panels that the abilities of the served runs allow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import gradio as gr

from mien.errors import MienError
from mien.studio.panel_edit import EditPanel
from mien.studio.photo_input import Place
from mien.studio.runs import Served

CLEAN = (120, 3600)  # every two minutes, files that are older than an hour are removed


def build(runs: Sequence[Served], root: Path) -> gr.Blocks:
    """Return the page.

    Args:
        runs: the served runs.
        root: the folder for files of visitors; the caller removes it.

    Raises:
        MienError: no panel fits the runs.
    """
    editing = [run for run in runs if run.editor is not None and run.can()]
    if not editing:
        raise MienError("expected a run with an ability that a panel shows, got none: use faces-64")
    with gr.Blocks(title="mien studio", analytics_enabled=False, delete_cache=CLEAN, fill_width=True) as page:
        gr.HTML(
            '<h1 class="title">mien studio</h1><p class="about">Photos stay on the machine that runs the studio, and '
            "are removed after the visit.</p>"
        )
        with gr.Tabs(elem_id="panels"):
            if editing:
                with gr.Tab("Edit", id="edit"):
                    EditPanel(_place(root, editing), editing)
    return page


def _place(root: Path, runs: Sequence[Served]) -> Place:
    """Return the place of photos for runs; equal templates are one."""
    templates = {(run.template.size, run.template.five.tobytes()): run.template for run in runs if run.template}
    return Place(root, tuple(templates.values()))
