"""The convolution at the lower resolution equals the separate layers: values, gradients and memory layouts."""

import pytest
import torch
from lightning_fabric import Fabric
from torch import nn
from torch.nn import functional as F

from mien.data.batch import Batch
from mien.folding import folded
from mien.models.base import build
from mien.networks.upsampling import UpsampledConv
from mien.training.update import Update


@pytest.mark.parametrize(("height", "width"), [(4, 4), (1, 5), (16, 16), (3, 90)])
@pytest.mark.parametrize("bias", [True, False])
def test_it_is_upsampling_and_a_convolution_padded_by_replication(height, width, bias):
    torch.manual_seed(0)
    fused = UpsampledConv(5, 3, bias=bias).double()
    written = nn.Conv2d(5, 3, 3, padding=1, padding_mode="replicate", bias=bias).double()
    written.load_state_dict(fused.state_dict())
    x = torch.randn(2, 5, height, width, dtype=torch.float64)
    x1, x2 = x.clone().requires_grad_(), x.clone().requires_grad_()
    y1, y2 = fused(x1), written(F.interpolate(x2, scale_factor=2, mode="nearest"))
    assert y1.shape == (2, 3, 2 * height, 2 * width)
    torch.testing.assert_close(y1, y2, rtol=1e-12, atol=1e-12)
    ahead = torch.randn_like(y1)
    got = torch.autograd.grad((y1 * ahead).sum(), [x1, *fused.parameters()])
    expected = torch.autograd.grad((y2 * ahead).sum(), [x2, *written.parameters()])
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)


def test_layouts_give_the_same():
    torch.manual_seed(0)
    fused, x = UpsampledConv(4, 2), torch.randn(2, 4, 16, 17)
    last = UpsampledConv(4, 2)
    last.load_state_dict(fused.state_dict())
    torch.testing.assert_close(
        last.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last)), fused(x)
    )


def test_batch_norm_behind_it_is_folded():
    torch.manual_seed(0)
    net = nn.Sequential(UpsampledConv(4, 2, bias=False), nn.BatchNorm2d(2))
    net[1].running_mean.normal_()
    net[1].running_var.uniform_(0.5, 2)
    net[1].weight.data.normal_()
    x = torch.randn(2, 4, 16, 17)
    one = folded(net)
    assert isinstance(one[1], nn.Identity)
    torch.testing.assert_close(one(x), net.eval()(x))


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_every_weight_is_moved_by_its_own_gradient(layout):
    """The gradient of the summed taps lies in memory otherwise than the weights, which fused optimizers do not see."""
    fabric = Fabric(accelerator="cpu", devices=1)
    torch.manual_seed(0)
    model = build("vae", {"shape": [3, 64, 64], "width": 2, "latent": 4, "lr": 1e-3}).to(memory_format=layout)
    update = Update(model, fabric)
    x = torch.rand(4, 3, 64, 64) * 2 - 1
    taken = {}
    finite = update._finite
    update._finite = lambda losses, gradients: taken.update(gradients) or finite(losses, gradients)
    before = {name: [p.detach().clone() for p in values] for name, values in update.parameters.items()}
    model.train().training_step(Batch(x, None, None, torch.arange(4)), update)
    for name, values in update.parameters.items():
        for old, new, gradient in zip(before[name], values, taken[name], strict=True):
            # Adam's first step
            torch.testing.assert_close(new, old - 1e-3 * gradient / (gradient.abs() + 1e-8), rtol=1e-5, atol=1e-6)
