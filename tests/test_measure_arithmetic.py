"""The arithmetic of the measures on values small enough to compute by hand."""

import json

import numpy as np
import pytest
import torch

from mien import evaluation
from mien.experiment import train
from mien.metrics.edits import counterfactual_distance, edit_accuracy
from mien.run.data import Data
from mien.run.opening import open_run

ATTRIBUTES = ("Smiling", "Male", "Young")


def test_leakage_counts_every_change_of_mind():
    """The pixels are the judge's probabilities; the edit changes other attributes in both directions."""
    plain = torch.tensor([[0.1, 0.9, 0.9], [0.1, 0.9, 0.1], [0.9, 0.1, 0.1], [0.9, 0.1, 0.9]])  # (B, A)
    after = torch.tensor([[0.9, 0.1, 0.9], [0.9, 0.9, 0.9], [0.1, 0.1, 0.1], [0.9, 0.1, 0.1]])
    attributes = torch.where(plain > 0.5, 1.0, -1.0)
    x = torch.arange(4.0).view(4, 1, 1, 1)

    def edit(pictures, attribute, amount):
        return pictures + 10

    def judge(pictures):
        return after[pictures.flatten().long() - 10]

    scores = edit_accuracy(edit, judge, x, attributes, plain, "Smiling", ATTRIBUTES)
    # of 4 pictures with 2 other attributes each: a yes lost, a yes gained, nothing, a yes lost
    assert scores.leakage == pytest.approx(3 / 8)
    assert scores.success == pytest.approx(3 / 4)
    assert (scores.added, scores.removed) == (1.0, 0.5)


def test_distances_to_the_counterfactual_are_of_the_changed_pixels():
    """The truth changes 1 of 4 pixels; the reconstruction of the truth is off by .2 there and by .4 elsewhere."""
    x = torch.zeros(2, 3, 2, 2)
    changed = torch.zeros(1, 1, 2, 2)
    changed[..., 0, 0] = 1
    truth = x + changed  # differs by 1 at one pixel

    def off(inside, outside):
        return truth + inside * changed + outside * (1 - changed)

    scores = counterfactual_distance(x, off(0.1, 0.3), off(-0.9, 0.5), truth, off(0.2, 0.4), "Smiling")
    assert scores.bound == pytest.approx(0.2)
    assert scores.edited == pytest.approx(0.1)
    assert scores.unedited == pytest.approx(0.9)
    assert scores.elsewhere == pytest.approx(0.3)
    assert scores.n == 2


def test_the_standard_error_is_the_deviation_over_the_root_of_n(tmp_path):
    """Mean, deviation and standard error of a reconstruction, from the pictures themselves."""
    settings = {"width": 4, "latent": 8}
    train("vae", Data("avatars", None, 16, {"count": 80}), tmp_path / "run", settings, steps=2, batch=16)
    run = open_run(tmp_path / "run")
    evaluation.evaluate(run, count=16, metrics=["reconstruction"])
    stored = json.loads((tmp_path / "run" / "evaluation.json").read_text())["reconstruction"]
    x = run.dataset.batch(np.sort(run.splits.test), "cpu").x
    with torch.inference_mode():
        mse = (x - run.model.decode(run.model.encode(x).mean)).square().flatten(1).mean(1).double().numpy()
    n = stored["n"]
    assert n == len(mse) > 4, "all held-out pictures: there are fewer than 16"
    assert stored["mse"]["mean"] == pytest.approx(mse.mean(), rel=1e-5)
    assert stored["mse"]["std"] == pytest.approx(mse.std(ddof=1), rel=1e-4)
    for name in ("mse", "psnr_db", "kl_nats"):
        assert stored[name]["sem"] == pytest.approx(stored[name]["std"] / n**0.5, rel=1e-6), name
