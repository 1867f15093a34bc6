"""Faces in photos: similarity transforms, alignment, masks, and what an edit changes in a photo."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from mien import photos
from mien.errors import MienError, UnknownName
from mien.photos import masks
from mien.photos.aligning import Aligned, align, apply, inverse, similarity
from mien.photos.editing import edit_photo
from mien.photos.finding import DlibFinder, Face, distinct
from mien.photos.template import celeba, template_of

DATA = Path(os.environ.get("MIEN_DATA", Path(__file__).parents[2] / "shared" / "data")) / "photos"
PHOTOS = pytest.mark.skipif(not DATA.is_dir(), reason="needs the photos of the shared data")
TEMPLATE = celeba(64, 148)


def smooth(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A photo (H, W, 3) of low frequencies, so that resampling loses little."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [128 + 90 * np.sin(x / rng.uniform(15, 30) + y / rng.uniform(15, 30) + c) for c in range(3)]
    return np.stack(waves, -1).clip(0, 255).astype(np.uint8)


def face_at(center, eyes: float, degrees: float, outline: bool = False) -> Face:
    """The face of the template at a place of a photo."""
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    own = TEMPLATE.points - TEMPLATE.points.mean(0)
    scale = eyes / np.linalg.norm(own[1] - own[0])
    five = scale * own @ turn.T + center
    low, high = five.min(0), five.max(0)
    return Face((*low, *high), five, np.array([low, [high[0], low[1]], high, [low[0], high[1]]]) if outline else None)


def test_a_similarity_transform_is_recovered_and_inverted():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(5, 2))
    for degrees, scale in ((0, 1), (37, 0.2), (-120, 40), (180, 3)):
        angle = np.radians(degrees)
        matrix = scale * np.array([[np.cos(angle), -np.sin(angle), 7], [np.sin(angle), np.cos(angle), -2]])
        result = similarity(points, apply(matrix, points))
        np.testing.assert_allclose(result, matrix, atol=1e-9)
        np.testing.assert_allclose(apply(inverse(result), apply(matrix, points)), points, atol=1e-9)


def test_a_mirrored_face_is_not_reflected():
    points = TEMPLATE.points
    result = similarity(points, points * [-1, 1])
    assert np.linalg.det(result[:, :2]) > 0


@pytest.mark.parametrize(("eyes", "degrees"), [(8, 0), (30, 20), (150, -35), (600, 90)])
def test_alignment_moves_each_pixel_to_its_place(eyes, degrees):
    """The aligned picture of a smooth photo has the values of the photo at the transformed centers of its pixels."""
    height, width = (400, 500) if eyes < 200 else (3000, 3200)
    y, x = np.mgrid[0:height, 0:width]
    photo = np.rint(np.stack([255 * x / width, 255 * y / height, 0 * x + 90.0], -1)).astype(np.uint8)
    one = align(photo, face_at((width / 2, height / 2), eyes, degrees), TEMPLATE)
    assert one.x.shape == (1, 3, 64, 64)
    inner = np.stack(np.meshgrid(np.arange(22, 42) + 0.5, np.arange(22, 42) + 0.5), -1).reshape(-1, 2)
    target = apply(one.matrix, inner) - 0.5  # the first pixel has the value of x = 0
    values = (one.x[0, :, 22:42, 22:42].reshape(3, -1).T.numpy() + 1) * 127.5
    expected = np.column_stack([255 * target[:, 0] / width, 255 * target[:, 1] / height, np.full(len(target), 90)])
    assert abs(values - expected).max() < 1.6  # of 255; values are rounded to bytes three times


def test_pixels_outside_the_photo_are_a_reflection_and_counted():
    photo = smooth(200, 200)
    one = align(photo, face_at((10, 100), 40, 0), TEMPLATE)
    assert 0.3 < one.outside < 0.6
    assert one.x.min() > -1  # no black corner
    assert align(photo, face_at((100, 100), 20, 0), TEMPLATE).outside == 0


def add_to_all(x, amounts):
    """An edit that makes the whole picture lighter by .2 for each unit of Smiling."""
    return x * 0.5 + 0.2 * sum(amounts.values())


@pytest.mark.parametrize("outline", [False, True])
def test_only_the_change_is_pasted_and_only_inside_the_mask(outline):
    photo = smooth(300, 400)
    face = face_at((200, 150), 50, 10, outline)
    result = edit_photo(photo, add_to_all, {"Smiling": 1.0}, TEMPLATE, faces=[face])
    difference = result.photo.astype(int) - photo
    assert not difference[~result.changed].any()
    assert 0.05 < result.changed.mean() < 0.4
    center = difference[145:156, 195:206]
    assert abs(center - 0.2 * 127.5).max() <= 1  # half of the contrast is lost in both pictures, not in the photo
    unchanged = edit_photo(photo, add_to_all, {"Smiling": 0.0}, TEMPLATE, faces=[face])
    assert (unchanged.photo == photo).all()
    assert (photo == smooth(300, 400)).all()  # the photo itself stays


def test_a_picture_is_pasted_over_the_face():
    photo = smooth(300, 400)
    face = face_at((200, 150), 50, 0, True)
    result = edit_photo(photo, lambda x, amounts: 0 * x, {"Smiling": 1.0}, TEMPLATE, paste="picture", faces=[face])
    assert abs(result.photo[150, 200].astype(int) - 128).max() <= 1
    assert (result.photo[~result.changed] == photo[~result.changed]).all()


def test_several_faces_are_changed_or_one():
    photo = smooth(300, 600)
    faces = [face_at((150, 150), 50, 0), face_at((450, 150), 40, 0)]
    both = edit_photo(photo, add_to_all, {"Smiling": 1.0}, TEMPLATE, faces=faces)
    assert len(both.faces) == 2
    assert both.changed[150, 150]
    assert both.changed[150, 450]
    second = edit_photo(photo, add_to_all, {"Smiling": 1.0}, TEMPLATE, number=2, faces=faces)
    assert not second.changed[150, 150]
    assert second.changed[150, 450]
    with pytest.raises(MienError, match="expected --face from 1 to 2, or 0 for all, got 3"):
        edit_photo(photo, add_to_all, {"Smiling": 1.0}, TEMPLATE, number=3, faces=faces)
    with pytest.raises(UnknownName, match="paste"):
        edit_photo(photo, add_to_all, {"Smiling": 1.0}, TEMPLATE, paste="all", faces=faces)


def test_hair_may_change_outside_the_face():
    one = align(smooth(300, 400), face_at((200, 150), 50, 0, True), TEMPLATE)
    face, hair = masks.mask_of(one, ["Smiling"]), masks.mask_of(one, ["Smiling", "Bangs"])
    assert hair.sum() > 1.5 * face.sum()
    assert (hair >= face - 1e-6).all()
    for mask in (face, hair):
        assert mask.max() <= 1
        assert mask[0].max() == mask[-1].max() == mask[:, 0].max() == mask[:, -1].max() == 0


def test_every_attribute_beyond_the_face_is_one_of_celeba():
    from mien.run.folder import read_config, resolve

    assert set(masks.BEYOND_FACE) < set(read_config(resolve("recognizer-64"))["data"]["attributes"])


def test_the_surest_of_overlapping_faces_is_kept():
    one, other = face_at((100, 100), 40, 0), face_at((104, 100), 40, 0)
    far = face_at((300, 100), 40, 0)
    sure = Face(other.box, other.five, None, 2.0)
    assert distinct([one, sure, far]) == [sure, far]


def test_a_template_belongs_to_the_crop_of_the_data():
    wide, narrow = celeba(64, 178), celeba(64, 148)
    assert np.linalg.norm(np.diff(narrow.points[:2], axis=0)) == pytest.approx(38.42 * 64 / 148, rel=1e-3)
    assert np.linalg.norm(np.diff(wide.points[:2], axis=0)) == pytest.approx(38.42 * 64 / 178, rel=1e-3)
    config = {"name": "celeba", "options": {"crop": 148}}
    np.testing.assert_array_equal(template_of(config, (3, 64, 64)).points, narrow.points)
    assert template_of({"name": "folder"}, (3, 64, 64)) is None
    with pytest.raises(MienError, match="crop of 1 to 178"):
        celeba(64, 200)


def open_(name: str) -> np.ndarray:
    from mien.data.pictures import open_picture

    return np.asarray(open_picture(DATA / name))


@PHOTOS
@pytest.mark.parametrize(
    ("name", "count", "degrees"),
    [
        ("people/astronaut.png", 1, 3),
        ("people/obama_small.jpg", 1, 0),
        ("derived_hard/inplane_30deg.jpg", 1, -32),
        ("derived_hard/sideways_no_exif.jpg", 1, -92),
        ("derived_hard/exif6.jpg", 1, 0),
        ("derived_hard/astronaut_grey16.png", 1, 3),
        ("groups_dlib/2008_004176.jpg", 7, 0),
    ],
)
def test_faces_of_photos_are_found_at_their_angle(name, count, degrees):
    faces = DlibFinder()(open_(name))
    assert len(faces) == count
    assert faces[0].angle == pytest.approx(degrees, abs=6)
    assert [face.eyes for face in faces] == sorted((face.eyes for face in faces), reverse=True)


@PHOTOS
def test_a_turned_photo_gives_the_same_aligned_face():
    upright, turned = open_("people/obama.jpg"), open_("derived_hard/sideways_no_exif.jpg")
    one, other = (align(photo, photos.find(photo)[0], TEMPLATE) for photo in (upright, turned))
    assert isinstance(one, Aligned)
    assert (one.x - other.x).abs().mean() < 0.06  # of a range of 2; a shift by one pixel costs .1


@PHOTOS
@pytest.mark.parametrize("name", ["no_face/chelsea.png", "no_face/coffee.png"])
def test_a_photo_without_a_face_says_so(name):
    with pytest.raises(MienError, match=r"expected a face, got a photo of .* in which none was found"):
        photos.find(open_(name))


@PHOTOS
def test_the_shipped_model_adds_a_smile_to_a_portrait():
    from mien import load
    from mien.applications.arithmetic import Editor
    from mien.run.folder import read_config, resolve
    from mien.run.opening import cached_vectors

    model = load("faces-64")
    template = template_of(read_config(resolve("faces-64"))["data"], model.config["shape"])
    editor = Editor(model, cached_vectors("faces-64"))
    photo = open_("people/biden.jpg")
    edited = edit_photo(photo, editor, {"Smiling": 1.5}, template)
    judge = load("recognizer-64")
    column = judge.config["attributes"].index("Smiling")

    def smiling(picture):
        x = align(picture, photos.find(photo)[0], template).x
        with torch.no_grad():
            return float(judge.recognize(x)[0, column])

    assert smiling(photo) < 0.5
    assert smiling(edited.photo) > 0.5
