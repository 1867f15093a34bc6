"""Opening of a run: its model, its data, and the editor of its pictures."""

from __future__ import annotations

import dataclasses
import filecmp
import functools
import os
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import models, pretrained
from mien.abilities import Decodes, Edits, Encodes, can
from mien.applications.arithmetic import AttributeVectors, Editor, attribute_vectors
from mien.applications.directions import MEAN, step_of
from mien.data import cache_dir, names
from mien.data.dataset import Dataset, Splits
from mien.errors import MienError, MienWarning
from mien.files import sha256, write_atomically, write_json
from mien.models.base import Model
from mien.run.data import Data
from mien.run.folder import CONFIG, WEIGHTS, read_config, read_json, resolve
from mien.run.weights import load

VECTORS, STAMP = "attribute_vectors.safetensors", "attribute_vectors.json"  # of the default direction
DIGEST = "vectors_sha256"  # the key of a stamp that holds the SHA-256 of the vectors' file
SAVED = "saved"  # the key in config.json of a run that mien.save_pretrained wrote
AMOUNTS = "amounts"  # the key of a stamp that holds the amounts found by `mien evaluate`

Progress = Callable[[int, int], None] | None


@dataclass
class OpenRun:
    """A run with its model and its data.

    Attributes:
        folder: the run folder; for a pretrained model, a copy of its folder in the cache, where results are stored.
        model: in evaluation mode.
        data: the reference to the data set.
        dataset, splits: the data set and its split.
        index: positions (n,) of the pictures that trained the model.
        other: where evaluations are stored if not in the folder, such as for a run that cannot be written.
    """

    folder: Path
    model: Model
    data: Data
    dataset: Dataset
    splits: Splits
    index: NDArray[np.int64]
    other: Path | None = None
    _computed: dict[str, AttributeVectors] = dataclasses.field(default_factory=dict, init=False, repr=False)

    @property
    def results(self) -> Path:
        """The folder that holds the evaluations of the run."""
        return self.other or self.folder

    @property
    def edits(self) -> bool:
        """Whether attributes of pictures can be changed, by the model itself or by attribute vectors."""
        if not self.dataset.attributes:
            return False
        if isinstance(self.model, Edits):
            return bool(self.model.editable)
        return can(self.model, Encodes, Decodes)

    def editor(self, keep: Iterable[str] = (), progress: Progress = None, direction: str = MEAN) -> Editor:
        """Return the function (x, amounts) -> x that changes attributes of pictures.

        It uses the model if the model edits by itself, else attribute vectors.

        Args:
            keep: attributes that an edit must keep, see :meth:`AttributeVectors.without`.
            progress: called with (done, total) while attribute vectors are computed.
            direction: of attribute vectors, a name in :data:`~mien.applications.directions.DIRECTIONS`.

        Raises:
            UnknownName: there is no such direction.
            MienError: the model cannot edit, a direction for a model that edits by itself, or an error of
                :class:`~mien.applications.arithmetic.Editor`.
        """
        check_direction(self.model, direction)
        vectors = None
        if not isinstance(self.model, Edits) and can(self.model, Encodes, Decodes):
            vectors = self.vectors(progress, direction)
        return Editor(self.model, vectors, tuple(keep))

    def vectors(self, progress: Progress = None, direction: str = MEAN) -> AttributeVectors:
        """Return the attribute vectors of the run. They are computed once, and kept in the run folder.

        Of a run folder that cannot be written they are kept in the cache, and if that cannot be written either, the
        vectors are computed anew each time.

        Raises:
            UnknownName: there is no such direction.

        Warns:
            MienWarning: the vectors could not be kept.
        """
        if (cached := self._computed.get(direction) or cached_vectors(self.folder, direction)) is not None:
            return cached
        vectors = attribute_vectors(self.model, self.dataset, self.index, progress=progress, direction=direction)
        if not _keep_vectors(self.folder, vectors, direction):
            self._computed[direction] = vectors
        return vectors

    def keep_amounts(self, amounts: Mapping[str, float], judge_sha256: str, direction: str = MEAN) -> None:
        """Store the amount that works best for each attribute beside the attribute vectors.

        A model that edits by itself has no vectors; its file holds the amounts alone.

        Args:
            amounts: by attribute.
            judge_sha256: the hash of the weights of the judge that found them.
            direction: of the vectors.
        """
        weights = sha256(self.folder / WEIGHTS)

        def write(place: Path) -> None:
            stamp = _stamp(place, direction, weights) or {"weights_sha256": weights}
            stamp[AMOUNTS] = {"judge_sha256": judge_sha256, "of": dict(amounts)}
            write_json(vector_files(place, direction)[1], stamp)

        _keep(self.folder, weights, "best amounts", write)


def open_run(
    run: str | Path,
    device: str = "cpu",
    root: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
    progress: Callable[[int, int], None] | None = None,
    results: str | Path | None = None,
    data: Data | None = None,
) -> OpenRun:
    """Return a run with its model and data.

    Args:
        run: the run folder, or the name of a pretrained model.
        device: cpu or cuda.
        root: folder of the data, if it has moved since the training; a pretrained model comes without data.
        progress: called with (done, total) while data are prepared.
        results: the folder for evaluations; by default the run folder, or, if it cannot be written, one in the cache.
        data: the pictures of a run that was trained on pictures in memory; not needed while their prepared form is in
            the cache.

    Raises:
        MienError: the folder is not a run, or the held-out pictures of the data differ from those of the run. Then
            the model may have been trained on pictures that are held out now.
    """
    folder = resolve(run)
    config = read_config(folder)
    model = load(folder, device)
    values = config["data"]
    if not values and SAVED in config:
        raise MienError(
            f"expected a run with data, got {folder}, a model that was saved without its run: use a command that needs "
            "no data, or pass pictures"
        )
    data = Data.from_json({**values, "root": root} if root else values, data)
    try:
        data.check_roots(folder)
        _check_total(folder, data, _counts(folder, values)["test"])
        dataset = data.open(progress)
    except MienError:
        if not config.keys() & {"shipped", SAVED} or root or os.environ.get("MIEN_DATA"):
            raise
        size = f"{data.size} {'samples' if config['config']['shape'][1] == 1 else 'px'}"
        package = "package" if folder.parent == pretrained.FOLDER else "model"
        raise MienError(
            f"expected the data of {folder.name}, {data.name} at {size}, got none, because they do not come "
            f"with the {package}: pass --root FOLDER of its files"
        ) from None
    splits = dataset.split(data.split_seed)
    index = data.training_index(splits)
    expected = _counts(folder, values)
    counts = {"train": len(index), "valid": len(splits.valid), "test": len(splits.test)}
    held_out = dataset.digest(splits.test)
    if expected != counts or values.get("held_out", held_out) != held_out:  # old runs have the counts only
        raise MienError(
            f"expected the data that {folder} was trained on ({expected['train']:,} pictures, "
            f"{expected['test']:,} held out), got other pictures ({counts['train']:,}, {counts['test']:,} held out) "
            f"in {data.root or data.name}: the model may have been trained on pictures that are held out there; "
            "pass --root of the same data, or train anew"
        )
    if folder.parent == pretrained.FOLDER:
        folder = _working_copy(folder)
    other = Path(results) if results else None if os.access(folder, os.W_OK) else _beside(folder)
    return OpenRun(folder, model, data, dataset, splits, index, other)


def _counts(folder: Path, values: Mapping[str, Any]) -> dict[str, int]:
    """Return the numbers of training, validation and test pictures that a run recorded."""
    counts: dict[str, int] = values.get("counts", {})
    if not isinstance(counts, dict) or set(counts) != {"train", "valid", "test"}:
        raise MienError(
            f"expected the counts of train, valid and test pictures in {folder / CONFIG}, got {counts!r:.80}: the file "
            "is damaged; copy it again"
        )
    return counts


def _check_total(folder: Path, data: Data, test: int) -> None:
    """Refuse a damaged count of drawn pictures before they are drawn, which could take days.

    Raises:
        MienError: there are many more pictures than a run with ``test`` held-out ones has.
    """
    if data.roots or data.name not in names() or len(data.source()) <= 20 * (test + 1):
        return
    raise MienError(
        f"expected the data that {folder} was trained on ({test:,} pictures held out), got {data.name} of "
        f"{len(data.source()):,} pictures: {CONFIG} is damaged; copy it again"
    )


def _working_copy(folder: Path) -> Path:
    """Return a copy of a pretrained model's folder in the cache: results are stored in it, and never in the package."""
    copy = cache_dir() / "pretrained" / sha256(folder / WEIGHTS)[:16] / folder.name
    for path in folder.iterdir():
        if not (copy / path.name).exists() or not filecmp.cmp(path, copy / path.name, shallow=False):
            write_atomically(copy / path.name, functools.partial(shutil.copyfile, path))
    return copy


def _beside(folder: Path, weights: str | None = None) -> Path:
    """Return the folder in the cache for what belongs into a run folder that cannot be written.

    Args:
        weights: the hash of the run's weights, if the caller has it.
    """
    return cache_dir() / "runs" / (weights or sha256(folder / WEIGHTS))[:16] / folder.name


def _keep(folder: Path, weights: str, what: str, write: Callable[[Path], None]) -> bool:
    """Write into a run folder, or else into the folder in the cache; warn and return False if neither is possible."""
    beside, reason = _beside(folder, weights), ""
    for place in (folder, beside):
        try:
            write(place)
            return True
        except (OSError, MienError) as error:
            # the cause alone: the rest of the error is advice to repeat the command
            cause = error.__cause__ or error
            reason = reason or getattr(cause, "strerror", None) or str(cause)
    warnings.warn(
        f"the {what} of {folder} were not kept, so the next command computes them again: neither the run folder nor "
        f"{beside.parent.parent} in the cache can be written ({reason})",
        MienWarning,
        stacklevel=3,
    )
    return False


def _keep_vectors(folder: Path, vectors: AttributeVectors, direction: str) -> bool:
    weights = sha256(folder / WEIGHTS)
    stamp = {
        "weights_sha256": weights,
        "names": vectors.names,
        "positives": vectors.positives,
        "negatives": vectors.negatives,
    }

    def write(place: Path) -> None:
        path, stamp_path = vector_files(place, direction)
        vectors.save(path)
        write_json(stamp_path, {**stamp, DIGEST: sha256(path)})

    return _keep(folder, weights, "attribute vectors", write)


def prepare_edits(
    run: str | Path, dataset: Dataset, index: NDArray[np.int64], device: str = "cpu", progress: Progress = None
) -> bool:
    """Compute the attribute vectors of a finished run, so that a copy of its folder edits without the data.

    Args:
        run: the run folder.
        dataset: the data of the run.
        index: positions (n,) of the pictures that trained the model.
        device: where the model encodes the pictures.
        progress: called with (done, total) pictures.

    Returns:
        Whether vectors were computed: not for a model that edits by itself or does not encode and decode, not for data
        without attributes, and not if the run has its vectors.
    """
    has = models.abilities(read_config(run)["model"])
    if "Edits" in has or not {"Encodes", "Decodes"} <= set(has) or not dataset.attributes:
        return False
    if cached_vectors(run) is not None:
        return False
    _keep_vectors(Path(run), attribute_vectors(load(run, device), dataset, index, progress=progress), MEAN)
    return True


def check_direction(model: object, direction: str) -> None:
    """Check that a model can be edited along a direction.

    Raises:
        UnknownName: there is no such direction.
        MienError: a direction other than the default for a model that edits by itself.
    """
    step_of(direction)
    if direction != MEAN and can(model, Edits):
        raise MienError(
            f"expected no direction of {type(model).__name__}, which edits by itself, got {direction}: leave it out"
        )


def cached_vectors(run: str | Path, direction: str = MEAN) -> AttributeVectors | None:
    """Return the stored attribute vectors of a run if they belong to its present weights, else None; needs no data.

    Damaged vectors are ignored, because they can be computed again.
    """
    for place, stamp in stamps(resolve(run), direction):
        path = vector_files(place, direction)[0]
        if path.is_file() and (vectors := _read_vectors(path, stamp.get(DIGEST))) is not None:
            return vectors
    return None


def _read_vectors(path: Path, digest: str | None) -> AttributeVectors | None:
    """Return stored attribute vectors; None if the file is damaged or is not the one of the digest.

    Args:
        path: the file.
        digest: SHA-256 of the file; None in stamps of older versions.
    """
    try:
        if digest is not None and sha256(path) != digest:
            return None
        one = AttributeVectors.load(path)
    except Exception:  # the content of the file may have any type
        return None
    count = len(one.names)
    whole = one.vectors.ndim == 2 and one.vectors.isfinite().all() and all(isinstance(n, str) for n in one.names)
    numbers = (*one.positives, *one.negatives)
    whole = whole and len(one.positives) == len(one.negatives) == len(one.vectors) == count
    # a copy: the tensor is mapped from the file, which another process may replace
    copy = dataclasses.replace(one, vectors=one.vectors.clone())
    return copy if whole and all(type(number) is int for number in numbers) else None


def cached_amounts(run: str | Path, direction: str = MEAN) -> dict[str, float]:
    """Return the amount that works best for each attribute, as ``mien evaluate`` found it; empty where it did not.

    Only attributes with such an amount are in it, and only amounts that belong to the present weights of the run.
    """
    for _, stamp in stamps(resolve(run), direction):
        amounts = stamp.get(AMOUNTS)
        of = amounts.get("of") if isinstance(amounts, dict) else None
        if isinstance(of, dict):
            return {str(name): float(one) for name, one in of.items() if type(one) in (int, float) and abs(one) < 1e6}
    return {}


def stamps(folder: Path, direction: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the folders with results for the present weights of a run, the newest first, and their stamps."""
    if not (folder / WEIGHTS).exists():
        return
    weights = sha256(folder / WEIGHTS)
    pairs = [(place, _stamp(place, direction, weights)) for place in (folder, _beside(folder, weights))]
    present = [(place, stamp) for place, stamp in pairs if stamp is not None]
    yield from sorted(present, key=lambda one: -vector_files(one[0], direction)[1].stat().st_mtime_ns)


def vector_files(folder: Path, direction: str) -> tuple[Path, Path]:
    """Return the files of the attribute vectors of a direction, and of their stamp."""
    if direction == MEAN:
        return folder / VECTORS, folder / STAMP
    name = f"{Path(VECTORS).stem}-{direction}"
    return folder / f"{name}.safetensors", folder / f"{name}.json"


def _stamp(place: Path, direction: str, weights: str) -> dict[str, Any] | None:
    """Return the stamp of attribute vectors; None if there is none, or one that belongs to other weights.

    Args:
        place: the run folder, or its folder in the cache.
        direction: of the vectors.
        weights: the hash of the run's weights.
    """
    stamp = read_json(vector_files(place, direction)[1])
    return stamp if stamp.get("weights_sha256") == weights else None
