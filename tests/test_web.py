"""The page that edits photos in the browser: its files, and in a real browser, served as static files.

The tests in a browser need the npm package onnxruntime-web: its folder or archive in the variable MIEN_ONNX_WEB, or in
node_modules of the project, or npm with a registry.
"""

import base64
import contextlib
import functools
import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import pytest
import torch
from PIL import Image

from mien import photos
from mien.applications.arithmetic import AttributeVectors
from mien.data.reading import read_shape
from mien.errors import MienError
from mien.photos.aligning import apply, similarity
from mien.photos.finding import Face
from mien.photos.template import celeba
from mien.run.editors import load_editor
from mien.run.opening import cached_vectors
from mien.web import write_page
from mien.web.page import FILES, PORTRAIT_POINTS, files
from mien.web.runtime import FILES as RUNTIME_FILES
from mien.web.runtime import PACKAGE, VERSION, read_runtime
from test_cli import mien, refused
from test_export import saved

PROJECT = Path(__file__).parents[1]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
MISSING = [name for name in ("onnx", "onnxruntime", "playwright") if importlib.util.find_spec(name) is None]
browser_test = [
    pytest.mark.skipif(bool(MISSING), reason=f"missing: {MISSING}: pip install 'mien[onnx]' playwright"),
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
    pytest.mark.xdist_group("web"),
]
WAIT = 60_000  # milliseconds
TEMPLATE = celeba(64, 148)  # of faces-64


def fake_package(folder: Path, version: str = "1.30.0") -> Path:
    """A folder like that of the npm package, whose files run nothing."""
    (folder / "dist").mkdir(parents=True)
    for name in RUNTIME_FILES:
        (folder / "dist" / name).write_text(f"// {name}")
    (folder / "package.json").write_text(json.dumps({"name": PACKAGE, "version": version}))
    return folder


# --- the files -----------------------------------------------------------------------------------------------------


def test_the_runtime_is_read_from_a_folder_and_from_an_archive(tmp_path):
    folder = fake_package(tmp_path / "package")
    with tarfile.open(tmp_path / "package.tgz", "w:gz") as archive:
        archive.add(folder, "package")
        archive.addfile(tarfile.TarInfo("../evil.mjs"))
    content, version = read_runtime(folder)
    assert content.keys() == set(RUNTIME_FILES)
    assert version == "1.30.0"
    assert read_runtime(tmp_path / "package.tgz") == (content, version)
    get = f"run npm pack {PACKAGE}@{VERSION} and pass --runtime {PACKAGE}-{VERSION}.tgz"
    (folder / "dist" / RUNTIME_FILES[2]).unlink()
    (tmp_path / "broken.tgz").write_bytes(b"\x1f\x8bnothing")
    for place in (None, tmp_path / "none.tgz", folder, tmp_path / "broken.tgz", tmp_path):
        with pytest.raises(MienError, match=r"expected .*onnxruntime-web|expected an archive") as error:
            read_runtime(place)
        assert get in str(error.value)


def test_the_command_writes_a_page(tmp_path, capsys):
    package = fake_package(tmp_path / "package")
    assert "npm pack onnxruntime-web" in refused(capsys, "web", "faces-64", "--out", tmp_path / "page")
    assert not (tmp_path / "page").exists()
    code, text = mien(capsys, "web", "faces-64", "--runtime", package, "--out", tmp_path / "page")
    assert code == 0, text
    written = {path.relative_to(tmp_path / "page").as_posix() for path in (tmp_path / "page").rglob("*.*")}
    assert written == set(files(RUNTIME_FILES))
    about = json.loads((tmp_path / "page" / "editor.json").read_text())
    assert "non-commercial" in about["license"]
    gains = [one["gain"] for one in about["attributes"]]
    measured = [gain for gain in gains if gain is not None]
    assert measured == sorted(measured, reverse=True)
    assert gains == measured + [None] * (len(gains) - len(measured))
    names = cached_vectors("faces-64").names
    assert [names[one["index"]] for one in about["attributes"]] == [one["name"] for one in about["attributes"]]
    assert {one["name"] for one in about["attributes"] if one["whole"]} == set(photos.masks.BEYOND_FACE)
    np.testing.assert_allclose(about["points"][:2], TEMPLATE.points[:2])
    np.testing.assert_allclose(about["points"][2], TEMPLATE.points[3:].mean(0))
    wide = saved(tmp_path, "vae", shape=(3, 16, 32))[0]
    with pytest.raises(MienError, match="expected a model of square pictures"):
        write_page(wide, tmp_path / "other", None, package)
    for words in (["recognizer-64"], [saved(tmp_path, "iterative_gan")[0]]):
        line = refused(capsys, "web", *words, "--runtime", package, "--out", tmp_path / "other")
        assert "edits one attribute" in line or "Encodes and Decodes" in line


def test_the_page_names_no_other_host_and_runs_no_inline_code():
    for name in FILES:
        text = (PROJECT / "src" / "mien" / "web" / "static" / name).read_text(encoding="utf-8")
        assert not re.search(r"(?:https?:)?//[a-z]", re.sub(r"//[ ].*", "", text)), name
    page = (PROJECT / "src" / "mien" / "web" / "static" / "index.html").read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "unsafe-inline" not in policy
    assert not re.search(r"<script>|\son\w+=|style=", page)


def test_the_marks_of_the_portrait_are_those_of_dlib():
    pytest.importorskip("dlib")
    face = photos.find(photos.portrait())[0]
    points = np.array([*face.five[:2], face.five[3:].mean(0)]) / 512
    np.testing.assert_allclose(PORTRAIT_POINTS, points, atol=0.01)


# --- in a browser --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The npm package onnxruntime-web; the test is skipped if there is none."""
    for place in (os.environ.get("MIEN_ONNX_WEB"), PROJECT / "node_modules" / PACKAGE):
        if place and Path(place).exists():
            return Path(place)
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"no {PACKAGE}: run npm pack {PACKAGE}@{VERSION} and set MIEN_ONNX_WEB to the archive")
    folder = tmp_path_factory.mktemp("npm")
    answer = subprocess.run(
        [npm, "pack", "--prefer-offline", f"{PACKAGE}@{VERSION}"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=200,
    )
    archives = list(folder.glob("*.tgz"))
    if answer.returncode or not archives:
        pytest.skip(f"npm has no {PACKAGE}: {answer.stderr.strip()[-200:]}: set MIEN_ONNX_WEB to its archive")
    return archives[0]


@contextlib.contextmanager
def served(folder):
    """Serve a folder by Python's own server of static files; its address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def address(package, tmp_path_factory):
    """The address of a page of faces-64."""
    with served(write_page("faces-64", tmp_path_factory.mktemp("web"), cached_vectors("faces-64"), package)) as one:
        yield one


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        one = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield one
        one.close()


class Visitor:
    """A page, its requests and the errors on its console."""

    def __init__(self, chromium, address, width=1200, height=900):
        self.context = chromium.new_context(accept_downloads=True, viewport={"width": width, "height": height})
        self.page = self.context.new_page()
        self.page.set_default_timeout(WAIT)
        self.requests, self.errors = [], []
        self.page.on("request", lambda request: self.requests.append((request.method, request.url)))
        self.page.on("console", lambda one: self.errors.append(one.text) if one.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(address)
        self.page.wait_for_selector("html[data-model=ready]")

    def mark(self, points, size):
        """Click points, in pixels of a photo of this size (width, height)."""
        box = self.page.locator("#photo").bounding_box()
        for x, y in points:
            self.page.mouse.click(box["x"] + x * box["width"] / size[0], box["y"] + y * box["height"] / size[1])
        self.page.wait_for_selector("#slider-Smiling:enabled")

    def marks(self, size):
        """The exact points that the page has, in pixels of the photo: those of the click are rounded."""
        self.page.click("#zoom")  # the whole photo
        return np.array(
            self.page.evaluate(
                "([w, h]) => [...document.querySelectorAll('.marker')].map("
                "(one) => [parseFloat(one.style.left) / 100 * w, parseFloat(one.style.top) / 100 * h])",
                list(size),
            )
        )

    def move(self, name, amount):
        if not self.page.locator(f"#slider-{name}").is_visible():
            self.page.click("#more")
        self.page.locator(f"#slider-{name}").fill(str(amount))
        self.page.wait_for_function(
            "(text) => document.documentElement.dataset.shown?.split(',').includes(text)", arg=f"{amount:g}"
        )

    def pixels(self):
        address = self.page.evaluate("document.getElementById('photo').toDataURL()")
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("RGB")).astype(
            int
        )

    def download(self):
        with self.page.expect_download() as one:
            self.page.click("#download")
        return one.value


@pytest.fixture
def visit(chromium, address):
    """Open pages; at the end, check that they asked for files of the page only, and that nothing failed."""
    visitors = []

    def open_page(*arguments):
        visitors.append(Visitor(chromium, address, *arguments))
        return visitors[-1]

    yield open_page
    for visitor in visitors:
        visitor.context.close()
        assert visitor.errors == []
        for method, url in visitor.requests:
            assert method == "GET"
            assert urlparse(url).scheme == "blob" or url.startswith(address), url


def expected_edit(photo, marks, amounts):
    """What mien gives for a face whose eyes and mouth are three marks (3, 2)."""
    own = np.array([*TEMPLATE.points[:2], TEMPLATE.points[3:].mean(0)])
    five = apply(similarity(own, marks), TEMPLATE.points)
    face = Face((0, 0, 1, 1), five)
    return photos.edit_photo(photo, load_editor("faces-64"), amounts, TEMPLATE, faces=[face])


class TestInBrowser:
    """In Debian's chromium."""

    pytestmark = browser_test

    def test_a_photo_is_edited_as_mien_does(self, visit, tmp_path):
        photo = photos.portrait()
        Image.fromarray(photo).save(tmp_path / "me.png")
        visitor = visit()
        visitor.page.set_input_files("#file", str(tmp_path / "me.png"))
        visitor.page.wait_for_selector("#photo")
        assert "1 of 3: click the eye on the left" in visitor.page.inner_text("#status")
        visitor.mark(np.array(PORTRAIT_POINTS) * 512, (512, 512))
        before = visitor.pixels()
        visitor.move("Smiling", -1.5)
        assert np.abs(visitor.pixels() - before).max() > 30
        visitor.page.click("#compare")
        assert (visitor.pixels() == before).all()
        marks = visitor.marks((512, 512))
        np.testing.assert_allclose(marks, np.array(PORTRAIT_POINTS) * 512, atol=1.5)
        for name, amount in (("Smiling", -1.5), ("Bangs", 2)):
            visitor.move("Smiling", 0)
            visitor.move(name, amount)
            download = visitor.download()
            assert download.suggested_filename == "me-edited.png"
            download.save_as(tmp_path / "edited.png")
            with Image.open(tmp_path / "edited.png") as one:
                edited = np.asarray(one.convert("RGB")).astype(int)
            expected = expected_edit(photo, marks, {name: amount})
            difference = np.abs(edited - expected.photo)
            assert difference.max() <= 3
            assert difference.mean() < 0.05
            assert (edited[~expected.changed] == photo[~expected.changed]).all()
            assert np.abs(edited - photo).max() > 30

    def test_a_large_tilted_photo_is_edited_as_mien_does(self, visit, tmp_path):
        """A face of 1,900 pixels is reduced first, and lies partly outside the photo."""
        large = (
            Image.fromarray(photos.portrait()).crop((130, 10, 330, 210)).resize((2600, 2600), Image.Resampling.BICUBIC)
        )
        photo = np.asarray(large.rotate(20, Image.Resampling.BICUBIC, fillcolor=(90, 90, 90)))
        Image.fromarray(photo).save(tmp_path / "large.png")
        points = (np.array(PORTRAIT_POINTS) * 512 - [130, 10]) * 13 - 1300
        turn = np.radians(20)
        points = points @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) + 1300
        visitor = visit()
        visitor.page.set_input_files("#file", str(tmp_path / "large.png"))
        visitor.page.wait_for_selector("#photo")
        visitor.mark(points, (2600, 2600))
        marks = visitor.marks((2600, 2600))
        visitor.move("Male", 1)
        visitor.download().save_as(tmp_path / "edited.png")
        with Image.open(tmp_path / "edited.png") as one:
            difference = np.abs(
                np.asarray(one.convert("RGB")).astype(int) - expected_edit(photo, marks, {"Male": 1}).photo
            )
        assert difference.max() <= 4
        assert difference.mean() < 0.1

    def test_the_portrait_needs_no_click_and_fits_a_phone(self, visit):
        visitor = visit(400, 800)
        visitor.page.click("#sample")
        visitor.page.wait_for_selector("#slider-Smiling:enabled")
        before = visitor.pixels()
        visitor.move("Eyeglasses", 2)  # behind the button for all
        assert np.abs(visitor.pixels() - before).max() > 20
        assert visitor.page.evaluate("document.documentElement.scrollWidth") <= 400
        visitor.page.click("#reset")
        visitor.page.wait_for_function("() => !/[1-9]/.test(document.documentElement.dataset.shown)")
        assert (visitor.pixels() == before).all()
        assert visitor.download().suggested_filename == "portrait-edited.jpg"

    def test_marks_are_moved_by_keys_and_wrong_ones_are_a_sentence(self, visit):
        visitor = visit()
        visitor.page.click("#sample")
        visitor.page.wait_for_selector("#slider-Smiling:enabled")
        visitor.move("Smiling", -2)
        before, marker = visitor.pixels(), visitor.page.locator(".marker").first
        marker.focus()
        for _ in range(5):
            visitor.page.keyboard.press("ArrowUp")
        visitor.page.wait_for_timeout(1000)
        assert (visitor.pixels() != before).any()
        for _ in range(200):
            visitor.page.keyboard.press("ArrowRight")
        assert "not those of a face" in visitor.page.inner_text("#status")
        assert visitor.page.locator("#slider-Smiling").is_disabled()
        visitor.page.click("#mark")
        assert "1 of 3" in visitor.page.inner_text("#status")

    def test_a_broken_file_is_a_sentence(self, visit, tmp_path):
        visitor = visit()
        (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 this is no photo")
        Image.new("RGB", (8, 8)).save(tmp_path / "tiny.png")
        sentences = {
            "broken.jpg": "broken.jpg cannot be read as a picture. Choose a JPEG, PNG or WebP file.",
            "tiny.png": "This photo has 8 × 8 pixels. Choose a larger one.",
        }
        for name, sentence in sentences.items():
            visitor.page.set_input_files("#file", str(tmp_path / name))
            visitor.page.wait_for_selector("#status.bad")
            assert visitor.page.inner_text("#status") == sentence
            assert visitor.page.locator("#photo").is_hidden()
            assert visitor.page.locator("#slider-Smiling").is_disabled()

    def test_other_pictures_than_faces_need_no_marks(self, package, chromium, tmp_path):
        run, model = saved(tmp_path, "vae")
        vectors = AttributeVectors(("a",), torch.full((1, 8), 0.5), (9,), (9,))
        Image.fromarray(photos.portrait()).crop((100, 0, 360, 200)).save(tmp_path / "me.png")
        with served(write_page(run, tmp_path / "page", vectors, package)) as address:
            visitor = Visitor(chromium, address)
            visitor.page.set_input_files("#file", str(tmp_path / "me.png"))
            visitor.page.wait_for_selector("#slider-a:enabled")
            assert visitor.page.locator(".marker").count() == 0
            visitor.move("a", 2)
            visitor.download().save_as(tmp_path / "edited.png")
            visitor.context.close()
        assert visitor.errors == []
        with Image.open(tmp_path / "edited.png") as one, Image.open(tmp_path / "me.png") as other:
            difference = np.asarray(one.convert("RGB")).astype(int) - np.asarray(other)
        assert (difference[:, :30] == 0).all()  # beside the centered square
        x = read_shape([tmp_path / "me.png"], model.config["shape"])
        with torch.inference_mode():
            z = model.encode(x).mean
            change = 127.5 * (model.decode(z + 1.0) - model.decode(z))[0].permute(1, 2, 0).numpy()
        middle = difference[100, 130]
        assert np.abs(middle - change[7:9, 7:9].mean((0, 1))).max() < 12
        assert np.abs(difference).max() > 5
