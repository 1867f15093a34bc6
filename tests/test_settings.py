"""Settings: text to value, the checks of values, and a sentence for every setting of every model."""

import io
import shlex
from pathlib import Path

import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from mien import data, experiment, models
from mien.cli import app
from mien.cli.app import App
from mien.cli.shared import pick_device
from mien.cli.train import _print_outcome
from mien.data.sets import avatars, folder
from mien.errors import MienError, UnknownName
from mien.models.base import arguments, parse_settings
from mien.run.data import Data
from mien.settings import convert, from_text, in_words, meanings
from mien.training.loop import Outcome, Settings


@pytest.mark.parametrize(
    ("text", "annotation", "value"),
    [
        ("1e3", int, 1000),
        ("-7", int, -7),
        ("9007199254740993", int, 9007199254740993),  # not a float
        ("1e-3", float, 0.001),
        ("3", float, 3.0),
        ("true", bool, True),
        ("False", bool, False),
        ("16,32,64", tuple[int, ...], (16, 32, 64)),
        ("(0.5, 0.9)", tuple[float, float], (0.5, 0.9)),
        ("hair", str | None, "hair"),
        ("5", str, "5"),
        ("5", int | None, 5),
    ],
)
def test_texts_become_values(text, annotation, value):
    result = from_text("a setting", text, annotation)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("text", "annotation", "words"),
    [
        ("3.5", int, "a whole number"),
        ("inf", int, "a whole number"),
        ("fast", float, "a number"),
        ("yes", bool, "true or false"),
        ("1,x", tuple[int, ...], "whole numbers separated by commas"),
        ("1,2,3", tuple[int, int], "2 whole numbers separated by commas"),
    ],
)
def test_other_texts_are_refused_in_one_line(text, annotation, words):
    with pytest.raises(MienError) as error:
        from_text("vae's width", text, annotation)
    assert str(error.value) == f"expected {words} for vae's width, got '{text}'"
    assert in_words(annotation) == words


@pytest.mark.parametrize(
    ("value", "annotation"), [(True, int), ("3", int), (1, bool), (None, int), ([1.5], tuple[int])]
)
def test_values_of_another_type_are_refused(value, annotation):
    with pytest.raises(MienError, match="for a setting, got"):
        convert("a setting", value, annotation)


def test_values_of_a_file_become_those_of_the_constructor():
    assert convert("a setting", [1, 2], tuple[int, ...]) == (1, 2)
    assert type(convert("a setting", 8.0, int)) is int
    assert type(convert("a setting", 1, float)) is float
    assert convert("a setting", None, str | None) is None


@pytest.mark.parametrize("name", models.names())
def test_every_setting_of_every_model_has_a_sentence(name):
    texts = meanings(models.get(name))
    assert set(texts) == set(arguments(name))  # and no argument that does not exist
    for key, text in texts.items():
        assert text.endswith("."), f"{name}'s {key}: {text}"
        assert len(text) > 1


def test_options_are_parsed_as_settings_are():
    assert data.parse_options("avatars", ["count=1e3", "classes=hair"]) == {"count": 1000, "classes": "hair"}
    with pytest.raises(UnknownName, match="unknown option of avatars 'cuont': did you mean count"):
        data.parse_options("avatars", ["cuont=3"])
    with pytest.raises(MienError, match="expected --data-option key=value, got 'count': such as"):
        data.parse_options("avatars", ["count"])
    with pytest.raises(MienError, match="expected --set key=value, got 'width': such as --set width=32"):
        parse_settings("vae", ["width"])


@pytest.mark.parametrize("name", data.names())
def test_shapes_are_known_without_files(name):
    size = data.default_size(name)
    height, width, channels = data.shape(name, size)
    assert height in (1, size)  # a signal has the height 1
    assert 0 < width <= size
    assert channels in (1, 3)
    data.check_size(name, size)
    with pytest.raises(MienError, match="expected a size from 8 to"):
        data.check_size(name, 7)


def test_the_shape_without_files_is_that_of_the_source():
    assert data.shape("avatars", 24) == data.source("avatars", count=3).shape(24)


MISTAKES = [
    ({"settings": {"width": -3}}, "width > 0, got -3"),
    ({"settings": {"widht": 3}}, "unknown setting of vae 'widht'"),
    ({"settings": {"lr": "fast"}}, "expected a number for vae's lr"),
    ({"steps": 0}, "1 step or more"),
    ({"steps": 5, "epochs": 1.0}, "--steps or --epochs"),
    ({"epochs": -1.0}, "epochs > 0"),
    ({"batch": 1}, "batch of 2 or more"),
    ({"ema": 1.0}, "EMA"),
    ({"precision": "fp8"}, "fp32 or bf16"),
    ({"size": 4}, "size from 8 to 1024"),
    ({"size": 17}, "multiple of 8"),
]


@pytest.mark.parametrize(("change", "answer"), MISTAKES)
@pytest.mark.parametrize("function", [experiment.train, experiment.dry_run])
def test_mistakes_are_refused_before_the_data_set_is_touched(change, answer, function, monkeypatch):
    def touched(*args, **options):
        raise AssertionError("the data set was opened")

    change = dict(change)
    size = change.pop("size", 16)
    for kind in (avatars.Source, folder.Source):
        monkeypatch.setattr(kind, "__init__", touched)
    monkeypatch.setattr(data, "load", touched)
    for name in ("avatars", "folder"):
        with pytest.raises(MienError, match=answer):
            function("vae", Data(name, size=size), **change)
    with pytest.raises(AssertionError, match="was opened"):  # the trap works
        function("vae", Data("avatars", size=16))


@pytest.mark.parametrize("name", models.names())
def test_every_model_is_checked_without_data(name):
    size = 32
    before = experiment.check(name, Data("avatars", size=size))
    assert before is None
    some = next(key for key, parameter in arguments(name).items() if key in ("lr", "width"))
    with pytest.raises(MienError, match=f"expected {some} > 0"):
        experiment.check(name, Data("avatars", size=size), {some: -1})


def test_a_home_folder_is_expanded_in_settings_and_options(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert parse_settings("dfc_vae", ["loss_network=~/cnn"]) == {"loss_network": "/home/me/cnn"}
    assert data.parse_options("folder", ["table=~/x.csv"]) == {"table": "/home/me/x.csv"}


def test_a_home_folder_is_expanded_in_the_paths_of_every_command(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    values = {}
    trial = App()

    @trial.command()
    def command(root: list[Path] | None = None, out: Path | None = None, text: str = "") -> None:
        values.update(root=root, out=out, text=text)

    trial(["--root", "~/a", "--root", "b", "--out=~/run", "--text", "~"], standalone_mode=False)
    assert values == {"root": [Path("/home/me/a"), Path("b")], "out": Path("/home/me/run"), "text": "~"}


@pytest.mark.parametrize(("gpus", "mps"), [(0, False), (2, False), (0, True)])
def test_devices_are_accepted_where_they_are(monkeypatch, gpus, mps):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    present = {"cpu": True, "cuda": gpus > 0, "cuda:0": gpus > 0, "cuda:1": gpus > 1, "cuda:2": False, "mps": mps}
    for name, there in present.items():
        if there:
            assert pick_device(name) == Settings(steps=1, device=name).device == name
            continue
        for function in (pick_device, lambda name: Settings(steps=1, device=name)):
            with pytest.raises(MienError, match=f"expected a device of this machine, got {name}: choose --device cpu"):
                function(name)
    for name in ("gpu", "cuda:", "cuda:x", "cpu:1"):
        with pytest.raises(MienError, match="expected device auto, cpu, cuda, cuda:N or mps"):
            pick_device(name)


def test_a_device_by_its_number_takes_one_process(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(MienError, match="expected one process on cuda:1, got 2"):
        Settings(steps=1, device="cuda:1", processes=2)


def test_the_message_for_ssavae_on_a_folder_names_the_option():
    with pytest.raises(MienError, match="--data-option classes=folders"):
        models.get("ssavae").needs(None, (), ())


def test_mien_datasets_explains_the_options_of_a_folder(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    app(["datasets"], standalone_mode=False)
    text = capsys.readouterr().out
    assert "Any folder of pictures" in text
    assert 'classes=None: "folders" to take the first folder' in text


def test_the_help_of_train_shows_a_default_for_every_option(monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    lines = CliRunner().invoke(app, ["train", "--help"], terminal_width=300).output.splitlines()
    start = lines.index("Options:")
    options = [line for line in lines[start + 1 :] if line.lstrip().startswith("-")]
    assert len(options) > 20
    assert [line for line in options if "[default: " not in line and "--help" not in line] == []


def test_the_next_line_can_be_copied_into_a_shell(tmp_path):
    console = Console(file=io.StringIO(), width=80)
    folder = tmp_path / "my run's"
    _print_outcome(console, folder, Outcome(5, 5, 1.0, 10.0), "images")
    line = console.file.getvalue().splitlines()[-1]
    assert shlex.split(line)[1:4] == ["mien", "show", str(folder)]
