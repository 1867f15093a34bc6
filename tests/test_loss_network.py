"""The loss network: VGG-19 as torchvision computes it, attribute runs, the measured scale."""

import json

import pytest
import torch
from torchvision.models.vgg import cfgs, make_layers

from conftest import batch_of, tiny, tiny_loss_network
from mien import losses
from mien.errors import MienError
from mien.files import sha256
from mien.models.base import json_config
from mien.networks.loss_network import FeatureLoss
from mien.networks.vgg import IMAGENET_MEAN, IMAGENET_STD
from mien.run.loss_network import loss_network
from mien.run.weights import save_weights


@pytest.fixture(scope="module")
def vgg19():
    """torchvision's VGG-19 convolutions with random weights, and their state under its own names."""
    torch.manual_seed(0)
    layers = make_layers(cfgs["E"]).eval()
    return layers, {f"features.{k}": v for k, v in layers.state_dict().items()}


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_vgg19_from_a_file_gives_torchvisions_activations(vgg19, tmp_path, suffix):
    layers, state = vgg19
    path = tmp_path / f"vgg19{suffix}"
    torch.save(state, path) if suffix == ".pth" else save_weights(path, state)
    network = loss_network(str(path))
    assert network.sha256 == sha256(path)
    x = torch.rand(2, 3, 32, 32) * 2 - 1
    h = ((x + 1) / 2 - torch.tensor(IMAGENET_MEAN).view(3, 1, 1)) / torch.tensor(IMAGENET_STD).view(3, 1, 1)
    expected = []
    with torch.no_grad():
        for number, layer in enumerate(layers):
            h = layer(h)
            if number in (1, 6, 11, 20, 29):  # relu1_1 … relu5_1
                expected.append(h.clone())
        got = network(x)
    assert [g.shape[1] for g in got] == [64, 128, 256, 512, 512]
    for g, w in zip(got, expected, strict=True):
        torch.testing.assert_close(g, w, rtol=1e-4, atol=1e-5)


def test_bad_files_are_told(vgg19, tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"no weights")
    with pytest.raises(MienError, match="cannot be read"):
        loss_network(str(path))
    torch.save({k: v for k, v in vgg19[1].items() if not k.startswith("features.28")}, path)
    with pytest.raises(MienError, match="VGG-19"):
        loss_network(str(path))
    torch.save({"features.0.weight": torch.zeros(3)}, path)
    with pytest.raises(MienError, match=r"features\.0\.weight \(64, 3, 3, 3\)"):
        loss_network(str(path))


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "owned"), "w"))

    torch.save({"features.0.weight": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(MienError, match="cannot be read"):
        loss_network(str(tmp_path / "evil.pth"))
    assert not (tmp_path / "owned").exists()


def test_an_attribute_run_is_a_loss_network(tmp_path):
    cnn = tiny("attribute_cnn")
    cnn.train()
    cnn.logits(batch_of().x)  # moves BatchNorm's statistics, which are part of what is frozen
    cnn.eval()
    config = {"format": 1, "model": "attribute_cnn", "config": json_config(cnn), "data": {}, "training": {}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_weights(tmp_path / "weights.safetensors", cnn.weights())
    network = loss_network(str(tmp_path))
    network.train()
    x = batch_of().x
    with torch.no_grad():
        for got, expected in zip(network(x), cnn.body.features(x), strict=True):
            assert torch.equal(got, expected)
    assert not any(p.requires_grad for p in network.parameters())


def test_the_measured_scale_is_a_statement_about_pictures():
    """Scaling the network's activations by any factor leaves the calibrated loss as it was."""
    x, y = batch_of(16).x, batch_of(16, seed=1).x
    values = []
    for factor in (1.0, 100.0):
        network = tiny_loss_network()
        with torch.no_grad():
            last = network.network.stages[0][0][1]
            last.weight *= factor
            last.bias *= factor
        loss = FeatureLoss(network, (1,), pair_loss=1000)
        loss.calibrate(x)
        values.append(loss(loss.features(x), loss.features(y)).mean())
        pairs = loss(loss.features(x), loss.features(x.roll(1, 0))).mean()
        assert float(pairs) == pytest.approx(1000, rel=1e-3)
    torch.testing.assert_close(values[0], values[1], rtol=1e-3, atol=0)


def test_a_fixed_scale_is_the_literal_formula():
    network = tiny_loss_network()
    loss = FeatureLoss(network, (2, 4), pair_loss=1000, scale=1.0)
    x, y = batch_of(4).x, batch_of(4, seed=1).x
    loss.calibrate(x)
    a, b = network(x), network(y)
    expected = losses.feature_reconstruction([a[1], a[3]], [b[1], b[3]])
    torch.testing.assert_close(loss(loss.features(x), loss.features(y)), expected)


def test_a_network_that_sees_nothing_is_refused():
    network = tiny_loss_network()
    for parameter in network.parameters():
        parameter.zero_()
    with pytest.raises(MienError, match="tells pictures apart"):
        FeatureLoss(network, (1,), pair_loss=1000).calibrate(batch_of().x)
