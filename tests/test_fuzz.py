"""Damaged files by chance: 100 of each kind. `make torture` tries many more (tools/fuzz.py)."""

import sys
from pathlib import Path

import numpy as np
import pytest

TOOLS = Path(__file__).parents[1] / "tools"
sys.path.insert(0, str(TOOLS))
import fuzz  # noqa: E402


@pytest.mark.parametrize("name", fuzz.KINDS)
def test_damaged_files_are_read_or_refused_in_one_line(name, own_cache):
    _, failures = fuzz.campaign([fuzz.KINDS[name]], 100, seed=1, show=lambda line: None)
    assert not failures, [f"{one.number}: {one.what}: {one.text}" for one in failures[:3]]


def test_the_campaign_sees_a_traceback_a_long_message_a_warning_and_a_hang(monkeypatch):
    import time
    import warnings

    from mien.errors import MienError

    def fails(error):
        def use(data, folder):
            raise error

        return use

    def attempt(use):
        return fuzz.attempt(fuzz.Kind("x", lambda: b"", use), b"")

    assert attempt(lambda data, folder: None) == ("accepted", None)
    assert attempt(fails(MienError("one line"))) == ("refused", None)
    assert attempt(fails(MienError("x" * 1001)))[1].what == "message of several lines"
    assert attempt(fails(KeyError("x")))[1].what == "KeyError"
    assert attempt(lambda data, folder: warnings.warn("raw", stacklevel=1))[1].what == "warning"
    monkeypatch.setattr(fuzz, "SECONDS", 1)
    assert attempt(lambda data, folder: time.sleep(5))[1].what == "time"


def test_damage_is_the_same_for_the_same_seed_and_changes_the_file():
    kind = fuzz.KINDS["celeba-table"]
    first, again = (list(fuzz.inputs(kind, 30, seed=3)) for _ in range(2))
    assert first == again
    assert first[0] == kind.valid()
    assert len(set(first)) > 25
    rng = np.random.default_rng(0)
    assert fuzz.damaged(b"", rng) == b""
