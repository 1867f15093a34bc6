"""Bearing signals, from files that the tests write and from the real files."""

import numpy as np
import pytest

from mien import data
from mien.data.base import Source
from mien.data.dataset import Dataset
from mien.errors import MienError
from sources import Evil, load, real


@pytest.fixture
def signals():
    draw = np.random.default_rng(0).normal
    return {"odd": draw(3, 1, 1000), "ball_7": draw(0, 9, 1210).astype(np.float32), "normal": draw(0, 0.1, 1000)}


def spans(source: Source, size: int, part: int) -> dict[str, list[int]]:
    """The first samples of the windows of a part, by condition."""
    starts: dict[str, list[int]] = {}
    for i in range(len(source)):
        if source.partition(i) == part:
            condition, start = source.key(i).split("@")
            starts.setdefault(condition, []).append(int(start))
    return starts


def test_windows_of_signals(tmp_path, signals):
    np.savez(tmp_path / "s.npz", **signals)
    opened = load("bearing", tmp_path / "s.npz", tmp_path, 50)
    assert opened.classes == ("normal", "ball_7", "odd")
    assert (opened.shape, opened.dtype) == ((1, 1, 50), "float32")
    assert spans(opened.source, 50, 0)["odd"] == [*range(0, 651, 6)]
    assert spans(opened.source, 50, 1)["ball_7"] == [847, 897]
    assert spans(opened.source, 50, 2)["normal"] == [800, 850, 900, 950]
    assert opened.split().rule == "official"
    batch = opened.batch(np.arange(len(opened)))
    assert batch.x.shape == (len(opened), 1, 1, 50)
    assert batch.x.abs().amax((1, 2, 3)).tolist() == pytest.approx([1] * len(opened), abs=1e-6)
    first = signals["normal"][:50].astype(np.float32).astype(float)
    expected = (first - first.mean()) / abs(first - first.mean()).max()
    assert batch.x[0].ravel().tolist() == pytest.approx(expected.tolist(), abs=1e-6)


@pytest.mark.parametrize("hop", [0, 1, 20, 50, 70])
def test_no_part_shares_a_sample_with_another(tmp_path, signals, hop):
    np.savez(tmp_path / "s.npz", **signals)
    source = data.source("bearing", tmp_path / "s.npz", hop=hop).at(50)
    for condition, signal in signals.items():
        uses = np.zeros((3, len(signal)), int)
        for part in range(3):
            for start in spans(source, 50, part)[condition]:
                assert start + 50 <= len(signal)
                uses[part, start : start + 50] += 1
        assert ((uses > 0).sum(0) <= 1).all()
        assert uses[1:].max() == 1  # only windows for training overlap
        assert uses[0].max() == {0: 9, 1: 50, 20: 3, 50: 1, 70: 1}[hop]


def test_a_window_is_its_own_size(tmp_path, signals):
    np.savez(tmp_path / "s.npz", **signals)
    source = data.source("bearing", tmp_path / "s.npz", hop=50).at(50)
    other = source.at(100)
    assert (len(source), len(other), len(source)) == (62, 50, 62)
    overlapping = load("bearing", tmp_path / "s.npz", tmp_path, 50, hop=10)
    assert len(overlapping) > 62
    assert len(Dataset(overlapping.folder).source) == len(overlapping)


def test_signals_that_are_none(tmp_path, signals):
    path = tmp_path / "s.npz"
    np.savez(path, **signals)
    with pytest.raises(MienError, match=r"normal has 1,000 samples.* window of 101: use a size of 100 or less"):
        load("bearing", path, tmp_path, 101)
    with pytest.raises(MienError, match="expected a size of 8 to 8192 samples, got 8193"):
        load("bearing", path, tmp_path, 8193)
    with pytest.raises(MienError, match=r"expected a hop of 1 sample or more, or 0 .*, got -1"):
        data.source("bearing", path, hop=-1)
    with pytest.raises(MienError, match="expected a whole number for bearing's hop"):
        data.source("bearing", path, hop="12")
    for bad in (np.array([Evil(tmp_path / "touched")]), np.zeros((10, 10)), np.zeros(0), np.array(["x"] * 2000)):
        np.savez(path, ball_7=bad)
        with pytest.raises(MienError, match=r"s\.npz(, ball_7: expected one signal| cannot be read)"):
            load("bearing", path, tmp_path, 50)
    assert not (tmp_path / "touched").exists()
    path.write_bytes(b"PK\x03\x04 no zip")
    with pytest.raises(MienError, match=r"s\.npz cannot be read as \.npz"):
        data.source("bearing", path)


def test_bad_windows_are_left_out_and_named(tmp_path):
    signal = np.random.default_rng(0).normal(size=1000)
    signal[10], signal[100:150] = np.nan, 4
    np.savez(tmp_path / "s.npz", normal=signal)
    report = load("bearing", tmp_path / "s.npz", tmp_path, 50, hop=50).report
    assert report["rejected"] == [
        {"file": "normal@0", "reason": "some samples are not finite"},
        {"file": "normal@100", "reason": "all samples are equal: the window cannot be scaled to [-1, 1]"},
    ]


def test_bearing_as_published(tmp_path, signals):
    from scipy.io import savemat

    root = tmp_path / "bearing"
    root.mkdir()
    column = {name: signal[:, None] for name, signal in signals.items()}
    savemat(root / "97.mat", {"X097_DE_time": column["normal"], "X097_FE_time": column["odd"], "X097RPM": 1796.0})
    savemat(root / "B007_0_118.mat", {"X118_DE_time": column["ball_7"], "X117_DE_time": column["odd"]})
    savemat(root / "own.mat", {"X_DE_time": column["odd"]})
    opened = load("bearing", root, tmp_path, 50)
    assert opened.classes == ("normal", "ball_7", "own")
    np.savez(tmp_path / "s.npz", **signals)
    same = load("bearing", tmp_path / "s.npz", tmp_path, 50)
    assert len(same) == len(opened)
    assert (same.pictures(np.arange(len(same))) == opened.pictures(np.arange(len(opened)))).all()
    savemat(root / "own.mat", {"X1_DE_time": column["odd"], "X2_DE_time": column["odd"]})
    with pytest.raises(MienError, match=r"own\.mat: expected one key X…_DE_time, got X1_DE_time, X2_DE_time"):
        load("bearing", root, tmp_path, 50)
    (root / "own.mat").write_bytes(b"MATLAB 5.0, cut short")
    with pytest.raises(MienError, match=r"own\.mat cannot be read as \.mat"):
        load("bearing", root, tmp_path, 50)
    (root / "own.mat").rename(root / "Normal_97.mat")
    with pytest.raises(MienError, match=r"normal is in 97\.mat and Normal_97\.mat: remove one"):
        data.source("bearing", root)


def test_real_bearing(tmp_path, real_data):
    real(real_data, "cwru_bearing_1797rpm_12khz.npz")
    opened = load("bearing", real_data / "cwru_bearing_1797rpm_12khz.npz", tmp_path)
    parts = opened.split()
    assert [len(part) for part in (parts.train, parts.valid, parts.test)] == [6490, 110, 230]
    assert opened.shape == (1, 1, 1024)
    for part in (parts.train, parts.valid, parts.test):
        assert len(set(np.bincount(opened.labels[part]))) == 1
    assert opened.classes[0] == "normal"
    assert abs(opened.pictures(np.arange(len(opened)))).max() == 1
