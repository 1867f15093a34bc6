"""Files that were made to harm: they end in one line, start no program, and take little memory and time."""

import gzip
import io
import os
import subprocess
import sys
import threading
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.data.archives import Files, open_zip, read_member, zip_names
from mien.data.formats.arrays import mat_arrays, npz_array
from mien.data.formats.idx import read_idx
from mien.data.pictures import BadPicture, open_picture
from mien.data.reading import read_shape
from mien.data.regular import BadFile, open_text, read_regular
from mien.errors import MienError
from sources import within

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\nshowpage\n%%EOF\n"
FORMATS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "BMP": "bmp", "TIFF": "tif", "PPM": "ppm"}


def picture(kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("kind", FORMATS)
def test_the_formats_of_the_suffixes_open_whatever_their_name(kind, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(picture(kind))
    red, green, _ = open_picture(path).getpixel((8, 8))
    assert red > 240
    assert green < 20


def test_a_jpeg_of_two_pictures_opens():
    file = io.BytesIO()
    pictures = [Image.new("RGB", (16, 16), color) for color in ("red", "blue")]
    pictures[0].save(file, "MPO", save_all=True, append_images=pictures[1:])
    assert open_picture(file.getvalue()).getpixel((8, 8))[0] > 240


@pytest.mark.parametrize(
    ("name", "data"),
    [("eps", EPS), ("ico", picture("ICO")), ("tga", picture("TGA")), ("pcx", picture("PCX"))],
)
def test_other_formats_are_no_pictures(name, data, tmp_path):
    path = tmp_path / f"{name}.png"
    path.write_bytes(data)
    with pytest.raises(BadPicture, match="not a picture"):
        open_picture(path)


@pytest.mark.parametrize("inside", [False, True], ids=["file", "zip"])
def test_a_picture_starts_no_program(inside, tmp_path, monkeypatch):
    """A program gs on the path, which Pillow would start for EPS, is not run."""
    proof = tmp_path / "started"
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "gs"
    program.write_text(f"#!/bin/sh\ntouch {proof}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    data: object = EPS
    if inside:
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr("x.png", EPS)
        data = Files(tmp_path / "a.zip").read("x.png")
    with pytest.raises(BadPicture):
        open_picture(data)
    assert not proof.exists()


@pytest.fixture
def pipe(tmp_path) -> Path:
    path = tmp_path / "a.png"
    os.mkfifo(path)
    return path


def test_a_named_pipe_does_not_hang(pipe, tmp_path):
    for function in (
        lambda: open_picture(pipe),
        lambda: read_shape([pipe], (3, 16, 16)),
        lambda: read_idx(pipe, 1),
        lambda: npz_array(pipe, "x"),
        lambda: mat_arrays(pipe, ["x"]),
        lambda: open_zip(pipe),
        lambda: open_text(pipe),
    ):
        error = within(10, function)
        assert isinstance(error, MienError)
        assert "a pipe or a device" in str(error)
    signal = tmp_path / "signal.npy"
    os.mkfifo(signal)
    assert isinstance(within(10, lambda: read_shape([signal], (1, 1, 64))), MienError)


def test_an_endless_device_is_refused(tmp_path):
    link = tmp_path / "a.png"
    link.symlink_to("/dev/zero")
    with pytest.raises(BadPicture, match="a pipe or a device"):
        open_picture(link)


def test_a_file_above_the_limit_is_not_read(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"x" * 11)
    with pytest.raises(BadFile, match="expected at most 0 MB"):
        read_regular(path, 10)
    assert read_regular(path, 11) == b"x" * 11
    with pytest.raises(BadFile, match="no such file"):
        read_regular(tmp_path / "none", 10)
    with pytest.raises(BadFile, match="a folder"):
        read_regular(tmp_path, 10)
    with pytest.raises(BadFile, match="cannot be read"):
        read_regular("a\0b", 10)


def bomb(path: Path, name: str = "x.png", size: int = 300 * 2**20) -> None:
    """A zip of a file of zeros, 1,000 times smaller than its content."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(name, "w") as file:
        block = b"\0" * 2**20
        for _ in range(size // len(block)):
            file.write(block)


# The peak of this process. (ru_maxrss of a new process begins at the peak of the process that started it.)
PEAK = """
def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM"))
"""


def peak_megabytes(code: str) -> float:
    """Return by how much a program's peak memory rises while ``code`` runs, and check that it ends without error."""
    program = (
        f"{PEAK}\nimport sys\n"
        "from pathlib import Path\nfrom mien.data.archives import Files\n"
        "from mien.data.formats.arrays import mat_arrays, npz_array\nfrom mien.data.formats.idx import read_idx\n"
        "from mien.errors import MienError\n"
        "before = peak()\n"
        f"try:\n    {code}\nexcept MienError as error:\n    print(error, file=sys.stderr)\n"
        "print(peak() - before)\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=True)
    assert "MB" in result.stderr, result.stderr
    return float(result.stdout)


def test_a_zip_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "a.zip"
    bomb(path)
    assert path.stat().st_size < 10**6
    assert peak_megabytes(f"Files(Path({str(path)!r})).read('x.png')") < 50
    with pytest.raises(BadPicture, match="200 to 1: this is no real data"):
        Files(path).read("x.png")


def test_a_gzip_bomb_is_not_unpacked(tmp_path):
    size = 300 * 2**20
    path = tmp_path / "a-ubyte.gz"
    with gzip.open(path, "wb") as file:
        file.write(bytes([0, 0, 8, 1]) + size.to_bytes(4, "big"))
        for _ in range(300):
            file.write(b"\0" * 2**20)
    assert peak_megabytes(f"read_idx(Path({str(path)!r}), 1)") < 50


def test_an_npz_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.zeros(300 * 2**20, np.uint8))
    assert peak_megabytes(f"npz_array(Path({str(path)!r}), 'x')") < 50


def test_a_mat_bomb_is_not_unpacked(tmp_path):
    from scipy.io import savemat

    path = tmp_path / "a.mat"
    savemat(path, {"x": np.zeros((120, 2**20))}, do_compression=True)  # 960 MB
    # to find the names, scipy unpacks blocks of 128 KB, each at once: at most 1,032 times as much, and a copy of it
    assert peak_megabytes(f"mat_arrays(Path({str(path)!r}), ['x'])") < 320


def test_real_data_is_below_the_ratio(tmp_path):
    """White pictures as BMP compress 1,000 to 1, and are read: small content of any ratio is."""
    file = io.BytesIO()
    Image.new("RGB", (2000, 2000), "white").save(file, "BMP")
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.bmp", file.getvalue())
    assert open_picture(Files(tmp_path / "a.zip").read("x.bmp")).size == (2000, 2000)


def damaged_zip(path: Path, how: str) -> None:
    """A zip of two pictures whose first one cannot be read."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", picture("PNG") * 20)
        archive.writestr("b.png", picture("PNG"))
    data = bytearray(path.read_bytes())
    central = data.index(b"PK\x01\x02")
    if how == "encrypted":
        data[6] |= 1
        data[central + 8] |= 1
    elif how == "damaged":
        start = 30 + data[26]
        data[start + 5 : start + 20] = b"\xff" * 15
    elif how == "compression":
        data[8:10] = data[central + 10 : central + 12] = (77).to_bytes(2, "little")
    elif how == "version":
        data[4] = data[central + 6] = 99
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("how", ["encrypted", "damaged", "compression", "version"])
def test_one_bad_member_of_a_zip_leaves_the_others(how, tmp_path):
    damaged_zip(tmp_path / "a.zip", how)
    files = Files(tmp_path / "a.zip")
    if how == "version":  # Python refuses the whole zip
        with pytest.raises(MienError, match="not a whole zip archive"):
            files.read("a.png")
    else:
        with pytest.raises(BadPicture, match=r"cannot be read from a\.zip"):
            files.read("a.png")
        assert open_picture(files.read("b.png")).size == (16, 16)


@pytest.mark.parametrize("how", ["encrypted", "damaged", "compression", "version"])
def test_one_bad_picture_of_celeba_leaves_the_others(how, tmp_path):
    from mien import data

    root = tmp_path / "celeba"
    root.mkdir()
    damaged_zip(root / "img_align_celeba.zip", how)
    (root / "list_attr_celeba.txt").write_text("2\nMale\na.png 1\nb.png -1\n")
    if how == "version":  # Python refuses the whole zip
        with pytest.raises(MienError, match=r"cannot be read|not a whole zip"):
            data.load("celeba", root=root, size=8, cache=tmp_path / "cache")
        return
    dataset = data.load("celeba", root=root, size=8, cache=tmp_path / "cache")
    assert list(dataset.keys) == ["b.png"]


def test_a_name_that_occurs_twice_in_a_zip_counts_once(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.png", b"old")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.png", b"new")
    files = Files(tmp_path / "a.zip")
    assert files.names == ["a.png"]
    assert files.read("a.png") == b"new"
    assert zip_names(open_zip(tmp_path / "a.zip")) == ["a.png"]


def test_a_zip_of_too_many_files_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("mien.data.archives.MOST", 1)
    damaged_zip(tmp_path / "a.zip", "")
    with pytest.raises(MienError, match="expected at most 1 files in a zip, got 2"):
        open_zip(tmp_path / "a.zip")


def test_a_member_that_is_larger_than_it_claims_gives_a_line(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", b"\0" * 10**6)
    data = bytearray(path.read_bytes())
    central = data.index(b"PK\x01\x02")
    data[22:26] = data[central + 24 : central + 28] = (100).to_bytes(4, "little")
    path.write_bytes(bytes(data))
    with pytest.raises(BadPicture, match="cannot be read"):
        read_member(open_zip(path), "a.png")


@pytest.mark.parametrize("content", [b"\xff\xfe bad", b"2\nMale\n\xe9.jpg 1\n"])
def test_a_table_that_is_not_utf8_gives_a_line(content, tmp_path):
    path = tmp_path / "table.txt"
    path.write_bytes(content)
    with pytest.raises(MienError, match=r"table\.txt: expected text in UTF-8, got other bytes at"):
        open_text(path)


def test_large_pictures_of_16_bits_take_little_memory():
    """A picture of 24 megapixels is converted in parts; at once, it took 40 bytes a pixel.

    A process of its own measures it, because the peak of this one may be higher already.
    """
    program = (
        f"{PEAK}\nimport numpy as np\n"
        "from PIL import Image\n"
        "from mien.data.color import to_8_bits\n"
        "image = Image.fromarray(np.full((4000, 6000), 40000, np.uint16))\n"
        "before = peak()\n"
        "result = to_8_bits(image)\n"
        "assert result.getpixel((0, 0)) == round(255 * 40000 / 65535)\n"
        "print(peak() - before)\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=True)
    assert float(result.stdout) < 24 * 6


def test_large_pictures_are_decoded_one_at_a_time(monkeypatch):
    monkeypatch.setattr("mien.data.pictures.MANY", 100)
    running, most, lock = 0, 0, threading.Lock()
    original = Image.Image.load

    def load(image, *arguments):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1
        return original(image, *arguments)

    data = picture("PNG")
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", load)
    threads = [threading.Thread(target=open_picture, args=(data,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_damaged_deflate_data_is_an_error_of_the_file(tmp_path):
    """zlib's own error is no OSError, so it needs a place of its own in every reader."""
    assert not issubclass(zlib.error, OSError)
    path = tmp_path / "a-ubyte.gz"
    data = bytearray(gzip.compress(bytes([0, 0, 8, 1, 0, 0, 3, 232]) + os.urandom(1000)))
    data[20:60] = b"\xff" * 40
    path.write_bytes(bytes(data))
    with pytest.raises(MienError, match="is damaged"):
        read_idx(path, 1)


def test_odd_names_in_a_zip_write_nothing_and_stay_on_their_line(tmp_path, capsys, monkeypatch):
    """Names with a path upward, a line separator, an escape sequence; Python cuts a name at its zero byte."""
    from mien import cli

    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "below" / "cache"))
    names = ["../../outside.png", "a\u2028b.png", "c\x1b[2J.png", "d\nerror: e.png", "/absolute.png", "zero-byte.png"]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in names:
            archive.writestr(name, picture("PNG"))
        archive.writestr("f\u2028\x1b[2J.png", b"no picture")
    content = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(content.replace(b"zero-byte", b"zero\0byte"))
    words = ["data", "prepare", "folder", "--root", str(tmp_path / "a.zip"), "--size", "8"]
    monkeypatch.setattr(sys, "argv", ["mien", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    out, error = capsys.readouterr()
    assert end.value.code in (0, None), error
    assert "\x1b" not in out + error
    assert "\u2028" not in out + error
    assert not list(tmp_path.parent.rglob("outside.png"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "below"]


def test_commands_with_a_pipe_among_the_pictures_end(pipe, tmp_path, capsys, monkeypatch):
    from mien import cli
    from mien.experiment import train
    from mien.run.data import Data

    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    train("vae", Data("avatars", size=16, options={"count": 60}), tmp_path / "run", {"width": 4}, steps=1, device="cpu")
    folder = tmp_path / "pictures"
    folder.mkdir()
    pipe.rename(folder / "a.png")
    for name in ("b.png", "c.png"):
        (folder / name).write_bytes(picture("PNG"))

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["mien", *map(str, words)])
        end = within(60, cli.main)
        return end.code or 0, capsys.readouterr()

    code, (_, error) = call("data", "prepare", "folder", "--root", folder, "--size", "8")
    assert code == 0, error
    os.mkfifo(folder / "attributes.csv")
    code, (_, error) = call("data", "prepare", "folder", "--root", folder, "--size", "16")
    assert code == 2
    assert "a pipe or a device" in error
    os.remove(folder / "attributes.csv")
    (folder / "d.png").symlink_to("/dev/zero")  # endless
    code, (_, error) = call("data", "prepare", "folder", "--root", folder, "--size", "16")
    assert code == 0, error
    code, (_, error) = call("reconstruct", tmp_path / "run", folder / "a.png", "--out", tmp_path / "x.png")
    assert code == 2
    assert "a pipe or a device" in error
