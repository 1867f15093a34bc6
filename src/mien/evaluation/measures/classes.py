"""Class accuracy of the model, of a linear SVM on its latents, and of the judge on its reconstructions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mien.abilities import Encodes, Recognizes, can
from mien.evaluation.context import Context, autoencodes
from mien.evaluation.measure import Measure, Row, Skipped
from mien.evaluation.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from torch import Tensor

    from mien.run.opening import OpenRun

NAMED = 5  # absent classes in a row of a table
MOST = 20_000  # largest number of training pictures of the SVM


@dataclass(frozen=True, kw_only=True)
class ClassScores(Record):
    """Accuracy on n pictures, see :func:`mien.metrics.classes.class_accuracy`; older results have no ``absent``."""

    n: int
    accuracy: float
    sem: float
    balanced_accuracy: float | None = None
    majority_baseline: float | None = None
    per_class: dict[str, float]
    absent: tuple[str, ...] | None = None
    n_train: int | None = None


@dataclass(frozen=True)
class Accuracies(Record):
    """Class accuracies; ``agreement`` compares the judge's classes of pictures and of their reconstructions."""

    recognition: ClassScores | None = None
    agreement: ClassScores | None = None
    judge_on_real: ClassScores | None = None
    judge_on_reconstructions: ClassScores | None = None
    latent_svm: ClassScores | None = None


# the fields in the order of rows, and their labels; two spaces indent a row
LABELS = {
    "recognition": "class accuracy",
    "latent_svm": "class accuracy, linear SVM on latents",
    "agreement": "class of x and of its reconstruction agree",
    "judge_on_reconstructions": "class accuracy of the judge on reconstructions",
    "judge_on_real": "  on the pictures themselves",
}


class Classes(Measure[Accuracies]):
    """Classes, predicted by several classifiers."""

    Result = Accuracies
    judged = True
    order = 50

    def applies(self, run: OpenRun) -> bool:
        """Return whether the data set has classes and the model recognizes them or encodes."""
        if run.dataset.labels is None:
            return False
        return can(run.model, Encodes) or (isinstance(run.model, Recognizes) and bool(run.model.classes))

    def take(self, context: Context) -> Accuracies:
        """Return every accuracy that the model, the data and the judge allow."""
        import torch

        run, test, judge = context.run, context.test, context.judge
        model: Any = run.model
        labels, names = run.dataset.labels, tuple(run.dataset.classes)
        assert labels is not None, "applies() requires labels"
        if (labels[test] < 0).all():
            raise Skipped("expected held-out pictures with a known class, got none: use other data")
        scores: dict[str, ClassScores] = {}
        with torch.inference_mode():
            if isinstance(model, Recognizes) and model.classes:
                scores["recognition"] = _scores(_predicted(context, model.recognize), labels[test], names)
            if judge is not None and judge.classes and not judge.attributes and autoencodes(run):
                scores |= _judged(context, labels[test], names)
        if can(model, Encodes):
            scores |= _svm(context, labels, names)
        if not scores:
            raise Skipped("expected training pictures of two classes or more, got fewer: use other data")
        return Accuracies(**scores)

    def rows(self, result: Accuracies) -> list[Row]:
        """Return a row for each accuracy, then the majority baseline."""
        rows, majority = [], None
        for key, label in LABELS.items():
            scores: ClassScores | None = getattr(result, key)
            if scores is None:
                continue
            how = f"{scores.n:,} held-out pictures, {_classes(scores)}; ± standard error"
            value, spread = f"{scores.accuracy:.2%}", f"± {scores.sem:.2%}"
            rows.append(Row(label.strip(), value, how, "up", spread, label.startswith(" ")))
        for key in ("recognition", "judge_on_real", "judge_on_reconstructions", "latent_svm"):
            scores = getattr(result, key)
            if scores is not None and scores.majority_baseline is not None:
                majority = scores.majority_baseline
                break
        if majority is not None:
            rows.append(Row("of always the commonest class", f"{majority:.2%}", "held-out pictures", indented=True))
        return rows


def _classes(scores: ClassScores) -> str:
    """Return the number of classes, with the names of those without a picture."""
    text = "one class" if len(scores.per_class) == 1 else f"{len(scores.per_class)} classes"
    return text + (
        f", none of {', '.join(scores.absent[:NAMED])}{' …' * (len(scores.absent) > NAMED)}" if scores.absent else ""
    )


def _scores(predicted: np.ndarray, labels: np.ndarray, names: tuple[str, ...]) -> ClassScores:
    from mien.metrics.classes import class_accuracy

    return ClassScores.from_json(class_accuracy(predicted, labels, names))


def _predicted(context: Context, function: Callable[[Tensor], Tensor]) -> np.ndarray:
    """Return the class (n,) of the highest probability for each held-out picture, by ``function``."""
    import torch

    from mien.applications.basics import batches

    parts = [function(b.x).argmax(1).cpu() for b in batches(context.run.dataset, context.test, context.device)]
    classes: np.ndarray = torch.cat(parts).numpy()
    return classes


def _judged(context: Context, labels: np.ndarray, names: tuple[str, ...]) -> dict[str, ClassScores]:
    """Return the scores of the judge on pictures and on their reconstructions."""
    from dataclasses import replace

    judge = context.judge
    context.note("classes by the judge", 0, 2)
    real = _predicted(context, judge.recognize)
    fake = _predicted(context, lambda x: judge.recognize(context.plain(x)))
    context.note("classes by the judge", 2, 2)
    return {
        # the truth is the judge's own prediction, so baselines have no meaning
        "agreement": replace(_scores(fake, real, names), balanced_accuracy=None, majority_baseline=None),
        "judge_on_real": _scores(real, labels, names),
        "judge_on_reconstructions": _scores(fake, labels, names),
    }


def _svm(context: Context, labels: np.ndarray, names: tuple[str, ...]) -> dict[str, ClassScores]:
    """Return the accuracy of a linear SVM on latents; empty if all training pictures have the same class."""
    from dataclasses import replace

    import numpy as np

    from mien.applications.basics import encode_all
    from mien.metrics.classes import latent_classes

    run, note = context.run, context.note
    train = np.sort(np.random.default_rng(0).permutation(run.index[labels[run.index] >= 0])[:MOST])
    if len(np.unique(labels[train])) < 2:
        return {}
    z_train = encode_all(run.model, run.dataset, train, lambda d, t: note("encoding", d, t)).numpy()
    z_test = encode_all(run.model, run.dataset, context.test).numpy()
    predicted = latent_classes(z_train, labels[train], z_test)
    return {"latent_svm": replace(_scores(predicted, labels[context.test], names), n_train=len(train))}
