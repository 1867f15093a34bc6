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


def can_be_nobody():
    """Return whether a program can run as another user here: some containers take this right from root."""
    if shutil.which("setpriv") is None:
        return False
    return subprocess.run([*AS_NOBODY, sys.executable, "-c", ""], capture_output=True).returncode == 0


as_root = pytest.mark.skipif(not can_be_nobody(), reason="only root with the program setpriv can be another user")


# Runs commands one after the other: a process for each would import torch again, which takes most of the time. A call
# is (words, environment); the answers, (exit code, stdout, stderr), go to stdout as JSON. Without capture, the commands
# write to the streams of the process, and the exit code is the largest one.
RUNNER = """
import contextlib, io, json, os, sys, traceback
from mien.cli import main

calls, capture = json.loads(sys.argv[1])
answers = []
for words, environment in calls:
    for key, value in environment.items():
        os.environ.pop(key, None) if value is None else os.environ.update({key: value})
    sys.argv = ["mien", *words]
    out, error = io.StringIO(), io.StringIO()
    with contextlib.ExitStack() as streams:
        if capture:
            streams.enter_context(contextlib.redirect_stdout(out))
            streams.enter_context(contextlib.redirect_stderr(error))
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        except BaseException:
            traceback.print_exc()
            code = 1
    answers.append((code, out.getvalue(), error.getvalue()))
if capture:
    print(json.dumps(answers))
else:
    sys.exit(max(code for code, *_ in answers))
"""
PROGRAM = "from mien.cli import main; main()"


@pytest.fixture(scope="module")
def bytecode(tmp_path_factory):
    """The environment of a process that keeps the bytecode of modules, also where PYTHONDONTWRITEBYTECODE is set.

    Without it, each process compiles torch again.
    """
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    if sys.dont_write_bytecode:
        kept["PYTHONPYCACHEPREFIX"] = str(tmp_path_factory.mktemp("bytecode"))
    return kept


@pytest.fixture
def start(bytecode):
    """Return a function that starts a process with commands, without a HOME that can be written."""

    def begin(*calls, cache, environment=None, before=(), capture=True, **options):
        calls = [([str(word) for word in words], values) for words, values in map(with_environment, calls)]
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
        values = {**bytecode, "MIEN_CACHE": str(cache), "HOME": "/nonexistent", **(environment or {})}
        values = {key: value for key, value in values.items() if value is not None}
        words = [*before, sys.executable, "-c", RUNNER, json.dumps((calls, capture))]
        return subprocess.Popen(words, env=values, **options)

    return begin


def with_environment(call):
    """Return a call as (words, environment)."""
    return call if isinstance(call, tuple) else (call, {})


def ended(process):
    """Return the answers of a process: for each command its exit code, stdout and stderr, which hold no traceback."""
    out, error = process.communicate(timeout=300)
    assert process.returncode == 0, out + error
    answers = json.loads(out.splitlines()[-1])
    assert "Traceback" not in error + out, answers
    return answers


def results(run):
    values = json.loads((run / "evaluation.json").read_text(encoding="utf-8"))
    return {key: value for key, value in values.items() if key not in TIMES}


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run, its cache, the results of one evaluation and an edit that nobody disturbed."""
    from mien import cli
    from mien.experiment import train
    from mien.run.data import Data

    place = tmp_path_factory.mktemp("surroundings")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIEN_CACHE", str(place / "cache"))
        data = Data("avatars", size=16, options={"count": 60})
        train("vae", data, place / "run", {"width": 4, "latent": 8}, steps=2, batch=8, device="cpu")
        for file in (place / "run").glob("attribute_vectors*"):  # each edit computes them
            file.unlink()
        # an evaluation records the name of the run: the copy has the same name
        whole = shutil.copytree(place / "run", place / "whole" / "run")
        edit = ["edit", whole, "Smiling=+1", "--out", place / "edited.png", "--device", "cpu"]
        for words in (["evaluate", whole, *EVALUATE], edit):
            patch.setattr(sys, "argv", ["mien", *map(str, words)])
            with pytest.raises(SystemExit) as end:
                cli.main()
            assert not end.value.code
    # a folder that every user can reach, with modes that every user can read
    for path in (place, *place.parents):
        if path.stat().st_uid == os.getuid() and path != Path(path.anchor):
            path.chmod(path.stat().st_mode | 0o055)
    return place


@pytest.fixture
def run(made, tmp_path):
    """A copy of the run without an evaluation and without vectors."""
    return Path(shutil.copytree(made / "run", tmp_path / "run"))


def is_one_line(text):
    return len(text.strip().splitlines()) == 1 and text.startswith("error: ")


@as_root
def test_another_user_reads_a_run_and_a_cache_that_root_owns(made, start):
    """The user nobody reads the run; it writes elsewhere, and gets one line where it may not write."""
    place = made / "of-nobody"
    place.mkdir()
    os.chown(place, NOBODY, NOBODY)
    possible = (
        ["generate", made / "run", "-n", "2", "--out", place / "new.png", "--device", "cpu"],
        ["edit", made / "run", "Smiling=+1", "--out", place / "edited.png", "--device", "cpu"],
        ["evaluate", made / "run", *EVALUATE, "--out", place / "results"],
    )
    refused = (
        ["evaluate", made / "run", *EVALUATE],
        ["train", "vae", *DATA, *SMALL, "--steps", "4", "--out", made / "run"],
        ["train", "vae", *DATA, *SMALL, "--steps", "2", "--out", made / "new"],
        ["generate", made / "run", "--out", made / "new.png", "--device", "cpu"],
        ["data", "prepare", "avatars", "--size", "24", "--data-option", "count=4"],
    )
    answers = ended(start(*possible, *refused, before=AS_NOBODY, cache=made / "cache", cwd=place))
    for words, (code, _, error) in zip((*possible, *refused), answers, strict=True):
        assert code == (0 if words in possible else 2), (words, error)
        assert words in possible or is_one_line(error), (words, error)
    assert (pixels(place / "edited.png") == pixels(made / "edited.png")).all()
    assert results(place / "results") == results(made / "whole" / "run")
    assert not list((made / "run").glob("attribute_vectors*"))
    assert not (made / "new").exists()


def test_no_home_no_cache_and_a_cache_below_a_file(made, run, tmp_path, start):
    words = ["data", "prepare", "avatars", "--size", "24", "--data-option", "count=4"]
    no_home = {"MIEN_CACHE": None, "XDG_CACHE_HOME": None, "HOME": None}
    (tmp_path / "file").write_text("")
    edit = ["edit", run, "Smiling=+1", "--out", tmp_path / "e.png", "--device", "cpu"]
    answers = ended(
        start(
            (["models"], no_home),
            (words, no_home | {"HOME": str(tmp_path)}),
            (words, {"MIEN_CACHE": str(tmp_path / "file" / "cache")}),
            (edit, {"MIEN_CACHE": str(tmp_path / "new")}),  # a cache that is missing is made again
            cache="",
            environment=no_home,
        )
    )
    assert [code for code, *_ in answers] == [0, 0, 2, 0], answers
    assert is_one_line(answers[2][2]), answers
    assert list((tmp_path / ".cache" / "mien").rglob("index.json"))
    assert (pixels(tmp_path / "e.png") == pixels(made / "edited.png")).all()


def test_a_terminal_of_20_columns_and_5_lines_in_ascii(made, run, start):
    import fcntl
    import struct
    import termios
    import threading

    main_end, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 5, 20, 0, 0))
    environment = {"TERM": "xterm", "COLUMNS": None, "LINES": None, "PYTHONIOENCODING": "ascii"}
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
    calls = (
        ["train", "vae", *DATA, *SMALL, "--steps", "4", "--out", run],
        (["evaluate", run, *EVALUATE], {"TERM": "dumb"}),
        (["models"], {"TERM": "dumb"}),
    )
    code = start(*calls, capture=False, **streams).wait(timeout=200)
    os.close(end)
    reader.join(20)
    os.close(main_end)
    text = b"".join(parts).decode("ascii")
    assert code == 0, text
    assert "Traceback" not in text
    assert "trained" in text
    assert (run / "report.html").is_file()


@pytest.mark.parametrize("closed", ["1", "2", "0 1 2"])
def test_closed_streams(made, run, bytecode, closed):
    """The shell closes the streams: mien … <&- >&- 2>&-. The next files that open get these numbers."""
    shell = " ".join(f"{number}>&-" for number in closed.split())
    program = f'"$0" -c "{PROGRAM}" "$@" {shell}'
    # the second command takes less time
    evaluate = ["evaluate", run, *EVALUATE]
    generate = ["generate", run, "-n", "2", "--out", run / "new.png", "--device", "cpu", "--force"]
    words = evaluate if closed == "0 1 2" else generate
    done = subprocess.run(
        ["/bin/sh", "-c", program, sys.executable, *map(str, words)],
        capture_output=True,
        text=True,
        env={**bytecode, "MIEN_CACHE": str(made / "cache")},
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    if words is evaluate:
        assert results(run) == results(made / "whole" / "run")
    else:
        assert pixels(run / "new.png").std() > 0


def test_several_commands_at_once_on_the_same_run_cache_and_data(made, run, tmp_path, start):
    """Evaluations, edits and preparations in three processes at once, on one cache."""
    cache = tmp_path / "cache"  # missing: all of them prepare the same data
    prepare = ["data", "prepare", "avatars", "--size", "16", "--data-option", "count=60"]
    evaluate = ["evaluate", run, *EVALUATE]
    edits = [["edit", run, "Smiling=+1", "--out", tmp_path / f"{i}.png", "--device", "cpu"] for i in range(3)]
    orders = [(evaluate, edits[0], prepare), (edits[1], evaluate, prepare), (prepare, evaluate, edits[2])]
    for process in [start(*order, cache=cache) for order in orders]:
        for code, _, error in ended(process):
            assert code == 0, error
    assert results(run) == results(made / "whole" / "run")
    for i in range(3):
        assert (pixels(tmp_path / f"{i}.png") == pixels(made / "edited.png")).all()
    assert len(list(cache.rglob("index.json"))) == 1
    assert not [path for path in (*run.rglob("*"), *cache.rglob("*")) if path.name.startswith(".mien-")]
    assert not list(cache.rglob("*.partial"))
