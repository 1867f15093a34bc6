"""mien: encode, generate, edit and recognize images with VAE-GAN hybrids.

>>> import mien
>>> "vae_wgan" in mien.models.names()
True

``mien.train(...)`` trains a model and writes a run folder. ``mien.load(run)`` returns the model of a run folder,
or the pretrained model of a name in ``mien.pretrained.names()``. ``mien.from_pretrained("owner/name")`` loads a model
of the Hugging Face Hub, and ``mien.save_pretrained`` and ``mien.push_to_hub`` give a model to others.
:mod:`mien.applications` holds the functions that use models.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mien import abilities, applications, data, errors, figures, metrics, models, pretrained
    from mien.data.reading import read_pictures
    from mien.errors import MienError
    from mien.experiment import train
    from mien.hub import from_pretrained, push_to_hub, save_pretrained
    from mien.run.data import Data
    from mien.run.editors import load_editor
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
    "from_pretrained",
    "load",
    "load_editor",
    "metrics",
    "models",
    "open_run",
    "pretrained",
    "push_to_hub",
    "read_pictures",
    "save_pretrained",
    "train",
]

_MODULES = {
    "from_pretrained": "mien.hub",
    "load": "mien.run.weights",
    "load_editor": "mien.run.editors",
    "open_run": "mien.run.opening",
    "push_to_hub": "mien.hub",
    "read_pictures": "mien.data.reading",
    "save_pretrained": "mien.hub",
    "train": "mien.experiment",
    "Data": "mien.run.data",
    "MienError": "mien.errors",
}


def __getattr__(name: str) -> Any:
    # importing torch takes seconds, so each part is imported on first use
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    if name in __all__:
        return importlib.import_module(f"mien.{name}")
    raise AttributeError(f"module 'mien' has no attribute '{name}'")
