"""The command in unusual surroundings: other users, read-only folders, no HOME, closed streams, several at once."""

import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

DATA = ["--data", "avatars", "--size", "16", "--data-option", "count=60"]
SMALL = ["--set", "width=4", "--set", "latent=8", "--batch", "8", "--device", "cpu"]
EVALUATE = ["--metric", "reconstruction", "--count", "16", "--device", "cpu"]
NOBODY = 65534
TIMES = ("seconds", "images_per_second", "pictures_per_second")  # differ between calls
# Another user. It may read everything, because Python itself can be in a folder of root, but it writes as nobody.
CAPABILITY = "+dac_read_search"
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
AS_NOBODY += [f"--inh-caps={CAPABILITY}", f"--ambient-caps={CAPABILITY}"]
as_root = pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0 or shutil.which("setpriv") is None,
    reason="only root with the program setpriv can be another user",
)


def start(*words, cache, home="/nonexistent", **options):
    """Start the command without a HOME that can be written."""
    environment = {**os.environ, "MIEN_CACHE": str(cache), "HOME": home}
    environment |= options.pop("environment", {})
    environment = {key: value for key, value in environment.items() if value is not None}
    program = "from mien.cli import main; main()"
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    before = options.pop("before", [])
    return subprocess.Popen([*before, sys.executable, "-c", program, *map(str, words)], env=environment, **options)


def mien(*words, **options):
    """Run the command; return its exit code and its output."""
    process = start(*words, **options)
    out, error = process.communicate(timeout=300)
    text = (out or "") + (error or "")
    assert "Traceback" not in text, text
    return process.returncode, text


def results(run):
    values = json.loads((run / "evaluation.json").read_text(encoding="utf-8"))
    return {key: value for key, value in values.items() if key not in TIMES}


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run, its cache, the results of one evaluation and an edit that nobody disturbed."""
    from mien.experiment import train
    from mien.run.data import Data

    place = tmp_path_factory.mktemp("surroundings")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIEN_CACHE", str(place / "cache"))
        data = Data("avatars", size=16, options={"count": 60})
        train("vae", data, place / "run", {"width": 4, "latent": 8}, steps=2, batch=8, device="cpu")
    for file in (place / "run").glob("attribute_vectors*"):  # each edit computes them
        file.unlink()
    # a folder that every user can reach, with modes that every user can read
    for path in (place, *place.parents):
        if path.stat().st_uid == os.getuid() and path != Path(path.anchor):
            path.chmod(path.stat().st_mode | 0o055)
    shutil.copytree(place / "run", place / "whole")
    assert mien("evaluate", place / "whole", *EVALUATE, cache=place / "cache")[0] == 0
    words = ["edit", place / "whole", "Smiling=+1", "--out", place / "edited.png", "--device", "cpu"]
    assert mien(*words, cache=place / "cache")[0] == 0
    return place


@pytest.fixture
def run(made, tmp_path):
    """A copy of the run without an evaluation and without vectors."""
    return Path(shutil.copytree(made / "run", tmp_path / "run"))


def is_one_line(text):
    return len(text.strip().splitlines()) == 1 and text.startswith("error: ")


@as_root
def test_another_user_reads_a_run_and_a_cache_that_root_owns(made):
    """The user nobody reads the run; it writes elsewhere, and gets one line where it may not write."""
    place = made / "of-nobody"
    place.mkdir()
    os.chown(place, NOBODY, NOBODY)
    other = {"before": AS_NOBODY, "cache": made / "cache", "cwd": place}
    code, text = mien("generate", made / "run", "-n", "2", "--out", place / "new.png", "--device", "cpu", **other)
    assert code == 0, text
    code, text = mien("edit", made / "run", "Smiling=+1", "--out", place / "edited.png", "--device", "cpu", **other)
    assert code == 0, text
    assert (pixels(place / "edited.png") == pixels(made / "edited.png")).all()
    assert not list((made / "run").glob("attribute_vectors*"))
    code, text = mien("evaluate", made / "run", *EVALUATE, "--out", place / "results", **other)
    assert code == 0, text
    assert results(place / "results") == results(made / "whole")
    for words in (
        ["evaluate", made / "run", *EVALUATE],
        ["train", "vae", *DATA, *SMALL, "--steps", "4", "--out", made / "run"],
        ["train", "vae", *DATA, *SMALL, "--steps", "2", "--out", made / "new"],
        ["generate", made / "run", "--out", made / "new.png", "--device", "cpu"],
        ["data", "prepare", "avatars", "--size", "24", "--data-option", "count=4"],
    ):
        code, text = mien(*words, **other)
        assert code == 2, (words, text)
        assert is_one_line(text), (words, text)


def test_no_home_no_cache_and_a_small_dumb_terminal(made, run, tmp_path):
    """The cache of no HOME, a cache below a file, and a terminal of 20 columns."""
    words = ["data", "prepare", "avatars", "--size", "24", "--data-option", "count=4"]
    plain = {"environment": {"MIEN_CACHE": None, "XDG_CACHE_HOME": None}, "home": None}
    code, text = mien(*words, cache="", environment={**plain["environment"], "HOME": str(tmp_path)})
    assert code == 0, text
    assert list((tmp_path / ".cache" / "mien").rglob("index.json"))
    code, text = mien("models", cache="", **plain)
    assert code == 0, text
    (tmp_path / "file").write_text("")
    code, text = mien(*words, cache=tmp_path / "file" / "cache")
    assert code == 2, text
    assert is_one_line(text), text
    # a cache that is missing is made again
    code, text = mien("edit", run, "Smiling=+1", "--out", tmp_path / "e.png", "--device", "cpu", cache=tmp_path / "new")
    assert code == 0, text
    assert (pixels(tmp_path / "e.png") == pixels(made / "edited.png")).all()


@pytest.mark.parametrize("terminal", ["xterm", "dumb"])
def test_a_terminal_of_20_columns_and_5_lines(made, run, terminal):
    import fcntl
    import struct
    import termios
    import threading

    main_end, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 5, 20, 0, 0))
    environment = {"TERM": terminal, "COLUMNS": None, "LINES": None}
    parts = []

    def read():
        try:
            while part := os.read(main_end, 4096):
                parts.append(part)
        except OSError:  # the other end is closed
            pass

    reader = threading.Thread(target=read)
    reader.start()
    streams = {"stdin": end, "stdout": end, "stderr": end, "environment": environment, "cache": made / "cache"}
    codes = [
        start(*words, **streams).wait(timeout=200)
        for words in (
            ["train", "vae", *DATA, *SMALL, "--steps", "4", "--out", run],
            ["evaluate", run, *EVALUATE],
            ["models"],
        )
    ]
    os.close(end)
    reader.join(20)
    os.close(main_end)
    text = b"".join(parts).decode()
    assert codes == [0, 0, 0], text
    assert "Traceback" not in text
    assert "trained" in text
    assert (run / "report.html").is_file()


@pytest.mark.parametrize("closed", ["1", "2", "1 2"])
def test_closed_stdout_and_stderr(made, run, closed):
    """The shell closes the streams: mien … >&- 2>&-."""
    shell = " ".join(f"{number}>&-" for number in closed.split())
    program = f'"$0" -c "from mien.cli import main; main()" "$@" {shell}'
    words = ["evaluate", run, *EVALUATE]
    environment = {**os.environ, "MIEN_CACHE": str(made / "cache")}
    done = subprocess.run(
        ["/bin/sh", "-c", program, sys.executable, *map(str, words)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert results(run) == results(made / "whole")


def test_two_commands_at_once_on_the_same_run_cache_and_data(made, run, tmp_path):
    """Two evaluations, two edits and two preparations, all at once, on one cache."""
    cache = tmp_path / "cache"  # missing: all of them prepare the same data
    prepare = ["data", "prepare", "avatars", "--size", "16", "--data-option", "count=60"]
    calls = [
        *(["evaluate", run, *EVALUATE] for _ in range(2)),
        *(["edit", run, "Smiling=+1", "--out", tmp_path / f"{i}.png", "--device", "cpu"] for i in range(2)),
        *(prepare for _ in range(2)),
    ]
    processes = [start(*words, cache=cache) for words in calls]
    for words, process in zip(calls, processes, strict=True):
        out, error = process.communicate(timeout=300)
        assert process.returncode == 0, (words, out + error)
        assert "Traceback" not in out + error
    assert results(run) == results(made / "whole")
    for i in range(2):
        assert (pixels(tmp_path / f"{i}.png") == pixels(made / "edited.png")).all()
    assert len(list(cache.rglob("index.json"))) == 1
    assert not [path for path in (*run.rglob("*"), *cache.rglob("*")) if path.name.startswith(".mien-")]
    assert not list(cache.rglob("*.partial"))
    assert not mien("show", run, cache=cache)[0]
