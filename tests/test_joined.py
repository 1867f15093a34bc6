"""Several folders as one set, CelebA's crop, and the number of training pictures."""

import numpy as np
import pytest
from PIL import Image

from mien import data
from mien.data.dataset import Dataset
from mien.data.packing import prepare
from mien.data.sets.celeba import Source as CelebA
from mien.errors import MienError
from mien.run.data import Data
from test_data import celeba_folder, picture


def two_folders(tmp_path, first: int = 4, second: int = 6):
    return [celeba_folder(tmp_path / "a", first), celeba_folder(tmp_path / "b", second)]


def test_a_picture_in_two_folders_counts_once_and_the_first_folder_has_it(tmp_path):
    a, b = two_folders(tmp_path)
    source = data.source("celeba", [a, b])
    assert [source.key(i) for i in range(len(source))] == [f"{i:06d}.jpg" for i in range(1, 7)]
    # the other way round, all six come from the second folder, and the four of the first are left out
    other = Dataset(prepare(data.source("celeba", [b, a]), 32, tmp_path / "cache"))
    assert len(other) == 6
    assert [entry["reason"] for entry in other.report["rejected"]] == ["an earlier folder has it"] * 4
    joined = Dataset(prepare(source, 32, tmp_path / "cache"))
    assert joined.folder != other.folder
    assert joined.attribute_table.tolist() == other.attribute_table.tolist()
    assert joined.identity.tolist() == [1, 1, 2, 2, 3, 3]
    assert joined.partition.tolist() == [0, 1, 2, 0, 1, 2]
    assert joined.split().rule == "official"
    assert joined.options["root"] == [str(a.resolve()), str(b.resolve())]
    assert len(joined.source) == 6  # opened again from what is stored


def test_folders_of_other_tables_are_refused(tmp_path):
    a, b = two_folders(tmp_path)
    table = b / "list_attr_celeba.txt"
    table.write_text(table.read_text().replace("Young", "Old"))
    with pytest.raises(MienError, match="different attributes: 3 names and 3 names"):
        data.source("celeba", [a, b])


def test_the_crop_is_in_pixels_of_the_official_pictures(tmp_path):
    """Files of half the size are cropped in proportion: 148 of 178 is 74 of 89."""
    opened = Dataset(prepare(CelebA(celeba_folder(tmp_path / "c"), crop=148), 37, tmp_path / "cache"))
    left, top = (89 - 74) / 2, (109 - 74) / 2
    box = (left, top, left + 74, top + 74)
    expected = np.asarray(picture(4).resize((37, 37), Image.Resampling.LANCZOS, box=box))
    assert abs(opened.pictures(np.array([4]))[0].astype(int) - expected).max() < 12  # JPEG
    whole = Dataset(prepare(CelebA(tmp_path / "c"), 37, tmp_path / "cache"))
    assert abs(opened.pictures(np.array([4]))[0].astype(int) - whole.pictures(np.array([4]))[0]).max() > 12
    assert opened.options["crop"] == 148
    with pytest.raises(MienError, match=r"crop from 32 to 178 pixels .* got 20"):
        CelebA(tmp_path / "c", crop=20)


def test_the_count_of_training_pictures(tmp_path):
    splits = data.load("avatars", size=16, count=100).split(0)
    options = {"count": 100}
    everything = Data("avatars", size=16, options=options)
    some = Data("avatars", size=16, options=options, count=30)
    index = some.training_index(splits)
    assert len(index) == 30
    assert set(index) < set(splits.train)
    assert index.tolist() == Data("avatars", size=16, options=options, count=30).training_index(splits).tolist()
    assert everything.training_index(splits).tolist() == splits.train.tolist()
    assert Data.from_json(some.to_json()) == some
    assert "count" not in everything.to_json()  # runs of before there was a count stay what they are
    share = Data("avatars", size=16, options=options, share=(1, 2))
    less = Data("avatars", size=16, options=options, share=(1, 2), count=10)
    assert set(less.training_index(splits)) < set(share.training_index(splits))
    with pytest.raises(MienError, match="count of 0 or more"):
        Data("avatars", size=16, count=-1)


def test_roots_in_a_runs_configuration(tmp_path):
    one, two = Data("celeba", str(tmp_path)), Data("celeba", [str(tmp_path), str(tmp_path / "b")])
    assert one.to_json()["root"] == str(tmp_path)
    assert two.to_json()["root"] == [str(tmp_path), str(tmp_path / "b")]
    assert Data.from_json(two.to_json()).root == two.to_json()["root"]


def test_real_faces_of_both_folders(tmp_path, real_data):
    if not (real_data / "celeba_full" / "list_attr_celeba.txt").is_file():
        pytest.skip(f"no full CelebA in {real_data}")
    source = data.source("celeba", [real_data / "celeba_full", real_data / "celeba"])
    assert len(source) == 14_420  # 5,670 and 9,000, of which 250 are in both
    parts = [source.partition(i) for i in range(len(source))]
    assert [parts.count(k) for k in (0, 1, 2)] == [13_310, 780, 330]
