"""Sizes and messages of the sets; float32 sets; signals as pictures."""

import json

import numpy as np
import pytest
import torch

from mien import data
from mien.data.base import Source
from mien.data.dataset import Dataset
from mien.data.packing import prepare
from mien.data.pictures import BadPicture, waveforms
from mien.errors import MienError
from sources import ADDED


# -- sizes and messages --
def test_default_sizes():
    sizes = {name: data.default_size(name) for name in data.names()}
    expected = {
        "mnist": 28,
        "fashion_mnist": 28,
        "cifar10": 32,
        "omniglot": 28,
        "freyfaces": 28,
        "bearing": 1024,
        "imagenet32": 32,
        "lfw": 64,
        "silhouettes": 28,
    }
    assert {name: sizes[name] for name in ADDED} == expected
    assert {sizes[name] for name in ("avatars", "celeba", "folder")} == {64}
    assert data.options("bearing") == {"hop": 0}
    assert data.options("lfw") == {"crop": 250}
    assert data.options("silhouettes") == {"seed": 0}


@pytest.mark.parametrize("name", ADDED)
def test_each_says_where_its_files_belong(tmp_path, monkeypatch, name):
    monkeypatch.delenv("MIEN_DATA", raising=False)
    with pytest.raises(
        MienError, match=r": expected the folder of its files, got none: pass it, or set MIEN_DATA .*; put "
    ) as caught:
        data.source(name)
    assert "\n" not in str(caught.value)
    monkeypatch.setenv("MIEN_DATA", str(tmp_path))
    with pytest.raises(MienError, match=f"got no {tmp_path}.*put .* there"):
        data.source(name)
    with pytest.raises(MienError, match=f"got no {tmp_path / 'none'}: put "):
        data.source(name, tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MienError, match=r"empty.*put .* there"):
        data.source(name, tmp_path / "empty")


# -- floats --
class Floats(Source):
    """Signals that bytes could not hold."""

    name = "floats"
    dtype = "float32"

    def __len__(self):
        return 20

    def key(self, i):
        return str(i)

    def shape(self, size):
        return 1, size, 2

    def read(self, i, size):
        if i == 7:
            raise BadPicture("it is bad")
        return np.random.default_rng(i).uniform(-1, 1, (1, size, 2)).astype(np.float32)

    def fingerprint(self):
        return "floats"


def test_floats_are_kept_exactly(tmp_path):
    folder = prepare(Floats(), 9, tmp_path)
    opened = Dataset(folder)
    kept = [i for i in range(20) if i != 7]
    assert (opened.shape, opened.dtype, len(opened)) == ((2, 1, 9), "float32", 19)
    written = np.stack([Floats().read(i, 9) for i in kept])
    assert opened.pictures(np.arange(19)).dtype == np.float32
    assert (opened.pictures(np.arange(19)) == written).all()
    assert (np.load(folder / "images.npy") == written).all()
    batch = opened.batch(np.array([18, 3, 3]))
    assert batch.x.shape == (3, 2, 1, 9)
    assert batch.x.dtype == torch.float32
    assert (batch.x.permute(0, 2, 3, 1).numpy() == written[[18, 3, 3]]).all()
    assert opened.pictures(np.array([], np.int64)).shape == (0, 1, 9, 2)


def test_bytes_where_floats_are_due(tmp_path):
    class Wrong(Floats):
        def read(self, i, size):
            return np.zeros((1, size, 2), np.uint8)

    with pytest.raises(TypeError, match=r"expected float32 \(1, 9, 2\), got uint8"):
        prepare(Wrong(), 9, tmp_path)


def test_sets_prepared_before_floats_open(tmp_path):
    folder = prepare(Floats(), 9, tmp_path)
    index = json.loads((folder / "index.json").read_text())
    del index["dtype"]
    (folder / "index.json").write_text(json.dumps({**index, "shape": [1, 36, 2]}))
    assert Dataset(folder).dtype == "uint8"
    assert Dataset(folder).pictures([0]).dtype == np.uint8
    (folder / "index.json").write_text(json.dumps({**index, "dtype": "int7"}))
    with pytest.raises(MienError, match=r"is damaged .expected uint8 or float32, got int7.: delete it"):
        Dataset(folder)


# -- signals as pictures --
def test_waveforms_lose_no_peak():
    x = np.zeros((3, 1, 1, 1024), np.float32)
    x[0, 0, 0, 700] = 1  # one sample
    x[1, 0, 0, 300] = -1
    drawn = waveforms(x)
    assert drawn.shape == (3, 1, 64, 128)
    assert drawn.dtype == np.float32
    assert drawn.min() >= -1
    assert drawn.max() <= 1
    dark = drawn[:, 0] < 0
    assert dark.any(1).all()  # the line has no gap
    assert np.flatnonzero(dark[0, :8].any(0)).tolist() == [700 // 8]
    assert np.flatnonzero(dark[1, -8:].any(0)).tolist() == [300 // 8]
    assert dark[2].sum() == 2 * 128


@pytest.mark.parametrize("length", [2, 50, 128, 129, 1000, 8192])
def test_waveforms_of_any_length_follow_the_signal(length):
    ramp = np.linspace(-1, 1, length).reshape(1, 1, 1, length)
    dark = waveforms(ramp)[0, 0] < 0
    middle = [np.flatnonzero(column).mean() for column in dark.T]
    assert np.diff(middle).max() <= 0  # up is up
    assert middle[0] > 60
    assert middle[-1] < 3


def test_waveforms_of_several_channels_and_of_nonsense():
    x = np.zeros((1, 2, 1, 256))
    x[0, 0], x[0, 1] = 1, -1
    dark = waveforms(x)[0, 0] < 0
    assert np.flatnonzero(dark[:, 9]).tolist() == [0, 1, 62, 63]
    beyond = waveforms(np.full((1, 1, 1, 256), 7.0))
    assert (beyond == waveforms(np.ones((1, 1, 1, 256)))).all()
    none = waveforms(np.full((1, 1, 1, 256), np.nan))
    assert len(np.unique(none)) == 1
    with pytest.raises(MienError, match=r"expected signals \(B, C, 1, L\) .*got \(2, 1, 8, 8\)"):
        waveforms(np.zeros((2, 1, 8, 8)))
