"""Maps of latent spaces: t-SNE, the assignment to a grid, the decoded plane, their pictures and the command."""

import csv
import itertools

import numpy as np
import pytest
import torch
from PIL import Image

from conftest import tiny
from mien import figures
from mien.abilities import MissingAbility
from mien.applications import latent_map as maps
from mien.applications.basics import latent_size
from mien.errors import MienError
from mien.figures.maps import MOST
from mien.run.opening import open_run
from test_cli import mien, refused


def cost(positions, cells) -> float:
    """The sum of squared moves of the points of a grid, by a naive loop."""
    table = maps.grid_costs(positions, *cells.shape)
    return sum(table[number, place] for place, number in enumerate(cells.flat) if number >= 0)


@pytest.mark.parametrize(("n", "shape"), [(25, (5, 5)), (24, (5, 5)), (20, (4, 5)), (7, (3, 3)), (1, (1, 1))])
def test_every_point_has_one_cell(n, shape):
    positions = np.random.default_rng(n).normal(size=(n, 2))
    cells = maps.grid_cells(positions)
    assert cells.shape == shape
    assert sorted(cells[cells >= 0]) == list(range(n))


def test_assignment_is_the_best_there_is():
    positions = np.random.default_rng(0).normal(size=(6, 2))
    table = maps.grid_costs(positions, 2, 3)
    best = min(sum(table[i, c] for i, c in enumerate(order)) for order in itertools.permutations(range(6)))
    assert cost(positions, maps.grid_cells(positions, 2, 3)) == pytest.approx(best)


def test_assignment_is_no_worse_than_a_greedy_one():
    positions = np.random.default_rng(1).normal(size=(100, 2))
    table = maps.grid_costs(positions, 10, 10)
    greedy, free = np.empty(100, int), set(range(100))
    for i in range(100):
        greedy[i] = min(free, key=lambda place: table[i, place])
        free.remove(greedy[i])
    assert cost(positions, maps.grid_cells(positions)) < table[np.arange(100), greedy].sum()


def test_points_on_a_lattice_stay_where_they_are():
    rng = np.random.default_rng(2)
    rows, columns = 4, 6
    across, up = np.meshgrid(np.arange(columns) * 3.0 - 7, np.arange(rows)[::-1] * 0.1 + 5)
    lattice = np.stack([across, up], -1).reshape(-1, 2)  # row by row from the top, as pictures are
    order = rng.permutation(len(lattice))
    assert np.array_equal(order[maps.grid_cells(lattice[order], rows, columns)].ravel(), np.arange(24))


def test_grid_refuses():
    for positions, words in (
        ([[0, np.nan]], "finite"),
        (np.zeros((3, 3)), "(n, 2)"),
        (np.zeros((0, 2)), "(n, 2)"),
    ):
        with pytest.raises(MienError, match=words.replace("(", r"\(").replace(")", r"\)")):
            maps.grid_cells(positions)
    with pytest.raises(MienError, match="5 to 4096 cells"):
        maps.grid_cells(np.zeros((5, 2)), 2, 2)
    with pytest.raises(MienError, match="4096 cells"):
        maps.grid_cells(np.zeros((5, 2)), 100, 100)
    # equal positions have no extent to scale by
    assert sorted(maps.grid_cells(np.zeros((4, 2))).flat) == [0, 1, 2, 3]


def test_tsne_keeps_neighbors_and_is_fixed_by_its_seed():
    rng = np.random.default_rng(0)
    kind = np.repeat([0, 1, 2], 20)
    z = rng.normal(size=(60, 60)) + 8 * np.eye(3)[kind] @ rng.normal(size=(3, 60))  # more dimensions than PCA leaves
    plane = maps.tsne(z, seed=3)
    assert plane.shape == (60, 2)
    assert np.isfinite(plane).all()
    apart = np.linalg.norm(plane[:, None] - plane[None], axis=-1) + np.diag([np.inf] * 60)
    assert (kind[apart.argmin(1)] == kind).all()
    assert np.array_equal(plane, maps.tsne(z, seed=3))


@pytest.mark.parametrize(
    ("z", "words"),
    [
        (np.zeros((4, 3)), "5 latents or more"),
        (np.ones((20, 3)), "latents that differ, got 20 equal"),
        (np.full((20, 3), np.inf), "finite latents"),
        (np.zeros((20, 1)), "K of 2 or more"),
        (np.zeros(20), "K of 2 or more"),
    ],
)
def test_tsne_refuses(z, words):
    with pytest.raises(MienError, match=words):
        maps.tsne(z)
    with pytest.raises(MienError, match="perplexity from 1 to 9"):
        maps.tsne(np.random.default_rng(0).normal(size=(10, 3)), perplexity=30)


def test_decoded_plane_has_its_corners():
    model = tiny("vae", latent=2).eval()
    x = maps.decoded_plane(model, (-1, 3), (-2, 0.5), steps=4)
    assert x.shape == (4, 4, 3, 16, 16)
    # the first row has the highest z2, as a scatter has
    corners = {(0, 0): (-1, 0.5), (0, 3): (3, 0.5), (3, 0): (-1, -2), (3, 3): (3, -2)}
    for (i, j), z in corners.items():
        with torch.inference_mode():
            assert torch.allclose(x[i, j], model.decode(torch.tensor([z], dtype=torch.float32))[0], atol=1e-5)


def test_decoded_plane_refuses():
    with pytest.raises(MienError, match="2 latent dimensions, got 8"):
        maps.decoded_plane(tiny("vae"))
    with pytest.raises(MissingAbility, match="Encodes and Decodes"):
        maps.decoded_plane(tiny("attribute_cnn"))
    with pytest.raises(MienError, match="range of z2"):
        maps.decoded_plane(tiny("vae", latent=2), z2=(1, 1))
    with pytest.raises(MienError, match="2 steps"):
        maps.decoded_plane(tiny("vae", latent=2), steps=1)


def test_latent_size_leaves_the_model_as_it_was():
    model = tiny("vae", latent=5).train()
    assert latent_size(model) == 5
    assert model.training


def test_plane_range_is_the_quantiles():
    z = np.random.default_rng(0).normal(size=(500, 2)) * [1, 4] + [2, 0]
    for d, (low, high) in enumerate(maps.plane_range(z, 0.05)):
        assert np.isclose(low, np.sort(z[:, d])[25], atol=0.2)
        assert ((z[:, d] >= low) & (z[:, d] <= high)).mean() == pytest.approx(0.9, abs=0.01)


def test_latent_map_is_the_tsne_of_the_encoded(avatars, monkeypatch):
    model, index = tiny("vae").eval(), np.arange(30)
    with torch.inference_mode():
        z = model.encode(avatars.batch(index).x).mean.numpy()
    assert np.allclose(maps.latent_map(model, avatars, index, seed=1), maps.tsne(z, seed=1), atol=1e-3)
    # started from principal components a map hardly depends on the seed, so whether it arrives is asked apart
    monkeypatch.setattr(maps, "tsne", lambda z, seed=0: seed)
    assert maps.latent_map(model, avatars, index, seed=7) == 7


def test_scatter_takes_all_sorts_of_labels():
    points = np.random.default_rng(0).normal(size=(200, 2))
    assert figures.latent_scatter(points).get_label() == "200 points of a plane"
    labels = ["a", "b", None, "b"] * 50
    figure = figures.latent_scatter(points, labels)
    assert figure.get_label() == "200 points of a plane: 50 a, 100 b, 50 not known"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a (50)", "b (100)", "not known (50)"]
    assert figures.latent_scatter(points, [None] * 200).get_label() == "200 points of a plane"
    # numbers in their order, and a label that would be mathematics
    words = [t.get_text() for t in figures.latent_scatter(points[:3], ["10", "9", "$x"]).legends[0].get_texts()]
    assert words == ["9 (1)", "10 (1)", "$x (1)"]


def test_scatter_of_many_classes(tmp_path):
    rng = np.random.default_rng(0)
    points, labels = rng.normal(size=(600, 2)), [f"Alphabet_{k}" for k in rng.integers(0, 50, 600)]
    figure = figures.latent_scatter(points, labels, axes=("z₁", "z₂"))
    assert len(figure.legends[0].get_texts()) == 50
    figures.save(figure, tmp_path / "a.png")
    figures.save(figures.latent_scatter(points, labels, axes=("z₁", "z₂")), tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    crowd = figures.latent_scatter(points, [str(i // 2) for i in range(600)])
    texts = [text.get_text() for text in crowd.legends[0].get_texts()]
    assert len(texts) == MOST
    assert texts[-1].endswith(f"{300 - MOST + 1} others")


def test_scatter_draws_each_kind_where_its_points_are():
    labels = ["ball 7", "ball 14", "inner 7", None] * 6
    points = np.array([[0.0, 0], [5, 0], [0, 5], [5, 5]] * 6) + np.random.default_rng(0).uniform(-1, 1, (24, 2))
    figure = figures.latent_scatter(points, labels)
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words == ["ball 7 (6)", "ball 14 (6)", "inner 7 (6)", "not known (6)"]  # numbers in names, by value
    panel = figure.axes[1]
    unknown, *kinds = (np.asarray(one.get_offsets()) for one in panel.collections)
    assert np.allclose(unknown, points[3::4])
    for k, offsets in enumerate(kinds):
        assert np.allclose(offsets, points[k::4])
    for text in panel.texts:
        k = ["ball 7", "ball 14", "inner 7"].index(text.get_text())
        assert np.abs(points[k::4] - text.get_position()).sum(1).min() == 0


def test_scatter_refuses():
    with pytest.raises(MienError, match="3 labels"):
        figures.latent_scatter(np.zeros((3, 2)), ["a"])
    with pytest.raises(MienError, match=r"positions \(n, 2\)"):
        figures.latent_scatter(np.zeros((3, 3)))
    with pytest.raises(MienError, match="finite positions"):
        figures.latent_scatter([[0, np.inf]])


def pixels(figure, path) -> np.ndarray:
    figures.save(figure, path)
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def test_picture_grid_puts_each_picture_into_its_cell(tmp_path):
    x = np.zeros((3, 4, 6, 3), np.uint8)
    x[:] = np.array([[10, 0, 0], [20, 0, 0], [30, 0, 0]], np.uint8)[:, None, None]
    shown = pixels(figures.picture_grid(x, [[2, 0], [-1, 1]], gap=0), tmp_path / "g.png")
    height, width = shown.shape[0] // 2, shown.shape[1] // 2
    centers = [[int(shown[height // 2 + i * height, width // 2 + j * width, 0]) for j in (0, 1)] for i in (0, 1)]
    assert centers == [[30, 10], [255, 20]]
    assert figures.picture_grid(np.zeros((7, 1, 8, 8))).get_label() == "7 pictures in a grid of 3 rows and 3 columns"
    for cells in ([[3]], [[-2]], [[0.5]], [0], [[]]):
        with pytest.raises(MienError, match="cells"):
            figures.picture_grid(x, cells)
    with pytest.raises(MienError, match="gap"):
        figures.picture_grid(x, gap=-1)


def test_decoded_grid_has_its_first_row_on_top(tmp_path):
    rows = np.full((3, 3, 1, 8, 8), -1.0)
    rows[0, 0] = 0  # gray, at the top left
    figure = figures.decoded_grid(rows, z1=(-1, 1), z2=(-2, 2))
    shown = pixels(figure, tmp_path / "d.png")
    left, bottom, right, top = figure.axes[1].get_position().extents
    height, width = shown.shape[:2]
    at = [round((1 - top + (top - bottom) * 0.16) * height), round((left + (right - left) * 0.16) * width)]
    assert abs(int(shown[at[0], at[1], 0]) - 128) <= 1
    below = round((1 - top + (top - bottom) * 0.83) * height)
    assert shown[below, at[1], 0] == 0
    assert figure.axes[1].get_xlim() == (-1.5, 1.5)  # a picture is centered on its latent
    assert figure.axes[1].get_ylim() == (-3, 3)
    with pytest.raises(MienError, match="range of z1"):
        figures.decoded_grid(rows, z1=(1, 1), z2=(0, 1))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A VAE of 8 and one of 2 latent dimensions, and a classifier."""
    from mien.experiment import train
    from mien.run.data import Data

    folder, data = tmp_path_factory.mktemp("maps"), Data("avatars", size=16, options={"count": 240})
    train("vae", data, folder / "faces", {"width": 4, "latent": 8}, steps=3, batch=16)
    train("vae", data, folder / "plane", {"width": 4, "latent": 2}, steps=3, batch=16)
    train("attribute_cnn", data, folder / "cnn", {"widths": (4, 4, 4, 4, 4)}, steps=3, batch=16)
    return folder


def table(path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_map_of_many_dimensions(capsys, runs, tmp_path):
    out = tmp_path / "map"
    code, text = mien(capsys, "map", runs / "faces", "--label", "Smiling", "--out", out)
    assert code == 0, text
    assert "t-SNE of 24 latents of 8 dimensions" in text
    assert sorted(p.name for p in out.iterdir()) == ["grid.png", "map.csv", "tsne.png"]
    rows = table(out / "map.csv")
    assert len(rows) == 24
    assert {row["label"] for row in rows} <= {"Smiling", "not Smiling"}
    assert len({(row["grid_row"], row["grid_column"]) for row in rows}) == 24
    mien(capsys, "map", runs / "faces", "--label", "Smiling", "--out", tmp_path / "again")
    assert (tmp_path / "again/map.csv").read_bytes() == (out / "map.csv").read_bytes()
    assert (tmp_path / "again/grid.png").read_bytes() == (out / "grid.png").read_bytes()
    code, text = mien(
        capsys, "map", runs / "faces", "--kind", "grid", "--count", 9, "--split", "train", "--out", tmp_path / "g.png"
    )
    assert code == 0, text
    rows = table(tmp_path / "g.csv")
    assert len(rows) == 9
    run = open_run(runs / "faces")
    assert {row["key"] for row in rows} <= {run.dataset.keys[i] for i in run.splits.train}
    # each picture stands in the cell that the table says, which is the assignment of the table's positions
    cells = maps.grid_cells([[float(row["tsne_1"]), float(row["tsne_2"])] for row in rows])
    with Image.open(tmp_path / "g.png") as picture:
        drawn = np.asarray(picture.convert("RGB"))
    gap = 4  # two points, of two pixels each
    side = (drawn.shape[0] - 2 * gap) // 3
    for number, row in enumerate(rows):
        i, j = int(row["grid_row"]) - 1, int(row["grid_column"]) - 1
        assert cells[i, j] == number
        top, left = i * (side + gap), j * (side + gap)
        position = run.dataset.keys.index(row["key"])
        scale = side // 16
        cell = drawn[top : top + side : scale, left : left + side : scale]
        assert np.abs(cell.astype(int) - run.dataset.pictures(np.array([position]))[0]).max() <= 1
    keys = []
    for seed in (1, 2):
        code, text = mien(
            capsys,
            "map",
            runs / "faces",
            "--kind",
            "grid",
            "--count",
            9,
            "--seed",
            seed,
            "--out",
            tmp_path / f"h{seed}.png",
        )
        assert code == 0, text
        keys.append({row["key"] for row in table(tmp_path / f"h{seed}.csv")})
    assert keys[0] != keys[1]


def test_map_of_two_dimensions(capsys, runs, tmp_path):
    code, text = mien(capsys, "map", runs / "plane", "--out", tmp_path / "plane.svg", "--steps", 5)
    assert code == 0, text
    assert "t-SNE" not in text
    names = ["plane-decoded.svg", "plane-grid.svg", "plane-latent.svg", "plane.csv"]
    assert sorted(p.name for p in tmp_path.iterdir()) == names
    assert set(table(tmp_path / "plane.csv")[0]) == {"key", "z_1", "z_2", "grid_row", "grid_column"}


def test_map_refuses(capsys, runs, tmp_path):
    assert "did you mean latent" in refused(capsys, "map", runs / "plane", "--kind", "latnet")
    assert "did you mean test" in refused(capsys, "map", runs / "plane", "--split", "tset")
    assert "did you mean Smiling" in refused(capsys, "map", runs / "faces", "--label", "Smilling")
    assert "2 latent dimensions for --kind decoded, got 8" in refused(
        capsys, "map", runs / "faces", "--kind", "decoded"
    )
    assert "Encodes" in refused(capsys, "map", runs / "cnn")
    assert "does not exist" in refused(capsys, "map", tmp_path / "nowhere")
    assert "ending in .png" in refused(capsys, "map", runs / "faces", "--out", tmp_path / "x.jpg")
    (tmp_path / "file").write_text("")
    assert "cannot be written to" in refused(capsys, "map", runs / "faces", "--out", tmp_path / "file/map")


@pytest.mark.parametrize("command", ["map", "multiview"])
def test_help_has_examples(capsys, command):
    code, text = mien(capsys, command, "--help")
    assert code == 0
    assert f"mien {command} runs" in text


def test_labels_are_classes_where_no_attribute_is_asked_for():
    from types import SimpleNamespace

    from mien.cli.map import _labels

    table = np.array([[1, -1], [0, 1], [-1, 0]], np.int8)
    both = SimpleNamespace(
        attributes=("Hat", "Beard"), attribute_table=table, classes=("cat", "dog"), labels=np.array([1, -1, 0])
    )
    index = np.array([2, 1, 0])
    assert _labels(both, index, None) == ["cat", None, "dog"]
    assert _labels(both, index, "Hat") == ["not Hat", None, "Hat"]
    both.labels = None
    assert _labels(both, index, None) is None
