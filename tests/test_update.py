"""The update: gradients, clipping, learning rates, skipped steps."""

import pytest
import torch
from lightning_fabric import Fabric

from conftest import batch_of, tiny, weights_of
from mien.training.update import PATIENCE, Diverged, Update

fabric = Fabric(accelerator="cpu", devices=1)


def test_update_takes_all_gradients_before_any_step():
    """Two players of one forward pass each move along the gradient at the *old* weights of the other."""
    model = tiny("vae")
    model.eval()
    update = Update(model, fabric)
    x = batch_of().x
    q = model.encode(x)
    loss = (model.decode(q.mean) - x).square().mean()
    expected = {
        n: torch.autograd.grad(loss, update.parameters[n], retain_graph=True, allow_unused=True, materialize_grads=True)
        for n in ("encoder", "decoder")
    }
    gradients = {}
    for name, optimizer in update.optimizers.items():
        optimizer.register_step_pre_hook(
            lambda o, a, k, name=name: gradients.update({name: [p.grad for p in update.parameters[name]]})
        )
    update({"encoder": loss, "decoder": loss})
    for name, values in expected.items():
        for value, got in zip(values, gradients[name], strict=True):
            if got is None:  # the loss does not depend on it: the head of the log-variance
                assert (value == 0).all()
            else:
                assert torch.equal(value, got)


def test_clipping():
    model = tiny("vae_wgan")
    model.calibrate(batch_of())
    update = Update(model, fabric)
    model.train()
    model.training_step(batch_of(), update)
    bound = max(float(p.detach().abs().max()) for p in model.critic.parameters())
    assert 0 < bound <= 0.01 + 1e-9
    assert max(float(p.detach().abs().max()) for p in model.encoder.parameters()) > 0.01


def test_a_non_finite_step_is_skipped_reported_and_fatal_if_it_repeats():
    model = tiny("vae")
    update = Update(model, fabric)
    reports = []
    update.on_skip = reports.append
    before = weights_of(model)
    weight = next(model.encoder.parameters())

    def bad():
        return (weight * torch.tensor(float("nan"))).sum()

    update({"encoder": bad()}, kl=torch.tensor(3.0))
    assert all((before[k] == v).all() for k, v in weights_of(model).items())
    assert reports[0]["kl"] == 3.0
    for _ in range(PATIENCE - 2):
        update({"encoder": bad()})
    with pytest.raises(Diverged, match="lower the learning rate"):
        update({"encoder": bad()})
    update.skipped = 0
    update({"encoder": weight.sum()})
    assert (weights_of(model)["encoder.body.0.weight"] != before["encoder.body.0.weight"]).any()


def test_a_second_update_under_bf16_sees_the_moved_weights():
    """Autocast caches cast weights for its whole region; several updates in a step must not use stale ones."""
    net = tiny("vae")
    net.train()
    mixed = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
    update = Update(net, mixed)
    x = batch_of().x
    with mixed.autocast():
        update({("encoder", "decoder"): net.decode(net.encode(x).mean).square().mean()})
        net.eval()  # no randomness, no statistics: only the weights decide
        again = net.encode(x).mean
    with mixed.autocast():
        fresh = net.encode(x).mean
    assert torch.equal(again, fresh)


def test_gradients_are_clipped_at_both_bounds():
    """The loss is linear in the weights, so its gradient is the coefficients."""
    model = tiny("vae")
    update = Update(model, fabric)
    weight = model.encoder.body[0].weight
    coefficients = torch.linspace(-1, 1, weight.numel()).view_as(weight)
    gradients = []
    update.optimizers["encoder"].register_step_pre_hook(lambda *_: gradients.append(weight.grad.clone()))
    for bounds in ({}, {"encoder": 0.0}, {"encoder": 0.25}):
        update({"encoder": (weight * coefficients).sum()}, clip_gradients=bounds)
    assert torch.equal(gradients[0], coefficients)
    assert torch.equal(gradients[1], coefficients), "0 does not clip"
    assert torch.equal(gradients[2], coefficients.clamp(-0.25, 0.25))


def test_set_lr_multiplies_the_rates_of_the_optimizers():
    model = tiny("vae")
    update = Update(model, fabric)
    for factor in (0.5, 0.25, 1.0):  # each of the initial rate, not of the last one
        update.set_lr(factor)
        rates = [group["lr"] for o in update.optimizers.values() for group in o.param_groups]
        assert rates == [model.lr * factor] * len(model.players)
    update.set_lr(0.0)
    before = {k: v.detach().clone() for k, v in model.named_parameters()}
    model.training_step(batch_of(), update)
    assert all(torch.equal(before[k], v) for k, v in model.named_parameters())
    update.set_lr(1.0)
    model.training_step(batch_of(), update)
    assert not all(torch.equal(before[k], v) for k, v in model.named_parameters())


def test_a_term_may_have_any_name_but_those_of_the_clipping():
    update = Update(tiny("vae"), fabric)
    weight = next(update.model.encoder.parameters())
    update({"encoder": weight.sum()}, losses=2.0, self=torch.tensor(3.0))
    assert {k: float(v) for k, v in update.terms.items()} | {"gradient_norm": 0.0} == {
        "losses": 2.0, "self": 3.0, "gradient_norm": 0.0
    }  # fmt: skip
