"""Edits measured against what a judge finds in real pictures: toy judges and editors with numbers known by hand."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mien import evaluation, figures
from mien.abilities import Decodes, Encodes, Recognizes
from mien.applications.arithmetic import AttributeVectors, Editor, attribute_vectors
from mien.applications.directions import DIRECTIONS, step_of
from mien.data.batch import Batch
from mien.errors import MienError, UnknownName
from mien.evaluation import measures
from mien.evaluation.context import Context
from mien.evaluation.edit_gain import AMOUNTS, EACH, PAPERS, Gain, Judged, judge_view, judged_edits, mean_curve, papers
from mien.experiment import train
from mien.metrics.edits import ceilings, choose_amount, edit_accuracy, gain, leakage_at, thresholds
from mien.run import opening
from mien.run.data import Data
from mien.run.opening import cached_amounts, cached_vectors, open_run
from test_cli import mien, refused

NAMES = ("Smiling", "Male")


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values).unsqueeze(1)


# -- thresholds --
def test_a_threshold_maximizes_balanced_accuracy():
    """Five of 25 have it, at probabilities a 0.5 would never find; one of them looks like those without it."""
    has, lacks = [0.05, 0.2, 0.3, 0.3, 0.4], [0.1] * 20
    result = thresholds(column(*has, *lacks), torch.tensor([[1]] * 5 + [[-1]] * 20))
    # above 0.15: four of five with it, and all without it are right
    assert float(result.values[0]) == pytest.approx(0.15)
    assert result.fallback == ()


def test_thresholds_fall_back_where_there_is_nothing_to_choose_from():
    few = torch.tensor([[1]] * 4 + [[-1]] * 20)
    separate = column(*[0.3] * 4, *[0.1] * 20)
    constant = torch.full((24, 1), 0.2)
    unknown = torch.tensor([[0]] * 4 + [[1]] * 6 + [[-1]] * 14)
    both = torch.cat([separate, constant], 1)
    result = thresholds(both, torch.cat([few, torch.tensor([[1]] * 10 + [[-1]] * 14)], 1))
    assert result.fallback == (0, 1)
    assert result.values.tolist() == [0.5, 0.5]
    # a fifth picture with it, and 0.2 is chosen; pictures of unknown value do not count
    five = thresholds(column(*[0.3] * 5, *[0.1] * 19), torch.tensor([[1]] * 5 + [[-1]] * 19))
    assert (round(float(five.values[0]), 3), five.fallback) == (0.2, ())
    wrong = column(*[0.9] * 4, *[0.3] * 6, *[0.1] * 14)
    assert float(thresholds(wrong, unknown).values[0]) == pytest.approx(0.2)


def test_of_equally_good_thresholds_the_nearest_to_half_is_taken():
    """At 0.15 and at 0.75, three of the six with it and all without it, or all with it and three of six, are right."""
    values = column(0.1, 0.1, 0.1, 0.7, 0.7, 0.7, 0.2, 0.2, 0.2, 0.8, 0.8, 0.8)
    signs = torch.tensor([[-1]] * 6 + [[1]] * 6)
    assert float(thresholds(values, signs).values[0]) == pytest.approx(0.75)
    perfect = thresholds(column(*[0.1] * 6, *[0.9] * 6), signs)
    assert float(perfect.values[0]) == pytest.approx(0.5)


# -- ceilings and gain --
def test_the_ceiling_is_what_the_judge_finds_in_real_pictures():
    probabilities = torch.tensor([[0.9, 0.1], [0.4, 0.1], [0.2, 0.1], [0.1, 0.1], [0.1, 0.1]])
    attributes = torch.tensor([[1, -1], [1, -1], [-1, -1], [-1, -1], [0, -1]])
    first, second = ceilings(probabilities, attributes)
    assert (first.added, first.added_n, first.removed, first.removed_n) == (0.5, 2, 1.0, 2)
    assert (second.added, second.added_n, second.removed, second.removed_n) == (None, 0, 1.0, 5)
    lower = ceilings(probabilities, attributes, torch.tensor([0.15, 0.5]))[0]
    assert (lower.added, lower.removed) == (1.0, 0.5)


def test_the_gain_is_not_clipped():
    assert gain(0.5, 0.2, 0.8) == pytest.approx(0.5)
    assert gain(1.0, 0.2, 0.6) == pytest.approx(2.0)
    assert gain(0.1, 0.2, 0.7) == pytest.approx(-0.2)
    assert gain(0.5, 0.2, None) is None
    assert gain(0.5, 0.2, 0.2) is None
    assert gain(1.0, 1.0, 0.8) is None, "reconstructions show it less often than real pictures do"


def scores_of(after, plain, attributes, limits=0.5):
    """Scores of an edit after which the judge gives ``after`` for each picture."""

    def edit(pictures, attribute, amount):
        return pictures + 100

    def judge(pictures):
        return after[pictures.flatten().long() - 100]

    x = torch.arange(float(len(after))).view(-1, 1, 1, 1)
    return edit_accuracy(edit, judge, x, attributes, plain, "Smiling", NAMES, limits)


def test_adding_and_removing_weigh_the_same():
    """One picture without it, which the edit fails, and four with it, of which the edit clears all."""
    attributes = torch.tensor([[-1, 1], [1, 1], [1, 1], [1, 1], [1, 1]])
    plain = torch.tensor([[0.1, 0.9], [0.9, 0.9], [0.9, 0.9], [0.9, 0.9], [0.1, 0.9]])
    after = torch.tensor([[0.1, 0.9]] * 5)
    scores = scores_of(after, plain, attributes)
    assert (scores.added, scores.removed, scores.success) == (0.0, 1.0, 0.5)
    assert (scores.unedited_added, scores.unedited_removed, scores.unedited) == (0.0, 0.25, 0.125)
    assert (scores.added_n, scores.removed_n, scores.n) == (1, 4, 5)


def test_each_attribute_is_judged_at_its_own_threshold():
    attributes = torch.tensor([[-1, 1], [-1, 1]])
    plain, after = torch.tensor([[0.1, 0.9], [0.1, 0.9]]), torch.tensor([[0.3, 0.9], [0.1, 0.75]])
    assert scores_of(after, plain, attributes).success == 0
    own = scores_of(after, plain, attributes, torch.tensor([0.2, 0.8]))
    assert own.success == 0.5
    assert own.leakage == 0.5, "one of two pictures falls under the threshold of the other attribute"


# -- the mean gain --
def judged(success, unedited, ceiling, n=50, **more):
    return Judged(
        success=success,
        unedited=unedited,
        leakage=0.1,
        n=n,
        added=None,
        added_n=0,
        removed=None,
        removed_n=0,
        ceiling=ceiling,
        ceiling_added_n=n,
        ceiling_removed_n=n,
        gain=gain(success, unedited, ceiling),
        **more,
    )


def test_attributes_that_the_judge_cannot_see_are_left_out_and_named():
    per = {
        "Smiling": judged(0.5, 0.2, 0.8),  # 1/2
        "Male": judged(0.8, 0.2, 0.8),  # 1
        "Bald": judged(0.5, 0.5, 0.69),  # under the floor
        "Rare": judged(0.5, 0.0, 1.0, n=4),
        "Nowhere": judged(0.5, 0.0, None),
    }
    whole = Gain.of(per, per)
    assert (whole.names, whole.left_out, whole.too_few) == (("Smiling", "Male"), ("Bald",), ("Rare", "Nowhere"))
    assert whole.mean == pytest.approx(0.75)
    assert whole.sem == pytest.approx(np.std([0.5, 1.0], ddof=1) / 2**0.5)
    assert (whole.count, whole.floor) == (5, 0.2)
    assert Gain.from_json(json.loads(json.dumps(whole.to_json()))) == whole
    none = Gain.of(per, ["Bald"])
    assert (none.mean, none.sem) == (None, None)
    assert "the judge cannot see them: Bald" in none.without


def test_a_paper_has_a_row_where_all_its_attributes_are():
    per = {name: judged(0.5, 0.2, 0.8) for name in PAPERS["Iterative GAN"]}
    assert list(papers(per)) == ["Iterative GAN"]
    assert papers(per)["Iterative GAN"].mean == pytest.approx(0.5)
    assert papers({name: one for name, one in per.items() if name != "Bald"}) == {}


def test_the_chosen_amount_is_the_smallest_that_nearly_reaches_the_best():
    at = [0.5, 1.0, 1.5, 2.0, 3.0]
    assert choose_amount(at, [0.2, 0.5, 0.77, 0.8, 0.8], [0.0] * 5) == 1.5
    # a gain that costs more leakage than it is worth does not count
    assert choose_amount(at, [0.2, 0.5, 0.77, 0.8, 0.9], [0.0, 0.0, 0.3, 0.5, 0.8]) == 1.0
    assert choose_amount(at, [0.0, 0.1, 0.1, 0.1, 0.1], [0.1, 0.2, 0.3, 0.4, 0.5]) is None


def test_leakage_at_a_gain_lies_on_the_curve():
    assert leakage_at(0.2, [0.4, 0.6], [0.02, 0.04]) == pytest.approx(0.01), "the curve starts at nothing"
    assert leakage_at(0.5, [0.4, 0.6], [0.02, 0.04]) == pytest.approx(0.03)
    assert leakage_at(0.7, [0.4, 0.6], [0.02, 0.04]) is None


# -- the whole measure, on a toy world --
class World(torch.nn.Module, Encodes, Decodes, Recognizes):
    """Pictures of one row of two numbers, one for each attribute; it encodes and decodes them as they are."""

    name = "world"

    def __init__(self):
        super().__init__()
        self.config = {"shape": (2, 1, 1)}
        self.p = torch.nn.Parameter(torch.zeros(1))

    def encode(self, x):
        return SimpleNamespace(mean=x.flatten(1))

    def decode(self, z):
        return z.view(-1, 2, 1, 1)

    def recognize(self, x):
        return (x.flatten(1) + 1) / 2


class Pictures:
    """400 pictures: Smiling is −0.5 or −0.1, so a judge needs a threshold of its own; Male is −0.5 or 0.5."""

    attributes = NAMES

    def __init__(self):
        rng = np.random.default_rng(0)
        self.attribute_table = np.where(rng.uniform(size=(400, 2)) < [0.2, 0.5], 1, -1).astype(np.int8)
        low, high = np.array([-0.5, -0.5]), np.array([-0.1, 0.5])
        self.x = torch.from_numpy(np.where(self.attribute_table > 0, high, low)).float().view(-1, 2, 1, 1)

    def batch(self, index, device="cpu"):
        table = torch.from_numpy(self.attribute_table[index].astype(np.float32))
        return Batch(self.x[index], table, None, torch.from_numpy(np.asarray(index)))


def world(vectors, monkeypatch=None):
    """The context of an evaluation, and the editor that steps along ``vectors``."""
    model, data = World(), Pictures()
    run = SimpleNamespace(model=model, dataset=data, splits=SimpleNamespace(valid=np.arange(200)))
    context = Context(run, np.arange(200, 400), model, "0" * 64, 0, lambda *_: None)
    return context, Editor(model, AttributeVectors(NAMES, torch.tensor(vectors), (9, 9), (9, 9)))


def test_an_editor_of_real_steps_gains_all_there_is():
    context, editor = world([[0.39, 0.0], [0.0, 0.9]])
    view = judge_view(context)
    assert view.thresholds.values.tolist() == pytest.approx([0.35, 0.5])
    per = judged_edits(context, view, editor, NAMES)
    for name, one in per.items():
        assert (one.ceiling, one.unedited, one.success, one.gain, one.leakage) == (1.0, 0.0, 1.0, 1.0, 0.0), name
        assert (one.ceiling_added, one.ceiling_removed, one.gain_added, one.gain_removed) == (1.0,) * 4
    smiling = int((context.run.dataset.attribute_table[200:, 0] > 0).sum())
    assert per["Smiling"].ceiling_added_n == per["Smiling"].removed_n == smiling
    # by the amount 0.5, from 0.25 to 0.3475 in the judge's view, it does not pass the threshold
    assert per["Smiling"].amount == 1.0
    assert [point.amount for point in per["Smiling"].curve] == list(AMOUNTS)


def test_the_curve_at_one_is_the_main_score_and_a_weak_editor_needs_more():
    """Steps of 0.15 where 0.4 is the difference: the judge's threshold is passed at 1.5 and above."""
    context, editor = world([[0.15, 0.0], [0.0, 0.6]])
    per = judged_edits(context, judge_view(context), editor, NAMES)
    for one in per.values():
        at_one = one.curve[AMOUNTS.index(1.0)]
        assert (at_one.success, at_one.leakage, at_one.gain) == (one.success, one.leakage, one.gain)
    # 0.25 + 0.075 · amount is above 0.35, and 0.45 − 0.075 · amount below it, from 1.5 on
    assert [point.gain for point in per["Smiling"].curve] == [0.0, 0.0, 1.0, 1.0, 1.0]
    assert per["Smiling"].amount == 1.5
    assert per["Male"].amount == 1.0
    whole = Gain.of(per, per)
    curve = mean_curve(per, whole)
    assert curve[1].gain == pytest.approx(whole.mean) == pytest.approx(0.5)


def test_leakage_makes_a_smaller_amount_the_better_one():
    """A step for Male moves Smiling too: by the amount 1 not past its threshold, by 1.5 past it."""
    context, editor = world([[0.39, 0.0], [0.14, 0.6]])
    per = judged_edits(context, judge_view(context), editor, NAMES)
    leaks = [point.leakage for point in per["Male"].curve]
    assert leaks[1] == 0
    assert leaks[-1] > 0.3
    assert per["Male"].amount == 1.0


def test_at_most_a_hundred_of_each_kind_are_edited_unless_attributes_are_few(monkeypatch):
    from mien.evaluation import edit_gain

    context, editor = world([[0.39, 0.0], [0.0, 0.9]])
    table = context.run.dataset.attribute_table[200:]
    everything = judged_edits(context, judge_view(context), editor, NAMES, choose=False)["Male"]
    assert (everything.n, everything.amount) == (200, None)
    monkeypatch.setattr(edit_gain, "FEW", 1)
    monkeypatch.setattr(edit_gain, "EACH", 30)
    assert EACH == 100
    limited = judged_edits(context, judge_view(context), editor, NAMES, choose=False)["Male"]
    assert (limited.added_n, limited.removed_n) == (30, 30)
    assert limited.ceiling_added_n == int((table[:, 1] > 0).sum())


# -- directions --
def toy_latents(n=4000, correlation=0.8):
    """Latents whose first number is the attribute and whose second is another one, correlated with it."""
    rng = np.random.default_rng(0)
    a = rng.choice([-1, 1], n)
    b = np.where(rng.uniform(size=n) < (1 + correlation) / 2, a, -a)
    z = np.stack([a, 2 * b, np.zeros(n)], 1) + 0.5 * rng.normal(size=(n, 3))
    z = torch.from_numpy(z).float()
    return z[a > 0], z[a < 0]


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_amount_one_reaches_the_projection_of_the_mean_with_the_attribute(direction):
    has, lacks = toy_latents()
    step = step_of(direction)(has, lacks).double()
    moved = lacks.double().mean(0) + step
    assert float(step @ moved) == pytest.approx(float(step @ has.double().mean(0)), rel=1e-4)
    assert float(step[0]) > 0.3, "it adds the attribute"


def test_of_correlated_attributes_the_whitened_direction_leaks_least():
    has, lacks = toy_latents()

    def leak(direction):
        step = step_of(direction)(has, lacks)
        return abs(float(step[1] / step[0]))

    # the mean difference is 2 along the attribute and 2 · 0.8 · 2 along the other one
    assert leak("mean") == pytest.approx(1.6, rel=0.05)
    # Σ within the kinds is diagonal: 0.25 and 4 (1 − 0.8²) + 0.25, so Σ⁻¹δ is 2 / 0.25 and 3.2 / 1.69
    assert leak("whitened") == pytest.approx(3.2 / 1.69 / 8, rel=0.1)
    assert leak("svm") < 0.3 * leak("mean")


def test_a_latent_number_that_is_constant_is_not_moved():
    has, lacks = toy_latents(400)
    has[:, 2] = lacks[:, 2] = 0.25
    for direction in DIRECTIONS:
        step = step_of(direction)(has, lacks)
        assert torch.isfinite(step).all()
        assert abs(float(step[2])) < 1e-6, direction


def test_an_unknown_direction_is_refused(avatars):
    with pytest.raises(UnknownName, match="unknown direction 'whitend': did you mean whitened"):
        attribute_vectors(World(), avatars, np.arange(4), direction="whitend")


# -- runs and commands --
@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A VAE, a judge, and a model that edits by itself, of 16 pixels."""
    out = tmp_path_factory.mktemp("runs")
    data = Data("avatars", None, 16, {"count": 240})
    train("vae", data, out / "vae", {"width": 4, "latent": 8}, steps=3, batch=16)
    train("attribute_cnn", data, out / "judge", {"widths": (8,) * 5}, steps=60, batch=32)
    train("iterative_gan", data, out / "itself", {"width": 4, "latent": 8}, steps=2, batch=16)
    return out


def test_an_evaluation_stores_gains_curves_and_amounts(runs):
    run = open_run(runs / "vae")
    result = evaluation.evaluate(run, runs / "judge", metrics=["edits", "edit_directions"])
    edits = result["edits"]
    assert evaluation.Evaluation.from_json(json.loads(json.dumps(result.to_json()))) == result
    assert {*edits.gain.names, *edits.gain.left_out, *edits.gain.too_few} == set(edits.per_attribute)
    at_one = next(point for point in edits.curve if point.amount == 1)
    assert at_one.success == pytest.approx(edits.success)
    assert at_one.gain == pytest.approx(edits.gain.mean) or edits.gain.mean is None
    # the directions share pictures, thresholds and attributes with the main measure
    by_mean = result["edit_directions"].directions["mean"]
    assert (by_mean.gain, by_mean.curve) == (edits.gain, edits.curve)
    assert set(result["edit_directions"].directions) == set(DIRECTIONS)
    rows = [row.label for row in measures.get("edits").rows(edits)]
    assert rows[0] == "edit gain"
    assert rows.index("edit accuracy") < rows.index("of real pictures")
    stamp = json.loads((runs / "vae" / "attribute_vectors.json").read_text())
    assert stamp["amounts"]["judge_sha256"] == result.judge.weights_sha256
    best = {name: one.judged.amount for name, one in edits.per_attribute.items() if one.judged.amount}
    assert cached_amounts(runs / "vae") == best
    sections = [s.heading for s in measures.get("edits").sections(run, edits, None)]
    assert sections == ["Edits by amount", "Edits against the truth"]
    assert measures.get("edit_directions").sections(run, result["edit_directions"], None)


def test_results_of_older_versions_show_what_they_have():
    """A stored result without thresholds, ceilings and gains."""
    old = {"success": 0.3, "unedited": 0.1, "leakage": 0.05, "n": 9, "added": 0.3, "added_n": 9}
    old |= {"removed": None, "removed_n": 0}
    block = {"n": 9, "amount": 1.0, "success": 0.3, "unedited": 0.1, "leakage": 0.05, "per_attribute": {"Bald": old}}
    measure = measures.get("edits")
    result = measure.Result.from_json(block)
    assert result.to_json() == block
    labels = [row.label for row in measure.rows(result)]
    assert labels == ["edit accuracy", "before the edit", "leakage onto other attributes", "Bald added"]
    assert measure.cells(result) == {"Bald": {"edit seen": "30.0%", "before": "10.0%", "leakage": "5.0%"}}


def test_each_direction_has_vectors_of_its_own(runs, capsys, tmp_path):
    run = open_run(runs / "vae")
    for direction in DIRECTIONS:
        editor = run.editor(direction=direction)
        cached = cached_vectors(runs / "vae", direction)
        assert torch.equal(cached.vectors, editor.vectors.vectors)
    mean, white = run.vectors(), run.vectors(direction="whitened")
    assert not torch.equal(mean.vectors, white.vectors)
    assert (runs / "vae" / "attribute_vectors-svm.safetensors").exists()
    for direction in ("mean", "whitened"):
        words = ["edit", runs / "vae", "Smiling=3", "--direction", direction, "--out", tmp_path / f"{direction}.png"]
        code, text = mien(capsys, *words)
        assert code == 0, text
    assert (tmp_path / "mean.png").read_bytes() != (tmp_path / "whitened.png").read_bytes()
    assert "did you mean svm" in refused(capsys, "edit", runs / "vae", "Smiling=1", "--direction", "svn")
    assert "edits by itself, got svm" in refused(capsys, "edit", runs / "itself", "Smiling=1", "--direction", "svm")
    with pytest.raises(MienError, match="expected no direction of IterativeGAN"):
        open_run(runs / "itself").editor(direction="svm")


def test_edit_mentions_an_amount_that_is_far_from_the_best(runs, capsys, tmp_path):
    open_run(runs / "itself").keep_amounts({"Smiling": 1.5}, "0" * 64)
    line = "Smiling: evaluate found 1.5 to be the amount that works best"
    for amount, far in (("1", True), ("-0.5", True), ("1.2", False), ("-2", False), ("3", True), ("0", False)):
        code, text = mien(capsys, "edit", runs / "itself", f"Smiling={amount}", "--out", tmp_path / "x.png", "--force")
        assert code == 0, text
        assert (line in " ".join(text.split())) is far, amount


def test_amounts_of_other_weights_are_not_used(runs, tmp_path, monkeypatch):
    import shutil

    run = shutil.copytree(runs / "vae", tmp_path / "run")
    opened = replace(open_run(runs / "vae"), folder=run)
    opened.keep_amounts({"Smiling": 2.0}, "0" * 64)
    assert cached_amounts(run) == {"Smiling": 2.0}
    assert cached_vectors(run) is not None, "the vectors stay"
    monkeypatch.setattr(opening, "sha256", lambda path: "1" * 64)
    assert cached_amounts(run) == {}
    assert cached_vectors(run) is None
    (run / "attribute_vectors.json").write_text("{")
    assert cached_amounts(run) == {}


def test_amount_curves_refuse_lines_of_another_length():
    assert figures.amount_curves(AMOUNTS, {"a": {"gain": [0.1] * 5}, "b": {"leakage": [0.2] * 5}}).axes
    with pytest.raises(MienError, match="expected 5 values of gain in a, got 2"):
        figures.amount_curves(AMOUNTS, {"a": {"gain": [0.1] * 2}})
    with pytest.raises(MienError, match="expected lines to draw"):
        figures.amount_curves(AMOUNTS, {})
