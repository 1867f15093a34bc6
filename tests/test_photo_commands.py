"""The commands on ordinary photos, with the models that come with the package."""

import csv
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.cli import main

DATA = Path(os.environ.get("MIEN_DATA", Path(__file__).parents[2] / "shared" / "data")) / "photos"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="needs the photos of the shared data")


@pytest.fixture
def mien(capsys, monkeypatch, tmp_path):
    """Run the command in an empty folder; return its exit code and its output."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["mien", *map(str, words)])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return run


def photo(name: str, to: str | Path = ".") -> Path:
    path = Path(to) / Path(name).name
    shutil.copyfile(DATA / name, path)
    return path


def pixels(path: str | Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def first_row(path: str) -> dict[str, str]:
    with open(path, encoding="utf-8") as file:
        return next(csv.DictReader(file))


def test_edit_gives_the_photo_back_at_its_own_size(mien, tmp_path):
    photo("people/biden.jpg")
    code, text = mien("edit", "faces-64", "biden.jpg", "Smiling=+1.5")
    assert code == 0, text
    assert sorted(os.listdir()) == ["biden.jpg", "edited.jpg"]
    before, after = pixels("biden.jpg"), pixels("edited.jpg")
    assert before.shape == after.shape
    difference = abs(after - before).max(-1)
    assert difference[: len(difference) // 2].max() > 60  # the mouth
    assert difference[len(difference) // 2 :].mean() < 1  # the rest of the body: JPEG only
    code, text = mien("recognize", "recognizer-64", "biden.jpg", "edited.jpg", "--json")
    rows = json.loads(text)
    assert rows[0]["Smiling"] < 0.5 < rows[1]["Smiling"]


def test_edit_refuses_the_photo_itself_as_the_output(mien):
    path = photo("people/obama_small.jpg")
    content = path.read_bytes()
    code, text = mien("edit", "faces-64", path, "Smiling=+1", "--out", path)
    assert code == 2
    assert "which this command reads" in text
    assert path.read_bytes() == content


def test_steps_and_residual_are_written_on_request(mien):
    photo("people/obama_small.jpg")
    code, text = mien("edit", "faces-64", "obama_small.jpg", "Male=-1", "--steps", "--residual", "--out", "new.png")
    assert code == 0, text
    assert sorted(os.listdir()) == ["new-residual.png", "new-steps.png", "new.png", "obama_small.jpg"]


def test_one_face_of_a_group_is_changed(mien):
    photo("groups_dlib/2008_001322.jpg")
    code, text = mien("edit", "faces-64", "2008_001322.jpg", "Smiling=+2", "--face", "1", "--out", "one.png")
    assert code == 0, text
    mien("edit", "faces-64", "2008_001322.jpg", "Smiling=+2", "--out", "all.png")
    before = pixels("2008_001322.jpg")
    one, every = (abs(pixels(name) - before).max(-1) > 0 for name in ("one.png", "all.png"))
    assert 0 < one.sum() < 0.6 * every.sum()
    assert every[one].all()
    code, text = mien("edit", "faces-64", "2008_001322.jpg", "Smiling=+1", "--face", "9", "--out", "x.png")
    assert code == 2
    assert "expected --face from 1 to 3" in text


def test_a_folder_of_photos_becomes_a_folder(mien):
    os.mkdir("photos")
    for name in ("people/obama_small.jpg", "no_face/coffee.png", "formats_pillow/hopper.bmp"):
        photo(name, "photos")
    code, text = mien("edit", "faces-64", "photos", "Young=-1")
    assert code == 0, text
    assert sorted(os.listdir("edited")) == ["hopper.png", "obama_small.jpg"]
    assert "left out photos/coffee.png: expected a face" in " ".join(text.split())


def test_a_photo_without_a_face_is_refused_and_no_align_takes_it(mien):
    photo("no_face/coffee.png")
    code, text = mien("edit", "faces-64", "coffee.png", "Smiling=+1")
    assert code == 2
    assert "none was found" in text
    assert "--no-align" in text
    assert sum(line.startswith("error: ") for line in text.splitlines()) == 1
    code, text = mien("edit", "faces-64", "coffee.png", "Smiling=+1", "--no-align")
    assert code == 0, text
    assert pixels("edited.png").shape == (64, 64, 3)


def test_a_picture_of_the_models_size_is_not_searched(mien):
    Image.new("RGB", (64, 64), "gray").save("flat.png")
    code, text = mien("edit", "faces-64", "flat.png", "Smiling=+1")
    assert code == 0, text
    assert pixels("edited.png").shape == (64, 64, 3)


def test_recognize_aligns_the_largest_face_or_the_chosen_one(mien):
    photo("people/obama_and_biden.jpg")
    for number in (1, 3):
        code, text = mien(
            "recognize", "recognizer-64", "obama_and_biden.jpg", "--face", number, "--out", f"{number}.csv"
        )
        assert code == 0, text
    first, third = first_row("1.csv"), first_row("3.csv")
    assert float(first["Young"]) < 0.5 < float(third["Young"])  # a girl in the background


def test_align_cuts_out_every_face(mien):
    photo("groups_dlib/2008_001322.jpg")
    photo("people/obama_small.jpg")
    code, text = mien("align", "2008_001322.jpg", "obama_small.jpg", "--size", "96")
    assert code == 0, text
    assert "4 faces of 2 photos" in text
    names = ["2008_001322-1.png", "2008_001322-2.png", "2008_001322-3.png", "obama_small.png"]
    assert sorted(os.listdir("aligned")) == names
    assert all(pixels(Path("aligned") / name).shape == (96, 96, 3) for name in names)
    code, text = mien("align", "obama_small.jpg", "--for", "faces-64", "--out", "small")
    assert pixels("small/obama_small.png").shape == (64, 64, 3)
    # an aligned picture of the model's size is read as it is: the model sees the same face
    mien("recognize", "recognizer-64", "small/obama_small.png", "--out", "a.csv")
    mien("recognize", "recognizer-64", "obama_small.jpg", "--out", "b.csv")
    a, b = first_row("a.csv"), first_row("b.csv")
    assert max(abs(float(a[key]) - float(b[key])) for key in a if key != "file") < 0.02


def test_paste_must_exist(mien):
    photo("people/obama_small.jpg")
    code, text = mien("edit", "faces-64", "obama_small.jpg", "Smiling=+1", "--paste", "all")
    assert code == 2
    assert "unknown paste 'all'" in text
