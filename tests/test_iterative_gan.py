"""Iterative GAN: the paper's sizes, the players of each loss, generation, recognition and edits."""

import copy

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from conftest import NAMES, batch_of, tiny, weights_of
from mien.data.batch import Batch
from mien.errors import MienError
from mien.networks.conditional import DESCRIPTIONS
from mien.networks.dcgan import DCGANGenerator, DCGANTrunk
from mien.training.update import Update

fabric = Fabric(accelerator="cpu", devices=1)
PLAYERS = {"generator", "discriminator", "classifier"}


def made(**settings):
    return tiny("iterative_gan", **settings)


def moved_by(model, batch=None, steps: int = 1) -> list[tuple[set[str], dict[str, float]]]:
    """Each update of the training steps: its players and its terms."""
    batch = batch or batch_of()
    model.train()
    model.calibrate(batch)
    calls = []
    update = Update(model, fabric)

    def note(losses, **keywords):
        update(losses, **keywords)
        names = {n for key in losses for n in ((key,) if isinstance(key, str) else key)}
        calls.append((names, {k: float(torch.as_tensor(v).detach()) for k, v in keywords.items()}))

    torch.manual_seed(0)
    for _ in range(steps):
        model.training_step(batch, note)
    return calls


def test_section_4():
    """At 128x128 the maps are the paper's, 8x8x512 first (its 5x5 does not double four times to 128)."""
    shapes = []
    net = DCGANGenerator((3, 128, 128), 140, 64)
    for part in (net.head[1], *(m for m in net.body if isinstance(m, torch.nn.ConvTranspose2d))):
        part.register_forward_hook(lambda module, given, y: shapes.append(tuple(y.shape[1:])))
    with torch.no_grad():
        net(torch.zeros(2, 140))
        maps = DCGANTrunk((3, 128, 128), 64)(torch.zeros(2, 3, 128, 128))
    assert shapes == [(512, 8, 8), (256, 16, 16), (128, 32, 32), (64, 64, 64), (3, 128, 128)]
    assert [tuple(h.shape[1:]) for h in maps] == [(64, 64, 64), (128, 32, 32), (256, 16, 16), (512, 8, 8)]
    convs = 140 * 512 * 64 + 25 * (512 * 256 + 256 * 128 + 128 * 64 + 64 * 3) + 3
    norms = 2 * (512 + 256 + 128 + 64)
    assert sum(p.numel() for p in net.parameters()) == convs + norms
    assert float(net.body[0].weight.detach().std()) == pytest.approx(0.02, rel=0.01)


def test_heads_of_fig_3():
    model = tiny("iterative_gan", shape=(3, 32, 32))
    assert model.discriminator.shared[0].out_features == 1024
    assert [layer.out_features for layer in model.classifier.labels if hasattr(layer, "out_features")] == [128, 3]


@pytest.mark.parametrize("shape", [(3, 16, 16), (3, 32, 32), (3, 64, 64), (3, 128, 128), (3, 256, 256), (1, 28, 28)])
def test_any_size(shape):
    model = made(shape=shape, width=2).eval()
    x = torch.rand(2, *shape) * 2 - 1
    with torch.no_grad():
        z = model.encode(x).mean
        assert z.shape == (2, 8 + 3)
        assert z[:, :8].abs().max() <= 1
        assert ((z[:, 8:] >= 0) & (z[:, 8:] <= 1)).all()
        torch.testing.assert_close(z[:, 8:], model.recognize(x))
        assert model.decode(z).shape == x.shape


def test_edit_sets_what_is_named_and_keeps_the_rest():
    model = made().eval()
    x = batch_of(4).x
    with torch.no_grad():
        z = model.encode(x).mean

        def decoded(**values):
            changed = z.clone()
            for name, value in values.items():
                changed[:, 8 + NAMES.index(name)] = value
            return model.decode(changed)

        glasses = z[:, 8 + NAMES.index("Eyeglasses")]
        for amounts, expected in (
            ({}, decoded()),
            ({"Eyeglasses": 1.0}, decoded(Eyeglasses=1.0)),
            ({"Eyeglasses": -1.0}, decoded(Eyeglasses=0.0)),
            ({"Eyeglasses": 0.25}, decoded(Eyeglasses=glasses + 0.25 * (1 - glasses))),
            ({"Eyeglasses": -0.25}, decoded(Eyeglasses=0.75 * glasses)),
            ({"Eyeglasses": 0.0}, decoded()),
            ({"Eyeglasses": 1.0, "Smiling": -1.0}, decoded(Eyeglasses=1.0, Smiling=0.0)),
        ):
            torch.testing.assert_close(model.edit(x, amounts), expected)
        with pytest.raises(MienError, match="did you mean Smiling"):
            model.edit(x, {"Smilng": 1.0})


def test_generation_draws_what_is_left_open():
    model = made().eval()
    attributes = torch.tensor([[1, -1, 1], [1, -1, -1], [1, -1, 0]]).repeat(20, 1)
    model.calibrate(Batch(torch.zeros(60, 3, 16, 16), attributes.float(), None, torch.arange(60)))
    arguments = model.generator.descriptions
    assert arguments.shape == (DESCRIPTIONS, 3)
    assert set(arguments[:, 0].tolist()) == {1}
    requests = []
    model.generator.register_forward_pre_hook(lambda module, args: requests.append(args))
    with torch.no_grad():
        model.generate(400, seed=1)
        model.generate(2, torch.tensor([[1.0, 1.0, -1.0], [-1.0, 1.0, 1.0]]))
        model.generate(400, torch.zeros(400, 3))
    z, c = requests[0]
    assert z.abs().max() <= 1
    assert float(z.mean()) == pytest.approx(0, abs=0.05)
    assert float(z.std()) == pytest.approx(3**-0.5, abs=0.02)  # of U(-1, 1)
    assert torch.equal(c[:, :2], torch.tensor([[1.0, 0.0]]).repeat(400, 1))
    assert float(c[:, 2].mean()) == pytest.approx(0.5, abs=0.1)
    assert torch.equal(requests[1][1], torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]]))
    torch.testing.assert_close(requests[2][1].mean(0), torch.tensor([1.0, 0.0, 0.5]), atol=0.1, rtol=0)
    with pytest.raises(MienError, match=r"expected attributes \(2, 3\), got \(2, 5\)"):
        model.generate(2, torch.ones(2, 5))


def test_attributes_are_needed():
    with pytest.raises(MienError, match="got one without"):
        made(attributes=()).needs((), ("a", "b"))
    made().needs(NAMES, ())


def test_bad_settings_are_told():
    with pytest.raises(MienError, match=r"lambda2 >= 0"):
        made(lambda2=-1.0)
    with pytest.raises(MienError, match=r"ratio of 1 or more, got 0\.5"):
        made(ratio=0.5)
    with pytest.raises(MienError, match="most_updates > 0"):
        made(most_updates=0)


def test_two_stages():
    acgan, rebuild = moved_by(made(most_updates=1))
    assert acgan[0] == rebuild[0] == PLAYERS
    assert {"d", "g", "z", "label_fake"} <= acgan[1].keys()
    assert set(rebuild[1]) == {"per", "pix"}


@pytest.mark.parametrize(
    ("weights", "terms"),
    [((0, 0, 0), [set()]), ((0, 0, 1), [{"z"}]), ((0, 0.5, 0), [set(), {"pix"}]), ((2, 0, 1), [{"z"}, {"per"}])],
)
def test_a_weight_of_zero_costs_nothing(weights, terms):
    """Fig. 5's ablations: what weighs nothing is not computed; without L_per and L_pix there is no second stage."""
    model = made(lambda1=weights[0], lambda2=weights[1], lambda3=weights[2], most_updates=1)
    passes = {"generator": 0, "trunk": 0, "code": 0}

    def count(name):
        return lambda *_: passes.__setitem__(name, passes[name] + 1)

    model.generator.register_forward_pre_hook(count("generator"))
    model.discriminator.trunk.register_forward_pre_hook(count("trunk"))
    model.classifier.code.register_forward_pre_hook(count("code"))
    calls = moved_by(model)
    assert [set(c[1]) & {"z", "pix", "per"} for c in calls] == terms
    rebuilds = int(weights[0] > 0 or weights[1] > 0)
    assert passes == {
        "generator": 1 + rebuilds,
        "trunk": 2 + rebuilds + (weights[0] > 0),
        "code": (weights[2] > 0) + rebuilds,
    }


def test_perceptual_loss_moves_d_only_as_what_reads_the_picture():
    """With z̃ and c̃ cut off from it, L_per has nothing to move in D, and still moves G."""
    model = made(lambda2=0.0)
    read = model._read

    def cut(x):
        z, c, maps = read(x)
        return z.detach(), c.detach(), maps

    model._read = cut
    before = {k: v.detach().clone() for k, v in model.named_parameters()}
    model.train()
    model._rebuild(batch_of(), Update(model, fabric))
    for key, value in model.named_parameters():
        assert torch.equal(value, before[key]) != key.startswith("generator."), key


def test_perceptual_loss_is_the_sum_over_all_maps():
    model = made(lambda2=0.0)
    twin = copy.deepcopy(model).train()
    batch = batch_of()
    with torch.no_grad():
        z, c, maps = twin._read(batch.x)
        again = twin.discriminator.trunk(twin.generator(z, c))
    expected = sum(np.abs(a.numpy() - h.numpy()).mean() for a, h in zip(again, maps, strict=True))
    update = Update(model.train(), fabric)
    model._rebuild(batch, update)
    assert float(update.terms["per"]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("bias", "side"), [(9.0, "g_updates"), (-9.0, "d_updates")])
def test_the_side_that_is_behind_is_updated_again(bias, side):
    """A perfect D puts G far behind; a D that is always wrong is far behind itself."""
    model = made(ratio=2.0, most_updates=3)
    model._behind = lambda d, g: "generator" if bias > 0 else "discriminator"
    calls = moved_by(model)
    assert len(calls) == 4
    extra = calls[1:3]
    assert [c[1][side] for c in extra] == [2, 3]
    assert all(c[0] == ({"generator"} if bias > 0 else {"discriminator", "classifier"}) for c in extra)


def test_who_is_behind():
    model = made(ratio=3.0)
    log2 = torch.tensor(2.0).log()
    assert model._behind(2 * log2, log2) == ""  # D cannot tell
    assert model._behind(torch.tensor(0.2), torch.tensor(2.0)) == "generator"
    assert model._behind(torch.tensor(8.0), torch.tensor(0.5)) == "discriminator"
    assert model._behind(torch.tensor(0.8), torch.tensor(1.0)) == ""


def test_unknown_attributes_are_left_out():
    """Unknown attributes of real pictures are not part of L_label; generated pictures get random ones."""
    model = made().train()
    batch = batch_of()
    unknown = Batch(batch.x, torch.zeros_like(batch.attributes), None, batch.index)
    model.calibrate(unknown)
    assert float(model._real(unknown)[1].detach()) == 0
    assert float(model._real(batch)[1].detach()) > 0
    chance = torch.rand(500, 3)
    torch.testing.assert_close(
        model.generator.multi_hot(torch.zeros(500, 3), chance).mean(0), torch.full((3,), 0.5), atol=0.1, rtol=0
    )
    calls = moved_by(made(), unknown, steps=2)
    assert all(np.isfinite(v) for _, terms in calls for v in terms.values())


def test_running_statistics_are_of_real_pictures():
    """The running statistics of D's BatchNorm come from real pictures, not from generated ones."""
    model = made(lambda1=2.0).train()
    batch = batch_of()
    model.calibrate(batch)
    key = "discriminator.trunk.stages.1.1.running_mean"
    before = weights_of(model)[key]
    model._fake(batch)
    assert (weights_of(model)[key] == before).all()
    model._real(batch)
    assert (weights_of(model)[key] != before).any()


def test_it_learns_to_recognize_rebuild_and_edit():
    """Half of the pictures have a light square: after 150 small steps it is seen, and c̃ puts it in or takes it out."""

    def pictures(n: int, seed: int):
        without = 0.3 * batch_of(n, seed).x - 0.4
        having = without.clone()
        having[:, :, 4:10, 4:10] = 0.8
        return without, having

    model = made(attributes=("Square",), width=8, lr=1e-3)
    update = Update(model, fabric)
    sign = torch.tensor([-1.0, 1.0]).repeat_interleave(8)[:, None]
    model.train()
    model.calibrate(Batch(torch.zeros(16, 3, 16, 16), sign, None, torch.arange(16)))
    for k in range(150):
        torch.manual_seed(k)
        without, having = pictures(16, k)
        x = torch.cat([without[:8], having[8:]])
        model.training_step(Batch(x, sign, None, torch.arange(16)), update)
    model.eval()
    without, having = pictures(20, 999)
    square = (slice(None), slice(None), slice(5, 9), slice(5, 9))
    with torch.no_grad():
        assert (model.recognize(without) < 0.5).all()
        assert (model.recognize(having) > 0.5).all()
        assert float(model.edit(without, {"Square": 1})[square].mean()) > 0.3
        assert float(model.edit(having, {"Square": -1})[square].mean()) < 0.1
        drawn = model.generate(20, torch.tensor([[1.0], [-1.0]]).repeat(10, 1))[square].mean((1, 2, 3))
    assert drawn[::2].min() > drawn[1::2].max()


def hair() -> np.ndarray:
    """A table of four attributes: black, brown and blond hair exclude each other, smiling goes with all."""
    rows = [[1, -1, -1], [-1, 1, -1], [-1, -1, 1]] * 20
    return np.array([[*row, 1 if i % 2 else -1] for i, row in enumerate(rows)], np.int8)


def haired(**settings):
    names = ("Black_Hair", "Brown_Hair", "Blond_Hair", "Smiling")
    model = tiny("iterative_gan", attributes=names, **settings).eval()
    table = hair()
    model.read_attributes(table)
    batch = Batch(torch.zeros(60, 3, 16, 16), torch.from_numpy(table).float(), None, torch.arange(60))
    model.calibrate(batch)
    return model


def test_an_edit_switches_off_what_the_attribute_excludes():
    model = haired()
    assert model.generator.excludes.tolist() == [[0, 1, 1, 0], [1, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]]
    x = batch_of(4).x
    with torch.no_grad():
        z = model.encode(x).mean
        black = z.clone()
        black[:, 8:11] = torch.tensor([1.0, 0.0, 0.0])
        torch.testing.assert_close(model.edit(x, {"Black_Hair": 1.0}), model.decode(black))
        half = z.clone()
        half[:, 8] += 0.5 * (1 - half[:, 8])
        half[:, 9:11] *= 0.5
        torch.testing.assert_close(model.edit(x, {"Black_Hair": 0.5}), model.decode(half))
        # taking hair color away gives no other one, and what is asked for is not switched off
        less = z.clone()
        less[:, 8] = 0.0
        torch.testing.assert_close(model.edit(x, {"Black_Hair": -1.0}), model.decode(less))
        both = z.clone()
        both[:, 8:11] = torch.tensor([1.0, 1.0, 0.0])
        torch.testing.assert_close(model.edit(x, {"Black_Hair": 1.0, "Brown_Hair": 1.0}), model.decode(both))


def test_what_is_generated_starts_from_a_real_description():
    """One attribute asked for changes that attribute, and what it excludes, of the same pictures (Fig. 8, 9b)."""
    model = haired()
    calls = []
    model.generator.body.register_forward_pre_hook(lambda module, given: calls.append(given[0]))
    requests = torch.zeros(30, 4)
    with torch.no_grad():
        model.generate(30, requests, seed=3)
        requests[:, 0] = 1
        model.generate(30, requests, seed=3)
    (z0, c0), (z1, c1) = ((codes[:, :8], codes[:, 8:]) for codes in calls)
    assert torch.equal(z0, z1)
    rows = {tuple(row) for row in (hair() > 0).astype(int).tolist()}
    assert {tuple(row) for row in c0.int().tolist()} <= rows
    assert {tuple(row) for row in c1.int().tolist()} <= rows
    assert (c1[:, 0] == 1).all()
    assert torch.equal(c1[:, 3], c0[:, 3])
    assert not torch.equal(c1, c0)


def test_rebuilt_and_generated_pictures_have_statistics_of_their_own():
    model = made(most_updates=1)
    norm = model.generator.body.head[2]
    model.train()
    batch = batch_of()
    with torch.no_grad():
        model.decode(model.encode(batch.x).mean)
        first, second = norm.running_mean.clone(), norm.second_mean.clone()
        assert first.abs().sum() > 0
        assert second.abs().sum() == 0
        model.generate(8)
        assert torch.equal(norm.running_mean, first)
        assert norm.second_mean.abs().sum() > 0
    model.eval()
    with torch.no_grad():
        z = torch.rand(4, 11)
        one, other = model.generator(*z.tensor_split([8], 1)), model.generator(*z.tensor_split([8], 1), drawn=True)
    assert not torch.equal(one, other)


def test_a_parameter_that_no_loss_reaches_stays_where_it_is():
    """Stage 2 has no adversarial loss: D's source layer keeps its weights of stage 1."""
    model = made(most_updates=1)
    batch = batch_of()
    model.train()
    model.calibrate(batch)
    update = Update(model, fabric)
    source = []

    def note(losses, **keywords):
        before = weights_of(model.discriminator.source)
        update(losses, **keywords)
        after = weights_of(model.discriminator.source)
        source.append(max(abs(after[k] - before[k]).max() for k in before))

    torch.manual_seed(0)
    for _ in range(3):
        model.training_step(batch, note)
    assert len(source) == 6
    assert min(source[0::2]) > 0
    assert max(source[1::2]) == 0


def test_the_generators_second_update_is_weighed_against_what_d_says_now():
    """The first update changes D, therefore D is evaluated again on real pictures before the next comparison."""
    model = made(ratio=2.0, most_updates=3)
    compared = []

    def behind(d, g):
        compared.append(float(d.detach()))
        return "generator"

    model._behind = behind
    batch = batch_of()
    model.train()
    model.calibrate(batch)
    update = Update(model, fabric)
    real = []

    def note(losses, **keywords):
        update(losses, **keywords)
        with torch.no_grad():
            real.append(float(torch.nn.functional.softplus(-model.discriminator(batch.x, remember=False)[0]).mean()))

    model.training_step(batch, note)
    assert len(compared) == 2
    # what the second comparison used for real pictures is D after the first update
    assert compared[1] >= real[0]


# --- beyond the paper


def gradients(model, batch, stage):
    """The gradients that a stage passes to the update, by parameter."""
    result = {}

    class Recorder:
        device = torch.device("cpu")

        def __call__(self, losses, **terms):
            self.terms = terms
            for players, loss in losses.items():
                players = (players,) if isinstance(players, str) else players
                named = {k: v for k, v in model.named_parameters() if k.split(".")[0] in players}
                parts = torch.autograd.grad(loss, named.values(), retain_graph=True, allow_unused=True)
                result.update(zip(named, parts, strict=True))

    recorder = Recorder()
    getattr(model.train(), stage)(batch, recorder)
    return result, recorder.terms


def test_the_third_stage_asks_for_the_description_of_another_picture():
    """The label loss of G(z̃, c′) is the cross-entropy with the row of the picture before it in the batch."""
    model, batch = made(swap=1.0, most_updates=1), batch_of(6)
    torch.manual_seed(0)
    _, terms = gradients(copy.deepcopy(model), batch, "_swap")
    model.train()
    z, _, _ = model._read(batch.x, remember=False)
    wanted = (batch.attributes[[5, 0, 1, 2, 3, 4]] > 0).float()
    drawn = model.generator(z, wanted)
    logit, shared, _ = model.discriminator(drawn, remember=False)
    p = model.classifier.logits(shared).sigmoid()
    expected = -(wanted * p.log() + (1 - wanted) * (1 - p).log()).mean()
    torch.testing.assert_close(terms["swap_label"], expected)
    torch.testing.assert_close(terms["swap_gan"], -logit.sigmoid().log().mean())
    torch.testing.assert_close(terms["swap_z"], (model.classifier.z(shared) - z).abs().mean())
    torch.testing.assert_close(terms["swap_d"], -(1 - logit.sigmoid()).log().mean())


def test_the_third_stage_moves_the_label_head_of_c_by_no_loss_and_its_code_by_what_z_carries():
    """C's attributes judge the swapped picture, and a judge that moved could say what G wants to hear."""
    model, batch = made(swap=1.0), batch_of(6)
    moved, _ = gradients(model, batch, "_swap")
    assert all(value is None for key, value in moved.items() if key.startswith("classifier.labels"))
    assert moved["classifier.code.weight"].abs().sum() > 0
    assert moved["discriminator.source.weight"].abs().sum() > 0  # D learns that they are generated
    assert moved["discriminator.shared.0.weight"].abs().sum() > 0  # it writes z̃
    assert all(value.abs().sum() > 0 for key, value in moved.items() if key.startswith("generator") and "weight" in key)


def test_labels_of_real_pictures_alone_leave_the_label_head_to_them():
    """On generated pictures, L_label moves G as before, and neither C's labels nor the features that they read."""
    batch = batch_of(6)
    sides = []
    for real_labels in (False, True):
        torch.manual_seed(1)
        model = made(most_updates=1, real_labels=real_labels)
        torch.manual_seed(2)
        sides.append(gradients(model, batch, "_acgan")[0])
    for key in sides[0]:
        untouched = key.startswith(("generator", "discriminator.source", "classifier.code"))
        assert torch.equal(sides[0][key], sides[1][key]) == untouched, key


def test_true_labels_rebuild_with_what_is_known():
    """Stage 2 passes the true description to G; an unknown attribute keeps what C reads."""
    model, batch = made(true_labels=True), batch_of(6)
    batch.attributes[0, 0] = 0
    seen = []
    model.generator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[1].detach()))
    with torch.no_grad():
        read = copy.deepcopy(model).train()._read(batch.x)[1]
    gradients(model, batch, "_rebuild")
    (c,) = seen
    known = batch.attributes != 0
    assert torch.equal(c[known], (batch.attributes > 0).float()[known])
    torch.testing.assert_close(c[0, 0], read[0, 0])
