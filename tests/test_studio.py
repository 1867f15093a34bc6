"""The studio without a browser: what its panels compute, what each failure says, and that nothing remains."""

import html
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from conftest import NAMES, tiny
from mien import photos, pretrained
from mien.applications.arithmetic import Editor
from mien.data.pictures import BadPicture
from mien.errors import MienError
from mien.experiment import train
from mien.photos.editing import edit_photo
from mien.run.data import Data
from mien.run.opening import open_run, prepare_edits
from mien.studio import runs, steps
from mien.studio.photo import face_at, open_visitor_photo, outlined, photo_of


@pytest.fixture(scope="module")
def faces() -> runs.Served:
    return runs.serve(["faces-64"])[0]


@pytest.fixture
def photo(tmp_path, faces):
    """The packaged portrait as a PNG of a visitor."""
    photos.save_photo(photos.portrait(), tmp_path / "upload.png")
    return open_visitor_photo(tmp_path / "upload.png", "me.png", tmp_path, [faces.template])


def served(name: str, **settings: object) -> runs.Served:
    model = tiny(name, **settings).eval()
    editor = Editor(model) if getattr(model, "editable", ()) else None
    return runs.Served(name, name, Path("runs") / name, model, None, editor)


def run_with_moved_data(folder: Path) -> tuple[Path, Path]:
    """Train a small model of colored squares; return its run, and the folder of the pictures, which has moved."""
    rng, before, now = np.random.default_rng(0), folder / "before", folder / "now"
    before.mkdir()
    rows = ["file,Red"]
    for number in range(120):
        red = number % 2
        picture = np.full((16, 16, 3), rng.integers(40, 80, 3), np.uint8)
        picture[4:12, 4:12] = (230, 40, 40) if red else (40, 40, 230)
        Image.fromarray(picture).save(before / f"{number:03d}.png")
        rows.append(f"{number:03d}.png,{red}")
    (before / "attributes.csv").write_text("\n".join(rows) + "\n")
    settings = {"width": 8, "latent": 4, "lr": 3e-3}
    run, _ = train("vae", Data("folder", str(before), 16), folder / "dots", settings, steps=40, batch=32)
    opened = open_run(run)
    prepare_edits(run, opened.dataset, opened.index)
    before.rename(now)
    return run, now


def test_sliders_with_the_best_measured_edits_come_first(faces):
    measured = runs.gains(faces.folder)
    ordered = runs.order(faces.editor.names, measured)
    values = [measured[name] for name in ordered if name in measured]
    assert len(values) > 20
    assert values == sorted(values, reverse=True)
    assert set(ordered[: len(values)]) == set(measured) & set(ordered)  # those without a measure are last


def test_thresholds_come_from_the_evaluation_that_the_classifier_judged():
    judge, other = runs.serve(["judge-64", "recognizer-64"])
    limits = runs.thresholds(judge, [judge])
    assert len(limits) > 30
    assert all(0 < value < 1 for value in limits.values())
    assert runs.thresholds(other, [other]) == {}  # no evaluation was judged by it


def test_equal_names_of_runs_get_numbers():
    assert [run.name for run in runs.serve(["recognizer-64", "recognizer-64"])] == ["recognizer-64", "recognizer-64 2"]


def test_the_face_is_found_outlined_and_chosen(photo):
    assert (photo.width, photo.height, len(photo.faces)) == (512, 512, 1)
    drawing = outlined(photo)
    assert (drawing == (255, 176, 32)).all(-1).sum() > 200  # the outline
    left, top, right, bottom = photo.faces[0].box
    colored = np.argwhere((drawing == (255, 176, 32)).all(-1)) * 512 / drawing.shape[0]
    center = colored.mean(0)
    assert top < center[0] < bottom
    assert left < center[1] < right


def test_a_click_chooses_the_nearest_face(tmp_path, faces):
    two = np.concatenate([photos.portrait(), photos.portrait()], 1)
    photos.save_photo(two, tmp_path / "two.png")
    pair = open_visitor_photo(tmp_path / "two.png", "two.png", tmp_path, [faces.template])
    assert len(pair.faces) == 2
    centers = [(face.box[0] + face.box[2]) / 2 / pair.width for face in pair.faces]
    assert [face_at(pair, x, 0.3) for x in centers] == [1, 2]
    pair.number = 2
    assert "--face 2" in steps.command(pair, faces, {"Smiling": 1})
    first, second = (np.array(pair.faces[n].box) for n in (0, 1))
    path = steps.full_size(pair, faces, {"Smiling": 2})
    changed = np.argwhere((np.asarray(Image.open(path)) != two).any(-1))
    assert len(changed)
    half = pair.width / 2  # the other face is in the other half, and stays
    assert ((changed[:, 1] > half) == (second[0] > half)).all()
    assert (first[0] > half) != (second[0] > half)


def test_a_step_changes_the_face_and_nothing_else(photo, faces):
    same = steps.step(photo, faces, {"Smiling": 0.0})
    assert (same.before == same.after).all()
    result = steps.step(photo, faces, {"Smiling": 2.0})
    assert result.after.shape == result.before.shape
    assert (result.after != result.before).any()
    assert (result.after[:5] == result.before[:5]).all()  # the border of the close-up
    assert abs(result.residual.astype(int) - 128).max() > 10


def test_the_preview_of_the_whole_photo_is_the_full_edit(photo, faces):
    """The photo is smaller than a preview, so both are the same picture."""
    amounts = {"Smiling": 1.5, "Young": -1.0}
    preview = steps.step(photo, faces, amounts, whole=True).after
    full = edit_photo(photos.portrait(), faces.editor, amounts, faces.template).photo
    assert abs(preview.astype(int) - full).max() <= 1


def test_the_photo_is_encoded_once(photo, faces, monkeypatch):
    count = []
    encode = type(faces.model).encode
    monkeypatch.setattr(type(faces.model), "encode", lambda self, x: count.append(len(x)) or encode(self, x))
    for amount in (0.5, 1.0, 1.5):
        steps.step(photo, faces, {"Smiling": amount})
    assert count == [1]


def test_the_download_has_the_size_of_the_photo_and_its_pixels_outside_the_face(photo, faces):
    path = steps.full_size(photo, faces, {"Smiling": 1.5})
    assert path.name == "me-edited.png"
    after, before = np.asarray(Image.open(path)), photos.portrait()
    assert after.shape == before.shape
    mask = edit_photo(before, faces.editor, {"Smiling": 1.5}, faces.template).changed
    assert (after[~mask] == before[~mask]).all()
    assert (after[mask] != before[mask]).any()


def test_the_command_line_is_quoted(photo, faces):
    assert steps.command(photo, faces, {"Smiling": 0.001}) == ""  # no edit
    photo.name = "my photo; rm.png"
    assert steps.command(photo, faces, {"Smiling": 1.5, "Young": -0.0}) == (
        "mien edit faces-64 'my photo; rm.png' Smiling=+1.5"
    )


def test_identity_is_near_for_no_edit_and_farther_for_a_large_one(photo, faces):
    def distance(amounts):
        return float(steps.identity(photo, faces, amounts).split()[2].rstrip(":"))

    assert distance({}) == 0
    assert 0 < distance({"Smiling": 1}) < distance({"Male": 3, "Young": -3, "Smiling": 3})


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "empty file"), (b"not a picture at all", "not a picture"), (b"<svg></svg>", "not a picture")],
)
def test_a_bad_file_is_one_sentence(tmp_path, content, words):
    file = tmp_path / "upload"
    file.write_bytes(content)
    with pytest.raises(BadPicture, match=f"^bad.jpg: {words}"):
        open_visitor_photo(file, "bad.jpg", tmp_path)
    assert list(tmp_path.iterdir()) == [file]  # no folder remains


def test_a_photo_is_turned_as_its_exif_says(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    Image.new("CMYK", (30, 20)).save(tmp_path / "a.jpg", exif=exif)
    photo = open_visitor_photo(tmp_path / "a.jpg", "a.jpg", tmp_path)
    assert (photo.width, photo.height) == (20, 30)


def test_no_face_is_one_sentence(tmp_path, faces):
    photo = photo_of(np.full((200, 300, 3), 128, np.uint8), "wall.png", tmp_path, [faces.template])
    with pytest.raises(MienError, match="expected a face, got a photo of 300x200 pixels in which none was found"):
        steps.step(photo, faces, {"Smiling": 1})


def test_a_photo_that_was_removed_is_one_sentence(photo, faces):
    photo.forget()
    with pytest.raises(MienError, match="removed after a while: choose it again"):
        steps.full_size(photo, faces, {"Smiling": 1})
    assert not photo.folder.exists()


def test_few_previews_remain(photo):
    paths = [photo.preview_file(photo.small) for _ in range(20)]
    assert len(set(paths)) == 20
    assert sum(path.exists() for path in paths) <= 6


def test_a_model_of_other_pictures_takes_the_photo_as_it_is(tmp_path):
    run = served("residual_gan")
    torch.manual_seed(0)
    for weights in run.model.parameters():  # a new model changes too little to see
        weights.data += 0.3 * torch.randn_like(weights)
    photo = photo_of(np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8), "x.png", tmp_path)
    result = steps.step(photo, run, {run.editor.names[0]: 1.0})
    assert result.after.shape == (384, 384, 3)
    assert (result.after != result.before).any()
    assert np.asarray(Image.open(steps.full_size(photo, run, {run.editor.names[0]: 1.0}))).shape == (16, 16, 3)


# the panels import gradio


def test_panels_follow_abilities(monkeypatch):
    pytest.importorskip("gradio", reason='the page needs gradio: pip install "mien[studio]"')
    from mien.studio.page import Panels

    def shown(*served_runs):
        return {name for name, own in vars(Panels.of(served_runs)).items() if own}

    assert shown(served("attribute_cnn")) == {"recognize"}
    assert shown(served("residual_gan")) == {"edit"}
    assert shown(served("vae")) == {"generate", "interpolate", "map"}
    assert shown(served("vae"), served("selfexgan")) == {"generate", "interpolate", "map", "compare"}
    monkeypatch.delenv("MIEN_DATA", raising=False)
    assert shown(*runs.serve(["faces-64"])) == {"edit", "generate", "interpolate"}  # it comes without data


def test_samples_follow_seed_and_conditions():
    pytest.importorskip("gradio", reason='the page needs gradio: pip install "mien[studio]"')
    from mien.studio.panel_generate import samples

    run = served("iterative_gan")
    name = run.model.conditions[0]
    plain = samples(run, 4, 1, [], [])
    assert plain.shape == (4, 16, 16, 3)
    assert (plain == samples(run, 4, 1, [], [])).all()
    assert (plain != samples(run, 4, 2, [], [])).any()
    assert (samples(run, 4, 1, [name], []) != samples(run, 4, 1, [], [name])).any()
    with pytest.raises(MienError, match=f"got both for {name}"):
        samples(run, 4, 1, [name], [name])
    with pytest.raises(MienError, match="expected 1 to 64 pictures"):
        samples(run, 65, 1, [], [])


def test_bars_mark_what_is_above_its_own_threshold():
    pytest.importorskip("gradio", reason='the page needs gradio: pip install "mien[studio]"')
    from mien.studio.panel_recognize import bars

    text = bars({"a": 0.4, "b": 0.4, "<c>": 0.9}, {"a": 0.3})
    assert text.count('<span class="yes">0.') == 2  # a and <c>
    assert "&lt;c&gt;" in text
    assert "<c>" not in text


def test_a_path_has_both_ends_and_two_animations(tmp_path, photo, faces):
    pytest.importorskip("gradio", reason='the page needs gradio: pip install "mien[studio]"')
    from mien.studio.panel_interpolate import FRAMES, frames, strip, write_animations

    other = photo_of(photos.portrait()[:, ::-1].copy(), "other.png", tmp_path, [faces.template])
    rows = frames(photo, other, faces, "linear")
    assert rows.shape == (FRAMES, 256, 256, 3)
    reverse = frames(other, photo, faces, "linear")
    assert abs(rows[0].astype(int) - reverse[-1]).max() <= 1
    assert abs(rows[0].astype(int) - rows[-1]).mean() > 3
    assert strip(rows).shape == (128, 9 * 128, 3)
    files = write_animations(rows, tmp_path)
    assert [file.suffix for file in files] == [".gif", ".webp"]
    for file in files:
        with Image.open(file) as animation:
            assert animation.n_frames == 2 * FRAMES - 2  # forth and back, without the ends twice
            animation.seek(FRAMES - 1)
            last = np.asarray(animation.convert("RGB")).astype(int)
        assert abs(last - rows[-1]).mean() < 8
    with pytest.raises(MienError, match="expected two photos"):
        frames(photo, None, faces, "linear")


def test_compare_shows_each_run_by_its_abilities(tmp_path):
    pytest.importorskip("gradio", reason='the page needs gradio: pip install "mien[studio]"')
    from mien.studio.panel_compare import compared

    photo = photo_of(np.zeros((32, 32, 3), np.uint8), "x.png", tmp_path)
    gan, vae = served("residual_gan"), served("vae")
    name = gan.editor.names[0]
    shown = [[caption for _, caption in compared(photo, run, name, 1)] for run in (gan, vae)]
    assert shown == [["input", f"{name.replace('_', ' ')} +1"], ["input", "reconstruction"]]


def test_amounts_are_numbers_of_the_range():
    """While a visitor types, a field may be empty, or have a number beyond the range."""
    pytest.importorskip("gradio", reason='the page needs gradio: pip install "mien[studio]"')
    from mien.studio.components import Amount

    slider = Amount(-3, 3, value=1, step=0.1)
    assert [slider.preprocess(value) for value in (None, 12, -12, 1.25)] == [0, 3, -3, 1.25]


def test_recognize_says_which_threshold_it_uses(photo):
    pytest.importorskip("gradio", reason='the page needs gradio: pip install "mien[studio]"')
    from mien.studio.panel_recognize import RecognizePanel, probabilities

    judge, recognizer = runs.serve(["judge-64", "recognizer-64"])
    panel = RecognizePanel.__new__(RecognizePanel)  # without its components
    panel.runs, panel.limits = (
        [judge, recognizer],
        {run.name: runs.thresholds(run, [run]) for run in (judge, recognizer)},
    )
    first, second = panel._answer(photo).split("recognizer-64")
    assert "The mark is the threshold of each attribute" in first
    assert "The mark is 0.5 for each, because no evaluation has stored thresholds" in second
    assert set(re.findall(r'class="mark" style="left:([0-9.]+)%', second)) == {"50.0"}
    assert len(set(re.findall(r'class="mark" style="left:([0-9.]+)%', first))) > 10
    values = list(probabilities(photo, recognizer).values())
    assert len(values) == 40
    assert values == sorted(values, reverse=True)


@pytest.fixture(scope="module")
def dots(tmp_path_factory):
    """A run of a data set of files, whose folder has moved since its training; and the new folder."""
    return run_with_moved_data(tmp_path_factory.mktemp("dots"))


def test_a_root_is_for_the_runs_that_lack_their_data(dots, monkeypatch):
    monkeypatch.delenv("MIEN_DATA", raising=False)
    run, moved = dots
    with pytest.raises(MienError, match="got no such folder: pass --root FOLDER"):
        runs.serve([run])[0].held_out(3)
    one, faces, drawn = runs.serve([run, "faces-64", "recognizer-64"], root=[moved])
    assert (one.root, faces.root, drawn.root) == ((moved,), (), ())  # the folder has no faces
    assert (one.has_data, faces.has_data) == (True, False)
    pictures, index = one.held_out(3)
    assert pictures.shape == (3, 16, 16, 3)
    assert set(index) <= set(one.opened().splits.test)
    with pytest.raises(MienError, match=r"celeba"):
        runs.serve(["faces-64"], root=[moved])


def test_a_root_without_a_run_of_files_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "_reads_files", lambda values: False)
    with pytest.raises(MienError, match="expected a run whose data are files for --root, got none: leave out --root"):
        runs.serve(["faces-64"], root=[tmp_path])


def test_examples_are_the_portrait_and_held_out_pictures(dots):
    from mien.studio.examples import COUNT, Examples

    run, moved = dots
    examples = Examples(runs.serve(["faces-64", run], root=[moved]))
    assert examples
    portrait, *others = examples.all()
    assert (portrait.picture == photos.portrait()).all()
    assert len(others) == COUNT
    assert {one.run for one in others} == {"dots"}
    lost = Examples(runs.serve([run]))  # without the folder
    assert lost.all() == []
    assert "got no such folder" in lost.failures[0]


def test_a_map_is_clicked_where_its_pictures_are():
    pytest.importorskip("gradio", reason='the page needs gradio: pip install "mien[studio]"')
    from mien.studio.panel_map import Map

    pictures = np.stack([np.full((8, 8, 3), 50 * n, np.uint8) for n in range(3)])
    shown = Map(pictures, ("a", "b", "c"), np.array([[2, 0], [1, -1]]))
    drawing = shown.drawing()
    side = drawing.shape[0] // 2
    for number, (i, j) in {2: (0, 0), 0: (0, 1), 1: (1, 0)}.items():
        x, y = (j + 0.5) * side, (i + 0.5) * side
        assert shown.at(x, y) == number
        assert drawing[int(y), int(x)].tolist() == [50 * number] * 3
    assert shown.at(1.5 * side, 1.5 * side) == -1
    about = html.unescape(shown.about())
    assert 'data-rows="2" data-columns="2"' in about
    assert json.loads(about.partition('data-names="')[2].partition('">')[0]) == ["c", "a", "b", ""]
    assert shown.at(99 * side, 0) == -1


def test_watch_reads_a_log_that_grows(tmp_path):
    pytest.importorskip("gradio", reason='the page needs gradio: pip install "mien[studio]"')
    from mien.studio import panel_watch

    assert panel_watch.quantities(tmp_path) == []
    assert panel_watch.curve(tmp_path, "kl", 0) is None
    log = tmp_path / "log.jsonl"
    log.write_text('{"step": 10, "kl": 3.0}\n{"step": 20, "kl": 2.0}\n{"st')
    assert panel_watch.quantities(tmp_path) == ["kl"]
    first = panel_watch.curve(tmp_path, "kl", 1)
    log.write_text('{"step": 10, "kl": 3.0}\n{"step": 20, "kl": 1.0}\n')
    assert (panel_watch.curve(tmp_path, "kl", 1) == first).all()  # not drawn again for the same length
    assert (
        panel_watch.curve(tmp_path, "kl", 2).shape != first.shape
        or (panel_watch.curve(tmp_path, "kl", 2) != first).any()
    )


def test_a_sentence_is_escaped_and_has_no_traceback(capsys):
    gradio = pytest.importorskip("gradio", reason='the page needs gradio: pip install "mien[studio]"')
    from mien.studio.messages import sentences

    def fail(error):
        raise error

    for error, words in ((MienError("expected <a>"), "expected &lt;a&gt;"), (KeyError("x"), "KeyError: 'x'")):
        with pytest.raises(gradio.Error) as raised:
            sentences(fail)(error)
        assert words in raised.value.message
        assert not raised.value.print_exception
        assert "\n" not in raised.value.message
    assert "Traceback" not in capsys.readouterr().err


def test_without_gradio_one_line_says_what_to_install(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['gradio'] = None\n")
    code = (
        "import importlib.util as u, sys; find = u.find_spec; "
        "u.find_spec = lambda name, *a: None if name == 'gradio' else find(name, *a); "
        "sys.argv = ['mien', 'studio', '--no-browser']; from mien.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr == 'error: expected gradio for the studio, got no such package: pip install "mien[studio]"\n'


def test_a_port_in_use_is_one_line(tmp_path):
    import socket

    pytest.importorskip("gradio", reason='the page needs gradio: pip install "mien[studio]"')
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        port = str(one.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "mien.cli", "studio", "--no-browser", "--port", port],
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: expected a free port, got 127.0.0.1:{port}: ")
    assert done.stderr.count("\n") == 1


def test_the_code_names_no_model():
    names = {*pretrained.names(), *NAMES}
    folder = Path(runs.__file__).parent
    texts = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.py")}
    from mien import models

    for name, text in texts.items():
        code = [line for line in text.splitlines() if "import" not in line]
        for model in models.names():
            assert not any(f'"{model}"' in line for line in code), (name, model)
    assert names  # the pretrained names are defaults of the command only
