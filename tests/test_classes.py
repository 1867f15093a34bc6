"""Data sets with classes instead of attributes: training, recognition and a judge, end to end."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from mien import evaluation
from mien.errors import MienError
from mien.experiment import train
from mien.metrics.classes import class_accuracy, latent_classes
from mien.run.data import Data
from mien.run.opening import open_run


def write_idx(path: Path, values: np.ndarray) -> None:
    head = bytes([0, 0, 8, values.ndim]) + b"".join(n.to_bytes(4, "big") for n in values.shape)
    path.write_bytes(gzip.compress(head + values.astype(np.uint8).tobytes()))


@pytest.fixture(scope="module")
def bars(tmp_path_factory):
    """Ten classes of pictures in MNIST's format: the position of a bright bar is the class."""
    folder = tmp_path_factory.mktemp("bars")
    rng = np.random.default_rng(0)
    for part, n in (("train", 600), ("t10k", 120)):
        label = np.arange(n) % 10
        pictures = rng.integers(0, 40, (n, 28, 28))
        for picture, k in zip(pictures, label, strict=True):
            picture[:, 2 + 2 * k : 5 + 2 * k] = 220
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", pictures)
        write_idx(folder / f"{part}-labels-idx1-ubyte.gz", label)
    return folder


@pytest.fixture(scope="module")
def runs(bars, tmp_path_factory):
    """A classifier and an autoencoder trained on the bars."""
    out = tmp_path_factory.mktemp("runs")
    data = Data("mnist", str(bars), 32)
    judge, _ = train("attribute_cnn", data, out / "judge", {"widths": (8, 8, 16, 16, 16)}, steps=60, batch=32)
    vae, _ = train("vae", data, out / "vae", {"width": 4, "latent": 8, "lr": 3e-3, "sigma": 0.2}, steps=60, batch=32)
    return judge, vae


def test_a_classifier_of_classes_is_evaluated(runs):
    scores = evaluation.evaluate(open_run(runs[0]))["classes"].recognition
    assert scores.n == 120
    assert scores.majority_baseline == pytest.approx(0.1)
    assert scores.accuracy > 0.5
    assert list(scores.per_class) == list("0123456789")


def test_reconstructions_are_judged_by_their_class(runs):
    result = evaluation.evaluate(open_run(runs[1]), runs[0])
    classes = result["classes"]
    assert classes.latent_svm.accuracy > 0.5
    assert classes.latent_svm.n_train == 550
    # what the judge says of reconstructions cannot agree with the labels more often than both chances allow
    assert 0 <= classes.agreement.accuracy <= 1
    assert classes.agreement.majority_baseline is None
    assert classes.judge_on_real.accuracy > classes.judge_on_real.majority_baseline
    assert classes.judge_on_reconstructions.n == 120
    assert "feature_fid" in result
    assert "latent_svm" not in result, "there are no attributes to fit SVMs on"


def test_a_judge_of_other_things_is_refused(runs, tmp_path):
    data = Data("avatars", None, 32, {"count": 60})
    other, _ = train("attribute_cnn", data, tmp_path / "other", {"widths": (4,) * 5}, steps=2, batch=8)
    with pytest.raises(MienError, match="judge"):
        evaluation.evaluate(open_run(runs[1]), other)


def test_class_accuracy_leaves_out_the_unknown():
    scores = class_accuracy(np.array([0, 1, 1]), np.array([0, 0, -1]), ("a", "b"))
    assert scores["n"] == 2
    assert scores["accuracy"] == 0.5
    assert list(scores["per_class"]) == ["a"]


def test_latent_classes_finds_separated_clouds():
    rng = np.random.default_rng(0)
    y = np.arange(300) % 3
    z = rng.normal(size=(300, 4)) + 6 * np.eye(4)[y]
    assert (latent_classes(z[:200], y[:200], z[200:]) == y[200:]).mean() > 0.95
