"""Omniglot and Frey faces: from files written here, and the real ones."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien import data
from mien.errors import MienError
from sources import Evil, load, real


# -- Omniglot --
def omniglot_zip(path: Path, alphabets: dict[str, int]) -> Path:
    """`n` characters of each alphabet by two people: black strokes on white, 1 bit, 105x105."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for alphabet, count in alphabets.items():
            for character in range(1, count + 1):
                for person in (1, 2):
                    image = Image.new("1", (105, 105), 1)
                    image.paste(0, (30, 5 * character, 75, 5 * character + 9))
                    image.save(file := io.BytesIO(), "png")
                    name = f"{path.stem}/{alphabet}/character{character:02d}/0{character:03d}_{person:02d}.png"
                    archive.writestr(name, file.getvalue())
    return path


def test_omniglot_in_its_archives(tmp_path):
    omniglot_zip(tmp_path / "o" / "images_background_small1.zip", {"Latin": 3, "Balinese": 2})
    unpacked = omniglot_zip(tmp_path / "images_background_small2.zip", {"Latin": 3, "Greek": 4})
    with zipfile.ZipFile(unpacked) as archive:
        archive.extractall(tmp_path / "o")
    opened = load("omniglot", tmp_path / "o", tmp_path)
    assert opened.classes == ("Balinese", "Greek", "Latin")
    assert np.bincount(opened.labels).tolist() == [4, 8, 6]  # Latin is in both
    assert opened.report["notes"] == ["6 pictures are in two archives and count once"]
    assert opened.keys[0] == "Balinese/character01/0001_01.png"
    assert opened.shape == (1, 28, 28)
    picture = opened.pictures([0])[0, ..., 0]
    assert picture[-1].max() == 0  # ink is white on black
    assert picture[2, 14] == 255
    assert opened.split().rule == "seeded"
    natural = load("omniglot", tmp_path / "o" / "images_background_small1.zip", tmp_path, 105)
    assert np.unique(natural.pictures([0])).tolist() == [0, 255]
    assert (natural.pictures([0]) == 255).sum() == 45 * 9


def test_omniglot_without_characters(tmp_path):
    (tmp_path / "o" / "images_evaluation" / "Latin").mkdir(parents=True)
    with pytest.raises(MienError, match=r"expected ALPHABET/character01/\*\.png in images_evaluation, got none: put"):
        data.source("omniglot", tmp_path / "o")


def test_real_omniglot(tmp_path, real_data):
    real(real_data, "omniglot")
    source = data.source("omniglot", real_data / "omniglot")
    counts = dict(zip(source.classes, np.bincount([source.label(i) for i in range(len(source))]), strict=True))
    assert counts["Latin"] == 26 * 20
    assert counts["Greek"] == 24 * 20
    assert len(source) == 4840  # 2,720 + 3,120, of which 1,000 are the same
    assert 0 < source.read(0, 28).mean() < 60


# -- Frey faces --
@pytest.fixture
def frames():
    return np.random.default_rng(0).integers(0, 256, (12, 28, 20), np.uint8)


def test_frey_faces(tmp_path, monkeypatch, frames):
    np.savez(tmp_path / "freyfaces.npz", images=frames)
    monkeypatch.setenv("MIEN_DATA", str(tmp_path))
    opened = load("freyfaces", None, tmp_path)
    assert opened.shape == (1, 28, 20)
    assert (opened.pictures(np.arange(12))[..., 0] == frames).all()
    assert opened.labels is None
    assert opened.batch([0]).label is None
    for size, shape in {32: (1, 32, 24), 64: (1, 64, 44), 30: (1, 32, 20), 8: (1, 8, 4)}.items():
        assert load("freyfaces", None, tmp_path, size).shape == shape


def test_frey_faces_as_published(tmp_path, frames):
    from scipy.io import savemat

    savemat(tmp_path / "frey_rawface.mat", {"ff": frames.reshape(12, -1).T})  # (560, N)
    opened = load("freyfaces", tmp_path, tmp_path)
    assert (opened.pictures(np.arange(12))[..., 0] == frames).all()


def test_frey_faces_that_are_not(tmp_path, frames):
    path = tmp_path / "freyfaces.npz"
    for arrays, message in (
        ({"faces": frames}, "expected an array images, got faces"),
        ({"images": frames.astype(float)}, r"expected pictures uint8 \(N, 28, 20\), got float64"),
        ({"images": frames[:, :20]}, r"got uint8 \(12, 20, 20\)"),
        (
            {"images": np.array([Evil(tmp_path / "touched")])},
            r"cannot be read as \.npz \(Object arrays cannot be loaded",
        ),
    ):
        np.savez(path, **arrays)
        with pytest.raises(MienError, match=message):
            load("freyfaces", path, tmp_path)
    assert not (tmp_path / "touched").exists()
    np.savez(path, images=frames)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(MienError, match=r"freyfaces\.npz cannot be read"):
        load("freyfaces", path, tmp_path)


def test_real_frey_faces(tmp_path, real_data):
    real(real_data, "freyfaces.npz")
    opened = load("freyfaces", real_data / "freyfaces.npz", tmp_path)
    assert (len(opened), opened.shape) == (1965, (1, 28, 20))
    film = opened.pictures(np.arange(1965)).astype(int)
    assert abs(film[1:] - film[:-1]).mean() < abs(film[1:] - film[:1]).mean()  # frames of a film
