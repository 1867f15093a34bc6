"""Measures of two folders of pictures, whoever made them, by the protocols that ``mien evaluate`` uses.

The features of each folder are computed in one pass. Pictures may have different sizes: a network that resizes
(Inception, DINOv2) gets each picture in its own size, and a judge gets the centered part that it was trained on, in its
size. A file that cannot be read is left out, counted and named in the result.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mien.data.listing import Listing
from mien.data.pictures import BadPicture, open_picture, resize, to_float
from mien.errors import MienError, UnknownName
from mien.metrics.dinov2 import dinov2, is_dinov2, read
from mien.metrics.distributions import KINDS, Collection, Kind, Note, collect
from mien.metrics.feature_networks import FeatureNetwork, inception, of_judge
from mien.metrics.reliability import unreliable
from mien.run.folder import resolve, weights_digest
from mien.run.weights import load

BATCH = 64  # pictures of one size that are passed on together
THREADS = 4  # for decoding
PART = 256  # pictures that are decoded ahead
FEW_FOR_SCORE = 2_000  # of fewer pictures, the inception score is known to be too low


@dataclass(frozen=True)
class Folder:
    """The pictures of a folder, or of a zip, that can be read.

    Args:
        root: the folder.
        listing: its files.
        names: paths in the folder of the pictures to measure, sorted.
        files: number of picture files in the folder.
        unread: for each picture that cannot be read, its path and the reason.
        others: number of files that are no pictures, by suffix.
        sizes: number of pictures by "WIDTHxHEIGHT".
    """

    root: Path
    listing: Listing = field(repr=False)
    names: tuple[str, ...]
    files: int
    unread: tuple[str, ...]
    others: dict[str, int]
    sizes: Counter[str]

    def about(self) -> dict[str, Any]:
        """Return plain values for the result; of more than 20 sizes, the 20 commonest."""
        return {
            "folder": str(self.root),
            "pictures": len(self.names),
            "files": self.files,
            "unread": list(self.unread),
            "other_files": self.others,
            "sizes": dict(self.sizes.most_common(20)),
        }


def scan(root: str | Path, count: int = 0, seed: int = 0, note: Note = None) -> Folder:
    """Return the pictures of a folder and its subfolders, or of a zip, after each of them was decoded once.

    Args:
        root: the folder.
        count: largest number of pictures, drawn by ``seed``; 0 takes all.
        seed: seed of the draw.
        note: called with (what, done, total).

    Raises:
        MienError: there is no such folder, no picture in it, or none that can be read.
    """
    root = existing(root)
    listing = Listing(root)
    every = listing.pictures
    names = every
    if 0 < count < len(every):
        names = [every[i] for i in np.sort(np.random.default_rng(seed).permutation(len(every))[:count])]
    readable, unread, sizes = [], [], Counter[str]()
    for done, (name, picture) in enumerate(decoded(listing, names)):
        if isinstance(picture, str):
            unread.append(f"{name}: {picture}")
        else:
            readable.append(name)
            sizes[f"{picture.width}x{picture.height}"] += 1
        if note:
            note(f"reading {root.name}", done + 1, len(names))
    if not readable:
        raise MienError(
            f"expected pictures in {root}, got {len(unread):,} that cannot be read ({unread[0]}): copy again"
        )
    others: Counter[str] = Counter()
    for (suffix, _), number in listing.others(()).items():
        others[suffix or "no suffix"] += number
    return Folder(root, listing, tuple(readable), len(every), tuple(unread), dict(others), sizes)


def existing(root: str | Path) -> Path:
    """Return the path of a folder or a zip.

    Raises:
        MienError: there is no such folder, or it is another file.
    """
    root = Path(root)
    if not root.exists():
        raise MienError(f"expected a folder of pictures, got {root}, which does not exist: check the path")
    if root.is_file() and root.suffix.lower() != ".zip":
        raise MienError(f"expected a folder of pictures, got {root}, a file: pass its folder")
    return root


def decoded(listing: Listing, names: Sequence[str]) -> Iterator[tuple[str, Image.Image | str]]:
    """Yield each path with its picture, or with the reason why it cannot be read.

    Threads decode some pictures ahead.

    Args:
        listing: the folder.
        names: paths in it.
    """

    def decode(name: str) -> Image.Image | str:
        try:
            return open_picture(listing.read(name))
        except BadPicture as reason:
            return str(reason)

    with ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(names), PART):
            part = names[start : start + PART]
            yield from zip(part, pool.map(decode, part), strict=True)


def part_of(picture: Image.Image, shape: tuple[int, ...] | None, crop: int = 0) -> np.ndarray:
    """Return a picture as uint8 (H, W, C): in its own size, or as the pictures that a network was trained on.

    Args:
        picture: of mode RGB.
        shape: (C, H, W) of the network's pictures: the largest centered part of this aspect ratio is resized by Lanczos
            with antialiasing. None leaves the picture in its size.
        crop: side in pixels of the centered square that is cut out first; 0 cuts nothing. A smaller picture is not cut.
    """
    width, height = picture.size
    if crop and min(width, height) > crop:
        left, top = (width - crop) / 2, (height - crop) / 2
        picture = picture.crop((round(left), round(top), round(left) + crop, round(top) + crop))
        width = height = crop
    if shape is None:
        return np.asarray(picture)
    channels, rows, columns = shape
    scale = min(width / columns, height / rows)
    left, top = (width - scale * columns) / 2, (height - scale * rows) / 2
    gray = picture.convert("L").convert("RGB") if channels == 1 else picture
    box = (left, top, left + scale * columns, top + scale * rows)
    return resize(gray, (rows, columns), box)[..., :channels]


def pictures_of(
    listing: Listing, names: Sequence[str], shape: tuple[int, ...] | None, crop: int = 0
) -> Iterator[Tensor]:
    """Yield pictures in their order, in batches (B, C, H, W) of one size, in [-1, 1].

    Args:
        listing, names: the files; each must be readable.
        shape, crop: as of :func:`part_of`.

    Raises:
        MienError: a file cannot be read any more.
    """
    batch: list[np.ndarray] = []
    for name, picture in decoded(listing, names):
        if isinstance(picture, str):
            raise MienError(
                f"expected a picture in {listing.root / name}, got a file that changed meanwhile: {picture}"
            )
        part = part_of(picture, shape, crop)
        if batch and (len(batch) == BATCH or batch[0].shape != part.shape):
            yield torch.from_numpy(to_float(np.stack(batch)))
            batch = []
        batch.append(part)
    if batch:
        yield torch.from_numpy(to_float(np.stack(batch)))


@dataclass(frozen=True)
class Features:
    """A feature network and how it gets its pictures.

    Args:
        name: for readers: the weights of a network, or the name of a judge.
        network: the network.
        shape: (C, H, W) of its pictures; None if it resizes them itself.
    """

    name: str
    network: FeatureNetwork
    shape: tuple[int, ...] | None

    def reading(self, crop: int) -> str:
        """Return how pictures become what the network takes, in words."""
        first = f"the centered square of {crop} pixels is cut out of larger pictures; " if crop else ""
        if self.shape is None:
            return f"{first}each picture is passed on in its own size"
        return (
            f"{first}the largest centered part is resized to {self.shape[2]}x{self.shape[1]} pixels by Lanczos with "
            "antialiasing and rounded to bytes"
        )


def open_features(name: str, device: str = "cpu", resizing: str = "tensorflow") -> Features:
    """Return the feature network that a text stands for.

    Args:
        name: ``inception``, ``dinov2``, a file of weights of either, a run folder of a judge, or a pretrained judge.
        device: device of the network.
        resizing: of Inception, see :func:`mien.metrics.feature_networks.inception`.

    Raises:
        MienError: the weights or a package are missing, or the text stands for something else.
    """
    if name == "inception":
        return _resizing(inception(None, device, resizing))
    if name == "dinov2":
        return _resizing(dinov2(None, device))
    path = Path(name).expanduser()
    if path.is_file():
        if is_dinov2(read(path)):
            return _resizing(dinov2(path, device))
        return _resizing(inception(path, device, resizing))
    run = resolve(path)
    if not run.is_dir():
        raise MienError(
            f"expected features of inception, dinov2, a file of their weights, or a judge (a run folder, or judge-64), "
            f"got {name}, which is none of these: check the name"
        )
    model = load(run, device)
    network = of_judge(model, weights_digest(run))
    return Features(f"{run.name} ({network.weights})", network, tuple(model.config["shape"]))


def _resizing(network: FeatureNetwork) -> Features:
    """Return a network that resizes pictures itself."""
    return Features(network.weights, network, None)


def choose(network: FeatureNetwork, metrics: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the names of the measures to take: those that the network can serve, or ``metrics``.

    Raises:
        UnknownName: a measure that does not exist.
        MienError: the inception score by a network without classes.
    """
    chosen = tuple(metrics)
    for name in chosen:
        if name not in KINDS:
            raise UnknownName("metric", name, KINDS)
        if name == "inception_score" and not network.classes:
            raise MienError(f"expected features with classes for {name}, got {network.weights}: use inception")
    return chosen or tuple(name for name in KINDS if name != "inception_score" or network.classes > 1)


def measure_folders(
    real: str | Path,
    other: str | Path,
    features: Features,
    metrics: Iterable[str] = (),
    count: int = 0,
    crop: int = 0,
    seed: int = 0,
    note: Note = None,
) -> dict[str, Any]:
    """Return measures of the pictures in a folder against real pictures in another one, as plain values.

    Args:
        real: folder or zip of the real pictures.
        other: folder or zip of the pictures to measure.
        features: the network, see :func:`open_features`.
        metrics: names in :data:`mien.metrics.distributions.KINDS`; by default all that the network can serve.
        count: largest number of pictures of each folder, drawn by ``seed``; 0 takes all.
        crop: side in pixels of a centered square that is cut out of each picture first; 0 cuts nothing.
        seed: seed of the draws, of samples of rows and of subsets.
        note: called with (what, done, total).

    Returns:
        ``real`` and ``other`` (pictures, unread files, sizes), ``features``, ``reading``, ``measures`` by name (value,
        spread and what it is, numbers of pictures), ``left_out`` (reasons by name), ``baseline`` (the same measures
        between two halves of the real pictures), ``seed`` and ``seconds``.

    Raises:
        MienError: a folder without pictures, or no measure can be taken.
    """
    started = time.monotonic()
    network = features.network
    chosen = choose(network, metrics)
    roots = [existing(root) for root in (real, other)]
    folders = [scan(root, count, seed, note) for root in roots]
    sizes = [len(folder.names) for folder in folders]
    fewest = {name: min(sizes) if KINDS[name].real else sizes[1] for name in chosen}
    left_out = {
        name: f"expected {KINDS[name].fewest} pictures or more, got {n}: use more"
        for name, n in fewest.items()
        if n < KINDS[name].fewest
    }
    kinds = {name: KINDS[name] for name in chosen if name not in left_out}
    if not kinds:
        raise MienError("; ".join(f"{name}: {reason}" for name, reason in left_out.items()))
    needs = {need for kind in kinds.values() for need in kind.needs}
    compared = any(kind.real for kind in kinds.values())
    sides = [
        _collection(folder, features, side_needs, crop, seed, note) if side_needs else None
        for folder, side_needs in zip(folders, (needs - {"logits"} if compared else set(), needs), strict=True)
    ]
    first, second = sides
    assert second is not None
    return {
        "real": folders[0].about(),
        "other": folders[1].about(),
        "features": {"name": features.name, **network.about(), "classes": network.classes},
        "reading": features.reading(crop),
        "count": count or None,
        "seed": seed,
        "measures": {name: _taken(name, kind, first, second, seed, note) for name, kind in kinds.items()},
        "left_out": left_out,
        "baseline": _halves(kinds, first, network, seed, note),
        "seconds": round(time.monotonic() - started, 1),
    }


def _collection(
    folder: Folder, features: Features, needs: Iterable[str], crop: int, seed: int, note: Note
) -> Collection:
    n = len(folder.names)
    pictures = pictures_of(folder.listing, folder.names, features.shape, crop)
    return collect(features.network, pictures, {n: needs}, seed, note, f"features of {folder.root.name}")[n]


def _taken(
    name: str, kind: Kind, first: Collection | None, second: Collection, seed: int, note: Note
) -> dict[str, Any]:
    """Return one measure with the numbers of pictures and, where there is one, the reason not to rely on it."""

    def progress(done: int, total: int) -> None:
        if note:
            note(name, done, total)

    values = {"n_real": first.n if first and kind.real else 0, "n_other": second.n}
    values |= kind.measure(first if kind.real else None, second, seed, progress)
    values.pop("n_generated", None)
    warning = ""
    if name == "fid" and first is not None:
        assert second.moments is not None
        warning = unreliable(min(first.n, second.n), len(second.moments.mean))
    elif name == "inception_score" and second.n < FEW_FOR_SCORE:
        warning = f"unreliable: the score of fewer than {FEW_FOR_SCORE:,} pictures is too low"
    return values | ({"warning": warning} if warning else {})


def _halves(
    kinds: dict[str, Kind], real: Collection | None, network: FeatureNetwork, seed: int, note: Note
) -> dict[str, Any]:
    """Return the measures between two random halves of the real pictures: what equal folders would score."""
    if real is None or real.rows is None:
        return {}
    rows = real.rows[torch.from_numpy(np.random.default_rng(seed).permutation(len(real.rows))).to(real.rows.device)]
    half = len(rows) // 2
    compared = {name: kind for name, kind in kinds.items() if kind.real and half >= kind.fewest}
    halves = []
    for part in (rows[:half], rows[half : 2 * half]):
        collection = Collection(half, network, {need for kind in compared.values() for need in kind.needs}, seed)
        collection.update(part, None)
        halves.append(collection)
    first, second = halves
    return {name: _taken(name, kind, first, second, seed, _quiet(note)) for name, kind in compared.items()}


def _quiet(note: Note) -> Callable[[str, int, int], None]:
    def tell(what: str, done: int, total: int) -> None:
        if note:
            note(f"{what}, two halves of the real pictures", done, total)

    return tell
