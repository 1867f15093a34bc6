"""The command similarity."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.app import app
from mien.cli.outputs import Force, picture_path
from mien.cli.shared import (
    Device,
    Folders,
    Noise,
    Out,
    Pictures,
    Root,
    Run,
    Seed,
    bars,
    check_noise,
    load_model,
    make_console,
    pick_device,
    print_json,
    save_figure,
    shown,
)
from mien.errors import MienError

if TYPE_CHECKING:
    from rich.console import Console

FAKES = 8  # variations of each picture, in the figure


@app.command(rich_help_panel="Explore a run")
def similarity(
    run: Run,
    pictures: Pictures = None,
    noise: Noise = 0.5,
    seed: Seed = 0,
    pairs: Annotated[int, typer.Option(help="Pairs of each kind at most, if there are no pictures.", min=1)] = 5000,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, and draw nothing unless --out is given.")] = False,
    root: Root = None,
    out: Out = None,
    force: Force = False,
    device: Device = "auto",
) -> None:
    """Compare pictures by their latent neighborhoods; without pictures, measure how well this separates persons.

    Examples:
      mien similarity runs/faces me.jpg sister.jpg stranger.jpg
      mien similarity runs/faces --json
    """
    if pictures and len(pictures) < 2:
        raise MienError("expected two pictures or more to compare, got one")
    check_noise(noise)
    drawn = picture_path(out, "similarity.png", force) if out or not json else None
    from mien.run.folder import check_abilities

    check_abilities(run, ["Encodes", "Decodes"])
    if pictures:
        _compare(load_model(run, device), pictures, noise, seed, drawn, json)
    else:
        _same_person(run, device, root, noise, seed, pairs, drawn, json)


def _compare(model: Any, pictures: list[Path], noise: float, seed: int, out: Path | None, json: bool) -> None:
    """Print the similarity of each pair of picture files, and draw their neighborhoods."""
    import numpy as np

    from mien.applications.neighbors import latents
    from mien.applications.similarity import measures
    from mien.applications.variations import variations
    from mien.data.reading import read_pictures
    from mien.figures import explore

    x = read_pictures(pictures, model)
    similarities = measures(model, latents(model, x), noise=noise, seed=seed)
    pairs = np.stack(np.triu_indices(len(x), 1), 1)
    scores = {name: measure(pairs) for name, measure in similarities.items()}
    console = _quiet() if json else make_console()  # nothing but the JSON on stdout
    if json:
        rows = [
            {"files": [str(pictures[i]), str(pictures[j])], **{name: float(s[p]) for name, s in scores.items()}}
            for p, (i, j) in enumerate(pairs)
        ]
        print_json(rows)
    else:
        from rich.table import Table

        table = Table("", "", "neighborhood", "cosine", "distance")
        for p, (i, j) in enumerate(pairs):
            numbers = (scores["neighborhood"][p], scores["cosine"][p], -scores["distance"][p])
            table.add_row(pictures[i].name, pictures[j].name, *(f"{number:.3f}" for number in numbers))
        console.print(table)
    if out:
        around = variations(model, x, (noise,), FAKES, seed)[:, 0]
        first = dict(zip(pairs[:, 1][pairs[:, 0] == 0].tolist(), scores["neighborhood"], strict=False))
        words = [f" {first[i]:.2f}\N{NO-BREAK SPACE}like\N{NO-BREAK SPACE}first" if i else "" for i in range(len(x))]
        labels = [p.name[:20] + text for p, text in zip(pictures, words, strict=True)]
        save_figure(explore.neighborhoods(shown(x), shown(around), labels=labels), out, console)


def _same_person(
    run: Path, device: str, root: Folders, noise: float, seed: int, most: int, out: Path | None, json: bool
) -> None:
    """Print the AUC of every similarity on held-out pictures, and draw the ROC curves."""
    import numpy as np

    from mien.evaluation.similarity import compare_persons
    from mien.figures import explore
    from mien.metrics import similarity_auc as auc
    from mien.run.opening import open_run

    opened = open_run(run, pick_device(device), root)
    dataset = opened.dataset
    if dataset.identity is None:
        raise MienError(
            f"expected a data set that names persons, got {dataset.name}, which names none: use a run on CelebA with "
            "its identity_CelebA.txt, or pass pictures to compare"
        )
    held = np.sort(np.concatenate([opened.splits.valid, opened.splits.test]))
    pairs = auc.draw_pairs(dataset.identity[held], most, seed)
    console = _quiet() if json else make_console()  # nothing but the JSON on stdout
    with bars(console) as note:
        same, scores = compare_persons(opened, held, "valid and test", noise, pairs, seed, note)
    result = same.to_json()
    if json:
        print_json(result)
    else:
        _print_auc(console, result)
    if out:
        words = {name: f"{s['auc']:.2f} ({s['low']:.2f} to {s['high']:.2f})" for name, s in result["measures"].items()}
        save_figure(explore.roc_curves(scores, auc=words), out, console)


def _print_auc(console: Console, result: dict[str, Any]) -> None:
    from rich.table import Table

    title = (
        f"ROC-AUC of {result['n_same']:,} pairs of one person against {result['n_strangers']:,} of strangers, among "
        f"{result['pictures']:,} {result['split']} pictures of {result['data']} (seed {result['seed']})"
    )
    table = Table(
        "similarity",
        "AUC",
        "95 % interval",
        "median, one person",
        "median, strangers",
        title=title,
        title_justify="left",
    )
    for name, s in result["measures"].items():
        sign = (
            -1 if name in ("distance", "pixels") else 1
        )  # distances are compared as similarities, with a minus, and printed without
        medians = (f"{sign * s[key]:.3f}" for key in ("median_same", "median_strangers"))
        table.add_row(name, f"{s['auc']:.3f}", f"{s['low']:.3f} to {s['high']:.3f}", *medians)
    console.print(table)


def _quiet() -> Any:
    """Return a console that prints nothing, for output that a program reads."""
    from rich.console import Console

    return Console(quiet=True)
