"""Data sets by name, their preparation (resumed, locked, reported), the packed set, CelebA and folders."""

import errno
import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import textwrap
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien import data
from mien.data import packing
from mien.data.base import Source
from mien.data.dataset import Dataset
from mien.data.packing import prepare
from mien.data.pictures import BadPicture, to_float, to_square
from mien.data.sets.celeba import Source as CelebA
from mien.data.sets.folder import Source as Folder
from mien.errors import MienError, UnknownName


class Counted(Source):
    """Pictures filled with their number, some of them bad; it records the numbers of the read pictures."""

    name = "counted"
    attributes = ("Odd", "Big")

    def __init__(self, count: int = 20, bad: tuple = (), stop: int | None = None, parts: bool = False):
        self.count, self.bad, self.stop, self.parts = count, bad, stop, parts
        self.reads: list[int] = []

    def __len__(self):
        return self.count

    def key(self, i):
        return f"n{i}"

    def read(self, i, size):
        if i == self.stop:
            raise KeyboardInterrupt
        self.reads.append(i)
        if i in self.bad:
            raise BadPicture("it is bad")
        return np.full((size, size, 3), i % 256, np.uint8)

    def attribute_row(self, i):
        return np.array([1 if i % 2 else -1, 0], np.int8)

    def label(self, i):
        return i % 3

    def partition(self, i):
        return i % 3 if self.parts else 0

    def fingerprint(self):
        return f"counted {self.count}"


def picture(seed: int = 0, width: int = 89, height: int = 109) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (5, 4, 3), np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


SRC = str(Path(data.__file__).parents[2])


def run_python(code: str, **more: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": SRC, **more}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)


# -- names and options --


def test_names_are_the_files():
    assert {"avatars", "celeba", "folder"} <= set(data.names())
    assert not {"batch", "dataset", "packing", "pictures"} & set(data.names())
    for name in data.names():
        assert data.describe(name).endswith(".")
        assert "root" not in data.options(name)
    assert data.options("avatars") == {"count": 4000, "seed": 0, "classes": None}


def test_mistakes_are_named():
    with pytest.raises(UnknownName, match="unknown data set 'avatar': did you mean avatars"):
        data.source("avatar")
    with pytest.raises(MienError, match=r"data set avatars has no option 'n': its options are count=4000, seed=0"):
        data.source("avatars", n=3)
    with pytest.raises(MienError, match=r"expected a whole number for avatars's count, got '3'"):
        data.source("avatars", count="3")
    with pytest.raises(MienError, match="avatars reads no files: leave out the folder"):
        data.source("avatars", "somewhere")


def test_importing_and_naming_load_nothing_heavy():
    done = run_python("""
        import sys
        from mien import data
        for name in data.names():
            data.describe(name), data.options(name)
        heavy = {"torch", "torchvision", "sklearn", "python_avatars", "resvg_py"} & set(sys.modules)
        assert not heavy, heavy
        """)
    assert done.returncode == 0, done.stderr


def test_cache_dir_follows_the_environment(monkeypatch):
    monkeypatch.setenv("MIEN_CACHE", "/somewhere")
    assert data.cache_dir() == Path("/somewhere")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert data.cache_dir() == Path("/somewhere"), "MIEN_CACHE has precedence"
    monkeypatch.delenv("MIEN_CACHE")
    assert data.cache_dir() == Path("/cache/mien")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    if sys.platform == "linux":
        assert data.cache_dir() == Path("/home/me/.cache/mien")


# -- preparation --


def test_what_is_packed(tmp_path):
    calls = []
    folder = prepare(Counted(1100, bad=(3, 700)), 8, tmp_path, lambda done, total: calls.append((done, total)))
    assert calls == [(0, 1100), (512, 1100), (1024, 1100), (1100, 1100)]
    images = np.load(folder / "images.npy")
    assert images.shape == (1098, 8, 8, 3)
    kept = [i for i in range(1100) if i not in (3, 700)]
    assert (images[:, 0, 0, 0] == np.array(kept) % 256).all()
    opened = Dataset(folder)
    assert opened.shape == (3, 8, 8)
    assert opened.keys[3] == "n4"
    assert opened.labels.tolist() == [i % 3 for i in kept]
    assert opened.identity is None
    assert opened.balance() == {"Odd": 549 / 1098, "Big": 0}
    report = opened.report
    assert report["rejected"] == [{"file": f"n{i}", "reason": "it is bad"} for i in (3, 700)]
    assert (report["pictures"], report["rejected_count"]) == (1098, 2)
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith(".")) == [folder.name]


def test_a_second_time_does_nothing(tmp_path):
    folder = prepare(Counted(), 8, tmp_path)
    again = Counted()
    assert prepare(again, 8, tmp_path) == folder
    assert again.reads == []
    assert prepare(Counted(), 16, tmp_path) != folder
    assert prepare(Counted(21), 8, tmp_path) != folder


def test_an_interrupted_run_continues(tmp_path):
    whole = prepare(Counted(1500, bad=(5,)), 8, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        prepare(Counted(1500, bad=(5,), stop=1200), 8, tmp_path / "cut")
    (partial,) = (tmp_path / "cut").glob("*.partial")
    with (partial / "images.npy").open("ab") as file:  # what a kill in the middle of a chunk leaves
        file.write(b"x" * 1000)
    rest = Counted(1500, bad=(5,))
    folder = prepare(rest, 8, tmp_path / "cut")
    assert min(rest.reads) == 1024
    for name in ("images.npy", "attributes.npy", "labels.npy", "keys.json"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes()
    assert Dataset(folder).report["rejected"] == Dataset(whole).report["rejected"]


def test_a_partial_folder_that_lost_its_pictures_starts_anew(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        prepare(Counted(1500, stop=1200), 8, tmp_path)
    (partial,) = tmp_path.glob("*.partial")
    with (partial / "images.npy").open("r+b") as file:
        file.truncate(500)
    rest = Counted(1500)
    prepare(rest, 8, tmp_path)
    assert sorted(rest.reads) == list(range(1500))


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file sizes are POSIX")
def test_a_full_disk_is_one_line_and_keeps_what_is_done(tmp_path):
    code = """
        import resource, signal, sys
        from mien import data
        from mien.errors import MienError
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))  # one chunk, not two
        try:
            data.load("avatars", size=16, count=1000)
        except MienError as error:
            print(error)
        """
    done = run_python(code, MIEN_CACHE=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("no room on the disk of")
    assert done.stdout.count("\n") == 1
    (partial,) = tmp_path.glob("*.partial")
    assert json.loads((partial / "state.json").read_text())["done"] == 512
    assert len(data.load("avatars", size=16, count=1000, cache=tmp_path)) == 1000


def test_too_little_room_is_reported_before_the_start(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 8, 1000))
    with pytest.raises(MienError, match=r"needs 1 MB, and 0 MB are free on the disk of .*MIEN_CACHE"):
        prepare(Counted(), 8, tmp_path)


def test_nothing_usable_says_why(tmp_path):
    with pytest.raises(MienError, match=r"counted: not one of 4 pictures can be used \(n0: it is bad; n1: it is bad"):
        prepare(Counted(4, bad=(0, 1, 2, 3)), 8, tmp_path)
    assert len(Dataset(prepare(Counted(4), 8, tmp_path))) == 4


def test_a_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MienError, match=r"cannot prepare in .*: set MIEN_CACHE to another folder"):
        prepare(Counted(), 8, tmp_path / "file" / "cache")
    with pytest.raises(MienError, match="expected a size of 8 to 1024 pixels, got 4"):
        prepare(Counted(), 4, tmp_path)


def test_two_at_once_prepare_it_once(tmp_path):
    sources = [Counted(1500), Counted(1500)]
    threads = [threading.Thread(target=prepare, args=(source, 8, tmp_path)) for source in sources]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(sources[0].reads + sources[1].reads) == list(range(1500))
    assert (Dataset(prepare(Counted(1500), 8, tmp_path)).pictures([1400]) == 1400 % 256).all()


def test_a_process_waits_for_another_one(tmp_path):
    folder = tmp_path / "counted"
    code = f"""
        from pathlib import Path
        from mien.data import packing
        with packing._lock(Path({str(folder)!r})):
            print("locked", flush=True)
            input()
        """
    command, environment = [sys.executable, "-c", textwrap.dedent(code)], {**os.environ, "PYTHONPATH": SRC}
    entered = threading.Event()

    def enter():
        with packing._lock(folder):
            entered.set()

    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as other:
        assert other.stdout.readline() == "locked\n"
        thread = threading.Thread(target=enter)
        thread.start()
        assert not entered.wait(0.5)
        other.communicate("\n", timeout=60)
        assert entered.wait(60)
        thread.join()


@pytest.mark.skipif(sys.platform == "win32", reason="fcntl is POSIX")
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_disk_without_locks_gives_a_warning(tmp_path, monkeypatch, number):
    import fcntl

    def flock(file, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.warns(UserWarning, match="has no file locks: prepare 'counted-8-.*MIEN_CACHE"):
        folder = prepare(Counted(), 8, tmp_path)
    assert len(Dataset(folder)) == 20


def test_a_mistake_in_a_source_is_not_a_bad_picture(tmp_path):
    class Wrong(Counted):
        def read(self, i, size):
            return np.zeros((size, size), np.uint8)

    with pytest.raises(TypeError, match=r"expected uint8 \(8, 8, 3\), got uint8 \(8, 8\)"):
        prepare(Wrong(), 8, tmp_path)


def test_other_shapes(tmp_path):
    class Gray(Counted):
        channels = 1

        def shape(self, size):
            return 28, 20, 1

        def read(self, i, size):
            return np.full((28, 20, 1), i, np.uint8)

    opened = Dataset(prepare(Gray(), 28, tmp_path))
    assert opened.shape == (1, 28, 20)
    assert opened.batch([3, 4]).x.shape == (2, 1, 28, 20)


# -- the packed data set --


@pytest.fixture
def counted(tmp_path):
    return Dataset(prepare(Counted(60), 8, tmp_path))


def test_pictures_come_in_the_order_asked(counted):
    index = np.array([5, 0, 5, 59])
    assert counted.pictures(index)[:, 0, 0, 0].tolist() == index.tolist()
    assert counted.pictures(np.array([], np.int64)).shape == (0, 8, 8, 3)


def test_a_batch_is_in_range_with_attributes_and_labels(counted):
    batch = counted.batch(np.array([0, 51]))
    assert batch.x.shape == (2, 3, 8, 8)
    assert batch.x.dtype.is_floating_point
    assert batch.x[0].unique().tolist() == [-1]
    assert batch.x[1].unique().tolist() == pytest.approx([51 / 127.5 - 1], abs=1e-6)
    assert batch.attributes.tolist() == [[-1, 0], [1, 0]]
    assert batch.label.tolist() == [0, 0]
    assert batch.index.tolist() == [0, 51]
    assert batch.x.stride()[1] == 1  # channels last
    assert (batch.x.numpy() == to_float(counted.pictures(np.array([0, 51])))).all()


@pytest.mark.parametrize("index", [[60], [-1], [0.5], [[1, 2]]])
def test_positions_outside_are_refused(counted, index):
    with pytest.raises(MienError, match="expected positions"):
        counted.pictures(np.array(index))


def test_a_data_set_survives_pickling(counted):
    again = pickle.loads(pickle.dumps(counted))
    assert (again.pictures(np.array([7])) == 7).all()


def test_a_damaged_folder_is_reported(counted, tmp_path):
    with (counted.folder / "images.npy").open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(MienError, match=r"images\.npy: expected 11648 bytes, got 1000: delete the folder"):
        Dataset(counted.folder)
    with pytest.raises(MienError, match="is not a prepared data set"):
        Dataset(tmp_path)


def test_reading_everything_takes_no_memory(tmp_path):
    """150,000 pictures of 32 pixels, 460 MB: resident memory stays where it was."""
    count, size = 150_000, 32
    folder = prepare(Counted(2), size, tmp_path)
    index = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps({**index, "count": count}))
    with (folder / "images.npy").open("r+b") as file:
        file.truncate(packing.HEADER + count * size * size * 3)  # holes: they are read as zeros
    np.save(folder / "attributes.npy", np.ones((count, len(index["attributes"])), np.int8))
    for name in ("labels", "identity", "partition"):
        np.save(folder / f"{name}.npy", np.full(count, -1))
    done = (
        run_python(f"""
        import numpy as np
        from mien.data import Dataset
        def resident():
            with open("/proc/self/status") as file:
                return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
        data = Dataset({str(folder)!r})
        data.pictures(np.arange(64))
        before = resident()
        order = np.random.default_rng(0).permutation({count})
        most = 0
        for start in range(0, {count}, 256):
            data.pictures(order[start : start + 256])
            most = max(most, resident())
        print(most - before)
        """)
        if Path("/proc/self/status").exists()
        else pytest.skip("needs /proc to see the memory of a process")
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 20_000  # kB


# -- splits --


def test_seeded_splits_are_a_partition(counted):
    parts = counted.split(seed=3)
    assert (parts.rule, [len(parts.train), len(parts.valid), len(parts.test)]) == ("seeded", [48, 6, 6])
    assert sorted(np.concatenate([parts.train, parts.valid, parts.test])) == list(range(60))
    for part in (parts.train, parts.valid, parts.test):
        assert part.dtype == np.int64
        assert (np.diff(part) > 0).all()
    assert (counted.split(seed=3).test == parts.test).all()
    assert (counted.split(seed=4).test != parts.test).any()
    assert "its official split is empty in valid and test" in parts.note


def test_an_official_split_is_taken_if_it_has_three_parts(tmp_path, counted):
    official = Dataset(prepare(Counted(61, parts=True), 8, tmp_path)).split()
    assert official.rule == "official"
    assert official.valid[:3].tolist() == [1, 4, 7]
    seeded = Dataset(prepare(Counted(61, parts=True), 8, tmp_path)).split(rule="seeded")
    assert (seeded.rule, len(seeded.train)) == ("seeded", 49)
    with pytest.raises(MienError, match="official split is empty in valid and test: use rule seeded"):
        counted.split(rule="official")


@pytest.mark.parametrize(
    "fractions", [(0.8, 0.2), (0.8, 0.1, 0.2), (1, 0, 0), (1.2, -0.1, -0.1), "abc", None, (0.5, "x", 0.1)]
)
def test_wrong_fractions(counted, fractions):
    with pytest.raises(MienError, match="expected three fractions"):
        counted.split(fractions=fractions)


def test_no_part_is_ever_empty(tmp_path, counted):
    with pytest.raises(MienError, match="expected 6 pictures or more to split, got 4 in counted: add pictures"):
        Dataset(prepare(Counted(4), 8, tmp_path)).split()
    with pytest.raises(MienError, match="expected the rule auto, official or seeded, got 'random'"):
        counted.split(rule="random")
    with pytest.raises(MienError, match="expected a seed of 0 or more, got -1"):
        counted.split(seed=-1)


# -- CelebA --


def celeba_folder(root: Path, count: int = 6, zipped: bool = True, nested: bool = False) -> Path:
    """The official layout with made-up pictures and three attributes."""
    pictures, tables, splits = (root / "Img", root / "Anno", root / "Eval") if nested else (root, root, root)
    for folder in (pictures, tables, splits):
        folder.mkdir(parents=True, exist_ok=True)
    names = [f"{i:06d}.jpg" for i in range(1, count + 1)]
    contents = []
    for i in range(count):
        picture(i).save(file := io.BytesIO(), "jpeg", quality=95)
        contents.append(file.getvalue())
    if zipped:
        with zipfile.ZipFile(pictures / "img_align_celeba.zip", "w") as archive:
            for name, content in zip(names, contents, strict=True):
                archive.writestr(f"img_align_celeba/{name}", content)
    else:
        (pictures / "img_align_celeba").mkdir()
        for name, content in zip(names, contents, strict=True):
            (pictures / "img_align_celeba" / name).write_bytes(content)
    rows = [f"{name} {1 if i % 2 else -1}  1 -1" for i, name in enumerate(names)]
    (tables / "list_attr_celeba.txt").write_text(f"{count}\nMale Smiling Young \n" + "\n".join(rows) + "\n")
    (tables / "identity_CelebA.txt").write_text("".join(f"{name} {i // 2 + 1}\n" for i, name in enumerate(names)))
    (splits / "list_eval_partition.txt").write_text("".join(f"{name} {i % 3}\n" for i, name in enumerate(names)))
    return root


@pytest.mark.parametrize(("zipped", "nested"), [(True, False), (False, False), (True, True), (False, True)])
def test_celeba_in_each_layout(tmp_path, zipped, nested):
    source = CelebA(celeba_folder(tmp_path / "c", zipped=zipped, nested=nested))
    opened = Dataset(prepare(source, 32, tmp_path / "cache"))
    assert opened.attributes == ("Male", "Smiling", "Young")
    assert opened.keys == tuple(f"{i:06d}.jpg" for i in range(1, 7))
    assert opened.attribute_table.tolist() == [[1 if i % 2 else -1, 1, -1] for i in range(6)]
    assert opened.identity.tolist() == [1, 1, 2, 2, 3, 3]
    assert opened.split().rule == "official"
    assert opened.report["rejected"] == []
    cropped = picture(4).crop((0, 10, 89, 99)).resize((32, 32), Image.Resampling.LANCZOS)
    assert abs(opened.pictures([4])[0].astype(int) - np.asarray(cropped)).max() < 12  # JPEG


def test_celeba_takes_what_is_in_both_and_names_the_rest(tmp_path):
    root = celeba_folder(tmp_path / "c")
    lines = (root / "list_attr_celeba.txt").read_text().splitlines()
    (root / "list_attr_celeba.txt").write_text("\n".join([*lines[:3], *lines[4:], "000099.jpg 1 1 1"]))
    with zipfile.ZipFile(root / "img_align_celeba.zip", "a") as archive:
        archive.writestr("img_align_celeba/000050.jpg", b"not a picture")
        archive.writestr("__MACOSX/img_align_celeba/000001.jpg", b"not a picture")
    opened = Dataset(prepare(CelebA(root), 32, tmp_path / "cache"))
    assert len(opened) == 5
    reasons = {entry["file"]: entry["reason"] for entry in opened.report["rejected"]}
    assert reasons == {
        "000002.jpg": "absent from list_attr_celeba.txt",
        "000050.jpg": "absent from list_attr_celeba.txt",
        "000099.jpg": "in the table, but there is no such picture",
    }


def test_celeba_reports_a_wrong_count_and_continues(tmp_path):
    root = celeba_folder(tmp_path / "c")
    table = root / "list_attr_celeba.txt"
    table.write_text(table.read_text().replace("6\n", "202599\n", 1))
    report = Dataset(prepare(CelebA(root), 32, tmp_path / "cache")).report
    assert report["notes"] == ["list_attr_celeba.txt says 202599 rows in line 1 and has 6"]


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "list_attr_celeba.txt",
            "000003.jpg -1 ",
            "000003.jpg ",
            "line 5: expected a file name and 3 values, got 2",
        ),
        (
            "list_attr_celeba.txt",
            "000003.jpg -1 ",
            "000003.jpg 7 ",
            "line 5: expected values 1 and -1, got '7'",
        ),
        (
            "list_attr_celeba.txt",
            "6\n",
            "Male\n",
            "expected a count in line 1 and attributes in line 2, got 'Male'",
        ),
        ("identity_CelebA.txt", "000002.jpg 1", "000002.jpg x", "line 2: expected a file name and a number"),
        ("identity_CelebA.txt", "000002.jpg 1", "000002.jpg ²", "line 2: expected a file name and a number"),
        ("identity_CelebA.txt", "000002.jpg 1", f"000002.jpg {'9' * 25}", "line 2: expected a file name and a number"),
        ("identity_CelebA.txt", "000002.jpg 1", f"000002.jpg {'9' * 5000}", "line 2: expected a file name and a"),
        ("list_eval_partition.txt", "000003.jpg 2", "000003.jpg 3", "line 3: expected a file name and 0, 1 or 2"),
        (
            "list_eval_partition.txt",
            "000003.jpg 2",
            "000003.jpg",
            "line 3: expected a file name and 0, 1 or 2",
        ),
    ],
)
def test_celeba_names_the_line_that_is_wrong(tmp_path, file, old, new, message):
    root = celeba_folder(tmp_path / "c")
    (root / file).write_text((root / file).read_text().replace(old, new, 1))
    with pytest.raises(MienError, match=f"{file}.*{message}"):
        prepare(CelebA(root), 32, tmp_path / "cache")


def test_celeba_names_the_files_it_needs(tmp_path, monkeypatch):
    monkeypatch.delenv("MIEN_DATA", raising=False)
    with pytest.raises(
        MienError, match=r"expected the folder of CelebA, got none: .* MIEN_DATA .*img_align_celeba\.zip"
    ):
        CelebA()
    with pytest.raises(MienError, match=r"no list_attr_celeba\.txt"):
        CelebA(tmp_path)
    root = celeba_folder(tmp_path / "data" / "celeba")
    monkeypatch.setenv("MIEN_DATA", str(tmp_path / "data"))
    assert len(CelebA()) == 6
    (root / "img_align_celeba.zip").write_bytes((root / "img_align_celeba.zip").read_bytes()[:2000])
    with pytest.raises(MienError, match="not a whole zip archive"):
        prepare(CelebA(root), 32, tmp_path / "cache")


def test_celeba_is_prepared_anew_when_its_files_change(tmp_path):
    root = celeba_folder(tmp_path / "c")
    first = prepare(CelebA(root), 32, tmp_path / "cache")
    assert prepare(CelebA(root), 32, tmp_path / "cache") == first
    moved = shutil.copytree(root, tmp_path / "elsewhere", copy_function=shutil.copyfile)
    assert prepare(CelebA(moved), 32, tmp_path / "cache") == first
    (root / "identity_CelebA.txt").unlink()
    second = prepare(CelebA(root), 32, tmp_path / "cache")
    assert second != first
    assert Dataset(second).identity is None
    with zipfile.ZipFile(root / "img_align_celeba.zip", "a") as archive:
        archive.writestr("img_align_celeba/000050.jpg", b"not a picture")
    assert prepare(CelebA(root), 32, tmp_path / "cache") not in (first, second)


def test_real_celeba(tmp_path, real_data):
    if not (real_data / "celeba" / "list_attr_celeba.txt").is_file():
        pytest.skip(f"no CelebA in {real_data}")
    source = CelebA(real_data / "celeba")
    assert len(source.attributes) == 40
    picture = source.read(0, 64)
    assert picture.shape == (64, 64, 3)
    assert 20 < picture.mean() < 235
    assert source.attributes.index("Smiling") == 31
    assert source.rejected_before == []


# -- any folder --


def pictures_in(root: Path, *names: str) -> Path:
    for k, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(k, 40, 30).save(path)
    return root


def test_a_folder_without_a_table(tmp_path):
    root = pictures_in(tmp_path / "p", "b.png", "a.jpg", "sub/deep/c.bmp", ".hidden/d.png", "__MACOSX/e.png")
    (root / "notes.txt").write_text("no picture")
    opened = data.load("folder", root, size=16, cache=tmp_path / "cache")
    assert opened.keys == ("a.jpg", "b.png", "sub/deep/c.bmp")
    assert opened.attributes == ()
    assert opened.balance() == {}
    assert opened.batch([0, 1]).attributes is None
    assert (opened.pictures([1])[0] == to_square(picture(0, 40, 30), 16)).all()


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_table_as_people_write_it(tmp_path, ending, mark):
    root = pictures_in(tmp_path / "p", "a, b.png", "ünï çødé.jpg", "sub/c d.png", "e.png")
    lines = [
        "file,Happy,Old,Tall",
        '"a, b.png",1,yes,1',
        "ünï çødé.jpg,0, No ,",
        "",
        "c d.png,TRUE,,",
        "./e.png,false,no,-1",
    ]
    (root / "attributes.csv").write_bytes((mark + ending.join(lines)).encode())
    opened = data.load("folder", root, size=16, cache=tmp_path / "cache")
    rows = dict(zip(opened.keys, opened.attribute_table.tolist(), strict=True))
    assert rows == {
        "a, b.png": [1, 1, 1],
        "ünï çødé.jpg": [-1, -1, 0],
        "sub/c d.png": [1, 0, 0],
        "e.png": [-1, -1, -1],
    }


def test_a_decomposed_name_is_the_same_name(tmp_path):
    root = pictures_in(tmp_path / "p", "e\u0301.png")
    (root / "t.csv").write_text("file,Happy\n\u00e9.png,1\n", encoding="utf-8")
    assert Folder(root, "t.csv").attribute_row(0).tolist() == [1]


def test_what_a_folder_rejects_is_named(tmp_path):
    root = pictures_in(tmp_path / "p", "good.png", "alone.png")
    (root / "text.jpg").write_text("hello")
    (root / "cut.png").write_bytes((root / "good.png").read_bytes()[:200])
    (root / "empty.gif").write_bytes(b"")
    (root / "gone.png").symlink_to(root / "nowhere.png")
    Image.new("RGB", (1, 1)).save(root / "dot.png")
    names = ["good.png", "text.jpg", "cut.png", "empty.gif", "dot.png", "none.png", "gone.png"]
    (root / "attributes.csv").write_text("file,Happy\n" + "".join(f"{name},1\n" for name in names))
    opened = data.load("folder", root, size=16, cache=tmp_path / "cache")
    assert opened.keys == ("good.png",)
    reasons = {entry["file"]: entry["reason"] for entry in opened.report["rejected"]}
    assert set(reasons) == {*names, "alone.png"} - {"good.png"}
    assert reasons["text.jpg"] == "not a picture"
    assert reasons["cut.png"].startswith("truncated")
    assert reasons["empty.gif"] == "empty file"
    assert reasons["dot.png"] == "expected 8x8 pixels or more, got 1x1: use a larger picture"
    assert reasons["none.png"] == "in the table (line 7), but there is no such picture"
    assert reasons["alone.png"] == "absent from attributes.csv"
    assert reasons["gone.png"] == "no such file"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("file,Happy\na.png,2\n", r"t\.csv, line 2, column 2 \(Happy\): expected .*, got '2'"),
        ("file,Happy\na.png,1\nb.png,1,1\n", r"t\.csv, line 3: expected 2 columns.*got 3"),
        ("file,Happy,Happy\na.png,1,1\n", r"line 1, column 3: expected a new attribute's name, got 'Happy'"),
        ("file,\na.png,1\n", r"line 1, column 2: expected a new attribute's name, got ''"),
        ("file\na.png\n", r"line 1: expected a header 'file,attribute,…' with commas, got 'file'"),
        (
            "a.png,1\nb.png,-1\n",
            r"t\.csv, line 1: expected a header .*, got a row of values, 'a\.png,1': add a first line",
        ),
        ("a,1\nb,-1\n", r"t\.csv, line 1: expected a header .*, got a row of values"),
        (
            "file,Happy\na.png,0\nb.png,-1\n",
            r"column 2 \(Happy\): expected 1 and 0, or 1 and -1, got 0 and -1 in one column: pass --data-option zeros=",
        ),
        ("file,Happy\na.png,yes\nb.png,maybe\n", r"line 3, column 2 \(Happy\): expected 1, -1, .*, got 'maybe'"),
        ("file,Age\na.png,41\nb.png,23\n", r"line 2, column 2 \(Age\): expected 1, -1, .*, got '41'"),
        ("", r"line 1: expected a header"),
        ("file,Happy\na.png,1\na.png,1\n", r"line 3: expected one row for a\.png, got another in line 2"),
        (
            "file,Happy\nsame.png,1\n",
            r"line 2: expected one picture, got 2 pictures .*same\.png: write its path, such as x/same\.png",
        ),
        ("file,Happy\nz.png,1\n", r"none of the 1 rows of t\.csv names a picture"),
        ('file,Happy\n"a.png,1\n', r"t\.csv cannot be read as a CSV table in UTF-8"),
    ],
)
def test_a_wrong_table_names_line_and_column(tmp_path, table, message):
    root = pictures_in(tmp_path / "p", "a.png", "b.png", "x/same.png", "y/same.png")
    (root / "t.csv").write_text(table)
    with pytest.raises(MienError, match=message):
        prepare(Folder(root, "t.csv"), 16, tmp_path / "cache")


def test_folders_that_are_not_there(tmp_path):
    with pytest.raises(MienError, match="expected a folder of pictures, got none"):
        data.source("folder")
    with pytest.raises(MienError, match=r"got no folder .*none"):
        Folder(tmp_path / "none")
    with pytest.raises(MienError, match=r"expected pictures in .*, got none: add files that end in \.jpg"):
        len(Folder(tmp_path))
    with pytest.raises(MienError, match=r"expected a table in .*, got no file t\.csv"):
        Folder(pictures_in(tmp_path / "p", "a.png"), "t.csv")


def test_links_in_circles_end(tmp_path):
    root = pictures_in(tmp_path / "p", "sub/a.png")
    (root / "sub" / "again").symlink_to(root)
    assert [Folder(root).key(i) for i in range(len(Folder(root)))] == ["sub/a.png"]


def test_a_folder_is_prepared_anew_when_a_picture_changes(tmp_path):
    root = pictures_in(tmp_path / "p", "a.png")
    first = data.load("folder", root, size=16, cache=tmp_path / "cache")
    picture(9, 40, 30).save(root / "a.png")
    os.utime(root / "a.png", (5, 5))
    second = data.load("folder", root, size=16, cache=tmp_path / "cache")
    assert (first.pictures([0]) != second.pictures([0])).any()


# -- tables, splits and copies as people have them --


def attributes_of(root, **options) -> dict[str, dict[str, int]]:
    source = Folder(root, **options)
    return {source.key(i): dict(zip(source.attributes, source.attribute_row(i).tolist(), strict=True))
            for i in range(len(source))}  # fmt: skip


@pytest.mark.parametrize(("zeros", "expected"), [("unknown", [1, 0, -1]), ("no", [1, -1, 0])])
def test_zeros_are_what_the_option_says(tmp_path, zeros, expected):
    root = pictures_in(tmp_path / "p", "a.png", "b.png", "c.png")
    (root / "attributes.csv").write_text("file,Happy\na.png,1\nb.png,0\nc.png,-1\n")
    with pytest.raises(MienError, match=r"zeros=unknown .* zeros=no"):
        Folder(root)
    opened = data.load("folder", root, size=16, cache=tmp_path / "cache", zeros=zeros)
    assert opened.attribute_table[:, 0].tolist() == expected
    assert opened.report["attributes"] == {"Happy": {"yes": 1, "no": 1, "unknown": 1}}
    assert opened.source.options()["zeros"] == zeros
    with pytest.raises(UnknownName, match="unknown meaning of zeros 'nothing'"):
        Folder(root, zeros="nothing")


@pytest.mark.parametrize("text", [
    "file;Happy;Old\na.png;y;0\nb.png;n;1\n", "file\tHappy\tOld\na.png\tYes\t0\nb.png\tNo\t1\n",
    "sep=;\r\nfile;Happy;Old\r\na.png;true;0\r\nb.png;false;1\r\n", "2\nHappy Old\na.png  1 -1\nb.png -1  1\n",
    "Happy,file_name,Old\n1,a.png,-1\n-1,b.png,1\n", "file,Happy,Old\na,1,-1\nb,-1,1\n",
    "file,Happy,Old\np/a.png,1,-1\n/home/me/p/b.jpg,-1,1\n",
])  # fmt: skip
def test_tables_of_many_forms_say_the_same(tmp_path, text):
    root = pictures_in(tmp_path / "p", "a.png", "b.png")
    (root / "attributes.csv").write_bytes(text.encode())
    assert attributes_of(root) == {"a.png": {"Happy": 1, "Old": -1}, "b.png": {"Happy": -1, "Old": 1}}
    (root / "attributes.csv").write_bytes(text.encode("utf-16"))
    assert attributes_of(root)["a.png"] == {"Happy": 1, "Old": -1}


def test_a_column_of_texts_is_an_attribute_for_each_text(tmp_path):
    root = pictures_in(tmp_path / "p", "a.png", "b.png", "c.png")
    (root / "attributes.csv").write_text("file,Hair\na.png,dark brown\nb.png,red\nc.png,\n")
    assert attributes_of(root) == {
        "a.png": {"Hair_dark_brown": 1, "Hair_red": -1},
        "b.png": {"Hair_dark_brown": -1, "Hair_red": 1},
        "c.png": {"Hair_dark_brown": 0, "Hair_red": 0},
    }
    with pytest.raises(MienError, match=r"up to 1 different texts, got 2: remove the column, or pass .*values=2"):
        Folder(root, values=1)


def test_a_picture_of_another_folder_is_not_taken(tmp_path):
    root = pictures_in(tmp_path / "p", "dog/1.png", "dog/2.png")
    (root / "attributes.csv").write_text("file,Happy\ncat/1.png,1\ndog/2.png,-1\n")
    assert attributes_of(root) == {"dog/2.png": {"Happy": -1}}


def test_metadata_of_an_image_folder(tmp_path):
    root = pictures_in(tmp_path / "p", "train/a.png", "train/b.png", "test/a.png")
    (root / "train/metadata.csv").write_text("file_name,Happy,age\na.png,True,40\nb.png,False,42\n")
    (root / "test/metadata.csv").write_text("file_name,Happy,age\na.png,False,23\n")
    assert attributes_of(root) == {
        "train/a.png": {"Happy": 1},
        "train/b.png": {"Happy": -1},
        "test/a.png": {"Happy": -1},
    }
    assert "train/metadata.csv, column 3 (age) is no attribute and is left out" in Folder(root).notes


def test_folders_of_parts_are_the_official_split(tmp_path):
    names = [f"{part}/{kind}/{i}.png" for part in ("train", "val", "test") for kind in ("cat", "dog") for i in range(2)]
    opened = data.load("folder", pictures_in(tmp_path / "p", *names), size=16, cache=tmp_path / "c", classes="folders")
    parts = opened.split()
    assert (parts.rule, opened.classes) == ("official", ("cat", "dog"))
    for index, part in ((parts.train, "train"), (parts.valid, "val"), (parts.test, "test")):
        assert [opened.keys[i] for i in index] == sorted(name for name in names if name.startswith(part))
    assert opened.labels.tolist() == [0, 0, 1, 1] * 3
    two = [f"train/{i:02}.png" for i in range(20)] + ["val/1.png", "val/2.png"]
    opened = data.load("folder", pictures_in(tmp_path / "q", *two), size=16, cache=tmp_path / "c")
    parts = opened.split()
    assert [opened.keys[i] for i in parts.test] == ["val/1.png", "val/2.png"]
    assert [opened.keys[i] for i in parts.valid] == ["train/09.png", "train/19.png"]


def test_a_zip_is_a_folder(tmp_path):
    root = pictures_in(tmp_path / "p", "cat/a.png", "dog/b.png")
    (root / "attributes.csv").write_text("file,Happy\na.png,1\nb.png,-1\n")
    archive = Path(shutil.make_archive(str(tmp_path / "z"), "zip", tmp_path, "p"))
    assert attributes_of(archive) == attributes_of(root) == {"cat/a.png": {"Happy": 1}, "dog/b.png": {"Happy": -1}}
    one, two = (data.load("folder", r, size=16, cache=tmp_path / "c", classes="folders") for r in (root, archive))
    assert (one.pictures([0, 1]) == two.pictures([0, 1])).all()
    assert two.labels.tolist() == [0, 1]


def test_a_copied_or_touched_folder_is_the_same_data(tmp_path):
    root = pictures_in(tmp_path / "p", "a.png", "sub/b.png")
    first = Folder(root).fingerprint()
    copy = shutil.copytree(root, tmp_path / "copy", copy_function=shutil.copyfile)
    os.utime(root / "a.png", (5, 5))
    assert Folder(root).fingerprint() == Folder(copy).fingerprint() == first
    assert Folder(copy).earlier_fingerprint() != Folder(root).earlier_fingerprint()
    content = bytearray((root / "a.png").read_bytes())
    content[len(content) // 2] ^= 1
    (root / "a.png").write_bytes(content)
    os.utime(root / "a.png", (5, 5))  # the same size and time
    assert Folder(root).fingerprint() != first


def test_a_set_of_an_earlier_version_stays_prepared(tmp_path, monkeypatch):
    root = pictures_in(tmp_path / "p", "a.png")
    mark = Folder(root).earlier_fingerprint()
    with monkeypatch.context() as patch:
        patch.setattr(Folder, "fingerprint", lambda self: mark)
        old = prepare(Folder(root), 16, tmp_path / "cache")
    assert prepare(Folder(root), 16, tmp_path / "cache") == old


def test_what_is_left_out_is_counted(tmp_path, monkeypatch):
    from mien.data import pictures
    from mien.data.report import omission_line

    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    pictures.unreadable.cache_clear()
    root = pictures_in(tmp_path / "p", "a.jfif", "b.jpe", "c.png")
    for name in ("d.heic", "e.HEIC", "notes.txt", "bare"):
        (root / name).write_bytes(b"x")
    (root / "cut.png").write_bytes((root / "c.png").read_bytes()[:200])
    opened = data.load("folder", root, size=16, cache=tmp_path / "cache")
    pictures.unreadable.cache_clear()
    assert opened.keys == ("a.jfif", "b.jpe", "c.png")
    assert opened.report["omissions"] == [
        {"suffix": ".heic", "reason": "HEIC needs the extra heic: pip install 'mien[heic]'", "count": 2},
        {"suffix": "", "reason": "a name without a suffix", "count": 1},
        {"suffix": ".png", "reason": "truncated", "count": 1},
        {"suffix": ".txt", "reason": "the suffix of no picture", "count": 1},
    ]
    assert omission_line(opened.report).startswith("left out: 2 .heic (HEIC needs the extra heic")


def test_celeba_as_kaggle_ships_it(tmp_path):
    root = celeba_folder(tmp_path / "c", zipped=False)
    expected = Dataset(prepare(CelebA(root), 32, tmp_path / "cache"))
    rows = (root / "list_attr_celeba.txt").read_text().splitlines()[1:]
    lines = [",".join(["image_id", *rows[0].split()]), *(",".join(row.split()) for row in rows[1:])]
    (root / "list_attr_celeba.csv").write_text("\n".join(lines) + "\n")
    parts = (root / "list_eval_partition.txt").read_text().replace(" ", ",")
    (root / "list_eval_partition.csv").write_text("image_id,partition\n" + parts)
    for name in ("list_attr_celeba.txt", "list_eval_partition.txt"):
        (root / name).unlink()
    for path in (root / "img_align_celeba").iterdir():
        Image.open(path).save(path.with_suffix(".png"))
        path.unlink()
    opened = Dataset(prepare(CelebA(root), 32, tmp_path / "cache"))
    assert (opened.keys, opened.attributes) == (expected.keys, expected.attributes)
    assert (opened.attribute_table == expected.attribute_table).all()
    assert (opened.partition == expected.partition).all()
    assert (opened.identity == expected.identity).all()
    assert abs(opened.pictures([3])[0].astype(int) - expected.pictures([3])[0]).max() < 12
    assert opened.report["rejected"] == []


@pytest.mark.parametrize("count", range(6, 15))
def test_a_small_set_has_two_pictures_in_each_part(tmp_path, count):
    parts = Dataset(prepare(Counted(count), 8, tmp_path)).split()
    assert [len(parts.train), len(parts.valid), len(parts.test)] == [count - 4, 2, 2]
