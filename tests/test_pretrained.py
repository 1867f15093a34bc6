"""Models that come with the package: made from tiny runs, used by name, and those that are shipped are checked."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

import mien as library
from mien import evaluation, pretrained
from mien.errors import MienError, UnknownName
from mien.experiment import train
from mien.files import sha256
from mien.run.data import Data
from mien.run.folder import resolve, weights_digest
from mien.run.loss_network import loss_network
from mien.run.opening import cached_vectors, open_run
from mien.run.weights import is_in, load
from test_cli import mien, refused
from test_data import celeba_folder

PROJECT = Path(__file__).parents[1]
SMALL = {"width": 4, "latent": 8}
MODELS = ("cnn", "dfc", "wgan", "plain")
SHIPPED = Path(pretrained.__file__).parent  # not FOLDER, which a fixture replaces


@pytest.fixture(scope="module")
def ship():
    """The script tools/ship.py as a module."""
    sys.path.insert(0, str(PROJECT / "tools"))
    import ship

    yield ship
    sys.path.remove(str(PROJECT / "tools"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Trained and evaluated runs of a recognizer, a DFC-VAE, a VAE-WGAN and a VAE on a small CelebA."""
    folder = tmp_path_factory.mktemp("ship")
    data = Data("celeba", str(celeba_folder(folder / "celeba", count=240)), 16)
    feature = {**SMALL, "loss_network": str(folder / "cnn")}
    for name, model, settings in (
        ("cnn", "attribute_cnn", {"widths": (4,) * 5}),
        ("dfc", "dfc_vae", feature),
        ("wgan", "vae_wgan", feature),
        ("plain", "vae", SMALL),
    ):
        train(model, data, folder / name, settings, steps=3, batch=16, log_every=1)
        evaluation.evaluate(open_run(folder / name), count=40, metrics=["recognition", "reconstruction"])
    return folder


@pytest.fixture(scope="module")
def shipped(folder, ship, tmp_path_factory):
    """The folder of the shipped models: one of each run, named as the run."""
    place = tmp_path_factory.mktemp("pretrained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretrained, "FOLDER", place)
        for name in MODELS:
            ship.ship(folder / name, name, limits=["A limit."])
        yield place


@pytest.fixture
def elsewhere(monkeypatch, tmp_path):
    """An empty folder as working folder, with a photo in it, and a cache without prepared data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MIEN_DATA", raising=False)
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 30, 3), np.uint8)).save("me.png")
    return tmp_path


def pictures(n: int = 4) -> torch.Tensor:
    return torch.rand(n, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1


# --- what is shipped ---------------------------------------------------------------------------------------------


def test_names_are_the_folders_with_a_configuration(shipped):
    (shipped / "empty").mkdir(exist_ok=True)
    assert pretrained.names() == tuple(sorted(MODELS))
    assert library.pretrained.names() == pretrained.names()
    with pytest.raises(UnknownName, match="did you mean plain"):
        pretrained.card("plane")


@pytest.mark.parametrize("name", MODELS)
def test_weights_are_float16_and_load_as_float32(name, folder, shipped):
    path = shipped / name / "weights.safetensors"
    small, full = (safetensors.torch.load_file(p) for p in (path, folder / name / "weights.safetensors"))
    assert {v.dtype for v in small.values() if v.is_floating_point()} == {torch.float16}
    integers = {key: v for key, v in small.items() if not v.is_floating_point()}
    assert all(torch.equal(v, full[key]) and v.dtype == full[key].dtype for key, v in integers.items())
    model = library.load(name)
    loaded = {key: v for key, v in model.state_dict().items() if key in small}
    assert loaded.keys() == small.keys()
    assert {v.dtype for v in loaded.values() if v.is_floating_point()} == {torch.float32}
    for key, value in loaded.items():
        torch.testing.assert_close(value, full[key], rtol=1e-3, atol=1e-6)
    content = sum(v.numel() * v.element_size() for v in small.values())
    assert path.stat().st_size - content < 16_000  # the header of safetensors
    assert oct(path.stat().st_mode & 0o777) == "0o644"


def test_what_only_training_needs_is_left_out(folder, shipped):
    parts = {"dfc": ["feature_loss.network"], "wgan": ["feature_loss.network", "critic"], "plain": [], "cnn": []}
    for name in MODELS:
        full, small = (set(safetensors.torch.load_file(f / name / "weights.safetensors")) for f in (folder, shipped))
        assert full - small == {key for key in full if is_in(key, parts[name])}, name
        assert small <= full
        assert json.loads((shipped / name / "config.json").read_text())["shipped"]["left_out"] == parts[name]
    config = json.loads((shipped / "dfc" / "config.json").read_text())["config"]
    assert config["loss_network"]["sha256"] == sha256(folder / "cnn" / "weights.safetensors")
    small, full = ((place / "wgan" / "weights.safetensors").stat().st_size for place in (shipped, folder))
    assert small < full / 2


def test_a_part_that_is_missing_without_a_declaration_is_refused(shipped, tmp_path):
    copy = shutil.copytree(shipped / "wgan", tmp_path / "copy")
    config = json.loads((copy / "config.json").read_text())
    config["shipped"]["left_out"] = ["critic"]
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(MienError, match=r"feature_loss\.network\.\S+ is missing from it"):
        load(copy)
    config["shipped"]["left_out"] = ["critic", "feature_loss.network", "encoder"]
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(MienError, match=r"encoder\.\S+ is unknown in it"):
        load(copy)


@pytest.mark.parametrize("name", ["dfc", "wgan", "plain"])
def test_reconstructions_and_vectors_agree_with_the_run(name, folder, shipped):
    run, small = load(folder / name), load(name)
    x = pictures()
    with torch.inference_mode():
        one, two = (model.decode(model.encode(x).mean) for model in (run, small))
    assert 0 < float((one - two).abs().max()) < 0.02
    torch.testing.assert_close(cached_vectors(name).vectors, open_run(folder / name).vectors().vectors)
    agreement = pretrained.card(name)["agreement"]
    assert agreement["random_pictures"]["largest_difference"]["reconstructions"] < 0.02
    assert agreement["held_out"]["n"] == 80
    assert agreement["held_out"]["mse_shipped"] == pytest.approx(agreement["held_out"]["mse_float32"], rel=0.01)


@pytest.mark.parametrize("name", MODELS)
def test_the_card_holds_the_numbers_of_the_evaluation(name, folder, shipped):
    card, stored = pretrained.card(name), json.loads((folder / name / "evaluation.json").read_text())
    assert card["evaluation"] == stored
    text = pretrained.card_text(name)
    if name == "cnn":
        accuracy = f"{stored['recognition']['mean_accuracy']:.2%}"
        assert any(accuracy in row["value"] for row in card["main"])
        assert f"| attribute accuracy, recognition | {accuracy}" in text
    else:
        psnr = f"{stored['reconstruction']['psnr_db']['mean']:.2f}"
        assert f"| PSNR (dB) | {psnr}" in text
        assert card["editable"] == ["Male"]  # the other attributes are the same for all pictures
    assert "40 held-out pictures" in text
    assert card["weights"]["sha256"] == sha256(shipped / name / "weights.safetensors")
    assert card["weights"]["sha256"] in text
    assert "for non-commercial research use only" in text
    assert "- A limit." in text
    assert card["training"]["steps"] == 3
    assert card["training"]["pictures_seen"] == 48
    assert card["training"]["last_losses"]
    assert card["training"]["command"] in text


def test_the_command_on_the_card_makes_the_same_training(folder, ship, shipped):
    command = pretrained.card("wgan")["training"]["command"]
    assert command == (
        "mien train vae_wgan --data celeba --size 16 --root FOLDER --set loss_network=runs/cnn --set latent=8 "
        "--set width=4 --steps 3 --batch 16"
    )
    config = json.loads((folder / "wgan" / "config.json").read_text())
    config["data"] |= {"share": [1, 2], "options": {"crop": 148}, "root": ["/a", "/b"]}
    config["training"] |= {"ema": 0.999, "flip": 0.5}
    config["config"] |= {"betas": [0.5, 0.999]}
    words = ship.cards.command(config)
    for option in ("--root FOLDER --root FOLDER", "--data-option crop=148", "--share 1/2", "--ema 0.999", "--flip 0.5"):
        assert option in words
    assert "--set betas=0.5,0.999" in words


def test_no_file_names_a_path_or_the_machine(folder, ship, shipped):
    for path in shipped.rglob("*.*"):
        content = path.read_bytes()
        assert str(folder).encode() not in content, path
        assert str(Path.home()).encode() + b"/" not in content, path
        if path.suffix != ".safetensors":
            assert not re.search(r'"/\w', content.decode()), path
    config = json.loads((shipped / "dfc" / "config.json").read_text())
    assert config["data"]["root"] is None


# --- use by name -------------------------------------------------------------------------------------------------


def test_editing_and_recognizing_by_name_need_no_data(capsys, shipped, elsewhere):
    for name in ("dfc", "wgan", "plain"):
        code, text = mien(capsys, "edit", name, "me.png", "--no-align", "Male=+1", "--out", f"{name}.png")
        assert code == 0, text
        with Image.open(f"{name}.png") as edited:
            assert edited.size == (16, 16)
    code, text = mien(capsys, "edit", "dfc", "me.png", "--no-align", "Male=-1", "--out", "other.png")
    assert code == 0, text
    assert Path("other.png").read_bytes() != Path("dfc.png").read_bytes()
    code, text = mien(capsys, "recognize", "cnn", "me.png", "--no-align", "--json")
    assert code == 0, text
    assert set(json.loads(text.partition("warning: ")[0])[0]) == {"file", "Male", "Smiling", "Young"}
    for words in (
        ["generate", "wgan", "-n", 4],
        ["reconstruct", "plain", "me.png", "--no-align"],
        ["interpolate", "dfc", "me.png", "me.png", "--steps", 3],
        ["show", "cnn"],
    ):
        code, text = mien(capsys, *words)
        assert code == 0, text
    assert [path.name for path in (elsewhere / "cache").iterdir()] == ["outputs"], "no data were prepared"


def test_vectors_with_another_stamp_do_not_count(shipped, tmp_path):
    copy = shutil.copytree(shipped / "dfc", tmp_path / "copy")
    assert cached_vectors(copy) is not None
    stamp = json.loads((copy / "attribute_vectors.json").read_text())
    assert stamp["weights_sha256"] == sha256(copy / "weights.safetensors")
    (copy / "attribute_vectors.json").write_text(json.dumps({**stamp, "weights_sha256": "0" * 64}))
    assert cached_vectors(copy) is None


def test_what_needs_the_data_says_so_and_works_with_them(capsys, folder, shipped, elsewhere):
    message = (
        "expected the data of dfc, celeba at 16 px, got none, because they do not come with the package: pass --root"
    )
    before = {path: path.read_bytes() for path in shipped.rglob("*.*")}
    for words in (
        ["evaluate", "dfc", "--metric", "reconstruction"],
        ["neighbors", "dfc", "me.png"],
        ["edit", "dfc", "Male=+1"],
        ["reconstruct", "dfc"],
    ):
        assert message in refused(capsys, *words)
    root = ["--root", folder / "celeba"]
    code, text = mien(capsys, "evaluate", "dfc", "--metric", "reconstruction", "--count", 40, *root)
    assert code == 0, text
    (result,) = (elsewhere / "cache" / "pretrained").glob("*/dfc/evaluation.json")
    assert result.name in text
    new, old = json.loads(result.read_text()), pretrained.card("dfc")["evaluation"]
    assert new["weights_sha256"] == sha256(shipped / "dfc" / "weights.safetensors")
    assert new["reconstruction"]["mse"]["mean"] == pytest.approx(old["reconstruction"]["mse"]["mean"], rel=0.01)
    code, text = mien(capsys, "compare", "dfc", "plain", "--metric", "reconstruction", "--count", 40, *root)
    assert code == 0, text
    code, text = mien(capsys, "edit", "dfc", "Male=+1", *root)
    assert code == 0, text
    assert before == {path: path.read_bytes() for path in shipped.rglob("*.*")}  # the package stays as it is


def test_a_path_is_never_a_name_and_a_folder_comes_first(capsys, folder, shipped, elsewhere):
    assert resolve("cnn") == shipped / "cnn"
    for path in ("./cnn", "cnn/", "runs/cnn"):
        assert "does not exist" in refused(capsys, "show", path)
        assert resolve(path) != shipped / "cnn"
    shutil.copytree(folder / "plain", "cnn")
    code, text = mien(capsys, "show", "cnn")
    assert code == 0
    assert "cnn: vae" in text


def test_a_name_may_begin_with_mien(capsys, folder, shipped, elsewhere):
    assert resolve("mien/cnn") == resolve(Path("mien/cnn")) == pretrained.folder("mien/cnn") == shipped / "cnn"
    torch.testing.assert_close(load("mien/plain").state_dict(), load("plain").state_dict())
    assert mien(capsys, "show", "mien/cnn") == mien(capsys, "show", "cnn")
    assert mien(capsys, "pretrained", "mien/cnn") == mien(capsys, "pretrained", "cnn")
    assert mien(capsys, "models", "--pretrained") == mien(capsys, "pretrained")
    for path in ("mien/plan", "other/cnn", "./mien/cnn"):
        assert "does not exist" in refused(capsys, "show", path)
    (elsewhere / "mien").mkdir()
    shutil.copytree(folder / "plain", "mien/cnn")
    assert "cnn: vae" in mien(capsys, "show", "mien/cnn")[1]


def test_an_unknown_name_is_answered_with_the_names(capsys, shipped, elsewhere):
    for command in (["show", "plan"], ["edit", "plan", "me.png", "Male=1"], ["evaluate", "plan"]):
        line = refused(capsys, *command)
        assert "got plan, which does not exist" in line
        assert "a model that comes with mien: cnn, dfc, plain, wgan (did you mean plain?)" in line
    assert "comes with mien" not in refused(capsys, "show", "runs/plan")


def test_a_shipped_model_is_not_trained_further(folder, shipped):
    data = Data("celeba", str(folder / "celeba"), 16)
    with pytest.raises(MienError, match=r"expected a run that can be resumed, got .*plain, a pretrained model"):
        train("vae", data, shipped / "plain", SMALL, steps=3, batch=16)
    with pytest.raises(MienError, match=r"whose feature_loss\.network and critic did not come with the package"):
        load("wgan").training_step(None, None)
    assert "training_step" not in vars(load("plain"))


def test_a_shipped_recognizer_is_the_same_loss_network_and_judge(capsys, folder, shipped, elsewhere):
    """As a judge, it is refused for the models that its run was the loss network of."""
    original = sha256(folder / "cnn" / "weights.safetensors")
    assert weights_digest("cnn") == weights_digest(folder / "cnn") == original
    assert loss_network("cnn").sha256 == original
    words = ["evaluate", folder / "dfc", "--judge", "cnn", "--count", 40]
    assert "expected a judge other than the loss network" in refused(capsys, *words)


def test_the_list_and_the_card_on_the_terminal(capsys, shipped, monkeypatch, tmp_path):
    code, text = mien(capsys, "pretrained")
    assert code == 0
    assert all(name in text for name in MODELS)
    code, text = mien(capsys, "pretrained", "cnn")
    assert code == 0
    assert text == pretrained.card_text("cnn")
    assert "did you mean cnn" in refused(capsys, "pretrained", "cnnn")
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path)
    code, text = mien(capsys, "pretrained")
    assert code == 0
    assert "no model comes with this version" in text
    assert "comes with mien" not in refused(capsys, "show", "plan")


# --- the script --------------------------------------------------------------------------------------------------


def test_runs_that_cannot_be_shipped(ship, folder, shipped, tmp_path, capsys, monkeypatch):
    def answer(run, *words) -> str:
        assert ship.main([str(run), *words]) == 2
        return capsys.readouterr().err

    assert "expected a new name, got cnn, which is shipped already" in answer(folder / "cnn", "cnn")
    assert "expected a name of lower-case letters" in answer(folder / "cnn", "My CNN")
    assert "which is a shipped model" in answer(shipped / "cnn", "again")
    copy = shutil.copytree(folder / "cnn", tmp_path / "copy")
    progress = json.loads((copy / "progress.json").read_text())
    (copy / "progress.json").write_text(json.dumps({**progress, "finished": False}))
    assert "expected a finished run" in answer(copy, "new")
    (copy / "progress.json").write_text(json.dumps({**progress, "warnings": ["no room in /home/someone/runs"]}))
    assert "expected no path and no host name in progress.json, got /home/someone/runs" in answer(copy, "new")
    (copy / "progress.json").write_text(json.dumps(progress))
    shutil.copy(folder / "plain" / "evaluation.json", copy)
    assert "expected an evaluation of the present weights" in answer(copy, "new")
    (copy / "evaluation.json").unlink()
    assert "expected an evaluated run" in answer(copy, "new")
    monkeypatch.setattr(pretrained, "LIMIT", 30_000)
    assert "MB of shipped models, got" in answer(folder / "cnn", "new")
    assert pretrained.names() == tuple(sorted(MODELS))


def test_a_model_is_replaced_and_sizes_are_printed(ship, folder, shipped, capsys):
    before = sha256(shipped / "plain" / "weights.safetensors")
    assert ship.main([str(folder / "plain"), "plain", "--replace", "--title", "Faces.", "--limit", "A limit."]) == 0
    text = capsys.readouterr().out
    assert "largest difference of reconstructions on 32 random pictures" in text
    assert "on 80 held-out pictures: mse float32" in text
    assert f"weights.safetensors: {(shipped / 'plain' / 'weights.safetensors').stat().st_size:,} bytes" in text
    assert sha256(shipped / "plain" / "weights.safetensors") == before
    assert pretrained.card("plain")["title"] == "Faces."


def test_values_that_float16_cannot_hold_stay_in_float32(ship, folder):
    model = load(folder / "plain")
    state = model.state_dict()
    large = next(key for key in state if key.endswith("weight"))
    tiny = next(key for key in state if key.endswith("running_var"))
    state[large].fill_(1e6)
    state[tiny].fill_(1e-6)
    weights, kept = ship.small.half(model, [])
    assert set(kept) == {large, tiny}
    assert torch.equal(weights[large], state[large])
    assert {weights[key].dtype for key in kept} == {torch.float32}


def test_outputs_that_differ_are_refused(ship):
    good = {"random_pictures": {"largest_difference": {"reconstructions": 0.01, "logits": 5.0}}}
    ship.check_agreement(good)
    for bad in (0.2, float("nan")):
        with pytest.raises(MienError, match="largest difference of"):
            ship.check_agreement({"random_pictures": {"largest_difference": {"recognized": bad}}})


# --- the models that really come with the package -----------------------------------------------------------------


def test_the_shipped_models_are_complete(monkeypatch):
    """Each one loads and is what its card says; together they are small. Without any, the list is empty."""
    monkeypatch.setattr(pretrained, "FOLDER", SHIPPED)
    folders = sorted(path for path in SHIPPED.iterdir() if path.is_dir() and path.name != "__pycache__")
    assert [path.name for path in folders] == list(pretrained.names())
    for path in folders:
        model, card = load(path.name), pretrained.card(path.name)
        assert model.name == card["model"]
        assert card["name"] == path.name
        digest = sha256(path / "weights.safetensors")
        assert card["weights"]["sha256"] == digest
        assert digest in pretrained.card_text(path.name)
        assert card["main"]
        assert card["evaluation"]["weights_sha256"] == card["of"]["weights_sha256"]
        vectors = cached_vectors(path)
        assert (vectors is not None) == (path / "attribute_vectors.safetensors").exists()
        if card["editable"] and "Edits" not in card["abilities"]:
            assert vectors is not None
        for file in path.iterdir():
            if file.suffix in (".json", ".md"):
                assert not re.search(r'["\s`](/|~/)\w', file.read_text(encoding="utf-8")), file
    assert sum(map(pretrained.size, pretrained.names())) <= pretrained.LIMIT == 25_000_000


def test_git_takes_the_folders(tmp_path):
    """.gitignore excludes nothing in them; hatchling follows it when it makes the wheel."""
    shutil.copy(PROJECT / ".gitignore", tmp_path)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    files = [f"src/mien/pretrained/faces-64/{name}" for name in ("weights.safetensors", "card.md", "config.json")]
    command = ["git", "-C", str(tmp_path), "check-ignore"]
    assert subprocess.run([*command, *files], capture_output=True, text=True).stdout == ""
    assert subprocess.run([*command, "runs/faces"], capture_output=True, text=True).stdout == "runs/faces\n"
