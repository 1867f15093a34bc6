"""The baselines against their papers: the losses and gradients of one step, written again from the equations.

Each test computes what the players minimize straight from the paper's equation, with the networks of the model and
plain torch, and compares values and gradients with those that the training step passes to the update.
"""

import pytest
import torch
from torch.nn.functional import logsigmoid

from conftest import batch_of, tiny

K, B = 8, 8


class Recorder:
    """A substitute of the update: it keeps the losses and the gradients of each call, and moves no weights."""

    def __init__(self, model):
        self.model, self.calls, self.keywords = model, [], []

    def __call__(self, losses, *, clip_weights=None, clip_gradients=None, **terms):
        keyed = {(key,) if isinstance(key, str) else key: loss for key, loss in losses.items()}
        self.calls.append(moved(self.model, keyed))
        self.keywords.append({"clip_weights": clip_weights, "clip_gradients": clip_gradients})


def moved(model, losses):
    """The loss of each player, which sums all losses that move it, and the gradients of its weights by name."""
    result = {}
    for player in dict.fromkeys(name for key in losses for name in key):
        loss = sum(loss for key, loss in losses.items() if player in key)
        named = dict(model.get_submodule(player).named_parameters())
        gradients = torch.autograd.grad(
            loss, list(named.values()), retain_graph=True, allow_unused=True, materialize_grads=True
        )
        result[player] = float(loss.detach()), dict(zip(named, gradients, strict=True))
    return result


def step(model, batch=None, seed=0):
    """What a training step passes to the update, call by call."""
    recorder = Recorder(model.train())
    torch.manual_seed(seed)
    model.training_step(batch or batch_of(B), recorder)
    return recorder


def check(model, call, expected):
    """The losses of a call, by player, have the values and the gradients of ``expected``."""
    assert set(call) == set(expected)
    for player, loss in expected.items():
        ((value, gradients),) = moved(model, {(player,): loss}).values()
        got, its = call[player]
        assert got == pytest.approx(value, rel=1e-4, abs=1e-6), player
        assert any(bool(g.abs().max() > 0) for g in gradients.values()), f"{player} has no gradient at all"
        for name, gradient in gradients.items():
            scale = float(gradient.abs().max())
            torch.testing.assert_close(its[name], gradient, rtol=1e-3, atol=1e-3 * scale + 1e-8, msg=f"{player} {name}")


def log(probability_logit):
    """The mean of log D for logits of D."""
    return logsigmoid(probability_logit).mean()


def test_dcgan():
    """Goodfellow et al. 2014: D maximizes log D(x) + log(1 - D(G(z))); G maximizes log D(G(z)). z ~ U(-1, 1)."""
    model = tiny("dcgan")
    (call,) = step(model).calls
    torch.manual_seed(0)
    z = 2 * torch.rand(B, K) - 1
    d, g = model.discriminator, model.generator
    real, fake = d(batch_of(B).x), d(g(z))
    check(model, call, {"discriminator": -(log(real) + log(-fake)), "generator": -log(fake)})


def test_wgan():
    """Arjovsky et al. 2017, Algorithm 1: f maximizes f(x) - f(G(z)) five times, then G maximizes f(G(z))."""
    model = tiny("wgan")
    recorder = step(model)
    *critic, generator = recorder.calls
    assert len(critic) == 5
    x = batch_of(B).x
    torch.manual_seed(0)
    for call in critic:
        fake = model.generator(torch.randn(B, K)).detach()
        check(model, call, {"critic": -(model.critic(x).sum() - model.critic(fake).sum()) / B})
    check(model, generator, {"generator": -model.critic(model.generator(torch.randn(B, K))).sum() / B})
    assert [k["clip_weights"] for k in recorder.keywords] == [{"critic": 0.01}] * 5 + [None]


def test_wgan_with_a_gradient_penalty():
    """Gulrajani et al. 2017, Eq. 3, with the Jacobian of each picture by itself."""
    model = tiny("wgan", penalty=10.0, n_critic=1)
    recorder = step(model)
    x = batch_of(B).x
    torch.manual_seed(0)
    fake = model.generator(torch.randn(B, K)).detach()
    share = torch.rand(B, 1, 1, 1)
    penalty = 0.0
    for picture in share * x + (1 - share) * fake:
        gradient = torch.autograd.functional.jacobian(lambda p: model.critic(p[None]), picture, create_graph=True)
        penalty = penalty + (gradient.square().sum().sqrt() - 1) ** 2 / B
    loss = model.critic(fake).mean() - model.critic(x).mean() + 10 * penalty
    check(model, recorder.calls[0], {"critic": loss})
    assert recorder.keywords[0]["clip_weights"] == {"critic": 0.0}, "a penalty replaces the clipping"
