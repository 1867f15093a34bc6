"""Evaluations: choice of measures by name, continuation after an interruption, comparison by one protocol."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from conftest import tiny
from mien import evaluation
from mien.errors import MienError, UnknownName
from mien.evaluation import measures
from mien.evaluation.compare import compare
from mien.evaluation.inception import InceptionMeasure
from mien.evaluation.measure import Skipped
from mien.evaluation.page import numbers as numbers_section
from mien.evaluation.perceptual import Perceptual
from mien.evaluation.store import RESULT, read
from mien.evaluation.summary import Group, grouped, records
from mien.evaluation.text import tables
from mien.experiment import train
from mien.metrics.attributes import attribute_scores
from mien.run.data import Data
from mien.run.opening import open_run
from mien.training.operations import Operations
from mien.training.settings import Alone, Settings
from mien.training.timing import flop_per_picture
from test_cli import mien, refused

PROJECT = Path(__file__).parents[1]
NUMBER = Perceptual(8, 0.5, 0.1, 0.03, {"network": "none"})


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two autoencoders and a judge on the same avatars, and an autoencoder on others."""
    out = tmp_path_factory.mktemp("runs")
    data = Data("avatars", None, 16, {"count": 80})
    settings = {"width": 4, "latent": 8}
    train("vae", data, out / "a", settings, steps=3, batch=16)
    train("vae", data, out / "b", settings, steps=3, batch=16, seed=1)
    train("vae", Data("avatars", None, 16, {"count": 60}), out / "other", settings, steps=2, batch=16)
    for seed, name in enumerate(("judge", "second")):
        train("attribute_cnn", data, out / name, {"widths": (4,) * 5}, steps=3, batch=16, seed=seed)
    return out


def test_measures_are_chosen_by_name(runs):
    result = evaluation.evaluate(open_run(runs / "a"), count=16, metrics=["reconstruction"])
    assert "reconstruction" in result
    assert "latent_svm" not in result
    assert evaluation.choose(["reconstruction", "all"]) == measures.names()
    assert set(evaluation.choose()) < set(evaluation.choose(["all"]))
    with pytest.raises(UnknownName, match=r"unknown metric 'reconstructoin': did you mean reconstruction"):
        evaluation.evaluate(open_run(runs / "a"), metrics=["reconstructoin"])


def test_what_lacks_a_judge_is_named_and_not_dropped(runs):
    result = evaluation.evaluate(open_run(runs / "a"), count=16, metrics=["reconstruction", "feature_fid"])
    assert "--judge" in result.skipped["feature_fid"]
    with pytest.raises(MienError, match="--judge"):
        evaluation.evaluate(open_run(runs / "a"), count=16, metrics=["feature_fid"])


def test_an_evaluation_goes_on_where_it_was_cut_short(runs, monkeypatch):
    run = open_run(runs / "b")
    taken = []
    first, second = type(measures.get("reconstruction")), type(measures.get("latent_svm"))
    take_first, take_second = first.take, second.take

    def counted(self, context):
        taken.append("reconstruction")
        return take_first(self, context)

    def killed(self, context):
        raise KeyboardInterrupt

    monkeypatch.setattr(first, "take", counted)
    monkeypatch.setattr(second, "take", killed)
    with pytest.raises(KeyboardInterrupt):
        evaluation.evaluate(run, count=16, metrics=["reconstruction", "latent_svm"])
    assert not (runs / "b" / "evaluation.json").exists()
    monkeypatch.setattr(second, "take", take_second)
    result = evaluation.evaluate(run, count=16, metrics=["reconstruction", "latent_svm"])
    assert taken == ["reconstruction"]
    assert result["latent_svm"].scores.n == 8
    assert not list((runs / "b").glob("*unfinished*"))
    # another protocol takes nothing over
    evaluation.evaluate(run, count=16, seed=5, metrics=["reconstruction"])
    assert len(taken) == 2


def test_what_is_measured_stays_beside_what_is_measured_later(runs):
    run = open_run(runs / "a")

    def take(*metrics, judge=None, seed=3):
        return evaluation.evaluate(run, runs / judge if judge else None, seed=seed, metrics=metrics)

    judged = take("edits", "classes", judge="judge")
    both = take("reconstruction")
    assert both["edits"] == judged["edits"]
    assert both.judge == judged.judge
    assert both.measures == ("reconstruction", "classes", "edits"), "classes do not apply, which is known too"
    assert json.loads((runs / "a" / "evaluation.json").read_text()) == both.to_json()
    assert evaluation.Evaluation.from_json(both.to_json()) == both
    # asked for again without the judge, alone or not, or with a judge for what needs none, what the judge said stays
    assert take("edits", "reconstruction")["edits"] == take("edits")["edits"] == judged["edits"]
    assert take("reconstruction", judge="second")["edits"] == judged["edits"]
    # of another judge's, nothing is shown beside it
    second = take("feature_fid", judge="second")
    assert second.judge.run == "second"
    assert second.measures == ("reconstruction", "feature_fid")
    assert "edits" not in second
    # another seed knows nothing of it, and back again all is found that was put aside
    assert take("latent_svm", seed=9).measures == ("latent_svm",)
    back = take("latent_svm")
    assert (back["feature_fid"], back.judge) == (second["feature_fid"], second.judge)
    first = take("feature_fid", judge="judge")
    assert (first["edits"], first.judge) == (judged["edits"], judged.judge)
    assert first["feature_fid"] != second["feature_fid"]


def test_a_judge_does_not_undo_what_was_measured_without(runs):
    run = open_run(runs / "b")
    alone = evaluation.evaluate(run, seed=4, metrics=["edits", "reconstruction", "latent_svm"])
    assert alone["edits"].counterfactual_edited is not None
    assert alone.judge is None
    assert "judge" not in alone.to_json()
    with_judge = evaluation.evaluate(run, runs / "judge", seed=4, metrics=["feature_fid"])
    assert with_judge["edits"] == alone["edits"]
    assert list(with_judge.judges) == ["feature_fid"]
    # compared by that judge, edits are taken anew
    results, _, _ = compare([run, open_run(runs / "a")], runs / "x", runs / "judge", seed=4, metrics=["edits"])
    assert all(result["edits"].success is not None for result in results)


def test_other_weights_count_or_pictures_know_nothing_of_it(runs, tmp_path):
    shutil.copytree(runs / "a", tmp_path / "a")
    run = open_run(tmp_path / "a")
    evaluation.evaluate(run, seed=6, metrics=["reconstruction"])
    assert evaluation.evaluate(run, seed=6, count=5, metrics=["latent_svm"]).measures == ("latent_svm",)
    assert len(evaluation.evaluate(run, seed=6, metrics=["latent_svm"]).measures) == 2, "put aside by another count"
    run.dataset.attribute_table = -run.dataset.attribute_table
    assert evaluation.evaluate(run, seed=6, metrics=["latent_svm"]).measures == ("latent_svm",)
    for name in ("weights.safetensors", "digests.json"):  # a file without its digest would be refused as damaged
        shutil.copy(runs / "b" / name, tmp_path / "a" / name)
    run = open_run(tmp_path / "a")
    assert evaluation.evaluate(run, seed=6, metrics=["latent_svm"]).measures == ("latent_svm",)


def test_what_was_skipped_is_tried_again(runs, monkeypatch, tmp_path):
    run = open_run(runs / "a")
    there = [False]

    def weighed(self, context):
        if not there[0]:
            raise Skipped("no weights")
        return NUMBER

    monkeypatch.setattr(type(measures.get("lpips_vgg")), "take", weighed)
    with pytest.raises(MienError, match="no weights"):
        evaluation.evaluate(run, seed=7, metrics=["lpips_vgg"])
    opened = [run, open_run(runs / "b")]
    with pytest.raises(MienError, match="no lpips_vgg: no weights"):
        compare(opened, tmp_path / "x", seed=7, metrics=["lpips_vgg"])
    there[0] = True
    assert evaluation.evaluate(run, seed=7, metrics=["lpips_vgg"])["lpips_vgg"] == NUMBER
    there[0] = False
    again = evaluation.evaluate(run, seed=7, metrics=["lpips_vgg", "reconstruction"])
    assert again["lpips_vgg"] == NUMBER, "a number outlives the weights it was taken with"
    there[0] = True
    results, _, _ = compare(opened, tmp_path / "x", seed=7, metrics=["lpips_vgg", "reconstruction"])
    assert [result["lpips_vgg"] for result in results] == [NUMBER] * 2
    # shown where it is stored, though not measured
    results, _, _ = compare(opened, tmp_path / "x", seed=7)
    assert all("lpips_vgg" in result for result in results)


def test_all_measures_are_tried_and_say_why_they_cannot_be_taken(runs, capsys, monkeypatch):
    for name in ("MIEN_INCEPTION", "MIEN_ALEXNET", "MIEN_VGG16"):
        monkeypatch.setenv(name, str(runs / "nowhere.pth"))
    code, text = mien(capsys, "evaluate", runs / "a", "--count", "18")
    assert code == 0, text
    assert "not measured: edit_directions, identity, landmarks, lpips_alex" in " ".join(text.split())
    code, text = mien(capsys, "evaluate", runs / "a", "--judge", runs / "judge", "--count", "18", "--metric", "all")
    assert code == 0, text
    assert "not measured" not in text
    result = json.loads((runs / "a" / "evaluation.json").read_text())
    assert result["measures"] == list(measures.names())
    for name in ("lpips_alex", "fid50k"):
        assert "no such file" in result[name]["skipped"]
        assert f"{name} left out" in text
    assert {"reconstruction", "latent_svm", "edits", "feature_fid"} <= result.keys()
    assert "did you mean landmarks" in refused(capsys, "evaluate", runs / "a", "--metric", "landmark")


def test_what_different_judges_said_is_not_compared(runs, tmp_path):
    opened = [open_run(runs / name) for name in "ab"]
    for run, judge in zip(opened, ("judge", "second"), strict=True):
        evaluation.evaluate(run, runs / judge, count=17, metrics=["edits", "reconstruction"])
    results, _, page = compare(opened, tmp_path / "x", count=17, metrics=["edits", "reconstruction"])
    assert [("edits" in result, "reconstruction" in result, result.judge is not None) for result in results] == [
        (False, True, False)
    ] * 2
    assert "measures that depend on the judge are left out" in page.read_text()
    results, _, _ = compare(opened, tmp_path / "x", runs / "judge", count=17, metrics=["edits", "reconstruction"])
    assert all(result.judge.run == "judge" and "edits" in result for result in results)
    for run, judge in zip(opened, ("judge", "second"), strict=True):
        evaluation.evaluate(run, runs / judge, count=17, seed=8, metrics=["edits"])
    with pytest.raises(MienError, match=r"--judge RUN"):  # nothing is left
        compare(opened, tmp_path / "x", count=17, seed=8, metrics=["edits"])
    # now that one judge judged both, it need not be named again, and only what is asked for is shown
    results, _, _ = compare(opened, tmp_path / "x", count=17, metrics=["edits"])
    assert all("edits" in result and "reconstruction" not in result for result in results)


def test_runs_are_compared_and_not_measured_twice(runs, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["compare", runs / "a", runs / "b", "--judge", runs / "judge", "--count", "16", "--out", "both"]
    code, text = mien(capsys, *words)
    assert code == 0, text
    assert "edit accuracy" in text
    page = (tmp_path / "both" / "index.html").read_text()
    assert "Reconstructions" in page
    assert "Eyeglasses +1" in page
    assert page.index(">edit accuracy<") < page.index(">&nbsp;&nbsp;before the edit<")
    first = json.loads((tmp_path / "both" / "compare.json").read_text())["runs"]
    assert [run["run"] for run in first] == ["a", "b"]
    times = [(runs / name / "evaluation.json").stat().st_mtime_ns for name in "ab"]
    assert mien(capsys, *words)[0] == 0
    assert times == [(runs / name / "evaluation.json").stat().st_mtime_ns for name in "ab"]


def test_what_cannot_be_compared_is_refused(runs, capsys, tmp_path):
    assert "two runs or more" in refused(capsys, "compare", runs / "a")
    assert "whose data differ" in refused(capsys, "compare", runs / "a", runs / "other", "--out", tmp_path / "x")
    opened = open_run(runs / "a")
    with pytest.raises(MienError, match="different names"):
        compare([opened, opened], tmp_path / "x")
    assert "nowhere" in refused(capsys, "compare", runs / "a", runs / "b", "--judge", tmp_path / "nowhere")
    assert "as judge" in refused(capsys, "compare", runs / "a", runs / "b", "--judge", runs / "a")


def test_data_whose_held_out_pictures_are_others_are_refused(capsys, tmp_path):
    """One more picture changes the split: pictures that are held out now were training pictures before."""
    rng = np.random.default_rng(0)
    photos = tmp_path / "photos"
    photos.mkdir()
    for n in range(40):
        Image.fromarray(rng.integers(0, 255, (16, 16, 3), np.uint8)).save(photos / f"{n:02d}.png")
    run = tmp_path / "run"
    train("vae", Data("folder", str(photos), 16), run, {"width": 4, "latent": 8}, steps=2, batch=8)
    words = ["evaluate", run, "--metric", "reconstruction"]
    assert mien(capsys, *words)[0] == 0
    shutil.copy(photos / "00.png", photos / "00-copy.png")
    line = refused(capsys, *words)
    assert "(32 pictures, 4 held out)" in line
    assert "may have been trained on" in line
    (photos / "00-copy.png").unlink()
    for photo in sorted(photos.iterdir()):  # as many as before, of other names
        photo.rename(photos / f"new-{photo.name}")
    assert "got other pictures (32, 4 held out)" in refused(capsys, *words)
    config = json.loads((run / "config.json").read_text())
    del config["data"]["held_out"]
    (run / "config.json").write_text(json.dumps(config))
    assert mien(capsys, *words)[0] == 0, "runs of before names were noted go by counts"


def test_the_page_of_a_run_shows_what_it_can_do(runs, capsys):
    code, text = mien(capsys, "evaluate", runs / "a", "--judge", runs / "judge", "--count", "16")
    assert code == 0, text
    page = (runs / "a" / "report.html").read_text()
    for heading in ("Real and reconstructed", "Samples", "Attribute edits", "Edits against the truth", "Measures"):
        assert heading in page


def test_stored_results_of_every_version_are_read_and_written_as_they_were():
    paths = sorted((PROJECT / "results").glob("*.json"))
    if not paths:
        pytest.skip("the tests run outside of the project's folder")
    runs = [run["evaluation"] for path in paths for run in json.loads(path.read_text(encoding="utf-8"))["runs"]]
    assert len(runs) > 50
    for values in runs:
        assert evaluation.Evaluation.from_json(values).to_json() == values


@pytest.mark.parametrize("block", [{}, {"n": 8}, {"n": 8, "psnr_db": 3, "mse": {"mean": 1}}, [1]])
def test_a_damaged_result_is_refused_with_one_line(block):
    with pytest.raises(MienError, match="measure again"):
        measures.get("reconstruction").Result.from_json(block)


def test_an_unreadable_evaluation_is_kept_aside(runs):
    folder = runs / "other"
    (folder / "evaluation.json").write_text("{damaged")
    evaluation.evaluate(open_run(folder), metrics=["reconstruction"])
    (aside,) = folder.glob("evaluation-????????.json")
    assert aside.read_text() == "{damaged"
    assert "reconstruction" in json.loads((folder / "evaluation.json").read_text())


def test_attribute_scores_equal_a_loop():
    rng = np.random.default_rng(0)
    truth, message = rng.choice([-1, 0, 1], (50, 4)), rng.choice([-1, 1], (50, 4))
    scores = attribute_scores(message, truth, np.array([1, 1, -1, -1]), tuple("abcd"))
    for a, name in enumerate("abcd"):
        right, sides = [], {1: [], -1: []}
        for i in range(50):
            if truth[i, a]:
                right.append(message[i, a] == truth[i, a])
                sides[truth[i, a]].append(message[i, a] == truth[i, a])
        row = scores["per_attribute"][name]
        assert row["accuracy"] == pytest.approx(np.mean(right))
        assert row["balanced"] == pytest.approx((np.mean(sides[1]) + np.mean(sides[-1])) / 2)
        assert row["majority"] == pytest.approx(np.mean(truth[truth[:, a] != 0, a] == (1 if a < 2 else -1)))


def test_measures_of_inception_share_one_pass_and_say_what_is_missing(runs, monkeypatch):
    from mien.metrics import distributions, feature_networks

    monkeypatch.setenv(feature_networks.INCEPTION_VARIABLE, str(runs / "nowhere.pth"))
    result = evaluation.evaluate(open_run(runs / "a"), count=16, metrics=["reconstruction", "inception2k", "fid10k"])
    assert "no such file" in result.skipped["fid10k"]
    passes = []

    def network(device):
        import torch

        def look(x):
            passes.append(len(x))
            small = torch.nn.functional.adaptive_avg_pool2d(x, 2).flatten(1)
            return small, small[:, :5]

        return feature_networks.FeatureNetwork("inception", "made up", "0" * 64, 12, 5, "pooled", device, look)

    monkeypatch.setattr(feature_networks, "inception", network)
    result = evaluation.evaluate(open_run(runs / "a"), count=16, metrics=["inception2k", "fid10k", "kid10k"])
    # 10,000 generated and the 64 training pictures, seen once for all three
    assert sum(passes) == 10_000 + 64
    assert result["inception2k"].n_generated == 2000
    assert result["fid10k"].n_real == 64
    assert "2000 real pictures" in result.skipped["kid10k"], "64 are too few for the protocol of that name"
    family = {name for name in measures.names() if isinstance(measures.get(name), InceptionMeasure)}
    assert family == {name for name, protocol in distributions.PROTOCOLS.items() if protocol.network == "inception"}


def test_the_judges_features_give_four_measures(runs):
    result = evaluation.evaluate(open_run(runs / "a"), runs / "judge", count=16, metrics=["feature_fid"])
    block = result["feature_fid"]
    assert block.sides["samples"].fid > block.sides["real_against_real"].fid
    assert block.protocol["network"] == "judge"
    assert block.protocol["weights_sha256"] == result.judge.weights_sha256


def numbers(value, place=()):
    """Yield the place of each number of a JSON value."""
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from numbers(item, (*place, key))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield place


def test_a_stored_result_without_a_number_is_shown_or_measured_again(runs, tmp_path):
    """JSON holds NaN as null: each number of an evaluation may be null, and no table fails."""
    shutil.copytree(runs / "a", tmp_path / "a")
    evaluation.evaluate(open_run(tmp_path / "a"), judge=runs / "judge")
    whole = json.loads((tmp_path / "a" / RESULT).read_text())
    places = list(numbers(whole))
    assert len(places) > 100
    shown = 0
    for place in places:
        damaged = json.loads(json.dumps(whole))
        part = damaged
        for key in place[:-1]:
            part = part[key]
        part[place[-1]] = None
        (tmp_path / RESULT).write_text(json.dumps(damaged))
        result = read(tmp_path / RESULT)
        if result is not None:
            assert tables(result)
            assert numbers_section(result).body
            shown += 1
    assert shown > len(places) / 2


def test_edits_of_a_single_attribute_have_no_leakage(tmp_path, capsys):
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 100, (80, 16, 16, 3), np.uint8)
    bright = np.arange(80) % 2
    pictures[bright == 1] += 100
    data = Data.from_arrays(pictures, {"Bright": bright})
    train("vae", data, tmp_path / "vae", {"width": 4, "latent": 4}, steps=3, batch=16)
    train("attribute_cnn", data, tmp_path / "judge", {"widths": (4,) * 5}, steps=3, batch=16)
    code, text = mien(capsys, "evaluate", tmp_path / "vae", "--judge", tmp_path / "judge", "--metric", "edits")
    assert code == 0, text
    assert "nan" not in text
    code, text = mien(capsys, "show", tmp_path / "vae")
    assert code == 0, text
    assert "edit accuracy" in text
    assert "nan" not in text


def test_runs_that_differ_in_their_seed_share_a_row(runs, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        shutil.copytree(runs / name, tmp_path / f"vae-{name}")
    words = ["compare", "vae-a", "vae-b", runs / "judge", "--metric", "reconstruction", "--count", "16", "--out", "x"]
    code, text = mien(capsys, *words)
    assert code == 0, text
    assert "vae        2" in text
    stored = json.loads((tmp_path / "x" / "compare.json").read_text())
    group, judge = (Group.from_json(values) for values in stored["groups"])
    assert (group.name, group.runs, judge.name) == ("vae", ("vae-a", "vae-b"), "judge")
    values = [each["reconstruction"]["psnr_db"]["mean"] for each in stored["runs"][:2]]
    number = group.numbers["psnr_db"]
    assert number.mean == pytest.approx(np.mean(values))
    assert number.sd == pytest.approx(np.std(values, ddof=1))
    assert number.n == 2
    model = open_run(runs / "a").model
    assert group.cost.parameters == sum(v.numel() for v in model.parameters())
    assert group.cost.lowest <= group.cost.images_per_second <= group.cost.highest
    assert "psnr_db" not in judge.numbers
    rows, lower, higher = records([group, judge])
    assert rows[1]["PSNR dB"] is None
    assert (lower, higher) == ([], ["PSNR dB", "SSIM"])


def test_names_of_groups():
    config = {"model": "vae", "config": {"width": 4}, "training": {"steps": 5, "seed": 0}}
    other = {**config, "training": {"steps": 5, "seed": 1}}
    longer = {**config, "training": {"steps": 6, "seed": 0}}
    assert grouped({"vae-0": config, "vae-1": other}) == {"vae": ["vae-0", "vae-1"]}
    assert grouped({"a": config, "b": longer}) == {"a": ["a"], "b": ["b"]}
    # without a common beginning, and with the same one
    assert grouped({"x": config, "y": other}) == {"x": ["x", "y"]}
    assert grouped(
        {"r-0": config, "r-1": other, "r-2": longer, "r-3": {**longer, "training": {"steps": 6, "seed": 1}}}
    ) == {
        "r-0": ["r-0", "r-1"],
        "r-2": ["r-2", "r-3"],
    }


def test_the_cost_of_a_step_counts_convolutions_and_products():
    """A dense layer of 12 → 5: 2·12·5 operations forward, the same for its weights; a fixed input needs no gradient."""
    layer, x = torch.nn.Linear(12, 5), torch.randn(3, 12)
    with Operations() as counter:
        layer(x).sum().backward()
    assert counter.total == 2 * 3 * (2 * 12 * 5)
    # a gradient penalty has second derivatives
    plain, penalized = (
        flop_per_picture(tiny("wgan", penalty=weight), 0, 0, Alone(Settings(steps=1, device="cpu")))
        for weight in (0.0, 1.0)
    )
    assert 0 < plain < penalized
