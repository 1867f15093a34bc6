"""The runs that a studio serves: their models, their editors, and what their evaluations say of edits."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import data, pretrained
from mien.abilities import Decodes, Edits, Encodes, can
from mien.applications.arithmetic import Editor
from mien.data.dataset import spread
from mien.data.pictures import from_float
from mien.errors import MienError
from mien.evaluation.store import RESULT
from mien.photos import Template, template_of
from mien.run.data import MEMORY
from mien.run.folder import WEIGHTS, read_config, read_json, resolve, weights_digest
from mien.run.opening import OpenRun, cached_vectors, open_run
from mien.run.weights import load

LOG = "log.jsonl"


@dataclass(frozen=True)
class Served:
    """A run that a studio serves.

    Args:
        name: a name that no other run of the studio has.
        word: the run on a command line: its path, or the name of a pretrained model.
        folder: of the run.
        model: None while a training has not saved weights yet.
        template: the place of faces in its pictures; None if pictures are taken as they are.
        editor: None if attributes of pictures cannot be changed.
        root: the folders of its data if they are not where the run recorded them; empty otherwise.
        has_data: whether the run may have data on this machine; a pretrained model comes without.
    """

    name: str
    word: str
    folder: Path
    model: Any
    template: Template | None
    editor: Editor | None
    root: tuple[Path, ...] = ()
    has_data: bool = True
    _opened: dict[str, OpenRun] = field(default_factory=dict, repr=False, compare=False)

    @property
    def size(self) -> int:
        """Side of the model's pictures in pixels."""
        return int(self.model.config["shape"][1])

    def can(self, *needed: type) -> bool:
        """Return whether the run has a model with the abilities ``needed``, for pictures and not for signals."""
        return self.model is not None and can(self.model, *needed) and self.size > 1

    def opened(self, progress: Callable[[int, int], None] | None = None) -> OpenRun:
        """Return the run with its data; they are opened once.

        Args:
            progress: called with (done, total) while data are prepared.

        Raises:
            MienError: the data cannot be opened, or are not those of the run.
        """
        if "run" not in self._opened:
            self._opened["run"] = open_run(self.folder, root=self.root or None, progress=progress)
        return self._opened["run"]

    def held_out(self, count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Return up to ``count`` held-out pictures (n, H, W, 3) and their positions (n,) in the data set.

        Raises:
            MienError: as :meth:`opened`.
        """
        opened = self.opened()
        index = spread(opened.splits.test, count)
        pictures = from_float(opened.dataset.batch(index).x.numpy())
        return np.repeat(pictures, 3, -1) if pictures.shape[-1] == 1 else pictures, index


def serve(
    words: Sequence[str | Path],
    device: str = "cpu",
    root: Sequence[Path] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Served]:
    """Return the runs for paths or names of pretrained models.

    Args:
        words: paths or names.
        device: cpu or cuda.
        root: folders of data, for the runs whose data are not where the run recorded them. Their data are opened now,
            so that a wrong folder is noticed before the page is served. Runs of other data do without them.
        progress: called with (done, total) while data are prepared.

    Raises:
        MienError: one is no run, or has neither weights nor a log; no run reads files for ``root``, or it holds the
            data of none of the runs that need them.
    """
    runs: list[Served] = []
    for word in words:
        runs.append(_served(str(word), device, [run.name for run in runs], tuple(root or ())))
    if root and not any(_reads_files(read_config(run.folder)["data"]) for run in runs):
        raise MienError("expected a run whose data are files for --root, got none: leave out --root")
    failures = []
    for number, run in enumerate(runs):
        if run.root and run.can():
            try:
                run.opened(progress)
            except MienError as error:
                failures.append(error)
                runs[number] = replace(run, root=(), has_data=run.folder.parent != pretrained.FOLDER)
    if failures and not any(run.root for run in runs):
        raise failures[0]
    return runs


def _served(word: str, device: str, taken: Sequence[str], root: tuple[Path, ...]) -> Served:
    folder = resolve(word)
    config = read_config(folder)
    name, number = folder.name, 1
    while name in taken:
        number += 1
        name = f"{folder.name} {number}"
    shipped = folder.parent == pretrained.FOLDER
    if shipped:
        word = folder.name
    if not (folder / WEIGHTS).exists() and (folder / LOG).exists():
        return Served(name, word, folder, None, None, None)
    model = load(folder, device)
    shape = tuple(model.config["shape"])
    template = template_of(config["data"], shape) if shape[0] == 3 else None
    root = root if _needs_root(config["data"]) else ()
    # without its data: a pretrained model, or one that mien.save_pretrained wrote
    has_data = bool(config["data"]) and (not shipped or bool(root) or _in_environment(config["data"]))
    return Served(name, word, folder, model, template, _editor(folder, model), root, has_data)


def _reads_files(values: Mapping[str, Any]) -> bool:
    """Return whether the data set of a run, the entry ``data`` of its config.json, reads files of a folder."""
    name = values.get("name")
    if not values or values.get(MEMORY) or name not in data.names():
        return bool(values.get("root"))
    return "root" in inspect.signature(data.get(name).__init__).parameters


def _needs_root(values: Mapping[str, Any]) -> bool:
    """Return whether the data of a run are files that are not where the run recorded them."""
    places = values.get("root") or []
    places = [places] if isinstance(places, str) else places
    return _reads_files(values) and not (places and all(Path(one).expanduser().exists() for one in places))


def _in_environment(values: Mapping[str, Any]) -> bool:
    """Return whether ``$MIEN_DATA`` has a folder of the data set of a run."""
    place = os.environ.get("MIEN_DATA")
    return bool(place) and (Path(str(place)) / str(values.get("name"))).is_dir()


def _editor(folder: Path, model: Any) -> Editor | None:
    """Return the editor of a run without opening its data; None if there is none."""
    if isinstance(model, Edits):
        return Editor(model) if model.editable else None
    if not can(model, Encodes, Decodes):
        return None
    vectors = cached_vectors(folder)
    return None if vectors is None else Editor(model, vectors)


def evaluation(folder: Path) -> dict[str, Any]:
    """Return the stored evaluation of the present weights of a run as plain values; of a shipped one, its card's."""
    if not (folder / WEIGHTS).exists():
        return {}
    digest = weights_digest(folder)
    for values in (read_json(folder / RESULT), read_json(folder / pretrained.CARD).get("evaluation", {})):
        if isinstance(values, dict) and values.get("weights_sha256") == digest:
            return values
    return {}


def _edits(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the stored scores of a run's edits by attribute."""
    edits = evaluation(folder).get("edits") or {}
    per = edits.get("per_attribute") if isinstance(edits, dict) else None
    return {name: one for name, one in per.items() if isinstance(one, dict)} if isinstance(per, dict) else {}


def gains(folder: Path) -> dict[str, float]:
    """Return the measured gain of the edits of each attribute: 1 is as often recognized as in real pictures."""
    scores = {name: one.get("gain") for name, one in _edits(folder).items()}
    return {name: float(one) for name, one in scores.items() if isinstance(one, int | float)}


def order(names: Sequence[str], measured: dict[str, float]) -> list[str]:
    """Return attributes with the best measured edits first; those without a measure keep their order at the end.

    >>> order(["a", "b", "c"], {"c": 0.9, "b": 0.2})
    ['c', 'b', 'a']
    """
    return sorted(names, key=lambda name: -measured.get(name, float("-inf")))


def thresholds(run: Served, runs: Sequence[Served]) -> dict[str, float]:
    """Return the thresholds of a classifier that an evaluation chose on validation pictures; empty if none is stored.

    A classifier's thresholds are in the evaluations of the runs that it judged: those served, and the pretrained ones.

    Args:
        run: a classifier.
        runs: all runs of the studio.
    """
    digest = weights_digest(run.folder)
    for folder in [*(one.folder for one in runs), *(pretrained.folder(name) for name in pretrained.names())]:
        judge = evaluation(folder).get("judge") or {}
        if judge.get("weights_sha256") == digest:
            values = {name: one.get("threshold") for name, one in _edits(folder).items()}
            return {name: float(one) for name, one in values.items() if isinstance(one, int | float)}
    return {}
