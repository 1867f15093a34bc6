"""The command on terminals of other encodings, with pipes that end, with interrupts, and with hostile names."""

import io
import json
import subprocess
import sys

import pytest

from mien.cli import main
from mien.experiment import train
from mien.run.data import Data
from mien.run.folder import progress
from mien.training import stop

WORDS = ["--data", "avatars", "--size", "16", "--data-option", "count=240", "--device", "cpu", "--batch", "16"]
SETTINGS = ["--set", "width=4", "--set", "latent=8"]
LONG = "n" * 300


class Terminal(io.TextIOWrapper):
    """A stream that keeps its bytes."""

    def __init__(self, encoding):
        super().__init__(io.BytesIO(), encoding=encoding, errors="strict")

    def text(self):
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)


class Pipe(Terminal):
    """A pipe whose reader ends when it has read a word."""

    def __init__(self, word):
        super().__init__("utf-8")
        self.word = word

    def write(self, text):
        if self.word in text:
            raise BrokenPipeError
        return super().write(text)


def mien(monkeypatch, out, *words):
    """Run the command on a stream and return its exit code and the text on stderr."""
    error = Terminal(out.encoding)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "argv", ["mien", *map(str, words)])
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", error)
        with pytest.raises(SystemExit) as end:
            main()
    return end.value.code, error.text()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run whose name holds an escape sequence and a character that few encodings have."""
    folder = tmp_path_factory.mktemp("terminal") / "a\x1b[2J→"
    data = Data("avatars", size=16, options={"count": 240})
    train("vae", data, folder, {"width": 4, "latent": 8}, steps=2, batch=16, device="cpu")
    return folder


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_every_encoding_gets_the_output_without_escape_sequences(monkeypatch, run, tmp_path, encoding):
    folder = tmp_path / "→\x1b[31m"
    calls = [
        ["--help"],
        ["train", "--help"],
        ["models"],
        ["models", "vae_wgan"],
        ["datasets"],
        ["show", run],
        ["train", "vae", *WORDS, *SETTINGS, "--steps", "2", "--out", folder],
        ["evaluate", run, "--metric", "reconstruction", "--out", tmp_path / "\x1b]0;title\x07"],
    ]
    for words in calls:
        out = Terminal(encoding)
        code, error = mien(monkeypatch, out, *words)
        text = out.text() + error
        assert code in (0, None), (words, text)
        assert out.text()
        assert "\x1b" not in text, words
        assert "\x07" not in text


def test_errors_of_usage_and_of_names_are_escaped(monkeypatch, tmp_path):
    for words in (["\x1b[2J"], ["show", tmp_path / "\x1b[2J"], ["show", "a", "\x1b[2J"], ["models", "\x1b[2J"]):
        code, error = mien(monkeypatch, Terminal("utf-8"), *words)
        assert code == 2
        assert "\x1b" not in error
        assert "\\x1b[2J" in error


def test_a_training_whose_reader_has_ended_saves_and_goes_on_later(monkeypatch, tmp_path):
    words = ["train", "vae", *WORDS, *SETTINGS, "--steps", "12", "--out", tmp_path / "run"]
    code, error = mien(monkeypatch, Pipe("estimate"), *words)
    assert (code, error) == (141, "")
    step = progress(tmp_path / "run")["step"]
    assert 4 <= step < 12  # the estimate comes after some steps, and nothing is lost
    code, error = mien(monkeypatch, Terminal("utf-8"), *words)
    assert code in (0, None), error
    assert progress(tmp_path / "run")["step"] == 12


@pytest.mark.parametrize("words", [["models"], ["pretrained", "--help"], ["datasets"]])
def test_other_commands_end_without_a_word_when_their_reader_has_ended(monkeypatch, words):
    assert mien(monkeypatch, Pipe("a"), *words) == (141, "")


def test_an_interrupt_during_imports_ends_the_command_without_a_traceback():
    script = (
        "import sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'mien.cli.train': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from mien.cli import main\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (130, "")


@pytest.mark.parametrize("failure", [KeyboardInterrupt, ImportError("half of a module"), SystemError("C")])
def test_an_interrupt_that_a_module_turned_into_another_error_is_an_interrupt(monkeypatch, failure):
    import signal

    from mien import models

    def interrupted(*_):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise failure from None

    monkeypatch.setattr(models, "names", interrupted)
    monkeypatch.setattr(models, "check_name", interrupted)
    code, error = mien(monkeypatch, Terminal("utf-8"), "train", "vae", "--steps", "1")
    assert (code, error) == (130, "stopped\n")


def test_an_error_without_an_interrupt_stays_one(monkeypatch):
    from mien import models

    def fails(*_):
        raise ImportError("broken")

    monkeypatch.setattr(models, "check_name", fails)
    monkeypatch.setattr(sys, "argv", ["mien", "train", "vae"])
    with pytest.raises(ImportError, match="broken"):
        main()


def test_an_interrupt_that_python_dropped_is_sent_again():
    import signal
    import time

    class Last:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    def wait():
        with stop.interruptible():
            one = Last()
            del one
            time.sleep(10)

    with pytest.raises(KeyboardInterrupt):
        wait()


@pytest.mark.parametrize(
    "words",
    [
        ["show", LONG],
        ["train", "vae", *WORDS, "--steps", "1", "--out", LONG],
        ["train", "vae", *WORDS, "--steps", "1", "--out", "FILE"],
        ["train", "vae", *WORDS, "--steps", "1", "--out", "FILE/run"],
        ["train", "vae", *WORDS, "--steps", "1", "--out", "\udcff"],
        ["evaluate", LONG],
        ["evaluate", "RUN", "--out", LONG],
        ["reconstruct", "RUN", LONG],
        ["generate", "RUN", "--out", LONG + ".png"],
        ["export", "RUN", "--out", LONG],
        ["data", "prepare", "folder", "--root", LONG],
        ["compare", LONG, "RUN"],
    ],
    ids=lambda words: ascii(" ".join(str(word)[:12] for word in words)),
)
def test_paths_that_cannot_be_are_refused_in_one_line(monkeypatch, run, tmp_path, words):
    file = tmp_path / "file"
    file.write_text("x")
    words = [str(word).replace("FILE", str(file)).replace("RUN", str(run)) for word in words]
    out = Terminal("utf-8")
    code, error = mien(monkeypatch, out, *words)
    assert code == 2, error
    lines = error.strip().splitlines()
    assert lines[-1].startswith(("error: ", "Error: ")), error
    assert len(lines) <= 4
    assert len(error) < 1200
    assert file.read_text() == "x"


def test_json_on_stdout_has_no_nan(monkeypatch):
    from mien.cli.shared import print_json

    out = Terminal("ascii")
    monkeypatch.setattr(sys, "stdout", out)
    print_json({"a": [float("nan"), float("-inf"), 1.5]})
    assert json.loads(out.text(), parse_constant=pytest.fail) == {"a": [None, None, 1.5]}
