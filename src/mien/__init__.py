"""mien: encode, generate, edit and recognize images with VAE-GAN hybrids.

>>> import mien
>>> "vae_wgan" in mien.models.names()
True

``mien.load(run)`` returns the model of a run folder; ``mien.train(...)`` makes one; what is done with
models is in :mod:`mien.applications`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mien import abilities, applications, data, errors, figures, metrics, models
    from mien.data.reading import read_pictures
    from mien.errors import MienError
    from mien.experiment import train
    from mien.run.data import Data
    from mien.run.opening import open_run
    from mien.run.weights import load

__version__ = "0.1.0"
__all__ = [
    "Data",
    "MienError",
    "abilities",
    "applications",
    "data",
    "errors",
    "figures",
    "load",
    "metrics",
    "models",
    "open_run",
    "read_pictures",
    "train",
]

_WHERE = {
    "load": "mien.run.weights",
    "open_run": "mien.run.opening",
    "read_pictures": "mien.data.reading",
    "train": "mien.experiment",
    "Data": "mien.run.data",
    "MienError": "mien.errors",
}


def __getattr__(name: str) -> Any:
    # torch takes seconds to import, so nothing that needs it is imported before it is used
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    if name in __all__:
        return importlib.import_module(f"mien.{name}")
    raise AttributeError(f"module 'mien' has no attribute '{name}'")
