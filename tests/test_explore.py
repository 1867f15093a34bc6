"""Exploration of pictures: feedback, neighborhoods, similarity, synthesized labels, variations, neighbors."""

import json

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from conftest import SHAPE, batch_of, tiny
from mien import data
from mien.abilities import MissingAbility
from mien.applications import synthesize as made
from mien.applications.interpolation import between_samples, chain, linear, slerp
from mien.applications.iterate import iterate
from mien.applications.neighbors import BLOCK, nearest
from mien.applications.similarity import clouds, measures, overlap, pixels, shared
from mien.applications.variations import directions, variations
from mien.errors import MienError, UnknownName
from mien.figures import explore
from mien.metrics.similarity_auc import draw_pairs, same_person, score_pairs, similarity_auc
from test_applications import Identity, SeesBright
from test_classes import write_idx
from test_cli import mien, refused, size_of
from test_data import celeba_folder


class Halves(Identity):
    """A model that decodes to half of the input."""

    def decode(self, z):
        return super().decode(z) / 2


# ---- iterate


def test_feeding_back_the_identity_changes_nothing_and_halving_halves():
    x = batch_of(150).x  # more than one batch
    same = iterate(Identity(), x, 3)
    assert torch.equal(same.pictures, x[:, None].expand(-1, 4, -1, -1, -1))
    assert not same.change.any()
    heard = []
    halved = iterate(Halves(), x, 4, lambda done, total: heard.append((done, total)))
    for t in range(5):
        torch.testing.assert_close(halved.pictures[:, t], x / 2**t)
    torch.testing.assert_close(halved.change[:, 1:], halved.change[:, :-1] / 2)
    torch.testing.assert_close(halved.change[:, 0], (x / 2).abs().flatten(1).mean(1))
    assert heard[-1] == (600, 600)
    assert heard == sorted(heard)
    with pytest.raises(MienError, match="1 round or more, got 0"):
        iterate(Identity(), x, 0)
    with pytest.raises(MissingAbility):
        iterate(SeesBright(), x)


def test_what_leaves_the_range_is_clipped_before_it_is_fed_back():
    class Doubles(Identity):
        def decode(self, z):
            return super().decode(z) * 2

    x = batch_of(3).x / 3
    fed = iterate(Doubles(), x, 3)
    for t in range(4):
        torch.testing.assert_close(fed.pictures[:, t], (x * 2**t).clamp(-1, 1))
    with pytest.raises(MienError, match="got none"):
        iterate(Doubles(), x[:0])


# ---- variations


def test_variations_go_further_in_the_same_directions():
    x = batch_of(3).x / 9
    varied = variations(Identity(), x, (0.0, 0.1, 0.3), n=50, seed=4)
    assert varied.shape == (3, 3, 50, *SHAPE)
    torch.testing.assert_close(varied[:, 0], x[:, None].expand(-1, 50, -1, -1, -1))
    torch.testing.assert_close(varied[:, 2] - x[:, None], 3 * (varied[:, 1] - x[:, None]), atol=1e-5, rtol=1e-4)
    ahead = directions(50, x[0].numel(), 4).view(50, *SHAPE)
    torch.testing.assert_close(varied[2, 1], x[2] + 0.1 * ahead)
    assert torch.equal(varied, variations(Identity(), x, (0.0, 0.1, 0.3), n=50, seed=4))
    assert not torch.equal(varied, variations(Identity(), x, (0.0, 0.1, 0.3), n=50, seed=5))
    for wrong in ((-1.0,), (float("nan"),), (float("inf"),)):
        with pytest.raises(MienError, match="scale of noise of 0 or more"):
            variations(Identity(), x, wrong)
    with pytest.raises(MienError, match="1 or more each"):
        variations(Identity(), x, ())


# ---- similarity


def test_overlap_of_neighborhoods_against_a_loop():
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 4, 6, 5, generator=generator)
    got = overlap(a, b)
    for p in range(4):
        inner = {
            key: np.mean([[np.exp(-float(((u - v) ** 2).sum()) / 10) for v in right] for u in left])
            for key, left, right in (("ab", a[p], b[p]), ("aa", a[p], a[p]), ("bb", b[p], b[p]))
        }
        assert float(got[p]) == pytest.approx(inner["ab"] / (inner["aa"] * inner["bb"]) ** 0.5, rel=1e-5)
    torch.testing.assert_close(got, overlap(b, a))
    torch.testing.assert_close(overlap(a, a), torch.ones(4))
    assert (overlap(a, a + 1000) == 0).all()


def test_shared_neighbors_against_sets():
    rng = np.random.default_rng(0)
    a, b = (np.stack([rng.permutation(20)[:7] for _ in range(30)]) for _ in range(2))
    naive = [len(set(left) & set(right)) / len(set(left) | set(right)) for left, right in zip(a, b, strict=True)]
    np.testing.assert_allclose(shared(a, b), naive)
    np.testing.assert_array_equal(shared(a, a[:, ::-1]), 1)


def test_every_similarity_is_symmetric_and_greatest_with_itself():
    model = tiny("vae").eval()
    z = torch.randn(40, 8, generator=torch.Generator().manual_seed(0))
    alike = measures(model, z, reference=torch.randn(300, 8, generator=torch.Generator().manual_seed(1)), k=10)
    assert set(alike) == {"neighborhood", "shared", "cosine", "distance"}
    pairs = np.stack(np.triu_indices(40, 1), 1)
    itself = np.repeat(np.arange(40)[:, None], 2, 1)
    for name, measure in alike.items():
        np.testing.assert_allclose(measure(pairs), measure(pairs[:, ::-1]), rtol=1e-5, atol=1e-6)
        assert measure(pairs).max() <= measure(itself).min() + 1e-6
        np.testing.assert_allclose(measure(itself), 0 if name == "distance" else 1, atol=1e-5)
    near = clouds(model, z, noise=0.5, n=3, seed=2)
    one = z[7] + 0.5 * directions(3, 8, 2)
    with torch.no_grad():
        torch.testing.assert_close(near[7], model.encode(model.decode(one).clamp(-1, 1)).mean)
    assert "shared" not in measures(model, z)


def test_pixel_distance_is_that_of_the_pictures(avatars):
    index = np.array([5, 9, 100])
    x = avatars.batch(index).x.flatten(1).numpy()
    got = pixels(avatars, index)(np.array([[0, 1], [2, 0]]))
    np.testing.assert_allclose(got, [-np.linalg.norm(x[0] - x[1]), -np.linalg.norm(x[2] - x[0])], rtol=1e-5)


# ---- AUC


def test_pairs_are_all_there_are_and_each_once():
    identity = np.array([4, 4, 4, -1, 8, 9, 9, 2])
    pairs = draw_pairs(identity)
    assert sorted(map(tuple, pairs.same.tolist())) == [(0, 1), (0, 2), (1, 2), (5, 6)]
    known = [i for i in range(8) if identity[i] >= 0]
    naive = [(i, j) for i in known for j in known if i < j and identity[i] != identity[j]]
    assert sorted(map(tuple, pairs.strangers.tolist())) == naive
    assert pairs.persons == 2
    assert pairs.rows().tolist() == known


def test_strangers_of_many_pictures_are_drawn_by_the_seed():
    identity = np.random.default_rng(0).integers(0, 400, 1000)
    pairs = draw_pairs(identity, most=300, seed=1)
    for kind in (pairs.same, pairs.strangers):
        assert len(kind) == len({tuple(pair) for pair in kind.tolist()}) == 300
        assert (kind[:, 0] < kind[:, 1]).all()
    assert (identity[pairs.same[:, 0]] == identity[pairs.same[:, 1]]).all()
    assert (identity[pairs.strangers[:, 0]] != identity[pairs.strangers[:, 1]]).all()
    again, other = draw_pairs(identity, most=300, seed=1), draw_pairs(identity, most=300, seed=2)
    np.testing.assert_array_equal(pairs.strangers, again.strangers)
    assert not np.array_equal(pairs.strangers, other.strangers)
    for nobody in (np.arange(9), np.full(9, -1), np.zeros(9, int)):
        with pytest.raises(MienError, match="expected persons with two pictures or more, and strangers"):
            draw_pairs(nobody)


def test_auc_is_the_share_of_pairs_in_order():
    rng = np.random.default_rng(0)
    same, strangers = rng.integers(0, 12, 60) + 2, rng.integers(0, 12, 90)  # with ties
    naive = np.mean([(s > t) + 0.5 * (s == t) for s in same for t in strangers])
    got = similarity_auc(same, strangers, seed=3)
    assert got.auc == pytest.approx(naive, abs=1e-12)
    assert got == similarity_auc(same, strangers, seed=3)
    drawn = []
    for _ in range(400):  # the same bootstrap by scikit-learn, with draws of its own
        one, other = rng.choice(same, 60), rng.choice(strangers, 90)
        drawn.append(roc_auc_score(np.repeat([1, 0], [60, 90]), np.concatenate([one, other])))
    assert (got.low, got.high) == pytest.approx(tuple(np.percentile(drawn, [2.5, 97.5])), abs=0.015)
    assert similarity_auc(np.array([2.0]), np.array([1.0, 0.0])) == similarity_auc(np.array([9.0]), np.array([1.0]))
    with pytest.raises(MienError, match="finite similarities"):
        similarity_auc(np.array([np.nan]), np.array([1.0]))


def test_same_person_says_what_it_was_measured_on():
    identity = np.repeat(np.arange(20), 2)
    z = np.random.default_rng(0).normal(size=(20, 3)).repeat(2, 0)
    pairs = draw_pairs(identity, most=50)
    scores = score_pairs({"near": lambda p: -np.linalg.norm(z[p[:, 0]] - z[p[:, 1]], axis=1)}, pairs)
    result = json.loads(json.dumps(same_person(scores, pairs, seed=5)))
    assert (result["n_same"], result["n_strangers"], result["persons"], result["seed"]) == (20, 50, 20, 5)
    assert result["measures"]["near"]["auc"] == 1
    assert result["measures"]["near"]["median_same"] == 0


# ---- neighbors


def test_nearest_is_the_naive_order():
    generator = torch.Generator().manual_seed(0)
    base = 1000 + torch.randn(700, 6, generator=generator)  # far from 0, where |a|² + |b|² − 2ab loses digits
    queries = torch.cat([1000 + torch.randn(BLOCK + 5, 6, generator=generator), base[:9]])
    heard = []
    result = nearest(queries, base, 5, lambda done, total: heard.append(done))
    distance = np.linalg.norm(queries.double().numpy()[:, None] - base.double().numpy()[None], axis=2)
    naive = np.argsort(distance, axis=1, kind="stable")[:, :5]
    np.testing.assert_array_equal(result.index.numpy(), naive)
    np.testing.assert_allclose(result.distance.numpy(), np.take_along_axis(distance, naive, 1))
    assert not result.distance[-9:, 0].any()
    assert heard == [BLOCK, BLOCK + 14]
    twice = nearest(base[:3], torch.cat([base, base]), 2)
    assert twice.index.tolist() == [[0, 700], [1, 701], [2, 702]]


def test_nearest_refuses():
    z = torch.zeros(4, 3)
    for queries, base, k, answer in (
        (z, z, 5, "expected k from 1 to 4"),
        (z, z, 0, "expected k from 1 to 4"),
        (z[:, :2], z, 1, r"\(4, 2\) and \(4, 3\)"),
        (z[:0], z, 1, r"\(0, 3\)"),
        (z, z * float("nan"), 1, "finite latents"),
    ):
        with pytest.raises(MienError, match=answer):
            nearest(queries, base, k)


# ---- paths


def test_a_chain_is_the_interpolations_one_after_another():
    x = batch_of(4).x / 2
    path = chain(Identity(), x, steps=5, path=linear)
    assert len(path) == 13
    torch.testing.assert_close(path[::4], x)
    torch.testing.assert_close(path[5], 0.75 * x[1] + 0.25 * x[2])
    model = tiny("vae").eval()
    assert between_samples(model, 3, 4, seed=1, path=slerp).shape == (7, *SHAPE)
    assert torch.equal(between_samples(model, 3, 4, seed=1), between_samples(model, 3, 4, seed=1))
    for few in (lambda: chain(Identity(), x[:1]), lambda: chain(Identity(), x, 1), lambda: between_samples(model, 1)):
        with pytest.raises(MienError, match=r"2 (pictures|samples)"):
            few()
    with pytest.raises(MissingAbility, match="Generates"):
        between_samples(Identity(), 3)


# ---- synthesize


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """MNIST's format, 16 pixels, ten classes."""
    folder = tmp_path_factory.mktemp("digits")
    rng = np.random.default_rng(0)
    for part, n in (("train", 160), ("t10k", 20)):
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", rng.integers(0, 255, (n, 28, 28)))
        write_idx(folder / f"{part}-labels-idx1-ubyte.gz", np.arange(n) % 10)
    return folder


@pytest.fixture(scope="module")
def dataset(digits):
    return data.load("mnist", digits, 16)


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_synthesized_pictures_are_a_data_set_that_says_where_each_comes_from(dataset, tmp_path):
    model = tiny("vae", shape=dataset.shape).eval()
    index = dataset.split().train
    planned = made.plan(dataset, index, 20, seed=3)
    new = made.synthesize(made.noisy(model, 0.5), 8, dataset, planned, tmp_path / "a", {"noise": 0.5, "seed": 3})
    assert new == len(planned) == 200
    again = data.load("folder", tmp_path / "a", 16)
    assert len(again) == 200
    assert again.attributes == dataset.classes
    assert not again.report["rejected"]
    sources = json.loads((tmp_path / "a/provenance.json").read_text())
    assert sources["complete"] is True
    assert sources["made_with"] == {"noise": 0.5, "seed": 3}
    for i in (0, 57, 199):
        about = sources["pictures"][again.keys[i]]
        label = dataset.labels[about["position"]]
        assert about["position"] in index
        assert np.flatnonzero(again.attribute_table[i] == 1).tolist() == [label]
        assert (again.attribute_table[i] == -1).sum() == 9
        draw = np.random.default_rng(about["seed"]).standard_normal(8).astype(np.float32)
        with torch.no_grad():
            z = model.encode(dataset.batch(np.array([about["position"]])).x).mean + 0.5 * torch.from_numpy(draw)
            want = model.decode(z)[0].clamp(-1, 1)
        torch.testing.assert_close(again.batch(np.array([i])).x[0], want.expand(3, -1, -1), atol=0.012, rtol=0)


def test_synthesizing_is_fixed_by_its_seed_and_goes_on_where_it_stopped(dataset, tmp_path):
    model, index = tiny("vae", shape=dataset.shape).eval(), dataset.split().train

    def write(folder, seed=3, per_class=20, noise=0.5):
        planned = made.plan(dataset, index, per_class, seed)
        return made.synthesize(made.noisy(model, noise), 8, dataset, planned, folder, {"noise": noise, "seed": seed})

    class Stop(Exception):
        pass

    def stop(done, total):
        raise Stop

    write(tmp_path / "whole")
    planned = made.plan(dataset, index, 20, 3)
    with pytest.raises(Stop):
        made.synthesize(
            made.noisy(model), 8, dataset, planned, tmp_path / "cut", {"noise": 0.5, "seed": 3}, "cpu", stop
        )
    assert not (tmp_path / "cut/attributes.csv").exists()
    assert json.loads((tmp_path / "cut/provenance.json").read_text())["complete"] is False
    for removed in planned[10:50:3]:
        (tmp_path / "cut" / removed.file).unlink()
    kept = (tmp_path / "cut" / planned[0].file).stat().st_mtime_ns
    assert 0 < write(tmp_path / "cut") < 200
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")
    assert (tmp_path / "cut" / planned[0].file).stat().st_mtime_ns == kept
    assert write(tmp_path / "whole") == 0
    assert write(tmp_path / "whole", per_class=22) == 20
    write(tmp_path / "other", seed=4)
    assert contents(tmp_path / "other")["003-3/000001.png"] != contents(tmp_path / "cut")["003-3/000001.png"]
    with pytest.raises(MienError, match=r"with noise = 0.7, got .* with noise = 0.5"):
        write(tmp_path / "cut", noise=0.7)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("dear")
    with pytest.raises(MienError, match=r"with letter.txt: choose another"):
        write(tmp_path / "mine")


def test_few_labeled_sources_are_used_in_turn(dataset, avatars):
    index = dataset.split().train
    planned = made.plan(dataset, index, 9, seed=0, labeled=2)
    for c in range(10):
        sources = [one.source for one in planned if one.file.startswith(f"{c:03d}-")]
        assert len(set(sources)) == 2
        assert sources[::2] == [sources[0]] * 5
        assert (dataset.labels[sources] == c).all()
    assert len({one.seed for one in planned}) == 90


def test_as_many_are_made_of_each_value_of_each_attribute(avatars):
    index = avatars.split().train
    table = avatars.attribute_table
    planned = made.plan(avatars, index, 30)
    present = [
        (a, value) for a in range(len(avatars.attributes)) for value in (1, -1) if (table[index, a] == value).any()
    ]
    assert len(planned) == 30 * len(present)
    by_folder = {}
    for one in planned:
        by_folder.setdefault(one.file.partition("/")[0][4:], []).append(one.source)
    for a, value in present:
        sources = by_folder[("" if value > 0 else "not-") + avatars.attributes[a].replace("_", "-")]
        assert len(sources) == 30
        assert (table[sources, a] == value).all()
    assert set(one.source for one in planned) <= set(index)
    a, b = (avatars.attributes.index(name) for name in ("Smiling", "Eyeglasses"))
    joint = made.plan(avatars, index, 7, joint=[("Smiling", "Eyeglasses")])
    values = [tuple(table[one.source, [a, b]]) for one in joint]
    assert [values.count(pair) for pair in ((1, 1), (1, -1), (-1, 1), (-1, -1))] == [7] * 4
    assert joint[0].file == "000-Smiling-Eyeglasses/000000.png"
    assert joint[-1].file == "003-not-Smiling-not-Eyeglasses/000006.png"
    with pytest.raises(UnknownName, match="did you mean Smiling"):
        made.plan(avatars, index, 7, joint=[("Smilling",)])


def test_attributes_are_carried_over(avatars, tmp_path):
    planned = made.plan(avatars, avatars.split().train, 6, joint=[("Smiling",)])
    made.synthesize(made.unchanged, 1, avatars, planned, tmp_path / "real", {"pictures": "real"})
    again = data.load("folder", tmp_path / "real", 16)
    assert again.attributes == avatars.attributes
    rows = [one.source for one in planned]
    np.testing.assert_array_equal(again.attribute_table, avatars.attribute_table[rows])
    np.testing.assert_array_equal(again.pictures(np.arange(12)), avatars.pictures(np.array(rows)))


# ---- figures


def test_figures_say_what_they_show_and_refuse_other_counts():
    x = batch_of(4).x.numpy()
    fed = np.stack([x] * 31, 1)
    assert "30 times" in explore.rounds(fed, change=np.ones((4, 30))).get_label()
    around = np.stack([x] * 3, 1)
    assert "noise 0.5, 1" in explore.variations(x, x, np.stack([around] * 2, 1), scales=(0.5, 1)).get_label()
    assert "3 around each" in explore.neighborhoods(x, around, labels=list("abcd")).get_label()
    assert "3 nearest" in explore.neighbors(x, around, np.ones((4, 3))).get_label()
    assert "through 2" in explore.walk(x, steps=4).get_label()
    for wrong in (
        lambda: explore.rounds(fed[:, :1]),
        lambda: explore.rounds(fed, change=np.ones((4, 3))),
        lambda: explore.variations(x, x, np.stack([around] * 2, 1), scales=(0.5,)),
        lambda: explore.neighbors(x, around, np.ones((4, 2))),
        lambda: explore.roc_curves({}, auc={}),
    ):
        with pytest.raises(MienError, match="expected"):
            wrong()


def numbered(*shape):
    """Pictures (*shape, 1, 8, 8), each of a level of its own, and the levels (*shape) as bytes."""
    levels = np.linspace(-1, 1, int(np.prod(shape))).reshape(shape)
    x = np.broadcast_to(levels[..., None, None, None], (*shape, 1, 8, 8)).astype(np.float32)
    return x, np.rint((x[..., 0, 0, 0] + 1) * 127.5).astype(int)


def test_figures_put_every_picture_where_it_belongs(monkeypatch):
    drawn = []
    monkeypatch.setattr(explore, "mosaic", lambda bands, **_: drawn.append(bands))

    def levels(band):
        return [[int(picture[0, 0, 0]) for picture in row] for row in band.rows]

    fed, expected = numbered(2, 31)
    explore.rounds(fed, change=np.tile(np.arange(1, 31) / 100, (2, 1)))
    (band,) = drawn.pop()
    at = [0, 1, 4, 7, 10, 13, 16, 18, 21, 24, 27, 30]
    assert levels(band) == expected[:, at].tolist()
    # of the pictures and of the changes: the same rounds
    assert [head.split("\N{NO-BREAK SPACE}")[-1] for head in band.heads[1:]] == [f"{t / 100:.3f}" for t in at[1:]]

    varied, expected = numbered(2, 3, 5)
    explore.variations(*(numbered(2)[0],) * 2, varied, scales=(0.1, 0.2, 0.3), columns=3)
    bands = drawn.pop()
    assert bands[0].labels == ["noise 0.1", "", "noise 0.2", "", "noise 0.3", ""]
    for band, rows in zip(bands, expected, strict=True):
        assert [row[2:] for row in levels(band)] == [part.tolist() for row in rows for part in (row[:3], row[3:])]

    result, expected = numbered(2, 4)
    explore.neighbors(numbered(2)[0], result, np.array([[1, 2, 3, 4], [5, 6, 7, 8.5]]))
    bands = drawn.pop()
    assert [levels(band)[0][1:] for band in bands] == expected.tolist()
    assert [list(band.heads) for band in bands] == [
        ["picture", "1.00", "2.00", "3.00", "4.00"],
        ["", "5.00", "6.00", "7.00", "8.50"],
    ]

    path, expected = numbered(9)
    explore.walk(path, steps=5, columns=4)
    bands = drawn.pop()
    assert [level for band in bands for level in levels(band)[0]] == expected.tolist()
    assert [head for band in bands for head in band.heads] == ["1", "", "", "", "2", "", "", "", "3"]


def test_small_pictures_are_enlarged_to_be_seen():
    from mien.figures import attribute_edits, interpolation, style

    x = batch_of(2).x.numpy().repeat(2, -1).repeat(2, -2)  # 32 pixels
    rows = np.stack([x] * 11, 1)
    for figure in (
        interpolation(rows, ends=(x, x)),
        attribute_edits(x, rows, attributes=["Wearing_Necktie +1"] * 2),
    ):
        first = figure.axes[0].images[0]
        left, right, _, _ = first.get_extent()
        assert (right - left) * style.PAGE_DPI / figure.dpi >= 56
        assert first.get_array().shape[1] == right - left  # a pixel is a whole number of the figure's
        assert figure.get_size_inches()[0] * style.PAGE_DPI < 1001


def test_the_roc_curve_encloses_the_auc():
    rng = np.random.default_rng(0)
    same, strangers = rng.integers(0, 9, 50) + 1, rng.integers(0, 9, 70)
    figure = explore.roc_curves({"near": (same, strangers)}, auc={"near": ".6"})
    curve = figure.axes[0].lines[1].get_xydata()
    assert np.trapezoid(curve[:, 1], curve[:, 0]) == pytest.approx(similarity_auc(same, strangers).auc)
    assert curve[-1].tolist() == [1, 1]


# ---- commands


@pytest.fixture(scope="module")
def runs(tmp_path_factory, digits):
    from mien.experiment import train
    from mien.run.data import Data

    folder, drawn = tmp_path_factory.mktemp("runs"), Data("avatars", None, 16, {"count": 60})
    train("vae", drawn, folder / "faces", {"width": 4, "latent": 8}, steps=2, batch=8)
    train("attribute_cnn", drawn, folder / "cnn", {"widths": (4,) * 5}, steps=2, batch=8)
    train("vae", Data("mnist", str(digits), 16), folder / "digits", {"width": 4, "latent": 8}, steps=2, batch=8)
    return folder


@pytest.fixture
def photos(tmp_path):
    from mien.data.pictures import save_picture

    rng = np.random.default_rng(0)
    return [save_picture(rng.integers(0, 255, (30, 24, 3), np.uint8), tmp_path / f"{name}.png") for name in "abc"]


def test_commands_work_with_pictures_and_without(capsys, runs, photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    faces = runs / "faces"
    for words, answer, file in (
        (["iterate", faces, "--rounds", 3], "of what the first did", "rounds.png"),
        (["iterate", faces, *photos, "--out", "r.svg"], "3 pictures", "r.svg"),
        (["vary", faces], "n = 8, seed 0", "variations.png"),
        (["vary", faces, photos[0], "--scales", "0.1,2", "-n", 3, "--out", "v.png"], "noise 0.1", "v.png"),
        (["neighbors", faces, "-k", 3], "held-out", "neighbors.png"),
        (["neighbors", faces, *photos, "--out", "n.png"], "a.png: ", "n.png"),
        (["neighbors", faces, "--generated", "--out", "g.png"], "generated", "g.png"),
        (["interpolate", faces], "wrote", "interpolation.png"),
        (["interpolate", faces, "--samples", 3, "--path", "slerp", "--out", "w.png"], "wrote", "w.png"),
        (["similarity", faces, *photos], "neighborhood", "similarity.png"),
    ):
        code, text = mien(capsys, *words)
        assert code == 0, text
        assert answer in text
        assert (tmp_path / file).stat().st_size > 1000
    code, text = mien(capsys, "similarity", faces, *photos, "--json")
    rows = json.loads(text)
    assert code == 0
    assert [row["files"][1][-5:] for row in rows] == ["b.png", "c.png", "c.png"]
    assert all(0 <= row["neighborhood"] <= 1 for row in rows)


def test_neighbors_are_training_pictures(capsys, runs, tmp_path):
    from mien.applications.basics import encode_all
    from mien.data.pictures import save_picture
    from mien.run.opening import open_run

    run = open_run(runs / "faces")
    calls, unseen = int(run.index[3]), int(run.splits.test[0])
    for name, i in (("seen", calls), ("unseen", unseen)):
        save_picture(run.dataset.pictures(np.array([i]))[0], tmp_path / f"{name}.png")
    words = ["neighbors", runs / "faces", tmp_path / "seen.png", tmp_path / "unseen.png"]
    code, text = mien(capsys, *words, "--out", tmp_path / "n.png")
    assert code == 0, text
    keys = run.dataset.keys
    assert f"seen.png: {keys[calls]} at 0.000" in text
    assert f"unseen.png: {keys[unseen]} at" not in text
    # the table is of held-out pictures against training ones
    requests, base = (encode_all(run.model, run.dataset, part) for part in (run.splits.test, run.index))
    off = torch.cdist(requests.double(), base.double()).min(1).values.numpy()
    assert f"{np.median(off):.3f}" in text
    assert f"{off.min():.3f}" in text
    assert f" {len(off)} " in text


def test_where_to_write_is_checked_before_anything_is_computed(capsys, runs, tmp_path):
    (tmp_path / "file").write_text("")
    for command, default in (
        ("iterate", "rounds"),
        ("vary", "variations"),
        ("neighbors", "neighbors"),
        ("interpolate", "interpolation"),
    ):
        words = [command, runs / "faces", "--out"]
        assert f"got {tmp_path}/x.jpg: such as --out {default}.png" in refused(capsys, *words, tmp_path / "x.jpg")
        assert "ending in .png" in refused(capsys, *words, tmp_path)
        assert "cannot be written to" in refused(capsys, *words, tmp_path / "file/x.png")
    (tmp_path / "folder.png").mkdir()
    assert "a folder: give it a name" in refused(capsys, "vary", runs / "faces", "--out", tmp_path / "folder.png")
    assert "cannot be written to" in refused(capsys, "synthesize", runs / "faces", "--out", tmp_path / "file/more")


def test_synthesize_into_the_folder_one_is_in(capsys, runs, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    code, text = mien(capsys, "synthesize", runs / "faces", "--per-class", 2, "--out", ".")
    assert code == 0, text
    assert size_of(tmp_path / "here.png")[0] > 50
    assert not list((tmp_path / "here").glob("*.png"))


def test_synthesize_as_typed_makes_a_set_that_trains(capsys, runs, digits, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["synthesize", runs / "digits", "--per-class", 4, "--labeled", 2, "--out", tmp_path / "more"]
    code, text = mien(capsys, *words)
    assert code == 0, text
    assert "40 labeled pictures, 40 of them made now" in text
    assert size_of(tmp_path / "more.png")[0] > 100
    assert "0 of them made now" in mien(capsys, *words)[1]
    sources = json.loads((tmp_path / "more/provenance.json").read_text())["pictures"]
    assert {source["position"] for source in sources.values()} <= set(data.load("mnist", digits, 16).split().train)
    code, text = mien(
        capsys, "train", "attribute_cnn", "--data", "folder", "--root", "more", "--size", 16, "--steps", 2,
        "--batch", 8, "--set", "widths=4,4,4,4,4", "--out", "cnn",
    )  # fmt: skip
    assert code == 0, text
    assert "with seed = 1, got" in refused(capsys, *words, "--seed", 1)
    code, text = mien(capsys, "synthesize", runs / "faces", "--per-class", 3)
    assert code == 0, text
    assert size_of("synthesized.png")[0] > 50


def test_refusals(capsys, runs, photos, tmp_path):
    faces, cnn = runs / "faces", runs / "cnn"
    for words, answer in (
        (["similarity", faces, photos[0]], "two pictures or more to compare, got one"),
        (["similarity", faces], "a data set that names persons, got avatars"),
        (["similarity", faces, "--noise", -1], "expected --noise of 0 or more"),
        (["vary", faces, "--scales", "a,b"], "expected --scales as 1 to 10 numbers"),
        (["vary", faces, "--scales", "-1"], "expected --scales as 1 to 10 numbers"),
        (["interpolate", faces, photos[0]], "two pictures or more to interpolate between, got one"),
        (["interpolate", faces, "--samples", 1], "two pictures or more to interpolate between, got one"),
        (["interpolate", faces, "--path", "sleerp"], "did you mean slerp"),
        (["interpolate", faces, photos[0], photos[1], "--samples", 3], "pictures or --samples, got both"),
        (["neighbors", faces, photos[0], "--generated"], "pictures or --generated, got both"),
        (["synthesize", faces, "--out", tmp_path / "x.png"], "expected a folder"),
        (["synthesize", faces, "--noise", "nan"], "expected --noise of 0 or more"),
        (["iterate", tmp_path / "nowhere"], "does not exist"),
    ):
        assert answer in refused(capsys, *words)
    for command in ("iterate", "similarity", "synthesize", "vary", "neighbors", "interpolate"):
        assert "needed a model that Encodes" in refused(capsys, command, cnn)
        code, text = mien(capsys, command, "--help")
        assert code == 0
        assert f"mien {command} runs/" in text


def test_persons_are_told_apart_as_typed(capsys, tmp_path, monkeypatch):
    from mien.experiment import train
    from mien.run.data import Data

    monkeypatch.chdir(tmp_path)
    root = celeba_folder(tmp_path / "celeba", count=240)  # two pictures of each person
    train("vae", Data("celeba", str(root), 16), "run", {"width": 4, "latent": 8}, steps=2, batch=8)
    code, text = mien(capsys, "similarity", "run", "--json", "--out", "roc.png")
    assert code == 0, text
    result = json.loads(text)
    opened = data.load("celeba", root, 16)
    splits = opened.split()
    held = opened.identity[np.concatenate([splits.valid, splits.test])]
    assert result["n_same"] == len(held) - len(np.unique(held)) > 0
    assert result["n_strangers"] == min(5000, len(held) * (len(held) - 1) // 2 - result["n_same"])
    assert set(result["measures"]) == {"neighborhood", "shared", "cosine", "distance", "pixels"}
    assert all(s["low"] <= s["auc"] <= s["high"] for s in result["measures"].values())
    code, text = mien(capsys, "similarity", "run", "--pairs", 5)
    assert code == 0, text
    assert "pixels" in text
    assert size_of("similarity.png")[0] > 100


def test_the_recipe_compares_four_classifiers(runs, tmp_path):
    from mien.recipes.synthesized_labels import KINDS, main

    words = [str(runs / "digits"), "--labeled", "2", "--per-class", "3", "--steps", "2", "--seeds", "2"]
    words += ["--out", str(tmp_path / "r")]
    written = main(words) / "synthesized_labels.json"
    result = json.loads(written.read_text())
    assert set(result["accuracy"]) == {*KINDS, "label_kept"}
    assert all(len(scores["each"]) == 2 for scores in result["accuracy"].values())
    both = data.load("folder", tmp_path / "r/1-both", 16)
    assert len(both) == 10 * (2 + 3)
    assert not both.report["rejected"]
    main(words)  # goes on from what is there
    assert json.loads(written.read_text()) == result
    with pytest.raises(MienError, match="a run on a set with classes, got one on avatars"):
        main([str(runs / "faces")])
