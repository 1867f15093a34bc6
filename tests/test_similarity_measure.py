"""The measure similarity_auc of an evaluation: its protocol, its baseline, and runs without it."""

import json

import numpy as np
import pytest

from mien import evaluation
from mien.abilities import Encodes
from mien.applications.similarity import available
from mien.evaluation import measures
from mien.evaluation.measures.similarity_auc import LEAST
from mien.evaluation.similarity import compare_persons
from mien.experiment import train
from mien.metrics.similarity_auc import draw_pairs
from mien.run.data import Data
from mien.run.opening import open_run
from test_cli import mien
from test_data import celeba_folder

SMALL = {"width": 4, "latent": 8}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A VAE on made-up CelebA, in whose official test part each of 40 persons has two pictures."""
    folder = tmp_path_factory.mktemp("faces")
    root = celeba_folder(folder / "celeba", count=240)
    persons = "".join(f"{i + 1:06d}.jpg {i % 40 + 1}\n" for i in range(240))
    (root / "identity_CelebA.txt").write_text(persons)
    return train("vae", Data("celeba", str(root), 16), folder / "run", SMALL, steps=2, batch=8)[0]


def test_it_equals_a_loop_and_says_what_it_was_taken_of(run):
    opened = open_run(run)
    result = evaluation.evaluate(opened, seed=3, metrics=["similarity_auc"])["similarity_auc"].to_json()
    test, dataset = opened.splits.test, opened.dataset
    same, strangers = [], []
    x = dataset.batch(test).x.flatten(1).double().numpy()
    for i in range(len(test)):
        for j in range(i):
            one_person = dataset.identity[test[i]] == dataset.identity[test[j]]
            (same if one_person else strangers).append(-np.linalg.norm(x[i] - x[j]))
    naive = np.mean([(s > t) + 0.5 * (s == t) for s in same for t in strangers])
    pixels = result["measures"]["pixels"]
    assert pixels["auc"] == pytest.approx(naive, abs=1e-3), "pairs are compared in single precision"
    assert pixels["low"] < pixels["auc"] < pixels["high"]
    assert set(result["measures"]) == {"neighborhood", "shared", "cosine", "distance", "pixels"}
    assert (result["n_same"], result["n_strangers"]) == (len(same), len(strangers)) == (40, 80 * 79 // 2 - 40)
    assert (result["persons"], result["paired_persons"], result["paired_persons_in_training"]) == (40, 40, 40)
    assert (result["split"], result["split_rule"], result["seed"], result["bootstrap"]) == ("test", "official", 3, 1000)
    assert "among the test pictures" in result["protocol"]


def test_the_command_and_the_measure_agree_on_the_same_pictures(run):
    opened = open_run(run)
    measured = evaluation.evaluate(opened, seed=1, metrics=["similarity_auc"])["similarity_auc"]
    pairs = draw_pairs(opened.dataset.identity[opened.splits.test], seed=1)
    output, scores = compare_persons(opened, opened.splits.test, "test", 0.5, pairs, 1, lambda what, done, total: None)
    assert measured.to_json() == {"n": output.n_same, **output.to_json()}
    assert {len(s) for s, _ in scores.values()} == {40}


def test_it_is_usual_and_told_with_its_pictures(capsys, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert measures.get("similarity_auc").usual
    code, text = mien(capsys, "evaluate", run, "--metric", "similarity_auc")
    assert code == 0, text
    words = " ".join(text.replace("│", " ").split())
    assert "pixels alone" in words
    assert "40 pairs" in words
    assert "same-person AUC, neighborhood" in (run / "report.html").read_text()
    code, text = mien(capsys, "similarity", run, "--json")
    assert code == 0, text
    output = json.loads(text)
    assert output["split"] == "valid and test"
    assert "among the valid and test pictures" in output["protocol"]
    assert output["pictures"] > 80


def test_where_it_does_not_apply_and_where_it_cannot_be_taken(run, tmp_path):
    avatars = train("vae", Data("avatars", None, 16, {"count": 80}), tmp_path / "a", SMALL, steps=1)[0]
    metrics = ["reconstruction", "similarity_auc"]
    assert "similarity_auc" not in evaluation.evaluate(open_run(avatars), count=16, metrics=metrics)
    faces = open_run(run)
    few = faces.dataset.identity.copy()
    few[faces.splits.test[40 + LEAST - 1 :]] = -1  # one pair too few
    reasons = ((few, "mien similarity takes valid"), (np.arange(240), "two pictures or more"))
    for seed, (identity, reason) in enumerate(reasons, 101):  # by another seed, nothing measured before is taken over
        faces.dataset.identity = identity
        skipped = evaluation.evaluate(faces, seed=seed, metrics=metrics).skipped["similarity_auc"]
        assert reason in skipped


def test_a_model_that_only_encodes_has_no_neighborhoods(run):
    model = open_run(run).model

    class Eye(Encodes):
        def encode(self, x):
            return model.encode(x)

    z = model.encode(open_run(run).dataset.batch(np.arange(30)).x).mean.detach()
    assert sorted(available(Eye(), z, z)) == ["cosine", "distance", "shared"]
    assert sorted(available(model, z, z)) == ["cosine", "distance", "neighborhood", "shared"]
    pair = np.array([[0, 1], [2, 2]])
    for name, measure in available(Eye(), z, z).items():
        np.testing.assert_array_equal(measure(pair), available(model, z, z)[name](pair))
