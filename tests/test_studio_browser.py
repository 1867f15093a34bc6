"""The studio in a real browser: Debian's chromium, driven by Playwright. The server is the command itself."""

import base64
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
from test_studio import run_with_moved_data

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

    def __init__(self, folder: Path, *words: object):
        self.folder = folder
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = one.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mien.cli", "studio", "--no-browser", "--port", str(self.port), *map(str, words)],
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
def own_server(tmp_path_factory):
    """A studio of the shipped faces and of a run whose data have moved."""
    run, moved = run_with_moved_data(tmp_path_factory.mktemp("dots"))
    server = Server(tmp_path_factory.mktemp("served"), "faces-64", run, "--root", moved)
    assert server.url in server.line, server.line + server.process.stdout.read()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Chromium, with a camera that sees the portrait."""
    from playwright.sync_api import sync_playwright

    film = tmp_path_factory.mktemp("camera") / "portrait.mjpeg"
    scene = Image.new("RGB", (640, 480), "gray")
    scene.paste(Image.fromarray(photos.portrait()).resize((480, 480)), (80, 0))
    scene.save(frame := io.BytesIO(), "jpeg", quality=95)
    film.write_bytes(frame.getvalue() * 2)
    camera = [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
    ]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *camera])
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

    def tab(self, name):
        self.page.get_by_role("tab", name=name, exact=True).click()

    def choose(self, place, file):
        """Upload a photo in a place, and wait until it is read."""
        self.page.set_input_files(f"#{place}-source input[type=file]", str(file))
        self.page.wait_for_selector(f"#{place}-faces img")

    def wait_for_text(self, selector, text):
        self.page.wait_for_function(
            "([selector, text]) => document.querySelector(selector)?.innerText.includes(text)", arg=[selector, text]
        )

    def send(self, kind, file, target="body"):
        """Paste a file, or drop it at an element, as a visitor does from another program."""
        self.page.evaluate(
            """([kind, selector, name, type, text]) => {
                const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
                const data = new DataTransfer();
                data.items.add(new File([bytes], name, { type }));
                const options = { bubbles: true, cancelable: true };
                const event = kind === "paste"
                    ? new ClipboardEvent("paste", { ...options, clipboardData: data })
                    : new DragEvent("drop", { ...options, dataTransfer: data });
                document.querySelector(selector).dispatchEvent(event);
            }""",
            [kind, target, file.name, "image/png", base64.b64encode(file.read_bytes()).decode()],
        )

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

    def open_page(studio=server, **options):
        visitors.append(Visitor(browser, studio.url, **options))
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
    visitor.move("Smiling", 1)
    assert "sample-2.png" in visitor.page.locator("#edit-command").inner_text()
    assert "64 × 64 pixels" in visitor.page.locator("#edit-status").inner_text()


def test_attributes_are_recognized(visit, portrait):
    visitor = visit(viewport={"width": 1280, "height": 900})
    visitor.page.get_by_role("tab", name="Recognize", exact=True).click()
    visitor.page.set_input_files("#recognize-source input[type=file]", str(portrait))
    visitor.page.wait_for_selector("#recognize-answer .bars")
    first = visitor.page.locator("#recognize-answer .bars span.yes").first.inner_text()
    assert first == "Smiling"
    assert "The mark is 0.5 for each" in visitor.page.locator("#recognize-answer").inner_text()
    widths = visitor.page.locator("#recognize-answer .fill").evaluate_all("all => all.map((one) => one.offsetWidth)")
    assert len(widths) == 40
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 200 > widths[-1]


def test_a_typed_amount_does_what_a_drag_does(visit, portrait):
    visitor = visit(viewport={"width": 1280, "height": 900})
    visitor.upload(portrait)
    visitor.wait_for_face()
    before = visitor.pixels("#edit-result")
    field = visitor.page.locator("#slider-Smiling input[type=number]")
    field.click()
    visitor.page.keyboard.press("Control+a")
    visitor.page.keyboard.type("1.5")  # the field keeps the focus, and Enter is not pressed
    visitor.wait_for_text("#edit-command", "Smiling=+1.5")
    visitor.wait_for_text("#edit-identity", "Identity distance")
    near = visitor.page.locator("#edit-identity").inner_text()
    assert abs(visitor.pixels("#edit-result") - before).max() > 20
    visitor.page.keyboard.press("Control+a")
    visitor.page.keyboard.type("9")  # beyond the range
    visitor.wait_for_text("#edit-command", "Smiling=+3")
    assert field.input_value() == "3"
    visitor.page.wait_for_function(
        "near => /Identity distance/.test(document.querySelector('#edit-identity').innerText) "
        "&& document.querySelector('#edit-identity').innerText !== near",
        arg=near,
    )
    visitor.page.keyboard.press("Control+a")
    visitor.page.keyboard.press("Delete")  # an empty field is no edit
    visitor.page.wait_for_function("!document.querySelector('#edit-command').innerText.includes('Smiling')")
    visitor.page.locator("#slider-Smiling input[type=range]").focus()
    visitor.page.keyboard.press("ArrowRight")
    visitor.wait_for_text("#edit-command", "Smiling=+0.1")
    assert visitor.page.locator(".toast-body").count() == 0


def test_an_example_is_edited(visit):
    visitor = visit()
    visitor.page.locator("#edit-examples button").first.click()
    visitor.page.locator("#edit-gallery button img").first.click()
    visitor.wait_for_face()
    visitor.wait_for_text("#edit-status", "512 × 512 pixels, one face")
    assert visitor.page.locator("#edit-examples").count() == 0


def test_a_photo_is_pasted_and_dropped(visit, portrait, tmp_path):
    small, wide = tmp_path / "small.png", tmp_path / "wide.png"
    Image.new("RGB", (64, 64), "teal").save(small)
    Image.new("RGB", (70, 64), "teal").save(wide)
    visitor = visit()
    visitor.send("paste", small)
    visitor.wait_for_text("#edit-status", "64 × 64 pixels")
    visitor.send("drop", wide)  # beside the place, where another photo is
    visitor.wait_for_text("#edit-status", "70 × 64 pixels, no face found")
    visitor.send("paste", portrait)
    visitor.wait_for_text("#edit-status", "512 × 512 pixels, one face")
    visitor.tab("Interpolate")
    visitor.send("paste", small)
    visitor.page.wait_for_selector("#first-faces img")
    visitor.send("paste", small)
    visitor.page.wait_for_selector("#second-faces img")
    address = visitor.page.url
    visitor.tab("Generate")
    visitor.send("drop", small)  # nowhere to put it
    assert visitor.page.url == address


def test_a_photo_is_taken_with_the_camera(visit):
    visitor = visit(permissions=["camera"])
    visitor.page.click("#edit-source button[aria-label='Capture from camera']")
    visitor.page.get_by_text("Click to Access Webcam").click()
    visitor.page.click("#edit-source button[aria-label='capture photo']")
    visitor.page.wait_for_selector("#edit-faces img")
    visitor.wait_for_text("#edit-status", "640 × 480 pixels")
    visitor.wait_for_face()
    visitor.move("Smiling", 2)
    assert abs(visitor.pixels("#edit-result") - visitor.pixels("#edit-result", 0)).max() > 20


def test_a_photo_of_a_type_that_the_browser_does_not_know_is_read(visit, portrait, tmp_path):
    """Chromium gives HEIC no type, and gradio refuses files without one."""
    file = tmp_path / "me.heic"
    shutil.copyfile(portrait, file)  # a PNG: mien decides by the content
    visitor = visit()
    visitor.upload(file)
    visitor.wait_for_face()
    assert "512 × 512 pixels, one face" in visitor.page.locator("#edit-status").inner_text()


def test_heic_is_read(visit, tmp_path):
    heif = pytest.importorskip("pillow_heif", reason="HEIC needs the extra heic: pip install 'mien[heic]'")
    file = tmp_path / "me.heic"
    heif.from_pillow(Image.fromarray(photos.portrait())).save(file)
    visitor = visit()
    visitor.upload(file)
    visitor.wait_for_face()
    assert "512 × 512 pixels, one face" in visitor.page.locator("#edit-status").inner_text()
    visitor.move("Smiling", 2)
    assert abs(visitor.pixels("#edit-result") - visitor.pixels("#edit-result", 0)).max() > 20


def test_two_photos_are_interpolated(visit, portrait, tmp_path):
    mirror = tmp_path / "you.png"
    photos.save_photo(photos.portrait()[:, ::-1].copy(), mirror)
    visitor = visit(viewport={"width": 1280, "height": 900})
    visitor.tab("Interpolate")
    visitor.page.click("#interpolate-go")
    visitor.page.wait_for_selector(".toast-body")
    assert "expected two photos, got fewer: choose both first" in visitor.toast()
    visitor.choose("first", portrait)
    visitor.choose("second", mirror)
    visitor.page.click("#interpolate-go")
    visitor.page.wait_for_selector("#interpolate-strip img")
    strip = visitor.pixels("#interpolate-strip")
    assert strip.shape == (128, 9 * 128, 3)
    ends = strip[:, :128], strip[:, -128:]
    assert abs(ends[0] - ends[1]).mean() > 3
    assert abs(ends[0] - ends[1][:, ::-1]).mean() < abs(ends[0] - ends[1]).mean()  # the second one is the mirror image
    middle = visitor.page.locator("#interpolate-picture img").get_attribute("src")
    visitor.page.locator("#interpolate-position input[type=number]").fill("1")
    visitor.page.wait_for_function(
        "old => document.querySelector('#interpolate-picture img').getAttribute('src') !== old", arg=middle
    )
    last = visitor.pixels("#interpolate-picture")
    assert abs(last[::2, ::2] - ends[1]).mean() < 4
    for kind in ("gif", "webp"):
        with visitor.page.expect_download() as download:
            visitor.page.click(f"#interpolate-{kind}")
        assert download.value.suggested_filename == f"interpolation.{kind}"
        download.value.save_as(tmp_path / download.value.suggested_filename)
        with Image.open(tmp_path / f"interpolation.{kind}") as animation:
            assert (animation.format, animation.n_frames, animation.size) == (kind.upper(), 48, (256, 256))


def test_the_map_shows_the_picture_below_the_pointer_and_a_click_edits_it(visit, own_server):
    visitor = visit(own_server, viewport={"width": 1280, "height": 1000})
    assert visitor.page.locator("#edit-run input").input_value() == "faces-64"
    visitor.tab("Map")
    visitor.page.click("#map-go")
    visitor.page.wait_for_selector("#map-picture img")
    visitor.page.wait_for_selector(".map-about", state="attached")
    sheet = visitor.pixels("#map-picture")
    about = visitor.page.locator(".map-about")
    rows, columns = (int(about.get_attribute(f"data-{key}")) for key in ("rows", "columns"))
    names = json.loads(about.get_attribute("data-names"))
    image = visitor.page.locator("#map-picture img")
    card = visitor.page.locator("#map-card")
    assert not card.is_visible()
    box = image.bounding_box()
    scale = min(box["width"] / sheet.shape[1], box["height"] / sheet.shape[0])
    left = box["x"] + (box["width"] - sheet.shape[1] * scale) / 2
    for row, column in ((0, 0), (1, columns - 1)):
        y, x = (row + 0.5) * sheet.shape[0] / rows, (column + 0.5) * sheet.shape[1] / columns
        visitor.page.mouse.move(left + x * scale, box["y"] + y * scale)
        card.wait_for()
        assert card.locator("figcaption").inner_text() == names[row * columns + column]
        shown = np.asarray(Image.open(io.BytesIO(card.locator("div").screenshot())).convert("RGB")).astype(int)
        assert abs(np.array(shown.shape) - [176, 176, 3]).max() <= 1  # it may lie between pixels of the screen
        assert abs(shown[88, 88] - sheet[int(y), int(x)]).max() < 30  # red or blue
        assert abs(shown[4, 88] - sheet[int(y - 0.45 * sheet.shape[0] / rows), int(x)]).max() < 30  # dark
    visitor.page.mouse.click(left + x * scale, box["y"] + y * scale)
    visitor.wait_for_face()
    assert not card.is_visible()
    assert "16 × 16 pixels" in visitor.page.locator("#edit-status").inner_text()
    assert visitor.page.locator("#edit-run input").input_value() == "dots"  # the run whose picture it is
    visitor.move("Red", 2)
    assert abs(visitor.pixels("#edit-result") - visitor.pixels("#edit-result", 0)).max() > 10


def test_runs_are_compared_on_a_phone(visit, own_server, portrait):
    visitor = visit(own_server, viewport={"width": 390, "height": 844})
    visitor.tab("Compare")
    visitor.choose("compare", portrait)
    for number in (0, 1):
        visitor.page.wait_for_function(
            "number => document.querySelectorAll(`#compare-${number} img`).length >= 2", arg=number
        )
    captions = [visitor.page.locator(f"#compare-{n} .caption-label").all_inner_texts() for n in (0, 1)]
    assert captions == [["input", "reconstruction"]] * 2
    assert visitor.page.get_by_text("dots", exact=True).is_visible()
    visitor.page.click("#compare-attribute input")
    visitor.page.get_by_role("option", name="Mouth_Slightly_Open", exact=True).click()
    visitor.page.wait_for_function("document.querySelectorAll('#compare-0 img').length === 3")
    assert visitor.page.locator("#compare-0 .caption-label").last.inner_text() == "Mouth Slightly Open +1"
    assert visitor.page.locator("#compare-1 img").count() == 2  # it has no such attribute
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= 390
    for one in visitor.page.locator("#compare-0 .thumbnail-item, #compare-0 .caption-label").all():
        box = one.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
        assert one.evaluate("one => one.scrollWidth <= one.clientWidth + 1"), one.inner_text()  # the name is not cut
    for one in visitor.page.locator("#compare-0 .thumbnail-item").all():
        caption = one.locator(".caption-label").bounding_box()
        assert caption["height"] < one.bounding_box()["height"] / 3


CONTRAST = """() => {
    const numbers = (color) => (color.match(/[\\d.]+/g) || []).map(Number);
    const light = (rgb) => {
        const [r, g, b] = rgb.map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (one) => {
        for (let at = one; at; at = at.parentElement) {
            const [r, g, b, a = 1] = numbers(getComputedStyle(at).backgroundColor);
            if (a > 0.9) return [r, g, b];
        }
        return [255, 255, 255];
    };
    const low = [];
    for (const one of document.querySelectorAll(".gradio-container *")) {
        const text = [...one.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data).join("").trim();
        if (!(/[\\p{L}\\p{N}]/u.test(text) || one.matches("input[type=number], input:not([type])"))) continue;
        if (!one.checkVisibility()) continue;
        const [r, g, b, a = 1] = numbers(getComputedStyle(one).color);
        const back = behind(one);
        const front = [r, g, b].map((v, i) => a * v + (1 - a) * back[i]);
        const [dark, bright] = [light(front), light(back)].sort((x, y) => x - y);
        const ratio = (bright + 0.05) / (dark + 0.05);
        if (ratio < 4.5) low.push(`${text || one.value}: ${ratio.toFixed(1)}`);
    }
    return low;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_panel_is_readable(visit, own_server, portrait, scheme):
    """Text has the contrast that WCAG 2.1 asks for (AA, 4.5 to 1)."""
    visitor = visit(own_server, viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    visitor.upload(portrait)
    visitor.wait_for_face()
    low = {}
    for name in ("Edit", "Generate", "Interpolate", "Compare", "Map", "Watch"):
        visitor.tab(name)
        if name == "Generate":
            visitor.page.click("#generate-go")
            visitor.page.wait_for_selector("#generate-pictures img")
        if name == "Map":
            visitor.page.click("#map-go")
            visitor.page.wait_for_selector("#map-picture img")
        low[name] = visitor.page.evaluate(CONTRAST)
    assert not any(low.values()), low
    background = visitor.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (int(background.removeprefix("rgb(").split(",")[0]) < 60) == (scheme == "dark")


def test_the_page_fits_a_phone(visit, portrait):
    visitor = visit(viewport={"width": 390, "height": 844})
    tabs = visitor.page.get_by_role("tab").all()
    assert [one.inner_text() for one in tabs] == ["Edit", "Generate", "Recognize", "Interpolate", "Compare"]
    assert all(one.is_visible() and one.evaluate("one => one.scrollWidth <= one.clientWidth") for one in tabs)
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
            values = [None, False, 1.0, *[0.0] * (count - 1)]
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
