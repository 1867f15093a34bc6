"""Commands on disks that are too small; `make torture` tries many sizes (tools/torture_disk.py)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[1] / "tools" / "torture_disk.py"

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


def test_commands_on_files_of_some_sizes_end_in_one_line_and_go_on():
    """The limit of a file's size works for every user; root's small disks are left to make torture."""
    words = ["prepare", "edit", "--sizes", "2", "--way", "limit"]
    done = subprocess.run([sys.executable, TOOL, *words], capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == 2, done.stdout
