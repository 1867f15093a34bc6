"""What is done with models, as functions of abilities; no file here knows a model.

``reconstruct``, ``interpolate``, ``edit``, ``attribute_vectors``, ``recognize`` and ``generate`` are the
everyday ones; each opens with :func:`mien.abilities.require`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mien.applications.arithmetic import AttributeVectors, attribute_vectors, edit
    from mien.applications.basics import encode_all, generate, recognize, reconstruct
    from mien.applications.interpolation import interpolate

_WHERE = {
    "AttributeVectors": "arithmetic",
    "attribute_vectors": "arithmetic",
    "edit": "arithmetic",
    "encode_all": "basics",
    "generate": "basics",
    "recognize": "basics",
    "reconstruct": "basics",
    "interpolate": "interpolation",
}
__all__ = [
    "AttributeVectors",
    "attribute_vectors",
    "edit",
    "encode_all",
    "generate",
    "interpolate",
    "recognize",
    "reconstruct",
]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(f"mien.applications.{_WHERE[name]}"), name)
    raise AttributeError(f"module 'mien.applications' has no attribute '{name}'")
