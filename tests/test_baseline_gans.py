"""The GANs without an encoder against their papers: losses and gradients of one step, from the equations.

Each test computes what the players minimize straight from the paper's equation, with the networks of the model and
plain torch, and compares values and gradients with those that the training step passes to the update.
"""

import pytest
import torch

from conftest import CLASSES, batch_of, tiny
from mien.errors import MienError
from step_losses import B, K, check, log, step


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


def test_ls_gan():
    """Qi 2017, Eq. 6 and 7: L_θ minimizes (Δ(x, G(z)) + L_θ(x) - L_θ(G(z)))₊ and γ L_θ(x); G minimizes L_θ(G(z))."""
    model = tiny("ls_gan", gamma=0.5)
    model.loss.head.weight.data *= 30  # so that the margin is kept for some pictures and not for others
    (call,) = step(model).calls
    x = batch_of(B).x
    torch.manual_seed(0)
    fake = model.generator(2 * torch.rand(B, K) - 1)
    real_losses, fake_losses = model.loss(x), model.loss(fake)
    excess = [2.5 * (x[i] - fake[i]).abs().mean() + real_losses[i, 0] - fake_losses[i, 0] for i in range(B)]
    assert 0 < sum(bool(e > 0) for e in excess) < B
    hinge = sum(e for e in excess if e > 0) / B
    check(model, call, {"loss": hinge + 0.5 * real_losses.mean(), "generator": fake_losses.mean()})


def test_the_margin_of_ls_gan_is_that_of_the_author():
    """The author's code has 0.0002 times the L1 distance at 64x64 with three colors."""
    assert tiny("ls_gan").margin == pytest.approx(2e-4 * 3 * 64 * 64, rel=0.02)


def conditional(name, **settings):
    """A conditional model that remembers the batch, the batch, and its conditions c (B, A) of 0 and 1."""
    model = tiny(name, **settings).train()
    batch = batch_of(B)
    model.calibrate(batch)
    return model, batch


def test_acgan_with_attributes():
    """Odena et al. 2017, §3: D maximizes L_S + L_C, G maximizes L_C and the log-likelihood of being real."""
    model, batch = conditional("acgan", label_weight=2.0)
    (call,) = step(model, batch).calls
    torch.manual_seed(0)
    torch.rand(B, 3)  # for unknown attributes; there are none
    z = 2 * torch.rand(B, K) - 1
    c = (batch.attributes + 1) / 2
    real, fake = model.discriminator(batch.x), model.discriminator(model.generator(z, c))

    def label(logits):
        """-L_C: the mean over pictures and attributes of -log p(c)."""
        p = torch.sigmoid(logits)
        return -(c * p.log() + (1 - c) * (1 - p).log()).mean()

    likelihood = log(real[:, 0]) + log(-fake[:, 0])  # L_S
    labels, label_fake = label(real[:, 1:]) + label(fake[:, 1:]), label(fake[:, 1:])
    check(model, call, {"discriminator": -likelihood + 2 * labels, "generator": -log(fake[:, 0]) + 2 * label_fake})


def test_acgan_with_classes():
    model, batch = conditional("acgan", attributes=(), label_weight=2.0)
    assert model.conditions == model.classes == CLASSES
    (call,) = step(model, batch).calls
    torch.manual_seed(0)
    torch.rand(B, 4)
    z = 2 * torch.rand(B, K) - 1
    c = torch.eye(4)[batch.label]
    real, fake = model.discriminator(batch.x), model.discriminator(model.generator(z, c))

    def label(logits):
        return -(torch.softmax(logits, 1)[torch.arange(B), batch.label]).log().mean()

    likelihood = log(real[:, 0]) + log(-fake[:, 0])
    labels, label_fake = label(real[:, 1:]) + label(fake[:, 1:]), label(fake[:, 1:])
    check(model, call, {"discriminator": -likelihood + 2 * labels, "generator": -log(fake[:, 0]) + 2 * label_fake})
    assert torch.allclose(model.eval().recognize(batch.x).sum(1), torch.ones(B))


def test_cgan():
    """Mirza & Osindero 2014, Eq. 2: D(x | c) and D(G(z | c) | c) with the same c."""
    model, batch = conditional("cgan")
    (call,) = step(model, batch).calls
    torch.manual_seed(0)
    torch.rand(B, 3)
    z = 2 * torch.rand(B, K) - 1
    c = (batch.attributes + 1) / 2
    maps = c[:, :, None, None] * torch.ones(1, 1, *batch.x.shape[2:])
    real = model.discriminator(torch.cat([batch.x, maps], 1))
    fake = model.discriminator(torch.cat([model.generator(z, c), maps], 1))
    check(model, call, {"discriminator": -(log(real) + log(-fake)), "generator": -log(fake)})


@pytest.mark.parametrize("name", ["acgan", "cgan"])
def test_requests_change_the_conditions_and_nothing_else(name):
    """One class excludes the others, and an unknown condition is drawn; the seed fixes all other things."""
    model, _ = conditional(name, attributes=())
    c = []
    model.generator.body.register_forward_pre_hook(lambda _, inputs: c.append(inputs[0]))
    requests = torch.zeros(B, 4)
    requests[:, 2] = 1
    model.eval().generate(B, requests, seed=1)
    model.generate(B, None, seed=1)
    assert torch.equal(c[0][:, K:], torch.eye(4)[[2] * B]), "class 2, and no other class"
    assert torch.equal(c[0][:, :K], c[1][:, :K]), "z does not depend on the requests"
    assert c[1][:, K:].sum(1).tolist() == [1.0] * B, "a training picture's class"
    with pytest.raises(MienError, match=rf"expected attributes \({B}, 4\), got \({B}, 3\)"):
        model.generate(B, torch.zeros(B, 3))
    with pytest.raises(MienError, match=f"expected a data set with attributes or classes to train {name}"):
        model.needs((), ())
    model.needs((), CLASSES)
    model.needs(("Smiling",), ())
