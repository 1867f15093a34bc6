"""Adding a measure touches one file and no list: a toy measure is in every table."""

import json
import sys
from pathlib import Path

import pytest

from mien import evaluation
from mien.evaluation import measures
from mien.experiment import train
from mien.run.data import Data
from mien.run.folder import PROGRESS
from test_cli import mien

TOOLS = Path(__file__).parents[1] / "tools"
TOY = '''"""Brightness of the held-out pictures, as a toy.

A measure in one file.
"""

from dataclasses import dataclass

from mien.evaluation.measure import Measure, Row
from mien.evaluation.record import Record
from mien.figures import Section


@dataclass(frozen=True)
class Brightness(Record):
    n: int
    mean: float


class ToyBrightness(Measure[Brightness]):
    Result = Brightness
    order = 15

    def applies(self, run):
        return True

    def take(self, context):
        x = context.run.dataset.batch(context.test).x
        return Brightness(len(x), float(x.mean()))

    def rows(self, result):
        return [Row("toy brightness", f"{result.mean:.3f}", f"{result.n} pictures", "up", "± 0.125")]

    def cells(self, result):
        return {"Smiling": {"toy column": "77.7%"}}

    def sections(self, run, result, judge):
        return [Section("Toy section", f"brightness {result.mean:.3f}")]
'''


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """The toy measure, in a folder beside the measures' own."""
    folder = tmp_path / "more"
    folder.mkdir()
    (folder / "toy_brightness.py").write_text(TOY)
    monkeypatch.setattr(measures, "__path__", [*measures.__path__, str(folder)])
    yield "toy_brightness"
    sys.modules.pop(f"{measures.__name__}.toy_brightness", None)
    vars(measures).pop("toy_brightness", None)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs on the same avatars."""
    out = tmp_path_factory.mktemp("runs")
    for seed, name in enumerate("ab"):
        data = Data("avatars", None, 16, {"count": 80})
        train("vae", data, out / name, {"width": 4, "latent": 8}, steps=2, batch=16, seed=seed)
    return out


def test_a_measure_in_one_file_is_in_every_table(toy, runs, capsys, tmp_path, monkeypatch):
    assert measures.names()[:2] == ("reconstruction", toy)
    # 1. the terminal's table, of evaluate and of show
    code, text = mien(capsys, "evaluate", runs / "a", "--metric", toy)
    assert code == 0, text
    stored = json.loads((runs / "a" / "evaluation.json").read_text())[toy]
    value = f"{stored['mean']:.3f} ± 0.125"
    for shown in (text, mien(capsys, "show", runs / "a")[1]):
        assert "toy brightness" in shown
        assert value in shown
        assert "toy column" in shown
        assert "77.7%" in shown
    # 2. the run's page, with the measure's own section
    page = (runs / "a" / "report.html").read_text()
    assert value in page
    assert "toy column" in page
    assert ">Toy section<" in page
    # 3. compare, by the terminal and by its page
    code, text = mien(capsys, "compare", runs / "a", runs / "b", "--metric", toy, "--out", tmp_path / "both")
    assert code == 0, text
    assert "toy brightness" in text
    assert value in (tmp_path / "both" / "index.html").read_text()
    # 4. and 5. the documentation's table of measures, and the report of results
    if not TOOLS.is_dir():
        return
    monkeypatch.syspath_prepend(TOOLS)
    import report

    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    marks = "".join(f"<!-- report: {name} -->\n<!-- /report -->\n" for name in ("measures", "results"))
    (tmp_path / "README.md").write_text("")
    (tmp_path / "docs" / "all.md").write_text(marks)
    assert json.loads((runs / "a" / PROGRESS).read_text())["finished"]
    report.store(tmp_path / "results" / "toy.json", "A toy", "of a test", ["mien evaluate"], [runs / "a"])
    report.write()
    text = (tmp_path / "docs" / "all.md").read_text(encoding="utf-8")
    assert f"| `{toy}` | Brightness of the held-out pictures, as a toy. | ● |  |" in text
    assert f"| toy brightness | {value} |" in text
    # and it is gone with its file
    monkeypatch.undo()
    assert toy not in measures.names()
    assert toy not in evaluation.Evaluation.from_json(json.loads((runs / "a" / "evaluation.json").read_text()))
