"""CIFAR-10: both kinds of batches, folders, and unsafe files; from files of the tests and from the real files."""

import io
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien import data
from mien.data.dataset import Dataset
from mien.errors import MienError
from sources import Evil, load, real


def planes(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(count, 3072) bytes and (count,) labels of ten classes in turn."""
    return np.random.default_rng(seed).integers(0, 256, (count, 3072), np.uint8), np.arange(count) % 10


def binary(count: int, seed: int = 0) -> bytes:
    pictures, labels = planes(count, seed)
    return np.column_stack([labels.astype(np.uint8), pictures]).tobytes()


def text(value: bytes) -> bytes:
    return pickle.SHORT_BINSTRING + bytes([len(value)]) + value


def python_2(count: int, seed: int = 0, kind: bytes = b"u1", shape: tuple = ()) -> bytes:
    """A batch in the form of Python 2's cPickle, protocol 2, opcode by opcode."""
    pictures, labels = planes(count, seed)
    rows, columns = shape or pictures.shape
    number = pickle.BININT + struct.pack("<i", -1)
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R(K\x01"
        + b"M" + struct.pack("<H", rows) + b"M" + struct.pack("<H", columns) + b"\x86"
        + b"cnumpy\ndtype\n" + text(kind) + b"K\x00K\x01\x87R(K\x03" + text(b"|") + b"NNN" + number * 2 + b"K\x00tb"
        + b"\x89T" + struct.pack("<i", pictures.size) + pictures.tobytes() + b"tb"
    )  # fmt: skip
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return (
        b"\x80\x02}(" + text(b"batch_label") + text(b"training batch 1 of 5") + text(b"labels") + numbers
        + text(b"data") + array + text(b"filenames") + b"](" + text(b"a_s_000001.png") + b"eu."
    )  # fmt: skip


def cifar_folder(root: Path, write=binary, end: str = ".bin") -> Path:
    root.mkdir(parents=True)
    (root / "batches.meta").write_bytes(b"not read")
    for seed, (name, count) in enumerate({"data_batch_1": 110, "data_batch_2": 100, "test_batch": 20}.items()):
        (root / f"{name}{end}").write_bytes(write(count, seed))
    return root


@pytest.mark.parametrize(
    ("write", "end", "below"),
    [(binary, ".bin", "cifar-10-batches-bin"), (python_2, "", "."), (python_2, "", "cifar-10-batches-py")],
)
def test_cifar10_as_it_is_published(tmp_path, write, end, below):
    cifar_folder(tmp_path / "c" / below, write, end)
    opened = load("cifar10", tmp_path / "c", tmp_path)
    assert (opened.shape, len(opened)) == ((3, 32, 32), 230)
    rows, labels = planes(100, 1)
    assert (opened.pictures(np.arange(110, 210)) == rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)).all()
    assert opened.labels[110:210].tolist() == labels.tolist()
    assert opened.classes[3] == "cat"
    assert (opened.keys[0], opened.keys[210]) == ("data_batch_1/00000", "test_batch/00000")
    parts = opened.split()
    assert parts.rule == "official"
    assert parts.valid.tolist() == [*range(190, 210)]  # of each class 2 of 21, the last ones
    assert parts.test.tolist() == [*range(210, 230)]


def test_numpy_of_today_is_read_too(tmp_path):
    root = tmp_path / "c"
    root.mkdir()
    pictures, labels = planes(30)
    content = {b"data": pictures, b"labels": labels.tolist()}
    (root / "data_batch_1").write_bytes(pickle.dumps(content, protocol=4))
    assert len(load("cifar10", root, tmp_path)) == 30


def malicious(target: Path) -> dict[str, bytes]:
    name = str(target).encode()
    shell = b"(S'touch " + name + b"'\ntR."
    return {
        "pathlib": pickle.dumps({b"data": Evil(target), b"labels": [0]}),
        "system": b"cposix\nsystem\n" + shell,
        "os": b"cos\nsystem\n" + shell,
        "builtins": b"c__builtin__\neval\n(S'open(" + repr(str(target)).encode().replace(b"'", b'"') + b', "w")\'\ntR.',
        "instance": b"(S'touch " + name + b"'\nios\nsystem\n.",
        "stack": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c" + bytes([len(name) + 6]) + b"touch " + name + b"\x85R.",
        "numpy": b"cnumpy\nload\n(S'x'\ntR.",
        "dotted": b"\x80\x04\x8c\x05numpy\x8c\x0cndarray.dump\x93.",
    }


@pytest.mark.parametrize("kind", malicious(Path("x")))
def test_a_malicious_pickle_is_refused(tmp_path, kind):
    root = tmp_path / "c"
    root.mkdir()
    (root / "data_batch_1").write_bytes(malicious(tmp_path / "touched")[kind])
    with pytest.raises(MienError, match=r"data_batch_1 asks for [\w.]+, as no batch of CIFAR-10 does; it was not run"):
        load("cifar10", root, tmp_path)
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (python_2(20)[:-500], "is no batch of CIFAR-10"),
        (python_2(20, kind=b"O8"), "expected bytes, got an array of"),
        (python_2(20, shape=(21, 3072)), r"expected 20 rows of 3072 bytes, got \(21, 3072\)"),
        (python_2(20, shape=(20, 1024)), r"expected 20 rows of 3072 bytes, got \(20, 1024\)"),
        (b"", "is no batch of CIFAR-10"),
        (b"hello", "is no batch of CIFAR-10"),
        (pickle.dumps({b"data": b"x" * 3072, b"labels": [0]}), "data or labels of another type"),
        (pickle.dumps([1, 2]), "is no batch of CIFAR-10"),
        (pickle.dumps({b"labels": [0]}), "is no batch of CIFAR-10"),
        (b"\x80\x02cnumpy\nndarray\n}(S'a'\nK\x01ub.", "is no batch of CIFAR-10"),
        (b"\x80\x02Nr\xff\xff\xff\x1f.", "a memo larger than the file"),  # nine bytes that would take 4 GiB
        (pickle.dumps({b"data": planes(1)[0], b"labels": [11]}, protocol=4), "expected labels 0 to 9, got 11 to 11"),
    ],
)
def test_a_damaged_batch_is_reported(tmp_path, content, message):
    root = tmp_path / "c"
    root.mkdir()
    (root / "data_batch_1").write_bytes(content)
    with pytest.raises(MienError, match=message) as caught:
        load("cifar10", root, tmp_path)
    assert "\n" not in str(caught.value)


def test_a_damaged_binary_batch_is_reported(tmp_path):
    root = cifar_folder(tmp_path / "c")
    (root / "data_batch_2.bin").write_bytes(binary(3)[:-1])
    with pytest.raises(MienError, match=r"data_batch_2\.bin: expected a multiple of 3073 bytes, got 9,218: download"):
        load("cifar10", root, tmp_path)
    (root / "data_batch_2.bin").write_bytes(b"\x0a" + binary(1)[1:])
    with pytest.raises(MienError, match=r"data_batch_2\.bin: expected labels 0 to 9, got 10 to 10"):
        load("cifar10", root, tmp_path)


def class_folders(root: Path, zipped: bool) -> Path:
    """20 pictures of each of two classes for training, 3 for the test."""
    files = {}
    for part, count in (("train", 20), ("test", 3)):
        for label, name in enumerate(("cat", "bird")):
            for i in range(count):
                Image.new("RGB", (32, 32), (10 * i, 100 * label, 0)).save(file := io.BytesIO(), "png")
                files[f"{part}/{name}/{i:04d}.png"] = file.getvalue()
    files["train/notes.txt"] = b"no picture"
    if zipped:
        with zipfile.ZipFile(root, "w") as archive:
            for name, content in files.items():
                archive.writestr(f"cifar/{name}", content)
                archive.writestr(f"__MACOSX/cifar/{name}", b"no picture")
    else:
        for name, content in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
    return root


@pytest.mark.parametrize("home", ["cifar10.zip", "cifar10"])
def test_cifar10_as_folders_of_pictures(tmp_path, monkeypatch, home):
    root = class_folders(tmp_path / home, home.endswith("zip"))
    monkeypatch.setenv("MIEN_DATA", str(tmp_path))
    opened = load("cifar10", None, tmp_path)
    assert opened.classes == ("bird", "cat")
    assert opened.keys[20].endswith("train/cat/0000.png")
    assert opened.labels.tolist() == [0] * 20 + [1] * 20 + [0] * 3 + [1] * 3
    assert opened.pictures([25])[0, 0, 0].tolist() == [50, 0, 0]
    parts = opened.split()
    assert (parts.valid.tolist(), parts.test.tolist()) == ([18, 19, 38, 39], [*range(40, 46)])
    assert opened.options == {"root": str(root)}
    assert len(Dataset(opened.folder).source) == 46


def test_a_zip_that_is_not_whole(tmp_path):
    path = class_folders(tmp_path / "cifar10.zip", True)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(MienError, match=r"cifar10\.zip is not a whole zip archive .*: download it again"):
        data.source("cifar10", path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("hello.txt", "hello")
    with pytest.raises(MienError, match=r"expected train/CLASS/\*\.jpg in .*cifar10\.zip, got none"):
        data.source("cifar10", tmp_path)


def test_real_cifar10(tmp_path, real_data):
    real(real_data, "cifar10.zip")
    source = data.source("cifar10", real_data / "cifar10.zip")
    assert (len(source), len(source.classes)) == (23000, 10)
    parts = np.array([source.partition(i) for i in range(23000)])
    assert np.bincount(parts).tolist() == [18000, 2000, 3000]
    assert np.bincount([source.label(i) for i in np.flatnonzero(parts == 1)]).tolist() == [200] * 10
    picture = source.read(0, 32)
    assert picture.shape == (32, 32, 3)
    assert 20 < picture.mean() < 235
