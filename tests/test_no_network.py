"""mien and its libraries use no network: they run where every connection is refused."""

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

from PIL import Image

from mien.web.runtime import FILES as RUNTIME

# Refuses every socket but local ones between processes, and every lookup of a name, and counts the attempts.
GUARD = """
import socket, sys
attempts = []
original = socket.socket
class Refused(original):
    def connect(self, address):
        if self.family != getattr(socket, "AF_UNIX", None):
            attempts.append(("connect", address))
            raise OSError("no network in this test")
        return super().connect(address)
    connect_ex = connect
socket.socket = Refused
def lookup(*arguments, **options):
    attempts.append(("lookup", arguments))
    raise OSError("no network in this test")
socket.getaddrinfo = socket.gethostbyname = socket.create_connection = lookup
"""


def run(code: str, folder: Path) -> str:
    program = GUARD + textwrap.dedent(code) + "\nassert not attempts, attempts\nprint('ended')\n"
    environment = {**os.environ, "MIEN_CACHE": str(folder / "cache")}
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=500, cwd=folder, env=environment
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout


def test_the_guard_sees_an_attempt(tmp_path):
    program = GUARD + (
        "import urllib.request\n"
        "try:\n    urllib.request.urlopen('http://127.0.0.1:9/')\nexcept OSError:\n    pass\n"
        "print(len(attempts))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert int(result.stdout) > 0


# Words for every command. A test checks that none is missing, so that a new command comes with a line here.
COMMANDS = """
    data prepare avatars --size 24 --data-option count=8
    train attribute_cnn DATA --set widths=4,4,4,4,4 --steps 4 --share 2/2 --seed 1 --out judge
    train vae DATA --steps 4 --set width=4 --set latent=4 --out run
    train vae DATA --steps 2 --set width=4 --set latent=4 --out other
    show run
    generate run -n 2 --out generated.png
    generate run -n 20 --out generated
    reconstruct run me.png --out reconstructed.png
    reconstruct run generated --out reconstructed
    edit run me.png Smiling=+1 --out edited.png
    edit faces-64 photo.jpg Smiling=+1 --out photo-edited.png
    align photo.jpg --out aligned.png
    recognize judge me.png
    recognize recognizer-64 photo.jpg
    interpolate run me.png me.png --steps 3 --out interpolated.png
    vary run me.png --out varied.png
    iterate run me.png --rounds 2 --out iterated.png
    map run --count 12 --out map.png
    neighbors run me.png --out neighbors.png
    similarity run me.png generated.png --out similarity.png
    synthesize run --per-class 2 --attribute Smiling --out synthesized
    export run --out exported
    push run me/run --dry-run
    web run --runtime package --out page
    evaluate run --judge judge --count 32
    compare run other --metric reconstruction --count 16 --out compared
    measure generated reconstructed --features judge
    measure-edits generated reconstructed --attr Smiling --judge judge
    multiview run --train 40 --out views.json
    reproduce
    reproduce selfexgan/iterate
    report --out report
    demo --out demo
    datasets
    models
    models vae
    pretrained
    pretrained faces-64
"""
SERVING = {"studio"}  # it serves until Ctrl-C; tests/test_studio_browser.py checks its requests
DATA = "--data avatars --size 16 --data-option count=120"
LINES = [line.replace("DATA", DATA).split() for line in COMMANDS.strip().splitlines()]
# the demo of a few minutes, in a few seconds
SMALL_DEMO = "import mien.recipes.demo as d; d.SIZE, d.COUNT, d.CLASSIFIER_STEPS, d.STEPS = 16, 160, 2, 2"


def test_the_list_holds_every_command():
    """The names of typer.main are those that a user can type."""
    import typer

    from mien.cli import app

    names = set()
    for name, command in typer.main.get_command(app).commands.items():
        names |= {f"{name} {part}" for part in command.commands} if hasattr(command, "commands") else {name}
    tried = {" ".join(words[: 2 if words[0] == "data" else 1]) for words in LINES}
    assert names - SERVING == tried


def test_no_command_makes_a_connection(tmp_path):
    photo = Path(__file__).parents[1] / "src" / "mien" / "photos" / "portrait.jpg"
    shutil.copyfile(photo, tmp_path / "photo.jpg")
    (tmp_path / "package" / "dist").mkdir(parents=True)
    for name in RUNTIME:
        (tmp_path / "package" / "dist" / name).touch()
    Image.new("RGB", (16, 16), "gray").save(tmp_path / "me.png")
    text = run(
        f"""
        from mien.cli import app
        {SMALL_DEMO}
        def mien(*words):
            before = list(attempts)
            try:
                app(list(words), standalone_mode=False)
            except SystemExit as stop:
                assert not stop.code, words
            assert attempts == before, (words, attempts)
        for words in {LINES!r}:
            mien(*words)
        import mien
        mien.load("faces-64")
        """,
        tmp_path,
    )
    assert text.endswith("ended\n")


def test_three_files_may_connect_and_one_listens():
    """Weights of published networks are downloaded by torch's own function, when a user asks for such a network.

    huggingface_hub is called for an address hf://owner/name, and to push a run. The studio listens on an address of
    this machine, and connects to none.
    """
    source = Path(__file__).parents[1] / "src" / "mien"
    words = (
        "urlopen", "urllib.request", "import requests", "http.client", "import socket", "download_url",
        "load_state_dict_from_url", "get_state_dict(", "import huggingface_hub",
    )  # fmt: skip
    places = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        if any(word in path.read_text(encoding="utf-8") for word in words)
    }
    files = {"metrics/feature_networks.py", "run/loss_network.py", "run/remote.py", "studio/serving.py"}
    assert places == files, places
    assert ".connect" not in (source / "studio" / "serving.py").read_text(encoding="utf-8")


def test_no_pickle_is_loaded_without_a_guard():
    """torch.load is called with weights_only, numpy without pickles, and pickle only in the reader of CIFAR-10."""
    source = Path(__file__).parents[1] / "src" / "mien"
    for path in source.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        name = path.relative_to(source).as_posix()
        for start in range(len(text)):
            if text.startswith("torch.load(", start):
                assert "weights_only=True" in text[start : start + 200], name
            if text.startswith("allow_pickle=True", start):
                raise AssertionError(name)
        if "pickle.load" in text or "pickle.Unpickler" in text:
            assert name == "data/formats/cifar.py", name
