"""The README's numbers are those of the stored results, and nothing else."""

import json
import shutil
from pathlib import Path

import pytest

from mien import report
from mien.errors import MienError

PROJECT = Path(__file__).parents[1]


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """The README and the results in another folder, where they may be changed."""
    if not (PROJECT / "README.md").exists():
        pytest.skip("the tests run outside of the project's folder")
    shutil.copy(PROJECT / "README.md", tmp_path / "README.md")
    (tmp_path / "docs").mkdir()
    shutil.copy(PROJECT / report.RESULTS, tmp_path / report.RESULTS)
    shutil.copytree(PROJECT / "results", tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_readme_holds_what_is_stored(copy):
    before = {path: (copy / path).read_text(encoding="utf-8") for path in ("README.md", report.RESULTS)}
    report.write()
    for path, text in before.items():
        assert (copy / path).read_text(encoding="utf-8") == text, f"run mien report and commit {path}"


def test_another_result_is_another_readme(copy):
    path = copy / "results" / "multiview" / "celeba32.json"
    result = json.loads(path.read_text())
    result["multi-view"]["mean_accuracy"] = 0.98765
    path.write_text(json.dumps(result))
    report.write()
    assert "98.77%" in (copy / report.RESULTS).read_text(encoding="utf-8")


def test_targets_are_told_with_what_was_measured(tmp_path):
    assert "make bench" in report.bench_table(tmp_path)
    (tmp_path / "bench").mkdir()
    stored = {
        "machine": {"cpu": "a processor", "cores": 2, "torch": "2.15"},
        "targets": [{"what": "speed", "wanted": ">= 1.3", "got": "1.1 (1.0–1.2)", "reached": False}],
    }
    (tmp_path / "bench" / "peers.json").write_text(json.dumps(stored))
    assert "| speed | >= 1.3 | 1.1 (1.0–1.2) | no | `peers.json` |" in report.bench_table(tmp_path)


def test_a_readme_without_marks_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MienError, match=r"expected README.md"):
        report.write()
    (tmp_path / "README.md").write_text("nothing")
    (tmp_path / "results").mkdir()
    with pytest.raises(MienError, match="expected the marks"):
        report.write()
    assert (tmp_path / "README.md").read_text() == "nothing"
