"""Shared fixtures: a small data set, small models of every kind, and a separate cache."""

from __future__ import annotations

import os
import sys
import typing
from pathlib import Path

import numpy as np
import pytest
import torch

from mien import models
from mien.data.batch import Batch
from mien.models.base import Model, arguments, build
from mien.networks.loss_network import LossNetwork

NAMES = ("Eyeglasses", "Smiling", "Wearing_Hat")
CLASSES = ("circle", "square", "cross", "star")
SHAPE = (3, 16, 16)
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> typing.Iterator[Path]:
    """Prepared data sets go to a folder of the test session."""
    cache = tmp_path_factory.mktemp("cache")
    before = os.environ.get("MIEN_CACHE")
    os.environ["MIEN_CACHE"] = str(cache)
    yield cache
    if before is None:
        del os.environ["MIEN_CACHE"]
    else:
        os.environ["MIEN_CACHE"] = before


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets; the test is skipped with its path if it is missing."""
    folder = Path(os.environ.get("MIEN_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}: set MIEN_DATA to their folder")
    return folder


def tiny_loss_network() -> LossNetwork:
    """A loss network with seeded random weights."""
    torch.manual_seed(7)
    return LossNetwork(source="random", sha256="0" * 64, channels=3, widths=[4, 4, 4, 4, 4], depths=[1] * 5)


def tiny(name: str, seed: int = 0, **settings: object) -> Model:
    """A small model of any kind: its arguments of size get small values."""
    small = {"shape": SHAPE, "width": 4, "latent": 8, "attributes": NAMES, "classes": CLASSES}
    small["widths"] = (4, 4, 4, 4, 4)
    known = arguments(name)
    config = {k: v for k, v in small.items() if k in known}
    for key, parameter in known.items():
        if parameter.annotation is LossNetwork:
            config[key] = tiny_loss_network()
    torch.manual_seed(seed)
    return build(name, {**config, **settings})


def batch_of(n: int = 8, seed: int = 0) -> Batch:
    """A batch of smooth random pictures with attributes."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, 3, 4, 4, generator=generator) * 2 - 1
    x = torch.nn.functional.interpolate(coarse, SHAPE[1:], mode="bilinear", align_corners=False)
    attributes = torch.where(torch.rand(n, len(NAMES), generator=generator) > 0.5, 1.0, -1.0)
    label = torch.randint(len(CLASSES), (n,), generator=generator)
    return Batch(x, attributes, label, torch.arange(n))


@pytest.fixture(scope="module")
def benchmarks() -> typing.Iterator[Path]:
    """The folder of the benchmarks. It is on the path, because their files import one another."""
    sys.path.insert(0, str(BENCHMARKS))
    yield BENCHMARKS
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="session")
def avatars():
    """240 avatars of 16 pixels, prepared."""
    from mien import data

    return data.load("avatars", size=16, count=240)


@pytest.fixture(params=models.names())
def model(request: pytest.FixtureRequest) -> Model:
    """Each model, in a small size."""
    return tiny(request.param)


def weights_of(model: Model) -> dict[str, np.ndarray]:
    """Copies of all weights as arrays."""
    return {k: v.detach().numpy().copy() for k, v in model.state_dict().items()}
