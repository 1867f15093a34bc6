"""Equations of single models, for errors that the laws of all models do not find."""

import math

import pytest
import torch

from conftest import NAMES, batch_of, tiny


class Recorder:
    """A substitute of the update: it records the arguments of a training step and moves no weights."""

    def __init__(self):
        self.losses, self.terms = [], {}

    def __call__(self, losses, *, clip_weights=None, clip_gradients=None, **terms):
        self.losses.append({key: loss.detach() for key, loss in losses.items()})
        self.terms |= {key: torch.as_tensor(value).detach() for key, value in terms.items()}


def step(model, seed=0):
    """Return what a training step on batch_of() passes to the update."""
    recorder = Recorder()
    torch.manual_seed(seed)
    model.training_step(batch_of(), recorder)
    return recorder


def test_decoded_prior_samples_are_fakes_to_both_sides_of_the_vae_wgan():
    """Each side gets its own half of the Wasserstein game: the generator must not get the critic's."""
    weight = 0.5
    model = tiny("vae_wgan", prior_fakes=weight).train()
    model.calibrate(batch_of())
    recorder = step(model)
    losses, terms = recorder.losses[0], recorder.terms
    x = batch_of().x
    torch.manual_seed(0)
    with torch.no_grad():
        z = model.encode(x).rsample()  # the same random numbers as in the step
        features = model.feature_loss.network(model.decode(torch.randn_like(z)), upto=1)[0]
        real = model.critic(model.feature_loss.network(x, upto=1)[0])
        fake = model.critic(features)
    generator = -model.label * fake.mean()
    critic = model.label * (fake.mean() - real.mean())
    assert abs(float(generator - critic)) > 1e-3
    without = model.alpha * terms["kl"] + model.beta * terms["rec"] + terms["generator"]
    torch.testing.assert_close(losses["critic"] - terms["critic"], weight * critic, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(losses[("encoder", "decoder")] - without, weight * generator, rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize(
    ("logit", "updated"),
    [
        (0.0, []),  # D cannot tell: both losses are log 2
        (1.3, []),  # d is 7.4 times g, d / 2 is 3.7 times g, and the ratio is 4
        (1.6, ["discriminator"]),  # d / 2 is 5.1 times g
        (-1.3, ["generator"]),  # g is 1.77 times d / 2 …
    ],
)
def test_the_iterative_gan_updates_the_side_behind_once_more(logit, updated):
    """D's loss has two terms, so that half of it is compared with G's; D gives the logit to every picture here."""
    ratio = 4.0 if logit > 0 else 1.5
    model = tiny("iterative_gan", ratio=ratio, lambda1=0.0, lambda2=0.0).train()
    model.calibrate(batch_of())
    torch.nn.init.zeros_(model.discriminator.source.weight)
    torch.nn.init.constant_(model.discriminator.source.bias, logit)
    recorder = step(model)
    assert float(recorder.terms["g"]) == pytest.approx(math.log1p(math.exp(-logit)), rel=1e-4)
    again = {("discriminator", "classifier"): "discriminator", "generator": "generator"}
    assert len(recorder.losses[0]) == 2, "both sides first"
    assert [again[key] for losses in recorder.losses[1:] for key in losses] == updated


@pytest.mark.parametrize("amount", [1.0, -1.0, 40.0, -40.0])
def test_edits_of_the_residual_gan_stay_pictures(amount):
    """x + |amount| · r leaves [-1, 1], and an edit does not."""
    model = tiny("residual_gan").eval()
    generator = torch.Generator().manual_seed(0)
    for parameter in (*model.G0.parameters(), *model.G1.parameters()):
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)  # residuals begin near zero
    x = batch_of().x
    with torch.no_grad():
        edited = model.edit(x, {NAMES[0]: amount})
        literal = x + abs(amount) * model.residual(x, amount)
    assert float(literal.abs().max()) > 1, "the residual is large enough to leave the range"
    assert torch.equal(edited, literal.clamp(-1, 1))
