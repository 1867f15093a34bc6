"""``mien evaluate``: the measures of a run on its held-out pictures; the results are stored in the run's folder.

A measure is one file in ``measures/``. The import of this package does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mien.evaluation.context import Note
    from mien.evaluation.evaluator import check_judge, choose, evaluate, open_judge
    from mien.evaluation.result import Evaluation

__all__ = ["Evaluation", "Note", "check_judge", "choose", "evaluate", "open_judge"]

_WHERE = {"Evaluation": "result", "Note": "context"}


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module(f"{__name__}.{_WHERE.get(name, 'evaluator')}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
