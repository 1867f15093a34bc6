"""The panel Edit: a photo, a slider for each attribute, and the edited photo while a slider moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from mien.run.opening import cached_amounts
from mien.studio import steps
from mien.studio.components import Amount
from mien.studio.messages import sentences
from mien.studio.photo import Photo
from mien.studio.photo_input import HEAVY, PhotoInput, Place, present
from mien.studio.runs import Served, gains, order

FIRST = 8  # sliders that are visible; the others are in an accordion
MOST = 3.0  # amount of either sign; evaluate measures amounts up to 3
LIVE: dict[str, Any] = {
    "trigger_mode": "always_last",
    "show_progress": "hidden",
    "concurrency_id": "preview",
    "concurrency_limit": 2,
}


@dataclass(frozen=True)
class Sliders:
    """The sliders of one run."""

    run: Served
    names: tuple[str, ...]
    sliders: tuple[Any, ...]
    column: Any

    def amounts(self, values: Sequence[float | None]) -> dict[str, float]:
        """Return the amounts of the sliders by attribute."""
        return {name: float(value or 0.0) for name, value in zip(self.names, values, strict=True)}


class EditPanel:
    """The components of the panel; :attr:`photo` takes pictures of other panels."""

    def __init__(self, place: Place, runs: Sequence[Served]):
        with gr.Row(equal_height=False):
            with gr.Column(
                scale=4, min_width=300, elem_classes="upright"
            ):  # on phones, the change is below the sliders
                self.photo = PhotoInput(place, "Photo", "edit")
                gr.Markdown(
                    "**What the model changes**, twice as strong; gray is no change", elem_classes=["head", "change"]
                )
                self.residual = gr.Image(
                    show_label=False,
                    interactive=False,
                    format="png",
                    height=180,
                    elem_id="edit-residual",
                    elem_classes=["view", "change"],
                    buttons=[],
                )
            with gr.Column(scale=6, min_width=300, elem_classes="result"):
                gr.Markdown("**Before | after**", elem_classes="head")
                self.compare = gr.ImageSlider(
                    show_label=False,
                    interactive=False,
                    format="jpeg",
                    height=420,
                    max_height=420,
                    elem_id="edit-result",
                    buttons=["fullscreen"],
                )
                self.whole = gr.Checkbox(False, label="Show the whole photo", elem_id="edit-whole", container=False)
                self.identity = gr.Markdown("", elem_classes="status", elem_id="edit-identity")
            with gr.Column(scale=5, min_width=280):
                self._sliders(runs)
        with gr.Row(equal_height=False), gr.Column(scale=6, min_width=300):
            self.line = gr.Code(
                "", language="shell", label="The same on the command line", elem_id="edit-command", lines=1,
                elem_classes="empty-hidden",
            )  # fmt: skip
            with gr.Row():
                self.make = gr.Button("Make the photo at full size", variant="primary", elem_id="edit-make")
                self.file = gr.DownloadButton("Download", visible=False, elem_id="edit-download")
        self._connect()

    def _sliders(self, runs: Sequence[Served]) -> None:
        """Make the sliders of each run; those of the first one are visible."""
        self.groups: list[Sliders] = []
        names = [run.name for run in runs]
        self.run = gr.Dropdown(names, value=names[0], label="Run", visible=len(names) > 1, elem_id="edit-run")
        for run in runs:
            assert run.editor is not None  # page.py passes runs that edit
            measured, best = gains(run.folder), cached_amounts(run.folder)
            ordered, made = order(run.editor.names, measured), []
            with gr.Column(visible=run is runs[0], elem_classes="sliders") as column:
                made += [_slider(name, measured, best) for name in ordered[:FIRST]]
                if len(ordered) > FIRST:
                    with gr.Accordion(f"{len(ordered) - FIRST} more", open=False):
                        made += [_slider(name, measured, best) for name in ordered[FIRST:]]
            self.groups.append(Sliders(run, tuple(ordered), tuple(made), column))
        self.reset = gr.Button("Reset all", size="sm", elem_id="edit-reset")

    def _connect(self) -> None:
        all_sliders = [slider for group in self.groups for slider in group.sliders]
        inputs = [self.photo.state, self.run, self.whole, *all_sliders]
        outputs = [self.compare, self.residual, self.line, self.file]
        self.refresh: tuple[Callable[..., Any], list[Any], list[Any]] = (sentences(self._refresh), inputs, outputs)
        self.measure: tuple[Callable[..., Any], list[Any], list[Any]] = (
            sentences(self._identity),
            inputs,
            [self.identity],
        )
        self.photo.connect(self.refresh, self.measure, run=self.run)
        for group in self.groups:
            live = [self.photo.state, self.whole, *group.sliders]
            for slider in group.sliders:
                slider.input(sentences(self._live(group)), live, outputs, **LIVE)
                slider.release(*self.measure, show_progress="hidden", trigger_mode="always_last", **HEAVY)
        self.run.change(
            lambda name: [gr.update(visible=group.run.name == name) for group in self.groups],
            [self.run],
            [group.column for group in self.groups],
            show_progress="hidden",
        ).then(*self.refresh, show_progress="hidden")
        self.reset.click(lambda: [0.0] * len(all_sliders), None, all_sliders, show_progress="hidden").then(
            *self.refresh, show_progress="hidden"
        ).then(*self.measure, show_progress="hidden")
        self.whole.input(*self.refresh, show_progress="hidden")
        self.make.click(sentences(self._full), inputs, [self.file], **HEAVY)

    def _chosen(self, name: str, values: Sequence[float | None]) -> tuple[Served, dict[str, float]]:
        """Return the run of a name, and the amounts of its sliders among the values of all sliders."""
        first = 0
        for group in self.groups:
            last = first + len(group.sliders)
            if group.run.name == name:
                return group.run, group.amounts(values[first:last])
            first = last
        raise AssertionError(f"the dropdown has the names of the groups, not {name}")

    def _live(self, group: Sliders) -> Callable[..., list[Any]]:
        """Return the handler of a moving slider of a run."""

        def live(photo: Photo | None, whole: bool, *values: float | None) -> list[Any]:
            return self._step(present(photo), group.run, group.amounts(values), whole)

        return live

    def _step(self, photo: Photo, run: Served, amounts: dict[str, float], whole: bool) -> list[Any]:
        result = steps.step(photo, run, amounts, whole)
        files = (str(steps.start(photo, run, whole).file), str(photo.preview_file(result.after)))
        return [files, result.residual, steps.command(photo, run, amounts), gr.update(value=None, visible=False)]

    def _refresh(self, photo: Photo | None, name: str, whole: bool, *values: float | None) -> list[Any]:
        """Draw anew after another photo, face or run; a photo without a face leaves the result empty."""
        run, amounts = self._chosen(name, values)
        if photo is None or (not photo.faces and run.template is not None and not photo.is_aligned(run.template)):
            return [None, None, "", gr.update(value=None, visible=False)]
        return self._step(photo, run, amounts, whole)

    def _identity(self, photo: Photo | None, name: str, whole: bool, *values: float | None) -> str:
        run, amounts = self._chosen(name, values)
        if photo is None or not photo.faces or not steps.nonzero(amounts):
            return ""
        return steps.identity(photo, run, amounts)

    def _full(self, photo: Photo | None, name: str, whole: bool, *values: float | None) -> Any:
        photo = present(photo)
        path = steps.full_size(photo, *self._chosen(name, values))
        return gr.update(value=str(path), visible=True, label=f"Download {path.name}")


def _slider(name: str, measured: dict[str, float], best: dict[str, float]) -> Any:
    """Return the slider of an attribute; the line below it says what the run's own evaluation measured."""
    parts = [f"gain {measured[name]:.0%}"] if name in measured else ["not measured"]
    parts += [f"best amount {best[name]:g}"] if name in best else []
    return Amount(
        -MOST,
        MOST,
        value=0,
        step=0.1,
        label=name.replace("_", " "),
        info=", ".join(parts),
        elem_id=f"slider-{name}",
        elem_classes="signed",
        buttons=[],
    )
