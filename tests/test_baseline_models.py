"""The baselines against their papers: the losses and gradients of one step, written again from the equations.

Each test computes what the players minimize straight from the paper's equation, with the networks of the model and
plain torch, and compares values and gradients with those that the training step passes to the update.
"""

import pytest
import torch
from lightning_fabric import Fabric
from torch.nn.functional import logsigmoid

from conftest import CLASSES, batch_of, tiny
from mien.errors import MienError
from mien.models.ive_gan import translated
from mien.training.update import Update

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


def vae_gan_losses(model, x):
    """Larsen et al. 2016, Eq. 2, 7 and 8 (with an identity covariance): L_prior, L_llike, L_GAN and what Dec gains."""
    q = model.encoder(x)
    z = q.mean + q.stddev * torch.randn(B, K)
    x_rec, x_new = model.decoder(z), model.decoder(torch.randn(B, K))
    last, head = model.discriminator.trunk, model.discriminator.head

    def dis(pictures):
        features = last(pictures)[-1].flatten(1)
        return features, head(features)

    (real, dis_real), (rec, dis_rec), (_, dis_new) = dis(x), dis(x_rec), dis(x_new)
    prior = (q.mean**2 + q.stddev**2 - 2 * q.stddev.log() - 1).sum() / (2 * B)
    like = ((real - rec) ** 2).sum() / (2 * B)
    gan = log(dis_real) + log(-dis_rec) + log(-dis_new)
    return prior, like, gan, log(dis_rec) + log(dis_new), real.shape[1]


def test_vae_gan():
    model = tiny("vae_gan", gamma=3.0)
    (call,) = step(model).calls
    torch.manual_seed(0)
    prior, like, gan, fooled, count = vae_gan_losses(model, batch_of(B).x)
    check(model, call, {"encoder": prior + like, "decoder": 3 * like / count - fooled, "discriminator": -gan})


def test_the_three_gradients_of_vae_gan_reach_their_networks_and_no_others():
    """Algorithm 1: Enc gets L_prior + L_llike only, Dec γ L_llike and the GAN's loss only, Dis the GAN's loss only.

    All losses depend on all networks, so each gradient that must not arrive would have a value. The update that the
    trainer uses takes the step here, and the gradients are those that its optimizers get.
    """
    model = tiny("vae_gan", gamma=3.0).train()
    update = Update(model, Fabric(accelerator="cpu", devices=1))
    got = {}
    for name, optimizer in update.optimizers.items():
        parameters = update.parameters[name]
        optimizer.register_step_pre_hook(
            lambda *_, name=name, parameters=parameters: got.update({name: [p.grad.clone() for p in parameters]})
        )
    torch.manual_seed(0)
    before = {name: [p.detach().clone() for p in ps] for name, ps in update.parameters.items()}
    model.training_step(batch_of(B), update)
    assert set(got) == {"encoder", "decoder", "discriminator"}
    with torch.no_grad():
        for name, values in before.items():
            for parameter, value in zip(update.parameters[name], values, strict=True):
                parameter.copy_(value)
    torch.manual_seed(0)
    prior, like, gan, fooled, count = vae_gan_losses(model, batch_of(B).x)
    parts = {"prior": prior, "like": like / count, "gan": gan, "fooled": fooled}
    right = {"encoder": {"prior": 1, "like": count}, "decoder": {"like": 3, "fooled": -1}, "discriminator": {"gan": -1}}
    for name, weights in right.items():
        values = {
            part: torch.cat([
                g.flatten()
                for g in torch.autograd.grad(
                    loss, update.parameters[name], retain_graph=True, allow_unused=True, materialize_grads=True
                )
            ])
            for part, loss in parts.items()
        }  # fmt: skip
        total = torch.cat([g.flatten() for g in got[name]])
        wanted = sum(weight * values[part] for part, weight in weights.items())
        torch.testing.assert_close(total, wanted, rtol=1e-3, atol=1e-4 * float(wanted.abs().max()))
        others = {part: values[part] for part in parts if part not in weights}
        # L_prior depends on the encoder only; every other part depends on this network, and did not arrive
        assert [part for part, g in others.items() if g.abs().max() == 0] == (["prior"] if name != "encoder" else [])


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


def test_bigan():
    """Donahue et al. 2017, Eq. 3: D maximizes log D(x, E(x)) + log(1 - D(G(z), z)); E and G exchange the labels."""
    model = tiny("bigan")
    (call,) = step(model).calls
    x = batch_of(B).x
    torch.manual_seed(0)
    z = torch.randn(B, K)
    d, q = model.discriminator, model.encoder(x)
    code = q.mean + q.stddev * torch.randn(B, K)
    real = d.pair(torch.cat([d.picture(x), code], 1))
    fake = d.pair(torch.cat([d.picture(model.generator(z)), z], 1))
    other = -(log(-real) + log(fake))
    check(model, call, {"discriminator": -(log(real) + log(-fake)), "generator": other, "encoder": other})


def kl_of_moments(z):
    """KL(N(m, s²) || N(0, 1)) in nats of each dimension's moments over the batch, averaged over the dimensions."""
    m, s = z.mean(0), (z - z.mean(0)).square().mean(0).sqrt()
    return ((m**2 + s**2) / 2 - s.log() - 0.5).mean()


def sphere(values):
    """Points of the sphere of radius √K in the directions of ``values``."""
    return K**0.5 * values / values.square().sum(1, keepdim=True).sqrt()


def test_age():
    """Ulyanov et al. 2018, Eq. 8 and 9: G minimizes Δ(E(G(Z))) + λ L_Z, E minimizes Δ(E(X)) - Δ(E(G(Z))) + μ L_X."""
    model = tiny("age", mu=3.0, lam=5.0, generator_updates=2)
    encoder, *generator = step(model).calls
    x = batch_of(B).x
    torch.manual_seed(0)
    e, g = (lambda pictures: sphere(model.encoder(pictures))), model.generator
    fake = g(sphere(torch.randn(B, K))).detach()
    l_x = (x - g(e(x))).abs().mean()
    check(model, encoder, {"encoder": kl_of_moments(e(x)) - kl_of_moments(e(fake)) + 3 * l_x})
    assert len(generator) == 2
    for call in generator:
        z = sphere(torch.randn(B, K))
        code = e(g(z))
        check(model, call, {"generator": kl_of_moments(code) + 5 * (code - z).square().mean()})


def test_aae():
    """Makhzani et al. 2016, §2: the squared error moves both, and D tells N(0, I) from codes, which E makes alike."""
    model = tiny("aae", weight=0.25)
    (call,) = step(model).calls
    x = batch_of(B).x
    torch.manual_seed(0)
    z = model.encoder(x)
    rec = ((x - model.decoder(z)) ** 2).mean()
    drawn, code = model.discriminator(torch.randn(B, K)), model.discriminator(z)
    check(
        model,
        call,
        {"encoder": rec - 0.25 * log(code), "decoder": rec, "discriminator": -(log(drawn) + log(-code))},
    )


def test_wae_mmd():
    """Tolstikhin et al. 2018, Algorithm 2, pair by pair."""
    model = tiny("wae_mmd", lam=7.0)
    (call,) = step(model).calls
    x = batch_of(B).x
    torch.manual_seed(0)
    code = model.encoder(x)
    drawn = torch.randn(B, K)

    def k(a, b):
        """Inverse multiquadratics, summed over the scales of the authors' code."""
        squared = ((a - b) ** 2).sum()
        return sum(2 * K * s / (2 * K * s + squared) for s in (0.1, 0.2, 0.5, 1, 2, 5, 10))

    same = sum(k(a[i], a[j]) for a in (code, drawn) for i in range(B) for j in range(B) if i != j) / (B * (B - 1))
    across = sum(k(code[i], drawn[j]) for i in range(B) for j in range(B)) / B**2
    loss = ((x - model.decoder(code)) ** 2).sum() / B + 7 * (same - 2 * across)
    check(model, call, {"encoder": loss, "decoder": loss})


def negative_elbo(x, mean, gamma, q):
    """KL(q || N(0, I)) - log N(x; mean, γ² I), by torch's distributions, averaged over the batch."""
    kl = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).sum() / B
    return kl - torch.distributions.Normal(mean, gamma).log_prob(x).sum() / B


def test_two_stage_vae():
    """Dai & Wipf 2019, §4: each stage minimizes the negative ELBO with its γ, the second one of latents z."""
    model = tiny("two_stage_vae").train()
    torch.nn.init.constant_(model.gamma.log, -0.7)
    torch.nn.init.constant_(model.gamma2.log, 0.3)
    x = batch_of(B).x
    (call,) = step(model).calls
    torch.manual_seed(0)
    q = model.encoder(x)
    loss = negative_elbo(x, model.decoder(q.mean + q.stddev * torch.randn(B, K)), model.gamma.log.exp(), q)
    check(model, call, dict.fromkeys(("encoder", "decoder", "gamma"), loss))
    model.progress = model.stages[1]
    (call,) = step(model).calls
    torch.manual_seed(0)
    model.encoder.eval()
    with torch.no_grad():
        q = model.encoder(x)
        z = q.mean + q.stddev * torch.randn(B, K)
    mean, log_variance = model.encoder2(z).split(K, 1)
    q2 = torch.distributions.Normal(mean, (log_variance / 2).exp())
    loss = negative_elbo(z, model.decoder2(q2.mean + q2.stddev * torch.randn(B, K)), model.gamma2.log.exp(), q2)
    check(model, call, dict.fromkeys(("encoder2", "decoder2", "gamma2"), loss))


def test_ive_gan():
    """Both games of the original GAN: pairs (T(x), x) against (G(E(x), z'), x), and x against G(z, z')."""
    model = tiny("ive_gan", noise=3)
    (call,) = step(model).calls
    x = batch_of(B).x
    torch.manual_seed(0)
    both, noise = torch.randn(B, K + 3), torch.randn(B, 3)
    moved = translated(x, 0.1)
    rec = model.generator(torch.cat([model.encoder(x), noise], 1))
    new = model.generator(both)
    pair_real = model.pair_discriminator(torch.cat([moved, x], 1))
    pair_fake = model.pair_discriminator(torch.cat([rec, x], 1))
    real, fake = model.image_discriminator(x), model.image_discriminator(new)
    expected = {
        "pair_discriminator": -(log(pair_real) + log(-pair_fake)),
        "image_discriminator": -(log(real) + log(-fake)),
        "encoder": -log(pair_fake),
        "generator": -(log(pair_fake) + log(fake)),
    }
    check(model, call, expected)


def test_the_translator_changes_a_picture_a_little():
    """No change is the identity; the largest change stays small and in the range."""
    x = batch_of(B).x
    torch.testing.assert_close(translated(x, 0.0), x, atol=1e-5, rtol=0)
    torch.manual_seed(0)
    moved = translated(x, 0.1)
    assert moved.shape == x.shape
    assert moved.abs().max() <= 1
    assert 0.005 < float((moved - x).abs().mean()) < 0.3
