"""SSAVAE: its two steps with their players, the use of labels, pictures and signals."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from conftest import CLASSES, batch_of, tiny, weights_of
from mien.data.batch import Batch
from mien.errors import MienError
from mien.models import ssavae
from mien.models.ssavae import augmented, shifted
from mien.networks.dense_residual import PoolingEncoder, pools
from mien.training.update import Update

fabric = Fabric(accelerator="cpu", devices=1)
VEC, DECODER = {"encoder", "classifier"}, {"decoder", "discriminator"}


class Labeled:
    """A data set with labels only."""

    def __init__(self, labels):
        self.labels = np.asarray(labels, np.int64)


def step(model, batch, progress: float, update=None) -> dict[str, float]:
    model.train()
    model.progress = progress
    update = update or Update(model, fabric)
    torch.manual_seed(0)
    model.training_step(batch, update)
    return {k: float(v) for k, v in getattr(update, "terms", {}).items()}


def moved(model, batch, progress: float) -> set[str]:
    before = weights_of(model)
    step(model, batch, progress)
    return {k.split(".")[0] for k, v in weights_of(model).items() if (v != before[k]).any()}


def test_each_step_moves_its_own_players():
    """Buffers too: BatchNorm's statistics of the encoder and the classifier are frozen in step 2."""
    assert moved(tiny("ssavae", first=0.3), batch_of(), 0.29) == VEC
    assert moved(tiny("ssavae", first=0.3), batch_of(), 0.3) == DECODER
    assert tiny("ssavae", first=0.3).stages == (0.0, 0.3)
    assert moved(tiny("ssavae", beta=0), batch_of(), 0.6) == {"decoder"}


def test_the_learning_rate_starts_again_with_step_2():
    model = tiny("ssavae", first=0.25)
    assert model.lr_factor(0.25) == 1
    assert model.lr_factor(0.24999) < 1e-6
    assert model.lr_factor(0.125) == pytest.approx(0.5)
    assert model.lr_factor(0.625) == pytest.approx(0.5)


def test_step_2_by_hand():
    """The terms of a step whose networks stand still, computed again from the equations."""
    model, x = tiny("ssavae", gamma=0.3, beta=0.2, alphas=(1.0, 0.5, 0.25)), batch_of().x
    calls = {}

    def watch(losses, **terms):
        for players, loss in losses.items():
            calls.setdefault(players, []).append(float(loss.detach()))
        calls.update({k: float(v.detach()) for k, v in terms.items()})

    step(model, batch_of(), 0.7, watch)
    torch.manual_seed(0)
    model.train()
    model.encoder.eval(), model.classifier.eval()
    with torch.no_grad():
        z = model.encode(x).sample()
        x_rec = model.decode(z)
        real, fake = model.encoder.features(x), model.encoder.features(x_rec)
        rec = sum(a * (r - f).pow(2).mean() for a, r, f in zip((1, 0.5, 0.25), real, fake, strict=True))
        adv = (model.discriminator(x) - model.discriminator(x_rec)).pow(2).mean()
        p, p_rec = (model.classifier(v).softmax(1) for v in (z, model.encode(x_rec).rsample()))
        latent = ((p - p_rec) ** 2).sum(1).mean()
        dis = [(model.discriminator(x) - 1).pow(2).mean(), (model.discriminator(x_rec) + 1).pow(2).mean()]
    assert calls["discriminator"] == pytest.approx([float(v) for v in dis], rel=1e-4)
    assert (calls["rec"], calls["adv"], calls["latent"]) == pytest.approx(
        (float(rec), float(adv), float(latent)), rel=1e-4
    )
    assert calls["decoder"] == [pytest.approx(float(rec + 0.2 * adv + 0.3 * latent), rel=1e-4)]


def test_rounds_of_the_discriminator():
    """Two updates a round, to +1 on real pictures and to -1 on others; then one of the decoder."""
    names = []
    step(tiny("ssavae", n_dis=3), batch_of(), 0.5, lambda losses, **terms: names.extend(losses))
    assert names == ["discriminator"] * 6 + ["decoder"]


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 28, 20), (1, 1, 1024), (2, 1, 60), (1, 8, 8)])
def test_pictures_and_signals(shape):
    model = tiny("ssavae", shape=shape)
    x = torch.randn(4, *shape).clamp(-1, 1)
    batch = Batch(x, None, torch.tensor([0, 1, 2, -1]), torch.arange(4))
    for progress in model.stages:
        assert all(np.isfinite(v) for v in step(model, batch, progress).values())
    model.eval()
    with torch.no_grad():
        assert model.decode(model.encode(x).mean).shape == x.shape
        assert model.recognize(x).shape == (4, len(CLASSES))
        assert model.generate(2).shape == (2, *shape)


def test_signals_have_convolutions_of_one_dimension():
    model = tiny("ssavae", shape=(1, 1, 64))
    kernels = {m.kernel_size for m in model.modules() if isinstance(m, torch.nn.Conv2d)}
    assert kernels == {(1, 3)}


def test_long_axes_are_pooled_more():
    assert pools((1, 28, 28)) == ((2, 2), (2, 2))
    assert pools((1, 64, 64)) == ((2, 2), (2, 2))
    assert pools((3, 128, 64)) == ((4, 2), (2, 2))
    assert pools((1, 1, 1024)) == ((1, 8), (1, 8))
    assert pools((1, 1, 2048)) == ((1, 16), (1, 8))
    assert PoolingEncoder((1, 1, 1024), 2, 4, 8).dense[1].in_features == 4 * 4 * 16
    for shape in ((3, 30, 32), (1, 2, 32), (1, 1, 1022)):
        with pytest.raises(MienError, match=f"halve twice.*got {shape[1]}x{shape[2]}: prepare"):
            tiny("ssavae", shape=shape, view="raw")


def test_labels_kept_are_balanced_and_seeded():
    dataset = Labeled(np.repeat([0, 1, 2, 3], [500, 300, 200, 2]))
    index = np.arange(0, 1002)
    model = tiny("ssavae", labeled=41)
    labels = model.training_labels(dataset, index, seed=3)
    kept = np.flatnonzero(labels >= 0)
    assert np.bincount(labels[kept]).tolist() == [13, 13, 13, 2]
    assert (labels[kept] == dataset.labels[kept]).all()
    assert (labels == model.training_labels(dataset, index, seed=3)).all()
    assert (labels != model.training_labels(dataset, index, seed=4)).any()
    # no label of a picture that was not offered
    assert set(np.flatnonzero(model.training_labels(dataset, index[::2], 3) >= 0)) <= set(index[::2])


def test_all_labels_are_kept_by_default():
    dataset = Labeled([0, 1, 2, 3, -1, 0])
    model = tiny("ssavae")
    assert model.training_labels(dataset, np.arange(6), 0).tolist() == [0, 1, 2, 3, -1, 0]
    assert model.training_index(dataset, np.arange(6), 0).tolist() == list(range(6))
    assert model.repeats == 0


def test_few_labels_are_repeated():
    dataset = Labeled(np.tile([0, 1, 2, 3], 100))
    index = np.arange(400)
    model = tiny("ssavae", labeled=8, labeled_share=0.25)
    trained = model.training_index(dataset, index, seed=1)
    labels = model.training_labels(dataset, index, seed=1)
    assert (labels[trained] >= 0).mean() == pytest.approx(0.25, abs=0.01)
    assert set(trained) == set(index)
    copies = np.bincount(trained)[labels >= 0]
    assert copies.max() - copies.min() <= 1
    assert model.repeats == pytest.approx(1 - 400 / len(trained))
    literal = tiny("ssavae", labeled=8, labeled_share=0)
    assert literal.training_index(dataset, index, seed=1).tolist() == index.tolist()


def test_the_decoder_learns_all_pictures_alike():
    """Step 2 leaves out as many pictures of a batch as are repeats, labeled ones first."""
    model = tiny("ssavae", labeled=8)
    dataset = Labeled(np.tile([0, 1, 2, 3], 100))
    model.training_index(dataset, np.arange(400), seed=1)
    assert model.repeats == pytest.approx(0.49, abs=0.01)
    batch = batch_of()
    batch.label[:] = torch.tensor([1, -1, 2, 0, -1, -1, 3, -1])
    assert torch.equal(model._without_repeats(batch), batch.x[[1, 4, 5, 7]])
    assert moved(model, batch, 0.5) == DECODER


def test_a_batch_without_labels_is_no_problem():
    batch = batch_of()
    batch.label[:] = -1
    terms = step(tiny("ssavae"), batch, 0.0)
    assert terms["cat"] == 0
    assert terms["kl"] > 0


def test_what_is_refused():
    with pytest.raises(MienError, match="expected labeled of 4 or more"):
        tiny("ssavae", labeled=3)
    with pytest.raises(MienError, match=r"expected first in \(0, 1\), got 1"):
        tiny("ssavae", first=1.0)
    with pytest.raises(MienError, match="labeled_share"):
        tiny("ssavae", labeled_share=1.0)
    with pytest.raises(MienError, match="two classes or more"):
        tiny("ssavae").needs(("Smiling",), ())
    with pytest.raises(MienError, match="expected 4 labeled training pictures or more, got 3"):
        tiny("ssavae", labeled=4).training_labels(Labeled([0, 1, 2, -1]), np.arange(4), 0)


@pytest.mark.parametrize("progress", [0.0, 0.5])
def test_bf16(progress):
    model = tiny("ssavae")
    mixed = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
    model.train()
    model.progress = progress
    update = Update(model, mixed)
    with mixed.autocast():
        model.training_step(batch_of(), update)
    assert all(torch.isfinite(v) for v in update.terms.values())


def test_three_steps_of_step_2_are_finite():
    model = tiny("ssavae", n_dis=2)
    update = Update(model, fabric)
    for seed in range(3):
        terms = step(model, batch_of(seed=seed), 0.5, update)
    assert all(np.isfinite(v) for v in terms.values())


def test_shifted():
    """Whole pixels, at most a tenth, along both axes, the same for all channels; what comes in repeats the edge."""
    x = torch.arange(30.0).view(1, 1, 1, 30) + torch.arange(20.0).view(1, 1, 20, 1) * 100
    torch.manual_seed(0)
    moved = shifted(torch.cat([x, x + 1], 1).expand(64, -1, -1, -1))
    assert torch.equal(moved[:, 1], moved[:, 0] + 1)
    down, right = moved[:, 0, 10, 15] // 100 - 10, moved[:, 0, 10, 15] % 100 - 15
    assert set(down.tolist()) == set(range(-2, 3))
    assert set(right.tolist()) == set(range(-3, 4))
    assert moved.min() == 0
    assert torch.equal(shifted(torch.ones(3, 1, 1, 8)), torch.ones(3, 1, 1, 8))


def test_consistency_learns_from_labels_and_from_what_is_sure():
    batch = batch_of()
    assert "consistency" not in step(tiny("ssavae"), batch, 0.0)
    assert step(tiny("ssavae", consistency=1), batch, 0.0)["consistency"] > 0
    batch.label[:] = -1  # and an untrained model is sure of nothing
    assert step(tiny("ssavae", consistency=1), batch, 0.0)["consistency"] == 0


def test_signals_are_seen_as_spectra():
    """A tone has its largest value at its frequency, whatever its phase and size; view=raw sees the waveform."""
    model = tiny("ssavae", shape=(1, 1, 64))
    time = torch.arange(64) / 64
    tones = torch.stack([size * torch.sin(2 * np.pi * 5 * time + phase) for size, phase in ((1, 0), (0.3, 1.2))])
    view = model.look(tones.view(2, 1, 1, 64))
    assert view.shape == (2, 1, 1, 32)
    assert view.argmax(-1).flatten().tolist() == [5, 5]
    assert abs(view[0] - view[1])[..., 4:7].max() < 0.05
    raw = tiny("ssavae", shape=(1, 1, 64), view="raw")
    assert raw.look(tones) is tones
    assert tiny("ssavae").look(tones) is tones, "pictures have no other view"
    for view in ("colour", "spectrum"):
        with pytest.raises(MienError, match="view"):
            tiny("ssavae", view=view)


def test_decoded_signals_have_the_range_of_the_data():
    x = tiny("ssavae", shape=(2, 1, 60)).eval().generate(3)
    assert x.shape == (3, 2, 1, 60)
    assert x.abs().amax(-1).flatten().tolist() == pytest.approx([1] * 6)


def test_augmented_moves_and_keeps_constants():
    torch.manual_seed(0)
    x = torch.rand(8, 1, 12, 12)
    assert torch.allclose(augmented(x, 0.0), x, atol=1e-5)
    assert (augmented(x, 1.0) - x).abs().amax((1, 2, 3)).min() > 0.05
    assert torch.allclose(augmented(torch.full((2, 1, 1, 16), 0.5), 1.0), torch.full((2, 1, 1, 16), 0.5))


def test_the_teacher_follows_slowly():
    model = tiny("ssavae", teacher=0.9, consistency=1, augment=1)
    before = [p.clone() for p in model.teacher.parameters()]
    step(model, batch_of(), 0.0)
    own = [*model.encoder.parameters(), *model.classifier.parameters()]
    for old, new, student in zip(before, model.teacher.parameters(), own, strict=True):
        assert torch.allclose(new, old + 0.1 * (student - old), atol=1e-6)


def test_aligned_predictions_have_the_mean_of_the_labels():
    model = tiny("ssavae", teacher=0.9, consistency=1)
    classes = len(model.classes)
    label = torch.tensor([0, 1, -1, -1])
    collapsed = torch.full((4, classes), 0.1 / (classes - 1))
    collapsed[:, -1] = 0.9  # all predictions are the last class, which no label has
    first = model._aligned(collapsed, label)
    for _ in range(2000):
        last = model._aligned(collapsed, label)
    expected = torch.zeros(classes)
    expected[:2] = 0.5
    assert first[0, -1] > 0.5
    torch.testing.assert_close(last, expected.expand(4, -1), atol=1e-3, rtol=0)
    torch.testing.assert_close(model.frequencies[0], expected, atol=1e-4, rtol=0)
    before = model.frequencies.clone()
    model._aligned(collapsed, torch.full((4,), 0))  # no picture without a label: their average stays
    assert torch.equal(model.frequencies[1], before[1])
    assert not torch.equal(model.frequencies[0], before[0])


def test_whether_a_picture_is_changed_does_not_depend_on_its_label(monkeypatch):
    model, batch, seen = tiny("ssavae", augment=1), batch_of(), []
    n = len(batch.x)
    label = torch.where(torch.arange(n) % 2 == 0, 0, -1)
    monkeypatch.setattr(ssavae, "augmented", lambda x, strength: torch.full_like(x, 0.75))
    encode = model.encode
    monkeypatch.setattr(model, "encode", lambda x: seen.append((x == 0.75).flatten(1).all(1)) or encode(x))
    model.train()
    update = Update(model, fabric)
    for _ in range(60):
        model.training_step(replace(batch, label=label), update)
    changed = torch.stack(seen).float().mean(0)
    assert abs(changed[label >= 0].mean() - ssavae.CHANGED) < 0.05
    assert abs(changed[label < 0].mean() - ssavae.CHANGED) < 0.05


def test_the_weight_of_consistency_rises_only_with_a_teacher():
    model = tiny("ssavae", teacher=0.9, consistency=1, first=0.5)
    model.progress = 0.0
    assert model._rise() == 0.0
    model.progress = 0.025
    assert model._rise() == pytest.approx(0.5)
    model.progress = 0.4
    assert model._rise() == 1.0
    model = tiny("ssavae", consistency=1)
    model.progress = 0.0
    assert model._rise() == 1.0
