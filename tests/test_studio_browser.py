"""The studio in a real browser: Debian's chromium, driven by Playwright. The server is the command itself."""

import importlib.util
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import pytest
from PIL import Image

from mien import photos
from mien.studio.runs import serve

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
MISSING = [name for name in ("gradio", "playwright") if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"missing: {MISSING}: pip install 'mien[studio]' playwright"),
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
    pytest.mark.xdist_group("studio"),
]
WAIT = 30_000  # milliseconds


class Server:
    """``mien studio`` in a process, with a temporary folder of its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = one.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mien.cli", "studio", "--no-browser", "--port", str(self.port)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "TMPDIR": str(folder)},
        )  # fmt: skip
        self.line = self.process.stdout.readline()

    def stop(self) -> tuple[int, str]:
        """Press Ctrl-C; return the exit code and the rest of the output."""
        self.process.send_signal(signal.SIGINT)
        try:
            rest = self.process.communicate(timeout=30)[0]
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        return self.process.returncode, rest


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("served"))
    assert server.url in server.line, server.line + server.process.stdout.read()
    yield server
    if server.process.poll() is None:
        server.stop()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


class Visitor:
    """A page of a browser context of its own, and every address that it asked for."""

    def __init__(self, browser, url, **options):
        self.context = browser.new_context(accept_downloads=True, **options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(WAIT)
        self.requests = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(url)
        self.page.wait_for_selector("#edit-source input[type=file]", state="attached")

    def upload(self, file):
        self.page.set_input_files("#edit-source input[type=file]", str(file))

    def wait_for_face(self):
        self.page.wait_for_selector("#edit-faces img")
        self.page.wait_for_function("document.querySelectorAll('#edit-result img').length >= 2")

    def move(self, name, value):
        """Type an amount and leave the field; wait until the command line has it."""
        field = self.page.locator(f"#slider-{name} input[type=number]")
        field.fill(str(value))
        field.press("Enter")
        field.blur()
        self.page.wait_for_function(
            "text => document.querySelector('#edit-command').innerText.replace(/\\s/g, '').includes(text)",
            arg=f"{name}={value:+g}",
        )

    def pixels(self, selector, number=-1):
        """The pixels of a picture of the page."""
        address = self.page.locator(f"{selector} img").nth(number).get_attribute("src")
        body = self.context.request.get(address).body()

        return np.asarray(Image.open(io.BytesIO(body)).convert("RGB")).astype(int)

    def toast(self):
        return self.page.locator(".toast-body").first.inner_text()


@pytest.fixture
def visit(browser, server):
    """Open pages, and check at the end that they asked this machine only."""
    visitors = []

    def open_page(**options):
        visitors.append(Visitor(browser, server.url, **options))
        return visitors[-1]

    yield open_page
    for visitor in visitors:
        hosts = {urlparse(url).hostname for url in visitor.requests if urlparse(url).scheme not in ("data", "blob")}
        visitor.context.close()
        assert hosts == {"127.0.0.1"}


@pytest.fixture(scope="module")
def portrait(tmp_path_factory):
    file = tmp_path_factory.mktemp("photos") / "me.png"
    photos.save_photo(photos.portrait(), file)
    return file


def test_a_photo_is_edited_and_downloaded(visit, portrait, tmp_path):
    visitor = visit(viewport={"width": 1280, "height": 900})
    visitor.upload(portrait)
    visitor.wait_for_face()
    outline = (abs(visitor.pixels("#edit-faces") - [255, 176, 32]).max(-1) < 30).sum()
    assert outline > 200
    before = visitor.pixels("#edit-result")
    visitor.move("Smiling", 2)
    after = visitor.pixels("#edit-result")
    assert after.shape == before.shape
    assert abs(after - before).max() > 20
    assert abs(after[:8] - before[:8]).max() <= 2  # the border stays
    visitor.page.wait_for_function("document.querySelector('#edit-identity').innerText.includes('Identity distance')")
    visitor.page.click("#edit-make")
    visitor.page.wait_for_selector("#edit-download")
    with visitor.page.expect_download() as download:
        visitor.page.click("#edit-download")
    assert download.value.suggested_filename == "me-edited.png"
    download.value.save_as(tmp_path / "edited.png")
    edited, original = np.asarray(Image.open(tmp_path / "edited.png")), photos.portrait()
    assert edited.shape == original.shape
    run = serve(["faces-64"])[0]
    expected = photos.edit_photo(original, run.editor, {"Smiling": 2}, run.template)
    assert (edited[~expected.changed] == original[~expected.changed]).all()  # outside the face
    assert (edited == expected.photo).all()
    assert (edited != original).any()
    visitor.page.click("#edit-reset")
    visitor.page.wait_for_function("document.querySelector('#slider-Smiling input[type=number]').value === '0'")


def test_two_visitors_do_not_see_each_other(visit, portrait, tmp_path):
    mirror = tmp_path / "you.png"
    photos.save_photo(photos.portrait()[:, ::-1].copy(), mirror)
    one, other = visit(), visit()
    one.upload(portrait)
    other.upload(mirror)
    one.wait_for_face()
    other.wait_for_face()
    one.move("Smiling", 1)
    other.move("Smiling", 2)
    one.move("Smiling", 1.5)
    assert "me.png" in one.page.locator("#edit-command").inner_text()
    assert "you.png" in other.page.locator("#edit-command").inner_text()
    expected = photos.portrait().astype(int)
    for visitor, picture in ((one, expected), (other, expected[:, ::-1])):
        shown = visitor.pixels("#edit-faces")
        assert np.median(abs(shown - picture)) <= 1
        assert np.median(abs(shown - picture[:, ::-1])) > 5
    third = visit()
    assert third.page.locator("#edit-faces img").count() == 0  # a new visitor sees nothing


def test_a_broken_file_is_a_sentence_and_the_next_photo_works(visit, portrait, tmp_path):
    visitor = visit()
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 this is no photo")
    visitor.upload(broken)
    visitor.page.wait_for_selector(".toast-body")
    assert "broken.jpg: " in visitor.toast()
    assert "Traceback" not in visitor.page.content()
    status = visitor.page.locator("#edit-status")
    status.wait_for()
    assert "broken.jpg: " in status.inner_text()
    visitor.upload(portrait)
    visitor.wait_for_face()
    assert "one face" in status.inner_text()


def test_an_edit_without_a_photo_is_a_sentence(visit):
    visitor = visit()
    visitor.page.click("#edit-make")
    visitor.page.wait_for_selector(".toast-body")
    assert "expected a photo, got none: choose one first" in visitor.toast()


def test_a_sample_is_edited(visit):
    visitor = visit(viewport={"width": 1280, "height": 900})
    visitor.page.get_by_role("tab", name="Generate", exact=True).click()
    visitor.page.click("#generate-go")
    visitor.page.wait_for_selector("#generate-pictures img")
    visitor.page.locator("#generate-pictures button img").nth(2).click()
    visitor.wait_for_face()
    assert "sample-2.png" in visitor.page.locator("#edit-command").inner_text()
    assert "64 × 64 pixels" in visitor.page.locator("#edit-status").inner_text()


def test_attributes_are_recognized(visit, portrait):
    visitor = visit(viewport={"width": 1280, "height": 900})
    visitor.page.get_by_role("tab", name="Recognize", exact=True).click()
    visitor.page.set_input_files("#recognize-source input[type=file]", str(portrait))
    visitor.page.wait_for_selector("#recognize-answer .bars")
    first = visitor.page.locator("#recognize-answer .bars span.yes").first.inner_text()
    assert first == "Smiling"


def test_the_page_fits_a_phone(visit, portrait):
    visitor = visit(viewport={"width": 390, "height": 844})
    visitor.upload(portrait)
    visitor.wait_for_face()
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= 390


def call(client, url, config, trigger, data, session):
    """Call the handler of (element, event) as gradio's own page does; return its output data."""
    ids = {one["props"].get("elem_id"): one["id"] for one in config["components"]}
    element, event = trigger
    number = next(one["id"] for one in config["dependencies"] if [ids[element], event] in map(list, one["targets"]))
    body = {"data": data, "fn_index": number, "session_hash": session, "event_data": None}
    client.post(f"{url}gradio_api/queue/join", json=body).raise_for_status()
    with client.stream("GET", f"{url}gradio_api/queue/data", params={"session_hash": session}, timeout=60) as stream:
        for line in stream.iter_lines():
            message = json.loads(line[5:]) if line.startswith("data:") else {}
            if message.get("msg") == "process_completed":
                assert message["success"], message
                return message["output"]["data"]
    raise AssertionError("the stream ended without an answer")


def test_fifty_sessions_are_held(server, tmp_path):
    """Each has a photo of another color. After all are loaded, each still edits its own."""
    import httpx

    colors = [(5 * n, 250 - 5 * n, 100) for n in range(50)]
    with httpx.Client(timeout=30) as client:
        config = client.get(f"{server.url}config").json()
        count = sum("slider-" in str(one["props"].get("elem_id")) for one in config["components"])
        for n, color in enumerate(colors):
            file = tmp_path / f"{n}.png"
            Image.new("RGB", (64, 64), color).save(file)  # the model's own size: no search for faces
            with file.open("rb") as content:
                path = client.post(f"{server.url}gradio_api/upload", files={"files": (file.name, content)}).json()[0]
            photo = {"path": path, "orig_name": file.name, "meta": {"_type": "gradio.FileData"}}
            call(client, server.url, config, ("edit-source", "input"), [None, photo], f"visitor{n}")
        for n, color in enumerate(colors):
            values = [None, False, *[0.0] * count]
            data = call(client, server.url, config, ("slider-Smiling", "input"), values, f"visitor{n}")
            assert f" {n}.png " in data[2]  # the command line
            before = client.get(server.url.rstrip("/") + urlparse(data[0][0]["url"]).path)
            (tmp_path / "shown.jpg").write_bytes(before.content)
            shown = np.asarray(Image.open(tmp_path / "shown.jpg").convert("RGB")).reshape(-1, 3).mean(0)
            assert abs(shown - color).max() < 4


def test_a_visitor_cannot_read_files_of_the_server(server):
    import httpx

    secret = server.folder / "secret.txt"
    secret.write_text("secret")
    with httpx.Client(timeout=30) as client:
        assert client.get(f"{server.url}gradio_api/file={secret}").status_code == 403
        config = client.get(f"{server.url}config").json()
        photo = {"path": str(secret), "orig_name": "x.png", "meta": {"_type": "gradio.FileData"}}
        with pytest.raises(AssertionError, match="success"):
            call(client, server.url, config, ("edit-source", "input"), [None, photo], "thief")
    secret.unlink()


def test_too_large_a_file_is_refused(server):
    import httpx

    with httpx.Client(timeout=60) as client:
        answer = client.post(f"{server.url}gradio_api/upload", files={"files": ("large.png", b"0" * 42_000_000)})
    assert answer.status_code == 413


def test_ctrl_c_ends_with_130_and_removes_the_photos(server):
    """The last test of this file: it ends the server."""
    assert list(server.folder.glob("mien-studio-*/*"))  # the photos of the tests above
    code, rest = server.stop()
    assert code == 130
    assert "mien/studio" not in rest  # no traceback of mien; gradio prints one for the forged request above
    assert rest.endswith("stopped\n")
    deadline = time.monotonic() + 5
    while list(server.folder.glob("mien-studio-*")) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not list(server.folder.glob("mien-studio-*"))
