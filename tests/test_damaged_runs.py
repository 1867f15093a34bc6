"""Damaged files of a run: what can be made again is made again, and the rest is refused before memory is taken."""

import copy
import json
import math
import os
import pickle
import shutil
import stat
import struct
import sys
import warnings
import zipfile

import pytest
import torch

from mien import files
from mien.errors import MienError, MienWarning
from mien.evaluation import store
from mien.evaluation.record import Record
from mien.experiment import train
from mien.run import opening
from mien.run.data import Data
from mien.run.folder import CONFIG, WEIGHTS, progress, read_config
from mien.run.opening import open_run
from mien.run.weights import load
from mien.training import logs
from mien.training.checkpoint import FILE
from sources import Evil, within

TRAIN = (
    "--data avatars --size 16 --data-option count=240 --batch 16 --set width=4 --set latent=8 --steps 3 --device cpu"
)
AVATARS = Data("avatars", size=16, options={"count": 240})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("damaged") / "run"
    train("vae", AVATARS, folder, {"width": 4, "latent": 8}, steps=3, batch=16, device="cpu", log_every=1)
    return folder


@pytest.fixture
def run(made, tmp_path):
    return shutil.copytree(made, tmp_path / "run", ignore=shutil.ignore_patterns("tensorboard"))


def change(run, group, **values):
    config = json.loads((run / CONFIG).read_text())
    config[group] |= values
    (run / CONFIG).write_text(json.dumps(config))


@pytest.mark.parametrize("key", ["width", "latent"])
@pytest.mark.parametrize("value", [20_000, 10**7, 10**12, 10**30])
def test_a_huge_model_is_refused_before_it_takes_memory(run, key, value, monkeypatch):
    change(run, "config", **{key: value})
    initialized = []
    for name in ("kaiming_uniform_", "uniform_"):
        plain = getattr(torch.nn.init, name)
        monkeypatch.setattr(
            torch.nn.init, name, lambda x, *a, plain=plain, **k: (initialized.append(x.numel()), plain(x, *a, **k))[1]
        )
    with pytest.raises(MienError, match=r"config\.json|whole number"):
        load(run)
    assert max(initialized, default=0) < 2 * 10**7


def test_a_model_of_a_million_layers_is_refused_while_it_is_built(run, monkeypatch):
    from mien.run import weights

    count = 0

    def build(*_):
        nonlocal count
        layers = torch.nn.Module()
        while True:
            count += 1
            layers.add_module(str(count), torch.nn.Linear(1, 1))

    monkeypatch.setattr(weights, "build", build)
    with pytest.raises(MienError, match="a larger one"):
        load(run)
    assert count < 2000


def test_weights_of_another_width_are_refused(run):
    change(run, "config", width=8)
    with pytest.raises(MienError, match="of different runs"):
        load(run)


@pytest.mark.parametrize(
    ("group", "values"),
    [
        ("data", {"size": "16"}),
        ("data", {"size": 10**40}),
        ("data", {"options": []}),
        ("data", {"share": [1]}),
        ("data", {"share": "11"}),
        ("data", {"counts": {"train": 1}}),
        ("data", {"counts": {"train": "1", "valid": 2, "test": 3}}),
        ("data", {"split_seed": -1}),
        ("data", {"root": 5}),
        ("data", {"options": {"count": 900_000_000}}),
        ("training", {"steps": None}),
    ],
)
def test_a_configuration_of_wrong_types_is_refused_in_one_line(run, group, values):
    change(run, group, **values)
    with pytest.raises(MienError) as refusal:
        open_run(run)
    assert len(str(refusal.value)) < 600


def test_a_configuration_without_one_of_its_values_ends_in_one_line_at_most(run, tmp_path, capsys, monkeypatch):
    """Each value in turn is removed; each command goes on or says in one line what is wrong."""
    from mien import cli

    whole = json.loads((run / CONFIG).read_text())
    keys = [(key,) for key in whole] + [
        (group, key) for group in ("config", "data", "training") for key in whole[group]
    ]
    wrong = []
    for path in keys:
        config = copy.deepcopy(whole)
        del (config[path[0]] if len(path) == 2 else config)[path[-1]]
        commands = [
            ["show", run],
            ["generate", run, "--out", tmp_path / "a.png", "--force", "--device", "cpu"],
            ["edit", run, "Smiling=+1", "--out", tmp_path / "b.png", "--force", "--device", "cpu"],
            ["train", "vae", *TRAIN.split(), "--out", run],
        ]
        for words in commands:
            (run / CONFIG).write_text(json.dumps(config))
            monkeypatch.setattr(sys, "argv", ["mien", *map(str, words)])
            try:
                cli.main()
            except SystemExit as end:
                lines = capsys.readouterr().err.strip().splitlines()
                if end.code and (end.code != 2 or len(lines) != 1 or len(lines[0]) > 1000):
                    wrong.append((path, words[0], end.code, lines))
            except Exception as error:
                wrong.append((path, words[0], repr(error)))
    assert not wrong


@pytest.mark.parametrize("text", ['{"step": 1}', "{}", '{"step": 1, "steps": 2, "seconds": 3}', '{"finished": true}'])
def test_a_progress_without_some_of_its_values_is_shown(run, text, capsys, monkeypatch):
    from mien import cli

    (run / "progress.json").write_text(text)
    monkeypatch.setattr(sys, "argv", ["mien", "show", str(run)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    assert "progress" in capsys.readouterr().out


def test_a_difference_to_a_damaged_configuration_is_short(run):
    config = json.loads((run / CONFIG).read_text())
    config["data"]["counts"] = {"[" * 2000: 1}
    config["config"]["x" * 3000] = "y" * 3000
    (run / CONFIG).write_text(json.dumps(config))
    with pytest.raises(MienError, match="holds another training") as refusal:
        resume(run)
    assert len(str(refusal.value)) < 1000


def test_a_configuration_that_nests_deeply_or_is_a_pipe_is_refused(run):
    (run / CONFIG).write_text("[" * 100_000)
    with pytest.raises(MienError, match="something else"):
        read_config(run)
    for name in (CONFIG, WEIGHTS):
        (run / name).unlink()
        os.mkfifo(run / name)
    with pytest.raises(MienError, match="a pipe or a device"):
        read_config(run)


def test_weights_that_are_a_pipe_are_refused(run):
    (run / WEIGHTS).unlink()
    os.mkfifo(run / WEIGHTS)
    with pytest.raises(MienError, match="no regular file"):
        load(run)


def test_one_flipped_bit_of_the_weights_is_noticed(run):
    content = bytearray((run / WEIGHTS).read_bytes())
    content[-5] ^= 1
    (run / WEIGHTS).write_bytes(content)
    with pytest.raises(MienError, match="digest"):
        load(run)


def test_a_weight_type_that_torch_lacks_is_a_damaged_file(run):
    content = (run / WEIGHTS).read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = content[8 : 8 + length].replace(b'"F32"', b'"F99"', 1)
    (run / WEIGHTS).write_bytes(content[:8] + header + content[8 + length :])
    with pytest.raises(MienError, match="damaged file"):
        load(run)


@pytest.mark.parametrize("damage", ["bit", "empty", "metadata", "stamp", "folder-of-lists"])
def test_damaged_attribute_vectors_are_computed_again(run, damage):
    opened = open_run(run)
    expected = opened.vectors()
    path, stamp = run / opening.VECTORS, run / opening.STAMP
    content = bytearray(path.read_bytes())
    if damage == "bit":
        content[-5] ^= 1
        path.write_bytes(content)
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "metadata":  # an older stamp has no digest
        values = json.loads(stamp.read_text())
        del values[opening.DIGEST]
        stamp.write_text(json.dumps(values))
        path.write_bytes(bytes(content).replace(b"positives", b"pxsitives"))
    elif damage == "stamp":
        stamp.write_text("[" * 100_000)
    else:
        stamp.write_text('{"weights_sha256": [1], "amounts": {"of": {"a": "b"}}}')
    assert opening.cached_vectors(run) is None
    assert opening.cached_amounts(run) == {}
    assert torch.equal(opened.vectors().vectors, expected.vectors)
    assert opening.cached_vectors(run) is not None


def test_damaged_lines_of_a_log_are_named_and_a_cut_line_is_not(run):
    path = run / "log.jsonl"
    whole = path.read_text()
    path.write_text(whole + '{"step": 3, "lo')
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(logs.read(run)) == whole.count("\n")
    path.write_text("\x00\xff\n[]\n" + whole)
    with pytest.warns(MienWarning, match=r"^2 damaged lines were left out of .*log\.jsonl$"):
        assert len(logs.read(run)) == whole.count("\n")


def test_a_log_and_stored_results_hold_null_for_nan_and_are_read_as_nan(tmp_path):
    log = logs.Log(tmp_path, 0)
    log(1, loss=math.nan, other=math.inf, kl=1.5)
    log.close()
    line = (tmp_path / "log.jsonl").read_text()
    assert json.loads(line, parse_constant=pytest.fail) == {"step": 1, "loss": None, "other": None, "kl": 1.5}
    (record,) = logs.read(tmp_path)
    assert math.isnan(record["loss"])
    files.write_json(tmp_path / "x.json", {"a": (math.nan, {"b": -math.inf}), "c": 1})
    assert json.loads((tmp_path / "x.json").read_text(), parse_constant=pytest.fail) == {
        "a": [None, {"b": None}],
        "c": 1,
    }


def test_results_read_null_as_nan():
    from dataclasses import dataclass

    @dataclass(frozen=True)
    class Point(Record):
        x: float
        y: float | None
        z: tuple[float, ...]

    # the names of types in a function's class are resolved in its module
    from mien.evaluation import record

    record._KINDS[Point] = {"x": float, "y": float | None, "z": tuple[float, ...]}
    point = Point.from_json({"x": None, "y": None, "z": [1, None]})
    assert math.isnan(point.x)
    assert point.y is None
    assert math.isnan(point.z[1])


def resume(run, steps=3):
    settings = {"width": 4, "latent": 8}
    return train("vae", AVATARS, run, settings, steps=steps, batch=16, device="cpu", log_every=1)


def state_of(run, **values):
    """Write values into the state, without a record of digests: that of an older version."""
    state = torch.load(run / FILE, weights_only=True)
    torch.save({**state, **values}, run / FILE)
    (run / files.DIGESTS).unlink()


@pytest.mark.parametrize("step", [-1, 2**60, 1.5, True, "3", None])
def test_a_state_with_an_impossible_step_is_refused(run, step):
    state_of(run, step=step)
    with pytest.raises(MienError, match=r"state\.pt, got a damaged or different one .*delete it"):
        resume(run)


@pytest.mark.parametrize("seconds", [-1.0, math.nan, math.inf, "x"])
def test_a_state_with_an_impossible_time_is_refused(run, seconds):
    state_of(run, seconds=seconds)
    with pytest.raises(MienError, match="damaged or different"):
        resume(run)


def test_one_flipped_bit_of_the_state_is_noticed(run):
    content = bytearray((run / FILE).read_bytes())
    content[len(content) // 2] ^= 1
    (run / FILE).write_bytes(content)
    with pytest.raises(MienError, match="its digest is not the one"):
        resume(run)


@pytest.mark.parametrize("form", ["archive", "pickle"])
def test_a_pickle_in_the_state_runs_no_code_and_the_refusal_advises_none(run, tmp_path, form):
    proof = tmp_path / "touched"
    if form == "archive":
        state_of(run, average=Evil(proof))
    else:
        (run / FILE).write_bytes(pickle.dumps(Evil(proof)))
        (run / files.DIGESTS).unlink()
    with pytest.raises(MienError, match="damaged or different") as refusal:
        resume(run)
    assert not proof.exists()
    assert "weights_only" not in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_pickle_with_a_huge_memo_is_refused_before_it_takes_memory(run):
    """Nine bytes let the unpickler make room for a memo of 4 GiB."""
    (run / files.DIGESTS).unlink()
    with zipfile.ZipFile(run / FILE, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02Nr\xff\xff\xff\x1f.")
    with pytest.raises(MienError, match="a pickle with the memo index 536870911"):
        resume(run)


def test_damaged_lines_of_a_log_do_not_stop_a_resume(run):
    path = run / "log.jsonl"
    path.write_text("\x00\n[]\n" + path.read_text())
    with pytest.warns(MienWarning, match="^2 damaged lines were left out"):
        _, outcome = resume(run, steps=5)
    assert outcome.step == 5
    steps = [record["step"] for record in logs.read(run) if "images_per_second" in record]
    assert steps == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "name", ["progress.json", "log.jsonl", "digests.json", "state.pt", "attribute_vectors.json", "evaluation.json"]
)
def test_a_pipe_in_place_of_a_file_of_a_run_does_not_hang(run, name):
    """Each reader ends: what can be made again is made again, the rest is refused."""
    (run / name).unlink(missing_ok=True)
    os.mkfifo(run / name)
    readers = {
        "progress.json": lambda: progress(run),
        "log.jsonl": lambda: logs.read(run),
        "digests.json": lambda: load(run),
        "state.pt": lambda: resume(run),
        "attribute_vectors.json": lambda: opening.cached_vectors(run),
        "evaluation.json": lambda: store.read(run / name),
    }
    refused = name in ("log.jsonl", "state.pt")
    error = within(60, readers[name])
    assert isinstance(error, MienError) == refused
    assert error is None or refused


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_not_finite_are_refused(run, value):
    from safetensors.torch import load_file, save_file

    weights = load_file(run / WEIGHTS)
    key = next(key for key, weight in weights.items() if weight.is_floating_point())
    weights[key].view(-1)[0] = value
    save_file(weights, run / WEIGHTS)
    (run / files.DIGESTS).unlink()
    with pytest.raises(MienError, match=f"expected finite weights .* got NaN or infinity in {key}"):
        load(run)


def test_attribute_vectors_follow_the_umask(run):
    (run / opening.VECTORS).unlink(missing_ok=True)
    before = os.umask(0o022)
    try:
        open_run(run).vectors()
    finally:
        os.umask(before)
    assert stat.S_IMODE((run / opening.VECTORS).stat().st_mode) == 0o644


def test_files_without_permission_are_not_called_damaged(run, monkeypatch):
    """Root may read every file, so the refusal of the system is simulated."""

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("safetensors.safe_open", refuse)
        with pytest.raises(MienError, match="got no permission: change its permissions"):
            load(run)
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith(FILE))
    with pytest.raises(MienError, match="got no permission: change its permissions"):
        resume(run)
