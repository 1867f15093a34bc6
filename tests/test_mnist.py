"""MNIST and Fashion-MNIST: from files written here, and the real ones."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien import data
from mien.errors import MienError
from sources import load, real


def idx(values: np.ndarray) -> bytes:
    """An IDX file as it is published."""
    return bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def mnist_folder(root: Path, counts: tuple[int, int] = (24, 6), mark: str = "-", packed: bool = True) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for part, count in zip(("train", "t10k"), counts, strict=True):
        images = np.random.default_rng(count).integers(0, 256, (count, 28, 28), np.uint8)
        for kind, values in (("images", images), ("labels", np.arange(count, dtype=np.uint8) % 10)):
            content, name = idx(values), f"{part}-{kind}{mark}idx{values.ndim}-ubyte"
            if count and packed:
                (root / f"{name}.gz").write_bytes(gzip.compress(content))
            elif count:
                (root / name).write_bytes(content)
    return root


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
@pytest.mark.parametrize(("mark", "packed", "below"), [("-", True, "."), (".", False, "."), ("-", False, "raw")])
def test_idx_files_as_they_are_called(tmp_path, name, mark, packed, below):
    mnist_folder(tmp_path / "m" / below, mark=mark, packed=packed)
    opened = load(name, tmp_path / "m", tmp_path)
    assert (opened.shape, len(opened)) == ((1, 28, 28), 30)
    drawn = np.random.default_rng(24).integers(0, 256, (24, 28, 28), np.uint8)
    assert (opened.pictures(np.arange(24))[..., 0] == drawn).all()
    assert opened.labels.tolist() == [*(i % 10 for i in range(24)), *range(6)]
    assert (opened.keys[0], opened.keys[23], opened.keys[24]) == ("train-00000", "train-00023", "t10k-00000")
    parts = opened.split()
    assert (parts.rule, parts.valid.tolist(), parts.test.tolist()) == ("official", [22, 23], list(range(24, 30)))
    assert len(opened.classes) == 10


def test_mnist_is_padded_to_32_and_resized_otherwise(tmp_path):
    root = mnist_folder(tmp_path / "m")
    natural, padded, small = (load("mnist", root, tmp_path, size).pictures([3])[0, ..., 0] for size in (28, 32, 14))
    assert (padded[2:-2, 2:-2] == natural).all()
    assert padded.sum() == natural.sum()
    assert (small == np.asarray(Image.fromarray(natural).resize((14, 14), Image.Resampling.LANCZOS))).all()


@pytest.mark.parametrize(("counts", "expected"), [((24, 0), 24), ((0, 6), 6)])
def test_a_part_of_mnist_is_enough(tmp_path, counts, expected):
    opened = load("mnist", mnist_folder(tmp_path / "m", counts), tmp_path)
    assert len(opened) == expected
    assert opened.split(fractions=(0.5, 0.25, 0.25)).rule == "seeded"


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("train-images-idx3-ubyte", lambda b: b[:-1], "expected 18,816 bytes after the header, got 18,815"),
        ("train-images-idx3-ubyte", lambda b: b + b"x", "expected 18,816 bytes after the header, got more"),
        (
            "train-images-idx3-ubyte",
            lambda b: b[:5],
            "expected an IDX file of bytes with 3 axes, got .* begins with 0000",
        ),
        ("train-images-idx3-ubyte", lambda b: b"\xff" + b[1:], "got one that begins with ff000803: download it again"),
        (
            "train-images-idx3-ubyte",
            lambda b: b[:4] + b"\xff" * 12,
            "expected at most 2,147,483,648 bytes, got a claim of",
        ),
        ("train-images-idx3-ubyte", lambda _: idx(np.zeros((24, 20, 28), np.uint8)), "of 28x28, got 20x28"),
        ("train-labels-idx1-ubyte", lambda _: idx(np.zeros(23, np.uint8)), "expected 24 labels, .* got 23"),
        ("t10k-labels-idx1-ubyte", lambda _: idx(np.full(6, 10, np.uint8)), "expected labels 0 to 9, got 10"),
        ("t10k-labels-idx1-ubyte", lambda _: b"", "got one that begins with : download"),
    ],
)
def test_damaged_idx_files_are_reported(tmp_path, file, change, message):
    root = mnist_folder(tmp_path / "m", packed=False)
    (root / file).write_bytes(change((root / file).read_bytes()))
    with pytest.raises(MienError, match=f"{file}: .*{message}"):
        load("mnist", root, tmp_path)


def test_a_damaged_gzip_is_reported(tmp_path):
    root = mnist_folder(tmp_path / "m")
    whole = (root / "train-images-idx3-ubyte.gz").read_bytes()
    for content in (whole[:-2000], b"<html>", whole[:5000] + b"\0" * 300 + whole[5300:]):
        (root / "train-images-idx3-ubyte.gz").write_bytes(content)
        with pytest.raises(MienError, match=r"train-images-idx3-ubyte\.gz is damaged .*: download it again"):
            load("mnist", root, tmp_path)
    (root / "train-images-idx3-ubyte.gz").unlink()
    with pytest.raises(MienError, match=r"expected train-images-idx3-ubyte\[\.gz\] beside train-labels-idx1-ubyte\.gz"):
        data.source("mnist", root)


def test_prepared_anew_only_when_files_change(tmp_path):
    first = load("mnist", mnist_folder(tmp_path / "m"), tmp_path).folder
    assert load("mnist", mnist_folder(tmp_path / "other"), tmp_path).folder == first
    assert load("mnist", mnist_folder(tmp_path / "third", (36, 6)), tmp_path).folder != first


def test_real_mnist(tmp_path, real_data):
    real(real_data, "mnist")
    opened = load("mnist", real_data / "mnist", tmp_path)
    assert [len(part) for part in (opened.split().train, opened.split().valid, opened.split().test)] == [
        55000,
        5000,
        10000,
    ]
    assert np.bincount(opened.labels[:60000]).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert opened.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert opened.pictures(np.arange(60000)).mean() / 255 == pytest.approx(0.1307, abs=1e-4)  # its well-known mean
