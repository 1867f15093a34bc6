"""Every model with every command that its abilities allow, on tiny data."""

import json

import numpy as np
import pytest
from PIL import Image

from mien import models
from test_classes import write_idx
from test_cli import mien, refused

SMALL = {
    "attgan": ["width=4"],
    "attribute_cnn": ["widths=4,4,4,4,4"],
    "cyclegan": ["width=4", "blocks=1", "attribute=Smiling"],
    "iterative_gan": ["width=4", "latent=8", "shared=16"],
    "residual_gan": ["width=4", "attribute=Smiling"],
    "ssavae": ["width=2", "hidden=8", "latent=4"],
    "stargan": ["width=4", "blocks=1"],
}


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """MNIST's format with ten classes, and a picture and a signal to use runs on."""
    folder = tmp_path_factory.mktemp("digits")
    rng = np.random.default_rng(0)
    for part, n in (("train", 120), ("t10k", 20)):
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", rng.integers(0, 255, (n, 28, 28)))
        write_idx(folder / f"{part}-labels-idx1-ubyte.gz", np.arange(n) % 10)
    Image.fromarray(rng.integers(0, 255, (40, 50, 3), np.uint8)).save(folder / "me.png")
    return folder


@pytest.fixture(scope="module")
def loss_network(tmp_path_factory):
    from mien.experiment import train
    from mien.run.data import Data

    data = Data("avatars", None, 16, {"count": 60})
    return train("attribute_cnn", data, tmp_path_factory.mktemp("loss") / "cnn", {"widths": (4,) * 5}, steps=2)[0]


BY_CLASS = ("ssavae", "acgan")  # they recognize the classes of a data set without attributes too


@pytest.mark.parametrize(
    ("name", "source"),
    [*((name, "avatars") for name in models.names()), *((name, "digits") for name in BY_CLASS)],
)
def test_train_evaluate_and_use(name, source, digits, loss_network, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run, me = tmp_path / "run", digits / "me.png"
    data = ["--data", "avatars", "--size", "16", "--data-option", "count=60"]
    if source == "digits":
        data = ["--data", "mnist", "--root", digits, "--size", "16"]
    elif name == "ssavae":
        data += ["--data-option", "classes=hair"]
    from mien.models.base import arguments

    settings = SMALL.get(name, ["width=4", "latent=8"])
    if "loss_network" in arguments(name):
        settings = [*settings, f"loss_network={loss_network}"]
    sets = [word for setting in settings for word in ("--set", setting)]
    has = models.abilities(name)
    steps = ["--steps", "2", "--batch", "8", "--picture-every", "1"]
    code, text = mien(capsys, "train", name, *data, *sets, *steps, "--out", run)
    assert code == 0, text
    assert "trained 2 steps" in text
    if name != "attribute_cnn":
        assert list((run / "pictures").glob("*.png"))
    unjudged = source == "digits" or name in ("attribute_cnn", "dfc_vae", "vae_wgan")
    judge = [] if unjudged else ["--judge", loss_network]
    code, text = mien(capsys, "evaluate", run, "--count", "16", *judge)
    assert code == 0, text
    assert len(json.loads((run / "evaluation.json").read_text())) > 6
    commands = {
        ("Generates",): ["generate", run, "-n", "4", "--out", "a.png"],
        ("Encodes", "Decodes"): ["reconstruct", run, me, "--out", "b.png"],
        ("Decodes", "Encodes"): ["interpolate", run, me, me, "--steps", "3", "--out", "c.png"],
        ("Edits",): ["edit", run, me, "Smiling=+1", "--residual", "--out", "d.png"],
        ("Recognizes",): ["recognize", run, me, "--json"],
    }
    for needed, words in commands.items():
        if set(needed) <= set(has):
            code, text = mien(capsys, *words)
            assert code == 0, text
        elif needed == ("Edits",) and {"Encodes", "Decodes"} <= set(has):
            if source == "digits":
                assert "expected a data set with attributes" in refused(capsys, *words)
            else:
                code, text = mien(capsys, *words)  # by attribute vectors
                assert code == 0, text
        else:
            assert "needed a model that" in refused(capsys, *words)
    code, text = mien(capsys, "show", run)
    assert code == 0, text
    assert name in text


def test_a_model_is_asked_for_attributes(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = ["--data", "avatars", "--size", "16", "--data-option", "count=60"]
    sets = [word for setting in SMALL["iterative_gan"] for word in ("--set", setting)]
    code, text = mien(capsys, "train", "iterative_gan", *data, *sets, "--steps", "2", "--batch", "8", "--out", "run")
    assert code == 0, text
    code, text = mien(capsys, "generate", "run", "-n", "3", "Smiling=+1", "Eyeglasses=-1")
    assert code == 0, text
    assert "did you mean Smiling" in refused(capsys, "generate", "run", "Smilling=1")
    code, text = mien(capsys, "train", "vae", *data, "--set", "width=4", "--steps", "2", "--batch", "8", "--out", "vae")
    assert code == 0, text
    line = refused(capsys, "generate", "vae", "Smiling=1")
    assert "a model that generates pictures with given attributes, got vae: use a run of " in line
    assert "acgan or cgan or iterative_gan" in line


def test_signals_are_trained_on_shown_and_recognized(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    t = np.arange(4000) / 100
    signals = {f"tone_{f}": np.sin(2 * np.pi * f * t).astype(np.float32) for f in (1, 3, 7)}
    np.savez("tones.npz", **signals)
    words = ["--data", "bearing", "--root", "tones.npz", "--size", "64", "--steps", "4", "--batch", "8"]
    sets = ["--set", "width=2", "--set", "hidden=8", "--set", "latent=4"]
    code, text = mien(capsys, "train", "ssavae", *words, *sets, "--picture-every", "2", "--out", "run")
    assert code == 0, text
    code, text = mien(capsys, "evaluate", "run")
    assert code == 0, text
    np.save("measured.npy", signals["tone_3"][:100])
    code, text = mien(capsys, "recognize", "run", "measured.npy", "--json")
    assert code == 0, text
    row = json.loads(text)[0]
    assert sum(row[name] for name in signals) == pytest.approx(1, abs=1e-4)
    code, text = mien(capsys, "reconstruct", "run", "measured.npy", "--out", "r.png")
    assert code == 0, text
    with Image.open("r.png") as drawn:
        assert drawn.width > 100
    np.save("short.npy", np.zeros(10))
    assert "64 samples or more" in refused(capsys, "recognize", "run", "short.npy")


def test_pictures_that_are_not_square(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    np.savez("frey.npz", images=rng.integers(0, 255, (60, 28, 20), np.uint8))
    Image.fromarray(rng.integers(0, 255, (90, 50), np.uint8)).save("me.png")
    words = ["--data", "freyfaces", "--root", "frey.npz", "--steps", "2", "--batch", "8", "--out", "run"]
    code, text = mien(capsys, "train", "vae", *words, "--set", "width=4", "--set", "latent=4")
    assert code == 0, text
    code, text = mien(capsys, "reconstruct", "run", "me.png", "--out", "r.png")
    assert code == 0, text
    words = ["--data", "avatars", "--size", "17", "--data-option", "count=20"]
    assert "height and width halve exactly" in refused(capsys, "train", "vae", *words, "--out", "no")
