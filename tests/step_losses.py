"""What a training step passes to the update, and its comparison with losses that are written again from a paper."""

import pytest
import torch
from torch.nn.functional import logsigmoid

from conftest import batch_of

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
        assert got == pytest.approx(value, rel=1e-4, abs=1e-6), f"{player}: {got}, and {value} by the equation"
        assert any(bool(g.abs().max() > 0) for g in gradients.values()), f"{player} has no gradient at all"
        for name, gradient in gradients.items():
            scale = float(gradient.abs().max())
            torch.testing.assert_close(its[name], gradient, rtol=1e-3, atol=1e-3 * scale + 1e-8, msg=f"{player} {name}")


def log(probability_logit):
    """The mean of log D for logits of D."""
    return logsigmoid(probability_logit).mean()
