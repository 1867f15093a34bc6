"""Class folders: with the option classes="folders", the first folder on a picture's path is its class."""

import json

import numpy as np
import pytest
from PIL import Image

from mien import data
from mien.data.sets.folder import Source as Folder
from mien.errors import MienError, UnknownName
from mien.run.data import Data
from test_cli import mien, refused
from test_data import pictures_in
from test_explore import write_idx

NAMES = ("dog/2.png", "cat/1.png", "cat/deep/er/3.png", "loose.png", "bird/4.jpg")


def test_the_first_folder_is_the_class(tmp_path):
    root = pictures_in(tmp_path / "p", *NAMES, ".hidden/5.png")
    opened = data.load("folder", root, size=16, cache=tmp_path / "cache", classes="folders")
    assert opened.classes == ("bird", "cat", "dog")
    labels = {key: int(label) for key, label in zip(opened.keys, opened.labels, strict=True)}
    assert labels == {"bird/4.jpg": 0, "cat/1.png": 1, "cat/deep/er/3.png": 1, "dog/2.png": 2, "loose.png": -1}
    assert opened.batch(np.array([1, 4])).label.tolist() == [1, -1]
    again = Data("folder", str(root), 16, {"classes": "folders"}).source()
    assert (again.classes, again.fingerprint()) == (opened.classes, opened.source.fingerprint())
    assert opened.source.options()["classes"] == "folders"


def test_without_the_option_nothing_changes(tmp_path):
    root = pictures_in(tmp_path / "p", *NAMES)
    plain, classed = Folder(root), Folder(root, classes="folders")
    assert plain.classes == ()
    assert {plain.label(i) for i in range(len(plain))} == {-1}
    assert plain.fingerprint() != classed.fingerprint()
    opened = data.load("folder", root, size=16, cache=tmp_path / "cache")
    assert (opened.classes, opened.labels) == ((), None)


def test_a_table_and_classes_go_together(tmp_path):
    root = pictures_in(tmp_path / "p", *NAMES)
    (root / "attributes.csv").write_text("file,Old,cat,Happy\n1.png,1,1,-1\n2.png,,-1,1\nloose.png,1,-1,1\n")
    opened = data.load("folder", root, size=16, cache=tmp_path / "cache", classes="folders")
    assert opened.attributes == ("Old", "Happy"), "the column cat is the class"
    rows = {key: row for key, row in zip(opened.keys, opened.attribute_table.tolist(), strict=True)}
    assert rows == {"cat/1.png": [1, -1], "dog/2.png": [0, 1], "loose.png": [1, 1]}
    assert opened.labels.tolist() == [1, 2, -1]
    assert Folder(root).attributes == ("Old", "cat", "Happy")


def test_names_and_order_can_be_given(tmp_path):
    root = pictures_in(tmp_path / "p", "a/1.png", "b/2.png")
    before = Folder(root, classes="folders").fingerprint()
    (root / "classes.csv").write_text("folder, class\nb,Alphabet of the Magi/01\nc,none here\na,Æ\n")
    source = Folder(root, classes="folders")
    assert source.classes == ("Alphabet of the Magi/01", "none here", "Æ")
    assert [source.label(i) for i in range(2)] == [2, 0]
    assert source.fingerprint() != before
    assert Folder(root).classes == ()


@pytest.mark.parametrize(
    ("names", "table", "message"),
    [
        (("1.png", "2.png"), "", r"two folders or more in .*, one for each class, got none"),
        (("cat/1.png", "2.png"), "", r"one for each class, got only cat"),
        (("train/cat/1.png", "Train/dog/1.png"), "", r"got Train, train: pass one of these as the root"),
        (("a/1.png", "b/1.png"), "a,b\n", r"classes\.csv: expected a header 'folder,class' and two names in each line"),
        (("a/1.png", "b/1.png"), "folder,class\na\n", r"two names in each line"),
        (("a/1.png", "b/1.png"), "folder,class\na,A\n", r"expected a line for each folder, got none for b"),
        (("a/1.png", "b/1.png"), "folder,class\na,A\nb,A\n", r"expected each class once, got A twice"),
        (("a/1.png", "b/1.png"), "folder,class\na,A\na,B\n", r"expected each folder once, got a twice"),
        (("a/1.png", "b/1.png"), 'folder,class\n"a,A\n', r"classes\.csv cannot be read as a CSV table"),
    ],
)
def test_a_folder_without_classes_is_reported(tmp_path, names, table, message):
    root = pictures_in(tmp_path / "p", *names)
    if table:
        (root / "classes.csv").write_text(table)
    with pytest.raises(MienError, match=message):
        Folder(root, classes="folders")


def test_the_option_is_checked_as_typed(capsys, tmp_path):
    root = pictures_in(tmp_path / "p", *NAMES)
    with pytest.raises(UnknownName, match=r"unknown source of classes 'folder': did you mean folders\?"):
        Folder(root, classes="folder")
    words = ["train", "ssavae", "--data", "folder", "--root", root, "--size", 16]
    assert "did you mean folders" in refused(capsys, *words, "--data-option", "classes=folder")
    assert "classes" in refused(capsys, *words)


def test_synthesized_classes_are_read_back_and_trained_on(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for part, n in (("train", 160), ("t10k", 20)):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte.gz", rng.integers(0, 255, (n, 28, 28)))
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte.gz", np.arange(n) % 10)
    small = ["--set", "width=4", "--set", "latent=8", "--steps", 2, "--batch", 8]
    code, text = mien(capsys, "train", "vae", "--data", "mnist", "--root", ".", "--size", 16, *small, "--out", "vae")
    assert code == 0, text
    code, text = mien(capsys, "synthesize", "vae", "--per-class", 6, "--out", "more")
    assert code == 0, text
    digits = data.load("mnist", tmp_path, 16)
    synthesized = data.load("folder", tmp_path / "more", 16, classes="folders")
    assert synthesized.classes == digits.classes
    assert synthesized.attributes == (), "the columns of the table are the classes"
    sources = json.loads((tmp_path / "more/provenance.json").read_text())["pictures"]
    assert synthesized.labels.tolist() == [digits.labels[sources[key]["position"]] for key in synthesized.keys]
    words = ["--data", "folder", "--root", "more", "--data-option", "classes=folders", "--size", 16]
    code, text = mien(capsys, "train", "ssavae", *words, *small, "--set", "hidden=8", "--out", "ssavae")
    assert code == 0, text
    code, text = mien(capsys, "evaluate", "ssavae", "--metric", "classes")
    assert code == 0, text
    assert "class accuracy" in text
    Image.fromarray(rng.integers(0, 255, (20, 20, 3), np.uint8)).save("me.png")
    code, text = mien(capsys, "recognize", "ssavae", "me.png", "--json")
    assert code == 0, text
    assert set(json.loads(text)[0]) == {"file", *digits.classes}
