"""Exported files have the outputs of the model in ONNX Runtime, at any batch size."""

import copy
import json

import numpy as np
import pytest
import torch

from conftest import batch_of, tiny
from mien import abilities, export, models
from mien.applications.arithmetic import AttributeVectors, edit
from mien.errors import MienError
from mien.files import write_json
from mien.run.weights import save_weights
from test_cli import mien, refused


def saved(tmp_path, name, **settings):
    """A run folder of a small model; its BatchNorm statistics differ from the initial ones."""
    from mien.models.base import json_config

    model = tiny(name, **settings)
    torch.manual_seed(1)
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm) and module.running_mean is not None:
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    run = tmp_path / name
    run.mkdir()
    save_weights(run / "weights.safetensors", model.weights())
    write_json(
        run / "config.json", {"format": 1, "model": name, "config": json_config(model), "data": {}, "training": {}}
    )
    return run, model.eval()


SETTINGS = {"residual_gan": {"attribute": "Smiling"}, "iterative_gan": {"shared": 16}, "ssavae": {"hidden": 8}}


@pytest.mark.parametrize("name", models.names())
def test_every_model_is_exported_as_it_is(name, tmp_path):
    run, model = saved(tmp_path, name, **SETTINGS.get(name, {}))
    vectors, amounts = None, None
    has = set(abilities.names(model))
    if "Edits" in has:
        amounts = {"Smiling": 1.0}
    elif {"Encodes", "Decodes"} <= has:
        amounts, vectors = {"a": 1.0}, AttributeVectors(("a",), torch.ones(1, 8), (9,), (9,))
    out = export.export(run, tmp_path / "out", amounts, vectors)
    about = json.loads((out / "export.json").read_text())
    x = batch_of(5).x
    with torch.inference_mode():
        expected = {}
        if "Encodes" in has:
            expected["encode"] = (x, model.encode(x).mean)
        if {"Encodes", "Decodes"} <= has:
            z = torch.randn(5, about["files"]["decode.onnx"]["input"][1], generator=torch.Generator().manual_seed(3))
            expected["decode"] = (z, model.decode(z))
        if "Recognizes" in has:
            expected["recognize"] = (x, model.recognize(x))
    if amounts:
        expected["edit"] = (x, edit(model, x, amounts, vectors))
    assert set(about["files"]) == {f"{part}.onnx" for part in expected}
    for part, (given, wanted) in expected.items():
        # a batch that the exporter never saw
        got = export.session(out / f"{part}.onnx").run(None, {"input": given.numpy()})[0]
        assert np.abs(got - wanted.numpy()).max() < 1e-4, part
        assert about["files"][f"{part}.onnx"]["output"] == ["B", *wanted.shape[1:]]


def test_the_command_and_what_it_refuses(capsys, tmp_path, monkeypatch):
    run, _ = saved(tmp_path, "residual_gan", attribute="Smiling")
    code, text = mien(capsys, "export", run, "Smiling=-1", "--out", tmp_path / "files")
    assert code == 0, text
    assert json.loads((tmp_path / "files" / "export.json").read_text())["edit"]["amounts"] == {"Smiling": -1.0}
    assert "unknown attribute 'Smile'" in refused(capsys, "export", run, "Smile=1")
    with pytest.raises(MienError, match="decodes, edits or recognizes"):
        export.export(run, tmp_path / "nothing")
    monkeypatch.setattr(export, "PACKAGES", ("onnx", "package_that_is_not"))
    with pytest.raises(MienError, match=r"got no package_that_is_not: pip install 'mien\[onnx\]'"):
        export.export(run, tmp_path / "x", {"Smiling": 1.0})


def test_amounts_and_attributes_to_keep_are_those_of_an_edit(tmp_path):
    run, model = saved(tmp_path, "vae")
    directions = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    vectors = AttributeVectors(("a", "b", "c"), directions, (9,) * 3, (9,) * 3)
    amounts, keep = {"a": -0.5, "b": 2.0}, ["b", "c"]
    out = export.export(run, tmp_path / "out", amounts, vectors, keep)
    x = batch_of(3).x
    got = export.session(out / "edit.onnx").run(None, {"input": x.numpy()})[0]
    with torch.inference_mode():
        assert np.abs(got - edit(model, x, amounts, vectors, keep).numpy()).max() < 1e-4
        assert np.abs(got - edit(model, x, amounts, vectors).numpy()).max() > 1e-3
    assert json.loads((out / "export.json").read_text())["edit"] == {"amounts": amounts, "keep": keep}


def test_attributes_to_keep_are_refused_where_they_would_be_ignored(tmp_path):
    run, _ = saved(tmp_path, "residual_gan", attribute="Smiling")
    with pytest.raises(MienError, match=r"which edits by itself.*got Male: leave them out"):
        export.export(run, tmp_path / "x", {"Smiling": 1.0}, keep=["Male"])
    other, _ = saved(tmp_path, "vae")
    with pytest.raises(MienError, match="got Male: name an edit too"):
        export.export(other, tmp_path / "x", keep=["Male"])
    assert not (tmp_path / "x").exists()


def test_a_wrong_fold_is_found(tmp_path, monkeypatch):
    run, _ = saved(tmp_path, "vae")

    # BatchNorm taken away instead of folded
    def careless(model):
        fast = copy.deepcopy(model)
        for layer in fast.modules():
            if isinstance(layer, torch.nn.modules.batchnorm._BatchNorm):
                torch.nn.init.ones_(layer.running_var)
                torch.nn.init.zeros_(layer.running_mean)
        return fast

    monkeypatch.setattr(export, "folded", careless)
    with pytest.raises(MienError, match="difference"):
        export.export(run, tmp_path / "out")


def test_a_file_that_gives_something_else_is_not_kept(tmp_path, monkeypatch):
    run, _ = saved(tmp_path, "vae")

    class Wrong:
        def __init__(self, value):
            self.value = value

        def run(self, names, given):
            return [np.full((len(given["input"]), 8), self.value, np.float32)]

    for value in (9.0, np.nan):
        monkeypatch.setattr(export, "session", lambda path, value=value: Wrong(value))
        with pytest.raises(MienError, match="difference"):
            export.export(run, tmp_path / "out")
        assert not list((tmp_path / "out").glob("*.onnx"))
