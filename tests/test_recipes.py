"""The recipes: laws of all of them, and one from nothing to its result. MIEN_NIGHTLY=1 runs all at the scale smoke."""

import dataclasses
import json
import os
import random
import re
from pathlib import Path

import pytest
import torch

from mien import experiment, recipes
from mien.abilities import Recognizes
from mien.cli.reproduce import _folders
from mien.errors import MienError
from mien.evaluation import measures
from mien.recipes import judging, store
from mien.recipes.planning import data_of, plan, unseen_of
from mien.recipes.recipe import FAILS, HOLDS, JUDGE, SCALES, UNTESTED, Number, Result
from mien.recipes.reproducing import reproduce
from mien.recipes.trained import _error
from test_cli import mien

NAMES = recipes.names()
ONE = "vae_wgan/layers"  # the recipe that is run here: it has a loss network, two models, measures and further numbers
UNSEEN = "residual_gan/lfw"  # it measures data on which nothing is trained
OTHER = "out/vae_wgan-layers.smoke.json"  # a file in the place of its result
NIGHTLY = "MIEN_NIGHTLY"


def test_there_are_recipes_of_every_paper():
    assert len(NAMES) >= 15
    assert {name.partition("/")[0] for name in NAMES} == {
        "iterative_gan", "residual_gan", "selfexgan", "ssavae", "vae_wgan"
    }  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_the_docstring_has_claim_command_and_times(name):
    text = recipes.describe(name)
    assert re.search(r"^Claim: \w", text, re.MULTILINE)
    assert f"\nCommand: mien reproduce {name} --scale smoke|small|paper\n" in text
    for machine in ("two cores", "one GPU"):
        line = next(line for line in text.splitlines() if line.startswith(f"Time on {machine}"))
        assert "small " in line
        assert "paper " in line
    assert "smoke " in text


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_is_consistent(name):
    recipe = recipes.get(name)
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.title = "another"
    assert tuple(recipe.scales) == SCALES
    assert recipe.scales["smoke"].pictures.packaged
    labels = [row.label for row in recipe.rows]
    assert len(set(labels)) == len(labels)
    assert recipe.claims
    # a number of the paper is a number, and the source says where it stands
    assert re.search(r"\b(19|20)\d\d\b, (Table|Fig\.|§)", recipe.source)
    for row in recipe.rows:
        assert row.reported is None or isinstance(row.reported, float)
        assert bool(row.run) == bool(row.path)
        assert row.run == "" or row.run in recipe.runs
        assert row.path == "" or row.path.partition(".")[0] in recipe.measures
    assert set(recipe.measures) <= set(measures.names())
    judged = [measure for measure in recipe.measures if measures.get(measure).judged and measure != "classes"]
    assert not judged or JUDGE in recipe.runs, judged
    known = {*recipe.runs, *(run.model for run in recipe.runs.values())}
    for scale in recipe.scales.values():
        assert set(scale.efforts) <= known
        assert set(scale.runs) <= set(recipe.runs)
        assert scale.seeds


@pytest.mark.parametrize("name", NAMES)
def test_every_training_could_be_trained(name):
    """Settings, lengths and sizes are those that models and data sets have; no data are opened."""
    recipe, checked = recipes.get(name), {}
    for scale in SCALES:
        for run in recipe.names(scale):
            effort, one = recipe.effort(run, scale), recipe.runs[run]
            key = repr((one.model, sorted(one.settings), effort, recipe.scales[scale].pictures))
            if key not in checked:
                data = data_of(recipe.scales[scale].pictures, share=one.share)
                settings = {**one.settings, **effort.settings}
                experiment.check(one.model, data, settings, effort.steps, effort.epochs, **effort.training)
            checked.setdefault(key, set()).add(scale)
    assert set().union(*checked.values()) == set(SCALES)
    with pytest.raises(MienError, match="no_such_setting"):
        experiment.check(one.model, data, {**settings, "no_such_setting": 1}, effort.steps, effort.epochs)
    with pytest.raises(MienError, match="got -1"):
        experiment.check(one.model, data, settings, -1)


@pytest.mark.parametrize("name", NAMES)
def test_each_claim_can_hold_fail_and_be_untested(name):
    recipe, draw = recipes.get(name), random.Random(0)
    for claim in recipe.claims:
        assert claim.verdict(Result("small", {})) == UNTESTED, "numbers are missing"
        verdicts = set()
        for _ in range(1000):
            numbers = {row.label: Number((draw.uniform(-5, 5),), (0.0,), 100) for row in recipe.rows}
            verdicts.add(claim.verdict(Result("small", numbers)))
            assert claim.verdict(Result("smoke", numbers)) == UNTESTED
        assert verdicts == {HOLDS, FAILS}, claim.text


def test_a_difference_within_the_error_does_not_hold():
    def result(**numbers):
        return Result("small", numbers)

    one_seed = result(a=Number((0.5,), (0.1,)), b=Number((0.4,), (0.1,)))
    assert one_seed.exceeds("a", "b") is False
    # with several seeds, only the differences by seed matter
    paired = result(a=Number((0.5, 0.7, 0.9)), b=Number((0.4, 0.61, 0.79)))
    assert paired.exceeds("a", "b") is True
    unpaired = result(a=Number((0.9, 0.5, 0.7)), b=Number((0.4, 0.61, 0.79)))
    assert unpaired.exceeds("a", "b") is False
    assert result(a=Number((0.5, None)), b=Number((0.1, 0.1))).exceeds("a", "b") is None
    # three seeds: a mean of 3.5 standard errors is within the 95 % interval of Student's t
    assert result(a=Number((0.1, 0.2, 0.3))).above("a") is False
    assert result(a=Number((0.15, 0.2, 0.25))).above("a") is True
    assert result(a=Number((0.1, 0.2, 0.3))).below("a", 0.4) is False
    assert result(a=Number((0.15, 0.2, 0.25))).below("a", 0.4) is True
    # with one seed and no error over pictures, nothing separates a difference from noise
    without = result(a=Number((0.5,)), b=Number((0.4,), (0.001,)))
    assert without.exceeds("a", "b") is without.exceeds("b", "a") is without.above("a") is without.below("a", 1) is None


def test_noise_rarely_holds():
    """The difference of two equal models holds for three seeds in about 2.5 % of the cases."""
    draw = random.Random(0)
    noise = [Number(tuple(draw.gauss(0, 1) for _ in range(3))) for _ in range(4000)]
    assert 0.01 < sum(Result("small", {"a": number}).above("a") for number in noise) / len(noise) < 0.04


def test_a_model_that_does_nothing_does_not_hold_a_claim():
    """An edit without an effect leaves other attributes, and a constant decoder changes little in later rounds."""
    for name, numbers in {
        "iterative_gan/edits": {"gain, all attributes that the judge sees": 0.0, "change of other attributes": 0.0},
        "selfexgan/iterate": {
            "other class after ten rounds than after one": 0.0,
            "change of pixels in the first round": 0.4,
            "change of pixels in the last round": 0.0,
        },
    }.items():
        result = Result("small", {label: Number((value,), (0.001,), 100) for label, value in numbers.items()})
        assert [claim.verdict(result) for claim in recipes.get(name).claims] == [FAILS, FAILS]


def test_the_error_of_a_mean_is_that_of_its_object():
    """Distances of faces have a deviation and a number of pairs, other measures a standard error."""
    assert _error({"mean": 1.0, "sd": 0.2, "n": 100}, "mean") == pytest.approx(0.02)
    assert _error({"mean": 1.0, "sd": 0.2, "n": 100, "sem": 0.1}, "mean") == 0.1
    assert _error({"mean": 1.0, "sd": None, "n": 1}, "mean") is None
    assert _error({"samples": 1.0, "samples_spread": 0.3, "sem": 0.1}, "samples") == 0.3


def folders(name, scale, runs):
    return {step.folder for step in plan(recipes.get(name), scale, runs)}


def test_recipes_share_equal_trainings(tmp_path):
    layers, table = folders("vae_wgan/layers", "smoke", tmp_path), folders("vae_wgan/table1", "smoke", tmp_path)
    assert layers < table
    assert folders("selfexgan/iterate", "smoke", tmp_path) == folders("selfexgan/reconstruction", "smoke", tmp_path)
    # another length is another training
    recipe = recipes.get(ONE)
    longer = dataclasses.replace(recipe.scales["smoke"].efforts["vae_wgan"], steps=9)
    smoke = dataclasses.replace(recipe.scales["smoke"], efforts={**recipe.scales["smoke"].efforts, "vae_wgan": longer})
    other = dataclasses.replace(recipe, scales={**recipe.scales, "smoke": smoke})
    assert {step.folder for step in plan(other, "smoke", tmp_path)} & layers == {
        step.folder for step in plan(recipe, "smoke", tmp_path) if step.model == "attribute_cnn"
    }


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory):
    """A recipe at the scale smoke: interrupted in its second training, then run twice; the trainings of each call."""
    folder = tmp_path_factory.mktemp("reproduced")
    runs, results, train, calls = folder / "runs", folder / "results", experiment.train, []

    def counted(model, data, out, *arguments, **options):
        calls[-1].append(out.name)
        if len(calls) == 1 and len(calls[0]) == 2:
            raise KeyboardInterrupt
        return train(model, data, out, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment, "train", counted)
        calls.append([])
        with pytest.raises(KeyboardInterrupt):
            reproduce(ONE, "smoke", runs, results)
        assert not results.exists()
        for _ in range(2):
            calls.append([])
            path = reproduce(ONE, "smoke", runs, results)
    return path, runs, calls


def test_an_interrupted_recipe_goes_on(reproduced):
    _, _, (first, second, third) = reproduced
    assert len(first) == 2
    assert second == [first[1], *second[1:]], "the first training was complete"
    assert len(second) == 2
    assert third == []


def test_a_result_says_all_of_itself(reproduced):
    path, runs, _ = reproduced
    about, recipe = json.loads(path.read_text(encoding="utf-8")), recipes.get(ONE)
    assert path.name == "vae_wgan-layers.smoke.json"
    assert about["recipe"] == ONE
    assert about["seeds"] == [0]
    assert about["data"] == {
        "name": "avatars", "size": 16, "options": {"count": 240}, "training": 192, "held_out": 24,
        "split": about["data"]["split"], "unit": "pixels",
    }  # fmt: skip
    assert set(about["numbers"]) == {row.label for row in recipe.rows if row.label.endswith((" 1", " 5"))}
    for number in about["numbers"].values():
        assert number["n"] == 24
        assert number["mean"] == number["each"][0]
    assert {(run["run"], run["seed"]) for run in about["runs"]} == {
        ("loss network", 0), ("layer 1", 0), ("layer 5", 0)
    }  # fmt: skip
    assert {run["folder"] for run in about["runs"]} == {folder.name for folder in runs.iterdir()} - {"measured"}
    assert about["versions"]["mien"]
    assert about["device"]["device"] == "cpu"
    assert about["seconds"]["trainings"] > 0
    assert (path.parent / about["figure"]).read_bytes().startswith(b"\x89PNG")
    assert str(runs) not in path.read_text(encoding="utf-8"), "no path of this machine"
    assert [one["verdict"] for one in about["verdicts"]] == [UNTESTED] * len(recipe.claims)


def test_the_numbers_are_those_of_the_evaluation(reproduced):
    path, runs, _ = reproduced
    about = json.loads(path.read_text(encoding="utf-8"))
    folder = next(run["folder"] for run in about["runs"] if run["run"] == "layer 5")
    ssim = json.loads((runs / folder / "evaluation.json").read_text(encoding="utf-8"))["reconstruction"]["ssim"]
    assert about["numbers"]["SSIM, layer 5"]["each"] == [ssim["mean"]]
    assert about["numbers"]["SSIM, layer 5"]["sem"] == [ssim["sem"]]


def test_the_list_shows_the_state(reproduced, capsys):
    path, _, _ = reproduced
    code, text = mien(capsys, "reproduce", "--out", path.parent)
    assert code == 0
    row = next(line for line in text.splitlines() if ONE in line)
    assert "measured" in row
    assert text.count("measured") == 1
    about = json.loads(path.read_text(encoding="utf-8"))
    assert store.state(recipes.get(ONE), store.Stored(path, about, Result("small", {}))) == "measured"
    sharp = {f"{kind}, layer {i}": Number((value,), (0.01,)) for kind, value, i in (
        ("edges", 0.5, 1), ("edges", 0.9, 5), ("SSIM", 0.5, 1), ("SSIM", 0.6, 5))}  # fmt: skip
    assert store.state(recipes.get(ONE), store.Stored(path, about, Result("small", sharp))) == "1 of 2 hold"


def test_the_list_shows_every_name_as_it_is_typed(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    code, text = mien(capsys, "reproduce", "--out", tmp_path)
    assert code == 0, text
    assert [name for name in NAMES if name not in text] == []


def test_a_second_call_prints_the_numbers_beside_the_papers(reproduced, capsys):
    path, runs, _ = reproduced
    code, text = mien(capsys, "reproduce", ONE, "--runs", runs, "--out", path.parent)
    assert code == 0
    assert "training 1 of" not in text
    assert "SSIM, layer 5" in text
    assert f"{UNTESTED}: With layer 5" in text


def test_a_dry_run_writes_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, text = mien(capsys, "reproduce", ONE, "--dry-run")
    assert code == 0
    assert "nothing is written" in text
    assert text.count("to train") == 3
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_knows_what_is_done(reproduced, capsys):
    _, runs, _ = reproduced
    code, text = mien(capsys, "reproduce", "vae_wgan/table1", "--dry-run", "--runs", runs)
    assert code == 0
    assert text.count("done") == 3
    assert text.count("to train") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["vae_wgan/table7"], "unknown recipe 'vae_wgan/table7': did you mean vae_wgan/table1"),
        ([ONE, "--scale", "huge"], "expected --scale smoke, small, paper, got 'huge'"),
        ([ONE, "--root", "."], "expected no --root at this scale, whose data (avatars) come with mien"),
        ([ONE, "--scale", "small", "--root", "nowhere"], "nowhere"),
        ([ONE, "--dry-run", "--scale", "small", "--root", "nowhere"], "nowhere"),
    ],
)
def test_mistakes_are_one_line(words, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, text = mien(capsys, "reproduce", *words)
    assert code == 2
    assert message in text
    assert text.count("error: ") == 1
    assert "Traceback" not in text
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_result_is_one_line(tmp_path, capsys):
    store.path_of(ONE, "small", tmp_path).write_text('{"numbers": 1}')
    code, text = mien(capsys, "reproduce", "--out", tmp_path)
    assert code == 2
    assert "got another or a damaged file: move it, or choose another --out" in " ".join(text.split())


@pytest.mark.parametrize(
    ("place", "content", "message"),
    [
        (OTHER, "my notes", "got another or a damaged file"),
        (OTHER, '{"recipe": "vae_wgan/table1", "scale": "smoke", "numbers": {}}', "got another or a damaged file"),
        (OTHER, '{"recipe": "vae_wgan/layers", "scale": "small", "numbers": {}}', "got another or a damaged file"),
        (OTHER, "[1, 2]", "got another or a damaged file"),
        ("out/vae_wgan-layers.smoke.png", "my picture", "without a result beside it, got one"),
        ("out", "my notes", "expected a folder for results, got the file out"),
    ],
)
def test_another_file_is_not_replaced(place, content, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(place).parent.mkdir(exist_ok=True)
    Path(place).write_text(content)
    code, text = mien(capsys, "reproduce", ONE, "--out", "out", "--runs", "runs")
    assert code == 2
    assert message in " ".join(text.split())
    assert text.count("error: ") == 1
    assert "Traceback" not in text
    assert [path.as_posix() for path in Path().rglob("*") if path.is_file()] == [place], "nothing is trained"
    assert Path(place).read_text() == content


@pytest.mark.skipif(NIGHTLY not in os.environ, reason=f"takes minutes: set {NIGHTLY}=1")
@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_runs_at_the_scale_smoke(name, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp() / "nightly"
    about = json.loads(reproduce(name, "smoke", folder / "runs", folder / "results").read_text(encoding="utf-8"))
    assert about["numbers"]
    assert any(number["mean"] is not None for number in about["numbers"].values())


@pytest.fixture(scope="module")
def on_unseen(tmp_path_factory):
    """A recipe that measures data on which nothing is trained, at the scale smoke: its result, and the run folders."""
    folder = tmp_path_factory.mktemp("unseen")
    path = reproduce(UNSEEN, "smoke", folder / "runs", folder / "results")
    return json.loads(path.read_text(encoding="utf-8")), folder / "runs"


def test_a_result_says_what_was_never_trained_on(on_unseen):
    about, runs = on_unseen
    assert about["unseen"] == {
        "name": "avatars", "size": 16, "options": {"count": 60, "seed": 7}, "pictures": 60
    }  # fmt: skip
    for run in about["runs"]:
        config = json.loads((runs / run["folder"] / "config.json").read_text(encoding="utf-8"))
        assert config["data"]["options"] == {"count": 240}
    assert about["numbers"]["reversed on CelebA, mean"]["n"] == 24
    assert about["numbers"]["reversed on LFW, mean"]["n"] == 60
    total = about["numbers"]["reversed on CelebA, mean"]["mean"] - about["numbers"]["reversed on LFW, mean"]["mean"]
    assert about["numbers"]["CelebA minus LFW, mean"]["mean"] == pytest.approx(total)


def test_a_second_data_set_has_its_own_root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIEN_DATA", str(tmp_path / "nothing"))
    folders = _folders([Path("celeba"), Path("lfw=~/faces"), Path("other=x")])
    assert folders == (["celeba", "other=x"], {"lfw": str(Path.home() / "faces")})
    assert _folders([]) == (None, {})
    Path("lfw=here").mkdir()
    assert _folders([Path("lfw=here")]) == (["lfw=here"], {}), "a folder of this name"
    recipe = recipes.get(UNSEEN)
    with pytest.raises(MienError, match="the folder of lfw is --root lfw=FOLDER"):
        unseen_of(recipe, "small")
    with pytest.raises(MienError, match="nowhere"):
        unseen_of(recipe, "small", {"lfw": "nowhere"})
    assert unseen_of(recipes.get(ONE), "small") is None


def test_a_measure_that_needs_the_network_is_not_taken_at_the_scale_smoke():
    for name in NAMES:
        recipe = recipes.get(name)
        assert "inception2k" not in recipe.measures_at("smoke"), name
        assert set(recipe.measures_at("paper")) == set(recipe.measures)


def test_reversing_counts_what_the_judge_sees():
    """A judge of brightness and of red: an edit that inverts pictures reverses both, one without effect none."""

    class Judge(torch.nn.Module, Recognizes):
        attributes = ("Bright", "Red")
        config = {"shape": (3, 4, 4)}  # noqa: RUF012

        def __init__(self):
            super().__init__()
            self.at = torch.nn.Parameter(torch.zeros(1))

        def recognize(self, x):
            return torch.stack([(x.mean((1, 2, 3)) > 0).float(), (x[:, 0].mean((1, 2)) > 0).float()], 1)

    x = torch.ones(4, 3, 4, 4) * torch.tensor([0.5, -0.5, 0.5, -0.5]).view(4, 1, 1, 1)
    amounts = []

    def editor(part, change):
        amounts.append(change)
        return -part

    edited, reversed_, others = judging.reverse(Judge(), editor, x, "Bright")
    assert torch.equal(edited, -x)
    assert reversed_.tolist() == [1, 1, 1, 1]
    assert others.tolist() == [1, 1, 1, 1]
    assert amounts == [{"Bright": 1.0}, {"Bright": -1.0}]
    assert judging.reverse(Judge(), lambda part, change: part, x, "Bright")[1].tolist() == [0, 0, 0, 0]
