"""ImageNet-32: from files written here, and the real ones."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien import data
from mien.errors import MienError
from sources import load, real

WORDS = "n01\tcrane\nn02\tgoldfish, Carassius auratus\nn03\tcrane, machine\nn99\tnobody\n"
ZIP = "imagenet32_200classes_75+15.zip"


def folders(root: Path, zipped: bool, words: str | None = WORDS) -> Path:
    """20 training and 3 validation pictures of each of three classes."""
    files = {"words.txt": words.encode()} if words is not None else {}
    for part, count in (("train", 20), ("val", 3)):
        for label in range(3):
            for i in range(count):
                Image.new("RGB", (32, 32), (10 * i, 100 * label, 0)).save(file := io.BytesIO(), "png")
                files[f"{part}/n0{label + 1}/{i:02d}.png"] = file.getvalue()
    root.mkdir(parents=True)
    if zipped:
        with zipfile.ZipFile(root / ZIP, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
    else:
        for name, content in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
    return root


@pytest.mark.parametrize("zipped", [False, True])
def test_imagenet32_in_each_layout(tmp_path, monkeypatch, zipped):
    folders(tmp_path / "imagenet32", zipped)
    monkeypatch.setenv("MIEN_DATA", str(tmp_path))
    opened = load("imagenet32", None, tmp_path)
    assert opened.shape == (3, 32, 32)
    assert opened.classes == ("crane (n01)", "goldfish", "crane (n03)")
    assert opened.labels.tolist() == [0] * 20 + [1] * 20 + [2] * 20 + [0] * 3 + [1] * 3 + [2] * 3
    assert opened.pictures([25])[0, 0, 0].tolist() == [50, 100, 0]
    parts = opened.split()
    assert parts.rule == "official"
    assert parts.valid.tolist() == [18, 19, 38, 39, 58, 59]
    assert parts.test.tolist() == [*range(60, 69)]


def test_classes_without_words_have_their_wnid(tmp_path):
    root = folders(tmp_path / "i", False, None)
    assert data.source("imagenet32", root).classes == ("n01", "n02", "n03")
    (root / "words.txt").write_text("n01\tcrane\nn02 goldfish\n")
    with pytest.raises(MienError, match=r"words\.txt, line 2: expected a WNID, a tab and names, got 'n02 goldfish'"):
        data.source("imagenet32", root)


def test_real_imagenet32(tmp_path, real_data):
    real(real_data, "imagenet32")
    source = data.source("imagenet32", real_data / "imagenet32")
    assert (len(source), len(source.classes)) == (18000, 200)
    assert source.classes[0] == "goldfish"
    parts = np.array([source.partition(i) for i in range(18000)])
    assert np.bincount(parts).tolist() == [200 * 68, 200 * 7, 3000]
    assert source.read(0, 32).shape == (32, 32, 3)
