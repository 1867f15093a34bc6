"""mien measure and mien measure-edits: the numbers against independent derivations, and what real folders hold."""

import importlib
import json
import shutil

import numpy as np
import pytest
import scipy.linalg
import torch
from PIL import Image

from mien.errors import MienError, UnknownName
from mien.evaluation import folder_edits
from mien.evaluation.attributes import AttributeScores
from mien.evaluation.folders import Features, choose, measure_folders, open_features, part_of, scan
from mien.evaluation.measures.classes import Classes, ClassScores
from mien.metrics import dinov2 as dino
from mien.metrics.attributes import attribute_scores
from mien.metrics.classes import class_accuracy
from mien.metrics.density_coverage import density_coverage
from mien.metrics.feature_networks import FeatureNetwork, bicubic, inception
from mien.metrics.inception_score import inception_score
from mien.metrics.kid import kid
from mien.metrics.precision_recall import precision_recall
from mien.metrics.reliability import unreliable
from test_cli import mien, refused
from test_distributions import random_inception  # noqa: F401  (a fixture)

JUDGE = "judge-64"


def write(folder, n, seed, size=(20, 16), suffix=".png", shade=0):
    """Write n pictures of smooth noise; ``shade`` is added to their levels."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    for i in range(n):
        small = Image.fromarray(rng.integers(0, 200, (4, 5, 3), np.uint8))
        picture = np.asarray(small.resize(size, Image.Resampling.BICUBIC)).astype(int) + shade
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(folder / f"p{i:03d}{suffix}")
    return folder


def pooled(classes=0):
    """Features of 12 pooled levels of pictures of 8x8 pixels."""

    def look(x):
        rows = torch.nn.functional.avg_pool2d(x, 4).flatten(1)
        return rows, 3 * rows[:, :classes] if classes else None

    network = FeatureNetwork("judge", "pooled pixels", "0" * 64, 12, classes, "none", torch.device("cpu"), look)
    return Features("pooled", network, (3, 8, 8))


def by_hand(folder):
    """The same features by Pillow and NumPy alone: (n, 12)."""
    rows = []
    for file in sorted(folder.glob("*.png")):
        picture = Image.open(file)
        side = min(picture.size)
        left, top = (picture.width - side) / 2, (picture.height - side) / 2
        box = (left, top, left + side, top + side)
        levels = np.asarray(picture.resize((8, 8), Image.Resampling.LANCZOS, box=box)).astype(np.float64)
        rows.append((levels / 127.5 - 1).reshape(2, 4, 2, 4, 3).mean((1, 3)).transpose(2, 0, 1).ravel())
    return np.stack(rows)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    place = tmp_path_factory.mktemp("two")
    return write(place / "real", 60, 1), write(place / "fake", 50, 2, shade=15)


def test_the_numbers_are_those_of_scipy_and_of_loops(two):
    result = measure_folders(*two, pooled())
    a, b = map(by_hand, two)
    values = {name: block["value"] for name, block in result["measures"].items()}
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    shared = np.trace(scipy.linalg.sqrtm(first @ second).real)
    apart = np.square(a.mean(0) - b.mean(0)).sum()
    assert values["fid"] == pytest.approx(apart + np.trace(first) + np.trace(second) - 2 * shared, rel=1e-4)

    apart = np.linalg.norm(b[:, None] - a[None], axis=2)  # (50, 60)
    own = [np.sort(np.linalg.norm(x[:, None] - x[None], axis=2), axis=1) for x in (a, b)]
    assert values["precision_recall"]["precision"] == np.mean((apart <= own[0][:, 3]).any(1))
    assert values["precision_recall"]["recall"] == np.mean((apart <= own[1][:, 3][:, None]).any(0))
    inside = apart <= own[0][:, 5]
    assert values["density_coverage"]["density"] == pytest.approx(inside.sum() / (5 * len(b)))
    assert values["density_coverage"]["coverage"] == np.mean(inside.any(0))

    def kernel(x, y):
        return (x @ y.T / 12 + 1) ** 3

    def within(x):
        k = kernel(x, x)
        return (k.sum() - np.trace(k)) / (len(x) * (len(x) - 1))

    # the mean over subsets estimates the distance of all rows
    whole = within(a) + within(b) - 2 * kernel(a, b).mean()
    block = result["measures"]["kid"]
    assert block["subset_size"] == 25
    assert block["value"] == pytest.approx(whole, abs=4 * block["spread"] / 10)
    assert whole > 10 * abs(result["baseline"]["kid"]["value"])  # the shade is seen


def test_the_result_records_how_it_was_measured_and_repeats(two):
    result = measure_folders(*two, pooled(classes=4), seed=3)
    again = measure_folders(*two, pooled(classes=4), seed=3)
    assert {k: v for k, v in result.items() if k != "seconds"} == {k: v for k, v in again.items() if k != "seconds"}
    assert set(result["measures"]) == {"fid", "kid", "precision_recall", "density_coverage", "inception_score"}
    assert "inception_score" not in result["baseline"]
    assert result["measures"]["inception_score"]["n_real"] == 0
    assert "too low" in result["measures"]["inception_score"]["warning"]
    assert (result["measures"]["fid"]["n_real"], result["measures"]["fid"]["n_other"]) == (60, 50)
    assert result["baseline"]["fid"]["n_real"] == 30
    assert result["real"]["sizes"] == {"20x16": 60}
    assert "8x8 pixels by Lanczos" in result["reading"]
    assert json.loads(json.dumps(result)) == result
    few = measure_folders(*two, pooled(), ["fid"], count=20)
    assert few["measures"]["fid"]["n_real"] == few["measures"]["fid"]["n_other"] == 20
    assert set(few["measures"]) == {"fid"}


def test_broken_pictures_other_files_and_sizes_are_counted(tmp_path, two):
    folder = tmp_path / "mixed"
    shutil.copytree(two[1], folder / "inner")
    write(folder, 3, 5, size=(40, 90))
    (folder / "cut.png").write_bytes((folder / "p000.png").read_bytes()[:60])
    (folder / "text.jpg").write_text("no picture")
    (folder / "notes.txt").write_text("hello")
    matches = scan(folder)
    assert (len(matches.names), matches.files, matches.others) == (53, 55, {".txt": 1})
    assert [line.partition(":")[0] for line in matches.unread] == ["cut.png", "text.jpg"]
    assert matches.sizes == {"20x16": 50, "40x90": 3}
    result = measure_folders(two[0], folder, pooled())
    assert result["measures"]["fid"]["n_other"] == 53
    calls = []
    network = pooled().network

    def look(x):
        calls.append(tuple(x.shape))
        return network.look(torch.nn.functional.adaptive_avg_pool2d(x, 8))

    own = Features("own", FeatureNetwork("x", "x", "0", 12, 0, "none", torch.device("cpu"), look), None)
    measure_folders(folder, two[0], own, ["fid"])
    assert set(calls) == {(50, 3, 16, 20), (3, 3, 90, 40), (60, 3, 16, 20)}  # each size by itself, at most 64


def test_a_crop_cuts_the_center():
    levels = np.zeros((218, 178, 3), np.uint8)
    levels[35:183, 15:163] = 255  # the centered square of 148
    picture = Image.fromarray(levels)
    assert part_of(picture, None, 148).shape == (148, 148, 3)
    assert (part_of(picture, (3, 64, 64), 148) == 255).all()
    assert part_of(picture, (1, 64, 64)).shape == (64, 64, 1)
    assert part_of(picture, None).shape == (218, 178, 3)
    assert part_of(Image.fromarray(levels[:100]), None, 148).shape == (100, 178, 3)  # too small to be cut


def test_few_pictures_are_refused_or_marked_in_one_sentence(tmp_path, two):
    three = write(tmp_path / "three", 3, 7)
    result = measure_folders(two[0], three, pooled())
    assert set(result["measures"]) == {"fid"}
    assert result["left_out"]["precision_recall"] == "expected 4 pictures or more, got 3: use more"
    assert result["measures"]["fid"]["warning"] == "unreliable: 3 pictures for 12 features"
    assert "warning" not in measure_folders(*two, pooled())["measures"]["fid"]
    with pytest.raises(MienError, match="precision_recall: expected 4 pictures or more, got 3"):
        measure_folders(two[0], three, pooled(), ["precision_recall"])
    x = torch.randn(3, 5)
    for measure, text in ((precision_recall, "4 pictures or more"), (density_coverage, "6 pictures or more")):
        with pytest.raises(MienError, match=f"expected {text} on either side .*got 3 real and 50"):
            measure(x, torch.randn(50, 5))
    with pytest.raises(MienError, match="2 pictures or more"):
        kid(x[:1], x)
    with pytest.raises(MienError, match="10 pictures or more for a score of 10 parts, got 3"):
        inception_score(x)
    assert kid(x, x + 1, subset_size=1000)["subset_size"] == 3  # never more than there are
    assert unreliable(12, 12)
    assert not unreliable(13, 12)


def test_folders_that_cannot_be_measured(tmp_path, two):
    with pytest.raises(MienError, match="does not exist"):
        scan(tmp_path / "none")
    with pytest.raises(MienError, match=r"a file: pass its folder"):
        scan(two[0] / "p000.png")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").write_text("x")
    with pytest.raises(MienError, match=r"1 that cannot be read \(a.png: not a picture"):
        scan(tmp_path / "bad")
    with pytest.raises(UnknownName, match="did you mean fid"):
        choose(pooled().network, ["fidd"])
    with pytest.raises(MienError, match="features with classes"):
        choose(pooled().network, ["inception_score"])
    with pytest.raises(MienError, match="none of these"):
        open_features("nothing")


# ---- feature networks


def test_clean_resizing_is_pillows_on_floats():
    levels = np.random.default_rng(0).integers(0, 256, (2, 3, 50, 37), np.uint8)
    for size in (20, 64):
        theirs = [
            np.asarray(Image.fromarray(one.astype(np.float32), mode="F").resize((size, size), Image.Resampling.BICUBIC))
            for one in levels.reshape(6, 50, 37)
        ]
        expected = np.stack(theirs).clip(0, 255).reshape(2, 3, size, size)
        np.testing.assert_allclose(bicubic(torch.from_numpy(levels), size).numpy(), expected, atol=2e-3)


def test_inception_has_both_resizings(random_inception):  # noqa: F811
    x = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 3, 299, 299)) / 127.5 - 1).float()
    plain, clean = inception(random_inception), inception(random_inception, resizing="clean")
    for one, other in zip(plain.look(x), clean.look(x), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)  # nothing to resize: one network
    assert "clean-fid" in clean.preprocessing
    assert "torch-fidelity" in plain.preprocessing
    small = x[..., :40, :60]
    assert not torch.allclose(plain.features(small), clean.features(small), rtol=1e-2)
    with pytest.raises(UnknownName):
        inception(random_inception, resizing="cleaned")
    assert open_features(str(random_inception)).network.name == "inception"


def test_dinov2_from_files(tmp_path):
    timm = pytest.importorskip("timm", reason="no timm: pip install mien[dinov2]")
    from safetensors.torch import save_file

    torch.manual_seed(0)
    model = timm.create_model("vit_small_patch14_dinov2", pretrained=False, num_classes=0)
    state = {**model.state_dict(), "mask_token": torch.zeros(1, 384)}
    torch.save(state, tmp_path / "meta.pth")  # Meta's file has the token of the pretraining
    del state["mask_token"]
    save_file(state, tmp_path / "model.safetensors")
    before = torch.get_rng_state()
    first, second = (open_features(str(tmp_path / name)) for name in ("meta.pth", "model.safetensors"))
    assert torch.equal(before, torch.get_rng_state())
    assert first.shape is None
    about = first.network.about()
    assert (about["network"], about["features"], first.network.classes) == ("dinov2", 384, 0)
    assert about["weights"] == "DINOv2 ViT-S/14: meta.pth"
    x = torch.rand(2, 3, 50, 60) * 2 - 1
    features = first.network.features(x)
    torch.testing.assert_close(features, second.network.features(x))
    # timm's own model at 224 pixels, with the same position embedding
    own = timm.create_model("vit_small_patch14_dinov2", pretrained=False, num_classes=0, img_size=224).eval()
    own.load_state_dict({**state, "pos_embed": dino.positions(state["pos_embed"])})
    levels = bicubic(((x + 1) * 127.5).round().to(torch.uint8), 224) / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.inference_mode():
        tokens = own.forward_features((levels - mean[:, None, None]) / std[:, None, None])
    torch.testing.assert_close(features, tokens[:, 0])
    del state["norm.weight"]
    torch.save(state, tmp_path / "cut.pth")
    with pytest.raises(MienError, match=r"weights of DINOv2 ViT-S/14 in .*cut.pth, got others"):
        dino.dinov2(tmp_path / "cut.pth")


def test_dinov2_without_its_parts(tmp_path, monkeypatch):
    monkeypatch.delenv("MIEN_DINOV2", raising=False)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(MienError, match=r"got none: pass --features FILE with dinov2_vits14_pretrain.pth"):
        dino.dinov2()
    with pytest.raises(MienError, match="no such file"):
        dino.dinov2(tmp_path / "none.pth")
    state = {
        "cls_token": torch.zeros(1, 1, 384),
        "pos_embed": torch.randn(1, 1370, 384),
        "patch_embed.proj.weight": torch.zeros(384, 3, 14, 14),
        **{f"blocks.{i}.ls1.gamma": torch.zeros(384) for i in range(12)},
    }
    torch.save(state, tmp_path / "small.pth")
    assert dino.kind(state, tmp_path)[0] == "DINOv2 ViT-S/14"
    with pytest.raises(MienError, match=r"without registers in .*got 12 blocks of width 384"):
        dino.kind({**state, "register_tokens": torch.zeros(1, 4, 384)}, tmp_path)
    with pytest.raises(MienError, match="got 0 blocks of width 0"):
        dino.kind({"a": torch.zeros(1)}, tmp_path)
    (tmp_path / "bad.safetensors").write_bytes(b"bad")
    with pytest.raises(MienError, match="damaged"):
        dino.read(tmp_path / "bad.safetensors")
    resized = dino.positions(state["pos_embed"])
    assert resized.shape == (1, 257, 384)
    assert torch.equal(resized[:, 0], state["pos_embed"][:, 0])
    assert torch.equal(dino.positions(resized), resized)

    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(MienError, match=r"pip install 'mien\[dinov2\]'"):
        dino.dinov2(tmp_path / "small.pth")


# ---- item 9: what has one value is in no mean


def test_attributes_of_one_value_are_left_out_of_the_balanced_mean():
    predicted = np.array([[1, -1], [1, -1], [-1, -1], [-1, -1]])
    truth = np.array([[1, -1], [1, -1], [1, -1], [-1, -1]])
    scores = attribute_scores(predicted, truth, np.array([1, -1]), ("Smiling", "Bald"))
    assert scores["one_value"] == ["Bald"]
    assert scores["balanced_accuracy"] == pytest.approx((2 / 3 + 1) / 2)  # Smiling alone
    assert scores["per_attribute"]["Bald"] == dict(
        accuracy=1.0, balanced=None, majority=1.0, recall=None, specificity=1.0
    )
    assert scores["per_attribute"]["Smiling"]["recall"] == pytest.approx(2 / 3)
    assert scores["mean_accuracy"] == pytest.approx(7 / 8)  # of all attributes, beside the baseline of all
    record = AttributeScores.from_json(scores)
    assert AttributeScores.from_json(record.to_json()) == record
    texts = " ".join(row.how for row in record.rows("test"))
    assert "one value in these pictures: Bald" in texts
    assert record.cells()["Bald"]["balanced"] == "one value"
    only = attribute_scores(predicted[:, 1:], truth[:, 1:], np.array([-1]), ("Bald",))
    assert only["balanced_accuracy"] is None
    assert not any("balanced" in row.label for row in AttributeScores.from_json(only).rows("test"))
    with pytest.raises(MienError, match="known attribute"):
        attribute_scores(predicted, np.zeros_like(truth), np.array([1, 1]), ("a", "b"))


def test_classes_without_pictures_are_named():
    scores = class_accuracy(np.array([0, 0, 0]), np.array([0, 0, 0]), ("a", "b", "c"))
    assert (scores["accuracy"], scores["balanced_accuracy"], scores["absent"]) == (1.0, None, ["b", "c"])
    two = class_accuracy(np.array([0, 0, 1]), np.array([0, 1, 1]), ("a", "b", "c"))
    assert (two["balanced_accuracy"], two["absent"]) == (0.75, ["c"])
    from mien.evaluation.measures.classes import Accuracies

    (row, _) = Classes().rows(Accuracies(recognition=ClassScores.from_json(scores)))
    assert "one class, none of b, c" in row.how
    with pytest.raises(MienError, match="known class"):
        class_accuracy(np.array([0]), np.array([-1]), ("a",))


# ---- the commands


def test_the_command_measures_by_a_judge(two, tmp_path, capsys):
    (two[1] / "broken.png").write_text("x")
    try:
        out = tmp_path / "result.json"
        code, text = mien(
            capsys, "measure", *two, "--features", JUDGE, "--json", out, "--metric", "fid", "--metric", "kid"
        )
        assert code == 0, text
        result = json.loads(out.read_text())
        assert result["features"]["name"] == "judge-64 (attribute_cnn)"
        assert result["other"]["unread"] == ["broken.png: not a picture"]
        assert f"{result['measures']['fid']['value']:.2f}" in text
        assert "broken.png: not a picture" in text
        assert "unreliable" in text
        assert "real / real" in text
        before = out.read_bytes()
        assert "choose another" in refused(capsys, "measure", *two, "--features", JUDGE, "--json", two[0] / "p000.png")
        assert out.read_bytes() == before
    finally:
        (two[1] / "broken.png").unlink()
    assert "does not exist" in refused(capsys, "measure", two[0], tmp_path / "none", "--features", JUDGE)
    assert "did you mean kid" in refused(capsys, "measure", *two, "--features", JUDGE, "--metric", "kidd")


def test_the_command_without_a_network_says_where_weights_belong(two, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("MIEN_INCEPTION", raising=False)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))

    def offline(*args, **options):
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    text = refused(capsys, "measure", *two)
    assert "no route to host" in text
    assert "MIEN_INCEPTION" in text
    assert text.count("\n") <= 1


@pytest.fixture(scope="module")
def edits(tmp_path_factory):
    place = tmp_path_factory.mktemp("edits")
    before = write(place / "before", 12, 1, size=(70, 64), suffix=".jpg")
    after = write(place / "after", 12, 2, size=(64, 64))
    return before, after


def test_edits_are_scored_as_by_hand(edits):
    from mien.data.reading import read_pictures
    from mien.run.weights import load

    before, after = edits
    result = folder_edits.measure_edits(before, after, "Young", JUDGE)
    model = load(JUDGE)
    names, a = list(model.attributes), list(model.attributes).index("Young")
    with torch.inference_mode():
        plain, edited = (
            model.recognize(read_pictures(sorted(folder.iterdir()), model)).numpy() > 0.5 for folder in edits
        )
    others = [i for i in range(len(names)) if i != a]
    assert result["pairs"] == 12
    assert result["success"] == pytest.approx(edited[:, a].mean())
    assert result["unedited"] == pytest.approx(plain[:, a].mean())
    assert result["leakage"] == pytest.approx((plain != edited)[:, others].mean())
    assert result["leakage"] > 0
    share = (plain != edited).mean(0)
    first, value = next(iter(result["most_leaked"].items()))
    assert value == pytest.approx(max(share[others])) == pytest.approx(share[names.index(first)])
    assert (result["ceiling"], result["gain"]) == (None, None)
    assert "no ceiling: pass --real" in result["reference"]
    removed = folder_edits.measure_edits(before, after, "Young", JUDGE, sign=-1)
    assert removed["success"] == pytest.approx(1 - result["success"])
    assert removed["change"] == "removed"
    n, p = 12, result["success"]
    assert result["standard_errors"]["success"] == pytest.approx((p * (1 - p) / n) ** 0.5, rel=0.25)
    same = folder_edits.measure_edits(before, before, "Young", JUDGE)
    assert (same["leakage"], same["pixels"]["change"]) == (0, 0)
    assert result["pixels"]["change"] > 1
    assert json.loads(json.dumps(result)) == result


def test_the_stored_recall_of_a_judge_is_the_ceiling(edits, tmp_path):
    from mien.run.folder import resolve

    judge = tmp_path / "judge"
    shutil.copytree(resolve(JUDGE), judge)
    block = {"Young": {"accuracy": 0.8, "balanced": 0.8, "majority": 0.7, "recall": 0.9, "specificity": 0.75}}
    (judge / "evaluation.json").write_text(json.dumps({"recognition": {"per_attribute": block}}))
    added, removed = (folder_edits.measure_edits(*edits, "Young", judge, sign) for sign in (1, -1))
    assert (added["ceiling"], removed["ceiling"]) == (0.9, 0.75)
    for one in (added, removed):
        if one["ceiling"] > one["unedited"]:
            gain = (one["success"] - one["unedited"]) / (one["ceiling"] - one["unedited"])
            assert one["gain"] == pytest.approx(gain, abs=1e-6)
        else:
            assert one["gain"] is None
    assert added["gain"] is not None or removed["gain"] is not None
    assert folder_edits.measure_edits(*edits, "Bald", judge)["ceiling"] is None


def test_labeled_pictures_give_thresholds_and_a_ceiling(tmp_path):
    """The judge's own avatars: the reference is that of the measure edits."""
    from mien.data.dataset import spread
    from mien.evaluation.context import Context
    from mien.evaluation.edit_gain import judge_view
    from mien.experiment import train
    from mien.run.data import Data
    from mien.run.opening import open_run

    data = Data("avatars", None, 16, {"count": 120})
    judge = train("attribute_cnn", data, tmp_path / "cnn", {"widths": (4,) * 5}, steps=2)[0]
    opened = open_run(judge)
    view = judge_view(Context(opened, spread(opened.splits.test, 2000), opened.model, None, 0, lambda *_: None))
    name = opened.dataset.attributes[0]
    reference = folder_edits._reference(judge, opened.model, name, 1, [], None)
    assert (reference.ceiling, reference.thresholds.unique().tolist()) == (None, [0.5])

    class Rootless(Data):
        @classmethod
        def from_json(cls, values):
            return Data.from_json({**values, "root": None})  # avatars have no folder

    folder_edits_data, folder_edits.Data = folder_edits.Data, Rootless
    try:
        reference = folder_edits._reference(judge, opened.model, name, 1, [tmp_path], None)
    finally:
        folder_edits.Data = folder_edits_data
    assert torch.equal(reference.thresholds, view.thresholds.values)
    assert (reference.ceiling, reference.ceiling_n) == (view.test.ceilings[0].added, view.test.ceilings[0].added_n)
    assert "it may have been trained" not in reference.origin


def test_pairs_without_a_partner_and_broken_ones_are_named(edits, tmp_path, capsys):
    before, after = tmp_path / "before", tmp_path / "after"
    for source, target in zip(edits, (before, after), strict=True):
        shutil.copytree(source, target)
    (before / "alone.jpg").write_bytes((before / "p000.jpg").read_bytes())
    (after / "p003.png").write_text("x")
    out = tmp_path / "edits.json"
    words = ("measure-edits", before, after, "--attr", "Smiling", "--judge", JUDGE)
    code, text = mien(capsys, *words, "--json", out)
    assert code == 0, text
    result = json.loads(out.read_text())
    assert result["pairs"] == 11
    assert [line.rpartition("/")[2] for line in result["without_partner"]] == ["alone.jpg"]
    assert "p003.png: not a picture" in result["unread"][0]
    assert "no partner for" in text
    assert "leakage" in text
    assert folder_edits.measure_edits(before, after, "Smiling", JUDGE, count=4)["pairs"] == 4
    (after / "p004.jpg").write_bytes((before / "p004.jpg").read_bytes())
    assert "p004.jpg and p004.png: rename one" in refused(capsys, *words)
    assert "did you mean Smiling" in refused(capsys, *words[:4], "Smilling", *words[5:])
    assert "such as --attr Smiling" in refused(capsys, *words[:4], "Smiling=2", *words[5:])
    for file in after.iterdir():
        file.unlink()
    write(after, 2, 0, suffix=".bmp")
    (after / "p000.bmp").rename(after / "x.bmp")
    (after / "p001.bmp").rename(after / "y.bmp")
    assert "name each edit as its picture" in refused(capsys, *words)
