"""The part of a run's page about classes: the confusion matrix, and the accuracy of each class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from mien import figures
from mien.abilities import Recognizes
from mien.applications.basics import batches, device_of
from mien.data.dataset import spread
from mien.figures import Captioned, Section

if TYPE_CHECKING:
    from mien.run.opening import OpenRun

MOST = 100  # classes of a drawn matrix


def class_sections(run: OpenRun, count: int) -> list[Section]:
    """Return the section about the classes that a model predicts; empty for a model without classes.

    Args:
        run: the run; count: number of held-out pictures.
    """
    model: Any = run.model
    if not isinstance(model, Recognizes) or not model.classes or run.dataset.labels is None:
        return []
    counts = confusion(run, count)
    names = list(model.classes)
    if not counts.sum():
        return []
    totals = counts.sum(1)
    rows = [
        {
            "class": name,
            "accuracy / %": 100 * counts[i, i] / totals[i] if totals[i] else None,
            "right": int(counts[i, i]),
            "of": int(totals[i]),
            "most frequent error": _error(counts[i], i, names),
        }
        for i, name in enumerate(names)
    ]
    body: list[Any] = []
    if len(names) <= MOST:
        body.append(Captioned(figures.confusion_matrix(counts, names), "Rows are classes, columns are predictions."))
        table = [{"class": name, **dict(zip(names, map(int, counts[i]), strict=True))} for i, name in enumerate(names)]
        body.append(Captioned(figures.metric_table(table), "The same in numbers of pictures."))
    body.append(Captioned(figures.metric_table(rows), "The accuracy of each class."))
    return [Section("Classes", f"The model's classes of {int(counts.sum()):,} held-out pictures.", body)]


def confusion(run: OpenRun, count: int) -> NDArray[np.int64]:
    """Return the confusion matrix (K, K) on ``count`` held-out pictures: rows are classes, columns are predictions.

    Pictures without a class are left out.
    """
    model, labels = run.model, run.dataset.labels
    assert isinstance(model, Recognizes)
    assert labels is not None
    test = spread(run.splits.test, count)
    test = test[labels[test] >= 0]
    counts = np.zeros((len(model.classes), len(model.classes)), np.int64)
    with torch.inference_mode():
        parts = [
            model.recognize(batch.x).argmax(1).cpu().numpy() for batch in batches(run.dataset, test, device_of(model))
        ]
    if parts:
        np.add.at(counts, (labels[test], np.concatenate(parts)), 1)
    return counts


def _error(row: NDArray[np.int64], i: int, names: list[str]) -> str:
    """Return the class that pictures of class i are most often taken for, with its share."""
    others = row.copy()
    others[i] = 0
    j = int(others.argmax())
    return f"{names[j]}, {others[j] / row.sum():.1%}" if others[j] else "none"
