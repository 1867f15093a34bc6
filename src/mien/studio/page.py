"""The page of the studio: the panels that the abilities of the served runs allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from mien.abilities import Decodes, Encodes, Generates, Recognizes
from mien.errors import MienError
from mien.studio.examples import Examples
from mien.studio.panel_compare import ComparePanel
from mien.studio.panel_edit import EditPanel
from mien.studio.panel_generate import GeneratePanel
from mien.studio.panel_interpolate import InterpolatePanel
from mien.studio.panel_map import MapPanel
from mien.studio.panel_recognize import RecognizePanel
from mien.studio.panel_watch import WatchPanel
from mien.studio.photo_input import Place
from mien.studio.runs import LOG, Served

CLEAN = (120, 3600)  # every two minutes, files that are older than an hour are removed


def build(runs: Sequence[Served], root: Path) -> gr.Blocks:
    """Return the page.

    Args:
        runs: the served runs.
        root: the folder for files of visitors; the caller removes it.

    Raises:
        MienError: no panel fits the runs.
    """
    panels = Panels.of(runs)
    page: gr.Blocks = gr.Blocks(title="mien studio", analytics_enabled=False, delete_cache=CLEAN, fill_width=True)
    with page:
        gr.HTML(
            '<h1 class="title">mien studio</h1><p class="about">Photos stay on the machine that runs the studio, and '
            "are removed after the visit.</p>"
        )
        with gr.Tabs(elem_id="panels") as tabs:
            _panels(panels, runs, root, tabs)
    return page


@dataclass(frozen=True)
class Panels:
    """The runs of each panel; a panel without runs does not appear."""

    edit: list[Served]
    generate: list[Served]
    recognize: list[Served]
    interpolate: list[Served]
    compare: list[Served]
    map: list[Served]
    watch: list[Served]

    @classmethod
    def of(cls, runs: Sequence[Served]) -> Panels:
        """Return the runs of each panel by their abilities.

        Raises:
            MienError: no panel fits.
        """
        reconstructing = [run for run in runs if run.can(Encodes, Decodes)]
        compare = [run for run in runs if run.can() and (run.editor is not None or run in reconstructing)]
        panels = cls(
            edit=[run for run in runs if run.can() and run.editor is not None],
            generate=[run for run in runs if run.can(Generates)],
            recognize=[run for run in runs if run.can(Recognizes)],
            interpolate=reconstructing,
            compare=compare if len(compare) > 1 else [],
            map=[run for run in runs if run.can(Encodes) and run.has_data],
            watch=[run for run in runs if (run.folder / LOG).exists()],
        )
        if not any(vars(panels).values()):
            raise MienError("expected a run with an ability that a panel shows, got none: try mien studio faces-64")
        return panels


def _panels(panels: Panels, runs: Sequence[Served], root: Path, tabs: gr.Tabs) -> None:
    """Add the tabs of the panels."""
    take = None
    if panels.edit:
        with gr.Tab("Edit", id="edit"):
            edit = EditPanel(_place(root, panels.edit), panels.edit)

        def follow(event: Any) -> None:
            """Show the panel Edit after a picture was sent to it."""
            event.success(lambda: gr.Tabs(selected="edit"), None, [tabs], show_progress="hidden").then(
                *edit.refresh, show_progress="hidden"
            ).then(*edit.measure, show_progress="hidden")

        take = (edit.photo.receive, edit.photo.receivers, follow)
    if panels.generate:
        with gr.Tab("Generate", id="generate"):
            GeneratePanel(panels.generate, take)
    if panels.recognize:
        with gr.Tab("Recognize", id="recognize"):
            RecognizePanel(_place(root, panels.recognize), panels.recognize, runs)
    if panels.interpolate:
        with gr.Tab("Interpolate", id="interpolate"):
            InterpolatePanel(_place(root, panels.interpolate), panels.interpolate)
    if panels.compare:
        with gr.Tab("Compare", id="compare"):
            ComparePanel(_place(root, panels.compare), panels.compare)
    if panels.map:
        with gr.Tab("Map", id="map"):
            MapPanel(panels.map, take)
    if panels.watch:
        with gr.Tab("Watch", id="watch"):
            WatchPanel(panels.watch)


def _place(root: Path, runs: Sequence[Served]) -> Place:
    """Return the place of photos for runs; equal templates are one."""
    templates = {(run.template.size, run.template.five.tobytes()): run.template for run in runs if run.template}
    return Place(root, tuple(templates.values()), Examples(runs))
