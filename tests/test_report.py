"""The numbers of the README and of docs/ equal those of the stored results."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mien import recipes
from mien.errors import MienError

PROJECT = Path(__file__).parents[1]
TOOLS = PROJECT / "tools"


@pytest.fixture
def report(monkeypatch):
    """The module tools/report.py."""
    if not TOOLS.is_dir():
        pytest.skip("the tests run outside of the project's folder")
    monkeypatch.syspath_prepend(TOOLS)
    import report

    return report


@pytest.fixture
def copy(report, tmp_path, monkeypatch):
    """Copies of the README, the pages and the results, which tests can change."""
    shutil.copy(PROJECT / "README.md", tmp_path / "README.md")
    (tmp_path / "docs").mkdir()
    for page in (PROJECT / "docs").glob("*.md"):
        shutil.copy(page, tmp_path / "docs" / page.name)
    shutil.copytree(PROJECT / "docs" / "papers", tmp_path / "docs" / "papers")
    shutil.copytree(PROJECT / "results", tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_pages_hold_what_is_stored(report, copy):
    before = {path: path.read_text(encoding="utf-8") for path in (copy / "README.md", *(copy / "docs").rglob("*.md"))}
    written = report.write()
    for paper in recipes.papers():
        assert Path("docs", "papers", f"{paper}.md") in written
    for path, text in before.items():
        now = path.read_text(encoding="utf-8")
        assert now == text, f"run python tools/report.py and commit {path.relative_to(copy)}"


def test_another_result_is_another_page(report, copy):
    path = copy / "results" / "multiview" / "celeba32.json"
    result = json.loads(path.read_text())
    result["multi-view"]["mean_accuracy"] = 0.98765
    path.write_text(json.dumps(result))
    (copy / "docs" / "new.md").write_text("# New\n<!-- report: results -->\nold\n<!-- /report -->\nend\n")
    report.write()
    text = (copy / "docs" / "new.md").read_text(encoding="utf-8")
    assert "98.77%" in text
    assert text.startswith("# New\n<!-- report: results -->\n**")
    assert text.endswith("\n<!-- /report -->\nend\n")
    assert "\nold\n" not in text


def test_targets_stand_beside_what_was_measured(report, tmp_path):
    import report_tables

    assert "make bench" in report_tables.bench_table(tmp_path)
    (tmp_path / "bench").mkdir()
    stored = {
        "machine": {"cpu": "a processor", "cores": 2, "torch": "2.15"},
        "targets": [{"what": "speed", "wanted": ">= 1.3", "got": "1.1 (1.0–1.2)", "reached": False}],
    }
    (tmp_path / "bench" / "peers.json").write_text(json.dumps(stored))
    assert "| speed | >= 1.3 | 1.1 (1.0–1.2) | no | `peers.json` |" in report_tables.bench_table(tmp_path)


def test_the_counts_of_a_campaign_stand_beside_those_of_before(report, tmp_path):
    import report_torture

    assert "make torture" in report_torture.table(tmp_path)
    folder = tmp_path / "torture"
    folder.mkdir()
    about = {
        "machine": {"commit": "abc", "date": "2026-11-25", "cpu": "a processor", "cores": 2},
        "seconds": 120,
    }
    stored = {
        "before": {"source": "issue 15", "inputs": 35190, "tracebacks": 333, "hangs": 3},
        "fuzz": {
            **about,
            "inputs": {"accepted": 1000, "refused": 500},
            "failures": {"npz: KeyError": 2, "mat: KeyError": 1, "npz: time": 4},
        },
        "kills": {**about, "commands": {"edit": {"points": 9, "tried": 9, "survived": 8}}},
        "disk": {**about, "way": "limit", "commands": {"edit": {"sizes": 7, "step_bytes": 4096, "right": 7}}},
    }
    for name, values in stored.items():
        (folder / f"{name}.json").write_text(json.dumps(values))
        report_torture.table(tmp_path)  # some files are enough
    table = report_torture.table(tmp_path)
    for line in (
        "| damaged inputs | 35,190 | 1,500 |",
        "| inputs that gave a traceback | 333 | 3 |",
        "| inputs that took more than a minute | 3 | 4 |",
        "| inputs that took more than 1 GiB | – | 0 |",
        "| of these, runs that were lost | – | 1 |",
        "| `edit` | 9 | 9 | 8 | – | – |",
        "| `edit` | 7 | 4,096 | 7 |",
    ):
        assert line in table.splitlines()
    assert "commit abc, 2026-11-25, 2 minutes on a processor, 2 cores" in table


def test_pages_with_wrong_marks_are_left_alone(report, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MienError, match=r"expected README.md"):
        report.write()
    readme, page = tmp_path / "README.md", tmp_path / "docs" / "page.md"
    readme.write_text("nothing")
    with pytest.raises(MienError, match="expected the marks"):
        report.write()
    page.parent.mkdir()
    right = "<!-- report: models -->\n<!-- /report -->\n"
    readme.write_text(right)
    for wrong, reason in (
        ("<!-- report: modles -->\n<!-- /report -->\n", "did you mean models"),
        ("<!-- report: models -->\n", "expected '<!-- /report -->'"),
        ("<!-- report: models -->\n" + right, "expected '<!-- /report -->'"),
    ):
        page.write_text(wrong)
        with pytest.raises(MienError, match=reason):
            report.write()
        assert (readme.read_text(), page.read_text()) == (right, wrong)
    page.unlink()
    assert report.write() == [Path("README.md")]
    assert "`vae_wgan`" in readme.read_text(encoding="utf-8")


def test_it_runs_as_a_command(report, tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}

    def run(*words):
        command = [sys.executable, str(TOOLS / "report.py"), *words]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    done = run("--help")
    assert done.returncode == 0
    assert "--store results/faces.json" in done.stdout
    done = run("runs/a")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "expected --store FILE" in done.stderr
    done = run("runs/a", "--store", "result.json")
    assert done.returncode == 2
    assert "expected a run folder" in done.stderr
