"""Multi-view features and their scores, the command, the recipe of Table 1, and the scikit-learn transformer."""

import json
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import validate_data

from conftest import tiny
from mien.abilities import MissingAbility
from mien.applications import multiview as views_
from mien.applications.basics import encode_all
from mien.data.dataset import Splits
from mien.errors import MienError
from mien.metrics.latent_svm import latent_svm
from mien.recipes import vae_wgan_table1 as table1
from mien.run.opening import open_run
from mien.transformer import EXPECTED_FAILED_CHECKS, ImageEncoder, NotPictures
from test_cli import mien, refused

# ---------------------------------------------------------------------------------------------------- features


class Listed(SimpleNamespace):
    """A data set without pixels."""

    def __len__(self) -> int:
        return len(self.keys)


def view(called="one", order=None, train=None, **changes) -> views_.View:
    """A view of a hundred pictures, the first 60 for training; ``order`` is how its data set lists them."""
    order = np.arange(100) if order is None else order
    table = np.where(np.random.default_rng(0).random((100, 2)) > 0.5, 1, -1).astype(np.int8)
    values = {
        "name": "celeba",
        "options": {"root": f"/{called}"},
        "attributes": ("a", "b"),
        "attribute_table": table[order],
    }
    dataset = Listed(**{**values, "keys": tuple(f"{i:03}.jpg" for i in order), **changes})
    place = np.argsort(order)
    parts = [np.sort(place[part]) for part in (slice(60), slice(60, 80), slice(80, 100))]
    return views_.View(called, tiny("vae"), dataset, Splits(*parts, "seeded", ""), parts[0] if train is None else train)


def test_pictures_are_matched_by_their_keys():
    order = np.random.default_rng(1).permutation(100)
    one, other = view(), view("other", order)
    for mine, theirs in zip(*views_.align([one, other]), strict=True):
        assert [one.dataset.keys[i] for i in mine] == [other.dataset.keys[i] for i in theirs]
    (train, test), _ = views_.align([one, other])
    assert np.array_equal(train, np.arange(60))
    assert np.array_equal(test, np.arange(80, 100))


def test_only_shared_pictures_are_used():
    one, other = view(train=np.arange(40)), view("other", train=np.arange(20, 60))
    (train, _), (again, _) = views_.align([one, other])
    assert np.array_equal(train, np.arange(20, 40))
    assert np.array_equal(train, again)
    with pytest.raises(MienError, match="training pictures that all runs share, got none of one, other"):
        views_.align([view(train=np.arange(30)), view("other", train=np.arange(30, 60))])


def test_what_cannot_be_matched_is_refused_by_name():
    moved = view("other")
    moved = views_.View("other", moved.model, moved.dataset, Splits(*(np.arange(100)[p] for p in (
        slice(40, 100), slice(20, 40), slice(0, 20))), "seeded", ""), np.arange(40, 100))  # fmt: skip
    with pytest.raises(MienError, match="one split, got one, which may train on 20 pictures held out from other"):
        views_.align([view(), moved])
    # what one validates on another must not be judged on
    chosen = views_.View("other", moved.model, view("other").dataset, Splits(*(np.arange(100)[p] for p in (
        slice(60), slice(80, 100), slice(60, 80))), "seeded", ""), np.arange(60))  # fmt: skip
    with pytest.raises(MienError, match="one split, got one, which may train on 20 pictures held out from other"):
        views_.align([view(), chosen])
    with pytest.raises(MienError, match="one on celeba and other on avatars count=9"):
        views_.align([view(), view("other", name="avatars", options={"count": 9})])
    with pytest.raises(MienError, match="got other, whose pictures have other attributes"):
        views_.align([view(), view("other", attribute_table=-view().dataset.attribute_table)])
    with pytest.raises(MienError, match="attributes, got bare on mnist, which has none"):
        views_.align([view("bare", name="mnist", attributes=())])
    cannot = view()
    with pytest.raises(MissingAbility, match="Encodes, got AttributeCNN"):
        views_.align([views_.View("cnn", tiny("attribute_cnn"), cannot.dataset, cannot.splits, cannot.train)])
    with pytest.raises(MienError, match="one run or more"):
        views_.align([])


def drawn(n: int = 900, seed: int = 0) -> views_.Features:
    """Three views of two attributes: each of the first two has information on one of them, the third has none."""
    rng = np.random.default_rng(seed)
    y = np.where(rng.random((n, 2)) > 0.5, 1, -1).astype(np.int8)
    z = rng.normal(size=(n, 7)).astype(np.float32)
    z[:, :2] += y[:, :1]
    z[:, 2:4] += y[:, 1:]
    half = n // 2
    return views_.Features(("a", "b", "c"), ("A", "B"), z[:half], z[half:], y[:half], y[half:], (2, 2, 3))


def test_columns_of_views():
    assert drawn().columns("c", "a").tolist() == [0, 1, 4, 5, 6]


def test_views_that_know_different_things_are_better_together():
    calls = drawn()
    result = views_.compare(calls, ["a", "b"])
    for name in "ab":
        assert result["gain"][name]["mean"] > 4 * result["gain"][name]["sem"] > 0
    assert result["multi-view"]["of"] == ["a", "b"]
    assert result["multi-view"]["features"] == 4
    assert abs(result["alone"]["c"]["mean_accuracy"] - 0.5) < 0.06
    one, other = views_.score(calls, ["a", "b"]), views_.score(calls, ["a"])
    assert views_.gain(one, other)[0] == -views_.gain(other, one)[0] == one.mean_accuracy - other.mean_accuracy > 0
    assert views_.gain(one, one) == (0, 0)
    assert views_.gain(one, other)[1] == pytest.approx(views_.standard_error(one.hits - other.hits))


def test_a_small_c_spares_many_useless_numbers():
    calls = drawn(120)
    noise = np.random.default_rng(1).normal(size=(120, 80)).astype(np.float32)
    wide = views_.Features(
        ("a",), calls.attributes, np.hstack([calls.train, noise[:60]]), np.hstack([calls.test, noise[60:]]),
        calls.y_train, calls.y_test, (87,),
    )  # fmt: skip
    assert views_.gain(views_.score(wide, c=1e-3), views_.score(wide))[0] > 0
    result = views_.compare(wide, c=1e-3)
    assert result["c"] == 1e-3
    assert result["alone"]["a"]["mean_accuracy"] == views_.score(wide, c=1e-3).mean_accuracy
    with pytest.raises(MienError, match="C above 0"):
        views_.score(wide, c=0)


def test_the_same_view_twice_gains_nothing():
    calls = drawn()
    twice = views_.Features(
        ("a", "a #2"), calls.attributes, np.tile(calls.train[:, :2], 2), np.tile(calls.test[:, :2], 2),
        calls.y_train, calls.y_test, (2, 2),
    )  # fmt: skip
    result = views_.compare(twice)
    # what is there twice is penalized half as much, which may turn a picture on the border
    assert abs(result["gain"]["a"]["mean"]) <= 0.005
    assert result["alone"]["a"] == result["alone"]["a #2"]


def test_scores_are_those_of_latent_svm():
    calls = drawn()
    calls.y_test[::3, 1] = 0
    calls.y_train[::4, 0] = 0
    calls.y_train[:, 1] = np.where(calls.y_train[:, 1] == 0, 1, calls.y_train[:, 1])
    mine = views_.score(calls)
    theirs = latent_svm(calls.train, calls.y_train, calls.test, calls.y_test, calls.attributes)
    assert np.allclose(mine.accuracy, theirs.accuracy)
    assert np.allclose(mine.majority, theirs.majority)
    assert mine.mean_accuracy == pytest.approx(theirs.mean_accuracy)
    calls.y_train[:, 0] = 1  # of one value only
    assert views_.score(calls).names == ("B",)
    calls.y_train[:, 1] = -1
    with pytest.raises(MienError, match="both values"):
        views_.score(calls)


def test_standard_error_is_of_pictures():
    rng = np.random.default_rng(0)
    values = (rng.random((400, 5)) < rng.random((400, 1))).astype(np.float32)
    assert views_.standard_error(values) == pytest.approx(values.mean(1).std(ddof=1) / 20, rel=1e-5)
    values[rng.random(values.shape) < 0.3] = np.nan
    # against leaving out each picture in turn
    left = np.array([np.nanmean(np.delete(values, i, 0), axis=0).mean() for i in range(400)])
    jackknife = np.sqrt(399 / 400 * np.square(left - left.mean()).sum())
    assert views_.standard_error(values) == pytest.approx(jackknife, rel=0.02)
    assert np.isnan(views_.standard_error(values[:1]))


# ----------------------------------------------------------------------------------------------------- command


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """VAEs of two sizes and one of another split, a classifier, and a VAE without attributes."""
    from mien.experiment import train
    from mien.run.data import Data

    folder = tmp_path_factory.mktemp("views")

    def trained(name, model="vae", size=16, seed=0, split_seed=0, **settings):
        data = Data("avatars", size=size, options={"count": 240}, split_seed=split_seed)
        train(model, data, folder / name, {"width": 4, "latent": 6, **settings}, steps=2, batch=16, seed=seed)

    trained("small")
    trained("large", size=24, seed=1, latent=4)
    trained("moved", split_seed=1)
    data = Data("avatars", size=16, options={"count": 240})
    train("attribute_cnn", data, folder / "cnn", {"widths": (4, 4, 4, 4, 4)}, steps=2, batch=16)
    return folder


def test_one_run_is_latent_svm_of_it(runs):
    run = open_run(runs / "small")
    calls = views_.features([views_.View("small", run.model, run.dataset, run.splits, run.index)])
    z_train, z_test = (encode_all(run.model, run.dataset, part).numpy() for part in (run.splits.train, run.splits.test))
    assert np.array_equal(calls.train, z_train)
    table = np.asarray(run.dataset.attribute_table)
    theirs = latent_svm(z_train, table[run.splits.train], z_test, table[run.splits.test], run.dataset.attributes)
    mine = views_.score(calls)
    assert mine.names == theirs.names
    assert np.allclose(mine.accuracy, theirs.accuracy)
    result = views_.compare(calls)
    assert result["gain"]["small"] == {"mean": 0, "sem": 0}
    assert len(views_.features([views_.View("s", run.model, run.dataset, run.splits, run.index)], most=50).train) == 50


def test_command(capsys, runs, tmp_path):
    out = tmp_path / "m.json"
    code, text = mien(capsys, "multiview", runs / "small", runs / "large", "--attributes", "--out", out)
    assert code == 0, text
    assert "multi-view of 2" in text
    assert "Smiling" in text
    assert "published" not in text  # these are no CelebA
    result = json.loads(out.read_text())
    assert result["multi-view"]["features"] == 10
    assert result["runs"]["large"]["size"] == 24
    assert result["n"] == 24
    code, text = mien(
        capsys, "multiview", runs / "small", "--beside", runs / "large", "--json", "--out", tmp_path / "m2.json"
    )
    assert code == 0, text
    printed = json.loads(text)
    assert printed["multi-view"]["mean_accuracy"] == printed["alone"]["small"]["mean_accuracy"]
    assert printed["alone"] == result["alone"]
    assert printed["multi-view"]["of"] == ["small"]


def test_command_refuses(capsys, runs, tmp_path):
    line = refused(capsys, "multiview", runs / "small", runs / "moved")
    assert "one split" in line
    assert "moved" in line
    assert "Encodes" in refused(capsys, "multiview", runs / "small", runs / "cnn")
    assert "--c above 0" in refused(capsys, "multiview", runs / "small", "--c", 0)
    assert "a folder" in refused(capsys, "multiview", runs / "small", "--out", tmp_path)
    assert "does not exist" in refused(capsys, "multiview", runs / "small", "--beside", tmp_path / "nowhere")
    config = json.loads((runs / "small" / "config.json").read_text())
    config["data"] |= {"attributes": [], "name": "mnist"}
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare/config.json").write_text(json.dumps(config))
    (tmp_path / "bare/weights.safetensors").write_bytes((runs / "small/weights.safetensors").read_bytes())
    assert "on mnist, which has none" in refused(capsys, "multiview", tmp_path / "bare")


# ------------------------------------------------------------------------------------------------------ recipe


def test_recipe_prints_its_plan_and_writes_nothing(capsys, tmp_path):
    table1.main(["--dry-run", "--out", str(tmp_path / "t")])
    lines = capsys.readouterr().out.splitlines()
    assert not (tmp_path / "t").exists()
    assert sum(line.startswith("mien train vae_wgan") for line in lines) == 5
    assert sum(line.startswith("mien train dfc_vae") for line in lines) == 2
    assert all(f"--set layers={layer} " in lines[1 + layer] for layer in range(1, 6))
    assert lines[-1].startswith("mien multiview")
    assert "--c" not in lines[-1]
    table1.main(["--dry-run", "--c", "0.001", "--out", str(tmp_path / "t")])
    assert " --c 0.001 --out" in capsys.readouterr().out.splitlines()[-1]
    assert not any("attribute_cnn" in row["model"] for row in table1.plan(10, "vgg19", tmp_path))


def test_recipe_is_what_the_commands_of_its_plan_train(tmp_path):
    from mien.models.base import parse_settings

    for run in table1.plan(10, None, tmp_path):
        pairs = [f"{key}={table1._text(value)}" for key, value in run["settings"].items()]
        assert parse_settings(run["model"], pairs) == run["settings"]


def test_published_rows_are_whole():
    for name, values in table1.PER_ATTRIBUTE.items():
        if len(values) == 40:
            assert round(float(np.mean(values)), 2) == table1.PUBLISHED[name]


def test_tables_of_forty_attributes(runs):
    result = table1.measure([runs / "small", runs / "large"])
    result["published"] = {"source": "a paper", "percent": table1.PUBLISHED, "order": list(result["per_attribute"])}
    from rich.console import Console

    console = Console(width=100, record=True, quiet=True)
    with console.capture():
        for each in table1.tables(result, attributes=True):
            console.print(each)
    assert any(
        "88.88%" in str(list(each.columns[1].cells)) for each in table1.tables(result) if hasattr(each, "columns")
    )


# ------------------------------------------------------------------------------------------------- transformer


@pytest.fixture(scope="module")
def pictures(runs):
    """Forty pictures as they are stored, with an attribute."""
    dataset = open_run(runs / "small").dataset
    a = int(np.abs(np.asarray(dataset.attribute_table[:40]).mean(0)).argmin())
    return dataset.pictures(np.arange(40)), np.asarray(dataset.attribute_table[:40, a])


def test_encoder_gives_the_latents(runs, pictures):
    x, _ = pictures
    run = open_run(runs / "small")
    z = encode_all(run.model, run.dataset, np.arange(40)).numpy()
    encoder = ImageEncoder(runs / "small", batch=7)
    assert np.allclose(encoder.fit_transform(x), z, atol=1e-5)
    assert np.allclose(encoder.transform(x.reshape(40, -1).astype(np.float64)), z, atol=1e-5)
    assert list(encoder.get_feature_names_out()) == [f"small_z{k}" for k in range(6)]
    both = ImageEncoder([runs / "small", runs / "moved"]).fit(x)
    assert both.transform(x).shape == (40, 12)
    assert np.allclose(both.transform(x)[:, :6], z, atol=1e-5)
    assert list(both.get_feature_names_out())[6] == "moved_z0"


def test_encoder_warns_of_fractions_and_refuses_nan(runs, pictures):
    x, _ = pictures
    encoder = ImageEncoder(runs / "small").fit(x)
    with pytest.warns(UserWarning, match=r"seem to be in \[0, 1\]: pass 255 \* X"):
        encoder.transform(x / 255)
    broken = x.reshape(40, -1).astype(np.float64)
    broken[3, 5] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        encoder.transform(broken)
    with pytest.raises(ValueError, match="0 sample"):
        encoder.transform(x[:0])


def test_encoder_in_a_pipeline_and_a_grid_search(runs, pictures):
    x, y = pictures
    pipeline = make_pipeline(ImageEncoder([str(runs / "small")]), StandardScaler(), LogisticRegression())
    assert pipeline.fit(x, y).predict(x).shape == (40,)
    grid = {"imageencoder__runs": [[str(runs / "small")], [str(runs / "small"), str(runs / "moved")]]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(x.reshape(40, -1), y)
    assert len(search.cv_results_["params"]) == 2
    copy = clone(pipeline).set_params(imageencoder__batch=3)
    assert copy.get_params()["imageencoder__batch"] == 3
    assert not hasattr(copy[0], "widths_")


def test_encoder_is_pickled_without_weights(runs, pictures, tmp_path):
    x, _ = pictures
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("config.json", "weights.safetensors"):
        (folder / name).write_bytes((runs / "small" / name).read_bytes())
    encoder = ImageEncoder([folder]).fit(x)
    content = pickle.dumps(encoder)
    assert len(content) < 2000
    assert np.array_equal(pickle.loads(content).transform(x), encoder.transform(x))
    (folder / "weights.safetensors").write_bytes((runs / "moved/weights.safetensors").read_bytes())
    with pytest.raises(MienError, match="fit again"):
        pickle.loads(content).transform(x)


def test_encoder_refuses(runs, pictures):
    x, _ = pictures
    for wrong, words in (
        (x.transpose(0, 3, 1, 2), "channels last"),
        (x[:, :8], r"expected pictures \(n, 16, 16, 3\)"),
        (x.reshape(40, -1)[:, :-1], r"or \(n, 768\), got \(40, 767\)"),
        (x.astype(float) * 2, "values from 0 to 255"),
        (x / 127.5 - 1, "Negative values"),
        (x[0], "expected pictures"),
    ):
        with pytest.raises(NotPictures, match=words):
            ImageEncoder([runs / "small"]).fit(wrong)
    with pytest.raises(ValueError, match="NaN"):
        ImageEncoder([runs / "small"]).fit(np.full(x.shape, np.nan))
    for encoder, words in (
        (ImageEncoder(), "one run or more"),
        (ImageEncoder([runs / "small"], batch=0), "batch of 1"),
        (ImageEncoder([runs / "small", runs / "large"]), "pictures of one shape"),
        (ImageEncoder(["nowhere"]), "does not exist"),
        (ImageEncoder([runs / "cnn"]), "Encodes"),
    ):
        with pytest.raises(MienError, match=words):
            encoder.fit(x)


def statuses(estimator, expected) -> dict[str, set[str]]:
    """The result of each of scikit-learn's checks."""
    result: dict[str, set[str]] = {}
    for check in check_estimator(estimator, expected_failed_checks=expected, on_fail=None, on_skip=None):
        result.setdefault(check["status"], set()).add(check["check_name"])
    return result


def test_check_estimator_fails_where_it_must(runs):
    result = statuses(ImageEncoder([runs / "small"]), EXPECTED_FAILED_CHECKS)
    assert "failed" not in result
    assert result["xfail"] == set(EXPECTED_FAILED_CHECKS)
    assert len(result["passed"]) >= 18


NEGATIVE = {"check_positive_only_tag_during_fit", "check_fit_non_negative"}


class AnyTable(ImageEncoder):
    """Turns any table into pictures, for scikit-learn's checks."""

    def _check(self, X, reset):
        flat = validate_data(self, X, reset=reset, dtype="numeric").astype(np.float64)
        size = int(np.prod(self.shape_))
        return np.tile(127.5 * (1 + np.tanh(flat)), (1, -(-size // flat.shape[1])))[:, :size]


def test_check_estimator_passes_once_tables_are_pictures(runs):
    never = "negative numbers are allowed here"
    result = statuses(AnyTable([runs / "small"]), dict.fromkeys(NEGATIVE, never))
    assert "failed" not in result, result["failed"]
    assert result["xfail"] == NEGATIVE
    assert set(EXPECTED_FAILED_CHECKS) - result["xfail"] <= result["passed"]


def test_encoder_takes_signals(tmp_path):
    from mien.files import write_json
    from mien.models.base import json_config
    from mien.run.weights import save_weights

    model = tiny("ssavae", shape=(1, 1, 64), latent=4)
    names: dict[str, dict] = {"data": {}, "training": {}}
    write_json(tmp_path / "config.json", {"format": 1, "model": "ssavae", "config": json_config(model), **names})
    save_weights(tmp_path / "weights.safetensors", model.state_dict())
    x = np.sin(np.linspace(0, 9, 64, dtype=np.float32) * np.arange(1, 6)[:, None])
    z = ImageEncoder(tmp_path).fit(x).transform(x.reshape(5, 1, 64, 1))
    with torch.inference_mode():
        assert np.allclose(z, model.eval().encode(torch.from_numpy(x).float()[:, None, None]).mean.numpy(), atol=1e-5)
    with pytest.raises(NotPictures, match="from -1 to 1"):
        ImageEncoder(tmp_path).fit(x * 2)
