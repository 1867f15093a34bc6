"""The measures. Each file holds one measure and has its name.

There is no list: the names are the files of this folder. The import of a measure does not import torch.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from mien.errors import UnknownName
from mien.evaluation.measure import Measure


def names() -> tuple[str, ...]:
    """Return the names of all measures, in the order of tables.

    >>> names()[:2]
    ('reconstruction', 'feature_fid')
    """
    files = {file.stem for folder in __path__ for file in Path(folder).glob("*.py")} - {"__init__"}
    return tuple(sorted(files, key=lambda name: (_find(name).order, name)))


def get(name: str) -> Measure[Any]:
    """Return the measure ``name``.

    Raises:
        UnknownName: a measure that does not exist; the message suggests the nearest names.
    """
    if name not in names():
        raise UnknownName("metric", name, names())
    return _find(name)


def _find(name: str) -> Measure[Any]:
    module = importlib.import_module(f"{__name__}.{name}")
    classes = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Measure) and value.__module__ == module.__name__
    ]
    assert len(classes) == 1, f"mien/evaluation/measures/{name}.py must hold exactly one measure, got {classes}"
    measure: Measure[Any] = classes[0]()
    return measure
