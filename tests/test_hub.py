"""Saving, pushing and loading: with a folder, and with a stand-in of the Hub on this machine (hub_server.py)."""

import importlib.util
import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

import mien as library
from conftest import tiny
from hub_server import TOKEN, Hub, Repository
from mien import evaluation, hub
from mien.errors import MienError
from mien.experiment import train
from mien.files import sha256
from mien.run import remote
from mien.run.data import Data
from mien.run.folder import read_config, resolve
from mien.run.opening import cached_amounts, cached_vectors, open_run
from mien.run.weights import load
from test_cli import mien, refused
from test_data import celeba_folder

needs_hub = pytest.mark.skipif(
    importlib.util.find_spec("huggingface_hub") is None, reason="no huggingface_hub: pip install 'mien[hub]'"
)
# huggingface_hub calls its HTTP library in an outdated way
pytestmark = pytest.mark.filterwarnings("ignore:.*content=:DeprecationWarning")
SAVED = {
    "README.md", "attribute_vectors.json", "attribute_vectors.safetensors", "config.json", "digests.json",
    "evaluation.json", "progress.json", "weights.safetensors",
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small VAE, trained on a small CelebA and evaluated, with all that a training writes."""
    folder = tmp_path_factory.mktemp("hub")
    data = Data("celeba", str(celeba_folder(folder / "celeba", count=240)), 16)
    train("vae", data, folder / "faces", {"width": 4, "latent": 8}, steps=3, batch=16, log_every=1)
    opened = open_run(folder / "faces")
    opened.vectors()
    opened.vectors(direction="svm")
    evaluation.evaluate(opened, count=40, metrics=["reconstruction"])
    opened.keep_amounts({"Male": 1.5}, "0" * 64)
    return folder / "faces"


@pytest.fixture
def server(monkeypatch, tmp_path):
    """The stand-in of the Hub; huggingface_hub knows no other, and has an empty cache and a login."""
    constants = importlib.import_module("huggingface_hub.constants")
    one = Hub()
    monkeypatch.setattr(constants, "ENDPOINT", one.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", one.url + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    yield one
    one.shutdown()
    one.server_close()


def same_weights(one, other):
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


# --- a folder ------------------------------------------------------------------------------------------------------


def test_a_saved_folder_is_a_run_without_what_belongs_to_this_machine(run, tmp_path, capsys):
    assert (run / "state.pt").exists()
    assert (run / "pictures").exists()
    folder = library.save_pretrained(run, tmp_path / "me")
    assert {path.name for path in folder.iterdir()} == SAVED | {
        "attribute_vectors-svm.json", "attribute_vectors-svm.safetensors"
    }  # fmt: skip
    assert same_weights(library.from_pretrained(folder), load(run))
    assert read_config(run)["data"]["root"]
    assert read_config(folder)["data"]["root"] is None
    for path in folder.iterdir():
        assert str(run.parent) not in path.read_bytes().decode("latin-1"), path
    for direction in ("mean", "svm"):
        torch.testing.assert_close(
            cached_vectors(folder, direction).vectors, cached_vectors(run, direction).vectors, rtol=0, atol=0
        )
    assert cached_amounts(folder) == cached_amounts(run) == {"Male": 1.5}
    assert json.loads((folder / "digests.json").read_text()) == {
        "weights.safetensors": [sha256(folder / "weights.safetensors")]
    }
    assert evaluation.store.read(folder / "evaluation.json").results.keys() == {"reconstruction"}
    code, text = mien(capsys, "show", folder)
    assert code == 0, text
    assert "me: vae" in text
    assert "got none, because they do not come with the model: pass --root" in refused(capsys, "reconstruct", folder)
    again = library.save_pretrained(folder, tmp_path / "again")  # a saved folder can be saved
    assert {path.name for path in again.iterdir()} == {path.name for path in folder.iterdir()}


def test_the_card_has_metadata_and_the_numbers_of_the_evaluation(run, tmp_path):
    yaml = pytest.importorskip("yaml")
    folder = library.save_pretrained(open_run(run), tmp_path / "me", title="Small faces", address="hf://me/small")
    _, metadata, text = (folder / "README.md").read_text().split("---\n", 2)
    values = yaml.safe_load(metadata)
    assert values["library_name"] == "mien"
    assert values["license"] == "other"
    assert values["license_name"] == "celeba-non-commercial-research"
    assert values["datasets"] == ["celeba"]
    assert {"mien", "vae", "encodes", "decodes", "generates"} <= set(values["tags"])
    stored = json.loads((run / "evaluation.json").read_text())
    assert text.startswith("\n# small\n\nSmall faces.\n")
    assert f"| PSNR (dB) | {stored['reconstruction']['psnr_db']['mean']:.2f}" in text
    assert "for non-commercial research use only" in text
    assert "3 steps of 16 pictures, 48 pictures in all" in text
    assert "mien edit hf://me/small me.jpg Smiling=+1" in text
    assert sha256(folder / "weights.safetensors") in text
    other = library.save_pretrained(run, tmp_path / "other", license="Mine: alone")
    assert yaml.safe_load((other / "README.md").read_text().split("---\n")[1])["license_name"] == "Mine: alone"


def test_the_card_of_a_model_of_signals_is_about_signals(tmp_path, capsys):
    recording = np.random.default_rng(0).normal(size=64 * 64).astype(np.float32)
    np.savez(tmp_path / "noise.npz", normal=recording, ball_7=recording[::-1])
    data = Data("bearing", str(tmp_path / "noise.npz"), 64)
    settings = {"width": 4, "hidden": 8, "latent": 4}
    train("ssavae", data, tmp_path / "tones", settings, steps=2, batch=8, device="cpu")
    evaluation.evaluate(open_run(tmp_path / "tones"), count=8, metrics=["reconstruction"])
    counts = read_config(tmp_path / "tones")["data"]["counts"]
    folder = library.save_pretrained(tmp_path / "tones", tmp_path / "saved")
    _, metadata, text = (folder / "README.md").read_text().split("---\n", 2)
    assert "and recognizes signals of bearing.\n" in text
    assert f"bearing at 64 samples; {counts['train']} training signals, {counts['valid']} for validation" in text
    assert "2 steps of 8 signals, 16 signals in all" in text
    assert "On 8 held-out signals of bearing at 64 samples" in text
    assert "- Its signals have 64 samples.\n" in text
    assert "mien reconstruct saved recording.npy" in text
    for word in ("picture", " px", "pixel", "crop", ".jpg"):
        assert word not in text, word
    assert "pipeline_tag" not in metadata
    (tmp_path / "noise.npz").unlink()
    assert "bearing at 64 samples, got none" in refused(capsys, "evaluate", folder)


def test_a_model_alone_is_saved_and_strictly_loaded(tmp_path, capsys):
    model = tiny("vae_wgan").eval()
    folder = library.save_pretrained(model, tmp_path / "model")
    loaded = library.from_pretrained(folder)
    assert same_weights(loaded, model)
    assert not loaded.training
    assert "model: vae_wgan" in mien(capsys, "show", folder)[1]
    assert mien(capsys, "generate", folder, "-n", 2, "--out", tmp_path / "two.png")[0] == 0
    assert "a model that was saved without its run" in refused(capsys, "reconstruct", folder)
    weights = safetensors.torch.load_file(folder / "weights.safetensors")
    for change, words in (({"more": torch.zeros(1)}, "more is unknown in it"), ({}, "is missing from it")):
        values = {**weights, **change}
        if not change:
            values.pop(sorted(values)[0])
        (folder / "digests.json").unlink(missing_ok=True)
        safetensors.torch.save_file(values, folder / "weights.safetensors")
        with pytest.raises(MienError, match=words):
            library.from_pretrained(folder)


def test_another_file_of_weights_is_found_by_its_digest(run, tmp_path):
    folder = library.save_pretrained(run, tmp_path / "me")
    weights = safetensors.torch.load_file(folder / "weights.safetensors")
    safetensors.torch.save_file({key: value + 1 for key, value in weights.items()}, folder / "weights.safetensors")
    with pytest.raises(MienError, match=r"digests\.json"):
        library.from_pretrained(folder)


def test_a_shipped_model_is_saved_with_its_card_and_without_the_parts_it_lacks(tmp_path):
    folder = library.save_pretrained("faces-64", tmp_path / "faces")
    assert same_weights(library.from_pretrained(folder), load("faces-64")) is False  # the absent part is random
    with torch.inference_mode():
        x = torch.zeros(1, 3, 64, 64)
        one, other = library.from_pretrained(folder), load("faces-64")
        assert torch.equal(one.decode(one.encode(x).mean), other.decode(other.encode(x).mean))
    card = (folder / "README.md").read_text()
    assert library.pretrained.card_text("faces-64").partition("## Use")[0].partition("\n\n")[2] in card
    model = library.save_pretrained(one, tmp_path / "model")  # from memory: no random part is written
    keys = safetensors.torch.load_file(model / "weights.safetensors").keys()
    assert keys == safetensors.torch.load_file(folder / "weights.safetensors").keys()
    with torch.inference_mode():
        again = library.from_pretrained(model)
        assert torch.equal(again.decode(again.encode(x).mean), other.decode(other.encode(x).mean))


def test_what_is_not_saved(run, tmp_path):
    with pytest.raises(MienError, match="which a training writes into"):
        library.save_pretrained("faces-64", run)
    folder = library.save_pretrained(run, tmp_path / "me")
    with pytest.raises(MienError, match="another folder than the run's own"):
        library.save_pretrained(folder, folder)
    (tmp_path / "file").touch()
    with pytest.raises(MienError, match="a file: choose another name"):
        library.save_pretrained(run, tmp_path / "file")
    with pytest.raises(MienError, match="does not exist"):
        library.save_pretrained(tmp_path / "none", tmp_path / "new")
    library.save_pretrained("recognizer-64", folder)  # replaces the other model whole
    assert not (folder / "attribute_vectors.safetensors").exists()
    assert library.from_pretrained(folder).name == "attribute_cnn"


# --- addresses -----------------------------------------------------------------------------------------------------


def test_addresses():
    assert remote.parse("hf://me/faces-64") == remote.parse(Path("hf://me/faces-64")) == ("me/faces-64", None)
    assert remote.parse("hf:/me/x@refs/pr/1") == ("me/x", "refs/pr/1")
    for wrong in ("hf://me", "hf://me/x/y", "hf://me/x@", "hf://../x", "hf://me/..", "hf:///x/y", "hf://me/x@a b"):
        with pytest.raises(MienError, match=r"expected (hf://)?OWNER/NAME"):
            remote.parse(wrong)
    assert not remote.is_remote("runs/hf")


def test_every_file_of_a_saved_folder_is_fetched(run, tmp_path):
    names = {path.name for path in library.save_pretrained(run, tmp_path / "me").iterdir()}
    names |= {path.name for path in library.save_pretrained("faces-64", tmp_path / "faces").iterdir()}
    assert names <= set(remote.FILES)
    assert not [name for name in remote.FILES if name.endswith((".pt", ".pth", ".pkl", ".bin", ".py"))]
    from mien.applications.directions import DIRECTIONS

    assert {f"-{name}" if name != "mean" else "" for name in DIRECTIONS} == set(remote.DIRECTIONS)


# --- the Hub -------------------------------------------------------------------------------------------------------


@needs_hub
def test_push_uploads_these_files_and_no_other(run, server, tmp_path):
    whole, run = run, shutil.copytree(run, tmp_path / "faces")
    for name in ("evil.pkl", "notes.txt", "labels.csv", "events.log"):
        (run / name).write_bytes(pickle.dumps("a secret of this machine"))
    private = [path for path in run.rglob("*") if path.is_file() and path.name not in remote.FILES]
    assert {"state.pt", "log.jsonl", "evil.pkl"} <= {path.name for path in private}
    assert {path.parent.name for path in private} >= {"pictures", "tensorboard"}
    address = library.push_to_hub(run, "me/faces", private=True)
    repository = server.repositories["me/faces"]
    assert repository.private
    files = repository.commits[repository.branches["main"]]
    assert files.keys() == SAVED | {"attribute_vectors-svm.json", "attribute_vectors-svm.safetensors"}
    assert address.endswith(f"/commit/{repository.branches['main']}")
    assert files["weights.safetensors"] == (run / "weights.safetensors").read_bytes()
    # also what was sent and is in no commit
    assert set(server.large.values()) == {files[name] for name in files if name.endswith(".safetensors")}
    sent = [*files.values(), *server.large.values()]
    assert not [path for path in private if path.read_bytes() in sent]
    for place in (run.parent, whole.parent):
        assert not [content for content in sent if str(place).encode() in content]
    assert hub.plan(run, "me/faces").files.keys() == files.keys()
    # a later push of a model without vectors removes them; files of the owner stay
    repository.commit("main", {**files, "picture.png": b"mine"})
    library.push_to_hub(tiny("vae"), "me/faces")
    last = repository.commits[repository.branches["main"]]
    assert last.keys() == {"README.md", "config.json", "digests.json", "picture.png", "weights.safetensors"}


@needs_hub
def test_push_by_command(run, server, capsys):
    code, text = mien(capsys, "push", run, "me/faces", "--dry-run")
    assert code == 0, text
    assert "weights.safetensors: " in text
    assert 'license: "other"' in text
    assert server.requests == []
    code, text = mien(capsys, "push", run, "me/faces", "--branch", "v1", "--title", "Faces")
    assert code == 0, text
    assert "use it as hf://me/faces" in text
    repository = server.repositories["me/faces"]
    assert not repository.private
    assert b"\nFaces.\n" in repository.commits[repository.branches["v1"]]["README.md"]
    assert repository.commits[repository.branches["main"]] == {}
    assert library.push_to_hub(run, "me/faces", create_pr=True).endswith("/discussions/1")
    assert "weights.safetensors" in repository.commits[repository.branches["refs/pr/1"]]
    assert repository.commits[repository.branches["main"]] == {}


@needs_hub
def test_load_from_the_hub_also_without_a_connection(run, server, monkeypatch, tmp_path):
    library.push_to_hub(run, "me/faces")
    model = library.from_pretrained("me/faces")
    assert same_weights(model, load(run))
    folder = resolve("hf://me/faces")
    assert folder.name == "faces"
    assert folder.is_relative_to(tmp_path / "cache")
    assert resolve(Path("hf://me/faces")) == resolve("hf:/me/faces@main") == folder
    server.shutdown()
    server.server_close()
    server.requests.clear()
    assert resolve("hf://me/faces") == folder  # no answer: the copy in the cache
    constants = importlib.import_module("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert same_weights(library.from_pretrained("me/faces"), model)
    with pytest.raises(MienError, match="no whole copy of it in the cache and no connection: connect once"):
        resolve("hf://me/other")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    assert same_weights(library.from_pretrained("me/faces", local_files_only=True), model)
    with pytest.raises(MienError, match="connect once"):
        library.from_pretrained("me/other", local_files_only=True)
    assert server.requests == []


@needs_hub
def test_a_revision_is_a_branch_or_a_commit(run, server, capsys):
    library.push_to_hub(run, "me/faces")
    first = server.repositories["me/faces"].branches["main"]
    other = tiny("vae").eval()
    library.push_to_hub(other, "me/faces")
    assert same_weights(library.from_pretrained("me/faces"), other)
    assert same_weights(library.from_pretrained("me/faces", revision=first), load(run))
    assert same_weights(library.from_pretrained(f"hf://me/faces@{first}"), load(run))
    assert resolve(f"hf://me/faces@{first}") != resolve("hf://me/faces")
    with pytest.raises(MienError, match="no such revision: name a branch"):
        library.from_pretrained("me/faces", revision="v9")
    with pytest.raises(MienError, match="expected one revision"):
        library.from_pretrained("hf://me/faces@a", revision="b")
    with pytest.raises(MienError, match="which is not on the Hub"):
        library.from_pretrained("faces-64", revision="main")


@needs_hub
def test_commands_take_an_address(run, server, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    library.push_to_hub(run, "me/faces")
    photo = Path(library.__file__).parent / "photos" / "portrait.jpg"
    code, text = mien(capsys, "edit", "hf://me/faces", photo, "--no-align", "Male=+1", "--out", "edited.png")
    assert code == 0, text
    code, text = mien(capsys, "show", "hf:/me/faces@main")
    assert code == 0, text
    assert "faces: vae" in text
    code, text = mien(capsys, "generate", "hf://me/faces", "-n", 2, "--out", "generated.png")
    assert code == 0, text
    root = ["--root", run.parent / "celeba"]
    code, text = mien(capsys, "evaluate", "hf://me/faces", "--metric", "reconstruction", "--count", 40, *root)
    assert code == 0, text
    assert not [path for path in (tmp_path / "hf").rglob("report*")]  # results do not go into the cache of the Hub
    assert [path for path in (tmp_path / "cache" / "hub").rglob("report.html")]


@needs_hub
def test_a_stranger_s_repository_cannot_place_other_files(run, server, tmp_path):
    saved = library.save_pretrained(run, tmp_path / "me")
    files = {name: (saved / name).read_bytes() for name in SAVED}
    files |= {"state.pt": b"pickle", "evil.py": b"x", "sub/config.json": b"{}", "../up.txt": b"x"}
    server.repositories["you/faces"] = Repository()
    server.repositories["you/faces"].commit("main", files)
    folder = resolve("hf://you/faces")
    assert {one.name for one in folder.iterdir()} == SAVED
    fetched = {path.rpartition("/")[2] for _, path in server.requests if "/resolve/" in path}
    assert fetched == SAVED
    assert not list(tmp_path.rglob("state.pt"))
    assert not list(tmp_path.rglob("up.txt"))


@needs_hub
def test_what_goes_wrong_is_one_line(run, server, capsys, monkeypatch, tmp_path):
    server.repositories["you/text"] = Repository()
    server.repositories["you/text"].commit("main", {"README.md": b"hello"})
    assert "got a repository without config.json" in refused(capsys, "show", "hf://you/text")
    assert "got none for this login" in refused(capsys, "show", "hf://you/none")
    assert "expected hf://OWNER/NAME" in refused(capsys, "show", "hf://you")
    assert "expected OWNER/NAME" in refused(capsys, "push", run, "faces")
    assert "a login without the permission" in refused(capsys, "push", run, "closed/faces")
    library.push_to_hub(run, "me/secret", private=True)
    monkeypatch.delenv("HF_TOKEN")
    assert "HF_TOKEN or run hf auth login" in refused(capsys, "push", run, "me/new")
    assert "set HF_TOKEN or run hf auth login" in refused(capsys, "show", "hf://me/secret")
    with pytest.raises(MienError, match="HF_TOKEN"):
        library.from_pretrained("me/secret", token="hf_wrong")
    assert library.from_pretrained("me/secret", token=TOKEN).name == "vae"
    copy = shutil.copytree(run, tmp_path / "copy")
    config = json.loads((copy / "config.json").read_text())
    config["data"]["options"]["note"] = "see /home/somebody/notes.txt"
    (copy / "config.json").write_text(json.dumps(config))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert "expected no path of this machine in README.md" in refused(capsys, "push", copy, "me/copy")
    assert "me/copy" not in server.repositories


def test_without_huggingface_hub_a_line_says_what_to_install(capsys, monkeypatch, run):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for words in (["show", "hf://me/faces"], ["push", run, "me/faces"]):
        assert "got none: pip install 'mien[hub]'" in refused(capsys, *words)
    code, text = mien(capsys, "push", run, "me/faces", "--dry-run")
    assert code == 0, text


@needs_hub
def test_the_environment_of_huggingface_hub_is_followed(run, server, tmp_path):
    library.push_to_hub(run, "me/faces")
    environment = {
        **os.environ, "HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }  # fmt: skip
    command = [sys.executable, "-m", "mien.cli", "show", "hf://me/faces"]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert answer.returncode == 0, answer.stderr
    assert "faces: vae" in answer.stdout
    assert list((tmp_path / "home" / "hub").glob("models--me--faces/snapshots/*/weights.safetensors"))
    count = len(server.requests)
    environment["HF_HUB_OFFLINE"] = "1"
    again = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert (again.returncode, again.stdout) == (0, answer.stdout), again.stderr
    assert len(server.requests) == count
