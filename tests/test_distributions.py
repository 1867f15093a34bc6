"""Distances between sets of pictures, compared with naive loops, closed forms and torch-fidelity; and errors."""

from __future__ import annotations

import io
import pickle
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import scipy.linalg
import torch

from conftest import CLASSES, NAMES, SHAPE, batch_of, tiny
from mien.errors import MienError, UnknownName
from mien.metrics import distributions as protocols
from mien.metrics.distributions import (
    PROTOCOLS,
    Collection,
    check,
    collect,
    collect_real,
    distributions,
    draw,
    measure,
    names,
)
from mien.metrics.feature_networks import INCEPTION_FILE, FeatureNetwork, inception, local_inception, of_judge, to_bytes
from mien.metrics.fid import Moments, fid, frechet_distance
from mien.metrics.inception_score import inception_score
from mien.metrics.kid import kernel_distance, kid
from mien.metrics.lpips import lpips, lpips_alex, lpips_vgg, prepare
from mien.metrics.precision_recall import precision_recall


def rows(n: int, number: int = 6, seed: int = 0, scale: float = 1.0, shift: float = 0.0) -> torch.Tensor:
    """Correlated Gaussian features."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(number, number))
    return torch.from_numpy((scale * rng.normal(size=(n, number)) @ mixing + shift).astype(np.float32))


def flat(name: str = "judge", classes: int = 4, number: int = 48) -> FeatureNetwork:
    """A feature network of pooled pixels."""

    def look(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        pooled = torch.nn.functional.avg_pool2d(x, x.shape[-1] // 4).flatten(1)
        return pooled, 3 * pooled[:, :classes]

    return FeatureNetwork(name, "pixels", "0" * 64, number, classes, "none", torch.device("cpu"), look)


def pictures(n: int, seed: int = 0) -> torch.Tensor:
    return batch_of(n, seed).x


# ---- each measure against its definition


def test_moments_do_not_depend_on_batches_and_can_forget():
    x = rows(500, 40, shift=1000)
    whole = Moments.of(x)
    for size in (1, 33, 499):
        parts = Moments(40)
        for part in x.split(size):
            parts.update(part)
        torch.testing.assert_close(parts.mean, whole.mean, rtol=1e-12, atol=0)
        torch.testing.assert_close(parts.covariance, whole.covariance, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(whole.covariance, np.cov(x.double().numpy(), rowvar=False), rtol=1e-9, atol=1e-9)
    rest = whole.without(x[100:250])
    again = Moments.of(torch.cat([x[:100], x[250:]]))
    assert rest.n == again.n == 350
    torch.testing.assert_close(rest.mean, again.mean, rtol=1e-12, atol=0)
    torch.testing.assert_close(rest.covariance, again.covariance, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n", [400, 20])  # more rows than features, and fewer
def test_frechet_distance_is_that_of_the_matrix_root(n):
    a, b = rows(n, 32), rows(n + 5, 32, seed=1, scale=1.5, shift=0.3)
    first, second = (np.cov(x.double().numpy(), rowvar=False) for x in (a, b))
    shared = np.trace(scipy.linalg.sqrtm(first @ second).real)
    apart = ((a.double().mean(0) - b.double().mean(0)) ** 2).sum()
    expected = float(apart) + np.trace(first) + np.trace(second) - 2 * shared
    assert frechet_distance(Moments.of(a), Moments.of(b)) == pytest.approx(expected, rel=1e-5)
    assert frechet_distance(Moments.of(b), Moments.of(a)) == pytest.approx(expected, rel=1e-5)


def test_frechet_distance_of_gaussians_and_of_a_set_with_itself():
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(200_000, 3, generator=generator)
    b = torch.randn(200_000, 3, generator=generator) * torch.tensor([1.0, 2, 3]) + torch.tensor([1.0, 0, 2])
    # |μ|² + Σ (σ_1 - σ_2)² = 1 + 4 + 0 + 1 + 4
    assert frechet_distance(Moments.of(a), Moments.of(b)) == pytest.approx(10, rel=0.01)
    for n, number in ((500, 64), (20, 64)):
        same = Moments.of(rows(n, number))
        assert frechet_distance(same, same) == pytest.approx(0, abs=1e-9 * float(same.covariance.trace()))
    assert frechet_distance(Moments.of(torch.ones(5, 3)), Moments.of(torch.zeros(5, 3))) == pytest.approx(3)


@pytest.mark.parametrize("kept", [400, 100])  # all rows, or a sample of them
def test_the_jackknife_tells_the_spread_of_the_distance(kept):
    real = Moments.of(rows(5000, 4, seed=77))
    values, output = [], []
    for seed in range(60):
        x = rows(400, 4, seed=seed, shift=0.5)
        result = fid(real, Moments.of(x), x[:kept], seed)
        values.append(result["value"])
        output.append(result["spread"])
    assert np.sqrt(np.mean(np.square(output))) == pytest.approx(np.std(values), rel=0.3)
    assert fid(real, Moments.of(x[:10]), x[:10])["spread"] is None


def test_kernel_distance_is_that_of_loops():
    x, y = rows(7, 5), rows(9, 5, seed=1, shift=0.2)

    def k(a, b):
        return (float(a.double() @ b.double()) / 5 + 1) ** 3

    within = [np.mean([k(s[i], s[j]) for i in range(len(s)) for j in range(len(s)) if i != j]) for s in (x, y)]
    across = np.mean([k(a, b) for a in x for b in y])
    assert kernel_distance(x, y) == pytest.approx(sum(within) - 2 * across, rel=1e-5)
    from torchmetrics.image.kid import poly_mmd

    assert kernel_distance(x, y[:7]) == pytest.approx(float(poly_mmd(x.double(), y[:7].double())), rel=1e-5)


def test_kernel_distance_is_unbiased_and_seeded():
    values = [kernel_distance(rows(50, 4, seed=2 * s), rows(50, 4, seed=2 * s + 1)) for s in range(200)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(len(values))
    x, y = rows(300), rows(200, seed=1, shift=0.1)
    first = kid(x, y, seed=3, subsets=10, subset_size=100)
    assert first == kid(x, y, seed=3, subsets=10, subset_size=100) != kid(x, y, seed=4, subsets=10, subset_size=100)
    assert (first["subset_size"], first["rows_real"], first["rows_generated"]) == (100, 300, 200)
    whole = kid(x[:200], y, subsets=3)
    assert whole["subset_size"] == 200
    assert whole["spread"] == pytest.approx(0, abs=1e-6)


def test_inception_score_is_that_of_its_definition():
    logits = 2 * rows(37, 5)
    p = np.exp(logits.double().numpy())
    p /= p.sum(1, keepdims=True)
    expected = np.exp(np.mean(np.sum(p * (np.log(p) - np.log(p.mean(0))), 1)))
    assert inception_score(logits, splits=1)["value"] == pytest.approx(expected, rel=1e-9)
    assert inception_score(torch.zeros(40, 5))["value"] == pytest.approx(1)
    certain = torch.full((40, 4), -1000.0)  # no 0 · log 0
    certain[torch.arange(40), torch.arange(40) % 4] = 1000
    assert inception_score(certain, splits=1)["value"] == pytest.approx(4)
    assert inception_score(logits, seed=1) != inception_score(logits, seed=2)
    assert inception_score(logits, seed=1) == inception_score(logits, seed=1)


def naive_share(asked, others, k):
    radii = [np.sort(np.linalg.norm(others - o, axis=1))[k] for o in others]
    return np.mean([any(np.linalg.norm(a - o) <= r for o, r in zip(others, radii, strict=True)) for a in asked])


def test_precision_and_recall_are_those_of_loops(monkeypatch):
    real, generated = rows(60, 4), rows(45, 4, seed=1, scale=0.7, shift=1.0)
    a, b = real.double().numpy(), generated.double().numpy()
    for block in (1000, 7):
        monkeypatch.setattr("mien.metrics.precision_recall.BLOCK", block)
        value = precision_recall(real, generated)["value"]
        assert value == {"precision": naive_share(b, a, 3), "recall": naive_share(a, b, 3)}
    assert 0 < value["recall"] < 1


def test_precision_and_recall_of_extremes():
    real = rows(50, 4)
    assert precision_recall(real, real)["value"] == {"precision": 1, "recall": 1}
    assert precision_recall(real, real + 1000)["value"] == {"precision": 0, "recall": 0}
    collapsed = real[:1].repeat(50, 1)  # one real picture, again and again
    assert precision_recall(real, collapsed)["value"] == {"precision": 1, "recall": 1 / 50}
    many = rows(50, 512, shift=30)
    twice = torch.cat([many[:10]] * 5)
    assert precision_recall(twice, twice.flip(0))["value"] == {"precision": 1, "recall": 1}


# ---- one pass


def test_what_is_kept_does_not_grow_and_not_depend_on_batches(monkeypatch):
    monkeypatch.setattr(protocols, "MAX_ROWS", 16)
    x = pictures(100)
    kept = []
    for size in (1, 7, 100):
        calls = collect(flat(), x.split(size), {100: ("moments", "rows", "logits"), 30: ("rows",)}, seed=5)
        assert calls[100].rows.shape == (16, 48)
        assert calls[100].logits.shape == (16, 4)
        assert calls[30].rows.shape == (16, 48)
        assert calls[30].moments is calls[30].logits is None
        kept.append(calls)
    for other in kept[1:]:
        torch.testing.assert_close(other[100].rows, kept[0][100].rows)
        torch.testing.assert_close(other[30].rows, kept[0][30].rows)
        torch.testing.assert_close(other[100].moments.scatter, kept[0][100].moments.scatter)
    features = flat().features(x)
    assert all((features == row).all(1).any() for row in kept[0][100].rows)
    assert not all((features[:16] == row).all(1).any() for row in kept[0][100].rows)  # a sample, not the first
    assert all((features[:30] == row).all(1).any() for row in kept[0][30].rows)
    assert not torch.equal(collect(flat(), [x], {100: ("rows",)}, seed=6)[100].rows, kept[0][100].rows)


def small_protocols(monkeypatch, **counts):
    """The protocols of Inception with fewer pictures."""
    for name, n in counts.items():
        monkeypatch.setitem(PROTOCOLS, name, replace(PROTOCOLS[name], generated=n, fewest=min(2, n)))


def test_all_at_once_is_each_alone_and_one_pass(monkeypatch):
    counts = dict(fid10k=40, fid50k=60, kid10k=40, kid50k=60, precision_recall10k=40, inception2k=20)
    small_protocols(monkeypatch, **counts)
    monkeypatch.setattr(protocols, "MAX_REAL", 70)
    monkeypatch.setattr(protocols, "MAX_ROWS", 50)
    network, requests, looked, message = flat("inception"), [], [], []

    def generated(n):
        requests.append(n)
        return pictures(200, 1)[:n].split(16)

    def look(x):
        looked.append(len(x))
        return network.look(x)

    counted = replace(network, look=look)
    everything = distributions(
        names(network), counted, pictures(90).split(32), 90, generated, 3, lambda *note: message.append(note)
    )
    assert tuple(everything) == tuple(counts) == names(network)
    assert requests == [60]
    assert sum(looked) == 70 + 60
    assert ("features of real pictures", 70, 70) in message
    assert ("features of generated pictures", 60, 60) in message
    assert ("kid50k", 100, 100) in message
    for name in counts:
        alone = distributions([name], network, pictures(90).split(5), 90, lambda n: pictures(200, 1)[:n].split(9), 3)
        assert alone[name]["value"] == pytest.approx(everything[name]["value"], rel=1e-5)
        about = everything[name]
        assert (about["network"], about["weights_sha256"], about["seed"]) == ("inception", "0" * 64, 3)
        assert about["n_generated"] == counts[name]
        assert about["split"] == (None if name == "inception2k" else "training")
    assert everything["fid10k"]["n_real"] == everything["kid50k"]["n_real"] == 70
    assert everything["precision_recall10k"]["n_real"] == 50
    assert everything["inception2k"]["n_real"] == 0
    assert everything["fid10k"]["value"] != everything["fid50k"]["value"]


def test_the_order_of_pictures_does_not_matter():
    network, metrics = flat(), ("feature_fid", "feature_kid", "feature_precision_recall")
    real, fake = pictures(80), pictures(80, 1)
    first = distributions(metrics, network, [real], 80, lambda n: [fake])
    other = distributions(metrics, network, [real.flip(0)], 80, lambda n: [fake.roll(7, 0)])
    assert other["feature_fid"]["value"] == pytest.approx(first["feature_fid"]["value"], rel=1e-9)
    # the subsets are others
    assert abs(other["feature_kid"]["value"] - first["feature_kid"]["value"]) < first["feature_kid"]["spread"]
    assert first["feature_kid"]["subset_size"] == 40
    assert first["feature_kid"]["spread"] > 0
    assert other["feature_precision_recall"]["value"] == first["feature_precision_recall"]["value"]


def test_the_real_side_serves_several_measures():
    network, metrics = flat(), ["feature_fid", "feature_precision_recall"]
    real = collect_real(metrics, network, [pictures(60)], 60)
    itself = measure(metrics, network, real, 60, lambda n: [pictures(60)])
    assert itself["feature_fid"]["value"] == pytest.approx(0, abs=1e-9)
    assert itself["feature_precision_recall"]["value"] == {"precision": 1, "recall": 1}
    other = measure(metrics, network, real, 60, lambda n: [pictures(60, 1)])
    assert other["feature_fid"]["value"] > 0.01
    assert (other["feature_fid"]["split"], other["feature_fid"]["n_real"]) == ("held-out", 60)


def test_what_cannot_be_measured_is_told_before_it_is_computed():
    judge, network = flat(), flat("inception")
    with pytest.raises(UnknownName, match="unknown metric 'fid': did you mean"):
        check(["fid"], network, 100)
    with pytest.raises(MienError, match=r"expected features of inception for fid10k, got those of judge.*feature_fid"):
        check(["fid10k"], judge, 100)
    with pytest.raises(MienError, match="expected features of judge for feature_fid, got those of inception"):
        check(["feature_fid"], network, 100)
    with pytest.raises(MienError, match="2000 real pictures or more for kid10k, got 1999"):
        check(["fid10k", "kid10k"], network, 1999)
    with pytest.raises(MienError, match="expected 2 real pictures or more for feature_fid, got 1"):
        distributions(["feature_fid"], judge, [], 1, lambda n: [])
    with pytest.raises(MienError, match="tells classes apart for feature_score"):
        check(["feature_score"], flat(classes=0), 100)
    assert "feature_score" in names(judge)
    assert "feature_score" not in names(flat(classes=0))
    with pytest.raises(MienError, match="expected 30 pictures for features of real pictures, got 20"):
        distributions(["feature_fid"], judge, [pictures(20)], 30, lambda n: [])
    with pytest.raises(MienError, match="expected 20 pictures for features of generated pictures, got 4"):
        distributions(["feature_fid"], judge, [pictures(20)], 20, lambda n: [pictures(4)])
    with pytest.raises(MienError, match="generated pictures, got values that are no numbers"):
        distributions(["feature_fid"], judge, [pictures(20)], 20, lambda n: [pictures(20) * np.nan])


def test_the_score_needs_no_real_pictures():
    message = distributions(["inception2k"], flat("inception"), [], 0, lambda n: pictures(n).split(500))["inception2k"]
    assert (message["n_real"], message["n_generated"], message["splits"], message["split"]) == (0, 2000, 10, None)


def test_the_real_side_is_drawn_and_bounded():
    positions = np.arange(7, 60_007)
    drawn = draw(positions)
    assert len(drawn) == len(np.unique(drawn)) == 50_000
    assert drawn.min() >= 7
    assert (np.diff(drawn) > 0).all()
    np.testing.assert_array_equal(draw(positions[:100]), positions[:100])
    assert Collection(50_000, flat(), ("rows",), 0).rows.shape == (10_000, 48)


# ---- the networks


def test_judges():
    judge = tiny("attribute_cnn", attributes=()).eval()
    network = of_judge(judge, "ab" * 32)
    x = pictures(8)
    assert network.features(x).shape == (8, network.number) == (8, 4)
    torch.testing.assert_close(network.logits(x).softmax(1), judge.recognize(x))
    result = distributions(names(network), network, [pictures(40)], 40, lambda n: pictures(n, 1).split(16))
    assert set(result) == {"feature_fid", "feature_kid", "feature_precision_recall", "feature_score"}
    assert 1 <= result["feature_score"]["value"] <= len(CLASSES)
    assert (result["feature_score"]["n_generated"], result["feature_score"]["n_real"]) == (40, 0)
    assert result["feature_fid"]["weights_sha256"] == "ab" * 32
    of_attributes = of_judge(tiny("attribute_cnn", attributes=NAMES).eval(), "")
    assert of_attributes.logits(x) is None
    with pytest.raises(MienError, match="evaluation mode"):
        of_judge(judge.train(), "")
    with pytest.raises(MienError, match="needed a model that Recognizes and Describes, got VAE"):
        of_judge(tiny("vae"), "")
    with pytest.raises(MienError, match=r"expected pictures \(B, 3, 16, 16\) for the judge"):
        network.features(torch.zeros(2, 3, 8, 8))


@pytest.fixture(scope="module")
def random_inception(tmp_path_factory):
    """A file of random weights of InceptionV3."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class Unread(FeatureExtractorInceptionV3):
        def load_state_dict(self, state):
            return None

    nothing = io.BytesIO()
    torch.save({}, nothing)
    nothing.seek(0)
    state = Unread("unread", ["2048"], nothing).state_dict()
    generator = torch.Generator().manual_seed(0)
    for key, value in state.items():
        if key.endswith("conv.weight"):
            value.normal_(generator=generator).mul_((2 / value[0].numel()) ** 0.5)
        elif key == "fc.weight":
            value.normal_(generator=generator)
    path = tmp_path_factory.mktemp("inception") / "random.pth"
    torch.save(state, path)
    return path


class Levels(torch.utils.data.Dataset):
    def __init__(self, levels):
        self.levels = levels

    def __len__(self):
        return len(self.levels)

    def __getitem__(self, i):
        return self.levels[i]


def test_inception_measures_are_torch_fidelitys(monkeypatch, random_inception):
    import torch_fidelity

    n = 16  # each costs 30 ms four times
    counts = dict(fid10k=n, kid10k=n, precision_recall10k=n, inception2k=n)
    small_protocols(monkeypatch, **counts)
    # both take all rows: which subsets torch-fidelity draws cannot be told to it
    protocol = PROTOCOLS["kid10k"]
    all_rows = replace(protocol.kind, measure=lambda a, b, seed, progress: kid(a.rows, b.rows, 0, 2, n))
    monkeypatch.setitem(PROTOCOLS, "kid10k", replace(protocol, kind=all_rows))
    before = torch.get_rng_state()
    network = inception(random_inception)
    assert torch.equal(before, torch.get_rng_state())
    assert network.weights == "not the published ones: random.pth"
    real, fake = pictures(n), (0.6 * pictures(n, 1) + 0.2).clamp(-1, 1)
    ours = distributions(list(counts), network, real.split(20), n, lambda n: fake.split(12), seed=0)
    shuffled = to_bytes(fake)[np.random.default_rng(0).permutation(n)]  # as the score's parts are ours
    theirs = torch_fidelity.calculate_metrics(
        input1=Levels(shuffled), input2=Levels(to_bytes(real)), isc=True, fid=True, kid=True, prc=True, cuda=False,
        feature_extractor="inception-v3-compat", feature_extractor_weights_path=str(random_inception),
        kid_subset_size=n, kid_subsets=2, samples_shuffle=False, save_cpu_ram=True, cache=False, verbose=False,
    )  # fmt: skip
    assert ours["fid10k"]["value"] == pytest.approx(theirs["frechet_inception_distance"], rel=1e-4)
    assert ours["kid10k"]["value"] == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-3)
    assert ours["inception2k"]["value"] == pytest.approx(theirs["inception_score_mean"], rel=1e-5)
    assert ours["inception2k"]["spread"] == pytest.approx(theirs["inception_score_std"], rel=1e-3)
    value = ours["precision_recall10k"]["value"]
    assert value == pytest.approx({k: theirs[k] for k in ("precision", "recall")})


def test_inception_sees_gray_as_color_and_rounds_to_bytes(random_inception):
    network = inception(random_inception)
    gray = pictures(2)[:, :1]
    features = network.features(gray)
    assert features.shape == (2, 2048)
    assert network.logits(gray).shape == (2, 1008)
    torch.testing.assert_close(network.features(gray.repeat(1, 3, 1, 1)), features)
    levels = torch.round((gray + 1) * 127.5)
    torch.testing.assert_close(network.features(levels / 127.5 - 1), features)
    with pytest.raises(MienError, match=r"got \(2, 1, 1, 256\).*judge instead"):
        network.features(torch.zeros(2, 1, 1, 256))
    with pytest.raises(MienError, match="1 or 3"):
        network.features(torch.zeros(2, 2, 16, 16))


def offline(monkeypatch, home: Path) -> None:
    for variable in ("MIEN_INCEPTION", "MIEN_ALEXNET", "MIEN_VGG16"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(home))

    def download(*args, **kwargs):
        raise URLError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)


def test_missing_and_wrong_inception_weights_are_told(monkeypatch, tmp_path):
    offline(monkeypatch, tmp_path)
    place = tmp_path / "checkpoints" / INCEPTION_FILE
    assert local_inception() is None
    with pytest.raises(MienError) as output:
        inception()
    assert "no network" in str(output.value)
    assert f"put a copy of that file at {place}, or set MIEN_INCEPTION" in str(output.value)
    assert "\n" not in str(output.value)
    with pytest.raises(MienError, match="no such file"):
        inception(tmp_path / "nowhere.pth")
    place.write_bytes(b"cut short")
    with pytest.raises(MienError, match=f"{INCEPTION_FILE}, got a damaged file: delete it"):
        inception()
    monkeypatch.setenv("MIEN_INCEPTION", str(tmp_path / "elsewhere.pth"))
    with pytest.raises(MienError, match=r"MIEN_INCEPTION.*no such file"):
        local_inception()
    torch.save({"conv.weight": torch.zeros(3)}, tmp_path / "elsewhere.pth")
    assert local_inception() == tmp_path / "elsewhere.pth"
    with pytest.raises(MienError, match=r"expected the weights of FID's InceptionV3 in .*elsewhere.pth, got others"):
        inception()
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(MienError, match="other than a table of tensors"):
        inception(tmp_path / "list.pth")


class Spring:
    """The content of a hostile file."""

    def __reduce__(self):
        return (Path.touch, (Path(self.trap),))

    def __init__(self, trap):
        self.trap = trap


@pytest.mark.parametrize("make", [inception, lpips_alex])
@pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_a_file_of_weights_runs_nothing(tmp_path, make, save):
    trap, path = tmp_path / "sprung", tmp_path / "weights.pth"
    save({"fc.weight": Spring(str(trap))}, path)
    with pytest.raises(MienError, match="cannot be read as such"):
        make(path)
    assert not trap.exists()


# ---- LPIPS


@pytest.fixture(scope="module")
def random_alexnet(tmp_path_factory):
    """A file of random weights of the convolutions of torchvision's AlexNet."""
    generator = torch.Generator().manual_seed(0)
    shapes = {0: (64, 3, 11, 11), 3: (192, 64, 5, 5), 6: (384, 192, 3, 3), 8: (256, 384, 3, 3), 10: (256, 256, 3, 3)}
    state = {}
    for number, shape in shapes.items():
        state[f"features.{number}.weight"] = torch.randn(shape, generator=generator) / np.prod(shape[1:]) ** 0.5
        state[f"features.{number}.bias"] = torch.randn(shape[0], generator=generator) / 10
    path = tmp_path_factory.mktemp("alexnet") / "random.pth"
    torch.save(state, path)
    return path


def naive_lpips(x, y, path):
    """LPIPS of pictures of 64 pixels: unit vectors of five layers, squared differences times the linear weights."""
    import torchmetrics

    state = torch.load(path, weights_only=True)
    folder = Path(torchmetrics.__file__).parent / "functional" / "image" / "lpips_models"
    linear = torch.load(folder / "alex.pth", map_location="cpu", weights_only=True)
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    a, b = ((v - shift[:, None, None]) / scale[:, None, None] for v in (x, y))
    total = torch.zeros(len(x))
    layers = [(0, 4, 2, False), (3, 1, 2, True), (6, 1, 1, True), (8, 1, 1, False), (10, 1, 1, False)]
    for layer, (number, stride, padding, pool) in enumerate(layers):
        for_unit = []
        for v in (a, b):
            v = torch.nn.functional.max_pool2d(v, 3, 2) if pool else v
            weight, bias = state[f"features.{number}.weight"], state[f"features.{number}.bias"]
            for_unit.append(torch.nn.functional.conv2d(v, weight, bias, stride, padding).relu())
        a, b = for_unit
        difference = (a / a.norm(dim=1, keepdim=True) - b / b.norm(dim=1, keepdim=True)).square()
        weights = linear[f"lin{layer}.model.1.weight"].view(1, -1, 1, 1)
        total += (difference * weights).sum(1).mean((1, 2))
    return total


def test_lpips_is_that_of_its_definition(monkeypatch, random_alexnet):
    before = torch.get_rng_state()
    network = lpips_alex(random_alexnet)
    assert torch.equal(before, torch.get_rng_state())
    x, y = pictures(5), pictures(5, 1)
    got = lpips(x, y, network)
    assert got.shape == (5,)
    torch.testing.assert_close(got, naive_lpips(prepare(x), prepare(y), random_alexnet), rtol=1e-4, atol=1e-6)
    monkeypatch.setattr("mien.metrics.lpips.BATCH", 2)
    torch.testing.assert_close(lpips(x, y, network), got)
    assert lpips(x, x, network).tolist() == [0] * 5
    torch.testing.assert_close(lpips(y, x, network), got)
    near = x + 0.01 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    assert (lpips(x, near, network) < got).all()
    assert lpips(x[:1, :1], y[:1, :1], network).shape == (1,)  # gray, and one
    about = network.about()
    assert (about["network"], about["weights"]) == ("lpips_alex", "not the published ones: random.pth")
    assert len(about["weights_sha256"]) == len(about["linear_sha256"]) == 64


def test_pictures_for_lpips_are_enlarged_if_small():
    assert prepare(torch.zeros(1, 3, 218, 178)).shape == (1, 3, 218, 178)
    assert prepare(torch.zeros(1, 1, 100, 32)).shape == (1, 3, 200, 64)
    assert float(prepare(torch.full((1, 3, 64, 64), 1.5)).max()) == 1


def test_what_lpips_refuses(monkeypatch, tmp_path, random_alexnet):
    offline(monkeypatch, tmp_path)
    with pytest.raises(MienError, match=r"weights alexnet-owt-7be5be79.pth \(.*set MIEN_ALEXNET to its path"):
        lpips_alex()
    with pytest.raises(MienError, match=r"weights vgg16-397923af.pth \(.*set MIEN_VGG16 to its path"):
        lpips_vgg()
    torch.save({"features.0.weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(MienError, match=r"got \(2,\) for features.0.weight \(64, 3, 11, 11\)"):
        lpips_alex(tmp_path / "other.pth")
    network = lpips_alex(random_alexnet)
    with pytest.raises(MienError, match="of one shape"):
        lpips(torch.zeros(2, *SHAPE), torch.zeros(1, *SHAPE), network)
    with pytest.raises(MienError, match="feature_fid"):
        lpips(torch.zeros(2, 1, 1, 64), torch.zeros(2, 1, 1, 64), network)
