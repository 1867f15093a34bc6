"""Functions that use models. They depend on abilities and never on a particular model.

The most common ones are ``reconstruct``, ``interpolate``, ``edit``, ``attribute_vectors``, ``recognize`` and
``generate``. Each first checks the abilities of the model with :func:`mien.abilities.require`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mien.applications.arithmetic import AttributeVectors, attribute_vectors, edit
    from mien.applications.basics import encode_all, generate, recognize, reconstruct
    from mien.applications.interpolation import interpolate

_MODULES = {
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
    if name in _MODULES:
        return getattr(importlib.import_module(f"mien.applications.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'mien.applications' has no attribute '{name}'")
