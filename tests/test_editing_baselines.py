"""The editing baselines against their papers: losses, gradients, networks, edits by amount and training pictures."""

import math
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from conftest import NAMES, batch_of, tiny
from mien import models
from mien.data.batch import Batch
from mien.errors import MienError
from mien.networks.image_to_image import PatchClassifier, PatchDiscriminator, ResidualTranslator
from mien.networks.penalty import gradient_penalty
from mien.networks.shortcut import ShortcutDecoder
from mien.networks.targets import changed
from mien.training.update import Update
from step_losses import B, check, step

EDITORS = ("attgan", "cyclegan", "stargan")
SMILING = NAMES.index("Smiling")


def editor(name, **settings):
    """A small editor; CycleGAN gets its attribute."""
    return tiny(name, **({"attribute": "Smiling"} if name == "cyclegan" else {}), **settings)


def count(network):
    return sum(p.numel() for p in network.parameters())


def signed(signs):
    """A batch whose Smiling is as given."""
    batch = batch_of(len(signs))
    batch.attributes[:, SMILING] = torch.tensor(signs, dtype=torch.float32)
    return batch


def detached(terms):
    return {name: float(value.detach()) for name, value in terms.items()}


def penalty_of(critic, x, fake, share):
    """Gulrajani et al. 2017, Eq. 3, with the Jacobian of each picture by itself; several values are summed."""
    total = 0.0
    for picture in share * x + (1 - share) * fake:
        gradient = torch.autograd.functional.jacobian(lambda p: critic(p[None]).sum(), picture, create_graph=True)
        total = total + (gradient.square().sum().sqrt() - 1) ** 2 / len(x)
    return total


def log_likelihood(logits, c):
    """The log-likelihood of each attribute, (B, A), for c of 0 and 1."""
    p = torch.sigmoid(logits)
    return c * p.log() + (1 - c) * (1 - p).log()


# --- losses and gradients of one batch, written again from the equations


@pytest.mark.parametrize("identity", [0.0, 0.5])
def test_cyclegan(identity):
    """Zhu et al. 2017, §4: (D(G(x)) - 1)² for G and F, ½ ((D(y) - 1)² + D(G(x))²) for D, and λ times Eq. 2."""
    model = editor("cyclegan", cycle=3.0, identity=identity)
    batch = signed([1, -1, 1, -1, -1, 1, -1, 1])
    (call,) = step(model, batch).calls
    x, y = batch.x[[1, 3, 4, 6]], batch.x[[0, 2, 5, 7]]
    g, f, d_x, d_y = model.G, model.F, model.D_X, model.D_Y
    both = ((d_y(g(x)) - 1) ** 2).mean() + ((d_x(f(y)) - 1) ** 2).mean()
    both = both + 3 * ((f(g(x)) - x).abs().mean() + (g(f(y)) - y).abs().mean())
    both = both + 3 * identity * ((g(y) - y).abs().mean() + (f(x) - x).abs().mean())
    discriminators = {
        "D_X": (((d_x(x) - 1) ** 2).mean() + (d_x(f(y)) ** 2).mean()) / 2,
        "D_Y": (((d_y(y) - 1) ** 2).mean() + (d_y(g(x)) ** 2).mean()) / 2,
    }
    check(model, call, {"G": both, "F": both, **discriminators})


@pytest.mark.parametrize("sign", [1, -1])
def test_cyclegan_with_one_domain_in_the_batch(sign):
    """The losses of the other domain's pictures have weight 0; those of this domain's stay as they are."""
    model = editor("cyclegan", cycle=3.0, identity=0.5)
    batch = signed([sign] * 8)
    (call,) = step(model, batch).calls
    x = batch.x[:4]
    there, back = (model.F, model.G) if sign > 0 else (model.G, model.F)
    of_this, of_other = (model.D_Y, model.D_X) if sign > 0 else (model.D_X, model.D_Y)
    both = ((of_other(there(x)) - 1) ** 2).mean() + 3 * (back(there(x)) - x).abs().mean()
    both = both + 1.5 * (back(x) - x).abs().mean()
    this, other = ((of_this(x) - 1) ** 2).mean() / 2, (of_other(there(x)) ** 2).mean() / 2
    discriminators = {"D_X": other, "D_Y": this} if sign > 0 else {"D_X": this, "D_Y": other}
    check(model, call, {"G": both, "F": both, **discriminators})


def test_stargan():
    """Choi et al. 2018: L_D twice with new targets, then L_G, with the logarithms as they are printed."""
    model = editor("stargan", n_critic=2, lambda_cls=2.0, lambda_rec=3.0, lambda_gp=5.0)
    *critic, generator = step(model).calls
    assert len(critic) == 2
    batch = batch_of(B)
    x, own = batch.x, (batch.attributes > 0).float()
    g, d = model.G, model.D
    torch.manual_seed(0)
    for call in critic:
        fake = g(x, own[torch.randperm(B)]).detach()
        penalty = penalty_of(lambda p: d(p)[0], x, fake, torch.rand(B, 1, 1, 1))
        adversarial = d(x)[0].mean() - d(fake)[0].mean() - 5 * penalty
        real = -log_likelihood(d(x)[1], own).sum(1).mean()
        check(model, call, {"D": -adversarial + 2 * real})
    target = own[torch.randperm(B)]
    fake = g(x, target)
    rec = (x - g(fake, own)).abs().mean()
    wrong = -log_likelihood(d(fake)[1], target).sum(1).mean()
    check(model, generator, {"G": -d(fake)[0].mean() + 2 * wrong + 3 * rec})


def test_attgan():
    """He et al. 2019: the objective of D and C, twice with new b; then that of encoder and decoder."""
    model = editor("attgan", n_critic=2, lambda1=7.0, lambda2=2.0, lambda3=3.0, lambda_gp=5.0)
    *critic, generator = step(model).calls
    assert len(critic) == 2
    batch = batch_of(B)
    x, a = batch.x, (batch.attributes > 0).float()

    def decode(b):
        return model.decoder(model.encoder(x), b - 0.5)

    d = model.discriminator
    torch.manual_seed(0)
    for call in critic:
        fake = decode(a[torch.randperm(B)]).detach()
        penalty = penalty_of(lambda p: d(p)[0], x, fake, torch.rand(B, 1, 1, 1))
        adversarial = -d(x)[0].mean() + d(fake)[0].mean() + 5 * penalty
        check(model, call, {"discriminator": adversarial - 3 * log_likelihood(d(x)[1], a).mean()})
    b = a[torch.randperm(B)]
    value, logits = d(decode(b))
    both = 7 * (x - decode(a)).abs().mean() - 2 * log_likelihood(logits, b).mean() - value.mean()
    check(model, generator, {"encoder": both, "decoder": both})


@pytest.mark.parametrize("name", EDITORS)
def test_gradients_reach_their_networks_and_no_others(name):
    """The optimizer of each player gets the gradients of its own losses, although the losses of others depend on it."""
    model = editor(name, **({} if name == "cyclegan" else {"n_critic": 1})).train()
    update = Update(model, Fabric(accelerator="cpu", devices=1))
    got, others = {}, set()
    for player, optimizer in update.optimizers.items():
        weights = update.parameters[player]
        optimizer.register_step_pre_hook(
            lambda *_, player=player, weights=weights: got.update({player: [w.grad.clone() for w in weights]})
        )

    def checked(losses, **terms):
        keyed = {(key,) if isinstance(key, str) else key: loss for key, loss in losses.items()}
        players = {player for key in keyed for player in key}
        expected = {}
        for player in model.players:
            own, foreign = ([v for key, v in keyed.items() if (player in key) == mine] for mine in (True, False))
            if own:
                expected[player] = torch.autograd.grad(sum(own), update.parameters[player], retain_graph=True)
            if foreign:
                gradients = torch.autograd.grad(
                    sum(foreign),
                    update.parameters[player],
                    retain_graph=True,
                    allow_unused=True,
                    materialize_grads=True,
                )
                others.update({player} if any(g.abs().max() > 0 for g in gradients) else ())
        got.clear()
        update(losses, **terms)
        assert set(got) == players == set(expected), "the networks that the losses name move, and no others"
        for player, gradients in expected.items():
            for gradient, right in zip(got[player], gradients, strict=True):
                torch.testing.assert_close(gradient, right, rtol=1e-3, atol=1e-6)

    model.training_step(batch_of(B), checked)
    # pictures for D have no gradient in stargan and attgan, so there only D depends on the losses of others
    assert others == {"cyclegan": {"G", "F", "D_X", "D_Y"}, "stargan": {"D"}, "attgan": {"discriminator"}}[name]


def test_unknown_attributes_take_no_part():
    """An unknown value is 0.5 in the description, and the labels' losses are those of the known values."""
    batch = batch_of(B)
    unknown = Batch(batch.x, torch.zeros_like(batch.attributes), None, batch.index)
    for name in ("stargan", "attgan"):
        model, terms = editor(name, n_critic=1).train(), {}
        model.training_step(unknown, lambda losses, terms=terms, **kept: terms.update(detached(kept)))
        assert terms["label_real"] == terms["label_fake"] == 0
        assert all(math.isfinite(value) for value in terms.values())


def test_the_penalty_of_a_linear_critic():
    """The gradient of the sum of four values is 3 in each, so its length is 6; the values of a picture are summed."""
    weights = torch.full((1, 1, 2, 2), 3.0)
    x, fake = torch.randn(4, 1, 2, 2), torch.randn(4, 1, 2, 2)
    one, two = (
        gradient_penalty(lambda p, n=n: torch.nn.functional.conv2d(p, weights).expand(-1, n, 1, 1), x, fake)
        for n in (1, 2)
    )
    assert detached({"one": one, "two": two}) == pytest.approx({"one": (6 - 1) ** 2, "two": (12 - 1) ** 2})


def test_the_penalty_runs_the_critic_as_written(monkeypatch):
    """Compiled networks have no second derivatives. To compile one here would take longer than all other tests."""
    stances = []

    @contextmanager
    def stance(name):
        stances.append(name)
        yield
        stances.pop()

    monkeypatch.setattr(torch.compiler, "set_stance", stance)
    seen = []
    x = torch.zeros(2, 1, 2, 2)
    gradient_penalty(lambda p: seen.extend(stances) or p.square(), x, x)
    assert (seen, stances) == (["force_eager"], [])


# --- networks at the papers' sizes


def test_networks_have_as_many_parameters_as_the_papers():
    """CycleGAN's discriminator has 2.765 million in the authors' code, and StarGAN 53.2 million (its Table 3)."""
    shape = (3, 128, 128)
    g = ResidualTranslator(shape, 64, 6, 5, kernel=4, padding="zeros")
    d = PatchClassifier(shape, 64, 5)
    assert count(g) == 8_430_528
    assert round((count(g) + count(d)) / 1e6, 1) == 53.2
    # the authors' layers have biases before the normalization in place of its scale and offset: as many as its offsets
    patches = PatchDiscriminator(shape, 64)
    scales = 128 + 256 + 512
    assert count(patches) - scales == 2_764_737
    convs = 49 * 3 * 64 * 2 + 2 * 9 * (64 * 128 + 128 * 256) + 12 * 9 * 256 * 256
    assert count(ResidualTranslator(shape, 64)) == convs + 2 * (2 * (64 + 128) + 256 + 12 * 256)
    # transposed convolutions from 512 + 13 and 512 + 256 channels, 4x4, and BatchNorm
    decoder = 16 * ((512 + 13) * 512 + (512 + 256) * 256 + 256 * 128 + 128 * 3) + 3 + 2 * (512 + 256 + 128)
    assert count(ShortcutDecoder(shape, 64, 13)) == decoder


def test_a_value_of_the_patch_discriminator_sees_70_pixels():
    """Instance normalization sees the whole map, so it is taken away first."""
    net = PatchDiscriminator((3, 128, 128), 2)
    net.body = torch.nn.Sequential(*(m for m in net.body if not isinstance(m, torch.nn.InstanceNorm2d)))
    x = torch.zeros(1, 3, 128, 128, requires_grad=True)
    net(x)[0, 0, 7, 7].backward()
    rows = x.grad[0].abs().sum((0, 2)).nonzero().flatten()
    assert int(rows.max() - rows.min()) + 1 == 70


def test_any_size_that_divides_by_4():
    for shape in ((1, 8, 12), (3, 28, 20), (3, 32, 32), (3, 64, 64)):
        x = torch.zeros(2, *shape)
        for name in EDITORS:
            model = editor(name, shape=shape).eval()
            assert model.edit(x, {"Smiling": 1.0}).shape == x.shape
    for name in ("cyclegan", "stargan"):
        with pytest.raises(MienError, match="divide by 4, got 18x18"):
            editor(name, shape=(3, 18, 18))


# --- edits


def test_cyclegan_adds_with_g_and_removes_with_f():
    model = editor("cyclegan").eval()
    x = batch_of(4).x
    with torch.no_grad():
        added, removed, half, more = (model.edit(x, {"Smiling": a}) for a in (1.0, -1.0, -0.5, 3.0))
        torch.testing.assert_close(added, model.G(x))
        torch.testing.assert_close(removed, model.F(x))
        torch.testing.assert_close(half, (x + model.F(x)) / 2)
        torch.testing.assert_close(more, (3 * model.G(x) - 2 * x).clamp(-1, 1))
        assert torch.equal(model.edit(x, {"Smiling": 0.0}), x)
        assert torch.equal(model.edit(x, {}), x)
    assert model.editable == ("Smiling",)
    with pytest.raises(MienError, match=r"Eyeglasses.*known are Smiling"):
        model.edit(x, {"Eyeglasses": 1.0})


@pytest.mark.parametrize("name", ["stargan", "attgan"])
def test_edits_start_from_what_the_model_recognizes(name):
    """The description that the generator gets: the rounded recognition, with the named attributes moved."""
    model = editor(name).eval()
    x = batch_of(6).x
    model.read_attributes(np.array([[1, -1, 1], [-1, 1, 1]] * 20, np.int8))  # Eyeglasses excludes Smiling
    network, offset = (model.G, 0.0) if name == "stargan" else (model.decoder, 0.5)
    got = []
    network.register_forward_pre_hook(lambda _, inputs: got.append(inputs[1] + offset))
    with torch.no_grad():
        own = model.recognize(x).round()
        for amounts in ({}, {"Smiling": -1}, {"Smiling": 0.25}, {"Eyeglasses": 1}, {"Eyeglasses": 1, "Smiling": 1}):
            model.edit(x, amounts)
    nothing, removed, part, excluding, both = got
    assert torch.equal(nothing, own)
    assert removed[:, 1].tolist() == [0] * 6
    torch.testing.assert_close(part[:, 1], 0.75 * own[:, 1] + 0.25)
    torch.testing.assert_close(part[:, 0], 0.75 * own[:, 0])  # Smiling excludes Eyeglasses
    assert excluding[:, :2].tolist() == [[1, 0]] * 6
    assert both[:, :2].tolist() == [[1, 1]] * 6, "the edit names both"
    assert all(torch.equal(c[:, 2], own[:, 2]) for c in got), "an attribute that no edit names"


def test_an_amount_beyond_1_goes_beyond_in_the_named_attribute_only():
    """An excluded attribute stops at 0, and the description that the caller holds stays as it is."""
    c = torch.tensor([[0.5, 0.5, 0.5]])
    excludes = torch.tensor([[0, 1, 0], [1, 0, 0], [0, 0, 0]])
    assert changed(c, {"Eyeglasses": 3.0}, NAMES, excludes).tolist() == [[2.0, 0.0, 0.5]]
    assert changed(c, {"Wearing_Hat": -3.0}, NAMES).tolist() == [[0.5, 0.5, -1.0]]
    assert c.tolist() == [[0.5, 0.5, 0.5]]


# --- training pictures


def test_cyclegan_trains_on_both_domains_alike(avatars):
    index = np.arange(200)
    model = tiny("cyclegan", attributes=avatars.attributes, attribute="Eyeglasses")
    sign = avatars.attribute_table[:, avatars.attributes.index("Eyeglasses")]
    chosen = model.training_index(avatars, index, seed=0)
    assert (sign[chosen] > 0).sum() == (sign[chosen] < 0).sum() == min((sign[index] > 0).sum(), (sign[index] < 0).sum())
    assert len(np.unique(chosen)) == len(chosen)
    assert np.array_equal(chosen, model.training_index(avatars, index, seed=0))
    assert not np.array_equal(chosen, model.training_index(avatars, index, seed=1))
    with pytest.raises(MienError, match=r"with and without Eyeglasses, got \d+ with and 0 without"):
        model.training_index(avatars, index[sign[index] > 0], seed=0)


@pytest.mark.parametrize("signs", [[1] * 6, [-1] * 6, [0] * 6, [1, 0, 0, 0, 0], [1, -1], [1]])
def test_cyclegan_trains_on_batches_of_any_composition(signs):
    """A domain without a picture in the batch adds nothing to the losses."""
    terms = {}
    editor("cyclegan").train().training_step(signed(signs), lambda losses, **kept: terms.update(detached(kept)))
    assert all(math.isfinite(value) for value in terms.values())
    if not any(signs):
        assert set(terms.values()) == {0.0}


@pytest.mark.parametrize("name", EDITORS)
def test_data_without_attributes_is_refused(name):
    with pytest.raises(MienError, match=f"expected a data set with attributes to train {name}, got one without"):
        tiny(name, attributes=()).needs((), ("a", "b"))
    editor(name).needs(NAMES, ())


def test_the_attribute_of_cyclegan_must_be_there_and_chosen():
    with pytest.raises(MienError, match="unknown attribute 'Smilng': did you mean Smiling"):
        tiny("cyclegan", attribute="Smilng")
    with pytest.raises(MienError, match="--set attribute=NAME, one of Eyeglasses, Smiling, Wearing_Hat"):
        tiny("cyclegan").needs(NAMES, ())
    tiny("cyclegan", attributes=("Smiling",)).needs(("Smiling",), ())


@pytest.mark.parametrize("name", ["cyclegan", "stargan"])
def test_the_learning_rate_falls_in_the_second_half(name):
    model = editor(name)
    assert [model.lr_factor(p) for p in (0, 0.5, 0.75)] == [1, 1, 0.5]


def test_abilities():
    assert models.abilities("cyclegan") == ("Edits",)
    assert models.abilities("stargan") == models.abilities("attgan") == ("Edits", "Recognizes")
