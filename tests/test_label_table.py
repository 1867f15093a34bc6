"""The table of stored results of synthesized labels."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from mien.recipes.synthesized_labels import _spread


@pytest.fixture
def report(monkeypatch):
    """The module tools/report_tables.py."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "tools")
    import report_tables

    yield report_tables
    sys.modules.pop("report_tables")


def stored(folder, run, noise, few, both, labeled=20):
    """A result as the recipe writes it, with made-up accuracies."""
    accuracy = {"few": few, "synthesized": few, "both": both, "many": both, "label_kept": few}
    result = {
        "command": f"python -m mien.recipes.synthesized_labels runs/{run} --noise {noise:g}",
        "run": run, "data": "mnist", "n_test": 2000, "labeled": labeled, "per_class": 200, "noise": noise, "steps": 300,
        "seeds": len(few), "accuracy": {key: _spread(np.array(v)) for key, v in accuracy.items()},
        "gain": _spread(np.array(both) - np.array(few)),
    }  # fmt: skip
    (folder / "synthesized_labels").mkdir(parents=True, exist_ok=True)
    path = folder / "synthesized_labels" / f"{run}-{labeled}-{noise}.json"
    path.write_text(json.dumps(result), encoding="utf-8")


def test_each_result_is_a_row_with_its_spread_and_its_command(report, tmp_path):
    assert report.label_table(tmp_path) == ""
    stored(tmp_path, "gan", 0.5, [0.9, 0.8, 0.7], [0.8, 0.6, 0.4])
    stored(tmp_path, "gan", 0.1, [0.9, 0.8, 0.7], [0.9, 0.8, 0.7])
    stored(tmp_path, "gan", 0.1, [0.5, 0.5, 0.5], [0.6, 0.6, 0.6], labeled=5)
    text = report.label_table(tmp_path)
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| `gan`")]
    assert [(row[1], row[2]) for row in rows] == [("0.1", "20"), ("0.5", "20"), ("0.1", "5")]
    assert [row[7] for row in rows] == ["+0.0 ± 0.0", "-20.0 ± 10.0", "+10.0 ± 0.0"], "the gain is paired by seed"
    assert rows[1][4:7] == ["80.0 ± 10.0", "80.0 ± 10.0", "60.0 ± 20.0"]
    assert len({len(row) for row in rows}) == 1
    assert text.count("python -m mien.recipes.synthesized_labels runs/gan") == 3
    assert "2,000 held-out real pictures of mnist" in text
    assert "3 seeds" in text


def test_one_seed_has_no_spread(report, tmp_path):
    stored(tmp_path, "gan", 0.5, [0.9], [0.8])
    assert "| -10.0 |" in report.label_table(tmp_path)
