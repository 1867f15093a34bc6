"""Caltech-101 silhouettes and LFW: from files written here, and the real ones."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from mien import data
from mien.data.dataset import Dataset
from mien.errors import MienError
from sources import load, real

FILE = "caltech101_silhouettes_28.mat"


# -- silhouettes --
def cells(*names: str) -> np.ndarray:
    return np.array([names], object)


def content(count: int = 40) -> dict[str, np.ndarray]:
    x = np.random.default_rng(0).integers(0, 2, (count, 784), np.uint8)
    return {"X": x, "Y": (np.arange(count) % 3 + 1.0)[None], "classnames": cells("ant", "car side", "yin yang")}


def test_silhouettes_as_published(tmp_path, monkeypatch):
    values = content()
    savemat(tmp_path / FILE, {**values, "other": np.zeros(3)})
    monkeypatch.setenv("MIEN_DATA", str(tmp_path))
    opened = load("silhouettes", None, tmp_path)
    assert (opened.shape, len(opened)) == ((1, 28, 28), 40)
    assert opened.classes == ("ant", "car side", "yin yang")
    assert opened.labels.tolist() == [i % 3 for i in range(40)]
    upright = 255 * values["X"].reshape(-1, 28, 28).transpose(0, 2, 1)
    assert (opened.pictures(np.arange(40))[..., 0] == upright).all()
    assert load("silhouettes", tmp_path, tmp_path, 32).shape == (1, 32, 32)
    assert Dataset(opened.folder).source.options() == {"root": str(tmp_path / FILE), "seed": 0}


def test_the_split_of_silhouettes_is_drawn_by_its_seed(tmp_path):
    savemat(tmp_path / FILE, content(867))
    parts = [load("silhouettes", tmp_path, tmp_path, seed=seed).split() for seed in (0, 1, 0)]
    assert [len(part) for part in (parts[0].train, parts[0].valid, parts[0].test)] == [572, 64, 231]
    assert parts[0].rule == "official"
    assert (parts[0].test == parts[2].test).all()
    assert (parts[0].test != parts[1].test).any()
    assert sorted(np.concatenate([parts[1].train, parts[1].valid, parts[1].test])) == list(range(867))
    with pytest.raises(MienError, match="expected a seed of 0 or more, got -1"):
        data.source("silhouettes", tmp_path, seed=-1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": np.zeros((40, 783), np.uint8)}, r"expected X of shape \(N, 784\), got \(40, 783\)"),
        ({"X": np.full((40, 784), 2, np.uint8)}, "expected values 0 and 1 in X"),
        ({"X": np.full((40, 784), np.nan)}, "expected values 0 and 1 in X"),
        ({"Y": np.ones((1, 39))}, "expected 40 numbers in Y"),
        ({"Y": np.full((1, 40), 4.0)}, r"expected integers 1 to 3 in Y, got 4\.0 to 4\.0"),
        ({"Y": np.full((1, 40), 1.5)}, "expected integers 1 to 3 in Y"),
        ({"Y": np.zeros((1, 40))}, "expected integers 1 to 3 in Y"),
        ({"classnames": cells("ant", "ant", "bee")}, "expected a different name for each class"),
        ({"classnames": cells("ant", np.zeros(3), "bee")}, "expected a different name for each class"),
        ({"classnames": None}, "expected a variable classnames, got none"),
    ],
)
def test_another_mat_file_is_refused(tmp_path, change, message):
    values = {key: value for key, value in {**content(), **change}.items() if value is not None}
    savemat(tmp_path / FILE, values)
    with pytest.raises(MienError, match=rf"28\.mat: {message}.*https://") as caught:
        data.source("silhouettes", tmp_path)
    assert "\n" not in str(caught.value)


def test_a_damaged_mat_file_is_reported(tmp_path):
    savemat(tmp_path / FILE, content())
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:2000])
    with pytest.raises(MienError, match=r"28\.mat cannot be read as \.mat .*: download it again"):
        data.source("silhouettes", tmp_path)


def test_real_silhouettes(tmp_path, real_data):
    real(real_data, FILE)
    opened = load("silhouettes", real_data / FILE, tmp_path)
    parts = opened.split()
    assert [len(part) for part in (parts.train, parts.valid, parts.test)] == [5728, 636, 2307]
    assert len(parts.train) + len(parts.valid) == 6364
    assert len(opened.classes) == 101
    assert opened.classes[0] == "Airplanes Side 2"
    assert np.bincount(opened.labels).min() > 0
    pictures = opened.pictures(np.arange(len(opened)))[..., 0]
    assert np.unique(pictures).tolist() == [0, 255]
    planes = pictures[opened.labels == 0] == 0  # black on white, and wider than high
    assert planes.any(1).sum() > planes.any(2).sum()


# -- LFW --
PEOPLE = {"Ann_Lee": 2, "Bo_Ek": 1, "Cy_Oz": 3}


def photograph(seed: int) -> bytes:
    """A blue square of 20 pixels in the center of a red picture of 50x50, one level brighter for each seed."""
    image = Image.new("RGB", (50, 50), (200, 0, 0))
    image.paste((0, 0, 200 + seed), (15, 15, 35, 35))
    image.save(file := io.BytesIO(), "jpeg", quality=95, subsampling=0)
    return file.getvalue()


def lfw_folder(root: Path, zipped: bool = False) -> Path:
    root.mkdir(parents=True)
    names = [f"lfw/{person}/{person}_{k:04d}.jpg" for person, count in PEOPLE.items() for k in range(1, count + 1)]
    if zipped:
        with zipfile.ZipFile(root / "lfw_150x150.zip", "w") as archive:
            for seed, name in enumerate(names):
                archive.writestr(name, photograph(seed))
            archive.writestr("lfw/Ann_Lee/notes.jpg", b"no picture of a person")
    else:
        for seed, name in enumerate(names):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(photograph(seed))
    return root


@pytest.mark.parametrize("zipped", [False, True])
def test_lfw_in_each_layout(tmp_path, monkeypatch, zipped):
    lfw_folder(tmp_path / "lfw", zipped)
    monkeypatch.setenv("MIEN_DATA", str(tmp_path))
    opened = load("lfw", None, tmp_path, 50)
    assert opened.keys[:3] == ("Ann_Lee/Ann_Lee_0001.jpg", "Ann_Lee/Ann_Lee_0002.jpg", "Bo_Ek/Bo_Ek_0001.jpg")
    assert opened.identity.tolist() == [0, 0, 1, 2, 2, 2]
    assert (opened.attributes, opened.classes, opened.labels) == ((), (), None)
    picture = opened.pictures([0])[0].astype(int)
    assert abs(picture[5, 5] - (200, 0, 0)).max() < 8
    assert abs(picture[25, 25] - (0, 0, 200)).max() < 8
    assert opened.split(fractions=(0.5, 0.25, 0.25)).rule == "seeded"
    assert load("lfw", tmp_path / "lfw", tmp_path, 50).folder == opened.folder


def test_crop_is_a_centered_square_in_official_pixels(tmp_path):
    root = lfw_folder(tmp_path / "lfw")
    inner = load("lfw", root, tmp_path, 8, crop=80).pictures([0])[0].astype(int)  # 16 of the 50 pixels
    assert abs(inner - (0, 0, 200)).max() < 8, "the crop holds the blue square only"
    wider = load("lfw", root, tmp_path, 30, crop=150).pictures([0])[0].astype(int)  # 30 of the 50 pixels
    assert abs(wider[2, 2] - (200, 0, 0)).max() < 20
    assert abs(wider[7, 7] - (0, 0, 200)).max() < 20
    outer = load("lfw", root, tmp_path, 8).pictures([0])[0].astype(int)
    assert abs(outer[0, 0] - (200, 0, 0)).max() < 8
    for crop in (0, 31, 251):
        with pytest.raises(MienError, match=f"expected crop from 32 to 250 pixels of LFW's 250x250, got {crop}"):
            data.source("lfw", root, crop=crop)


def test_landmarks_follow_the_crop(tmp_path):
    root = lfw_folder(tmp_path / "lfw")
    assert data.source("lfw", root).landmarks(0, 50) is None
    head = "2\nlefteye_x …\n"
    (root / "list_landmarks_lfw.txt").write_text(f"{head}Ann_Lee/Ann_Lee_0002.jpg 15 15 35 15 25 25 15 35 35 35\n")
    expected = np.array([[15, 15], [35, 15], [25, 25], [15, 35], [35, 35]])
    source = data.source("lfw", root)
    assert source.landmarks(0, 50) is None
    assert (source.landmarks(1, 100) == 2 * expected).all()
    assert (data.source("lfw", root, crop=100).landmarks(1, 40) == 2 * (expected - 15)).all()
    (root / "list_landmarks_lfw.txt").write_text(f"{head}Ann_Lee/Ann_Lee_0002.jpg 1 2 3\n")
    with pytest.raises(MienError, match=r"list_landmarks_lfw\.txt, line 3: expected a file name and 10 numbers"):
        data.source("lfw", root).landmarks(1, 50)


def test_a_folder_without_people_is_refused(tmp_path):
    (tmp_path / "lfw" / "Ann").mkdir(parents=True)
    (tmp_path / "lfw" / "Ann" / "Bo_0001.jpg").write_bytes(photograph(0))
    with pytest.raises(MienError, match=r"expected PERSON/PERSON_0001\.jpg in .*lfw, got none: put .* there"):
        data.source("lfw", tmp_path / "lfw")


def test_real_lfw(tmp_path, real_data):
    real(real_data, "lfw")
    source = data.source("lfw", real_data / "lfw")
    assert len(source) == 2075
    first = [source.key(i) for i in range(10)].index("Aaron_Eckhart/Aaron_Eckhart_0001.jpg")
    assert source.landmarks(first, 150).tolist()[2] == [75.75, 86.25]
    assert 20 < source.read(0, 64).mean() < 235
    eyes = data.source("lfw", real_data / "lfw", crop=150).landmarks(0, 90)[:2]
    assert ((eyes > 0) & (eyes < 90)).all()
