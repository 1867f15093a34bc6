"""The command synthesize."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from mien.cli.app import app
from mien.cli.outputs import Force, claim, writable
from mien.cli.shared import (
    Device,
    Noise,
    Out,
    Root,
    Run,
    Seed,
    bars,
    check_noise,
    make_console,
    pick_device,
    save_figure,
    wrote,
)
from mien.errors import MienError

DEFAULT = Path("synthesized")


@app.command(rich_help_panel="Explore a run")
def synthesize(
    run: Run,
    per_class: Annotated[
        int, typer.Option(help="Pictures of each class; without classes, of each value of each attribute.", min=1)
    ] = 100,
    attribute: Annotated[
        list[str] | None,
        typer.Option(
            help="Make pictures of each value of this attribute only, or with commas, of each combination of values, "
            "such as Smiling,Male; repeat for several.  [default: the classes, or each attribute]",
            show_default=False,
        ),
    ] = None,
    noise: Noise = 0.5,
    labeled: Annotated[
        int, typer.Option(help="Number of labeled pictures of each class to start from; 0 is all.", min=0)
    ] = 0,
    seed: Seed = 0,
    root: Root = None,
    out: Out = None,
    force: Force = False,
    device: Device = "auto",
) -> None:
    """Synthesize labeled pictures from a run's training pictures: a folder to train on, with each picture's source.

    After an interruption, the same command continues.

    Examples:
      mien synthesize runs/digits --per-class 500 --noise 0.5 --out more-digits
      mien synthesize runs/faces --per-class 500 --attribute Smiling,Male --out more-faces
      mien train attribute_cnn --data folder --root more-digits --size 32
      mien train ssavae --data folder --root more-digits --data-option classes=folders --size 28
    """
    check_noise(noise)
    if out and out.suffix.lower() in (".png", ".jpg", ".svg", ".pdf"):
        raise MienError(f"expected a folder, got --out {out}: such as --out {out.with_suffix('')}")
    writable(out or DEFAULT)
    from mien.run.folder import check_abilities

    check_abilities(run, ["Encodes", "Decodes"])
    from mien.applications import synthesize as synthesis
    from mien.applications.basics import latent_size
    from mien.run.opening import open_run

    console = make_console()
    opened = open_run(run, pick_device(device), root)
    model, dataset = opened.model, opened.dataset
    joint = [name.split(",") for name in attribute or []]
    planned = synthesis.plan(dataset, opened.index, per_class, seed, labeled, joint)
    about = _about(run, opened, noise, seed, labeled)
    if joint or not dataset.classes:
        about["attributes"] = joint
    out = _place(out, about, force)
    with bars(console) as note:
        new = synthesis.synthesize(
            synthesis.noisy(model, noise),
            latent_size(model),
            dataset,
            planned,
            out,
            about,
            pick_device(device),
            lambda done, total: note("pictures", done, total),
        )
    parts = synthesis.groups(dataset, opened.index, joint)
    _print_counts(console, len(planned), new, per_class, parts)
    wrote(console, out)
    labels = {one.folder: one.name for one in parts}
    save_figure(_synthesized(dataset, planned, out, labels), _sheet(out), console)


def _about(run: Path, opened: Any, noise: float, seed: int, labeled: int) -> dict[str, Any]:
    """Return the origin of the pictures, which their folder records."""
    from mien.files import sha256
    from mien.run.folder import WEIGHTS

    return {
        "run": run.resolve().name,
        "model": opened.model.name,
        "weights_sha256": sha256(run / WEIGHTS),
        "data": opened.data.to_json() | {"root": None},
        "noise": noise,
        "seed": seed,
        "labeled": labeled,
    }


def _print_counts(console: Any, total: int, new: int, per_class: int, parts: Any) -> None:
    """Print the number of pictures and groups, and the groups that have no training pictures."""
    filled = sum(bool(len(one.rows)) for one in parts)
    text = f"{total:,} labeled pictures, {new:,} of them made now, {per_class:,} of each of {filled:,} groups"
    console.print(text, highlight=False)
    if empty := [one.name for one in parts if not len(one.rows)]:
        words = "; ".join(empty[:5]) + (" …" if len(empty) > 5 else "")
        console.print(f"none of {len(empty)} groups without training pictures: {words}", markup=False, highlight=False)


def _place(out: Path | None, about: dict[str, Any], force: bool) -> Path:
    """Return the folder to write: ``out``, or the default name with a number if it holds pictures of other origin."""
    from mien.applications.synthesize import check_place

    for number in itertools.count(1):
        folder = out or DEFAULT.with_name(f"{DEFAULT.name}-{number}" if number > 1 else DEFAULT.name)
        try:
            check_place(folder, about)
            claim([_sheet(folder)], force, ignore=("per_class",))
        except MienError:
            if out:
                raise
            continue
        return folder
    raise AssertionError("there are infinitely many numbers")


def _sheet(out: Path) -> Path:
    """Return the file of the figure, beside the folder: in the folder it would be read as one of the pictures."""
    return Path(f"{out}.png") if out.name not in ("", "..") else Path(f"{out.resolve()}.png")


def _synthesized(dataset: Any, planned: list[Any], out: Path, labels: Mapping[str, str], most: int = 10) -> Any:
    """Return a figure of synthesized pictures: a row for each group, with its name by its folder in ``labels``."""
    import numpy as np

    from mien.data.pictures import open_picture
    from mien.figures import explore

    def read(row: list[Any]) -> Any:
        return np.stack([np.asarray(open_picture(out / one.file))[..., : dataset.shape[0]] for one in row])

    def real(row: list[Any]) -> Any:
        return dataset.pictures(np.array([one.source for one in row]))

    groups: dict[str, list[Any]] = {}
    for one in planned:
        groups.setdefault(one.file.partition("/")[0], []).append(one)
    first = sorted(groups.items())[:most]
    rows, names = [group[:most] for _, group in first], [labels[folder] for folder, _ in first]
    fakes = np.stack([read(row) for row in rows])
    return explore.neighborhoods(
        real([row[0] for row in rows]), fakes, labels=names, heads=("a real one", "synthesized")
    )
