"""Mirrored training pictures: a setting of the training, for every model."""

import json

import numpy as np
import pytest
import torch

from conftest import tiny
from mien.errors import MienError
from mien.experiment import train
from mien.run.data import Data
from mien.training.loop import Settings, Trainer, make_fabric

AVATARS = Data("avatars", size=16, options={"count": 240})
SMALL = {"width": 4, "latent": 8}


def trainer(avatars, folder, **settings):
    chosen = Settings(steps=4, batch=16, device="cpu", **settings)
    index = np.arange(64)
    return Trainer(tiny("vae"), avatars, index, index, folder, chosen, None, make_fabric(chosen))


def test_each_picture_is_mirrored_or_not_and_drawn_anew_each_step(avatars, tmp_path):
    plain, flipped = trainer(avatars, tmp_path / "a"), trainer(avatars, tmp_path / "b", flip=0.5)
    which = []
    for step in (0, 4):  # the same 16 pictures of 64, an epoch apart: the order is another one
        plain.step = flipped.step = step
        x, y = plain._batch().x, flipped._batch().x
        same, mirrored = (x == y).flatten(1).all(1), (x.flip(3) == y).flatten(1).all(1)
        assert (same | mirrored).all()
        which.append(mirrored)
        assert 0 < mirrored.sum() < 16
    assert not torch.equal(*which)
    again = trainer(avatars, tmp_path / "c", flip=0.5)
    again.step = 4
    torch.testing.assert_close(again._batch().x, y)  # fixed by seed and step, so a resumed run draws the same
    always = trainer(avatars, tmp_path / "d", flip=1.0)
    plain.step = 0
    torch.testing.assert_close(always._batch().x, plain._batch().x.flip(3))


def test_flip_is_part_of_a_run_and_checked(tmp_path):
    folder, _ = train("vae", AVATARS, tmp_path / "run", SMALL, steps=2, batch=8, flip=0.5)
    config = json.loads((folder / "config.json").read_text())
    assert config["training"]["flip"] == 0.5
    with pytest.raises(MienError, match=r"its flip is 0\.5, the one asked for is 0.0"):
        train("vae", AVATARS, folder, SMALL, steps=4, batch=8)
    # a run of before there was the setting was trained without: it resumes
    del config["training"]["flip"]
    (folder / "config.json").write_text(json.dumps(config))
    train("vae", AVATARS, folder, SMALL, steps=3, batch=8)
    with pytest.raises(MienError, match=r"expected flip in \[0, 1\], got 2"):
        Settings(steps=1, flip=2.0)
