"""BatchNorm folded into the layer before it computes the same function, to 1e-5, for every model."""

import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from conftest import NAMES, batch_of, weights_of
from mien.abilities import Decodes, Edits, Encodes, Generates, Recognizes
from mien.folding import folded
from mien.training.update import Update

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def lively(module: nn.Module, seed: int = 0) -> nn.Module:
    """Set the statistics, scale and shift of every BatchNorm to values that differ from the initial ones."""
    generator = torch.Generator().manual_seed(seed)
    for layer in module.modules():
        if isinstance(layer, NORMS):
            # near the statistics that maps have, as far larger or smaller ones would magnify float32's rounding
            for values, middle in (
                (layer.running_mean, 0.0), (layer.running_var, 1.0), (layer.weight, 0.8), (layer.bias, 0.0)
            ):  # fmt: skip
                values.data.copy_(middle + 0.4 * (torch.rand(values.shape, generator=generator) - 0.5))
    return module


def norms(module: nn.Module) -> int:
    """The BatchNorms of a module that have one running average each; one with two cannot be part of a layer."""
    return sum(type(layer) in NORMS for layer in module.modules())


def test_every_model_is_the_same_function_folded(model):
    lively(model).eval()
    fast = folded(model)
    # StarGAN and CycleGAN normalize each picture by itself, which no weights can take
    assert norms(model) > 0 or any(isinstance(layer, nn.InstanceNorm2d) for layer in model.modules())
    assert norms(fast) == 0, "each BatchNorm of these networks stands after a layer that can take it"
    x = batch_of(5).x
    pairs = []
    with torch.no_grad():
        for net in (model, fast):
            got = []
            if isinstance(net, Encodes):
                q = net.encode(x)
                got += [q.mean, q.variance]
            if isinstance(net, Decodes):
                got.append(net.decode(torch.randn(5, net.encode(x).mean.shape[1], generator=torch.Generator())))
            if isinstance(net, Generates):
                got.append(net.generate(3, seed=1))
            if isinstance(net, Edits):
                got.append(net.edit(x, {NAMES[0]: 1.0}))
            if isinstance(net, Recognizes):
                got.append(net.recognize(x))
            pairs.append(got)
    for plain, quick in zip(*pairs, strict=True):
        scale = float(plain.abs().max())
        torch.testing.assert_close(quick, plain, rtol=1e-5, atol=1e-5 * max(scale, 1.0))


def test_the_module_itself_is_left_alone(model):
    before = weights_of(model)
    model.train()
    fast = folded(model)
    assert model.training
    assert not any(layer.training for layer in fast.modules())
    after = weights_of(model)
    assert all((before[k] == after[k]).all() for k in before)
    fast.get_submodule(model.players[0]).requires_grad_(False)
    model.calibrate(batch_of())
    model.training_step(batch_of(), Update(model, Fabric(accelerator="cpu", devices=1)))  # it still trains


LAYERS = {
    "convolution": (nn.Conv2d(3, 6, 3, padding=1, padding_mode="replicate"), nn.BatchNorm2d(6), (2, 3, 5, 5)),
    "grouped": (nn.Conv2d(4, 6, 3, groups=2, bias=False), nn.BatchNorm2d(6), (2, 4, 5, 5)),
    "transposed": (nn.ConvTranspose2d(3, 6, 5, 2, bias=False), nn.BatchNorm2d(6), (2, 3, 5, 5)),
    "signal": (nn.Conv1d(3, 6, 3), nn.BatchNorm1d(6), (2, 3, 9)),
    "linear": (nn.Linear(7, 6, bias=False), nn.BatchNorm1d(6), (4, 7)),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_each_kind_of_layer(kind):
    layer, norm, shape = LAYERS[kind]
    net = lively(nn.Sequential(layer, norm, nn.Tanh())).eval()
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(folded(net)(x), net(x), rtol=1e-5, atol=1e-5)
    assert norms(folded(net)) == 0


def test_what_a_batchnorm_adds_to_its_variance_is_folded_too():
    net = lively(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, eps=0.5))).eval()
    x = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(folded(net)(x), net(x), rtol=1e-5, atol=1e-5)


def test_units_that_become_maps():
    net = lively(nn.Sequential(nn.Linear(7, 24), nn.Unflatten(1, (6, 2, 2)), nn.BatchNorm2d(6))).eval()
    x = torch.randn(4, 7, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(folded(net)(x), net(x), rtol=1e-5, atol=1e-5)
    assert norms(folded(net)) == 0


def test_what_cannot_be_folded_stays():
    shared = nn.Conv2d(3, 3, 3, padding=1)
    nets = [
        nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 3, 3)),  # BatchNorm first
        nn.Sequential(nn.Conv2d(3, 3, 3), nn.ReLU(), nn.BatchNorm2d(3)),  # something between
        nn.Sequential(nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3, track_running_stats=False)),
        nn.Sequential(nn.ConvTranspose2d(4, 4, 3, groups=2), nn.BatchNorm2d(4)),
        nn.Sequential(nn.Linear(7, 12), nn.BatchNorm1d(6)),  # of (B, 6, 7), whose second axis is normalized
        nn.Sequential(shared, nn.BatchNorm2d(3), nn.ReLU(), shared),
    ]
    for net in nets:
        assert norms(folded(net)) == 1, net
    x = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(1))
    net = lively(nets[-1]).eval()
    with torch.no_grad():
        assert torch.equal(folded(net)(x), net(x))


def test_a_second_batchnorm_in_a_row_is_folded_too():
    net = lively(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.BatchNorm2d(4))).eval()
    x = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(folded(net)(x), net(x), rtol=1e-5, atol=1e-5)
    assert norms(folded(net)) == 0
