"""Laws of the figures and of the report page; no pixels are frozen."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from html.parser import HTMLParser

import matplotlib
import numpy as np
import pytest
from PIL import Image

from mien import figures
from mien.errors import MienError, UnknownName
from mien.figures import Captioned, Section, curves, page, save
from mien.figures.curves import MANY, series
from mien.figures.page import document
from mien.figures.pictures import enlarged, pictures

pytestmark = pytest.mark.filterwarnings("error")

NASTY = '<script>alert("x")</script> & $\\frac{1 https://example.org'


def some(n: int, kind: str, seed: int = 0) -> np.ndarray:
    """Return n pictures of a kind, none of them with a white pixel."""
    draw = np.random.default_rng(seed)
    if kind == "gray":
        return draw.uniform(-1, 0.8, (n, 1, 28, 20)).astype(np.float32)
    if kind == "color":
        return draw.uniform(-1, 0.8, (n, 3, 12, 16))
    if kind == "large":
        return draw.uniform(-1, 0.8, (n, 3, 140, 100)).astype(np.float32)
    return draw.integers(0, 230, (n, 9, 14, 1 if kind == "gray bytes" else 3), dtype=np.uint8)


KINDS = ["gray", "color", "large", "gray bytes", "bytes"]


def every(kind: str) -> dict:
    """Return one of each figure that holds pictures."""
    x, y = some(4, kind), some(4, kind, 1)
    steps = np.stack([x, y, x], axis=1)
    probs = np.random.default_rng(0).uniform(size=(4, 3))
    names = ["Bald", "5_o_Clock_Shadow", NASTY]
    truth = np.array([[1, -1, 0]] * 4)
    return {
        "samples": figures.samples(x, columns=3),
        "reconstructions": figures.reconstructions(x, y, columns=3),
        "models": figures.reconstructions(x, np.stack([y, y]), names=["real", "one", NASTY]),
        "interpolation": figures.interpolation(steps),
        "ends": figures.interpolation(steps, alphas=[-0.5, 0, 1], ends=(x, y), labels=list("abcd")),
        "edits": figures.attribute_edits(x, steps, attributes=[*names, "Male"]),
        "counterfactuals": figures.counterfactuals(x, y, x, edits=["+Eyeglasses", NASTY, "", "a b"]),
        "probabilities": figures.probabilities(x, probs, names, truth=truth),
        "unmarked": figures.probabilities(x[:1], probs[:1], names),
    }


HISTORY = [
    {"step": i, "kl": 5 + np.sin(i), "rec": float(10 ** (3 - i / 30)), "lr": 1e-4, "note": "x"} for i in range(120)
]


def charts() -> dict:
    """Return the figures without pictures."""
    names = [f"attribute_{i}" for i in range(5)]
    return {
        "curves": figures.curves(HISTORY),
        "bars": figures.accuracy_bars([*names, NASTY], np.linspace(0, 1, 6), np.full(6, 0.5)),
        "plain": figures.accuracy_bars(names, np.linspace(0.1, 1, 5)),
    }


def pixels(figure) -> np.ndarray:
    """Return a figure as save would write it in a PNG, uint8 (H, W, 3)."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=figure.dpi)
    return np.asarray(Image.open(buffer).convert("RGB"))


@pytest.mark.parametrize("kind", ["gray", "bytes", "large"])
def test_every_figure_is_drawn_and_says_what_it_shows(kind, tmp_path):
    for name, figure in every(kind).items():
        assert figure.get_label(), name
        written = save(figure, tmp_path / f"{name}.png")
        with Image.open(written) as image:
            assert min(image.size) > 20
            assert np.ptp(np.asarray(image.convert("L"))) > 100


def test_charts_are_drawn(tmp_path):
    for name, figure in charts().items():
        assert figure.get_label()
        assert np.ptp(np.asarray(Image.open(save(figure, tmp_path / f"{name}.png")).convert("L"))) > 100


@pytest.mark.parametrize("kind", ["gray", "color", "gray bytes", "large"])
def test_pictures_are_drawn_pixel_for_pixel(kind):
    """Cut at the white between them, the pictures of a row are the pictures, enlarged by a whole number."""
    x = some(3, kind)
    image = pixels(figures.samples(x))
    white = (image == 255).all(axis=2)
    inked = image[~white.all(axis=1)]
    edges = np.flatnonzero(np.diff(np.concatenate([[True], white.all(axis=0), [True]]).astype(int)))
    parts = [inked[:, start:end] for start, end in zip(edges[::2], edges[1::2], strict=True)]
    assert len(parts) == 3
    for part, picture in zip(parts, pictures(x), strict=True):
        scale = part.shape[0] // picture.shape[0]
        np.testing.assert_array_equal(part, enlarged(picture, scale))


@pytest.mark.parametrize("kind", KINDS)
def test_a_sheet_holds_every_picture(kind):
    x = some(5, kind)
    shown = pictures(x)
    height, width = 2 * shown.shape[1], 2 * shown.shape[2]
    whole = figures.sheet(x, columns=3, pad=3, scale=2)
    assert whole.shape == (2 * height + 9, 3 * width + 12, 3)
    assert whole.dtype == np.uint8
    for i, picture in enumerate(shown):
        top, left = 3 + i // 3 * (height + 3), 3 + i % 3 * (width + 3)
        np.testing.assert_array_equal(whole[top : top + height, left : left + width], enlarged(picture, 2))
    assert (whole[-height:, -width:] == 255).all()
    assert figures.sheet(x, columns=50).shape[1] > figures.sheet(x, columns=5, pad=0).shape[1]


def test_floats_become_bytes_evenly():
    x = np.linspace(-1.2, 1.2, 256).reshape(1, 1, 16, 16)
    shown = pictures(x)
    assert (shown[..., 0] == shown[..., 2]).all()
    flat = shown[0, ..., 0].ravel().astype(int)
    assert flat[0] == 0
    assert flat[-1] == 255
    assert (np.diff(flat) >= 0).all()


x4 = np.zeros((4, 1, 8, 6), np.float32)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: figures.samples(np.zeros((0, 1, 8, 8))), "at least one"),
        (lambda: figures.samples(np.zeros((1, 8, 8))), r"\(1, 8, 8\)"),
        (lambda: figures.samples(np.zeros((2, 8, 8, 3))), "C, H, W"),
        (lambda: figures.samples(np.zeros((2, 3, 8, 8), np.uint8)), "uint8"),
        (lambda: figures.samples(np.zeros((2, 3, 8, 8), int)), "int64"),
        (lambda: figures.samples(np.full((2, 3, 8, 8), np.nan)), "not finite"),
        (lambda: figures.samples(np.full((2, 3, 8, 8), 200.0)), "127.5"),
        (lambda: figures.samples([[1, 2], [3]]), "as an array"),
        (lambda: figures.samples(x4, columns=0), "columns"),
        (lambda: figures.sheet(x4, columns=0), "columns"),
        (lambda: figures.sheet(x4, pad=-1), "pad"),
        (lambda: figures.sheet(x4, scale=1.5), "scale"),
        (lambda: figures.reconstructions(x4, x4[:3]), "one shape"),
        (lambda: figures.reconstructions(x4, x4, names=["one"]), "expected 2 names"),
        (lambda: figures.interpolation(x4), "R, S, C, H, W"),
        (lambda: figures.interpolation(x4[None], alphas=[0, 1]), "4 numbers"),
        (lambda: figures.interpolation(x4[None], ends=(x4, x4)), "one shape"),
        (lambda: figures.interpolation(x4[None], ends=x4), "two arrays"),
        (lambda: figures.attribute_edits(x4, x4[:, None], attributes=["a"]), "expected 4 attributes"),
        (lambda: figures.attribute_edits(x4, x4[:, None], attributes="Bald"), "as a list"),
        (lambda: figures.counterfactuals(x4, x4, x4[:2]), "one shape"),
        (lambda: figures.counterfactuals(x4, x4, x4, edits=["a"]), "expected 4 edits"),
        (lambda: figures.probabilities(x4, np.zeros((4, 2)), ["a"]), r"probs as numbers \(4, 1\)"),
        (lambda: figures.probabilities(x4, np.full((4, 1), 1.5), ["a"]), r"in \[0, 1\]"),
        (lambda: figures.probabilities(x4, np.zeros((4, 0)), []), "at least one"),
        (lambda: figures.probabilities(x4, np.zeros((4, 1)), ["a"], truth=np.full((4, 1), 7)), "truth"),
        (lambda: figures.accuracy_bars([], []), "at least one"),
        (lambda: figures.accuracy_bars(["a"], [np.nan]), r"in \[0, 1\]"),
        (lambda: figures.accuracy_bars(["a"], [0.5], [0.5, 0.5]), "baseline"),
        (lambda: curves([]), "got 0 records"),
        (lambda: curves([{"kl": 1.0}]), "'step'"),
        (lambda: curves([{"step": 1, "note": "x"}]), "a number to draw"),
        (lambda: curves(HISTORY, keys="kl"), "as a list"),
        (lambda: curves(HISTORY, keys=[]), "at least one key"),
        (lambda: curves(HISTORY, keys=["k"]), "did you mean kl"),
        (lambda: figures.metric_table([]), "at least one row"),
        (lambda: figures.metric_table([{"a": 1}], columns=["b"]), "unknown column 'b'"),
        (lambda: figures.metric_table([{"a": 1}], digits=0), "digits"),
        (lambda: save("figure", "a.png"), "expected a figure"),
        (lambda: save(figures.sheet(x4), "a.svg"), "ending in .png"),
        (lambda: save(figures.samples(x4), "a.jpg"), "ending in .png, .svg or .pdf"),
        (lambda: document(" ", [Section("a")]), "title"),
        (lambda: document("a", []), "at least one section"),
        (lambda: document("a", ["text"]), "as Section"),
        (lambda: document("a", [Section("a", "", 3)]), "expected a figure"),
        (lambda: document("a", [Section("a", "", np.zeros((4, 4)))]), "expected a sheet"),
        (lambda: document("a", [Section("a", "", Captioned("text", "c"))]), "to caption"),
    ],
)
def test_errors_say_what_was_wanted(call, said):
    with pytest.raises(MienError, match=said):
        call()


def test_tensors_are_taken_and_refused_with_a_reason():
    torch = pytest.importorskip("torch")
    assert figures.sheet(torch.zeros(2, 3, 8, 8)).shape[2] == 3
    with pytest.raises(MienError, match="detach"):
        figures.sheet(torch.zeros(2, 3, 8, 8, requires_grad=True))
    with pytest.raises(MienError, match="as an array"):
        figures.sheet(torch.zeros(2, 3, 8, 8, dtype=torch.bfloat16))


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_the_same_figure_is_the_same_file(ending, tmp_path):
    one, other = (
        save(figures.reconstructions(some(2, "gray"), some(2, "gray")), tmp_path / f"{i}.{ending}") for i in "ab"
    )
    assert one.read_bytes() == other.read_bytes()
    assert len(list(tmp_path.iterdir())) == 2


def test_save_is_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "new folder" / "a.png"
    save(figures.sheet(x4), path)
    before = path.read_bytes()

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(MienError, match="No space left"):
        save(figures.sheet(x4 + 1), path)
    with pytest.raises(MienError, match=r"could not write .*index.html"):
        page(path.parent, "a", [Section("a")])
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["a.png"]


def test_save_where_it_cannot(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MienError, match="could not write"):
        save(figures.sheet(x4), tmp_path / "file" / "a.png")


def test_settings_of_the_user_change_nothing_and_stay():
    usual = pixels(figures.interpolation(some(2, "gray")[None]))
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "image.interpolation": "bicubic"}):
        before = dict(matplotlib.rcParams)
        unusual = figures.interpolation(some(2, "gray")[None])
        assert dict(matplotlib.rcParams) == before
    np.testing.assert_array_equal(pixels(unusual), usual)


def test_importing_is_cheap_and_drawing_needs_no_pyplot(tmp_path):
    code = (
        "import sys, numpy as np, mien.figures as f;"
        "assert not {'torch', 'matplotlib', 'PIL', 'jinja2'} & set(sys.modules), 'import';"
        "f.save(f.samples(np.zeros((1, 1, 4, 4))), sys.argv[1]);"
        "assert not {'torch', 'matplotlib.pyplot', 'jinja2'} & set(sys.modules), 'drawing'"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "a.png"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_curves_share_a_panel_only_where_they_have_a_scale_in_common():
    alike = [{"step": i, "a": np.sin(i), "b": np.cos(i)} for i in range(50)]
    assert len(curves(alike).axes) == 1
    apart = [record | {"c": 1000 * np.sin(i)} for i, record in enumerate(alike)]
    assert len(curves(apart).axes) == 3
    styles = {
        (line.get_linestyle(), line.get_marker()) for line in curves(alike).axes[0].lines if line.get_marker() != "None"
    }
    assert len(styles) == 2


@pytest.mark.parametrize(
    ("values", "scale"),
    [((1, 150), "log"), ((1, 90), "linear"), ((-1, 500), "linear"), ((0, 500), "linear"), ((3, 3), "linear")],
)
def test_the_axis_is_logarithmic_over_two_decades(values, scale):
    history = [{"step": i, "loss": value} for i, value in enumerate(np.linspace(*values, 60))]
    assert curves(history).axes[0].get_yscale() == scale


def test_histories_with_gaps():
    """NaN, infinities, keys that are only sometimes there, one step, a resumed run: all are drawn."""
    history = [{"step": i, "a": np.nan if i % 3 else i, "b": np.inf} for i in range(80)]
    history += [{"step": 79, "a": 5.0, "c": np.float32(2)}, {"step": 40, "d": None, "e": True}]
    drawn = {one.key: one for one in series(history)}
    assert set(drawn) == {"a", "b", "c"}
    assert drawn["a"].values[-1] == 5
    assert (np.diff(drawn["a"].steps) > 0).all()
    assert pixels(curves(history)).size
    assert pixels(curves([{"step": 7, "a": 1.0}])).size


def test_a_long_history_is_drawn_with_few_points():
    values = np.zeros(50_000)
    values[33_333] = 9
    figure = curves([{"step": i, "a": value} for i, value in enumerate(values)])
    drawn = [line.get_ydata() for line in figure.axes[0].lines]
    assert max(map(len, drawn)) <= 2 * MANY
    assert max(map(np.max, drawn)) == 9  # a spike is not lost


@pytest.mark.parametrize("value", [1e-4, 0.0, -3.0])
def test_a_constant_has_one_tick(value):
    (axes,) = curves([{"step": i, "lr": value} for i in range(60)]).axes
    assert axes.get_yticks() == [value]
    low, high = axes.get_ylim()
    assert low < value < high


@pytest.mark.parametrize("n", [2, 4])
def test_legends_cover_no_line_and_lie_in_the_figure(n):
    from mien.figures.explore import roc_curves

    names = [f"{'name of a series'[: 16 // n]} {i}" for i in range(n)]
    alike = [{"step": i} | {name: np.sin(i + k) for k, name in enumerate(names)} for i in range(50)]
    scores = {name: (np.arange(5) + 1, np.arange(5)) for name in names}
    for figure in (curves(alike), roc_curves(scores, auc=dict.fromkeys(names, ".68 (.50 to .90)"))):
        figure.canvas.draw()
        (axes,) = figure.axes
        legend = axes.get_legend().get_window_extent()
        assert not legend.overlaps(axes.get_window_extent())
        assert figure.bbox.x0 <= legend.x0 < legend.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= legend.y0 < legend.y1 <= figure.bbox.y1


def test_accuracies_are_sorted_and_wrong_bars_are_hatched():
    figure = figures.accuracy_bars(["low", "high", "middle"], [0.2, 0.9, 0.5], 0.4)
    axes = figure.axes[1]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["high", "middle", "low"]
    assert [bool(bar.get_hatch()) for bar in axes.patches] == [False, False, True]
    for truth in (np.array([[True, False, True]]), np.array([[1, -1, 1]])):
        figure = figures.probabilities(x4[:1], [[0.9, 0.8, 0.1]], list("abc"), truth=truth)
        assert [bool(bar.get_hatch()) for bar in figure.axes[1].patches] == [False, True, True]
    figure = figures.probabilities(x4[:1], [[0.9, 0.8, 0.1]], list("abc"), truth=np.zeros((1, 3)))
    assert not any(bar.get_hatch() for bar in figure.axes[1].patches)


def test_tables():
    rows = [
        {"model": "vae", "fid": (71.26, 0.4), "n": 202599, "ok": True, "x": 1e-9},
        {"model": "b|<i>", "fid": (38.5, None), "n": np.int64(7), "ok": None, "x": np.nan},
        {"model": "c", "fid": 38.52, "x": -np.inf},
    ]
    table = figures.metric_table(rows, units={"fid": "1"}, lower=["fid"], higher=["n"])
    assert table.heads[1] == "fid / 1"
    assert [row[1] for row in table.rows] == ["71.3 ± 0.4", "38.5", "38.5"]
    assert [row[2] for row in table.rows] == ["202,599", "7", "–"]
    assert [row[3] for row in table.rows] == ["yes", "–", "–"]
    assert [row[4] for row in table.rows] == ["1.00e−9", "–", "−∞"]
    assert set(table.best) == {(1, 1), (2, 1), (0, 2)}
    assert "<i>" not in table.html()
    assert "<strong>38.5</strong>" in table.html()
    assert "b\\|&lt;i&gt;" in table.markdown()
    assert len({line.count(" | ") for line in table.markdown().splitlines()}) == 1
    assert "38.5*" in str(table)


class Reader(HTMLParser):
    """Checks that elements close in order, and collects ids and references."""

    EMPTY = frozenset({"meta", "img", "br"})

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.ids, self.attributes, self.text = [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes += attrs
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_data(self, data):
        self.text.append(data)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert not reader.open
    return reader


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> str:
    table = figures.metric_table([{NASTY: NASTY, "fid": 3.0}], units={"fid": NASTY})
    shown = [*every("gray").values(), figures.samples(some(2, "large")), *charts().values()]
    body = [Captioned(figure, NASTY) for figure in shown] + [figures.sheet(some(3, "bytes")), table, NASTY]
    sections = [
        Section(NASTY, f"one\n\n{NASTY}", body),
        Section(NASTY, "", Captioned(table, NASTY)),
        Section("ends", "", Captioned(figures.sheet(x4), "a", alt=NASTY)),
    ]
    path = page(tmp_path_factory.mktemp("report"), NASTY, sections, NASTY)
    assert path.name == "index.html"
    return path.read_text(encoding="utf-8")


def test_the_page_fetches_nothing_and_runs_nothing(report):
    reader = read(report)
    assert not {"script", "link", "iframe", "object"} & set(reader.seen)
    for name, value in reader.attributes:
        assert not name.startswith("on"), name
        if name in ("href", "src", "xlink:href", "srcset", "data", "action", "style"):
            assert not re.search(r"https?:|//[a-z]", re.sub(r"base64,[\s\S]*", "", value)), (name, value)
    plain = report.replace("https://example.org", "")  # what the callers wrote, as text
    assert not re.search(r"https?://|<script|@import|javascript:", plain)
    assert "alert(&#34;x&#34;)" in report
    assert NASTY not in report


@pytest.mark.parametrize(
    "words",
    [
        "<script>alert(1)</script>",
        "</title><script>alert(1)</script>",
        "</style><img src=x onerror=alert(1)>",
        '" onmouseover="alert(1)',
        "' autofocus onfocus='alert(1)",
        "a & b &lt; c",
        "{{ 7 * 7 }} {% raw %} {# a #}",
    ],
)
def test_words_are_shown_as_they_are_written(words):
    """A title, a heading, a file name or a cell of a table adds no element and no attribute to the page."""

    def sections(text):
        table, drawn = figures.metric_table([{text: text, "fid": 3.0}]), figures.samples(x4)
        drawn.set_label(text)
        body = [Captioned(table, text, alt=text), Captioned(drawn, text), figures.sheet(x4), text]
        return [Section(text, text, [*body, Captioned(figures.sheet(x4), text, alt=text)]), Section("b", "")]

    harmless, harmful = read(document("a", sections("a"), "a")), read(document(words, sections(words), words))
    assert harmful.seen == harmless.seen
    assert [name for name, _ in harmful.attributes] == [name for name, _ in harmless.attributes]
    # title (2), subtitle, contents, heading, texts (2), captions (3), head and cell of the table
    assert [text.strip() for text in harmful.text].count(words) == 12
    assert [value for name, value in harmful.attributes if name in ("alt", "aria-label")].count(words) == 7


def test_the_page_is_well_formed(report):
    reader = read(report)
    assert len(reader.ids) == len(set(reader.ids))
    references = [value[1:] for name, value in reader.attributes if name == "href" and value.startswith("#")]
    references += re.findall(r"url\(#([^)]+)\)", report)
    assert set(references) <= set(reader.ids)
    assert reader.seen.count("h1") == 1
    assert reader.seen.count("section") == 3


def test_every_picture_of_the_page_has_words_for_it(report):
    for tag in re.findall(r"<img[^>]*>", re.sub(r"base64,[^\"]*", "", report)):
        assert re.search(r'alt="[^"]+"', tag)
    plates = re.findall(r"<svg[^>]*>", report)
    assert len(plates) == 13
    assert all(re.search(r'role="img" aria-label="[^"]+"', plate) for plate in plates)


def test_figures_of_the_page_take_its_colors(report):
    drawn = "".join(re.findall(r"<svg.*?</svg>", report, flags=re.DOTALL)).lower()
    assert not {color for color in figures.style.DARK if color in drawn}
    for name in set(re.findall(r"var\((--c-[^)]+)\)", report)):
        assert report.count(f"{name}:") == 2, name  # a light one and a dark one
    assert "prefers-color-scheme:dark" in report


def test_captions_are_numbered_by_kind(report):
    numbers = re.findall(r"<b>(Figure|Table) (\d+)\.</b>", report)
    for kind in ("Figure", "Table"):
        counted = [int(number) for what, number in numbers if what == kind]
        assert counted == list(range(1, len(counted) + 1))
        assert counted


def test_figures_made_elsewhere_are_taken_too():
    from matplotlib.figure import Figure

    figure = Figure()
    figure.add_subplot().plot([1, 2], [3, 4], color="#123456")
    figure.suptitle("--> <script>")
    text = document("a", [Section("b", "", figure)])
    read(text)
    assert "<script" not in text
    assert "#123456" in text


def test_unknown_names_are_of_their_kind():
    with pytest.raises(UnknownName):
        curves(HISTORY, keys=["nothing"])
