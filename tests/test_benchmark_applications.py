"""The benchmark of measures and applications: it runs, its arithmetic of memory, and its stored rows."""

import importlib
import json
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from mien.evaluation import measures

pytestmark = pytest.mark.usefixtures("benchmarks")
SOME = ("reconstruction", "classes", "encode", "walk", "neighbors", "encode_many", "neighbors_many")


@pytest.fixture
def applications():
    return importlib.import_module("applications")


def test_it_runs_and_keeps_what_it_did_not_measure_anew(applications, tmp_path, capsys):
    applications.main(["--smoke", "--out", str(tmp_path), "--only", *SOME])
    path = tmp_path / "applications.json"
    result = json.loads(path.read_text())
    assert [row["name"] for row in result["rows"]] == [name for name in SOME if name != "classes"]
    assert result["notes"][-1] == "skipped: classes, it does not apply to this run and its data"
    assert [target["wanted"] for target in result["targets"]] == ["≤ 40 MB more"] * 2
    assert str(tmp_path) not in path.read_text()
    rows = {row["name"]: row for row in result["rows"]}
    assert (rows["encode"]["n"], rows["encode_many"]["n"], rows["walk"]["n"]) == (60, 200, 56)
    for row in rows.values():
        assert row["seconds"]["n"] == 1
        assert sum(row["megabytes"].values()) == pytest.approx(row["peak_megabytes"], abs=3)  # rounded

    rows["walk"]["n"] = -1  # what a second call leaves alone
    path.write_text(json.dumps(result))
    applications.main(["--smoke", "--out", str(tmp_path), "--only", "encode"])
    again = json.loads(path.read_text())
    assert {row["name"]: row["n"] for row in again["rows"]}["walk"] == -1
    assert [row["name"] for row in again["rows"]] == [row["name"] for row in result["rows"]]
    assert "classes" in again["notes"][-1]
    assert "neighbors_many" in capsys.readouterr().out


def test_memory_beyond_is_told_where_many_take_more(applications):
    def row(name, n, beyond):
        return {"name": name, "n": n, "megabytes": {"beyond": beyond}}

    result = applications.Result("applications", "", [row("encode", 9000, 50), row("encode_many", 100000, 91)])
    applications.judge_memory(result)
    (target,) = result.targets
    assert (target["got"], target["reached"]) == ("+41 MB (91 and 50)", False)


def test_the_size_of_a_result_is_that_of_its_arrays(applications):
    @dataclass
    class Found:
        rows: torch.Tensor
        names: tuple

    half = np.zeros((2**18, 2), np.uint8)
    assert applications.megabytes(half) == 0.5
    assert applications.megabytes(Found(torch.zeros(2**18), (half, {"a": half}, "b", None, 3))) == 2.0
    assert applications.megabytes({"auc": 0.5}) == 0


def test_every_measure_is_a_subject(applications):
    # fid50k and kid50k are the protocol of fid10k, five times as long
    entered = {name for name, subject in applications.SUBJECTS.items() if subject.kind == "measure"}
    assert set(measures.names()) - entered - {"fid50k", "kid50k"} == set(
        importlib.import_module("subjects_measures").INCEPTION
    )


@pytest.mark.parametrize("wrong", [["--count", "5"], ["--only", "encod"]])
def test_mistakes_end_with_two(applications, wrong, capsys):
    with pytest.raises(SystemExit) as stop:
        applications.main([*wrong])
    assert stop.value.code == 2
    assert "error: " in capsys.readouterr().err


def test_rows_of_fewer_threads_are_named(applications):
    rows = [{"name": "a", "threads": 2}, {"name": "b", "threads": 1}]
    assert applications.threads_note(rows) == ["Threads: 2, but b on 1."]
    assert applications.threads_note(rows[:1]) == applications.threads_note([]) == []
