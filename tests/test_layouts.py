"""Copies, moves and layouts of data sets, in whole runs as a user makes them."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien import data
from mien.data.dataset import Dataset
from mien.data.packing import prepare
from mien.data.sets.celeba import Source as CelebA
from mien.data.sets.folder import Source as Folder
from mien.errors import MienError
from test_cli import mien, refused
from test_data import celeba_folder, picture, pictures_in
from test_mnist import mnist_folder


def celeba_masks(root):
    """CelebAMask-HQ: a folder CelebA-HQ-img with 0.jpg, 1.jpg, …, and its own table."""
    celeba_folder(root, zipped=False)
    (root / "img_align_celeba").rename(root / "CelebA-HQ-img")
    for i in range(1, 7):
        (root / f"CelebA-HQ-img/{i:06d}.jpg").rename(root / f"CelebA-HQ-img/{i - 1}.jpg")
    rows = (root / "list_attr_celeba.txt").read_text().splitlines()
    new = [f"{i}.jpg  {' '.join(row.split()[1:])}" for i, row in enumerate(rows[2:])]
    (root / "CelebAMask-HQ-attribute-anno.txt").write_text("\n".join([*rows[:2], *new]) + "\n")
    for name in ("list_attr_celeba.txt", "identity_CelebA.txt", "list_eval_partition.txt"):
        (root / name).unlink()
    return root


def test_celebamask_hq(tmp_path):
    opened = Dataset(prepare(CelebA(celeba_masks(tmp_path / "c")), 32, tmp_path / "cache"))
    assert opened.keys == tuple(f"{i}.jpg" for i in range(6))
    assert opened.attribute_table[:, 0].tolist() == [-1, 1, -1, 1, -1, 1]
    assert opened.split().rule == "seeded"


def test_a_folder_of_gray_pictures_that_are_not_square(tmp_path):
    root = tmp_path / "p"
    root.mkdir()
    for i in range(6):
        wide = np.zeros((40, 80, 3), np.uint8)
        wide[:, 20:60] = 100 + i  # the center
        Image.fromarray(wide).save(root / f"{i}.png")
    opened = data.load("folder", root, size=32, cache=tmp_path / "c", gray=True, width=24)
    assert opened.shape == (1, 32, 24)
    assert (opened.pictures([2]) == 102).all()
    assert opened.source.options() | {"root": ""} == {
        "root": "", "table": None, "classes": None, "gray": True, "width": 24,
    }  # fmt: skip
    with pytest.raises(MienError, match="a width from 8"):
        Folder(root, width=5)


def small_set(name, root):
    """The files of a small data set, for a training."""
    if name == "celeba":
        return celeba_folder(root, count=12)
    if name == "mnist":
        return mnist_folder(root)
    return pictures_in(root, *(f"{i}.png" for i in range(8)))


@pytest.mark.parametrize("name", ["folder", "celeba", "mnist"])
def test_a_copied_run_and_copied_or_touched_data_are_the_same(capsys, tmp_path, monkeypatch, name):
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    root, run = small_set(name, tmp_path / "data"), tmp_path / "run"
    words = ["train", "vae", "--data", name, "--size", "16", "--set", "width=4", "--batch", "4", "--steps", "2"]
    assert mien(capsys, *words, "--root", root, "--out", run)[0] == 0
    copy = Path(shutil.copytree(run, tmp_path / "copy of run", copy_function=shutil.copyfile))
    for path in [*root.rglob("*"), *copy.rglob("*")]:
        os.utime(path, (5, 5))
    new = shutil.copytree(root, tmp_path / "moved", copy_function=shutil.copyfile)
    code, text = mien(capsys, *words, "--root", root, "--out", copy)
    assert (code, "trained 2 steps" in text) == (0, True), text
    code, text = mien(capsys, *words, "--root", new, "--out", copy)
    assert (code, "trained 2 steps" in text) == (0, True), text
    shutil.rmtree(root)
    assert "pass --root" in refused(capsys, "evaluate", copy, "--metric", "reconstruction")
    code, text = mien(capsys, "evaluate", copy, "--metric", "reconstruction", "--root", new)
    assert code == 0, text


def test_changed_data_are_refused_in_words(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    root = small_set("folder", tmp_path / "data")
    words = ["train", "vae", "--data", "folder", "--root", root, "--size", "16", "--set", "width=4", "--batch", "4"]
    assert mien(capsys, *words, "--steps", "2", "--out", tmp_path / "run")[0] == 0
    picture(77, 40, 30).save(root / "3.png")
    code, text = mien(capsys, *words, "--steps", "2", "--out", tmp_path / "run")
    assert code == 2
    assert "its pictures, labels or options of the data set differ" in text
