"""Models, data sets and pictures from outside the package."""

import json
import shutil
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import mien as library
from mien import data as datasets
from mien import models, own_code
from mien.data.memory import Arrays, Items
from mien.data.values import values
from mien.errors import MienError, UnknownName
from mien.experiment import dry_run, train
from mien.run.data import Data
from mien.run.opening import open_run
from mien.run.weights import load
from test_cli import mien, refused

EXAMPLE = Path(__file__).parents[1] / "examples" / "own_model.py"
SMALL = {"width": 4, "latent": 8}


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """No class of a user is known, as in a new process."""
    for registry in (models.own, datasets.own):
        monkeypatch.setattr(registry, "_classes", {})
    monkeypatch.setenv(own_code.CODE, "")
    own_code.load_file.cache_clear()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))

    def forget():
        models.own._classes.clear()
        datasets.own._classes.clear()
        own_code.load_file.cache_clear()
        monkeypatch.setenv(own_code.CODE, "")

    return forget


@pytest.fixture
def own_run(capsys, fresh, tmp_path):
    """A run of the example's model on the example's data, trained by the command."""
    shutil.copy(EXAMPLE, tmp_path / "mine.py")
    words = ["./mine.py:LinearAutoencoder", "--data", "./mine.py:Circles", "--size", "16", "--data-option", "count=40"]
    command = ["train", *words, "--steps", "3", "--batch", "4"]
    assert mien(capsys, *command)[0] == 0
    fresh()
    return command, tmp_path / "runs" / "LinearAutoencoder-Circles-16"


def test_a_file_is_enough(capsys, own_run, tmp_path):
    command, run = own_run
    config = json.loads((run / "config.json").read_text())
    assert config["model"] == "mine.py:LinearAutoencoder"
    assert config["data"]["name"] == "mine.py:Circles"
    assert config["code"]["model"]["file"] == str(tmp_path / "mine.py")
    code, text = mien(capsys, "--code", "mine.py", "reconstruct", run, "--out", "r.png")
    assert code == 0, text
    assert "already" in mien(capsys, *command)[1]  # the same command resumes it
    code, text = mien(capsys, "models", "mine.py:LinearAutoencoder")
    assert code == 0
    assert "Size of the latent." in text
    code, text = mien(capsys, "evaluate", run)
    assert code == 0, text  # this process knows the classes by now
    assert "one linear layer" in mien(capsys, "models")[1]
    assert "count=100" in mien(capsys, "datasets")[1]


@pytest.mark.parametrize("command", ["show", "reconstruct", "evaluate"])
def test_a_run_executes_no_file_that_the_user_did_not_pass(capsys, own_run, tmp_path, command):
    run = own_run[1]
    (tmp_path / "mine.py").write_text("raise SystemExit('executed')")
    line = refused(capsys, command, run)
    assert "mien --code PATH/mine.py COMMAND" in line
    with pytest.raises(MienError, match=r"mien.models.use"):
        load(run)


def test_a_run_of_own_data_alone_asks_for_them(capsys, own_run):
    run = own_run[1]
    models.use("mine.py:LinearAutoencoder")
    datasets.own._classes.clear()
    own_code.load_file.cache_clear()
    with pytest.raises(MienError, match=r"the data set mine.py:Circles, .* mien.data.use"):
        open_run(run)


def test_mistakes_in_own_files_are_one_line(capsys, fresh, tmp_path):
    (tmp_path / "broken.py").write_text("import nothing_of_this_name")
    (tmp_path / "empty.py").write_text("")
    assert "no file" in refused(capsys, "train", "absent.py:M")
    assert "ModuleNotFoundError" in refused(capsys, "train", "broken.py:M")
    assert "expected one model in empty.py, got none" in refused(capsys, "train", "empty.py")
    shutil.copy(EXAMPLE, tmp_path / "mine.py")
    assert "did you mean LinearAutoencoder" in refused(capsys, "train", "mine.py:LinearAutoencodr")
    with pytest.raises(MienError, match=r"subclass of mien\.models\.base\.Model"):
        models.use(dict)
    with pytest.raises(UnknownName, match=r"did you mean vae"):
        models.use("vaee")


def test_a_class_is_passed_in_python(fresh, tmp_path):
    shutil.copy(EXAMPLE, tmp_path / "mine.py")
    module = own_code.load_file(tmp_path / "mine.py")
    data = Data(module.Circles, size=16, options={"count": 30})
    folder, _ = train(module.LinearAutoencoder, data, "run", {"latent": 4}, steps=2, batch=4)
    assert open_run(folder).model.config["latent"] == 4
    assert dry_run(module.LinearAutoencoder, data, steps=2, batch=4)["training_pictures"] == 24


def test_installed_packages_add_models_and_data_sets(capsys, fresh, tmp_path, monkeypatch):
    shutil.copy(EXAMPLE, tmp_path / "installed_package.py")
    monkeypatch.syspath_prepend(tmp_path)
    points = {
        "linear": (models.own, "LinearAutoencoder", "mien.models"),
        "circles": (datasets.own, "Circles", "mien.datasets"),
        "lost": (models.own, "Absent", "mien.models"),
    }
    for registry in (models.own, datasets.own):
        mine = {
            n: metadata.EntryPoint(n, f"installed_package:{c}", g) for n, (r, c, g) in points.items() if r is registry
        }
        monkeypatch.setitem(registry.__dict__, "entry_points", mine)
    assert "linear" in models.names()
    code, text = mien(capsys, "train", "linear", "--data", "circles", "--size", "16", "--steps", "2", "--out", "r")
    assert code == 0, text
    assert json.loads(Path("r/config.json").read_text())["model"] == "linear"
    fresh()
    assert load("r").name == "linear"  # an installed package needs no permission
    assert "cannot be imported" in refused(capsys, "train", "lost")
    code, text = mien(capsys, "models")
    assert code == 0
    assert "cannot be imported" in text


# -- pictures in memory --


def pictures(n=30, channels=3, height=16, width=16):
    return np.random.default_rng(0).integers(0, 256, (n, height, width, channels), np.uint8)


@pytest.mark.parametrize(
    ("x", "shape"),
    [
        (pictures(), (3, 16, 16)),
        (pictures(channels=1), (1, 16, 16)),
        (pictures(channels=1)[..., 0], (1, 16, 16)),
        (pictures(width=24), (3, 16, 24)),
        (torch.from_numpy(pictures().transpose(0, 3, 1, 2).copy()), (3, 16, 16)),
        (pictures().transpose(0, 3, 1, 2) / 127.5 - 1, (3, 16, 16)),
    ],
)
def test_arrays_of_every_form_are_stored_exactly(fresh, x, shape):
    dataset = Data.from_arrays(x).open()
    assert dataset.shape == shape
    stored = dataset.batch(np.arange(len(x))).x.numpy()
    first = np.asarray(x)
    first = first if first.ndim == 4 else first[..., None]
    first = first if first.shape[1] in (1, 3) else first.transpose(0, 3, 1, 2)
    expected = first.astype(np.float32) / np.float32(127.5) - 1 if first.dtype == np.uint8 else first
    assert np.allclose(stored, expected, atol=1e-6)


def test_another_size_is_resized(fresh):
    flat = np.full((6, 16, 32, 3), 100, np.uint8)
    dataset = Data.from_arrays(flat, size=8).open()
    assert dataset.shape == (3, 8, 16)
    assert (dataset.pictures([0]) == 100).all()
    floats = Data.from_arrays(np.full((6, 3, 16, 16), -0.5), size=8).open()
    assert floats.dtype == "float32"
    assert np.allclose(floats.pictures([0]), -0.5)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((0, 8, 8, 3), np.uint8), "array of none"),
        (np.zeros((6, 8, 8, 2), np.uint8), "1 or 3 channels"),
        (np.zeros((6, 8, 8, 3), np.int64), "uint8 or floats"),
        (np.zeros(6), "uint8 or floats"),
        (np.random.default_rng(0).random((6, 3, 8, 8)), r"limits=\(0, 1\)"),
        (np.full((6, 3, 8, 8), np.nan), "NaN"),
        (np.full((6, 3, 8, 8), 255.0), "got 255 to 255"),
    ],
)
def test_arrays_that_are_no_pictures_are_refused(x, message):
    with pytest.raises(MienError, match=message):
        Data.from_arrays(x)


def test_limits_are_black_and_white():
    source = Arrays(np.array([0.0, 1.0]).reshape(2, 1, 1, 1).repeat(8, 2).repeat(8, 3), limits=(0, 1))
    assert source.read(0, 8).max() == -1
    assert source.read(1, 8).min() == 1


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ([[1], [-1], [0]], [1, -1, 0]),  # 0 is unknown beside -1
        ([[1], [0], [0]], [1, -1, -1]),
        ([[True], [False], [True]], [1, -1, 1]),
        ([[1.0], [np.nan], [0.0]], [1, 0, -1]),
        ({"a": [1, 0, 1]}, [1, -1, 1]),
        (torch.tensor([[1], [0], [1]]), [1, -1, 1]),
    ],
)
def test_attributes_in_every_form(attributes, expected):
    assert values(3, attributes).table[:, 0].tolist() == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"attributes": [[2], [1], [0]]}, "got 2"),
        ({"attributes": [[1], [0]]}, r"\(3, A\)"),
        ({"attributes": [[1], [0], [1]], "attribute_names": ["a", "b"]}, "name for each of 1"),
        ({"attribute_names": ["a"]}, "got none"),
        ({"labels": [0.5, 1, 2]}, "whole numbers or texts"),
        ({"labels": [0, 1, 5], "classes": ["a", "b"]}, "to 1, got 0 to 5"),
        ({"labels": ["cat", "dog", "cow"], "classes": ["cat", "dog"]}, "got cow"),
    ],
)
def test_wrong_attributes_and_labels_are_refused(words, message):
    with pytest.raises(MienError, match=message):
        values(3, **words)


def test_labels_of_texts_and_numbers():
    assert values(3, labels=["dog", "cat", "dog"]).classes == ("cat", "dog")
    known = values(3, labels=[2, -1, 0])
    assert known.classes == ("0", "1", "2")
    assert known.labels.tolist() == [2, -1, 0]


class Torch(torch.utils.data.Dataset):
    """Items in the form that a test names."""

    def __init__(self, form, n=30):
        self.form, self.x = form, pictures(n)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        picture, label = self.x[i], i % 2
        tensor = torch.from_numpy(picture.transpose(2, 0, 1).copy())
        return {
            "label": (Image.fromarray(picture), label),
            "bytes": (tensor, torch.tensor(label)),
            "floats": (tensor.float() / 127.5 - 1, label),
            "row": (tensor, torch.tensor([label, 1])),
            "dictionary": {"image": Image.fromarray(picture), "label": label},
            "alone": tensor,
            "random": (torch.rand(3, 16, 16) * 2 - 1, label),
            "unit": (tensor.float() / 255, label),
            "text": ("a.png", label),
        }[self.form]


@pytest.mark.parametrize("form", ["label", "bytes", "floats", "row", "dictionary", "alone"])
def test_torch_data_sets_of_every_form(fresh, form):
    dataset = Data.from_dataset(Torch(form)).open()
    batch = dataset.batch(np.arange(30))
    assert np.allclose(batch.x.numpy(), pictures().transpose(0, 3, 1, 2) / 127.5 - 1, atol=1e-6)
    if form == "row":
        assert batch.attributes[:, 0].tolist() == [-1, 1] * 15
    elif form != "alone":
        assert batch.label.tolist() == [0, 1] * 15


def test_pictures_of_several_sizes_become_squares(fresh):
    items = [Image.new("RGB", (20 + i, 30), (i, 0, 0)) for i in range(8)]
    dataset = Data.from_dataset(items, size=16, name="mixed").open()
    assert dataset.pictures([5])[0, 0, 0].tolist() == [5, 0, 0]


@pytest.mark.parametrize(
    ("form", "message"),
    [("random", "random transforms"), ("unit", r"limits=\(0, 1\)"), ("text", "item 0: expected pictures")],
)
def test_items_that_cannot_be_used_are_refused(form, message):
    with pytest.raises(MienError, match=message):
        Items(Torch(form))


def test_a_run_on_arrays_is_resumed_and_opened_again(capsys, fresh, tmp_path):
    data = Data.from_arrays(pictures(), {"Smiling": np.arange(30) % 2}, size=16)
    folder, _ = library.train("vae", data, "run", SMALL, steps=2, batch=4)
    assert train("vae", data, "run", SMALL, steps=4, batch=4)[1].step == 4
    other = Data.from_arrays(255 - pictures(), {"Smiling": np.arange(30) % 2}, size=16)
    with pytest.raises(MienError, match=r"pictures, labels or options"):
        train("vae", other, "run", SMALL, steps=4, batch=4)
    assert open_run(folder).dataset.attributes == ("Smiling",)  # the prepared form is still there
    code, text = mien(capsys, "evaluate", folder)
    assert code == 0, text
    shutil.rmtree(tmp_path / "cache")
    assert "mien.open_run(run, data=" in refused(capsys, "evaluate", folder)
    with pytest.raises(MienError, match=r"the run was trained on, got others"):
        open_run(folder, data=other)
    assert len(open_run(folder, data=data).splits.test) == 3
    code, text = mien(capsys, "evaluate", folder)
    assert code == 0, text


def test_arrays_and_torch_data_sets_are_taken_as_they_are(fresh):
    assert train("vae", pictures(), "a", SMALL, steps=1, batch=4)[1].finished
    assert train("vae", Torch("label"), "b", SMALL, steps=1, batch=4)[1].finished
    assert open_run("b").data.name == "Torch"
    assert dry_run("vae", pictures(), SMALL, steps=1, batch=4)["pictures"] == 30
