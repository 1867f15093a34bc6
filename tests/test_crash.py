"""A crash of a training at any disk event leaves a run that resumes to the same weights."""

import json
import os
import stat

import pytest
import torch
from safetensors.torch import load_file

from mien import files
from mien.errors import MienError
from mien.experiment import train
from mien.run.data import Data
from mien.training import loop

AVATARS = Data("avatars", size=16, options={"count": 240})


class Dead(BaseException):
    """Ends a process at a disk event. Nothing catches it, and no cleanup of files runs after it."""


def run(folder):
    settings = {"width": 4, "latent": 8}
    return train("vae", AVATARS, folder, settings, steps=2, batch=16, device="cpu", save_seconds=0.0)


def kill_at(monkeypatch, point):
    """Raise Dead before the disk event number ``point``; return the list of the events so far."""
    events = []
    sync, replace, unlink = os.fsync, type(files.Path()).replace, type(files.Path()).unlink

    def event(name):
        events.append(name)
        if len(events) >= point:
            raise Dead

    def fsync(descriptor):
        event("fsync")
        sync(descriptor)

    def rename(self, target):
        event(f"rename to {target.name}")
        return replace(self, target)

    def remove(self, missing_ok=False):
        if len(events) < point:  # a dead process removes nothing
            unlink(self, missing_ok=missing_ok)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(type(files.Path()), "replace", rename)
    monkeypatch.setattr(type(files.Path()), "unlink", remove)
    return events


def weights(folder):
    return load_file(folder / "weights.safetensors")


def test_a_training_killed_at_any_disk_event_resumes_bit_identical(tmp_path, monkeypatch):
    run(tmp_path / "whole")
    expected = weights(tmp_path / "whole")
    with monkeypatch.context() as patch:
        events = kill_at(patch, 10_000)
        run(tmp_path / "counted-again")
    count = len(events)
    assert count > 30
    for point in range(1, count + 1):
        folder = tmp_path / f"killed-{point}"
        with monkeypatch.context() as patch:
            kill_at(patch, point)
            with pytest.raises(Dead):
                run(folder)
        monkeypatch.setattr(files, "_is_alive", lambda process: False)
        files._cleaned.clear()
        _, outcome = run(folder)
        assert outcome.step == 2
        result = weights(folder)
        assert all(torch.equal(expected[key], result[key]) for key in expected), (point, events[point - 1])
        assert files.is_newest(folder / "weights.safetensors")
        assert not [path for path in folder.iterdir() if path.name.startswith(".")], (point, events[point - 1])


def test_warnings_between_the_state_and_the_progress_are_kept(tmp_path):
    """A kill between the two leaves the state of a later step than progress.json, which holds the warnings."""
    run(tmp_path)
    warnings = loop.progress(tmp_path)["warnings"]
    assert warnings  # of a collapse: the training is short
    for stale in ('{"step": 0, "warnings": []}', json.dumps({"step": 1, "warnings": warnings[:1]})):
        (tmp_path / "progress.json").write_text(stale)
        run(tmp_path)
        assert loop.progress(tmp_path)["warnings"] == warnings


def test_stale_weights_of_a_finished_state_are_written_again(tmp_path):
    run(tmp_path)
    expected = weights(tmp_path)
    (tmp_path / "weights.safetensors").unlink()
    (tmp_path / "progress.json").write_text('{"step": []}')
    run(tmp_path)
    assert all(torch.equal(expected[key], value) for key, value in weights(tmp_path).items())
    assert loop.progress(tmp_path)["step"] == 2


def test_modes_follow_the_umask_and_long_names_can_be_written(tmp_path):
    before = os.umask(0o022)
    try:
        run(tmp_path / "run")
        files.write_json(tmp_path / ("n" * 250 + ".json"), {})
    finally:
        os.umask(before)
    for name in ("weights.safetensors", "state.pt", "progress.json"):
        assert stat.S_IMODE((tmp_path / "run" / name).stat().st_mode) == 0o644


def test_a_link_in_place_of_a_temporary_file_is_not_written_through(tmp_path, monkeypatch):
    """The names are random; should somebody guess one, the file that the link leads to stays as it is."""
    (tmp_path / "victim").write_text("whole")
    names = []
    monkeypatch.setattr(files.secrets, "token_hex", lambda count: names.append(count) or "0" * 2 * count)
    name = f".mien-{files._HOST}-{os.getpid()}-{'0' * 16}.json"
    (tmp_path / name).symlink_to(tmp_path / "victim")
    with pytest.raises(MienError, match="could not write"):
        files.write_json(tmp_path / "x.json", {})
    assert names == [8]  # bytes
    assert (tmp_path / "victim").read_text() == "whole"
    assert not (tmp_path / "x.json").exists()
