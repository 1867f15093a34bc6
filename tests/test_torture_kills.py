"""Commands killed at some disk events; `make torture` tries all of them (tools/torture_kills.py)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mien import files

TOOL = Path(__file__).parents[1] / "tools" / "torture_kills.py"
sys.path.insert(0, str(TOOL.parent))
import torture_kills  # noqa: E402

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


def test_commands_killed_at_some_disk_events_go_on_to_the_same_result():
    words = ["prepare", "edit", "evaluate", "--every", "7", "--random", "0"]
    done = subprocess.run([sys.executable, TOOL, *words], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == 3, done.stdout


def tortured(tmp_path, work):
    (tmp_path / "base").mkdir()
    command = torture_kills.Command("some", work, lambda folder: (folder / "x").read_text())
    return torture_kills.Torture(command, tmp_path / "base", tmp_path / "place")


def test_every_point_of_an_atomic_write_is_survived(tmp_path):
    torture = tortured(tmp_path, lambda folder: files.write_atomically(folder / "x", lambda p: p.write_text("text")))
    assert torture.events == ["half of a file", "fsync", "replace x", "fsync"]
    assert all(torture.at(point) for point in range(1, 5))
    assert torture.failures == []


def test_a_file_that_is_appended_to_is_a_failure(tmp_path):
    def work(folder):
        with (folder / "x").open("a") as file:
            file.write("text")
            file.flush()
            os.fsync(file.fileno())

    torture = tortured(tmp_path, work)
    assert not torture.at(1)
    assert "another result" in torture.failures[0]


def test_a_temporary_file_that_stays_is_a_failure(tmp_path):
    def work(folder):
        (folder / ".mien-x").write_text("")
        files.write_atomically(folder / "x", lambda p: p.write_text("text"))

    torture = tortured(tmp_path, work)
    assert not torture.at(1)
    assert "temporary files: .mien-x" in torture.failures[0]
