"""The runs that a studio serves: their models, their editors, and what their evaluations say of edits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien import pretrained
from mien.abilities import Decodes, Edits, Encodes, can
from mien.applications.arithmetic import Editor
from mien.evaluation.store import RESULT
from mien.photos import Template, template_of
from mien.run.folder import WEIGHTS, read_config, read_json, resolve, weights_digest
from mien.run.opening import cached_vectors
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
    """

    name: str
    word: str
    folder: Path
    model: Any
    template: Template | None
    editor: Editor | None

    @property
    def has_data(self) -> bool:
        """Whether the run may have data on this machine: a pretrained model comes without."""
        return self.folder.parent != pretrained.FOLDER

    @property
    def size(self) -> int:
        """Side of the model's pictures in pixels."""
        return int(self.model.config["shape"][1])

    def can(self, *needed: type) -> bool:
        """Return whether the run has a model with the abilities ``needed``, for pictures and not for signals."""
        return self.model is not None and can(self.model, *needed) and self.size > 1


def serve(words: Sequence[str | Path], device: str = "cpu") -> list[Served]:
    """Return the runs for paths or names of pretrained models.

    Raises:
        MienError: one is no run, or has neither weights nor a log.
    """
    runs: list[Served] = []
    for word in words:
        runs.append(_served(str(word), device, [run.name for run in runs]))
    return runs


def _served(word: str, device: str, taken: Sequence[str]) -> Served:
    folder = resolve(word)
    config = read_config(folder)
    name, number = folder.name, 1
    while name in taken:
        number += 1
        name = f"{folder.name} {number}"
    if folder.parent == pretrained.FOLDER:
        word = folder.name
    if not (folder / WEIGHTS).exists() and (folder / LOG).exists():
        return Served(name, word, folder, None, None, None)
    model = load(folder, device)
    shape = tuple(model.config["shape"])
    template = template_of(config["data"], shape) if shape[0] == 3 else None
    return Served(name, word, folder, model, template, _editor(folder, model))


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
