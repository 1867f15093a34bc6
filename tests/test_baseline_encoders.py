"""The baselines with an encoder against their papers: losses and gradients of one step, from the equations.

Each test computes what the players minimize straight from the paper's equation, with the networks of the model and
plain torch, and compares values and gradients with those that the training step passes to the update.
"""

import copy

import pytest
import torch
from lightning_fabric import Fabric

from conftest import batch_of, tiny
from mien.models.ive_gan import translated
from mien.training.update import Update
from step_losses import B, K, check, log, step


def vae_gan_losses(model, x):
    """Larsen et al. 2016: L_prior, L_llike with an identity covariance, L_GAN, and the non-saturating gain of Dec."""
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


@pytest.mark.parametrize(("name", "network"), [("acgan", "discriminator"), ("age", "encoder")])
def test_running_statistics_are_those_of_real_pictures(name, network):
    """Both networks read real pictures in evaluation, and BatchNorm then has the statistics of real pictures."""
    model, batch = tiny(name).train(), batch_of(B)
    model.calibrate(batch)
    alone = copy.deepcopy(model.get_submodule(network))
    alone(batch.x)
    step(model, batch)
    expected = {k: v for k, v in alone.named_buffers() if "running" in k}
    assert expected
    got = dict(model.get_submodule(network).named_buffers())
    for key, value in expected.items():
        torch.testing.assert_close(got[key], value, msg=f"{name} {key}")


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
