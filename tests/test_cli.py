"""The command line: results of correct commands, and messages for mistakes."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image

from mien import models
from mien.cli import app, main
from mien.cli.app import SECTIONS
from mien.cli.editing import pictures_and_amounts

DATA = ["--data", "avatars", "--size", "16", "--data-option", "count=240"]


def mien(capsys, *words) -> tuple[int, str]:
    """Run the command in this process; return its exit code and its output."""
    before = sys.argv
    sys.argv = ["mien", *map(str, words)]
    try:
        main()
        code = 0
    except SystemExit as stop:
        code = int(stop.code or 0)
    finally:
        sys.argv = before
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def refused(capsys, *words) -> str:
    """Run the command, which must fail with exit code 2 and one line; return the line."""
    code, text = mien(capsys, *words)
    assert code == 2, text
    lines = [line for line in text.strip().splitlines() if line.strip()]
    if lines[0].startswith("Downloading: "):
        del lines[0]  # torch's own announcement
    assert len(lines) == 1, text
    assert lines[0].startswith("error: "), text
    assert "Traceback" not in text
    return lines[0]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A loss network, a judge and a VAE-WGAN, trained for a few steps by the command."""
    folder = tmp_path_factory.mktemp("runs")

    def train(*words):
        before, sys.argv = sys.argv, ["mien", "train", *map(str, words)]
        try:
            main()
        except SystemExit as stop:
            if stop.code:
                raise
        finally:
            sys.argv = before

    small = ["--set", "widths=8,8,8,8,8", "--steps", "20", "--batch", "16"]
    train("attribute_cnn", *DATA, *small, "--share", "1/2", "--out", folder / "cnn")
    train("attribute_cnn", *DATA, *small, "--share", "2/2", "--seed", "1", "--out", folder / "judge")
    train("vae_wgan", *DATA, "--set", f"loss_network={folder / 'cnn'}", "--set", "width=4", "--set", "latent=8",
          "--steps", "12", "--batch", "16", "--out", folder / "faces")  # fmt: skip
    return folder


@pytest.fixture
def photo(tmp_path):
    """A picture that is not square and has an alpha channel."""
    array = np.random.default_rng(0).integers(0, 255, (40, 60, 4), np.uint8)
    Image.fromarray(array, "RGBA").save(tmp_path / "me.png")
    return tmp_path / "me.png"


def size_of(path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


def test_generate(capsys, runs, tmp_path):
    assert mien(capsys, "generate", runs / "faces", "-n", 9, "--out", tmp_path / "s.png")[0] == 0
    assert size_of(tmp_path / "s.png")[0] > 50
    assert mien(capsys, "generate", runs / "faces", "-n", 3, "--out", tmp_path / "many")[0] == 0
    assert [size_of(p) for p in sorted((tmp_path / "many").iterdir())] == [(16, 16)] * 3
    mien(capsys, "generate", runs / "faces", "-n", 3, "--out", tmp_path / "again")
    assert (tmp_path / "many/000001.png").read_bytes() == (tmp_path / "again/000001.png").read_bytes()


def test_reconstruct_and_interpolate(capsys, runs, tmp_path, photo):
    for words in (
        ["reconstruct", runs / "faces", "--out", tmp_path / "r.png"],
        ["reconstruct", runs / "faces", photo, photo, "--out", tmp_path / "r2.svg"],
        ["interpolate", runs / "faces", "--path", "slerp", "--steps", 5, "--out", tmp_path / "i.png"],
        ["interpolate", runs / "faces", photo, photo, photo, "--out", tmp_path / "i2.pdf"],
        ["interpolate", runs / "faces", "--samples", 3, "--steps", 4, "--out", tmp_path / "i3.png"],
    ):
        code, text = mien(capsys, *words)
        assert code == 0, text
        assert words[-1].stat().st_size > 1000


def test_edit_needs_the_data_only_once(capsys, runs, tmp_path, photo):
    out = tmp_path / "e.png"
    code, text = mien(capsys, "edit", runs / "faces", photo, "Smiling=+1", "Eyeglasses=-1", "--out", out)
    assert code == 0, text
    assert size_of(out) == (16, 16)
    assert (tmp_path / "e-steps.png").exists()
    assert (runs / "faces" / "attribute_vectors.safetensors").exists()
    changed = out.read_bytes()
    assert mien(capsys, "edit", runs / "faces", photo, "Smiling=0", "--out", out, "--force")[0] == 0
    assert out.read_bytes() != changed


def test_recognize(capsys, runs, photo, tmp_path):
    code, text = mien(capsys, "recognize", runs / "cnn", photo, "--json")
    rows = json.loads(text)
    assert code == 0
    assert 0 <= rows[0]["Smiling"] <= 1
    code, text = mien(capsys, "recognize", runs / "cnn", photo, "--out", tmp_path / "p.png")
    assert code == 0
    assert "Eyeglasses" in text


def test_evaluate_and_show(capsys, runs):
    code, text = mien(capsys, "evaluate", runs / "faces", "--judge", runs / "judge", "--count", 24)
    assert code == 0, text
    result = json.loads((runs / "faces" / "evaluation.json").read_text())
    assert {"reconstruction", "feature_fid", "latent_svm", "edits", "judge"} <= result.keys()
    assert result["reconstruction"]["n"] == result["feature_fid"]["n"] == 24
    assert result["edits"]["counterfactual_bound"] > 0
    code, text = mien(capsys, "show", runs / "faces")
    assert code == 0
    assert "feature-FID" in text
    assert "finished" in text
    assert "loss_network = cnn" in text
    code, text = mien(capsys, "evaluate", runs / "cnn")
    assert code == 0, text
    assert "Hamming" in text


def test_evaluate_refuses_the_loss_network_as_judge(capsys, runs):
    line = refused(capsys, "evaluate", runs / "faces", "--judge", runs / "cnn")
    assert "other than the loss network" in line
    assert "not" not in json.dumps(
        json.loads((runs / "faces" / "config.json").read_text())["config"]["loss_network"]["sha256"]
    )


def test_train_again_resumes_and_dry_run_writes_nothing(capsys, runs, tmp_path):
    words = ["train", "vae", *DATA, "--set", "width=4", "--batch", 16, "--out", tmp_path / "v"]
    code, text = mien(capsys, *words, "--steps", 6, "--dry-run")
    assert code == 0, text
    assert not (tmp_path / "v").exists()
    assert mien(capsys, *words, "--steps", 6)[0] == 0
    code, text = mien(capsys, *words, "--steps", 6)
    assert code == 0
    assert "already" in text


def test_lists(capsys):
    assert all(name in mien(capsys, "models")[1] for name in models.names())
    assert "width" in mien(capsys, "models", "vae_wgan")[1]
    assert "avatars" in mien(capsys, "datasets")[1]


def commands() -> dict[str, typer.core.TyperCommand]:
    """Every command, by its words on the command line."""
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    return {
        **{name: command for name, command in group.commands.items() if name != "data"},
        **{f"data {name}": command for name, command in group.commands["data"].commands.items()},
    }


@pytest.mark.parametrize("words", commands())
def test_every_command_has_help_with_examples_and_defaults(capsys, words):
    code, text = mien(capsys, *words.split(), "--help")
    assert code == 0
    assert "Example" in text
    assert f"  mien {words}" in text
    assert "[/]" not in text  # rich's markup is not read here
    assert "[bold]" not in text
    for option in commands()[words].params:
        if option.default not in (None, False, (), "") and option.param_type_name == "option" and option.show_default:
            assert f"[default: {option.default}" in " ".join(text.split()), option.name


@pytest.mark.parametrize("words", commands())
def test_every_command_is_a_file_of_its_name(words):
    file = commands()[words].callback.__module__.removeprefix("mien.cli.")
    if file != "look":  # split in another step
        assert file == words.replace(" ", "_").replace("-", "_")


@pytest.mark.parametrize("words", commands())
def test_help_names_values_by_words_and_not_by_python_types(capsys, words):
    _, text = mien(capsys, *words.split(), "--help")
    assert "list[" not in text
    assert " <" not in text


def test_help_lists_every_command_in_full_sentences(capsys):
    code, text = mien(capsys, "--help")
    assert code == 0
    for words, command in commands().items():
        summary = " ".join(command.help.strip().partition("\n\n")[0].split())
        if " " not in words:
            assert f"{words} {summary}" in " ".join(text.split())
    assert [text.index(f"\n{section}:") for section in SECTIONS] == sorted(text.index(f"\n{s}:") for s in SECTIONS)
    assert "Commands:" not in text  # each has a section


def test_models_are_described(capsys):
    text = mien(capsys, "models")[1]
    assert "encodes, decodes, generates" in " ".join(text.replace("│", " ").split())
    text = " ".join(mien(capsys, "models", "vae")[1].replace("│", " ").split())
    assert "encodes: Maps pictures to a distribution over latents." in text
    assert "latent=100 whole number" in text
    assert "sigma=0.5 number" in text
    assert "shape" not in text.partition("--set")[2].partition("latent")[0]


def test_an_argument_with_an_equals_sign_is_an_amount_unless_it_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Smiling=+1").write_bytes(b"")
    words = ["me.jpg", "Smiling=+1", "Eyeglasses=-0.5"]
    assert pictures_and_amounts(words) == ([Path("me.jpg"), Path("Smiling=+1")], {"Eyeglasses": -0.5})
    (tmp_path / "Smiling=+1").unlink()
    assert pictures_and_amounts(words) == ([Path("me.jpg")], {"Smiling": 1.0, "Eyeglasses": -0.5})


@pytest.mark.parametrize("word", ["Smiling=", "Smiling=much", "Smiling=11", "Smiling=nan", "=1"])
def test_amounts_out_of_range(capsys, runs, photo, word):
    for words in (["edit", runs / "faces", photo], ["generate", runs / "faces"], ["export", runs / "faces"]):
        assert f"expected Attribute=amount from -10 to +10, got '{word}'" in refused(capsys, *words, word)


def test_edit_needs_an_amount(capsys, runs, photo):
    assert "expected an attribute to change, got none" in refused(capsys, "edit", runs / "faces", photo)


@pytest.mark.parametrize("command", ["edit", "generate", "export"])
def test_set_is_an_option_of_train_alone(capsys, runs, command):
    code, text = mien(capsys, command, runs / "faces", "--set", "Smiling=+1")
    assert code == 2
    assert "No such option: --set" in text


def test_an_unknown_attribute_is_refused_before_the_data_are_opened(capsys, runs, photo, tmp_path, monkeypatch):
    from mien.run import editors

    def opened(*args, **options):
        raise AssertionError("the data were opened")

    run = shutil.copytree(runs / "faces", tmp_path / "run")
    for file in run.glob("attribute_vectors.*"):
        file.unlink()
    monkeypatch.setattr(editors, "open_run", opened)
    assert "did you mean Smiling" in refused(capsys, "edit", run, photo, "Smilling=1")
    assert "did you mean Beard" in refused(capsys, "edit", run, photo, "Smiling=1", "--keep", "Bear")
    with pytest.raises(AssertionError, match="were opened"):  # the trap works
        mien(capsys, "edit", run, photo, "Smiling=1")


def test_unknown_names(capsys, runs, photo):
    assert "did you mean vae_wgan" in refused(capsys, "train", "vaewgan")
    assert "did you mean celeba" in refused(capsys, "train", "vae", "--data", "celebA")
    assert "did you mean width" in refused(capsys, "train", "vae", "--set", "widht=3")
    assert "did you mean count" in refused(capsys, "train", "vae", "--data-option", "cuont=3")
    assert "did you mean count" in refused(capsys, "data", "prepare", "avatars", "--data-option", "cuont=3")
    assert "did you mean avatars" in refused(capsys, "data", "prepare", "avatar")
    assert "size from 8 to 1024 pixels, got 4" in refused(capsys, "data", "prepare", "avatars", "--size", 4)
    assert "did you mean Smiling" in refused(capsys, "edit", runs / "faces", photo, "Smilling=1")
    assert "did you mean slerp" in refused(capsys, "interpolate", runs / "faces", "--path", "sleerp")
    assert "did you mean vae" in refused(capsys, "models", "vea")


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["--steps", "0"], "1 step or more"),
        (["--steps", "5", "--epochs", "1"], "--steps or --epochs"),
        (["--epochs", "-1"], "epochs > 0"),
        (["--batch", "1"], "batch of 2 or more"),
        (["--size", "4"], "size from 8 to 1024"),
        (["--size", "17"], "multiple of 8"),
        (["--set", "width=-4"], "width > 0"),
        (["--set", "lr=fast"], "expected a number"),
        (["--set", "width"], "key=value"),
        (["--precision", "fp8"], "fp32 or bf16"),
        (["--device", "tpu"], "auto, cpu, cuda, cuda:N or mps"),
        (["--share", "3/2"], "share I/N"),
        (["--ema", "1"], "EMA"),
        (["--data-option", "count=many"], "expected a whole number"),
    ],
)
def test_values_out_of_range(capsys, tmp_path, words, answer):
    base = ["train", "vae", "--size", "16", "--data-option", "count=240", "--out", tmp_path / "run"]
    assert answer in refused(capsys, *base, *words)
    assert not (tmp_path / "run").exists()


def test_bad_pictures(capsys, runs, tmp_path):
    (tmp_path / "text.png").write_text("I am not a picture")
    (tmp_path / "empty.png").write_bytes(b"")
    Image.new("RGB", (1, 1)).save(tmp_path / "one.png")
    Image.new("L", (20_000, 20_000)).save(tmp_path / "huge.png")
    Image.effect_noise((64, 64), 90).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:1500])
    for name, answer in (
        ("text.png", "not a picture"), ("empty.png", "empty"), ("one.png", "1x1"), ("huge.png", "20000x20000"),
        ("cut.png", "truncated"), ("none.png", "no such file"),
    ):  # fmt: skip
        line = refused(capsys, "recognize", runs / "cnn", tmp_path / name)
        assert answer in line
        assert name in line
    assert "folder" in refused(capsys, "interpolate", runs / "faces", tmp_path, tmp_path)


def test_odd_pictures_work(capsys, runs, tmp_path):
    rng = np.random.default_rng(0)
    gray = rng.integers(0, 255, (30, 20), np.uint8)
    Image.fromarray(gray).save(tmp_path / "gray.png")
    Image.fromarray(np.stack([gray] * 4, -1), "CMYK").save(tmp_path / "cmyk.jpg")
    Image.fromarray(gray.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    turned = Image.fromarray(np.stack([gray] * 3, -1))
    exif = turned.getexif()
    exif[274] = 6
    turned.save(tmp_path / "turned.jpg", exif=exif)
    frames = [Image.fromarray(np.roll(gray, k, 0)) for k in range(3)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    files = sorted(tmp_path.iterdir())
    code, text = mien(capsys, "recognize", runs / "cnn", *files, "--json")
    assert code == 0, text
    assert len(json.loads(text)) == 5


def test_bad_runs(capsys, runs, tmp_path, photo):
    assert "does not exist" in refused(capsys, "generate", tmp_path / "nowhere")
    assert "is a file" in refused(capsys, "show", photo)
    (tmp_path / "empty").mkdir()
    assert "no config.json" in refused(capsys, "generate", tmp_path / "empty")
    config = json.loads((runs / "faces" / "config.json").read_text())
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text(json.dumps(config))
    assert "without weights" in refused(capsys, "generate", broken)
    (broken / "weights.safetensors").write_bytes((runs / "cnn" / "weights.safetensors").read_bytes())
    assert "another model or version" in refused(capsys, "generate", broken)
    (broken / "weights.safetensors").write_bytes((runs / "faces" / "weights.safetensors").read_bytes()[:5000])
    assert "damaged" in refused(capsys, "generate", broken)
    (broken / "config.json").write_text("{")
    assert "something else" in refused(capsys, "show", broken)
    (broken / "config.json").write_text(json.dumps({**config, "format": 99}))
    assert "format 99" in refused(capsys, "show", broken)


def test_missing_abilities(capsys, runs, photo):
    line = refused(capsys, "generate", runs / "cnn")
    assert "needed a model that Generates, got attribute_cnn" in line
    assert "vae_wgan" in line
    assert "Recognizes" in refused(capsys, "recognize", runs / "faces", photo)
    assert "Encodes" in refused(capsys, "edit", runs / "cnn", photo, "Smiling=1")


def test_no_loss_network_names_the_three_ways_out(capsys, tmp_path, monkeypatch):
    def no_network(*a, **k):
        raise OSError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("torch.hub.download_url_to_file", no_network)
    line = refused(capsys, "train", "vae_wgan", *DATA, "--out", tmp_path / "run")
    for way in ("connect to the network", "loss_network=FILE", "mien train attribute_cnn"):
        assert way in line
    assert not (tmp_path / "run").exists()
    assert "neither a folder nor a file" in refused(capsys, "train", "vae_wgan", *DATA, "--set", "loss_network=nowhere")


def test_a_full_disk_is_one_line_and_loses_nothing(runs, tmp_path):
    """Training with a limit of file sizes: a write fails as on a full disk, and earlier files are intact."""
    script = (
        "import errno, pathlib, sys\n"
        "from mien import files\n"
        "plain = files.os.fsync\n"
        "calls = []\n"
        "def fsync(fd):\n"
        "    calls.append(fd)\n"
        "    if len(calls) > ALLOWED: raise OSError(errno.ENOSPC, 'No space left on device')\n"
        "    plain(fd)\n"
        "files.os.fsync = fsync\n"
        "from mien.cli import main\n"
        "main()\n"
    )
    out = tmp_path / "run"
    words = ["train", "vae", *DATA, "--set", "width=4", "--batch", "16", "--out", str(out)]
    first = subprocess.run(
        [sys.executable, "-c", script.replace("ALLOWED", "99"), *words, "--steps", "5"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert first.returncode == 0, first.stderr
    step = json.loads((out / "progress.json").read_text())["step"]
    full = subprocess.run(
        [sys.executable, "-c", script.replace("ALLOWED", "1"), *words, "--steps", "10"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert full.returncode == 2, full.stderr
    errors = [line for line in full.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "No space left on device" in errors[0]
    assert json.loads((out / "progress.json").read_text())["step"] == step
    from mien.run.weights import load

    assert load(out).name == "vae"
    assert not [p for p in out.rglob("*") if p.name.startswith(".")]
