"""What commands write: never over what they read, and never silently over what another call wrote."""

import json
import os
import shutil
import sys
import types
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

import mien as mien_
from conftest import tiny
from mien import applications
from mien.applications.arithmetic import attribute_vectors, pictures_to_edit
from mien.applications.basics import check_pictures
from mien.cli import faces, outputs
from mien.errors import MienError, MienWarning, RangeWarning
from mien.experiment import train
from mien.files import sha256
from mien.run import opening
from mien.run.data import Data
from mien.run.opening import cached_amounts, cached_vectors, open_run
from test_cli import mien, refused

DATA = Data("avatars", None, 16, {"count": 80})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("made")
    for name in ("vae", "other"):
        train("vae", DATA, out / name, {"width": 4, "latent": 8}, steps=2, batch=8, seed=len(name))
    train("attribute_cnn", DATA, out / "cnn", {"widths": (4,) * 5}, steps=2, batch=8)
    train("residual_gan", DATA, out / "rgan", {"width": 4, "attribute": "Smiling"}, steps=2, batch=8)
    return out


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder with two photos."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("photo.png", "other.png"):
        Image.fromarray(rng.integers(0, 255, (20, 24, 3), np.uint8)).save(name)
    return tmp_path


def ok(capsys, *words) -> str:
    code, text = mien(capsys, *words)
    assert code == 0, text
    return text


@pytest.mark.parametrize(
    "command", ["edit", "reconstruct", "interpolate", "iterate", "vary", "neighbors", "similarity"]
)
def test_no_command_writes_over_its_picture(made, here, capsys, command):
    os.symlink("photo.png", "link.png")
    os.link("photo.png", "hard.png")
    (here / "sub").mkdir()
    before = sha256("photo.png")
    words = [command, made / "vae", "photo.png", "other.png", *(["Smiling=+1"] if command == "edit" else [])]
    for name in ("photo.png", "./sub/../photo.png", here / "photo.png", "link.png", "hard.png"):
        for force in ([], ["--force"]):
            assert "which this command reads" in refused(capsys, *words, "--out", name, *force)
    assert sha256("photo.png") == before
    assert os.path.islink("link.png")
    assert not list(here.glob("*-steps*"))


def test_a_picture_named_through_a_link_is_protected_too(made, here, capsys):
    os.symlink("photo.png", "link.png")
    before = sha256("photo.png")
    line = refused(capsys, "edit", made / "vae", "link.png", "Smiling=+1", "--out", "photo.png", "--force")
    assert "got photo.png, which this command reads as link.png" in line
    shutil.copy("photo.png", "smiles-steps.png")
    assert "smiles-steps.png, which this command reads" in refused(
        capsys, "edit", made / "vae", "smiles-steps.png", "Smiling=+1", "--out", "smiles.png", "--force"
    )
    assert sha256("photo.png") == sha256("smiles-steps.png") == before


def test_recognize_writes_over_no_picture_and_no_foreign_table(made, here, capsys):
    before = sha256("photo.png")
    assert "which this command reads" in refused(
        capsys, "recognize", made / "cnn", "photo.png", "--out", "photo.png", "--force"
    )
    (here / "mine.csv").write_text("my notes")
    words = ["recognize", made / "cnn", "photo.png", "--out", "mine.csv"]
    assert "mine.csv, which this command did not write" in refused(capsys, *words)
    assert (here / "mine.csv").read_text() == "my notes"
    assert sha256("photo.png") == before
    ok(capsys, *words, "--force")
    table = (here / "mine.csv").read_text()
    assert table.startswith("file,")
    ok(capsys, *words)  # its own table now
    assert (here / "mine.csv").read_text() == table


def test_default_names_get_a_number_and_the_same_call_replaces_its_own(made, here, capsys):
    smile = ["edit", made / "vae", "photo.png", "Smiling=+1"]
    glasses = ["edit", made / "vae", "photo.png", "Eyeglasses=+1"]
    ok(capsys, *smile)
    first = sha256("edited.png")
    assert "wrote edited-2.png" in ok(capsys, *glasses)
    assert sha256("edited.png") == first != sha256("edited-2.png")
    (here / "edited.png").touch()
    text = ok(capsys, *smile, "--residual", "--device", "cpu")
    assert "wrote edited.png" in text
    assert "wrote edited-residual.png" in text
    assert "wrote edited-2.png" in ok(capsys, *glasses)
    assert "wrote edited-3.png" in ok(capsys, "edit", made / "other", "photo.png", "Smiling=+1")
    # an edit of an edit takes another name, and a file that was changed by hand is nobody's
    assert "wrote edited-4.png" in ok(capsys, "edit", made / "vae", "edited.png", "Smiling=+1")
    shutil.copy("photo.png", "edited.png")
    assert "wrote edited-5.png" in ok(capsys, *smile)
    assert sha256("edited.png") == sha256("photo.png")


def test_an_explicit_name_of_another_call_is_refused(made, here, capsys):
    words = ["reconstruct", made / "vae", "photo.png", "--out", "r.png"]
    ok(capsys, *words)
    first = sha256("r.png")
    ok(capsys, *words)
    line = refused(capsys, "reconstruct", made / "other", "photo.png", "--out", "r.png")
    assert "r.png, which another call of mien reconstruct wrote: choose another one, or replace it with --force" in line
    assert sha256("r.png") == first
    ok(capsys, "reconstruct", made / "other", "photo.png", "--out", "r.png", "--force")
    assert sha256("r.png") != first
    assert "another call" in refused(capsys, *words)  # it is the other call's now
    ok(capsys, "reconstruct", made / "vae", "photo.png", "--out", "new/deep/r.png")
    assert sha256("new/deep/r.png") == first


def test_a_failed_call_takes_over_no_file(made, here, capsys):
    shutil.copy("photo.png", "r.png")
    (here / "bad.png").write_text("no picture")
    words = ["reconstruct", made / "vae", "bad.png", "--out", "r.png"]
    refused(capsys, *words, "--force")
    shutil.copy("other.png", "bad.png")
    assert "did not write" in refused(capsys, *words)
    assert sha256("r.png") == sha256("photo.png")


def test_folders_hold_pictures_of_several_calls_but_mix_none(made, here, capsys):
    for name in ("photo.png", "other.png"):
        ok(capsys, "edit", made / "vae", name, "Smiling=+1", "--out", "smiling")
    first = sha256("smiling/photo.png")
    assert "smiling/photo.png, which another call" in refused(
        capsys, "edit", made / "vae", "photo.png", "Eyeglasses=+1", "--out", "smiling"
    )
    assert sha256("smiling/photo.png") == first
    ok(capsys, "generate", made / "vae", "-n", 3, "--out", "new")
    ok(capsys, "generate", made / "vae", "-n", 3, "--out", "new")
    assert "new/000000.png" in refused(capsys, "generate", made / "vae", "-n", 3, "--seed", 1, "--out", "new")
    (here / "in").mkdir()
    shutil.copy("photo.png", "in/photo.png")
    (here / "out").mkdir()
    os.symlink(here / "in/photo.png", "out/photo.png")
    assert "which this command reads" in refused(capsys, "reconstruct", made / "vae", "in", "--out", "out", "--force")
    assert sha256("in/photo.png") == sha256("photo.png")


def test_maps_of_two_runs_do_not_mix(made, here, capsys):
    ok(capsys, "map", made / "vae", "--count", 8, "--kind", "tsne")
    table = (here / "map/map.csv").read_bytes()
    assert "wrote map-2/map.csv" in ok(capsys, "map", made / "other", "--count", 8, "--kind", "tsne")
    assert (here / "map/map.csv").read_bytes() == table
    assert "map/tsne.png" in refused(capsys, "map", made / "other", "--count", 8, "--kind", "tsne", "--out", "map")
    assert "map/map.csv" in refused(capsys, "map", made / "other", "--count", 8, "--kind", "grid", "--out", "map")
    assert sorted(p.name for p in (here / "map").iterdir()) == ["map.csv", "tsne.png"]


def test_the_files_of_a_run_and_of_its_data_are_never_replaced(made, here, capsys):
    run = shutil.copytree(made / "vae", here / "run")
    before = {path: sha256(path) for path in run.rglob("*") if path.is_file()}
    words = ["multiview", run, "--train", 40, "--force", "--out"]
    for name in ("config.json", "progress.json", "attribute_vectors.json"):
        assert "which this command reads" in refused(capsys, *words, run / name)
    sheet = next((run / "pictures").glob("*.png"), None) or run / "pictures/a.png"
    sheet.parent.mkdir(exist_ok=True)
    shutil.copy("photo.png", sheet)
    before[sheet] = sha256(sheet)
    assert "which this command reads" in refused(capsys, "generate", run, "--out", sheet, "--force")
    assert {path: sha256(path) for path in before} == before
    ok(capsys, "generate", run, "-n", 2, "--out", run / "samples.png")  # a new file may lie there
    ok(capsys, "generate", run, "-n", 3, "--out", run / "samples.png", "--force")
    config = json.loads((run / "config.json").read_text())
    config["data"]["root"] = str(here / "data")
    (run / "config.json").write_text(json.dumps(config))
    (here / "data").mkdir()
    shutil.copy("photo.png", "data/a.png")
    assert "which this command reads in" in refused(capsys, "generate", run, "--out", "data/a.png", "--force")
    assert sha256("data/a.png") == sha256("photo.png")


def test_every_command_with_out_has_force():
    from test_cli import commands

    # train refuses a folder that is not its own run; a file of reproduce is named by its recipe and scale
    without = {"train", "reproduce"}
    for name, command in commands().items():
        options = {option for parameter in command.params for option in parameter.opts}
        if "--out" in options and name not in without | {"demo"}:
            assert "--force" in options, name


def test_a_cache_that_cannot_be_written_is_one_line(made, here, capsys, monkeypatch):
    (here / "file").write_text("")
    monkeypatch.setattr("mien.data.cache_dir", lambda: here / "file")
    words = ["reconstruct", made / "vae", "photo.png", "--out", "r.png"]
    text = ok(capsys, *words)
    lines = [line for line in text.splitlines() if line.startswith("warning: ")]
    assert len(lines) == 1
    assert "the cache cannot be written (Not a directory)" in lines[0] or "File exists" in lines[0]
    assert "did not write" in refused(capsys, *words)
    ok(capsys, *words, "--force")


# ---- runs that cannot be written


@pytest.fixture
def read_only(made, here, monkeypatch):
    """A copy of a run without vectors, whose folder cannot be written; a list of the writes that failed."""
    run = shutil.copytree(made / "vae", here / "shared")
    for file in run.glob("attribute_vectors*"):
        file.unlink()
    failed = []
    write_json, save, access = opening.write_json, opening.AttributeVectors.save, os.access

    def check(path):
        if str(path).startswith(str(run)):
            failed.append(path)
            raise MienError(f"could not write {path}: Read-only file system")

    monkeypatch.setattr(opening, "write_json", lambda path, value: (check(path), write_json(path, value)))
    monkeypatch.setattr(opening.AttributeVectors, "save", lambda self, path: (check(path), save(self, path)))
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).startswith(str(run)) and access(path, mode))
    monkeypatch.setenv("MIEN_CACHE", str(here / "cache"))
    return run, failed


def test_a_run_that_cannot_be_written_edits(read_only, here, capsys):
    run, failed = read_only
    text = ok(capsys, "edit", run, "photo.png", "Smiling=+1", "--out", "e.png")
    assert "warning" not in text
    assert failed
    assert not list(run.glob("attribute_vectors*"))
    expected = attribute_vectors(*(lambda opened: (opened.model, opened.dataset, opened.index))(open_run(run)))
    torch.testing.assert_close(cached_vectors(run).vectors, expected.vectors)
    failed.clear()
    ok(capsys, "edit", run, "photo.png", "Smiling=+1", "--out", "e.png")
    assert not failed, "the vectors came from the cache"
    opened = open_run(run)
    opened.keep_amounts({"Smiling": 2.0}, "0" * 64)
    assert cached_amounts(run) == {"Smiling": 2.0}
    assert cached_vectors(run) is not None


def test_vectors_that_cannot_be_kept_anywhere_are_a_warning(read_only, here, capsys, monkeypatch):
    run, _ = read_only
    (here / "file").write_text("")
    monkeypatch.setattr(opening, "cache_dir", lambda: here / "file")
    text = ok(capsys, "edit", run, "photo.png", "Smiling=+1", "--out", "e.png")
    lines = [line for line in text.splitlines() if line.startswith("warning: ")]
    assert len(lines) == 1
    assert "the attribute vectors of" in lines[0]
    assert "Read-only file system" in lines[0]
    assert (here / "e.png").exists()
    run = open_run(run)
    with pytest.warns(MienWarning, match="were not kept"):
        vectors = run.vectors()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run.vectors() is vectors, "they are computed once"


def test_evaluate_says_before_it_measures_that_its_results_have_no_place(read_only, here, capsys, monkeypatch):
    run, _ = read_only
    (here / "file").write_text("")
    monkeypatch.setenv("MIEN_CACHE", str(here / "cache"))
    monkeypatch.setattr(opening, "cache_dir", lambda: here / "file")
    monkeypatch.setattr("mien.evaluation.evaluate", lambda *args: pytest.fail("it measured"))
    assert "pass --out FOLDER" in refused(capsys, "evaluate", run, "--count", 16, "--metric", "reconstruction")


def test_evaluate_writes_elsewhere(made, read_only, here, capsys):
    run, _ = read_only
    text = ok(capsys, "evaluate", run, "--count", 16, "--metric", "reconstruction", "--out", "measured")
    assert "wrote measured/evaluation.json" in text
    assert json.loads((here / "measured/evaluation.json").read_text())["reconstruction"]["n"] > 0
    assert (here / "measured/report.html").read_text().startswith("<!doctype html>") or (
        "<html" in (here / "measured/report.html").read_text()
    )
    assert not (run / "evaluation.json").exists()
    assert not (run / "report.html").exists()
    # another measure of the same run is added; another run is refused
    ok(capsys, "evaluate", run, "--count", 16, "--metric", "latent_svm", "--out", "measured")
    assert {"reconstruction", "latent_svm"} <= json.loads((here / "measured/evaluation.json").read_text()).keys()
    assert "measured/evaluation.json" in refused(capsys, "evaluate", made / "other", "--out", "measured")
    (here / "file").write_text("mine")
    assert "expected a folder for --out" in refused(capsys, "evaluate", run, "--out", "file")
    # without --out the results go to the cache
    text = ok(capsys, "evaluate", run, "--count", 16, "--metric", "reconstruction")
    (path,) = (here / "cache/runs").rglob("evaluation.json")
    assert str(path) in text


def test_vectors_are_made_at_the_end_of_training(made, here, capsys, monkeypatch):
    stored = cached_vectors(made / "vae")
    opened = open_run(made / "vae")
    torch.testing.assert_close(stored.vectors, attribute_vectors(opened.model, opened.dataset, opened.index).vectors)
    assert cached_vectors(made / "rgan") is None, "it edits by itself"
    assert cached_vectors(made / "cnn") is None
    run = shutil.copytree(made / "vae", here / "shared")
    monkeypatch.setattr(opening, "open_run", lambda *_, **__: pytest.fail("the data were opened"))
    ok(capsys, "edit", run, "photo.png", "Smiling=+1", "--out", "e.png")


# ---- pictures to edit


def test_held_out_pictures_lack_what_is_added_and_have_what_is_removed(made, here, capsys):
    opened = open_run(made / "vae")
    dataset, test = opened.dataset, opened.splits.test
    column = {name: dataset.attribute_table[:, dataset.attributes.index(name)] for name in ("Smiling", "Eyeglasses")}
    chosen, exact = pictures_to_edit(dataset, test, {"Smiling": 1.0}, 3)
    assert exact == len(chosen) == 3
    assert set(chosen) <= set(test)
    assert (column["Smiling"][chosen] == -1).all()
    chosen, exact = pictures_to_edit(dataset, test, {"Smiling": -1.0, "Eyeglasses": 1.0}, 50)
    suits = (column["Smiling"][test] == 1) & (column["Eyeglasses"][test] == -1)
    assert exact == suits.sum()
    assert set(chosen[:exact]) == set(test[suits])
    assert sorted(chosen) == sorted(test), "the others follow"
    one_fits = (column["Smiling"][chosen] == 1).astype(int) + (column["Eyeglasses"][chosen] == -1)
    assert (np.diff(one_fits) <= 0).all()
    x = dataset.batch(pictures_to_edit(dataset, test, {"Smiling": 1.0}, 6)[0]).x
    vectors = cached_vectors(made / "vae")
    text = ok(capsys, "edit", made / "vae", "Smiling=+1", "--out", "new")
    count = min(6, int((column["Smiling"][test] == -1).sum()))
    assert f"{count} held-out pictures without Smiling" in text
    edited = applications.edit(mien_.load(made / "vae"), x, {"Smiling": 1.0}, vectors)
    from mien.data.pictures import from_float

    for number, picture in enumerate(from_float(edited.numpy())):
        assert (np.asarray(Image.open(f"new/held-out-{number:03d}.png")) == picture).all()


def test_a_sheet_of_edits_does_not_name_them_reconstructions(made, here, capsys, monkeypatch):
    from mien import figures

    labels = []
    save = figures.save
    monkeypatch.setattr(figures, "save", lambda figure, path: (labels.append(figure.get_label()), save(figure, path)))
    ok(capsys, "edit", made / "rgan", "Smiling=+1", "--out", "e.svg")
    assert len(labels) == 2
    assert all("econstruct" not in label for label in labels)
    text = (here / "e.svg").read_text() + (here / "e-steps.svg").read_text()
    assert "econstruct" not in text


# ---- warnings


def bright(least=0.05) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return least + (1 - least) * torch.rand(3, 3, 16, 16, generator=generator)


def test_the_guard_looks_at_what_the_user_passed_in():
    vae = tiny("vae").eval()
    with pytest.warns(RangeWarning, match=r"seem to be in \[0, 1\]"):
        check_pictures(vae, bright())
    with torch.inference_mode():
        output = bright() * 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_pictures(vae, output)  # made by a model
        mixed = torch.cat([bright(), -torch.ones(1, 3, 16, 16), bright().repeat(50, 1, 1, 1)])
        from mien.applications.iterate import iterate
        from mien.applications.neighbors import latents
        from mien.applications.residuals import residuals

        latents(vae, mixed)  # a part of these pictures is bright
        iterate(vae, mixed, 1)
        residuals(tiny("residual_gan", attributes=("Smiling",)).eval(), mixed, {"Smiling": 1})


def test_bright_photos_raise_no_warning_and_others_are_one_line(made, here, capsys):
    for name in ("a.png", "b.png"):
        rng = np.random.default_rng(ord(name[0]))
        Image.fromarray(rng.integers(130, 255, (16, 16, 3)).astype(np.uint8)).save(name)
    for words in (
        ["edit", made / "vae", "a.png", "b.png", "Smiling=+1"],
        ["recognize", made / "cnn", "a.png", "b.png"],
    ):
        assert "warning" not in ok(capsys, *words).lower()
    with outputs.plain_warnings():
        warnings.warn("two\nlines", MienWarning, stacklevel=1)
        warnings.warn("in [0, 1]", RangeWarning, stacklevel=1)
    assert capsys.readouterr().err == "warning: two\\nlines\n"


# ---- faces


@pytest.fixture
def of_celeba(made, here):
    """A recognizer, an editor and a VAE whose configurations name CelebA."""
    for name in ("cnn", "vae"):
        run = shutil.copytree(made / name, here / "faces" / name)
        config = json.loads((run / "config.json").read_text())
        config["data"]["name"] = "celeba"
        (run / "config.json").write_text(json.dumps(config))
    return here / "faces"


def detector(monkeypatch, result):
    """Install a substitute of dlib whose detector sees a face where ``result`` says so; return the calls."""
    calls = []

    def detect(picture, upsampling):
        calls.append(picture.shape)
        return [object()] if result(picture) else []

    fake = types.ModuleType("dlib")
    fake.get_frontal_face_detector = lambda: detect
    fake.__spec__ = types.SimpleNamespace(name="dlib")
    monkeypatch.setitem(sys.modules, "dlib", fake)
    faces._detector.cache_clear()
    return calls


def test_pictures_without_a_face_are_named(of_celeba, made, here, capsys, monkeypatch):
    Image.new("RGB", (20, 20), (250, 250, 250)).save("face.png")
    calls = detector(monkeypatch, lambda picture: picture.mean() > 200)
    for words in (
        ["recognize", of_celeba / "cnn", "photo.png", "--no-align"],
        ["edit", of_celeba / "vae", "photo.png", "--no-align", "Smiling=+1", "--out", "e.png"],
        ["edit", of_celeba / "vae", "photo.png", "--no-align", "Smiling=+1", "--out", "folder"],
        ["reconstruct", of_celeba / "vae", "photo.png", "--no-align", "--out", "r.png"],
        ["reconstruct", of_celeba / "vae", "photo.png", "--no-align", "--out", "folder2"],
    ):
        lines = [line for line in ok(capsys, *words).splitlines() if line.startswith("warning: ")]
        assert len(lines) == 1, words
        assert "no face of the expected size was detected in photo.png" in lines[0]
    assert "warning" not in ok(capsys, "recognize", "--no-align", of_celeba / "cnn", "face.png")
    text = ok(capsys, "recognize", "--no-align", of_celeba / "cnn", "photo.png", "face.png", "other.png")
    assert "in 2 of 3 pictures (photo.png, other.png)" in text
    assert json.loads(mien_stdout(capsys, "recognize", of_celeba / "cnn", "photo.png", "--no-align", "--json"))
    assert set(calls) == {(256, 256, 3)}
    del calls[:]
    assert "warning" not in ok(capsys, "recognize", made / "cnn", "photo.png"), "avatars are no photographs"
    assert not calls
    monkeypatch.setattr(faces, "MOST", 1)
    assert "in 1 of the first 1 pictures" in ok(
        capsys, "recognize", "--no-align", of_celeba / "cnn", "photo.png", "other.png"
    )
    monkeypatch.setattr(faces.importlib.util, "find_spec", lambda name: None)
    assert "warning" not in ok(capsys, "recognize", "--no-align", of_celeba / "cnn", "photo.png"), "without the extra"


def mien_stdout(capsys, *words) -> str:
    from mien.cli import app

    capsys.readouterr()
    app([str(word) for word in words], standalone_mode=False)
    return capsys.readouterr().out


def test_the_real_detector_tells_a_face_from_coffee(real_data, capsys, tmp_path):
    pytest.importorskip("dlib")
    faces._detector.cache_clear()
    photos = real_data / "photos"
    if not photos.is_dir():
        pytest.skip(f"no photos in {photos}")
    with Image.open(photos / "formats_pillow" / "hopper.png") as picture:
        picture.convert("RGB").save(tmp_path / "hopper.png")
    text = ok(
        capsys, "recognize", "--no-align", "recognizer-64", tmp_path / "hopper.png", photos / "no_face" / "coffee.png"
    )
    assert "in 1 of 2 pictures (coffee.png)" in text


@pytest.mark.parametrize("failed", [True, False])
def test_a_failed_call_does_not_warn_about_the_record_of_its_files(failed, tmp_path, monkeypatch, capsys):
    """On a full disk, the error is the only line."""

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(outputs, "_append", full)

    def call():
        with outputs.calling("edit", {}):
            outputs.claim([tmp_path / "a.png"])
            (tmp_path / "a.png").write_text("x")
            if failed:
                raise MienError("expected room")

    if failed:
        with pytest.raises(MienError, match="expected room"):
            call()
    else:
        call()
    assert ("the cache cannot be written" in capsys.readouterr().err) == (not failed)
