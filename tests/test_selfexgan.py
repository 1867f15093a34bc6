"""SelfExGAN: the thesis's tables row by row, the sphere, the KL of moments, and the players of each loss."""

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from conftest import batch_of, tiny, weights_of
from mien.errors import MienError
from mien.models.selfexgan import TABLES
from mien.networks.sphere import FLOOR, covariance_gap, moment_kl, project, whitened
from mien.networks.stacks import RELU, Conv, Deconv, Dense, Drop, Pool, Reshape, Stack
from mien.training.update import Update

fabric = Fabric(accelerator="cpu", devices=1)

# The column "Feature map" of tables 4.1-4.7, as (H, W, C) or units. What is not printed is None: a map's channels
# where only its sides are, and dropout's and the flattening's rows, which have no map.
G32 = [4096, (4, 4, 256), (8, 8, 128), (16, 16, 64)]
G64 = [*G32, (32, 32, 64), (64, 64, 3)]  # the last is printed (32, 32, 3)
E32 = [(32, 32, 64), (16, 16), (16, 16, 128), (8, 8), (8, 8, 256), (4, 4)]
E64 = [(64, 64, 64), (32, 32), (32, 32, 64), (16, 16), (16, 16, 128), (8, 8), (8, 8, 256), (4, 4)]
D32 = [(16, 16, 64), (8, 8, 128), (4, 4, 256), (2, 2)]
D64 = [(32, 32, 64), (16, 16, 64), (8, 8, 128), (4, 4, 256), (2, 2)]
X64 = [(32, 32, 64), (16, 16, 64), (8, 8, 128), 64]
P64 = [256, 128, 64, 2]
IMAGENET = [256, 512, None, 1024, None, 512, None, 256, 128, 64, 2]
PRINTED = {
    "mnist": ([*G32, (32, 32, 1)], [*E32, 64], [*D32, 1], [1024, 256, 64], [256, 128, 64, 1]),
    "svhn": ([*G32, (32, 32, 3)], [*E32, 128], [*D32, 2], [1024, 256, 128], [512, 256, 128, 64, 2]),
    "cifar10": (
        [*G32, (32, 32, 3)],
        [*E32, 128],
        [*D32, 2],
        [1024, 256, 128],
        [256, None, 512, None, 256, 128, 64, 2],
    ),
    "imagenet32": ([*G32, (32, 32, 3)], [*E32, 128], [*D32, 2], [1024, 256, 128], IMAGENET),
    "celeba_crop": (G64, [*E64, 64], [*D64, 2], X64, P64),
    "celeba_resized": (G64, [*E64, 128], [*D64, 2], X64, P64),
    "cartoon": (G64, [*E64, 128], [*D64, 2], X64, P64),
}
# The columns "Kernel", "Use BN?" and "Non-linearity" of the rows that have them: kernels of G, E, D1; the
# non-linearities of G, E and D1 before the last row, and of D2's picture rows (ends are checked apart).
KERNELS = {
    "mnist": ([5, 5, 5], [3, 3, 3], [5] * 4, "R", "R", "R", "RRR"),
    "svhn": ([5, 5, 5], [3, 3, 3], [5] * 4, "R", "R", "R", "RRR"),
    "cifar10": ([5, 5, 5], [5, 5, 5], [5] * 4, "R", "L", "L", "RRR"),
    "imagenet32": ([5, 5, 5], [5, 5, 5], [5] * 4, "R", "L", "L", "RRR"),
    "celeba_crop": ([3, 3, 3, 5], [3, 3, 3, 3], [5] * 5, "L", "R", "L", "LLLL"),
    "celeba_resized": ([3, 3, 3, 5], [3, 3, 3, 3], [5] * 5, "L", "R", "L", "LLLL"),
    "cartoon": ([5, 5, 5, 5], [5, 5, 5, 3], [5] * 5, "L", "R", "L", "LLLL"),
}


def kind(row) -> str:
    return {nn.ReLU: "R", nn.LeakyReLU: "L"}.get(type(row.activation()), "?")


def kernels(rows) -> list[int]:
    return [row.kernel for row in rows if isinstance(row, Conv | Deconv)]


@pytest.mark.parametrize("name", TABLES)
def test_tables(name):
    """Each network of each table makes the maps that are printed, and its rows are what is printed of them."""
    table = TABLES[name]
    model = tiny("selfexgan", shape=table.shape, table=name)
    pair = model.pair_discriminator
    nets = (model.generator, model.encoder, model.image_discriminator, pair.picture, pair.pair)
    for net, printed in zip(nets, PRINTED[name], strict=True):
        for got, expected in zip(net.maps, printed, strict=True):
            if isinstance(expected, int):
                assert got == (expected,)
            elif expected is not None:
                assert (*got[1:], got[0])[: len(expected)] == expected
    of_g, of_e, of_d, act_g, act_e, act_d, act_x = KERNELS[name]
    assert (kernels(table.generator), kernels(table.encoder), kernels(table.image)) == (of_g, of_e, of_d)
    convs = [row for row in table.generator if isinstance(row, Deconv)]
    assert [kind(row) for row in convs] == [act_g] * (len(convs) - 1) + ["?"]
    assert kind(table.generator[0]) == "R"
    assert {kind(row) for row in table.encoder if isinstance(row, Conv)} == {act_e}
    assert {kind(row) for row in table.image[:-1]} == {act_d}
    assert "".join(kind(row) for row in table.picture) == act_x
    assert {kind(row) for row in table.pair[:-1] if isinstance(row, Dense)} == {"R"}


@pytest.mark.parametrize("name", TABLES)
def test_tables_normalize_where_they_say(name):
    table = TABLES[name]
    for rows in (table.generator, table.encoder, table.image, table.picture):
        norms = [row.norm for row in rows if isinstance(row, Conv | Deconv | Dense)]
        assert norms == [True] * (len(norms) - 1) + [False]
    # D2 after the joint: not in the first row, nor in the last
    norms = [row.norm for row in table.pair if isinstance(row, Dense)]
    assert norms == [False, *[True] * (len(norms) - 2), False]


@pytest.mark.parametrize("name", TABLES)
def test_tables_train(name):
    table = TABLES[name]
    if table.shape[1] > 32 and name != "cartoon":
        pytest.skip("of one pattern with cartoon's")
    model = tiny("selfexgan", shape=table.shape, table=name).train()
    update = Update(model, fabric)
    batch = batch_of(2)
    x = nn.functional.interpolate(batch.x[:, : table.shape[0]], table.shape[1:])
    model.training_step(type(batch)(x, None, None, batch.index), update)
    model.eval()
    with torch.no_grad():
        z = model.encode(x).mean
        assert z.shape == (2, table.latent)
        assert model.decode(z).shape == x.shape
    assert all(torch.isfinite(v) for v in update.terms.values())


def test_tables_refuse_other_pictures():
    with pytest.raises(MienError, match=r"expected pictures \(1, 32, 32\) for table mnist, got \(3, 64, 64\): .*"):
        tiny("selfexgan", shape=(3, 64, 64), table="mnist")
    with pytest.raises(MienError, match=r"unknown table of selfexgan 'cifar': did you mean cifar10"):
        tiny("selfexgan", shape=(3, 32, 32), table="cifar")


def test_stacks_say_what_does_not_fit():
    with pytest.raises(MienError, match=r"expected 8 units to reshape.*got 12"):
        Stack((8,), [Dense(12, True, RELU), Reshape((2, 2, 2))])
    assert Stack((2, 6, 6), [Conv(5, 2, 4, False, RELU), Drop(0.1), Pool()]).maps == [(4, 3, 3), (4, 3, 3), (4, 1, 1)]


@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 28, 28), (1, 28, 20), (3, 64, 64), (3, 24, 40), (3, 8, 8)])
def test_any_size(shape):
    model = tiny("selfexgan", shape=shape, width=2).train()
    batch = batch_of(4)
    x = nn.functional.interpolate(batch.x[:, : shape[0]], shape[1:])
    model.training_step(type(batch)(x, None, None, batch.index), Update(model, fabric))
    model.eval()
    with torch.no_grad():
        assert model.decode(model.encode(x).mean).shape == x.shape


def test_sphere():
    """Eq. 4.1-4.4, by hand."""
    z = torch.tensor([[4.0, 6.0], [0.5, 1.0]])
    torch.testing.assert_close(
        project(z, 10.0, 1.0, 1.0)[0], torch.tensor([1 + 10 * 3 / 34**0.5, 1 + 10 * 5 / 34**0.5])
    )
    assert torch.isfinite(project(torch.ones(1, 3), 1.0, 1.0)).all()  # the center itself has no direction
    model = tiny("selfexgan").eval()
    with torch.no_grad():
        z = model.encode(batch_of().x).mean
    torch.testing.assert_close(z.norm(dim=1), torch.full((8,), 8**0.5))  # as far out as z ~ N(0, I) is
    assert (z < 0).any()
    assert (z > 0).any()


def test_moment_kl():
    """Eq. 4.5 with appendix A's constant, in a loop."""
    z = np.random.default_rng(0).normal(0.3, 1.7, (50, 4)).astype(np.float32)
    naive = 0.0
    for column in z.T.astype(float):
        mean = sum(column) / len(column)
        variance = sum((v - mean) ** 2 for v in column) / len(column)
        naive += (variance + mean**2) / 2 - np.log(variance**0.5) - 0.5
    assert float(moment_kl(torch.from_numpy(z))) == pytest.approx(naive / 4, rel=1e-4)
    assert torch.isfinite(moment_kl(torch.zeros(4, 3)))  # all codes alike


def test_both_games_by_hand():
    """The losses are those of probabilities, as the thesis writes them, in its pairs and nothing else."""
    model = tiny("selfexgan", pair_weight=3.0, kl_weight=0.5).eval()
    x, noise = batch_of().x, torch.randn(8, 8)
    model.zero_grad()
    d1 = lambda x: model.image_discriminator(x).sigmoid()[:, 0]  # noqa: E731
    d2 = lambda x, z: model.pair_discriminator(model.pair_discriminator.picture(x), z).sigmoid()[:, 0]  # noqa: E731
    z = model.encode(x).mean
    x_rec, x_new = model.decode(z), model.decode(noise)
    z_rec = model.encode(x_rec).mean
    got: dict = {}
    torch.manual_seed(0)
    noise.copy_(torch.randn(8, 8))
    x_new = model.decode(noise)
    torch.manual_seed(0)
    model.training_step(batch_of(), lambda losses, **terms: got.update(losses=losses, terms=terms))
    fake1 = (d1(x_rec).log() + d1(x_new).log()) / 2
    fake2 = (d2(x_rec, z).log() + d2(x, z_rec).log()) / 2
    close = torch.testing.assert_close
    encoder = 0.5 * moment_kl(z) - 3 * (1 - d2(x, z)).log().mean()
    close(got["losses"]["generator", "encoder"], -(fake1 + 3 * fake2).mean() + encoder)
    not1 = ((1 - d1(x_rec)).log() + (1 - d1(x_new)).log()) / 2
    not2 = ((1 - d2(x_rec, z)).log() + (1 - d2(x, z_rec)).log()) / 2
    close(got["losses"]["image_discriminator"], -(d1(x).log() + not1).mean())
    close(got["losses"]["pair_discriminator"], -(d2(x, z).log() + not2).mean())


def test_settings_of_the_text():
    model = tiny("selfexgan", saturating=True, generator_updates=2, lr_image=1e-5, lr_encoder=1e-4)
    model.train()
    calls = []
    update = Update(model, fabric)
    assert update.base_lr == {
        "generator": [1e-3],
        "encoder": [1e-4],
        "image_discriminator": [1e-5],
        "pair_discriminator": [1e-3],
    }
    model.training_step(batch_of(), lambda losses, **terms: (calls.append((losses, terms)), update(losses, **terms)))
    assert [len(losses) for losses, _ in calls] == [3, 1]
    # log(1 - D) is negative
    assert calls[0][1]["image"] < 0
    with pytest.raises(MienError, match="expected smooth in"):
        tiny("selfexgan", smooth=0.5)


def test_two_outputs_are_a_softmax():
    model = tiny("selfexgan", shape=(3, 32, 32), table="svhn").eval()
    x = torch.rand(2, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        game = model.play(x, torch.randn(2, 128))
        expected = model.image_discriminator(x).softmax(1)[:, 1]
    torch.testing.assert_close(game.x.sigmoid(), expected)


def test_encoder_remembers_real_pictures_only():
    """Running statistics of E after a step are those of one pass over x; G's take in what it decodes."""
    model, again = tiny("selfexgan").train(), tiny("selfexgan").train()
    before = weights_of(model)
    model.training_step(batch_of(), lambda *given, **terms: None)
    again.encode(batch_of().x)
    after, expected = weights_of(model), weights_of(again)
    for key in after:
        if key.startswith("encoder.") and "running" in key:
            np.testing.assert_array_equal(after[key], expected[key])
            assert (after[key] != before[key]).any()


def moved(batch, **settings) -> dict[str, set[str]]:
    """Return the weights of each player that one step moves elsewhere than a step with the default settings."""
    after = []
    for more in ({}, settings):
        model = tiny("selfexgan").train()
        for key, value in more.items():
            setattr(model, key, value)
        # Adam's first step has the gradient's sign only, and so would hide a change of its size
        model.optimizer = lambda parameters: torch.optim.SGD(list(parameters), lr=0.1)
        torch.manual_seed(5)
        model.training_step(batch, Update(model, fabric))
        after.append({name: dict(model.get_submodule(name).named_parameters()) for name in model.players})
    return {name: {k for k, p in after[0][name].items() if not torch.equal(p, after[1][name][k])} for name in after[0]}


def test_new_options_are_off_by_default():
    assert not any(moved(batch_of()).values())
    again = moved(batch_of(), kl_weight=2.0)
    assert again["encoder"]
    assert not any(again[name] for name in again if name != "encoder")


@pytest.mark.parametrize("setting", ["cycle_weight", "cycle_noise_weight"])
def test_the_cycle_moves_only_the_generator(setting):
    changed = moved(batch_of(), **{setting: 3.0})
    assert len(changed["generator"]) == len(list(tiny("selfexgan").generator.parameters()))
    assert not any(changed[name] for name in changed if name != "generator")


def test_the_covariance_moves_only_the_encoder():
    changed = moved(batch_of(), covariance_weight=5.0)
    assert changed["encoder"]
    assert not any(changed[name] for name in changed if name != "encoder")


def test_more_noise_moves_the_generator_and_the_discriminator_of_pictures():
    changed = moved(batch_of(), noise_ratio=3)
    assert changed["generator"]
    assert changed["image_discriminator"]


def test_cycle_by_hand():
    """Eq. 3.2 as a mean square: of E(G(z)) and z = E(x), and of E(G(noise)) and the noise on the sphere."""
    model = tiny("selfexgan", cycle_weight=3.0, cycle_noise_weight=0.5, noise_ratio=2).eval()
    got: dict = {}
    torch.manual_seed(0)
    noise = torch.randn(16, 8)
    torch.manual_seed(0)
    model.training_step(batch_of(), lambda losses, **terms: got.update(losses=losses, terms=terms))
    z = model.encode(batch_of().x).mean
    back = model.encode(model.decode(z)).mean
    on_sphere = noise / noise.norm(dim=1, keepdim=True) * 8**0.5
    back_noise = model.encode(model.decode(noise)).mean
    expected = 3 * ((back - z) ** 2).sum(1).mean() / 8 + 0.5 * ((back_noise - on_sphere) ** 2).sum(1).mean() / 8
    torch.testing.assert_close(got["losses"]["generator"], expected)
    torch.testing.assert_close(got["terms"]["cycle"], expected)
    # the key without the encoder keeps it still; nothing may reach it by another key
    assert set(got["losses"]) == {
        "generator", ("generator", "encoder"), "image_discriminator", "pair_discriminator",
    }  # fmt: skip


def test_covariance_gap():
    """The mean over pairs of different latents estimates ‖M - I‖² / K; equal codes are far from N(0, I)."""
    z = np.random.default_rng(0).normal(0.3, 1.2, (5, 3))
    pairs = [float(z[i] @ z[j]) ** 2 for i in range(5) for j in range(5) if i != j]
    expected = (sum(pairs) / 20 - 2 * sum(float(row @ row) for row in z) / 5 + 3) / 3
    assert float(covariance_gap(torch.from_numpy(z))) == pytest.approx(expected, rel=1e-4)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(20_000, 4, generator=generator)
    mix = torch.tensor([[1.0, 0.5, 0, 0], [0, 1, 0, 0.2], [0, 0, 1.3, 0], [0, 0, 0, 1]])
    moment = mix.T @ mix
    assert float(covariance_gap(noise[:5000])) == pytest.approx(0, abs=0.01)
    expected = float((moment - torch.eye(4)).square().sum()) / 4
    assert float(covariance_gap((noise @ mix)[:5000])) == pytest.approx(expected, abs=0.05)
    alike = project(torch.ones(8, 4) + 0.01 * noise[:8], 2.0)
    assert float(covariance_gap(alike)) == pytest.approx(3, abs=0.05)  # M is nearly z zᵀ


@pytest.mark.parametrize(("n", "dimensions"), [(400, 12), (10, 40)])
@pytest.mark.parametrize("power", [0.5, 1.0])
def test_whitened_outputs_have_the_stated_covariance(power, n, dimensions):
    """The covariance of the outputs is W C^(1 - power) Wᵀ up to a scale, and their variance is 1 on average."""
    generator = torch.Generator().manual_seed(0)
    mix = torch.randn(dimensions, dimensions, generator=generator, dtype=torch.float64)
    features = torch.randn(n, dimensions, generator=generator, dtype=torch.float64) @ mix + 3
    weight = torch.randn(6, dimensions, generator=generator, dtype=torch.float64)
    new, mean = whitened(weight, features, power)
    got = torch.cov((features @ new.T).T, correction=0)
    values, vectors = torch.linalg.eigh(torch.cov(features.T, correction=0))
    kept = values > 1e-9 * values[-1]
    # eigenvalues below the floor count as the floor
    scaled = values[kept] * values[kept].clamp(min=float(FLOOR * values[-1])) ** -power
    expected = weight @ vectors[:, kept] @ scaled.diag() @ vectors[:, kept].T @ weight.T
    torch.testing.assert_close(got, expected / expected.diagonal().mean(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(mean, features.mean(0))


def test_whitening_keeps_features_without_variance():
    weight = torch.randn(3, 4)
    torch.testing.assert_close(whitened(weight, torch.ones(5, 4), 0.5)[0], weight)


def test_calibration_whitens_the_last_layer_of_the_encoder_only():
    model, plain = tiny("selfexgan", whiten=0.5, center=0.4), tiny("selfexgan")
    plain.calibrate(batch_of(64))
    untouched, before = weights_of(plain), weights_of(tiny("selfexgan"))
    assert all((untouched[k] == before[k]).all() for k in before)  # off by default
    model.calibrate(batch_of(64))
    after = weights_of(model)
    last = [k for k in before if k.startswith("encoder.")][-2:]
    changed = {k for k in before if (after[k] != before[k]).any() and not k.endswith("num_batches_tracked")}
    assert changed == set(last)  # the count has no effect, as BatchNorm has a momentum
    values = []
    model.train().encoder[-1].register_forward_pre_hook(lambda module, inputs: values.append(inputs[0]))
    model.encoder(batch_of(64).x)
    assert float(values[0].detach().var(0, correction=0).mean()) == pytest.approx(1, rel=1e-3)
    np.testing.assert_allclose(values[0].mean(0).detach().sigmoid(), 0.4, atol=1e-3)
    model.calibrate(batch_of(2))  # as few as the estimate of the duration passes


def test_decay():
    model = tiny("selfexgan", decay=0.5)
    assert [model.lr_factor(p) for p in (0.0, 0.5, 0.75)] == [1.0, 1.0, 0.5]
    assert tiny("selfexgan").lr_factor(0.99) == 1.0
    for bad in ({"decay": 1.5}, {"whiten": -0.1}):
        with pytest.raises(MienError, match=r"expected (decay|whiten) in \[0, 1\], got"):
            tiny("selfexgan", **bad)
    with pytest.raises(MienError, match="expected noise_ratio > 0"):
        tiny("selfexgan", noise_ratio=0)
