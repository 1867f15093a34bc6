"""Plain baselines trained on the same labels: logistic regression, nearest neighbors, and the commonest class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mien.abilities import Recognizes
from mien.evaluation.context import Context
from mien.evaluation.measure import Better, Cells, Measure, Row, Skipped
from mien.evaluation.record import Record
from mien.run.folder import read_config

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from mien.run.opening import OpenRun

MOST = 5000  # largest number of training pictures
MOST_VALID = 1000  # largest number of validation pictures


MOST_VALUES = 1000  # of a picture


@dataclass(frozen=True, kw_only=True)
class Score(Record):
    """The accuracy of a classifier, its standard error, its balanced accuracy, and the C or k that was chosen."""

    accuracy: float
    sem: float
    balanced_accuracy: float | None = None
    chosen: float | None = None
    each: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class BaselineScores(Record):
    """Scores on n held-out pictures: of the model, and of baselines that learned n_train of its n_labels labels.

    ``kind`` is "class" or "attribute", ``view`` "pixels" or "spectrum".
    """

    n: int
    n_train: int
    n_labels: int
    kind: str
    view: str
    model: Score
    logistic_regression: Score
    neighbors: Score
    majority: Score


class Baselines(Measure[BaselineScores]):
    """The model beside plain classifiers that learned from the same labels."""

    Result = BaselineScores
    order = 55

    def applies(self, run: OpenRun) -> bool:
        """Return whether the model recognizes attributes or classes of the data set."""
        model = run.model
        if not isinstance(model, Recognizes):
            return False
        return bool(model.attributes) or (bool(model.classes) and run.dataset.labels is not None)

    def take(self, context: Context) -> BaselineScores:
        """Return the scores on the held-out pictures.

        Raises:
            Skipped: there are fewer than two training labels, or no validation labels.
        """
        import numpy as np
        import torch

        from mien.data.dataset import spread
        from mien.metrics import baselines

        run = context.run
        truth, classes = _truth(run), 0 if _names(run)[0] == "attribute" else len(_names(run)[1])
        labeled = _labeled(run, truth)
        train = np.sort(np.random.default_rng(0).permutation(labeled)[:MOST])
        valid, test = (index[_known(truth[index])] for index in (spread(run.splits.valid, MOST_VALID), context.test))
        if len(train) < 2 or not len(valid) or not len(test):
            raise Skipped(
                "expected labels of 2 training pictures, 1 validation picture and 1 held-out picture or more, got "
                f"{len(train)}, {len(valid)} and {len(test)}: use other data"
            )
        with torch.inference_mode():
            parts = [baselines.Part(_view(context, index), _targets(truth[index])) for index in (train, valid, test)]
        with torch.inference_mode(False):
            fitted, checked, scored = baselines.scaled(*[baselines.Part(p.x.clone(), p.y.clone()) for p in parts])
            context.note("baselines", 0, 2)
            linear, c = baselines.logistic(fitted, checked, classes)
            context.note("baselines", 1, 2)
            nearest, k = baselines.neighbors(fitted, checked, classes)
            predicted_by: dict[str, tuple[NDArray[np.int64], float | None]] = {
                "logistic_regression": (baselines.predictions(linear(scored.x), classes), c),
                "neighbors": (baselines.predictions(nearest(scored.x), classes), float(k)),
            }
        context.note("baselines", 2, 2)
        predicted_by["majority"] = _majority(truth[train], len(test), classes), None
        predicted_by["model"] = _by_model(context, test, classes), None
        kind, names = _names(run)
        return BaselineScores(
            n=len(test),
            n_train=len(train),
            n_labels=len(labeled),
            kind=kind,
            view="spectrum" if run.dataset.shape[1] == 1 else "pixels",
            **{key: _score(predicted, truth[test], names, chosen) for key, (predicted, chosen) in predicted_by.items()},
        )

    def rows(self, result: BaselineScores) -> list[Row]:
        """Return a row for the model, then one for each baseline."""
        what = "signals" if result.view == "spectrum" else "pictures"
        labels = f"{result.n_train:,} labeled {what}"
        if result.n_train < result.n_labels:
            labels += f" of the {result.n_labels:,} of the run"
        held_out = f"{result.n:,} held-out {what}"
        linear, nearest = result.logistic_regression, result.neighbors
        rows = [
            ("model", f"{result.kind} accuracy of the model", held_out),
            ("logistic_regression", f"of logistic regression on {result.view}", f"{labels}, C = {linear.chosen:g}"),
            ("neighbors", f"of nearest neighbors on {result.view}", f"{labels}, k = {nearest.chosen:g}"),
            ("majority", f"of always the commonest {result.kind}", labels),
        ]
        made = []
        for key, label, how in rows:
            score: Score = getattr(result, key)
            better: Better | None = "up" if key == "model" else None
            made.append(Row(label, f"{score.accuracy:.2%}", how, better, f"± {score.sem:.2%}", key != "model"))
        return made

    def cells(self, result: BaselineScores) -> Cells:
        """Return the accuracy of logistic regression for each attribute; classes are in no table of attributes."""
        if result.kind != "attribute":
            return {}
        return {name: {"logistic": f"{value:.1%}"} for name, value in result.logistic_regression.each.items()}


def _names(run: OpenRun) -> tuple[str, tuple[str, ...]]:
    """Return "attribute" or "class", and the names that the model recognizes."""
    model: Any = run.model
    return ("attribute", tuple(model.attributes)) if model.attributes else ("class", tuple(run.dataset.classes))


def _truth(run: OpenRun) -> NDArray[np.int64]:
    """Return the classes (N,), -1 for unknown, or the attributes (N, A), 0 for unknown, of all pictures."""
    import numpy as np

    kind, names = _names(run)
    if kind == "class":
        labels = run.dataset.labels
        assert labels is not None, "applies() requires labels"
        return np.asarray(labels)
    columns = [run.dataset.attributes.index(name) for name in names]
    return np.asarray(run.dataset.attribute_table)[:, columns].astype(np.int64)


def _known(truth: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return where a label is known: the class, or one attribute at least."""
    known: NDArray[np.bool_] = truth >= 0 if truth.ndim == 1 else (truth != 0).any(1)
    return known


def _labeled(run: OpenRun, truth: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the positions (n,) of the training pictures whose labels the training of the run used."""
    index = run.index
    if truth.ndim == 1:
        seed = int(read_config(run.folder)["training"].get("seed", 0))
        kept = run.model.training_labels(run.dataset, index, seed)
        if kept is not None:
            return index[kept[index] >= 0]
    return index[_known(truth[index])]


def _targets(truth: NDArray[np.int64]) -> Tensor:
    import torch

    return torch.from_numpy(truth) if truth.ndim == 1 else torch.from_numpy(truth).float()


def _view(context: Context, index: NDArray[np.int64]) -> Tensor:
    """Return what the baselines see of the pictures ``index``, (n, D), on the CPU."""
    import torch

    from mien.applications.basics import batches

    cpu = torch.device("cpu")
    return torch.cat([values_of(batch.x) for batch in batches(context.run.dataset, index, cpu)])


def _majority(truth: NDArray[np.int64], n: int, classes: int) -> NDArray[np.int64]:
    """Return n times the commonest class, or the commoner value of each attribute."""
    import numpy as np

    if classes:
        return np.full(n, np.bincount(truth, minlength=classes).argmax())
    return np.tile(np.where(truth.sum(0) >= 0, 1, -1), (n, 1))


def _by_model(context: Context, index: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Return the model's predictions, as :func:`mien.metrics.baselines.predictions` does."""
    import torch

    from mien.applications.basics import batches
    from mien.metrics.baselines import predictions

    model: Any = context.model
    with torch.inference_mode():
        parts = [model.recognize(batch.x) for batch in batches(context.run.dataset, index, context.device)]
    probabilities = torch.cat(parts)
    return predictions(probabilities if classes else probabilities - 0.5, classes)


def _score(
    predicted: NDArray[np.int64], truth: NDArray[np.int64], names: tuple[str, ...], chosen: float | None
) -> Score:
    """Return the score of predictions for classes (n,) or attributes (n, A)."""
    import numpy as np

    from mien.metrics.attributes import attribute_scores
    from mien.metrics.classes import class_accuracy

    if truth.ndim == 1:
        scores = class_accuracy(predicted, truth, names)
        mean, each = scores["accuracy"], scores["per_class"]
    else:
        scores = attribute_scores(predicted, truth, np.ones(truth.shape[1]), names)
        mean = scores["mean_accuracy"]
        each = {name: row["accuracy"] for name, row in scores["per_attribute"].items()}
    balanced = scores["balanced_accuracy"]
    return Score(accuracy=mean, sem=scores["sem"], balanced_accuracy=balanced, chosen=chosen, each=each)


def values_of(x: Tensor) -> Tensor:
    """Return the values (B, D) that the baselines see of pictures (B, C, H, W) or signals (B, C, 1, L).

    >>> import torch
    >>> values_of(torch.zeros(2, 3, 64, 64)).shape, values_of(torch.zeros(2, 1, 1, 64)).shape
    (torch.Size([2, 768]), torch.Size([2, 32]))
    """
    from torch.nn import functional as F

    from mien.networks.spectral import Spectrum

    channels, height, width = x.shape[1:]
    if height == 1:
        spectra: Tensor = Spectrum((channels, height, width)).to(x.device)(x)
        return spectra.flatten(1)
    factor = 1
    while channels * -(-height // factor) * -(-width // factor) > MOST_VALUES:
        factor += 1
    return F.avg_pool2d(x, factor, ceil_mode=True, count_include_pad=False).flatten(1)
