"""Exported files have the outputs of the model in ONNX Runtime, at any batch size."""

import copy
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from conftest import batch_of, tiny
from mien import abilities, export, export_editor, models, photos
from mien.applications.arithmetic import AttributeVectors, edit
from mien.data.pictures import from_float
from mien.data.reading import read_shape
from mien.errors import MienError
from mien.files import write_json
from mien.preprocessing import PreparePictures, PrepareSignals
from mien.run.opening import cached_amounts, cached_vectors
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


SETTINGS = {
    "cyclegan": {"attribute": "Smiling"},
    "residual_gan": {"attribute": "Smiling"},
    "iterative_gan": {"shared": 16},
    "ssavae": {"hidden": 8},
}


@pytest.mark.parametrize("name", models.names())
def test_every_model_is_exported_as_it_is(name, tmp_path):
    run, model = saved(tmp_path, name, **SETTINGS.get(name, {}))
    vectors, amounts = None, None
    has = set(abilities.names(model))
    if "Edits" in has:
        amounts = {"Smiling": 1.0}
    elif {"Encodes", "Decodes"} <= has:
        amounts, vectors = {"a": 1.0}, AttributeVectors(("a",), torch.ones(1, 8), (9,), (9,))
    if not has & {"Encodes", "Edits", "Recognizes"}:
        with pytest.raises(MienError, match=f"expected a model that encodes.*, got {name}"):
            export.export(run, tmp_path / "out", raw=True)
        return
    out = export.export(run, tmp_path / "out", amounts, vectors, raw=True)
    about = json.loads((out / "export.json").read_text())
    x = batch_of(5).x
    with torch.inference_mode():
        expected = {}
        if "Encodes" in has:
            expected["encode"] = (x, model.encode(x).mean)
        if {"Encodes", "Decodes"} <= has:
            z = torch.randn(
                5, about["files"]["decode.onnx"]["input"]["shape"][1], generator=torch.Generator().manual_seed(3)
            )
            expected["decode"] = (z, model.decode(z))
        if "Recognizes" in has:
            expected["recognize"] = (x, model.recognize(x))
    if amounts:
        expected["edit"] = (x, edit(model, x, amounts, vectors))
    assert set(about["files"]) == {f"{part}.onnx" for part in expected}
    for part, (arguments, target) in expected.items():
        # a batch that the exporter never saw
        got = export.session(out / f"{part}.onnx").run(None, {"input": arguments.numpy()})[0]
        assert np.abs(got - target.numpy()).max() < 1e-4, part
        assert about["files"][f"{part}.onnx"]["output"]["shape"] == ["N", *target.shape[1:]]


def test_the_command_and_what_it_refuses(capsys, tmp_path, monkeypatch):
    run, _ = saved(tmp_path, "residual_gan", attribute="Smiling")
    code, text = mien(capsys, "export", run, "Smiling=-1", "--out", tmp_path / "files")
    assert code == 0, text
    assert json.loads((tmp_path / "files" / "export.json").read_text())["edit"]["amounts"] == {"Smiling": -1.0}
    assert "unknown attribute 'Smile'" in refused(capsys, "export", run, "Smile=1")
    with pytest.raises(MienError, match=r"pass amounts, such as Smiling=\+1"):
        export.export(run, tmp_path / "nothing")
    monkeypatch.setattr(export, "PACKAGES", ("onnx", "package_that_is_not"))
    with pytest.raises(MienError, match=r"got no package_that_is_not: pip install 'mien\[onnx\]'"):
        export.export(run, tmp_path / "x", {"Smiling": 1.0})


def test_amounts_and_attributes_to_keep_are_those_of_an_edit(tmp_path):
    run, model = saved(tmp_path, "vae")
    directions = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    vectors = AttributeVectors(("a", "b", "c"), directions, (9,) * 3, (9,) * 3)
    amounts, keep = {"a": -0.5, "b": 2.0}, ["b", "c"]
    out = export.export(run, tmp_path / "out", amounts, vectors, keep, raw=True)
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


def test_a_file_is_compared_before_it_gets_its_name(tmp_path, monkeypatch):
    run, _ = saved(tmp_path, "vae")
    out = tmp_path / "out"
    out.mkdir()
    (out / "encode.onnx").write_bytes(b"the file of an earlier export")
    names = []

    def wrong(path):
        names.append(path.name)
        raise MienError("expected encode.onnx to give what the model gives, got a difference")

    monkeypatch.setattr(export, "session", wrong)
    with pytest.raises(MienError, match="difference"):
        export.export(run, out)
    assert len(names) == 1
    assert names[0].startswith(".mien-"), names  # a temporary name
    assert [path.name for path in out.iterdir()] == ["encode.onnx"]
    assert (out / "encode.onnx").read_bytes() == b"the file of an earlier export"


SIZES = ((97, 64), (40, 133), (16, 16), (9, 30), (300, 301))  # width and height


def drawn(path, size, seed=0):
    """A picture file with edges, gradients and noise."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    picture = Image.fromarray(noise // 4)
    draw = ImageDraw.Draw(picture)
    draw.ellipse((2, 2, size[0] // 2, size[1] - 3), fill=(250, 130, 20))
    draw.line((0, 0, *size), fill=(0, 255, 90), width=2)
    picture.save(path)
    return np.asarray(picture)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", SIZES)
def test_pictures_are_prepared_as_mien_reads_them(size, channels, tmp_path):
    pixels = drawn(tmp_path / "me.png", size)
    for shape in ((channels, 16, 16), (channels, 24, 20)):
        expected = from_float(read_shape([tmp_path / "me.png"], shape).numpy()).astype(int)
        got = from_float(PreparePictures(shape)(torch.from_numpy(pixels.copy())[None]).numpy()).astype(int)
        np.testing.assert_array_equal(got, expected)


def test_signals_are_prepared_as_mien_reads_them(tmp_path):
    signal = np.random.default_rng(0).normal(3, 2, 70).astype(np.float32)
    np.save(tmp_path / "a.npy", signal)
    expected = read_shape([tmp_path / "a.npy"], (1, 1, 64))
    torch.testing.assert_close(PrepareSignals(64)(torch.from_numpy(signal)[None]), expected)
    assert (PrepareSignals(64)(torch.ones(1, 64)) == 0).all()


@pytest.mark.parametrize("name", ["attribute_cnn", "vae", "residual_gan", "ssavae"])
def test_ordinary_pictures_give_what_mien_gives(name, tmp_path):
    run, model = saved(tmp_path, name, **SETTINGS.get(name, {}))
    shape = model.config["shape"]
    amounts, vectors = None, None
    if name == "vae":
        amounts, vectors = {"a": 1.0}, AttributeVectors(("a",), torch.ones(1, 8), (9,), (9,))
    elif name == "residual_gan":
        amounts = {"Smiling": 1.0}
    out = export.export(run, tmp_path / "out", amounts, vectors)
    pixels = np.stack([drawn(tmp_path / f"{seed}.png", (61, 83), seed) for seed in range(3)])
    x = read_shape([tmp_path / f"{seed}.png" for seed in range(3)], shape)
    with torch.inference_mode():
        if (out / "recognize.onnx").exists():
            got = export.session(out / "recognize.onnx").run(None, {"input": pixels})[0]
            assert np.abs(got - model.recognize(x).numpy()).max() < 5e-3
        if (out / "encode.onnx").exists():
            got = export.session(out / "encode.onnx").run(None, {"input": pixels})[0]
            assert np.abs(got - model.encode(x).mean.numpy()).max() < 2e-2
        if amounts:
            got = export.session(out / "edit.onnx").run(None, {"input": pixels})[0]
            assert got.dtype == np.uint8
            assert np.abs(got.astype(int) - from_float(edit(model, x, amounts, vectors).numpy()).astype(int)).max() <= 2


def test_signals_give_what_mien_gives(tmp_path):
    run, model = saved(tmp_path, "ssavae", hidden=8, shape=(1, 1, 64))
    out = export.export(run, tmp_path / "out")
    signals = np.random.default_rng(0).normal(3, 2, (3, 70)).astype(np.float32)
    for i, signal in enumerate(signals):
        np.save(tmp_path / f"{i}.npy", signal)
    x = read_shape([tmp_path / f"{i}.npy" for i in range(3)], (1, 1, 64))
    got = export.session(out / "recognize.onnx").run(None, {"input": signals})[0]
    with torch.inference_mode():
        assert np.abs(got - model.recognize(x).numpy()).max() < 1e-4
    assert json.loads((out / "export.json").read_text())["signals"].startswith("float32 (N, n), n >= 64")


def test_each_file_says_what_goes_in_and_what_comes_out(tmp_path):
    run, model = saved(tmp_path, "attribute_cnn")
    out = export.export(run, tmp_path / "out")
    session = export.session(out / "recognize.onnx")
    about = session.get_modelmeta().custom_metadata_map
    assert session.get_inputs()[0].shape == ["N", "height", "width", 3]
    assert session.get_inputs()[0].type == "tensor(uint8)"
    assert session.get_outputs()[0].shape[0] == "N"
    assert json.loads(about["attributes"]) == list(model.attributes)
    assert json.loads(about["output"])["kind"] == "probabilities"
    assert json.loads(about["size"]) == list(model.config["shape"][1:])
    assert json.loads(about["range"]) == [-1, 1]
    assert about["mien"]
    assert about["crop"].startswith("the largest centered rectangle")
    assert (about["ability"], about["preparation"]) == ("recognize", "in the graph")


def test_the_example_needs_no_mien(tmp_path, monkeypatch, capsys):
    script = Path(__file__).parents[1] / "examples" / "onnx_pictures.py"
    drawn(tmp_path / "me.png", (50, 60))
    monkeypatch.chdir(tmp_path)
    run, model = saved(tmp_path, "attribute_cnn")
    export.export(run, "recognizer")
    monkeypatch.setattr(sys, "argv", ["example", "recognizer/recognize.onnx", "me.png"])
    runpy.run_path(str(script))
    lines = capsys.readouterr().out.split("\n")[:-1]
    with torch.inference_mode():
        expected = model.recognize(read_shape(["me.png"], model.config["shape"]))[0]
    best = expected.argsort(descending=True)[:3].tolist()
    assert [line.split()[0] for line in lines] == [model.attributes[i] for i in best]
    other, edits = saved(tmp_path, "residual_gan", attribute="Smiling")
    export.export(other, "editor", {"Smiling": 1.0})
    monkeypatch.setattr(sys, "argv", ["example", "editor/edit.onnx", "me.png"])
    runpy.run_path(str(script))
    with Image.open("changed.png") as changed:
        assert changed.size == tuple(edits.config["shape"][:0:-1])
    text = script.read_text()
    assert "import mien" not in text
    assert "import torch" not in text


def exported_editor(tmp_path, **options):
    """The editor of a small VAE, its model and its vectors; the third attribute has too few pictures."""
    run, model = saved(tmp_path, "vae")
    directions = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    vectors = AttributeVectors(("a", "b", "c"), directions, (9, 9, 2), (9, 9, 9))
    about = export_editor.export_editor(run, tmp_path / "editor.onnx", vectors, **options)
    return export.session(tmp_path / "editor.onnx"), model, vectors, about


def test_the_editor_takes_amounts(tmp_path):
    session, model, vectors, about = exported_editor(tmp_path)
    assert about["attributes"] == ["a", "b"]
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["attributes"]) == ["a", "b"]
    assert json.loads(metadata["recommended"]) == {"a": 1.0, "b": 1.0}
    pixels = np.stack([drawn(tmp_path / f"{seed}.png", (61, 83), seed) for seed in range(3)])
    x = read_shape([tmp_path / f"{seed}.png" for seed in range(3)], model.config["shape"])
    for amounts in (np.float32([[1, -2], [0, 0], [0.5, 0]]), np.float32([[0, 3]])):
        output, change = session.run(["output", "change"], {"input": pixels, "amounts": amounts})
        with torch.inference_mode():
            z = model.encode(x).mean
            moved = z + torch.from_numpy(amounts) @ vectors.vectors[:2]
            expected = model.decode(moved) - model.decode(z)
        assert np.abs(change - expected.numpy()).max() < 2e-2
        assert output.shape == (3, 61, 61, 3)
        assert output.dtype == np.uint8
        part = pixels[:, 11:72].astype(int)  # the centered square
        assert np.abs(output.astype(int) - part).max() > 2
        assert (output[1] == part[1]).all() == (not amounts[min(1, len(amounts) - 1)].any())


@pytest.mark.parametrize(("wrong", "value"), [("output", 2), ("change", 0.01), ("change", np.nan)])
def test_an_editor_that_gives_something_else_does_not_replace_the_file_before(tmp_path, monkeypatch, wrong, value):
    class Wrong:
        def __init__(self, path):
            self.right = export.session(path)

        def run(self, names, given):
            outputs = self.right.run(names, given)
            i = names.index(wrong)
            outputs[i] = outputs[i].astype(np.float64) + value
            return outputs

    (tmp_path / "editor.onnx").write_bytes(b"the file of an earlier export")
    monkeypatch.setattr(export_editor, "session", Wrong)
    with pytest.raises(MienError, match=r"expected editor\.onnx to give what the model gives, got a difference of "):
        exported_editor(tmp_path)
    assert (tmp_path / "editor.onnx").read_bytes() == b"the file of an earlier export"
    assert not list(tmp_path.glob(".mien-*"))


def test_the_change_is_enlarged_as_pillow_does(tmp_path):
    line = np.random.default_rng(0).random(7).astype(np.float32)
    wide = np.pad(line, 4, mode="edge")[None]  # Pillow has no pixels beyond the ends
    expected = Image.fromarray(np.repeat(wide, 9, 0)).transform(
        (70, 1), Image.Transform.AFFINE, (0.1, 0, 4, 0, 0, 4.5), Image.Resampling.BICUBIC
    )
    weights, positions = export_editor.enlarging(torch.ones(76).double(), 7, torch.tensor(10.0))
    assert positions.tolist() == list(range(3, 73))
    np.testing.assert_allclose(weights.numpy() @ line, np.asarray(expected)[0], atol=1e-4)


def test_the_editor_of_a_shipped_model_is_small_exact_and_changes_the_face_only(tmp_path):
    vectors = cached_vectors("faces-64")
    about = export_editor.export_editor("faces-64", tmp_path / "editor.onnx", vectors)
    assert about["recommended"]["Smiling"] == cached_amounts("faces-64")["Smiling"] != 0
    assert (tmp_path / "editor.onnx").stat().st_size < 7_000_000  # 12 MB in float32
    session = export.session(tmp_path / "editor.onnx")
    picture = photos.portrait()[40:340, 100:400]
    amounts = {name: np.zeros((1, len(vectors.names)), np.float32) for name in ("Smiling", "Bangs", "")}
    for name in ("Smiling", "Bangs"):
        amounts[name][0, vectors.names.index(name)] = -1.5
    same, smile, bangs = (
        session.run(["output"], {"input": picture[None], "amounts": amounts[name]})[0][0].astype(int)
        for name in ("", "Smiling", "Bangs")
    )
    assert (same == picture).all()
    assert (smile[:20] == picture[:20]).all()
    assert (bangs[25:60] != picture[25:60]).mean() > 0.3
    assert np.abs(smile - picture).max() > 20


@pytest.mark.parametrize("name", ["residual_gan", "cyclegan"])
def test_the_editor_of_a_model_that_edits_one_attribute_by_itself(tmp_path, name):
    run, model = saved(tmp_path, name, attribute="Smiling")
    about = export_editor.export_editor(run, tmp_path / "editor.onnx", None)
    assert about["attributes"] == ["Smiling"]
    session = export.session(tmp_path / "editor.onnx")
    pixels = np.stack([drawn(tmp_path / f"{seed}.png", (61, 83), seed) for seed in range(3)])
    x = read_shape([tmp_path / f"{seed}.png" for seed in range(3)], model.config["shape"])
    amounts = np.float32([[1], [-0.5], [0]])
    output, change = session.run(["output", "change"], {"input": pixels, "amounts": amounts})
    for i, amount in enumerate(amounts[:, 0].tolist()):
        with torch.inference_mode():
            expected = model.edit(x[i : i + 1], {"Smiling": amount}) - x[i : i + 1]
        assert np.abs(change[i] - expected[0].numpy()).max() < 2e-2
        assert (np.abs(change[i]).max() > 1e-3) == bool(amount)
    assert (output[2] == pixels[2][11:72]).all()
    several = saved(tmp_path, "iterative_gan")[0]
    with pytest.raises(MienError, match="or that edits one attribute, got iterative_gan: export an edit with fixed"):
        export_editor.export_editor(several, tmp_path / "x.onnx", None)


def test_attributes_that_the_editor_keeps(tmp_path):
    session, model, vectors, about = exported_editor(tmp_path, keep=["b"])
    assert about["keep"] == ["b"]
    pixels = drawn(tmp_path / "me.png", (16, 16))[None]
    change = session.run(["change"], {"input": pixels, "amounts": np.float32([[1, 0]])})[0]
    with torch.inference_mode():
        z = model.encode(read_shape([tmp_path / "me.png"], model.config["shape"])).mean
        expected = model.decode(z + vectors.without("a", ["b"])) - model.decode(z)
    assert np.abs(change - expected.numpy()).max() < 1e-2


def test_the_editor_by_command_and_the_example(tmp_path, monkeypatch, capsys):
    script = Path(__file__).parents[1] / "examples" / "onnx_editor.py"
    monkeypatch.chdir(tmp_path)
    code, text = mien(capsys, "export", "faces-64", "--editor", "--out", "exported")
    assert code == 0, text
    about = json.loads(Path("exported/export.json").read_text())
    assert set(about["files"]) == {"encode.onnx", "decode.onnx", "editor.onnx"}
    assert about["files"]["editor.onnx"]["recommended"]["Smiling"] > 0
    drawn(tmp_path / "me.png", (90, 120))
    monkeypatch.setattr(sys, "argv", ["example", "exported/editor.onnx", "me.png", "Smiling=1", "Eyeglasses=-1"])
    runpy.run_path(str(script))
    with Image.open("changed.png") as changed, Image.open("me.png") as original:
        assert changed.size == (90, 90)
        assert np.abs(np.asarray(changed, int) - np.asarray(original, int)[15:105]).max() > 5
    lines = script.read_text().splitlines()
    assert len(lines) <= 24
    assert not [line for line in lines if line.startswith(("import mien", "import torch", "from mien"))]
    # a model that edits by itself has no other file
    run = saved(tmp_path, "residual_gan", attribute="Smiling")[0]
    code, text = mien(capsys, "export", run, "--editor", "--out", "own")
    assert code == 0, text
    assert set(json.loads(Path("own/export.json").read_text())["files"]) == {"editor.onnx"}
    assert "such as Smiling=+1, or --editor" in refused(capsys, "export", run)
