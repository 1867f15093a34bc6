"""What a page, `mien show` and `mien edit` say of weak runs: the sentences come from the stored evaluation."""

import base64
import csv
import io
import itertools
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from mien import figures
from mien.errors import MienError
from mien.evaluation.edit_gain import Judged
from mien.evaluation.measures.baselines import BaselineScores, Score
from mien.evaluation.measures.classes import Accuracies, ClassScores
from mien.evaluation.measures.edits import AttributeEdits, EditScores
from mien.evaluation.page import below_mean, flaws
from mien.evaluation.result import Evaluation, Pictures
from mien.evaluation.store import RESULT
from mien.evaluation.text import UNCHANGED, tables
from mien.evaluation.warnings import below_baseline, edit_warnings, edits_without_effect
from mien.figures import Captioned, Section, Table, style
from mien.figures.page import document
from mien.files import sha256, write_json


def judged(success, unedited, ceiling=0.9, gain=None, n=25, threshold=0.5):
    return AttributeEdits(
        Judged(
            success=success,
            unedited=unedited,
            leakage=0.02,
            n=2 * n,
            added=success,
            added_n=n,
            removed=success,
            removed_n=n,
            threshold=threshold,
            ceiling=ceiling,
            ceiling_added_n=n,
            ceiling_removed_n=n,
            gain=gain,
        )
    )


def evaluation(**results):
    data = Pictures(name="faces", size=16, split="random", test=50)
    return Evaluation("faces", "vae", "0" * 64, data, 0, results=results)


EDITS = EditScores(
    n=50,
    amount=1.0,
    per_attribute={
        "Eyeglasses": judged(0.087, 0.087, gain=0.0),
        "Smiling": judged(0.7, 0.1, gain=0.75),
        "Blurry": judged(0.1, 0.1, ceiling=0.15, gain=0.0),  # the judge cannot see it
        "Bald": judged(0.1, 0.1, gain=0.0, n=3),  # too few pictures
    },
)


def test_edits_without_effect_are_named_and_others_are_not():
    assert list(edits_without_effect(evaluation(edits=EDITS))) == ["Eyeglasses"]
    assert edits_without_effect(evaluation()) == {}


def test_older_results_without_a_gain_are_judged_by_the_shares():
    per = {"a": judged(0.09, 0.085, threshold=None), "b": judged(0.5, 0.1, threshold=None)}
    assert list(edits_without_effect(evaluation(edits=replace(EDITS, per_attribute=per)))) == ["a"]


def test_the_warning_of_a_run_comes_from_the_evaluation_of_its_weights(tmp_path):
    (tmp_path / "weights.safetensors").write_bytes(b"weights")
    assert edit_warnings(tmp_path, ["Eyeglasses"]) == []
    one = replace(evaluation(edits=EDITS), weights_sha256=sha256(tmp_path / "weights.safetensors"), measures=("edits",))
    write_json(tmp_path / RESULT, one.to_json())
    [line] = edit_warnings(tmp_path, ["Eyeglasses", "Smiling"])
    assert line.startswith(
        "Eyeglasses: this run does not change it: the judge finds the target in 8.7% before and 8.7%"
    )
    (tmp_path / "weights.safetensors").write_bytes(b"other weights")
    assert edit_warnings(tmp_path, ["Eyeglasses"]) == []


def test_the_tables_of_show_mark_attributes_that_edits_do_not_change():
    _, by_attribute = tables(evaluation(edits=EDITS))
    assert [cell for cell in by_attribute.columns[0].cells] == ["Eyeglasses*", "Smiling", "Blurry", "Bald"]
    assert by_attribute.caption == UNCHANGED
    _, other = tables(evaluation(edits=replace(EDITS, per_attribute={"Smiling": judged(0.7, 0.1, gain=0.75)})))
    assert other.caption is None


def score(accuracy):
    return Score(accuracy=accuracy, sem=0.01, each={})


def test_classifiers_below_a_baseline_are_named():
    weak = ClassScores(n=50, accuracy=0.1, sem=0.01, majority_baseline=0.2, per_class={})
    [sentence] = below_baseline(evaluation(classes=Accuracies(recognition=weak)))
    assert "(10.0%) are not better than the plain baseline of always the commonest class (20.0%)" in sentence
    assert below_baseline(evaluation(classes=Accuracies(recognition=replace(weak, accuracy=0.9)))) == []
    scores = BaselineScores(
        n=50, n_train=50, n_labels=50, kind="class", view="spectrum",
        model=score(0.55), logistic_regression=score(0.98), neighbors=score(0.9), majority=score(0.1),
    )  # fmt: skip
    [sentence] = below_baseline(evaluation(baselines=scores))
    assert "logistic regression on the same labels predicts better than the model (98.0% against 55.0%)" in sentence
    assert below_baseline(evaluation(baselines=replace(scores, model=score(0.975)))) == []


def test_gray_and_equal_samples_are_named():
    torch.manual_seed(0)
    real = torch.rand(8, 3, 8, 8) * 2 - 1
    assert flaws(real.flip(0), real, "samples") == []
    assert flaws(torch.full_like(real, 0.2), real, "samples") == [
        "The samples are constant: they have almost no contrast."
    ]
    assert flaws(real[:1].repeat(8, 1, 1, 1), real, "samples") == ["The samples are all almost the same picture."]
    assert "not numbers" in flaws(real * torch.nan, real, "samples")[0]


def test_reconstructions_with_a_larger_error_than_the_mean_picture_are_named():
    torch.manual_seed(0)
    real = torch.rand(8, 1, 8, 8) * 2 - 1
    assert below_mean(real.flip(-1), real)[0].startswith("The reconstructions have an error of 0.")
    assert below_mean((real + real.mean(0)) / 2, real) == []
    assert below_mean(real * torch.nan, real) == []  # flaws() names those


def test_the_notice_is_at_the_top_and_escaped():
    text = document("a", [Section("b", "c")], notice="The samples are <gray>.")
    assert text.index("The samples are &lt;gray&gt;.") < text.index('<main id="report">')
    assert 'class="notice"' not in document("a", [Section("b", "c")])


def test_each_table_has_its_file():
    table = Table(["name", "n / 1"], [["a, b", "−1,200"], ["c", "–"]], [False, True])
    text = document("a", [Section("b", "", [Captioned(table, "One."), table])])
    files = re.findall(r'download="([^"]+)" href="data:text/csv;charset=utf-8;base64,([^"]+)"', text)
    assert [name for name, _ in files] == ["b-1.csv", "b.csv"]
    content = base64.b64decode(files[0][1]).decode("utf-8-sig")
    assert list(csv.reader(io.StringIO(content))) == [["name", "n / 1"], ["a, b", "-1200"], ["c", ""]]


def test_a_confusion_matrix_shows_shares_of_the_rows():
    figure = figures.confusion_matrix([[8, 2, 0], [0, 5, 0], [0, 0, 0]], ["a", "b", "c"])
    assert [text.get_text() for text in figure.axes[1].texts] == ["80", "20", "100"]
    assert [label.get_text() for label in figure.axes[1].get_yticklabels()] == ["a", "b", "c"]
    for bad in ([[1, 2]], [[0, 0], [0, 0]], [[-1, 2], [1, 1]]):
        with pytest.raises(MienError):
            figures.confusion_matrix(bad, ["a", "b"])


DEUTAN = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
PROTAN = [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]


def test_colors_of_classes_differ_also_for_the_color_blind():
    def linear(color):
        return (np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255) ** 2.2

    def oklab(rgb):
        cones = [[0.41222, 0.53633, 0.05145], [0.21190, 0.68070, 0.10740], [0.08830, 0.28172, 0.62998]]
        axes = [[0.21045, 0.79362, -0.00407], [1.97800, -2.42859, 0.45059], [0.02590, 0.78277, -0.80868]]
        return np.array(axes) @ np.cbrt(np.array(cones) @ rgb.clip(0, 1))

    assert len(set(style.KINDS)) == 12
    assert set(style.KINDS) <= set(style.DARK)
    for palette in (style.KINDS[:10], [style.DARK[color] for color in style.KINDS[:10]]):
        for view in (np.eye(3), np.array(DEUTAN), np.array(PROTAN)):
            colors = [oklab(view @ linear(color)) for color in palette]
            assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(colors, 2)) > 0.06
