"""Commands on folders of pictures: the results equal those of a single call, and each file has the picture's name."""

import csv
import json
import os
import re
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import mien as mien_
from mien import applications
from mien.applications import basics
from mien.data import reading
from mien.data.pictures import from_float
from mien.data.reading import read_pictures, read_shape
from mien.experiment import train
from mien.run.data import Data
from mien.run.opening import cached_vectors
from test_cli import mien, refused

COUNT = 11


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A VAE, a classifier, a model with the ability Edits, and a folder of pictures of several sizes."""
    out = tmp_path_factory.mktemp("many")
    data = Data("avatars", None, 16, {"count": 60})
    train("vae", data, out / "vae", {"width": 4, "latent": 8}, steps=2, batch=8)
    train("attribute_cnn", data, out / "cnn", {"widths": (4,) * 5}, steps=2, batch=8)
    train("residual_gan", data, out / "rgan", {"width": 4, "attribute": "Smiling"}, steps=2, batch=8)
    rng = np.random.default_rng(0)
    (out / "photos").mkdir()
    for number in range(COUNT):
        coarse = Image.fromarray(rng.integers(0, 255, (4, 4, 3), np.uint8))
        coarse.resize((20 + number, 24), Image.Resampling.BICUBIC).save(out / "photos" / f"p{number:02d}.png")
    (out / "photos" / "notes.txt").write_text("no picture")
    return out


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Four pictures at a time, and a record of how many were read at once."""
    read = []

    def counted(files, model):
        read.append(len(files))
        return read_pictures(files, model)

    monkeypatch.setattr(basics, "BATCH", 4)
    monkeypatch.setattr(reading, "read_pictures", counted)
    return read


def opened(path):
    return np.asarray(Image.open(path))


@pytest.fixture
def x(made):
    return read_shape(sorted((made / "photos").glob("*.png")), (3, 16, 16))


def test_a_folder_is_reconstructed_into_a_folder(made, x, small_parts, capsys, tmp_path):
    code, text = mien(capsys, "reconstruct", made / "vae", made / "photos", "--out", tmp_path / "again")
    assert code == 0, text
    assert "11 pictures: PSNR" in text
    assert small_parts == [4, 4, 3]
    assert sorted(p.name for p in (tmp_path / "again").iterdir()) == [f"p{n:02d}.png" for n in range(COUNT)]
    expected = from_float(applications.reconstruct(mien_.load(made / "vae"), x).numpy())
    for number in range(COUNT):
        assert (opened(tmp_path / "again" / f"p{number:02d}.png") == expected[number]).all()


@pytest.mark.parametrize("run", ["vae", "rgan"])
def test_a_folder_is_edited_into_a_folder(made, x, run, capsys, tmp_path):
    words = ["edit", made / run, made / "photos", "Smiling=+1", "--residual", "--out", tmp_path / "smiling"]
    code, text = mien(capsys, *words)
    assert code == 0, text
    model = mien_.load(made / run)
    vectors = cached_vectors(made / run) if run == "vae" else None
    y = applications.edit(model, x, {"Smiling": 1.0}, vectors)
    for number, picture in enumerate(from_float(y.numpy())):
        assert (opened(tmp_path / "smiling" / f"p{number:02d}.png") == picture).all()
    gray = opened(tmp_path / "smiling" / "p00-residual.png").astype(int) - 127.5
    assert np.abs(gray - (y[0] - x[0]).permute(1, 2, 0).numpy() * 127.5 / 2).max() <= 1
    assert len(list((tmp_path / "smiling").iterdir())) == 2 * COUNT


def test_models_that_edit_take_a_part_at_a_time(made, x, monkeypatch):
    model, sizes = mien_.load(made / "rgan"), []
    edit = type(model).edit

    def counted(self, part, amounts):
        sizes.append(len(part))
        return edit(self, part, amounts)

    monkeypatch.setattr(type(model), "edit", counted)
    many = x.repeat(12, 1, 1, 1)
    y = applications.edit(model, many, {"Smiling": 1.0})
    assert sizes == [128, 4]
    torch.testing.assert_close(y[-COUNT:], y[:COUNT])


def test_held_out_pictures_go_into_a_folder_too(made, capsys, tmp_path):
    code, text = mien(capsys, "edit", made / "vae", "Smiling=+1", "--out", tmp_path / "new")
    assert code == 0, text
    assert [p.name for p in sorted((tmp_path / "new").iterdir())] == [f"held-out-{n:03d}.png" for n in range(6)]


def test_generated_pictures_are_those_of_a_sheet(made, capsys, tmp_path):
    code, text = mien(capsys, "generate", made / "vae", "-n", "10", "--seed", "3", "--out", tmp_path / "new")
    assert code == 0, text
    expected = from_float(applications.generate(mien_.load(made / "vae"), 10, seed=3).numpy())
    for number in range(10):
        assert (opened(tmp_path / "new" / f"{number:06d}.png") == expected[number]).all()
    assert len(list((tmp_path / "new").iterdir())) == 10


def test_many_are_recognized_line_by_line_and_into_a_table(made, x, small_parts, capsys, tmp_path):
    code, text = mien(capsys, "recognize", made / "cnn", made / "photos")
    assert code == 0, text
    assert small_parts == [4, 4, 3]
    assert [line.partition(":")[0] for line in text.splitlines()[-COUNT:]] == [f"p{n:02d}.png" for n in range(COUNT)]
    code, text = mien(capsys, "recognize", made / "cnn", made / "photos", "--out", tmp_path / "t.csv")
    assert code == 0, text
    rows = list(csv.DictReader((tmp_path / "t.csv").read_text().splitlines()))
    model = mien_.load(made / "cnn")
    expected = applications.recognize(model, x).numpy()
    assert [row["file"] for row in rows] == [str(made / "photos" / f"p{n:02d}.png") for n in range(COUNT)]
    got = np.array([[float(row[name]) for name in model.attributes] for row in rows])
    assert got == pytest.approx(expected, abs=5e-5)


def test_what_cannot_be_done_is_said_before_anything_is(made, capsys, tmp_path, monkeypatch):
    from mien.cli import many

    (tmp_path / "empty").mkdir()
    photos = made / "photos"
    assert "expected pictures in" in refused(
        capsys, "reconstruct", made / "vae", tmp_path / "empty", "--out", tmp_path / "y"
    )
    shutil.copytree(photos, tmp_path / "photos")
    same = refused(capsys, "edit", made / "vae", photos, tmp_path / "photos", "Smiling=1", "--out", tmp_path / "y")
    assert "both would become" in same
    assert "expected another folder for --out" in refused(capsys, "reconstruct", made / "vae", photos, "--out", photos)
    monkeypatch.setattr(many, "ON_A_SHEET", 10)
    assert "up to 10 pictures on one sheet, got 11: pass --out folder/" in refused(
        capsys, "reconstruct", made / "vae", photos, "--out", tmp_path / "y.png"
    )
    assert "pass --out table.csv" in refused(capsys, "recognize", made / "cnn", photos, "--out", tmp_path / "y.png")
    assert not (tmp_path / "y").exists()


def test_what_cannot_be_read_in_a_folder_is_left_out_and_named(made, capsys, tmp_path):
    photos = tmp_path / "photos"
    shutil.copytree(made / "photos", photos)
    (photos / "p05.png").write_bytes((photos / "p05.png").read_bytes()[:100])
    (photos / "._p01.png").write_bytes(b"of another system")
    code, text = mien(capsys, "reconstruct", made / "vae", photos, "--out", tmp_path / "again")
    assert code == 0, text
    assert "left out" in text
    assert "p05.png: truncated" in text.replace("\n", "")
    assert "._p01" not in text
    assert "10 pictures: PSNR" in text
    assert len(list((tmp_path / "again").iterdir())) == COUNT - 1
    assert (opened(tmp_path / "again" / "p06.png") != opened(tmp_path / "again" / "p04.png")).any()
    code, text = mien(capsys, "recognize", made / "cnn", photos, "--out", tmp_path / "t.csv")
    assert code == 0, text
    assert len((tmp_path / "t.csv").read_text().splitlines()) == COUNT
    # given by name, it is an error
    assert "truncated" in refused(capsys, "recognize", made / "cnn", photos / "p05.png")
    shutil.rmtree(photos)
    photos.mkdir()
    (photos / "a.png").write_bytes(b"no picture")
    assert "none of 1 that can be read" in refused(capsys, "reconstruct", made / "vae", photos, "--out", tmp_path / "z")
    assert "none of 1 that can be read" in refused(capsys, "recognize", made / "cnn", photos)


def test_names_that_would_meet_and_odd_ones(made, capsys, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("a.png", "a-residual.png"):
        shutil.copy(made / "photos" / "p01.png", photos / name)
    words = ["edit", made / "vae", photos, "Smiling=1", "--out", tmp_path / "y"]
    assert mien(capsys, *words)[0] == 0
    assert "both would become" in refused(capsys, *words, "--residual")
    (tmp_path / "notes").write_text("mine")
    assert "a file" in refused(capsys, "generate", made / "vae", "--out", tmp_path / "notes")
    assert (tmp_path / "notes").read_text() == "mine"
    (tmp_path / "link").symlink_to(photos)
    assert "expected another folder" in refused(capsys, "edit", *words[1:4], "--out", tmp_path / "link")
    (tmp_path / "dot.d").mkdir()
    assert mien(capsys, "generate", made / "vae", "-n", "2", "--out", tmp_path / "dot.d")[0] == 0
    odd = os.fsdecode(bytes(photos) + b"/caf\xe9[red].png")
    try:
        shutil.copy(made / "photos" / "p02.png", odd)
    except OSError:
        pytest.skip("this file system takes no name but UTF-8")
    code, text = mien(capsys, "recognize", made / "cnn", photos, "--out", tmp_path / "t.csv")
    assert code == 0, text
    assert b"caf\xe9[red].png" in (tmp_path / "t.csv").read_bytes()


def test_what_is_said_of_many(made, x, capsys):
    model = mien_.load(made / "cnn")
    expected = applications.recognize(model, x).numpy()
    code, text = mien(capsys, "recognize", made / "cnn", made / "photos")
    assert code == 0, text
    for line, row in zip(text.splitlines()[-COUNT:], expected, strict=True):
        order = [a for a in (-row).argsort() if row[a] > 0.5]
        message = ", ".join(f"{model.attributes[a]} {row[a]:.2f}" for a in order) or "nothing"
        assert line.partition(": ")[2] == message
    main_ = mien_main(capsys, "recognize", made / "cnn", made / "photos", "--json")
    assert [row["file"] for row in json.loads(main_)] == [str(made / "photos" / f"p{n:02d}.png") for n in range(COUNT)]


def mien_main(capsys, *words):
    """The output of a command on stdout only."""
    from mien.cli import app

    capsys.readouterr()
    app([str(word) for word in words], standalone_mode=False)
    return capsys.readouterr().out


def test_signals_come_back_as_signals(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    t = np.arange(4000) / 100
    signals = {f"tone_{f}": np.sin(2 * np.pi * f * t).astype(np.float32) for f in (1, 3)}
    np.savez("tones.npz", **signals)
    data = Data("bearing", "tones.npz", 64, {})
    train("ssavae", data, tmp_path / "run", {"width": 2, "hidden": 8, "latent": 4}, steps=4, batch=8)
    (tmp_path / "measured").mkdir()
    for name, signal in signals.items():
        np.save(tmp_path / "measured" / f"{name}.npy", signal[:100])
    code, text = mien(capsys, "reconstruct", "run", "measured", "--out", "again")
    assert code == 0, text
    again = np.load(tmp_path / "again" / "tone_3.npy", allow_pickle=False)
    x = read_shape([tmp_path / "measured" / "tone_3.npy"], (1, 1, 64))
    assert again == pytest.approx(applications.reconstruct(mien_.load("run"), x)[0, 0, 0].numpy(), abs=1e-6)


def test_a_row_for_each_window_of_a_recording(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    np.savez("noise.npz", **{name: rng.normal(size=1000).astype(np.float32) for name in ("normal", "ball_7")})
    data = Data("bearing", str(tmp_path / "noise.npz"), 64)
    train("ssavae", data, tmp_path / "run", {"width": 4, "hidden": 8, "latent": 4}, steps=2, batch=8, device="cpu")
    recording = rng.normal(size=64 * 6 + 10)
    np.save("recording.npy", recording)
    code, _ = mien(capsys, "recognize", "run", "recording.npy", "--windows", "--out", "rows.csv")
    assert code == 0
    rows = list(csv.reader((tmp_path / "rows.csv").read_text().splitlines()))
    assert [row[0] for row in rows[1:]] == [f"recording.npy@{64 * i}" for i in range(6)]
    code, text = mien(capsys, "recognize", "run", "recording.npy")
    assert code == 0
    assert "only the first 64 samples of each are read" in text
    np.save("third.npy", recording[128:192])
    model = mien_.open_run("run").model
    alone = applications.recognize(model, read_shape(["third.npy"], (1, 1, 64))).numpy()[0]
    assert [float(value) for value in rows[3][1:]] == pytest.approx(alone.tolist(), abs=1e-4)
    recording[70] = np.nan
    np.save("broken.npy", recording)
    assert "got others in broken.npy, samples from 64 on" in refused(
        capsys, "recognize", "run", "broken.npy", "--windows"
    )


def test_windows_are_of_signals(made, capsys):
    text = refused(capsys, "recognize", made / "cnn", made / "photos", "--windows")
    assert "expected a model of signals for windows, got attribute_cnn of pictures" in text


def test_tables_of_signals_are_not_about_pictures(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    np.savez("noise.npz", **{name: rng.normal(size=2000).astype(np.float32) for name in ("normal", "ball_7")})
    code, text = mien(
        capsys, "train", "ssavae", "--data", "bearing", "--root", "noise.npz", "--size", "64", "--steps", "6",
        "--set", "width=4", "--batch", "8", "--device", "cpu", "--out", "run",
    )  # fmt: skip
    assert code == 0, text
    assert "signals/s" in text
    assert "images" not in text
    names = ("classes", "baselines", "reconstruction")
    code, text = mien(capsys, "evaluate", "run", *[word for name in names for word in ("--metric", name)])
    assert code == 0, text
    assert "held-out signals" in text
    assert "64 samples" in text
    assert "picture" not in text
    assert "px" not in text
    page = (tmp_path / "run" / "report.html").read_text()
    assert "64 samples" in page
    body = page[page.index("<main") :]
    assert "held-out signals" in body
    assert "icture" not in re.sub(r'"data:[^"]*"', "", body)
    code, text = mien(capsys, "show", "run")
    assert "64 samples" in text
    assert "px" not in text
