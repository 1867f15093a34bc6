"""Residual GAN: the edits of both networks, the training pictures, and the inputs of the losses."""

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from conftest import NAMES, batch_of, tiny, weights_of
from mien.applications.residuals import as_picture, residuals
from mien.data.batch import Batch
from mien.errors import MienError
from mien.networks.residual import SLOPE
from mien.networks.translators import StridedClassifier, Translator, squared_gradient
from mien.training.compiling import compile_networks
from mien.training.update import Update

fabric = Fabric(accelerator="cpu", devices=1)
COLUMN = NAMES.index("Smiling")


def smiling(**settings):
    return tiny("residual_gan", attribute="Smiling", **settings)


def signed(signs) -> Batch:
    """A batch whose Smiling is as given."""
    batch = batch_of(len(signs))
    batch.attributes[:, COLUMN] = torch.tensor(signs, dtype=torch.float32)
    return batch


def step(model, batch) -> dict[str, float]:
    model.train()
    update = Update(model, fabric)
    torch.manual_seed(0)
    model.training_step(batch, update)
    return {k: float(v) for k, v in update.terms.items()}


def test_table_1():
    """Parameters counted by hand from Table 1 at 128x128 (BatchNorm has two a channel; D has three logits)."""
    convs = 25 * 3 * 64 + 16 * 64 * 128 + 16 * 128 * 256 + 9 * 256 * 128 + 9 * 128 * 64 + (16 * 64 * 3 + 3)
    norms = 2 * (64 + 128 + 256 + 128 + 64)
    assert sum(p.numel() for p in Translator((3, 128, 128), 64).parameters()) == convs + norms
    convs = 16 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 512 * 1024) + 16 * 1024 * 3 + 3
    norms = 2 * (64 + 128 + 256 + 512 + 1024)
    net = StridedClassifier((3, 128, 128), 64, 3)
    assert sum(p.numel() for p in net.parameters()) == convs + norms
    logits, phi = net(torch.zeros(2, 3, 128, 128))
    assert logits.shape == (2, 3)
    assert phi.shape == (2, 256, 16, 16)
    assert float(net.stages[4][0].weight.detach().std()) == pytest.approx(0.02, rel=0.01)


def test_any_size_that_divides_by_4():
    for shape in ((1, 8, 12), (3, 20, 20), (3, 36, 28)):
        assert Translator(shape, 4)(torch.zeros(2, *shape)).shape == (2, *shape)
        assert StridedClassifier(shape, 4, 3)(torch.zeros(2, *shape))[0].shape == (2, 3)
    with pytest.raises(MienError, match="divide by 4, got 18x18"):
        tiny("residual_gan", shape=(3, 18, 18))


def test_edit_adds_with_g0_and_removes_with_g1():
    model = smiling().eval()
    x = batch_of(4).x
    with torch.no_grad():
        added, removed, half = (model.edit(x, {"Smiling": a}) for a in (1.0, -1.0, 0.5))
        assert torch.equal(added, (x + model.G0(x)).clamp(-1, 1))
        assert torch.equal(removed, (x + model.G1(x)).clamp(-1, 1))
        assert torch.equal(half, (x + 0.5 * model.residual(x, 0.5)).clamp(-1, 1))
        assert torch.equal(model.edit(x, {"Smiling": 0.0}), x)
        assert torch.equal(model.edit(x, {}), x)
    assert model.editable == ("Smiling",)
    with pytest.raises(MienError, match=r"Eyeglasses.*known are Smiling"):
        model.edit(x, {"Eyeglasses": 1.0})


def test_residual_images():
    model = smiling().eval()
    x = batch_of(4).x
    r = residuals(model, x, {"Smiling": 1})
    with torch.no_grad():
        torch.testing.assert_close(x + r, model.edit(x, {"Smiling": 1}))
    assert float(r.abs().max()) <= 2
    assert float(as_picture(r, gain=100).abs().max()) <= 1
    assert torch.equal(as_picture(torch.zeros(1, 3, 8, 8)), torch.zeros(1, 3, 8, 8))
    with pytest.raises(MienError, match="gain > 0"):
        as_picture(r, gain=0)
    with pytest.raises(MienError, match="needed a model that Encodes and Decodes"):
        residuals(tiny("attribute_cnn"), x, {"Smiling": 1})


def test_the_attribute_must_be_there_and_chosen():
    with pytest.raises(MienError, match="unknown attribute 'Smilng': did you mean Smiling"):
        tiny("residual_gan", attribute="Smilng")
    with pytest.raises(MienError, match="--set attribute=NAME, one of Eyeglasses, Smiling, Wearing_Hat"):
        tiny("residual_gan").needs(NAMES, ())
    with pytest.raises(MienError, match="got one without"):
        tiny("residual_gan", attributes=()).needs((), ("a", "b"))
    tiny("residual_gan", attributes=("Smiling",)).needs(("Smiling",), ())
    smiling().needs(NAMES, ())


def test_alpha_is_the_papers_for_the_attribute():
    names = ("Male", "No_Beard", "Wearing_Hat")
    alphas = [tiny("residual_gan", attributes=names, attribute=n).alpha for n in names]
    assert alphas == [1e-6, 5e-4, 5e-4]
    assert tiny("residual_gan", attributes=names, attribute="Male", alpha=5e-6).alpha == 5e-6


def test_training_is_balanced_by_the_rarer_class(avatars):
    index = np.arange(200)
    model = tiny("residual_gan", attributes=avatars.attributes, attribute="Eyeglasses")
    sign = avatars.attribute_table[:, model.column]
    chosen = model.training_index(avatars, index, seed=0)
    fewer = min((sign[index] > 0).sum(), (sign[index] < 0).sum())
    assert (sign[chosen] > 0).sum() == (sign[chosen] < 0).sum() == fewer
    assert len(np.unique(chosen)) == len(chosen)
    assert np.isin(chosen, index).all()
    assert np.array_equal(chosen, model.training_index(avatars, index, seed=0))
    assert not np.array_equal(chosen, model.training_index(avatars, index, seed=1))
    with pytest.raises(MienError, match=r"with and without Eyeglasses, got \d+ with and 0 without"):
        model.training_index(avatars, index[sign[index] > 0], seed=0)


def test_unknown_attributes_are_left_out():
    class Table:
        attribute_table = np.array([[1], [0], [-1], [-1], [0], [1], [-1]], np.int8)

    model = tiny("residual_gan", attributes=("Smiling",))
    chosen = model.training_index(Table(), np.arange(7), seed=0)
    assert sorted(Table.attribute_table[chosen, 0]) == [-1, -1, 1, 1]


def test_sides_hold_the_right_pictures():
    model = smiling()
    batch = signed([1, -1, 0, 1, 1, 1, 1, 0])
    x, weight = model._sides(batch)
    assert torch.equal(x[:4], batch.x[[1, 1, 1, 1]])
    assert torch.equal(x[4:], batch.x[[0, 3, 4, 5]])
    assert torch.equal(weight, torch.ones(8))
    _, weight = model._sides(signed([1, 1, 1, 1]))
    assert torch.equal(weight, torch.tensor([0.0, 0, 1, 1]))


@pytest.mark.parametrize("signs", [[1] * 6, [-1] * 6, [0] * 6, [1, 0, 0, 0, 0], [1, -1], [1, 1, 1, -1, 0]])
def test_batches_of_any_composition_train(signs):
    model = smiling()
    terms = step(model, signed(signs))
    assert all(np.isfinite(v) for v in terms.values())
    assert all(np.isfinite(w).all() for w in weights_of(model).values())


def test_a_side_without_pictures_moves_nothing():
    """If all pictures of a batch smile, G0 has a gradient from the dual phase only."""
    model = smiling(dual=False)
    model.D.train = lambda mode=True: model.D  # type: ignore[method-assign]
    for part in model.D.modules():
        part.training = False  # its BatchNorm would let one picture's loss reach another picture
    before = {k: v.detach().clone() for k, v in model.G0.named_parameters()}
    step(model, signed([1] * 6))
    assert all(torch.equal(v, before[k]) for k, v in model.G0.named_parameters())


def test_sums_mean_the_same_at_every_size():
    """Eq. 3 as in the paper's pictures of 3x128x128: a mean of |r| times 49,152."""
    model, literal = smiling(), smiling(literal_sums=True)
    batch = signed([1, -1] * 4)
    ours, plain = step(model, batch), step(literal, batch)
    assert ours["pix"] / plain["pix"] == pytest.approx(3 * 128 * 128 / (3 * 16 * 16), rel=1e-4)
    assert ours["gan"] == pytest.approx(plain["gan"], rel=1e-5)


def test_ablations():
    assert "dual" not in step(smiling(dual=False), batch_of())
    whole = smiling(residual=False).eval()
    x = batch_of(4).x
    with torch.no_grad():
        torch.testing.assert_close(whole.edit(x, {"Smiling": 1}), whole.G0(x).tanh())


def test_running_statistics_are_of_real_pictures():
    """The dual phase gives made pictures to G0 and G1 and leaves no trace of them in what edits later."""
    with_dual, without = smiling(), smiling(dual=False)
    for model in (with_dual, without):
        step(model, batch_of())
    for name, value in with_dual.named_buffers():
        if name.startswith("G") and name.endswith(("running_mean", "running_var")):
            torch.testing.assert_close(value, without.get_buffer(name), msg=name)


def test_the_discriminator_sees_what_edit_shows():
    """D and the dual phase get pictures in [-1, 1], and a gradient comes back from outside of it."""
    model = smiling()
    with torch.no_grad():
        for network in (model.G0, model.G1):
            network.body[-1].bias.fill_(3.0)  # every pixel leaves [-1, 1]
    shown = []
    model.D.register_forward_pre_hook(lambda module, given: shown.append(given[0].detach()))
    before = {name: weights_of(model.get_submodule(name)) for name in ("G0", "G1")}
    step(model, signed([1, -1] * 4))
    assert len(shown) == 3  # real, made, and made of made
    assert all(float(x.abs().max()) <= 1 for x in shown)
    assert float(shown[1].min()) == 1.0  # all of it was above
    for name, weights in before.items():
        after = weights_of(model.get_submodule(name))
        assert any((after[k] != w).any() for k, w in weights.items() if k.startswith("body.0.")), name


OPTIONS = {
    "mask": True,
    "mask_weight": 0.5,
    "tv": 1.0,
    "zero_start": True,
    "blocks": 2,
    "augment": ("color", "translation", "cutout"),
    "r1": 1.0,
    "schedule": "cosine",
    "oversample": True,
}


def d_inputs(model, batch) -> list[torch.Tensor]:
    """What D sees in a step: x, x̃ and x̂."""
    shown: list[torch.Tensor] = []
    model.D.register_forward_pre_hook(lambda module, given: shown.append(given[0].detach().clone()))
    step(model, batch)
    return shown


def test_the_paper_draws_no_random_numbers_in_a_step():
    model = smiling()
    step(model, batch_of())
    drawn = torch.get_rng_state()
    torch.manual_seed(0)  # as before the step
    assert torch.equal(torch.get_rng_state(), drawn)


def test_a_zero_start_changes_nothing_and_learns():
    model = smiling(zero_start=True, alpha=1e-9)
    x = batch_of(4).x
    with torch.no_grad():
        assert torch.equal(model.residual(x, 1), torch.zeros_like(x))
    x, made, again = d_inputs(model, signed([1, -1] * 4))
    assert torch.equal(made, x)
    assert torch.equal(again, x)
    for network in (model.G0, model.G1):
        assert float(network.body[-1].weight.detach().abs().max()) > 0
    assert float(smiling().G0.body[-1].weight.detach().abs().max()) > 0


def test_a_mask_blends_the_picture_with_another():
    """r = m (y − x) lies between 0 and y − x, and a closed mask leaves the picture as it is."""
    model = smiling(mask=True, residual=False).eval()
    x = batch_of(4).x
    with torch.no_grad():
        output = model.G0(x)
        m, y = output[:, 3:].sigmoid(), output[:, :3].tanh()
        assert m.shape == (4, 1, 16, 16)
        torch.testing.assert_close(model.residual(x, 1), m * (y - x))
        assert float(m.mean()) == pytest.approx(1 / (1 + np.exp(2)), rel=0.1)
        model.G1.body[-1].bias[3] = -100.0
        assert torch.equal(model.edit(x, {"Smiling": -1}), x)
        added = smiling(mask=True).eval()
        output = added.G0(x)
        torch.testing.assert_close(added.residual(x, 1), output[:, 3:].sigmoid() * output[:, :3])


def test_the_weight_of_the_mask_closes_it():
    with pytest.raises(MienError, match="expected mask=true with mask_weight"):
        smiling(mask_weight=0.5)

    def bias_after(weight: float) -> tuple[float, float]:
        model = smiling(mask=True, mask_weight=weight, betas=(0.0, 0.0))
        terms = step(model, signed([1, -1] * 4))
        return float(model.G0.body[-1].bias[3].detach()), terms.get("mask", 0.0)

    bias, term = bias_after(100.0)
    assert bias < -2.0
    assert term == pytest.approx(100 / (1 + np.exp(2)), rel=0.1)
    assert bias_after(200.0)[1] == pytest.approx(2 * term, rel=1e-5)
    assert bias_after(0.0)[1] == 0.0


def test_total_variation_is_that_of_the_residual():
    model, batch = smiling(tv=3.0), signed([1, -1] * 4)
    x, _ = model._sides(batch)
    model.train()
    with torch.no_grad():
        r = torch.cat([model.residual(x[:4], 1), model.residual(x[4:], -1)])
    by_hand = 3.0 * 0.5 * ((r[..., 1:] - r[..., :-1]).abs().mean() + (r[:, :, 1:] - r[:, :, :-1]).abs().mean())
    assert step(smiling(tv=3.0), batch)["tv"] == pytest.approx(float(by_hand), rel=1e-4)
    assert "tv" not in step(smiling(), batch)

    def roughness(weight: float) -> float:
        model = smiling(tv=weight, lr=1e-2, alpha=1e-9)  # the pixel loss would flatten r too
        update = Update(model, fabric)
        model.train()
        for _ in range(15):
            model.training_step(batch, update)
        return float(update.terms["tv"]) / weight

    assert roughness(1000.0) < 0.5 * roughness(1e-3)


def test_one_random_change_for_all_that_d_sees():
    """With a zero start x = x̃ = x̂, so D sees three equal batches if and only if their draws are equal."""
    batch = signed([1, -1] * 4)
    model = smiling(zero_start=True, augment=("color", "translation", "cutout"))
    plain, _ = model._sides(batch)
    x, made, again = d_inputs(model, batch)
    assert torch.equal(x, made)
    assert torch.equal(x, again)
    assert not torch.isclose(x, plain).all((1, 2, 3)).any()
    with pytest.raises(MienError, match="got 'zoom'"):
        smiling(augment=("zoom",))


def test_the_squared_gradient_is_that_of_all_logits():
    """For logits A x the sum over logits of squared gradients is ‖A‖² in expectation over the signs."""
    torch.manual_seed(0)
    a = torch.randn(3, 12)
    x = torch.randn(4000, 3, 2, 2, requires_grad=True)
    squared = squared_gradient(x.flatten(1) @ a.T, x)
    assert float(squared.mean().detach()) == pytest.approx(float(a.square().sum()), rel=0.05)


@pytest.mark.parametrize("spectral", [False, True])
def test_r1_flattens_d_on_real_pictures(spectral):
    """D trained with the penalty has smaller gradients at real pictures; G0 and G1 have no part in it."""
    batch = signed([1, -1] * 4)

    def after(**settings):
        model = smiling(spectral=spectral, lr=1e-3, **settings)
        update = Update(model, fabric)
        model.train()
        for _ in range(15):
            model.training_step(batch, update)
        x = batch.x.clone().requires_grad_()
        torch.manual_seed(1)
        return float(squared_gradient(model.D(x)[0], x).mean().detach())

    assert after(r1=100.0) < 0.7 * after()


def test_r1_moves_d_only():
    models = [smiling(r1=r1, dual=False) for r1 in (0.0, 100.0)]
    for model in models:
        step(model, signed([1, -1] * 4))
    plain, penalized = map(weights_of, models)
    for name in plain:
        same = np.array_equal(plain[name], penalized[name])
        assert same or name.startswith("D."), name
    assert any(not np.array_equal(plain[k], penalized[k]) for k in plain if k.startswith("D.stages"))


def test_lazy_r1_is_one_step_in_four_with_four_times_the_weight(monkeypatch):
    model, batch, weights = smiling(r1=1.0, r1_every=4), signed([1, -1] * 4), []
    monkeypatch.setattr(model, "_step", lambda batch, update, r1: weights.append(r1))
    torch.manual_seed(0)
    for _ in range(400):
        model.training_step(batch, None)
    assert set(weights) == {0.0, 4.0}
    assert np.mean(weights) == pytest.approx(1, abs=0.2)
    model.r1_every = 1
    model.training_step(batch, None)
    assert weights[-1] == 1.0


def test_r1_is_half_the_weighted_squared_gradient():
    model, x = smiling(r1=1.0).eval(), batch_of(6).x
    weight = torch.tensor([1.0, 1, 1, 0, 0, 0])
    torch.manual_seed(0)
    penalty = model._judge_real(x, weight, 3.0)[2]
    x.requires_grad_()
    torch.manual_seed(0)
    squared = squared_gradient(model.D(x)[0], x)
    assert float(penalty.detach()) == pytest.approx(1.5 * float(squared[:3].mean().detach()), rel=1e-4)
    assert float(model._judge_real(x, weight, 0.0)[2].detach()) == 0


def test_r1_of_compiled_networks():
    """Compiled networks have no second derivatives, so D runs as written in a step with the penalty."""
    model = smiling(r1=1.0)
    compile_networks(model, backend="aot_eager")
    assert step(model, signed([1, -1] * 4))["r1"] > 0


def test_spectral_normalization():
    model = smiling(spectral=True)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in model.D.modules())
    batch = signed([1, -1] * 4)
    for _ in range(20):
        step(model, batch)
    convs = [m for m in model.D.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(convs) == 3
    for conv in convs:
        largest = torch.linalg.matrix_norm(conv.weight.detach().flatten(1), 2)
        assert float(largest) == pytest.approx(1, abs=0.1)


def test_schedules_of_the_learning_rate():
    def factors(name: str) -> list[float]:
        return [smiling(schedule=name).lr_factor(p) for p in (0.0, 0.5, 0.75, 1.0)]

    assert factors("constant") == [1, 1, 1, 1]
    assert factors("linear") == [1, 1, 0.5, 0]
    assert factors("cosine") == pytest.approx([1, 0.5, 0.5 - 0.5**1.5, 0])
    with pytest.raises(MienError, match="unknown schedule 'cosin': did you mean cosine"):
        smiling(schedule="cosin")


def test_oversampling_uses_every_picture(avatars):
    index = np.arange(200)
    model = tiny("residual_gan", attributes=avatars.attributes, attribute="Eyeglasses", oversample=True)
    sign = avatars.attribute_table[:, model.column]
    chosen = model.training_index(avatars, index, seed=0)
    assert (sign[chosen] > 0).sum() == (sign[chosen] < 0).sum() == max((sign[index] > 0).sum(), (sign[index] < 0).sum())
    assert set(chosen) == set(index[sign[index] != 0])
    counts = np.bincount(chosen)[np.unique(chosen)]
    rarer = sign[np.unique(chosen)] == (1 if (sign[index] > 0).sum() < (sign[index] < 0).sum() else -1)
    assert set(counts[~rarer]) == {1}
    assert counts[rarer].max() - counts[rarer].min() <= 1


def test_blocks_start_as_the_identity_and_keep_running_statistics():
    network = Translator((3, 16, 16), 4, blocks=2)
    assert len(network.body) == len(Translator((3, 16, 16), 4).body) + 2
    inner = torch.randn(2, 16, 4, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for block in network.body[9:11]:
            torch.testing.assert_close(block(inner), torch.nn.functional.leaky_relu(inner, SLOPE))
    x = batch_of(4).x

    def statistics():
        return {k: v.clone() for k, v in network.named_buffers() if k.endswith("running_var")}

    before = statistics()
    network(x, remember=False)
    assert all(torch.equal(v, before[k]) for k, v in statistics().items())
    network(x)
    assert all(not torch.equal(v, before[k]) for k, v in statistics().items())


@pytest.mark.parametrize("bf16", [False, True])
def test_all_options_train_together(bf16):
    model = smiling(residual=False, spectral=True, **OPTIONS)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        terms = step(model, batch_of())
    assert set(terms) == {"d", "gan", "pix", "per", "dual", "mask", "tv", "r1", "gradient_norm"}
    assert all(np.isfinite(v) for v in terms.values())
    assert all(np.isfinite(w).all() for w in weights_of(model).values())


def test_it_learns_to_add_and_remove():
    """Half of the pictures have a light square: after 120 small steps it is put in and taken out."""

    def pictures(n: int, seed: int):
        without = 0.3 * batch_of(n, seed).x - 0.4
        having = without.clone()
        having[:, :, 4:10, 4:10] = 0.8
        return without, having

    model = tiny("residual_gan", attributes=("Square",), width=8, lr=2e-3)
    update = Update(model, fabric)
    sign = torch.tensor([-1.0, 1.0]).repeat_interleave(8)[:, None]
    model.train()
    for k in range(120):
        without, having = pictures(16, k)
        x = torch.cat([without[:8], having[8:]])  # never the same picture with and without
        model.training_step(Batch(x, sign, None, torch.arange(16)), update)
    model.eval()
    without, having = pictures(20, 999)
    nothing = (having - without).abs().mean()
    with torch.no_grad():
        assert (model.edit(without, {"Square": 1}) - having).abs().mean() < 0.6 * nothing
        assert (model.edit(having, {"Square": -1}) - without).abs().mean() < 0.6 * nothing
