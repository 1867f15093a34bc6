"""MNIST, Fashion-MNIST, CIFAR-10, Omniglot, Frey faces, bearing signals: from files written here, and real ones."""

import gzip
import io
import json
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mien import data
from mien.data.dataset import Dataset, Source
from mien.data.packing import prepare
from mien.data.pictures import BadPicture, waveforms
from mien.errors import MienError

ADDED = ("bearing", "cifar10", "fashion_mnist", "freyfaces", "mnist", "omniglot")


def load(name: str, root: Path | None, cache: Path, size: int | None = None, **options) -> Dataset:
    return data.load(name, root, size, cache=cache / "cache", **options)


def real(real_data: Path, *names: str) -> None:
    """Skip unless all of these are there."""
    for name in names:
        if not (real_data / name).exists():
            pytest.skip(f"no {name} in {real_data}")


# -- what sources say of themselves --


def test_default_sizes():
    sizes = {name: data.default_size(name) for name in data.names()}
    expected = {"mnist": 28, "fashion_mnist": 28, "cifar10": 32, "omniglot": 28, "freyfaces": 28, "bearing": 1024}
    assert {name: sizes[name] for name in ADDED} == expected
    assert {sizes[name] for name in ("avatars", "celeba", "folder")} == {64}
    assert data.options("bearing") == {"hop": 0}


@pytest.mark.parametrize("name", ADDED)
def test_each_says_where_to_put_what(tmp_path, monkeypatch, name):
    monkeypatch.delenv("MIEN_DATA", raising=False)
    with pytest.raises(
        MienError, match=r"^where is .*\? pass its folder, or set MIEN_DATA to the one above; put "
    ) as told:
        data.source(name)
    assert "\n" not in str(told.value)
    monkeypatch.setenv("MIEN_DATA", str(tmp_path))
    with pytest.raises(MienError, match=f": no {tmp_path}.*put .* there"):
        data.source(name)
    with pytest.raises(MienError, match=f"no {tmp_path / 'none'}: put "):
        data.source(name, tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MienError, match=r"empty.*put .* there"):
        data.source(name, tmp_path / "empty")


# -- floats --


class Floats(Source):
    """Signals that bytes could not hold."""

    name = "floats"
    dtype = "float32"

    def __len__(self):
        return 20

    def key(self, i):
        return str(i)

    def shape(self, size):
        return 1, size, 2

    def read(self, i, size):
        if i == 7:
            raise BadPicture("it is bad")
        return np.random.default_rng(i).uniform(-1, 1, (1, size, 2)).astype(np.float32)

    def fingerprint(self):
        return "floats"


def test_floats_are_kept_exactly(tmp_path):
    folder = prepare(Floats(), 9, tmp_path)
    opened = Dataset(folder)
    kept = [i for i in range(20) if i != 7]
    assert (opened.shape, opened.dtype, len(opened)) == ((2, 1, 9), "float32", 19)
    written = np.stack([Floats().read(i, 9) for i in kept])
    assert opened.pictures(np.arange(19)).dtype == np.float32
    assert (opened.pictures(np.arange(19)) == written).all()
    assert (np.load(folder / "images.npy") == written).all()
    batch = opened.batch(np.array([18, 3, 3]))
    assert batch.x.shape == (3, 2, 1, 9)
    assert batch.x.dtype == torch.float32
    assert (batch.x.permute(0, 2, 3, 1).numpy() == written[[18, 3, 3]]).all()
    assert opened.pictures(np.array([], np.int64)).shape == (0, 1, 9, 2)


def test_bytes_where_floats_are_due(tmp_path):
    class Wrong(Floats):
        def read(self, i, size):
            return np.zeros((1, size, 2), np.uint8)

    with pytest.raises(TypeError, match=r"expected float32 \(1, 9, 2\), got uint8"):
        prepare(Wrong(), 9, tmp_path)


def test_sets_prepared_before_floats_open(tmp_path):
    folder = prepare(Floats(), 9, tmp_path)
    index = json.loads((folder / "index.json").read_text())
    del index["dtype"]
    (folder / "index.json").write_text(json.dumps({**index, "shape": [1, 36, 2]}))
    assert Dataset(folder).dtype == "uint8"
    assert Dataset(folder).pictures([0]).dtype == np.uint8
    (folder / "index.json").write_text(json.dumps({**index, "dtype": "int7"}))
    with pytest.raises(MienError, match="expected uint8 or float32, got int7: delete the folder"):
        Dataset(folder)


# -- MNIST --


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


def test_mnist_is_padded_to_32_and_resized_else(tmp_path):
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
        ("train-images-idx3-ubyte", lambda b: b[:4] + b"\xff" * 12, "claims .* bytes, more than there can be"),
        ("train-images-idx3-ubyte", lambda _: idx(np.zeros((24, 20, 28), np.uint8)), "of 28x28, got 20x28"),
        ("train-labels-idx1-ubyte", lambda _: idx(np.zeros(23, np.uint8)), "expected 24 labels, .* got 23"),
        ("t10k-labels-idx1-ubyte", lambda _: idx(np.full(6, 10, np.uint8)), "expected labels 0 to 9, got 10"),
        ("t10k-labels-idx1-ubyte", lambda _: b"", "got one that begins with : download"),
    ],
)
def test_damaged_idx_files_are_told(tmp_path, file, change, message):
    root = mnist_folder(tmp_path / "m", packed=False)
    (root / file).write_bytes(change((root / file).read_bytes()))
    with pytest.raises(MienError, match=f"{file}: .*{message}"):
        load("mnist", root, tmp_path)


def test_a_damaged_gzip_is_told(tmp_path):
    root = mnist_folder(tmp_path / "m")
    whole = (root / "train-images-idx3-ubyte.gz").read_bytes()
    for content in (whole[:-2000], b"<html>", whole[:5000] + b"\0" * 300 + whole[5300:]):
        (root / "train-images-idx3-ubyte.gz").write_bytes(content)
        with pytest.raises(MienError, match=r"train-images-idx3-ubyte\.gz is damaged .*: download it again"):
            load("mnist", root, tmp_path)
    (root / "train-images-idx3-ubyte.gz").unlink()
    with pytest.raises(MienError, match=r"no train-images-idx3-ubyte\[\.gz\] beside train-labels-idx1-ubyte\.gz"):
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


# -- CIFAR-10 --


def planes(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(count, 3072) bytes and (count,) labels of ten classes in turn."""
    return np.random.default_rng(seed).integers(0, 256, (count, 3072), np.uint8), np.arange(count) % 10


def binary(count: int, seed: int = 0) -> bytes:
    pictures, labels = planes(count, seed)
    return np.column_stack([labels.astype(np.uint8), pictures]).tobytes()


def text(value: bytes) -> bytes:
    return pickle.SHORT_BINSTRING + bytes([len(value)]) + value


def python_2(count: int, seed: int = 0, kind: bytes = b"u1", shape: tuple = ()) -> bytes:
    """A batch as Python 2's cPickle wrote it, protocol 2, opcode by opcode."""
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


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


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
        (pickle.dumps({b"data": planes(1)[0], b"labels": [11]}, protocol=4), "expected labels 0 to 9, got 11 to 11"),
    ],
)
def test_a_damaged_batch_is_told(tmp_path, content, message):
    root = tmp_path / "c"
    root.mkdir()
    (root / "data_batch_1").write_bytes(content)
    with pytest.raises(MienError, match=message) as told:
        load("cifar10", root, tmp_path)
    assert "\n" not in str(told.value)


def test_a_damaged_binary_batch_is_told(tmp_path):
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
    with pytest.raises(MienError, match=r"no train/CLASS/\*\.jpg in .*cifar10\.zip"):
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


# -- Omniglot --


def omniglot_zip(path: Path, alphabets: dict[str, int]) -> Path:
    """`n` characters of each alphabet by two people: black strokes on white, 1 bit, 105x105."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for alphabet, count in alphabets.items():
            for character in range(1, count + 1):
                for person in (1, 2):
                    image = Image.new("1", (105, 105), 1)
                    image.paste(0, (30, 5 * character, 75, 5 * character + 9))
                    image.save(file := io.BytesIO(), "png")
                    name = f"{path.stem}/{alphabet}/character{character:02d}/0{character:03d}_{person:02d}.png"
                    archive.writestr(name, file.getvalue())
    return path


def test_omniglot_in_its_archives(tmp_path):
    omniglot_zip(tmp_path / "o" / "images_background_small1.zip", {"Latin": 3, "Balinese": 2})
    unpacked = omniglot_zip(tmp_path / "images_background_small2.zip", {"Latin": 3, "Greek": 4})
    with zipfile.ZipFile(unpacked) as archive:
        archive.extractall(tmp_path / "o")
    opened = load("omniglot", tmp_path / "o", tmp_path)
    assert opened.classes == ("Balinese", "Greek", "Latin")
    assert np.bincount(opened.labels).tolist() == [4, 8, 6]  # Latin is in both
    assert opened.report["notes"] == ["6 pictures are in two archives and count once"]
    assert opened.keys[0] == "Balinese/character01/0001_01.png"
    assert opened.shape == (1, 28, 28)
    picture = opened.pictures([0])[0, ..., 0]
    assert picture[-1].max() == 0  # ink is white on black
    assert picture[2, 14] == 255
    assert opened.split().rule == "seeded"
    natural = load("omniglot", tmp_path / "o" / "images_background_small1.zip", tmp_path, 105)
    assert np.unique(natural.pictures([0])).tolist() == [0, 255]
    assert (natural.pictures([0]) == 255).sum() == 45 * 9


def test_omniglot_without_characters(tmp_path):
    (tmp_path / "o" / "images_evaluation" / "Latin").mkdir(parents=True)
    with pytest.raises(MienError, match=r"no ALPHABET/character01/\*\.png in images_evaluation: put"):
        data.source("omniglot", tmp_path / "o")


def test_real_omniglot(tmp_path, real_data):
    real(real_data, "omniglot")
    source = data.source("omniglot", real_data / "omniglot")
    counts = dict(zip(source.classes, np.bincount([source.label(i) for i in range(len(source))]), strict=True))
    assert counts["Latin"] == 26 * 20
    assert counts["Greek"] == 24 * 20
    assert len(source) == 4840  # 2,720 + 3,120, of which 1,000 are the same
    assert 0 < source.read(0, 28).mean() < 60


# -- Frey faces --


@pytest.fixture
def frames():
    return np.random.default_rng(0).integers(0, 256, (12, 28, 20), np.uint8)


def test_frey_faces(tmp_path, monkeypatch, frames):
    np.savez(tmp_path / "freyfaces.npz", images=frames)
    monkeypatch.setenv("MIEN_DATA", str(tmp_path))
    opened = load("freyfaces", None, tmp_path)
    assert opened.shape == (1, 28, 20)
    assert (opened.pictures(np.arange(12))[..., 0] == frames).all()
    assert opened.labels is None
    assert opened.batch([0]).label is None
    for size, shape in {32: (1, 32, 24), 64: (1, 64, 44), 30: (1, 32, 20), 8: (1, 8, 4)}.items():
        assert load("freyfaces", None, tmp_path, size).shape == shape


def test_frey_faces_as_published(tmp_path, frames):
    from scipy.io import savemat

    savemat(tmp_path / "frey_rawface.mat", {"ff": frames.reshape(12, -1).T})  # (560, N)
    opened = load("freyfaces", tmp_path, tmp_path)
    assert (opened.pictures(np.arange(12))[..., 0] == frames).all()


def test_frey_faces_that_are_not(tmp_path, frames):
    path = tmp_path / "freyfaces.npz"
    for arrays, message in (
        ({"faces": frames}, "expected an array images, got faces"),
        ({"images": frames.astype(float)}, r"expected pictures uint8 \(N, 28, 20\), got float64"),
        ({"images": frames[:, :20]}, r"got uint8 \(12, 20, 20\)"),
        (
            {"images": np.array([Evil(tmp_path / "touched")])},
            r"cannot be read as \.npz \(Object arrays cannot be loaded",
        ),
    ):
        np.savez(path, **arrays)
        with pytest.raises(MienError, match=message):
            load("freyfaces", path, tmp_path)
    assert not (tmp_path / "touched").exists()
    np.savez(path, images=frames)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(MienError, match=r"freyfaces\.npz cannot be read"):
        load("freyfaces", path, tmp_path)


def test_real_frey_faces(tmp_path, real_data):
    real(real_data, "freyfaces.npz")
    opened = load("freyfaces", real_data / "freyfaces.npz", tmp_path)
    assert (len(opened), opened.shape) == (1965, (1, 28, 20))
    film = opened.pictures(np.arange(1965)).astype(int)
    assert abs(film[1:] - film[:-1]).mean() < abs(film[1:] - film[:1]).mean()  # frames of a film


# -- bearing --


@pytest.fixture
def signals():
    draw = np.random.default_rng(0).normal
    return {"odd": draw(3, 1, 1000), "ball_7": draw(0, 9, 1210).astype(np.float32), "normal": draw(0, 0.1, 1000)}


def spans(source: Source, size: int, part: int) -> dict[str, list[int]]:
    """The first samples of the windows of a part, by condition."""
    found: dict[str, list[int]] = {}
    for i in range(len(source)):
        if source.partition(i) == part:
            condition, start = source.key(i).split("@")
            found.setdefault(condition, []).append(int(start))
    return found


def test_windows_of_signals(tmp_path, signals):
    np.savez(tmp_path / "s.npz", **signals)
    opened = load("bearing", tmp_path / "s.npz", tmp_path, 50)
    assert opened.classes == ("normal", "ball_7", "odd")
    assert (opened.shape, opened.dtype) == ((1, 1, 50), "float32")
    assert spans(opened.source, 50, 0)["odd"] == [*range(0, 700, 50)]
    assert spans(opened.source, 50, 1)["ball_7"] == [847, 897]
    assert spans(opened.source, 50, 2)["normal"] == [800, 850, 900, 950]
    assert opened.split().rule == "official"
    batch = opened.batch(np.arange(len(opened)))
    assert batch.x.shape == (len(opened), 1, 1, 50)
    assert batch.x.abs().amax((1, 2, 3)).tolist() == pytest.approx([1] * len(opened), abs=1e-6)
    first = signals["normal"][:50].astype(np.float32).astype(float)
    expected = (first - first.mean()) / abs(first - first.mean()).max()
    assert batch.x[0].ravel().tolist() == pytest.approx(expected.tolist(), abs=1e-6)


@pytest.mark.parametrize("hop", [0, 1, 20, 70])
def test_no_part_shares_a_sample_with_another(tmp_path, signals, hop):
    np.savez(tmp_path / "s.npz", **signals)
    source = data.source("bearing", tmp_path / "s.npz", hop=hop).at(50)
    for condition, signal in signals.items():
        seen = np.zeros((3, len(signal)), int)
        for part in range(3):
            for start in spans(source, 50, part)[condition]:
                assert start + 50 <= len(signal)
                seen[part, start : start + 50] += 1
        assert ((seen > 0).sum(0) <= 1).all()
        assert seen[1:].max() == 1  # only windows for training overlap
        assert seen[0].max() == {0: 1, 1: 50, 20: 3, 70: 1}[hop]


def test_a_window_is_its_own_size(tmp_path, signals):
    np.savez(tmp_path / "s.npz", **signals)
    source = data.source("bearing", tmp_path / "s.npz").at(50)
    other = source.at(100)
    assert (len(source), len(other), len(source)) == (62, 31, 62)
    overlapping = load("bearing", tmp_path / "s.npz", tmp_path, 50, hop=10)
    assert len(overlapping) > 62
    assert len(Dataset(overlapping.folder).source) == len(overlapping)


def test_signals_that_are_none(tmp_path, signals):
    path = tmp_path / "s.npz"
    np.savez(path, **signals)
    with pytest.raises(MienError, match=r"normal has 1,000 samples.* window of 101: ask for a size of 100 or less"):
        load("bearing", path, tmp_path, 101)
    with pytest.raises(MienError, match="expected a size of 8 to 8192 samples, got 8193"):
        load("bearing", path, tmp_path, 8193)
    with pytest.raises(MienError, match=r"expected a hop of 1 sample or more, or 0 .*, got -1"):
        data.source("bearing", path, hop=-1)
    with pytest.raises(MienError, match="expected hop of type"):
        data.source("bearing", path, hop="12")
    for bad in (np.array([Evil(tmp_path / "touched")]), np.zeros((10, 10)), np.zeros(0), np.array(["x"] * 2000)):
        np.savez(path, ball_7=bad)
        with pytest.raises(MienError, match=r"s\.npz(, ball_7: expected one signal| cannot be read)"):
            load("bearing", path, tmp_path, 50)
    assert not (tmp_path / "touched").exists()
    path.write_bytes(b"PK\x03\x04 no zip")
    with pytest.raises(MienError, match=r"s\.npz cannot be read as \.npz"):
        data.source("bearing", path)


def test_bad_windows_are_left_out_and_named(tmp_path):
    signal = np.random.default_rng(0).normal(size=1000)
    signal[10], signal[100:150] = np.nan, 4
    np.savez(tmp_path / "s.npz", normal=signal)
    report = load("bearing", tmp_path / "s.npz", tmp_path, 50).report
    assert report["rejected"] == [
        {"file": "normal@0", "reason": "samples that are not finite"},
        {"file": "normal@100", "reason": "a constant: nothing to scale to [-1, 1]"},
    ]


def test_bearing_as_published(tmp_path, signals):
    from scipy.io import savemat

    root = tmp_path / "bearing"
    root.mkdir()
    column = {name: signal[:, None] for name, signal in signals.items()}
    savemat(root / "97.mat", {"X097_DE_time": column["normal"], "X097_FE_time": column["odd"], "X097RPM": 1796.0})
    savemat(root / "B007_0_118.mat", {"X118_DE_time": column["ball_7"], "X117_DE_time": column["odd"]})
    savemat(root / "own.mat", {"X_DE_time": column["odd"]})
    opened = load("bearing", root, tmp_path, 50)
    assert opened.classes == ("normal", "ball_7", "own")
    np.savez(tmp_path / "s.npz", **signals)
    same = load("bearing", tmp_path / "s.npz", tmp_path, 50)
    assert (same.pictures(np.arange(62)) == opened.pictures(np.arange(62))).all()
    savemat(root / "own.mat", {"X1_DE_time": column["odd"], "X2_DE_time": column["odd"]})
    with pytest.raises(MienError, match=r"own\.mat: expected one key X…_DE_time, got X1_DE_time, X2_DE_time"):
        load("bearing", root, tmp_path, 50)
    (root / "own.mat").write_bytes(b"MATLAB 5.0, cut short")
    with pytest.raises(MienError, match=r"own\.mat cannot be read as \.mat"):
        load("bearing", root, tmp_path, 50)
    (root / "own.mat").rename(root / "Normal_97.mat")
    with pytest.raises(MienError, match=r"normal is in 97\.mat and Normal_97\.mat: leave one"):
        data.source("bearing", root)


def test_real_bearing(tmp_path, real_data):
    real(real_data, "cwru_bearing_1797rpm_12khz.npz")
    opened = load("bearing", real_data / "cwru_bearing_1797rpm_12khz.npz", tmp_path)
    parts = opened.split()
    assert [len(part) for part in (parts.train, parts.valid, parts.test)] == [820, 110, 230]
    assert opened.shape == (1, 1, 1024)
    for part in (parts.train, parts.valid, parts.test):
        assert len(set(np.bincount(opened.labels[part]))) == 1
    assert opened.classes[0] == "normal"
    assert abs(opened.pictures(np.arange(len(opened)))).max() == 1


# -- signals as pictures --


def test_waveforms_lose_no_peak():
    x = np.zeros((3, 1, 1, 1024), np.float32)
    x[0, 0, 0, 700] = 1  # one sample
    x[1, 0, 0, 300] = -1
    drawn = waveforms(x)
    assert drawn.shape == (3, 1, 64, 128)
    assert drawn.dtype == np.float32
    assert drawn.min() >= -1
    assert drawn.max() <= 1
    dark = drawn[:, 0] < 0
    assert dark.any(1).all()  # the line has no gap
    assert np.flatnonzero(dark[0, :8].any(0)).tolist() == [700 // 8]
    assert np.flatnonzero(dark[1, -8:].any(0)).tolist() == [300 // 8]
    assert dark[2].sum() == 2 * 128


@pytest.mark.parametrize("length", [2, 50, 128, 129, 1000, 8192])
def test_waveforms_of_any_length_follow_the_signal(length):
    ramp = np.linspace(-1, 1, length).reshape(1, 1, 1, length)
    dark = waveforms(ramp)[0, 0] < 0
    middle = [np.flatnonzero(column).mean() for column in dark.T]
    assert np.diff(middle).max() <= 0  # up is up
    assert middle[0] > 60
    assert middle[-1] < 3


def test_waveforms_of_several_channels_and_of_nonsense():
    x = np.zeros((1, 2, 1, 256))
    x[0, 0], x[0, 1] = 1, -1
    dark = waveforms(x)[0, 0] < 0
    assert np.flatnonzero(dark[:, 9]).tolist() == [0, 1, 62, 63]
    beyond = waveforms(np.full((1, 1, 1, 256), 7.0))
    assert (beyond == waveforms(np.ones((1, 1, 1, 256)))).all()
    none = waveforms(np.full((1, 1, 1, 256), np.nan))
    assert len(np.unique(none)) == 1
    with pytest.raises(MienError, match=r"expected signals \(B, C, 1, L\) .*got \(2, 1, 8, 8\)"):
        waveforms(np.zeros((2, 1, 8, 8)))
