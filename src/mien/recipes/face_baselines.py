"""Identity distances and landmark errors of CelebA itself, and of the edits of a run.

    python -m mien.recipes.face_baselines --root CELEBA --size 64 32 --count 600 --out faces
    python -m mien.recipes.face_baselines --root CELEBA --size 64 --run runs/glasses --out faces-glasses

At the pictures' own size and at each --size, the recipe measures the share of faces found, the embedding distances of
pairs of one person, of strangers and of mirror images (:mod:`mien.metrics.identity`), and the landmark errors on faces
without (D0) and with glasses (D1) (:mod:`mien.metrics.landmarks`; Residual GAN, Table 2). --run is a run on CelebA
that can edit Eyeglasses. On its held-out pictures, the recipe also measures the landmark errors after the run removed
the glasses (D1m), and the distances of its reconstructions and edits from the person in the picture, beside the
baselines at its size. `face_baselines.json` is written again after each part. It needs the extra:
pip install mien[faces].

`results/faces/face_baselines.json` holds the expected numbers, with the command and the seconds it took.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import Tensor

from mien import data, figures
from mien.abilities import Decodes, Edits, Encodes
from mien.applications import edit, reconstruct
from mien.applications.arithmetic import attribute_vectors
from mien.data.dataset import Source, spread
from mien.data.pictures import to_float
from mien.errors import MienError, UnknownName
from mien.files import sha256, write_json
from mien.metrics import identity, landmarks
from mien.metrics.faces import Faces
from mien.run.opening import OpenRun, cached_vectors, open_run
from mien.training.logs import Bar

GLASSES = "Eyeglasses"
OWN_SIZE = 178  # pixels, the width of CelebA's pictures
SHOWN = 5  # faces in a row of the figure
RESULT = "face_baselines.json"
_Part = Callable[[str, Any], None]


def main(arguments: Sequence[str] | None = None) -> Path:
    """Run the experiment; return the folder with the numbers, the figures and the page."""
    options = _parsed(arguments)
    out: Path = options.out
    console, faces = Console(), Faces()
    # all checks come before the first face
    protocol = {"faces": faces.protocol(), "same_person_up_to": identity.SAME, "views": list(landmarks.VIEWS)}
    source = data.source("celeba", options.root)
    if GLASSES not in source.attributes:
        raise UnknownName("attribute", GLASSES, source.attributes)
    run = _opened(options.run, options.root) if options.run else None
    sizes = list(dict.fromkeys([options.own_size, *options.size, *([run.dataset.size] if run else [])]))
    result: dict[str, Any] = {
        "title": "Identity distances and landmark errors of CelebA, by dlib",
        "command": f"python -m mien.recipes.face_baselines --root CELEBA --own-size {options.own_size} --size "
        f"{' '.join(map(str, options.size))} --count {options.count} --seed {options.seed}"
        + (f" --run {run.folder.name}" if run else ""),
        "data": {"name": "celeba", "pictures": len(source)},
        "seed": options.seed,
        "protocol": protocol,
        "sizes": {},
    }
    store = _Store(options.out / RESULT, result)
    spreads = {f"{size} px": _baselines(console, source, size, options, faces, store) for size in sizes}
    sections = [
        _distance_section(spreads, options.out),
        _landmark_section(source, options.seed, options.size[0], faces, options.out),
    ]
    if run:
        weights = sha256(run.folder / "weights.safetensors")
        about = {"name": run.folder.name, "model": run.model.name, "size": run.dataset.size, "weights_sha256": weights}
        store(result, "run", about)
        base = spreads[f"{run.dataset.size} px"]
        sections.append(_run_section(console, run, options, faces, base, partial(store, result["run"])))
    for table in _tables(result):
        console.print(table)
    figures.page(options.out / "index.html", "Identity and landmarks of faces", sections, result["command"])
    console.print(f"wrote {out / RESULT}\nopen {out / 'index.html'}", highlight=False, soft_wrap=True)
    return out


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", help="CelebA's folder; $MIEN_DATA/celeba by default")
    parser.add_argument("--size", type=int, nargs="+", default=[64, 32], help="sizes to measure at (default 64 32)")
    parser.add_argument(
        "--own-size", type=int, default=OWN_SIZE, help=f"width of the stored pictures (default {OWN_SIZE})"
    )
    parser.add_argument("--count", type=int, default=600, help="faces for each measure and size (default 600)")
    parser.add_argument("--run", type=Path, help="a run on CelebA that can edit Eyeglasses")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("faces"), help="folder to write (default faces)")
    options = parser.parse_args(arguments)
    limits = [("--count", options.count, 4), ("--seed", options.seed, 0), *(("--size", s, 8) for s in options.size)]
    for name, value, least in limits:
        if value < least:
            parser.error(f"expected {name} of {least} or more, got {value}")
    return options


class _Store:
    """Writes the whole result after each part of it, with time and memory so far."""

    def __init__(self, path: Path, result: dict[str, Any]):
        self.path, self.result, self.began = path, result, time.monotonic()

    def __call__(self, where: dict[str, Any], name: str, value: Any) -> None:
        where[name] = value
        self.result["seconds"] = round(time.monotonic() - self.began, 1)
        if sys.platform != "win32":
            import resource

            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            self.result["peak_memory_mb"] = round(peak / (2**20 if sys.platform == "darwin" else 2**10))
        write_json(self.path, self.result)


def _reader(source: Source, size: int) -> Callable[[NDArray[np.int64]], Tensor]:
    """Return a function that reads single pictures; preparing the data set would read all of them."""
    return lambda index: torch.from_numpy(np.stack([to_float(source.read(int(i), size)) for i in index]))


def _baselines(
    console: Console, source: Source, size: int, options: argparse.Namespace, faces: Faces, store: _Store
) -> Mapping[str, NDArray[np.float64]]:
    """Measure CelebA itself at a size, store the numbers, and return the distances by kind of pair."""
    part: dict[str, Any] = {}
    store(store.result["sizes"], f"{size} px", part)
    count, people = options.count // 2, np.array([source.identity(i) for i in range(len(source))])
    identities = people if (people >= 0).any() else None
    pairs = identity.pair_people(identities, np.arange(len(source)), count, options.seed)
    total = len(np.unique(np.concatenate([pairs.same, pairs.strangers]))) + len(pairs.strangers)
    with Bar(console, f"identity, {size} px", max(total, 1)) as bar:
        distances = identity.identity_baselines(
            _reader(source, size), pairs, faces.embeddings, lambda done, _: bar(done)
        )
    store(part, "identity", distances.summary())
    rows, has = _glasses(source, count, options.seed)
    x, keys = _reader(source, size)(rows), [source.key(int(i)) for i in rows]
    store(
        part,
        "landmarks",
        _measured(console, f"landmarks, {size} px", x, has, {}, faces, source.options()["root"], keys),
    )
    return {
        "same person": distances.same.values,
        "strangers": distances.strangers.values,
        "mirrored self": distances.mirrored.values,
    }


def _glasses(source: Source, count: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return up to ``count`` positions without and with glasses each, drawn by ``seed``, and +1 for those with."""
    a = source.attributes.index(GLASSES)
    has = np.array([int(source.attribute_row(i)[a]) for i in range(len(source))])
    rng = np.random.default_rng(seed)
    rows = np.concatenate([rng.permutation(np.flatnonzero(has == value))[:count] for value in (-1, 1)])
    return rows, has[rows]


def _measured(
    console: Console,
    what: str,
    x: Tensor,
    has: NDArray[np.int64],
    edited: Mapping[str, Tensor],
    faces: Faces,
    root: Any,
    keys: list[str],
) -> dict[str, Any]:
    """Return stability on D0, D1 and D1m and, if ``root`` has CelebA's five points, the errors against them."""
    total, done = int((has != 0).sum() + len(edited) * (has > 0).sum()), 0
    with Bar(console, what, max(total, 1)) as bar:

        def stability(pictures: Tensor, _: NDArray[Any]) -> landmarks.LandmarkErrors:
            nonlocal done
            start, done = done, done + len(pictures)
            return landmarks.landmark_stability(faces.landmarks, pictures, progress=lambda d, _: bar(start + d))

        table = landmarks.landmark_table(stability, x, has, edited)
    result: dict[str, Any] = {"stability": {name: one.summary() for name, one in table.items()}}
    if root and (path := landmarks.find_five(root)):
        truth = landmarks.read_five(path, keys, x.shape[-1])
        table = landmarks.landmark_table(
            lambda pictures, rows: landmarks.celeba5_error(faces.landmarks(pictures), truth[rows]), x, has, edited
        )
        result["celeba5"] = {name: one.summary() for name, one in table.items()}
    else:
        result["celeba5"] = f"not measured: no {landmarks.FILE} in the data's folder"
    return result


def _opened(folder: Path, root: str | None) -> OpenRun:
    """Return a run on CelebA that can edit glasses.

    Raises:
        MienError: a run on other data, or one that cannot edit glasses.
    """
    run = open_run(folder, root=root)
    if run.dataset.name != "celeba":
        raise MienError(f"expected a run on celeba, got {folder}, a run on {run.dataset.name}: choose another")
    decodes = isinstance(run.model, Encodes) and isinstance(run.model, Decodes)
    if not (GLASSES in run.model.editable if isinstance(run.model, Edits) else decodes):
        raise MienError(f"expected a run that can edit {GLASSES}, got {folder}, a {run.model.name}: choose another")
    return run


def _run_section(
    console: Console,
    run: OpenRun,
    options: argparse.Namespace,
    faces: Faces,
    base: Mapping[str, NDArray[np.float64]],
    store: _Part,
) -> figures.Section:
    """Measure the edits of a run on its held-out faces; its own folder stays as it is."""
    dataset, model = run.dataset, run.model
    held = np.sort(np.concatenate([run.splits.valid, run.splits.test]))
    column = np.asarray(dataset.attribute_table[held, dataset.attributes.index(GLASSES)])
    index = np.concatenate([spread(held[column == value], options.count // 2) for value in (-1, 1)])
    has = np.asarray(dataset.attribute_table[index, dataset.attributes.index(GLASSES)])
    x = dataset.batch(index).x
    vectors = None
    if not isinstance(model, Edits):
        vectors = cached_vectors(run.folder) or attribute_vectors(model, dataset, run.index)
    # glasses are removed from those who wear them and added to the others
    reverse = torch.cat([edit(model, one[None], {GLASSES: -float(h)}, vectors) for one, h in zip(x, has, strict=True)])
    changed, edited = {"glasses reversed": reverse}, {"D1m": reverse}
    if isinstance(model, Encodes) and isinstance(model, Decodes):
        edited["D1 reconstructed"] = changed["reconstructed"] = reconstruct(model, x)
    with Bar(console, "identity of the run's", max(len(x) * (1 + len(changed)), 1)) as bar:
        moved = identity.identity_distances(x, changed, faces.embeddings, lambda done, _: bar(done))
    store("identity", {name: one.summary() for name, one in moved.items()})
    keys, root = [dataset.keys[i] for i in index], dataset.options.get("root")
    store("landmarks", _measured(console, "landmarks of the run's", x, has, edited, faces, root, keys))
    worn = np.flatnonzero(has > 0)
    placed = {name: faces.landmarks(y[worn]) for name, y in {"D1": x, **edited}.items()}
    shifts = {name: landmarks.landmark_shift(placed["D1"], placed[name]).summary() for name in edited}
    store("shift_from_D1", shifts)
    sheet = figures.face_landmarks(
        [y[worn[:SHOWN]].numpy() for y in (x, *edited.values())], [p[:SHOWN] for p in placed.values()],
        eyes=landmarks.EYES, rest=landmarks.REST, names=list(placed),
    )  # fmt: skip
    panels = {f"{dataset.size} px, real pairs": base, **{name: {"changed": one.values} for name, one in moved.items()}}
    drawn = figures.face_distances(panels, identity.SAME)
    figures.save(sheet, options.out / "landmarks-run.png")
    figures.save(drawn, options.out / "distances-run.png")
    name = run.folder.name
    captions = (
        f"Distances between {len(x)} held-out faces and their edits by {name}; above, real pairs at this size.",
        f"Held-out faces with glasses, and their edits by {name}.",
    )
    return figures.Section(f"The run {name}", "", [*map(figures.Captioned, (drawn, sheet), captions)])


def _distance_section(spreads: Mapping[str, Mapping[str, NDArray[np.float64]]], out: Path) -> figures.Section:
    drawn = figures.face_distances(spreads, identity.SAME)
    figures.save(drawn, out / "distances.png")
    caption = (
        "Distances of dlib's embeddings between faces of one person, of strangers, and of a face and its mirror image."
    )
    return figures.Section("Identity", "", figures.Captioned(drawn, caption))


def _landmark_section(source: Source, seed: int, size: int, faces: Faces, out: Path) -> figures.Section:
    rows, _ = _glasses(source, SHOWN, seed)
    sets = torch.split(_reader(source, size)(rows), SHOWN)
    drawn = figures.face_landmarks(
        [x.numpy() for x in sets], [faces.landmarks(x) for x in sets],
        eyes=landmarks.EYES, rest=landmarks.REST, names=["D0: none", "D1: glasses"][: len(sets)],
    )  # fmt: skip
    figures.save(drawn, out / "landmarks.png")
    caption = f"Landmarks on faces of {size} px, drawn by seed {seed}."
    return figures.Section("Landmarks", "", figures.Captioned(drawn, caption))


def _tables(result: Mapping[str, Any]) -> list[Table]:
    """Return the numbers as tables for the terminal: the baselines first, then those of the run."""
    who = Table("faces", "pairs", "distance", f"up to {identity.SAME:g}", title="identity distance, mean ± sd")
    where = Table("faces", "n", "eyes", "rest", "lost", title="landmark stability, mean ± sd (median), eye distances")
    run = result.get("run", {"name": ""})
    people: dict[str, Any] = {}
    points: dict[str, Any] = {}
    for words, size in result["sizes"].items():
        people |= {f"{words}, {kind}": one for kind, one in size["identity"].items()}
        points |= {f"{words}, {name}": one for name, one in size["landmarks"]["stability"].items()}
    people |= {f"{run['name']}, {kind}": one for kind, one in run.get("identity", {}).items()}
    points |= {f"{run['name']}, {name}": one for name, one in run.get("landmarks", {}).get("stability", {}).items()}
    points |= {f"{run['name']}, {name} from D1": one for name, one in run.get("shift_from_D1", {}).items()}
    for name, one in people.items():
        if isinstance(one, dict) and one["n"]:
            sd = f" ± {one['sd']:.3f}" if one["n"] > 1 else ""
            who.add_row(name, f"{one['n']} of {one['pairs']}", f"{one['mean']:.3f}{sd}", f"{one['within']:.1%}")
    for name, one in points.items():
        if one["n"] > 1:
            means = [f"{e['mean']:.4f} ± {e['sd']:.4f} ({e['median']:.4f})" for e in (one["eyes"], one["rest"])]
            where.add_row(name, f"{one['n']} of {one['pictures']}", *means, f"{one['lost']:.1%}")
    return [who, where]


if __name__ == "__main__":
    try:
        main()
    except MienError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
