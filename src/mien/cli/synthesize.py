"""The command synthesize."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mien.cli.app import app
from mien.cli.outputs import writable
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


@app.command(rich_help_panel="Explore a run")
def synthesize(
    run: Run,
    per_class: Annotated[
        int, typer.Option(help="Pictures of each class; of the whole set if it has no classes.", min=1)
    ] = 100,
    noise: Noise = 0.5,
    labeled: Annotated[
        int, typer.Option(help="Number of labeled pictures of each class to start from; 0 is all.", min=0)
    ] = 0,
    seed: Seed = 0,
    root: Root = None,
    out: Out = None,
    device: Device = "auto",
) -> None:
    """Synthesize labeled pictures from a run's training pictures: a folder to train on, with each picture's source.

    After an interruption, the same command continues.

    Examples:
      mien synthesize runs/digits --per-class 500 --noise 0.5 --out more-digits
      mien train attribute_cnn --data folder --root more-digits --size 32
      mien train ssavae --data folder --root more-digits --data-option classes=folders --size 28
    """
    check_noise(noise)
    out = out or Path("synthesized")
    if out.suffix.lower() in (".png", ".jpg", ".svg", ".pdf"):
        raise MienError(f"expected a folder, got --out {out}: such as --out {out.with_suffix('')}")
    writable(out)
    from mien.run.folder import WEIGHTS, check_abilities

    check_abilities(run, ["Encodes", "Decodes"])
    from mien.applications import synthesize as synthesis
    from mien.applications.basics import latent_size
    from mien.files import sha256
    from mien.run.opening import open_run

    console = make_console()
    opened = open_run(run, pick_device(device), root)
    model, dataset = opened.model, opened.dataset
    planned = synthesis.plan(dataset, opened.index, per_class, seed, labeled)
    about = {
        "run": run.resolve().name,
        "model": model.name,
        "weights_sha256": sha256(run / WEIGHTS),
        "data": opened.data.to_json() | {"root": None},
        "noise": noise,
        "seed": seed,
        "labeled": labeled,
    }
    latent = latent_size(model)
    with bars(console) as note:
        new = synthesis.synthesize(
            synthesis.noisy(model, noise),
            latent,
            dataset,
            planned,
            out,
            about,
            pick_device(device),
            lambda done, total: note("pictures", done, total),
        )
    console.print(f"{len(planned):,} labeled pictures, {new:,} of them made now", highlight=False)
    wrote(console, out)
    # beside the folder: in the folder it would be read as one of the pictures
    beside = Path(f"{out}.png") if out.name not in ("", "..") else Path(f"{out.resolve()}.png")
    save_figure(_synthesized(dataset, planned, out), beside, console)


def _synthesized(dataset: Any, planned: list[Any], out: Path, most: int = 10) -> Any:
    """Return a figure of synthesized pictures: a row for each class, or below each of the first sources."""
    import numpy as np

    from mien import figures
    from mien.data.pictures import open_picture
    from mien.figures import explore

    def read(row: list[Any]) -> Any:
        return np.stack([np.asarray(open_picture(out / one.file))[..., : dataset.shape[0]] for one in row])

    def real(row: list[Any]) -> Any:
        return dataset.pictures(np.array([one.source for one in row]))

    groups: dict[str, list[Any]] = {}
    for one in planned:
        groups.setdefault(one.file.partition("/")[0], []).append(one)
    rows = [group[:most] for _, group in sorted(groups.items())][:most]
    if not dataset.classes:
        return figures.reconstructions(real(rows[0]), read(rows[0]), names=["original", "synthesized"])
    labels = [str(dataset.classes[int(dataset.labels[row[0].source])]) for row in rows]
    fakes = np.stack([read(row) for row in rows])
    return explore.neighborhoods(
        real([row[0] for row in rows]), fakes, labels=labels, heads=("a real one", "synthesized")
    )
