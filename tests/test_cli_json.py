"""Every command with --json: stdout has only JSON, with any other options."""

import json
import sys

import numpy as np
import pytest
import typer
from PIL import Image

from mien.cli import app, main
from mien.experiment import train
from mien.run.data import Data
from test_data import celeba_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two runs on avatars, a recognizer, a run on a set that names persons, and two photographs."""
    folder = tmp_path_factory.mktemp("json")
    avatars, faces = Data("avatars", None, 16, {"count": 80}), celeba_folder(folder / "celeba", count=240)
    small = {"width": 4, "latent": 8}
    train("vae", avatars, folder / "a", small, steps=2, batch=8)
    train("vae", avatars, folder / "b", small, steps=2, batch=8, seed=1)
    train("attribute_cnn", avatars, folder / "cnn", {"widths": (4,) * 5}, steps=2, batch=8)
    train("vae", Data("celeba", str(faces), 16), folder / "faces", small, steps=2, batch=8)
    rng = np.random.default_rng(0)
    for name in ("me.png", "you and i.png"):
        Image.fromarray(rng.integers(0, 255, (30, 24, 3), np.uint8)).save(folder / name)
    return folder


CASES = {
    "recognize": [["cnn", "me.png"], ["cnn", "me.png", "you and i.png", "--out", "said.png"]],
    "similarity": [
        ["a", "me.png", "you and i.png"],
        ["a", "me.png", "me.png", "--out", "s.png"],
        ["faces", "--out", "r.png"],
    ],
    "multiview": [["a", "b", "--out", "mv.json"], ["a", "--beside", "b", "--attributes", "--out", "mv2.json"]],
}  # fmt: skip


def test_no_command_with_json_is_left_out():
    commands = typer.main.get_command(app).commands
    result = {name for name, command in commands.items() if any("--json" in o.opts for o in command.params)}
    # measure and measure-edits write JSON into a file, and have tests of their own
    assert result - {"measure", "measure-edits"} == set(CASES)


@pytest.mark.parametrize(("command", "words"), [(c, words) for c, cases in CASES.items() for words in cases])
def test_stdout_is_json_alone(command, words, folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["mien", command, *words, "--json"])
    with pytest.raises(SystemExit) as stop:
        main()
    output = capsys.readouterr()
    assert not stop.value.code, output.err

    def no_json(word):
        raise AssertionError(f"{word} is no JSON")

    assert json.loads(output.out, parse_constant=no_json)
    if "--out" in words:
        assert (folder / words[-1]).stat().st_size > 100


def test_a_mistake_leaves_stdout_empty(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["mien", "recognize", "cnn", "nobody.png", "--json"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("error: nobody.png")


def test_what_was_written_is_still_told(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["mien", "recognize", "cnn", "me.png", "--json", "--out", "told.png"])
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().err == "wrote told.png\n"
