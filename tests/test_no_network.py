"""mien and its libraries use no network: they run where every connection is refused."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

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
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=200, cwd=folder, env=environment
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


def test_a_training_its_use_and_its_measures_make_no_connection(tmp_path):
    text = run(
        """
        import sys
        from mien.cli import app
        def mien(*words):
            try:
                app(list(words), standalone_mode=False)
            except SystemExit as stop:
                assert not stop.code, words
        data = ["--data", "avatars", "--size", "16", "--data-option", "count=120"]
        mien("train", "attribute_cnn", *data, "--steps", "4", "--share", "2/2", "--seed", "1", "--out", "judge")
        mien("train", "vae", *data, "--steps", "4", "--set", "width=4", "--set", "latent=4", "--out", "run")
        mien("show", "run")
        mien("generate", "run", "-n", "2", "--out", "a.png")
        mien("edit", "run", "Smiling=+1", "--out", "b.png")
        mien("evaluate", "run", "--judge", "judge")
        mien("pretrained")
        import mien
        mien.load("faces-64")
        """,
        tmp_path,
    )
    assert text.endswith("ended\n")


def test_two_files_may_connect():
    """Weights of published networks are downloaded by torch's own function, when a user asks for such a network."""
    source = Path(__file__).parents[1] / "src" / "mien"
    words = (
        "urlopen", "urllib.request", "import requests", "http.client", "import socket", "download_url",
        "load_state_dict_from_url", "get_state_dict(",
    )  # fmt: skip
    places = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        if any(word in path.read_text(encoding="utf-8") for word in words)
    }
    assert places == {"metrics/feature_networks.py", "run/loss_network.py"}, places


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
