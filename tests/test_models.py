"""Laws for every model. The tests iterate over all models: a new model needs no entry here."""

import copy
import importlib
import json

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

import golden
from conftest import CLASSES, NAMES, SHAPE, batch_of, tiny, weights_of
from golden import first_step, names_and_shapes
from mien import models
from mien.abilities import ABILITIES, Decodes, Edits, Encodes, Generates, Recognizes, names, require
from mien.errors import MienError
from mien.models.base import build, json_config, parse_settings
from mien.run.weights import load, load_weights, save_weights
from mien.training.update import Update

fabric = Fabric(accelerator="cpu", devices=1)


def test_golden_losses(model):
    got = first_step(model)
    assert got == pytest.approx(golden.losses(model.name), rel=2e-3), f"{model.name}: {got}"


def test_the_weights_are_those_that_stored_runs_hold(model):
    assert sorted(names_and_shapes(model)) == sorted(golden.weights(model.name))


def test_three_steps_are_finite(model):
    model.train()
    model.calibrate(batch_of())
    update = Update(model, fabric)
    for step in range(3):
        model.training_step(batch_of(seed=step), update)
    assert all(np.isfinite(v).all() for v in weights_of(model).values())
    assert all(torch.isfinite(v) for v in update.terms.values())


def test_a_step_moves_every_player(model):
    before = weights_of(model)
    first_step(model)
    after = weights_of(model)
    for player in model.players:
        mine = [k for k, _ in model.get_submodule(player).named_parameters()]
        assert any((before[f"{player}.{k}"] != after[f"{player}.{k}"]).any() for k in mine), player


def test_an_update_moves_only_the_players_named(model):
    """A step without one player does not change that player's weights, and changes the others as before."""
    for left_out in model.players:
        net = copy.deepcopy(model)
        net.train()
        net.calibrate(batch_of())
        update = Update(net, fabric)
        before = {k: v.detach().clone() for k, v in net.named_parameters()}

        def without(losses, update=update, left_out=left_out, **keywords):
            kept = {}
            for key, loss in losses.items():
                players = tuple(p for p in ((key,) if isinstance(key, str) else key) if p != left_out)
                if players:
                    kept[players] = loss
            keywords.pop("clip_gradients", None)
            keywords["clip_weights"] = {k: v for k, v in (keywords.get("clip_weights") or {}).items() if k != left_out}
            if kept:
                update(kept, **keywords)

        net.training_step(batch_of(), without)
        for key, parameter in net.named_parameters():
            if key.startswith(f"{left_out}."):
                assert torch.equal(parameter, before[key]), f"{key} moved although {left_out} was not named"


def test_frozen_networks_stay_frozen(model):
    before = weights_of(model)
    first_step(model)
    after = weights_of(model)
    players = tuple(f"{p}." for p in model.players)
    for key in before:
        if not key.startswith(players) and not key.endswith("scale"):
            assert (before[key] == after[key]).all(), f"{key} belongs to no player but changed"


def test_generation_is_fixed_by_its_seed(model):
    model.eval()
    if not isinstance(model, Generates):
        with pytest.raises(MienError, match="Generates"):
            require(model, Generates)
        return
    with torch.no_grad():
        a, b, c = model.generate(3, seed=1), model.generate(3, seed=1), model.generate(3, seed=2)
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_abilities_return_what_they_promise(model):
    model.eval()
    x = batch_of(5).x
    assert names(model) == models.abilities(model.name), "the table read from the source differs from the class"
    with torch.no_grad():
        if isinstance(model, Encodes):
            q = model.encode(x)
            assert q.mean.shape == q.sample().shape
            assert q.mean.ndim == 2
            assert len(q.mean) == 5
            assert q.mean.dtype == torch.float32
        if isinstance(model, Decodes):
            latent = model.encode(x).mean.shape[1] if isinstance(model, Encodes) else 8
            decoded = model.decode(torch.randn(5, latent))
            assert decoded.shape == x.shape
            assert decoded.abs().max() <= 1
        if isinstance(model, Generates):
            assert model.generate(3, seed=0).shape == (3, *SHAPE)
        if isinstance(model, Edits):
            assert model.edit(x, {NAMES[0]: 1.0}).shape == x.shape
            assert NAMES[0] in model.editable
            with pytest.raises(MienError, match="Eyeglases"):
                model.edit(x, {"Eyeglases": 1.0})
        if isinstance(model, Recognizes):
            p = model.recognize(x)
            # attributes are independent questions, classes one question
            assert p.shape == ((5, len(model.attributes)) if model.attributes else (5, len(CLASSES)))
            assert ((p >= 0) & (p <= 1)).all()
            if not model.attributes:
                assert torch.allclose(p.sum(1), torch.ones(5), atol=1e-4)
    assert any(isinstance(model, ability) for ability in ABILITIES)


def test_save_then_load_is_identical(model, tmp_path):
    # in the layout that trains, in which runs are opened: the other adds up in another order
    model.to(memory_format=torch.channels_last)
    first_step(model)
    model.eval()
    config = {"format": 1, "model": model.name, "config": json_config(model), "data": {}, "training": {}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_weights(tmp_path / "weights.safetensors", model.weights())
    again = load(tmp_path)
    assert weights_of(again).keys() == weights_of(model).keys()
    for key, value in weights_of(model).items():
        np.testing.assert_array_equal(weights_of(again)[key], value)
    x = batch_of(3).x
    with torch.no_grad():
        if isinstance(model, Encodes):
            assert torch.equal(model.encode(x).mean, again.encode(x).mean)
        if isinstance(model, Generates):
            assert torch.equal(model.generate(2, seed=3), again.generate(2, seed=3))
        if isinstance(model, Recognizes):
            assert torch.equal(model.recognize(x), again.recognize(x))


def test_config_survives_json(model):
    config = json.loads(json.dumps(json_config(model)))
    again = build(model.name, config)
    assert json_config(again) == json_config(model)
    assert weights_of(again).keys() == weights_of(model).keys()


def test_learning_rate_factor_is_sane(model):
    factors = [model.lr_factor(t / 100) for t in range(100)]
    assert all(0 <= f <= 1 for f in factors)
    assert factors[0] == 1


@pytest.mark.parametrize("name", models.names())
def test_bf16_step(name):
    net = tiny(name)
    net.train()
    net.calibrate(batch_of())
    mixed = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
    update = Update(net, mixed)
    with mixed.autocast():
        net.training_step(batch_of(), update)
    assert all(torch.isfinite(v) for v in update.terms.values())
    assert all(p.dtype == torch.float32 for p in net.parameters())


@pytest.mark.parametrize("name", models.names())
def test_every_model_says_what_it_is(name):
    assert models.describe(name).endswith(".")
    assert "Departures" in (importlib.import_module(f"mien.models.{name}").__doc__ or "")


def test_wrong_settings_are_told():
    with pytest.raises(MienError, match=r"unknown setting of vae 'widht': did you mean width"):
        parse_settings("vae", ["widht=3"])
    with pytest.raises(MienError, match=r"expected a whole number for vae's width, got '3.5'"):
        parse_settings("vae", ["width=3.5"])
    with pytest.raises(MienError, match=r"comes from the data"):
        parse_settings("vae", ["shape=3,32,32"])
    with pytest.raises(MienError, match=r"expected width > 0, got 0"):
        tiny("vae", width=0)
    with pytest.raises(MienError, match=r"expected layers among 1 to 5"):
        tiny("vae_wgan", layers=(0, 6))
    assert parse_settings("vae_wgan", ["layers=1,2", "betas=0.5,0.9"]) == {"layers": (1, 2), "betas": (0.5, 0.9)}


def test_weights_of_another_model_are_refused(tmp_path):
    save_weights(tmp_path / "w.safetensors", tiny("vae").weights())
    with pytest.raises(MienError, match="another model or version"):
        load_weights(tiny("attribute_cnn"), tmp_path / "w.safetensors")
    with pytest.raises(MienError, match="different runs"):
        load_weights(tiny("vae", latent=9), tmp_path / "w.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"not safetensors")
    with pytest.raises(MienError, match="damaged"):
        load_weights(tiny("vae"), tmp_path / "bad.safetensors")


def test_require_names_the_models_that_would_do():
    with pytest.raises(MienError, match=r"needed a model that Encodes and Decodes, got AttributeCNN.*use .*vae_wgan"):
        require(tiny("attribute_cnn"), Encodes, Decodes)
