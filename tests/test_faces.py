"""Identity distances and landmark errors: laws with artificial embedders, and a few real faces with dlib."""

import importlib.util
import json

import numpy as np
import pytest
import torch

from mien import data, figures
from mien.data.pictures import to_float
from mien.errors import MienError
from mien.metrics import faces, identity, landmarks
from mien.metrics.faces import Faces, ModelFile, as_bytes, enlarge, main_face
from mien.recipes import face_baselines

SIDE = 32


def embed(x):
    """The embedding is nine means of the picture; a black picture has no face."""
    out = torch.nn.functional.adaptive_avg_pool2d(x.mean(1, keepdim=True), 3).flatten(1).double().numpy()
    out[(x <= -0.99).flatten(1).all(1).numpy()] = np.nan
    return out


def some(n=6, side=SIDE, seed=0):
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 1.8 - 0.9


def grid():
    """68 points (68, 2) on a picture of SIDE pixels, symmetric under the mirror."""
    rng = np.random.default_rng(0)
    points = rng.uniform(10, 22, (68, 2))
    for i, j in enumerate(landmarks.MIRRORED):
        points[j] = (SIDE - 1 - points[i, 0], points[i, 1]) if i != j else ((SIDE - 1) / 2, points[i, 1])
    return points


def placed(x):
    """A predictor that puts 68 points around the bright spot of the picture."""
    bright = x.mean(1).numpy()
    out = np.full((len(x), 68, 2), np.nan)
    for i, one in enumerate(bright):
        if one.max() > 0.5:
            y, at = np.unravel_index(one.argmax(), one.shape)
            out[i] = grid() - (SIDE - 1) / 2 + (at, y)
    return out


def spots(*where):
    x = torch.full((len(where), 3, SIDE, SIDE), -0.5)
    for i, (at, y) in enumerate(where):
        x[i, :, y, at] = 1.0
    return x


# -- pictures and boxes --


def test_pictures_become_bytes_of_three_channels():
    (gray,) = as_bytes(torch.zeros(1, 1, 9, 12))
    assert gray.shape == (9, 12, 3)
    assert (gray == gray[..., :1]).all()
    for x, words in (
        (torch.zeros(2, 1, 1, 512), "no faces there"),
        (torch.zeros(2, 2, 16, 16), "C 1 or 3"),
        (torch.full((1, 3, 16, 16), torch.nan), "not finite"),
    ):
        with pytest.raises(MienError, match=words):
            as_bytes(x)


def test_small_pictures_are_enlarged_and_large_ones_kept():
    assert enlarge(np.zeros((109, 89, 3), np.uint8), 256)[0].shape == (256, 209, 3)
    large = np.zeros((300, 200, 3), np.uint8)
    assert enlarge(large, 256) == (large, 1.0)


class Box:
    def __init__(self, x, y, side):
        self.x, self.y, self.side = x, y, side

    def center(self):
        return self

    def width(self):
        return self.side


def test_of_several_faces_the_large_and_central_one_is_taken():
    small, central, corner = Box(50, 50, 20), Box(48, 52, 40), Box(90, 90, 42)
    assert main_face([small, corner, central], 100, 100) is central
    assert main_face([], 100, 100) is None


# -- models --


def test_missing_models_say_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    expected = (
        r"^expected shape_predictor_68_face_landmarks\.dat, got no .*: pip install mien\[faces\], or set MIEN_FACE_"
    )
    with pytest.raises(MienError, match=expected):
        faces.LANDMARKS.find()
    own = tmp_path / "own.dat"
    with pytest.raises(MienError, match="where no file is"):
        faces.LANDMARKS.find(own)
    own.write_bytes(b"x")
    monkeypatch.setenv("MIEN_FACE_LANDMARKS", str(own))
    assert faces.LANDMARKS.find() == own
    assert ModelFile("x", "NOT_SET").find(own) == own


def test_missing_dlib_says_what_to_install(monkeypatch):
    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(MienError, match=r"^expected dlib for faces, got no such package: pip install mien\[faces\]$"):
        Faces().landmarks(torch.zeros(1, 3, 16, 16))


# -- identity --


def test_the_same_picture_is_at_distance_zero_and_distance_is_symmetric():
    x, y = some(), some(seed=1)
    assert (identity.identity_distance(x, x, embed).values == 0).all()
    there, back = identity.identity_distance(x, y, embed), identity.identity_distance(y, x, embed)
    assert np.array_equal(there.values, back.values)
    naive = [float(((embed(x[i : i + 1]) - embed(y[i : i + 1])) ** 2).sum() ** 0.5) for i in range(len(x))]
    np.testing.assert_allclose(there.values, naive, rtol=1e-6)


def test_faces_not_found_are_counted():
    x, y = some(5), some(5, seed=1)
    x[0], y[0], y[3] = -1, -1, -1
    got = identity.identity_distance(x, y, embed)
    assert np.isnan(got.values).tolist() == [True, False, False, True, False]
    summary = got.summary(threshold=10)
    assert (summary["pairs"], summary["n"], summary["found"]) == (5, 3, 0.6)
    assert (summary["found_first"], summary["found_second"]) == (0.8, 0.6)
    assert (summary["within"], summary["within_of_all"]) == (1.0, 0.6)
    nobody = identity.identity_distance(-torch.ones(2, 3, 9, 9), some(2, 9), embed).summary()
    assert (nobody["pairs"], nobody["n"], nobody["found"]) == (2, 0, 0.0)
    assert nobody["mean"] is nobody["sd"] is nobody["within"] is None
    json.dumps(nobody, allow_nan=False)


def test_distances_of_unequal_counts_are_refused():
    with pytest.raises(MienError, match="expected 3 pictures 'edit', one for each, got 2"):
        identity.identity_distances(some(3), {"edit": some(2)}, embed)


def test_pairs_are_of_one_person_or_of_two():
    people = np.array([3, 3, 3, 5, 5, 8, 9, 9, -1, -1])
    pairs = identity.pair_people(people, np.arange(10), 10, seed=1)
    assert sorted(people[pairs.same[:, 0]]) == [3, 5, 9]
    assert (people[pairs.same[:, 0]] == people[pairs.same[:, 1]]).all()
    assert (pairs.same[:, 0] != pairs.same[:, 1]).all()
    assert (people[pairs.strangers[:, 0]] != people[pairs.strangers[:, 1]]).all()
    again = identity.pair_people(people, np.arange(10), 10, seed=1)
    assert np.array_equal(again.same, pairs.same)
    assert "3 people, drawn with seed 1" in pairs.note
    assert len(identity.pair_people(people, np.arange(10), 2).same) == 2


def test_without_identities_there_are_strangers_only_and_it_is_said():
    pairs = identity.pair_people(None, np.arange(20), 6)
    assert (len(pairs.same), len(np.unique(pairs.strangers))) == (0, 12)
    assert "6 stranger pairs only" in pairs.note
    assert "names nobody" in pairs.note
    x = some(20)
    summary = identity.identity_baselines(lambda i: x[i.tolist()], pairs, embed).summary()
    assert "same" not in summary
    assert summary["auc"] is None
    assert summary["strangers"]["pairs"] == 6
    once = identity.pair_people(np.arange(7), np.arange(7), 3)
    assert len(once.strangers) == 3
    assert "names nobody" not in once.note
    with pytest.raises(MienError, match="two people or more"):
        identity.pair_people(np.array([4, 4, 4]), np.arange(3))


def test_baselines_equal_a_loop_and_read_a_few_at_a_time():
    people = np.repeat(np.arange(25), 2)
    x = some(25).repeat_interleave(2, 0) + 0.05 * some(50, seed=2)
    x[8] = -1
    requests = []

    def read(index):
        requests.append(len(index))
        return x[index.tolist()]

    pairs, output = identity.pair_people(people, np.arange(50), 25), []
    got = identity.identity_baselines(read, pairs, embed, lambda done, total: output.append((done, total)))
    e, mirrored = embed(x), embed(x.flip(-1))
    for scores, first, second in (
        (got.same, e[pairs.same[:, 0]], e[pairs.same[:, 1]]),
        (got.strangers, e[pairs.strangers[:, 0]], e[pairs.strangers[:, 1]]),
        (got.mirrored, e[pairs.strangers[:, 0]], mirrored[pairs.strangers[:, 0]]),
    ):
        np.testing.assert_allclose(scores.values, np.linalg.norm(first - second, axis=1), rtol=1e-6)
    assert max(requests) <= identity.PART
    assert output[-1] == (75, 75)
    assert (got.pictures, got.detected) == (50, 0.98)
    assert got.summary()["auc"] == 1.0


def test_auc_equals_counting_pairs():
    rng = np.random.default_rng(0)
    near, far = rng.integers(0, 9, 40) / 10, rng.integers(2, 12, 30) / 10
    naive = np.mean([(a < b) + (a == b) / 2 for a in near for b in far])
    assert identity.auc(near, far) == pytest.approx(naive)
    assert identity.auc(near, np.full(3, np.nan)) is None


# -- landmarks --


def test_the_mirror_maps_landmarks_onto_each_other():
    there = np.array(landmarks.MIRRORED)
    assert (there[there] == np.arange(68)).all()
    assert sorted(there[landmarks.EYE_LEFT]) == landmarks.EYE_RIGHT
    assert sorted(there[landmarks.REST]) == sorted(landmarks.REST)


@pytest.mark.parametrize("name", [name for name in landmarks.VIEWS if name != "jpeg75"])
def test_landmarks_map_back_exactly_under_known_moves(name):
    x, view = spots((12, 14), (20, 17), (15, 16)), landmarks.VIEWS[name]
    moved = view.make(x)
    assert moved.shape[-1] >= SIDE
    assert not torch.equal(moved, x)
    np.testing.assert_allclose(view.back(placed(moved), SIDE), placed(x), atol=1e-9)


def test_a_jpeg_keeps_shape_and_range():
    for x in (some(2), some(2)[:, :1]):
        y = landmarks.jpeg(x)
        assert y.shape == x.shape
        assert 0 < float((x - y).abs().mean()) < 0.3
        assert float(y.abs().max()) <= 1


def test_stability_is_zero_for_what_moves_along_and_positive_for_what_does_not():
    x = spots((12, 14), (20, 17), (15, 16))
    x[1] = -0.5
    views = {name: view for name, view in landmarks.VIEWS.items() if name != "jpeg75"}
    output = []
    still = landmarks.landmark_stability(placed, x, views, lambda done, total: output.append((done, total)))
    np.testing.assert_allclose(still.eyes, [0, np.nan, 0], atol=1e-9)
    np.testing.assert_allclose(still.rest, [0, np.nan, 0], atol=1e-9)
    assert output == [(3, 3)]

    def stuck(pictures):
        return np.broadcast_to(grid(), (len(pictures), 68, 2)).copy()

    shift = {"right": landmarks.VIEWS["right"]}
    got = landmarks.landmark_stability(stuck, x, shift)
    np.testing.assert_allclose(got.eyes, SIDE / 16 / landmarks.inter_ocular(grid()[None])[0])


def test_views_in_which_the_face_is_lost_are_counted():
    def only_square(x):
        return placed(x) if x.shape[-1] == x.shape[-2] else np.full((len(x), 68, 2), np.nan)

    views = {name: landmarks.VIEWS[name] for name in ("right", "smaller", "mirror", "up")}
    got = landmarks.landmark_stability(only_square, spots((12, 14), (15, 16)), views)
    assert got.lost == 0.5
    np.testing.assert_allclose(got.eyes, 0, atol=1e-9)
    nobody = landmarks.landmark_stability(placed, torch.full((2, 3, SIDE, SIDE), -1.0), views).summary()
    assert (nobody["pictures"], nobody["n"], nobody["found"], nobody["eyes"]["mean"]) == (2, 0, 0.0, None)


def test_error_against_five_points_is_a_naive_loop():
    rng = np.random.default_rng(1)
    points, truth = rng.uniform(0, 64, (4, 68, 2)), rng.uniform(0, 64, (4, 5, 2))
    points[2] = np.nan
    got = landmarks.celeba5_error(points, truth)
    for i in (0, 1, 3):
        scale = np.hypot(*(truth[i, 0] - truth[i, 1]))
        five = [points[i, 36:42].mean(0), points[i, 42:48].mean(0), points[i, 30], points[i, 48], points[i, 54]]
        off = [np.hypot(*(a - b)) / scale for a, b in zip(five, truth[i], strict=True)]
        assert got.eyes[i] == pytest.approx(sum(off[:2]) / 2)
        assert got.rest[i] == pytest.approx(sum(off[2:]) / 3)
    assert got.summary()["n"] == 3
    assert landmarks.celeba5_error(points, landmarks.five(points)).summary()["eyes"]["mean"] == 0
    with pytest.raises(MienError, match="expected landmarks"):
        landmarks.celeba5_error(points, truth[:2])


def test_landmark_shift_is_in_eye_distances_whatever_the_scale():
    before = grid()[None]
    after = before.copy()
    after[:, landmarks.EYES] += (landmarks.inter_ocular(before)[0], 0)
    for scale in (1, 7):
        got = landmarks.landmark_shift(scale * before, scale * after)
        assert (got.eyes[0], got.rest[0]) == (pytest.approx(1), 0)
    # in those of the picture before
    after = before.copy()
    distance = landmarks.inter_ocular(before)[0]
    after[:, landmarks.EYE_LEFT] += (distance, 0)
    assert abs(landmarks.inter_ocular(after)[0] / distance - 1) > 0.5
    assert landmarks.landmark_shift(before, after).eyes[0] == pytest.approx(0.5)


def test_summary_of_landmark_errors_is_the_textbooks():
    eyes, rest = np.array([0.1, 0.2, np.nan, 0.6, 0.4]), np.array([0.3, np.nan, 0.1, 0.5, 0.9])
    summary = landmarks.LandmarkErrors(eyes, rest, 0.25).summary()
    assert (summary["pictures"], summary["n"], summary["found"], summary["lost"]) == (5, 3, 0.6, 0.25)
    for name, values in (("eyes", [0.1, 0.6, 0.4]), ("rest", [0.3, 0.5, 0.9])):
        sd = np.sqrt(np.square(np.subtract(values, np.mean(values))).sum() / 2)
        expected = {"mean": np.mean(values), "median": sorted(values)[1], "sd": sd, "sem": sd / np.sqrt(3)}
        assert summary[name] == pytest.approx(expected)


def test_the_table_splits_by_attribute():
    x, calls = some(5), {}

    def measure(pictures, rows):
        calls[tuple(rows)] = pictures
        return landmarks.LandmarkErrors(np.zeros(len(rows)), np.zeros(len(rows)))

    edited = {"D1m": x / 2}
    table = landmarks.landmark_table(measure, x, [1, -1, 0, 1, -1], edited)
    assert {name: len(one.eyes) for name, one in table.items()} == {"D0": 2, "D1": 2, "D1m": 2}
    assert torch.equal(calls[0, 3], x[[0, 3]] / 2)
    assert list(landmarks.landmark_table(measure, x, -np.ones(5))) == ["D0"]
    with pytest.raises(MienError, match="a value and an edit for each of 5 pictures"):
        landmarks.landmark_table(measure, x, np.ones(4))


def test_celebas_points_are_cropped_and_scaled_like_its_pictures(tmp_path):
    assert landmarks.find_five(tmp_path) is None
    (tmp_path / "Anno").mkdir()
    path = tmp_path / "Anno" / landmarks.FILE
    # the corners of the centered square of 178x218, and a point in its middle
    rows = "000002.jpg 0 20 177 20 88 108 0 197 177 197\n000001.jpg  69 109 106 113 77 142 73 152 108 154\n"
    path.write_text(f"2\n{' '.join(landmarks.COLUMNS)}\n{rows}")
    assert landmarks.find_five(tmp_path) == path
    got = landmarks.read_five(path, ["000001.jpg", "absent.jpg", "000002.jpg"], 178)
    np.testing.assert_allclose(got[0], [[69, 89], [106, 93], [77, 122], [73, 132], [108, 134]])
    assert np.isnan(got[1]).all()
    np.testing.assert_allclose(got[2], [[0, 0], [177, 0], [88, 88], [0, 177], [177, 177]])
    # half the size: the first two pixels become one, whose center lies between theirs
    np.testing.assert_allclose(landmarks.read_five(path, ["000002.jpg"], 89)[0, :2], [[-0.25, -0.25], [88.25, -0.25]])
    # a crop of 148 begins at column 15 and row 35; at 74 pixels, (88, 108) is (73, 73) / 2, moved by a quarter pixel
    small = landmarks.read_five(path, ["000002.jpg"], 74, crop=148)
    np.testing.assert_allclose(small[0, 2], [36.25, 36.25])
    np.testing.assert_allclose(small[0, 0], [-7.75, -7.75])
    np.testing.assert_allclose(
        landmarks.read_five(path, ["000001.jpg"], 148, crop=148)[0],
        [[54, 74], [91, 78], [62, 107], [58, 117], [93, 119]],
    )
    with pytest.raises(MienError, match="expected a crop of 1 to 178 pixels, got 250"):
        landmarks.read_five(path, ["000001.jpg"], 64, crop=250)
    for text, words in (
        ("2\nlefteye_x\n", "expected a count in line 1"),
        (f"2\n{' '.join(landmarks.COLUMNS)}\n000001.jpg 1 2 3\n", "line 3: expected a file name and 10 numbers"),
        (f"2\n{' '.join(landmarks.COLUMNS)}\n000001.jpg 1 2 3 4 5 6 7 8 9 x\n", "line 3"),
        (f"2\n{' '.join(landmarks.COLUMNS)}\n000001.jpg 7\n", "line 3"),
    ):
        path.write_text(text)
        with pytest.raises(MienError, match=words):
            landmarks.read_five(path, ["000001.jpg"], 64)


# -- figures --


def test_histograms_leave_out_what_was_not_found_and_refuse_nonsense(tmp_path):
    figure = figures.face_distances({"64 px": {"same": [0.4, np.nan], "strangers": []}}, 0.6)
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == [
        "same (n = 1)",
        "strangers (n = 0)",
    ]
    figures.save(figure, tmp_path / "d.svg")
    for groups, words in (({}, "1 to 6 kinds"), ({"a": {"b": [-1.0]}}, "0 or more"), ({"a": {"b": ["x"]}}, "numbers")):
        with pytest.raises(MienError, match=words):
            figures.face_distances(groups)


def test_landmarks_are_drawn_in_the_pictures_they_belong_to():
    x = spots((12, 14), (20, 17))
    points = placed(x)
    points[1] = np.nan
    figure = figures.face_landmarks([x.numpy()], [points], eyes=landmarks.EYES, rest=landmarks.REST, names=["D0"])
    drawn = figure.axes[0].collections
    assert [len(one.get_offsets()) for one in drawn] == [68 - 12 - 11, 11, 12]
    left, right, bottom, top = figure.axes[0].images[0].get_extent()
    scale = (right - left) / SIDE
    np.testing.assert_allclose(
        drawn[2].get_offsets(), (points[0, landmarks.EYES] + 0.5) * scale + (left, min(top, bottom))
    )
    with pytest.raises(MienError, match="landmarks for each"):
        figures.face_landmarks([x.numpy()], [], eyes=[], rest=[], names=["D0"])
    with pytest.raises(MienError, match=r"expected landmarks \(2, P, 2\)"):
        figures.face_landmarks([x.numpy()], [points[:1]], eyes=[], rest=[], names=["D0"])


# -- the recipe, with invented models, and dlib itself --


class Invented(Faces):
    """Artificial faces: every picture has a face, without dlib."""

    def landmarks(self, x, progress=None):
        return np.broadcast_to(grid() * x.shape[-1] / SIDE, (len(x), 68, 2)).copy()

    def embeddings(self, x, progress=None):
        return embed(x)

    def protocol(self):
        return {"invented": True}


def test_the_recipe_stores_its_parts_and_draws(real_data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(face_baselines, "Faces", Invented)
    root = tmp_path / "celeba"
    root.mkdir()
    for path in (real_data / "celeba").iterdir():
        (root / path.name).symlink_to(path)
    keys = [f"{i:06d}.jpg" for i in range(1, 9001)]
    rows = "\n".join(f"{key} 69 109 106 113 77 142 73 152 108 154" for key in keys)
    (root / landmarks.FILE).write_text(f"9000\n{' '.join(landmarks.COLUMNS)}\n{rows}\n")
    words = ["--root", root, "--own-size", 32, "--size", 16, "--count", 8, "--out", tmp_path / "f"]
    folder = face_baselines.main([str(word) for word in words])
    result = json.loads((folder / face_baselines.RESULT).read_text())
    assert list(result["sizes"]) == ["32 px", "16 px"]
    assert result["sizes"]["16 px"]["identity"]["same"]["pairs"] == 4
    assert result["sizes"]["16 px"]["landmarks"]["stability"]["D1"]["pictures"] == 4
    assert result["sizes"]["16 px"]["landmarks"]["celeba5"]["D0"]["n"] == 4
    assert str(tmp_path) not in json.dumps(result)
    assert (folder / "index.html").stat().st_size > 1000
    assert "identity distance" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        face_baselines.main(["--count", "1"])


@pytest.fixture(scope="module")
def people(real_data):
    """Ten pairs of CelebA's faces of one person each, (2, 10, 3, 89, 89)."""
    source = data.source("celeba", real_data / "celeba")
    who = np.array([source.identity(i) for i in range(len(source))])
    pairs = identity.pair_people(who, np.arange(len(source)), 10)
    return torch.from_numpy(np.stack([[to_float(source.read(int(i), 89)) for i in side] for side in pairs.same.T]))


@pytest.fixture(scope="module")
def models():
    pytest.importorskip("dlib", reason="no dlib: pip install mien[faces]")
    return Faces()


def test_real_faces_are_nearest_to_themselves_then_to_their_mirror_image(models, people):
    first = models.embeddings(people[0])
    assert np.array_equal(first[:2], models.embeddings(people[0, :2]), equal_nan=True)
    own = identity.distances(first, models.embeddings(people[1])).summary()
    mirrored = identity.distances(first, models.embeddings(people[0].flip(-1))).summary()
    strangers = identity.distances(first, np.roll(first, 1, 0)).summary()
    assert mirrored["mean"] < own["mean"] < strangers["mean"]
    assert min(own["n"], strangers["n"]) >= 7
    assert strangers["within"] < own["within"]


def test_real_landmarks_follow_the_picture(models, people):
    x = torch.cat([people[0, :6], torch.zeros(1, 3, 89, 89)])
    points = models.landmarks(x)
    assert np.isnan(points[-1]).all()
    errors = landmarks.landmark_stability(models.landmarks, x)
    assert errors.summary()["n"] >= 4
    assert np.nanmedian(errors.eyes) < 0.05
    # the aligned crop puts both eyes a little below its middle's height, about .2 of its width apart
    known = points[~np.isnan(points).any((1, 2))]
    assert (abs(landmarks.inter_ocular(known) / 89 - 0.21) < 0.06).all()
    gray = models.landmarks(x[:2].mean(1, keepdim=True))
    assert np.nanmax(landmarks.landmark_shift(points[:2], gray).eyes) < 0.1


def test_models_that_are_none_are_told(models, tmp_path):
    (tmp_path / "bad.dat").write_bytes(b"not a model")
    with pytest.raises(MienError, match=r"expected a model of dlib's, got bad\.dat"):
        Faces(embedding=tmp_path / "bad.dat")._network  # noqa: B018, loads on first use
    five = faces.LANDMARKS.find().with_name("shape_predictor_5_face_landmarks.dat")
    if five.exists():
        with pytest.raises(MienError, match="68 landmarks, got one of 5"):
            Faces(landmarks=five)._predictor  # noqa: B018
    protocol = models.protocol()
    assert len(protocol["models"]["embedding"]["sha256"]) == 64
