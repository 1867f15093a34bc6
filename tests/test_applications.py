"""Applications and metrics, on small trained or constructed models."""

import numpy as np
import pytest
import torch
from torch.distributions import Normal

from conftest import NAMES, SHAPE, batch_of, tiny
from mien import applications
from mien.abilities import Decodes, Edits, Encodes, Recognizes
from mien.applications.arithmetic import AttributeVectors, attribute_vectors, edit
from mien.applications.interpolation import interpolate, linear, slerp
from mien.applications.neighbors import latents
from mien.errors import MienError, UnknownName
from mien.metrics.edits import counterfactual_distance, edit_accuracy
from mien.metrics.feature_fid import feature_fid
from mien.metrics.latent_svm import latent_svm
from mien.metrics.reconstruction import psnr, ssim


class Identity(torch.nn.Module, Encodes, Decodes):
    """A model with the picture as its latent: every derived function has a known result."""

    def __init__(self, shape=SHAPE):
        super().__init__()
        self.config = {"shape": shape}
        self.anchor = torch.nn.Parameter(torch.zeros(1))

    def encode(self, x):
        flat = x.flatten(1)
        return Normal(flat, torch.ones_like(flat))

    def decode(self, z):
        return z.unflatten(1, self.config["shape"])


class Darkens(Identity, Edits):
    """A model with the ability Edits."""

    def edit(self, x, amounts):
        return x - sum(amounts.values())


class SeesBright(torch.nn.Module, Recognizes):
    """A judge with the brightness of one channel as the probability of each attribute."""

    def recognize(self, x):
        return (x.mean((2, 3)) > 0).float()


def test_reconstruct_in_batches_is_the_model_applied():
    x = batch_of(300).x
    assert torch.equal(applications.reconstruct(Identity(), x), x)


def test_generate_is_a_prefix_of_more():
    model = tiny("vae").eval()
    assert torch.equal(applications.generate(model, 3, seed=5), applications.generate(model, 200, seed=5)[:3])
    assert not torch.equal(applications.generate(model, 3, seed=5), applications.generate(model, 3, seed=6))
    with pytest.raises(MienError, match="1 picture or more"):
        applications.generate(model, 0)


def test_interpolation_ends_at_its_ends():
    x = batch_of(4).x
    for path in (linear, slerp):
        rows = interpolate(Identity(), x[:2], x[2:], 5, path)
        assert rows.shape == (2, 5, *SHAPE)
        torch.testing.assert_close(rows[:, 0], x[:2], atol=1e-5, rtol=0)
        torch.testing.assert_close(rows[:, -1], x[2:], atol=1e-5, rtol=0)
    torch.testing.assert_close(interpolate(Identity(), x[:2], x[2:], 3)[:, 1], (x[:2] + x[2:]) / 2)


def test_slerp_keeps_the_length_and_survives_parallels():
    a, b = torch.nn.functional.normalize(torch.randn(2, 3, 50, generator=torch.Generator().manual_seed(0)), dim=-1)
    path = slerp(a, b, torch.linspace(0, 1, 7).view(-1, 1, 1))
    torch.testing.assert_close(path.norm(dim=-1), torch.ones(7, 3))
    same = slerp(a, a, torch.linspace(0, 1, 7).view(-1, 1, 1))
    torch.testing.assert_close(same, a.expand(7, 3, 50))


def test_attribute_vectors_are_differences_of_means(avatars):
    index = avatars.split().train
    vectors = attribute_vectors(Identity(), avatars, index)
    x = avatars.batch(index).x.flatten(1)
    for name in ("Smiling", "Black_Hair"):
        a = avatars.attributes.index(name)
        has = torch.from_numpy(np.array(avatars.attribute_table[index][:, a] == 1))
        torch.testing.assert_close(vectors[name], x[has].mean(0) - x[~has].mean(0), atol=1e-4, rtol=1e-4)
        assert vectors.positives[a] == int(has.sum())
    few = attribute_vectors(Identity(), avatars, index, count=10)
    assert set(few.positives) | set(few.negatives) == {10}


def test_edit_adds_the_vectors_by_their_amounts():
    x = batch_of(2).x / 3
    vectors = AttributeVectors(("A", "B", "Rare"), torch.randn(3, 768) / 30, (9, 9, 2), (9, 9, 50))
    got = edit(Identity(), x, {"A": 1.0, "B": -0.5}, vectors)
    torch.testing.assert_close(got.flatten(1), x.flatten(1) + vectors["A"] - 0.5 * vectors["B"])
    with pytest.raises(UnknownName, match="unknown attribute 'Bb'"):
        edit(Identity(), x, {"Bb": 1.0}, vectors)
    with pytest.raises(MienError, match="2 with and 50 without"):
        edit(Identity(), x, {"Rare": 1.0}, vectors)
    torch.testing.assert_close(edit(Darkens(), x, {"A": 0.25}), x - 0.25)


def test_attribute_vectors_survive_a_file(tmp_path):
    vectors = AttributeVectors(("A", "B"), torch.randn(2, 5), (3, 4), (5, 6))
    vectors.save(tmp_path / "v.safetensors")
    again = AttributeVectors.load(tmp_path / "v.safetensors")
    assert (again.names, again.positives, again.negatives) == (vectors.names, vectors.positives, vectors.negatives)
    assert torch.equal(again.vectors, vectors.vectors)
    (tmp_path / "v.safetensors").write_bytes(b"x")
    with pytest.raises(MienError, match="damaged"):
        AttributeVectors.load(tmp_path / "v.safetensors")


def test_pictures_of_another_shape_or_range_are_told():
    with pytest.raises(MienError, match=r"expected pictures \(B, 3, 16, 16\), got \(2, 3, 8, 8\)"):
        applications.reconstruct(Identity(), torch.zeros(2, 3, 8, 8))
    with pytest.raises(MienError, match=r"\[-1, 1\]"):
        applications.reconstruct(Identity(), torch.full((1, *SHAPE), 255.0))


def test_psnr_and_ssim():
    x = batch_of(4).x
    noisy = (x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))).clamp(-1, 1)
    for b in range(4):
        mse = float((((x[b] - noisy[b]) / 2) ** 2).mean())
        assert float(psnr(x, noisy)[b]) == pytest.approx(10 * np.log10(1 / mse), rel=1e-4)
    assert psnr(x, noisy).shape == ssim(x, noisy).shape == (4,)
    from torchmetrics.functional.image import peak_signal_noise_ratio

    both = [(y + 1) / 2 for y in (noisy, x)]
    theirs = peak_signal_noise_ratio(*both, data_range=1.0, reduction="none", dim=(1, 2, 3))
    torch.testing.assert_close(psnr(x, noisy), theirs)
    torch.testing.assert_close(ssim(x, x), torch.ones(4))
    assert (ssim(x, noisy) < 0.999).all()


def test_feature_fid_is_the_distance_of_two_gaussians():
    generator = torch.Generator().manual_seed(0)
    real = torch.randn(4000, 4, generator=generator)
    fake = 2 * torch.randn(4000, 4, generator=generator) + 1

    def batches(x):
        return x.view(-1, 1, 2, 2).split(512)

    got = feature_fid(lambda x: x.flatten(1), 4, batches(real), batches(fake))
    # |μ|² + Σ (σ_1 - σ_2)² = 4 · 1 + 4 · 1
    assert got == pytest.approx(8, rel=0.05)
    assert feature_fid(lambda x: x.flatten(1), 4, batches(real), batches(real)) == pytest.approx(0, abs=1e-3)
    with pytest.raises(MienError, match="2 pictures or more"):
        feature_fid(lambda x: x.flatten(1), 4, batches(real), [])


def test_latent_svm_finds_what_is_there_and_nothing_else():
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(600, 6)), np.zeros((600, 4), int)
    y[:, 0] = np.where(z[:, 2] > 0, 1, -1)
    y[:, 1] = rng.choice([-1, 1], 600)
    y[:, 2] = 1
    y[:300, 3] = np.where(z[:300, 1] > 0.5, 1, -1)
    y[400:, 3] = np.where(z[400:, 1] > 0.5, 1, -1)
    scores = latent_svm(z[:400], y[:400], z[400:], y[400:], ("seen", "noise", "constant", "partly"))
    assert scores.names == ("seen", "noise", "partly")
    assert scores.left_out == ("constant",)
    assert scores.accuracy[0] > 0.95
    assert abs(scores.accuracy[1] - 0.5) < 0.12
    assert scores.accuracy[2] > 0.9
    assert scores.hamming_loss == pytest.approx(1 - scores.accuracy.mean())


def test_edit_accuracy_counts_what_the_judge_sees():
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(40, 3, 4, 4, generator=generator) - 0.5
    attributes = torch.where(x.mean((2, 3)) > 0, 1.0, -1.0)

    def perfect(pictures, attribute, amount):
        out = pictures.clone()
        out[:, NAMES.index(attribute)] = amount / 2
        return out

    def nothing(pictures, attribute, amount):
        return pictures

    def all_channels(pictures, attribute, amount):
        return torch.full_like(pictures, amount / 2)

    judge = SeesBright().recognize
    good = edit_accuracy(perfect, judge, x, attributes, judge(x), "Smiling", NAMES)
    assert (good.success, good.leakage, good.unedited, good.n) == (1.0, 0.0, 0.0, 40)
    assert edit_accuracy(nothing, judge, x, attributes, judge(x), "Smiling", NAMES).success == 0
    assert edit_accuracy(all_channels, judge, x, attributes, judge(x), "Smiling", NAMES).leakage > 0.2


def test_counterfactual_distance_looks_where_the_truth_changes():
    x = torch.zeros(2, 3, 8, 8)
    truth = x.clone()
    truth[:, :, :4] = 1.0
    perfect = counterfactual_distance(x, truth, x, truth, truth, "A")
    assert (perfect.edited, perfect.unedited, perfect.bound, perfect.elsewhere) == (0, 1, 0, 0)
    spill = counterfactual_distance(x, torch.full_like(x, 0.5), x, truth, truth, "A")
    assert (spill.edited, spill.elsewhere) == (0.5, 0.5)


def test_an_edit_keeps_what_it_is_told_to():
    generator = torch.Generator().manual_seed(0)
    vectors = AttributeVectors(tuple("abcd"), torch.randn(4, 8, generator=generator), (9,) * 4, (9,) * 4)
    left = vectors.without("a", ["b", "c"])
    for other in "bc":
        assert abs(float(left @ vectors[other])) < 1e-5
    # what was taken off lies in the others' span: nothing else was touched
    off = (vectors["a"] - left).double()
    span = torch.stack([vectors["b"], vectors["c"]]).double().T
    assert torch.allclose(span @ torch.linalg.lstsq(span, off[:, None]).solution, off[:, None], atol=1e-6)
    assert torch.equal(vectors.without("a", []), vectors["a"])
    # of attributes that say the same, one more changes nothing
    twice = AttributeVectors(
        ("a", "b", "b2"), torch.stack([vectors["a"], vectors["b"], vectors["b"]]), (9,) * 3, (9,) * 3
    )
    assert torch.allclose(twice.without("a", ["b", "b2"]), vectors.without("a", ["b"]), atol=1e-5)
    with pytest.raises(MienError, match="orthogonal"):
        twice.without("b", ["b2"])
    with pytest.raises(MienError, match="other attributes than a"):
        vectors.without("a", ["a"])


def test_editing_with_attributes_kept_moves_along_none_of_them():
    model = tiny("vae").eval()
    generator = torch.Generator().manual_seed(0)
    vectors = AttributeVectors(tuple("ab"), torch.randn(2, 8, generator=generator), (9,) * 2, (9,) * 2)
    x = batch_of(3).x
    expected = model.decode(model.encode(x).mean + vectors.without("a", ["b"]))
    assert torch.allclose(edit(model, x, {"a": 1.0}, vectors, keep=["b"]), expected, atol=1e-6)
    # what is itself changed is not kept
    both = edit(model, x, {"a": 1.0, "b": 1.0}, vectors, keep=["b"])
    assert torch.allclose(both, edit(model, x, {"a": 1.0, "b": 1.0}, vectors), atol=1e-6)
    with pytest.raises(MienError, match="edits by itself"):
        edit(tiny("iterative_gan").eval(), x, {"Smiling": 1.0}, keep=["Eyeglasses"])


@pytest.mark.parametrize("kind", [np.asarray, lambda x: x.double(), lambda x: x.numpy().astype(np.float64)])
def test_arrays_and_doubles_are_pictures_too(kind):
    model, x = tiny("vae").eval(), batch_of(3).x
    expected = applications.reconstruct(model, x)
    torch.testing.assert_close(applications.reconstruct(model, kind(x)), expected)
    torch.testing.assert_close(latents(model, kind(x)), latents(model, x))
    assert applications.reconstruct(model, kind(x)).dtype == torch.float32


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_nan_and_infinities_are_refused(value):
    x = batch_of(3).x.clone()
    x[1, 0, 2, 3] = value
    with pytest.raises(MienError, match="got NaN or infinite values"):
        applications.reconstruct(Identity(), x)


def test_other_pictures_are_refused_in_one_line():
    for x, answer in [
        (torch.zeros(0, *SHAPE), "got none: pass one picture or more"),
        (torch.zeros(SHAPE), r"got \(3, 16, 16\)"),
        (batch_of(2).x * 127.5 + 127.5, "divide bytes by 127.5 and take off 1"),
        ("me.png", "got str: pass numbers"),
    ]:
        with pytest.raises(MienError, match=answer):
            applications.reconstruct(Identity(), x)


def test_pictures_in_0_to_1_get_a_warning_that_says_how_to_convert():
    wrong = (batch_of(4).x + 1) / 2
    wrong[:, 0, 0, 0] = 0.02
    for x in (wrong, wrong[:1]):
        with pytest.warns(UserWarning, match=r"seem to be in \[0, 1\]: pass 2 \* x - 1"):
            applications.reconstruct(Identity(), x)
    applications.reconstruct(Identity(), 2 * wrong - 1)  # a warning would be an error here
    applications.reconstruct(Identity(), torch.full((2, *SHAPE), 0.5))
    applications.reconstruct(Identity(), wrong[:1] / 2 + 0.5)  # one bright picture
    applications.reconstruct(Identity((1, 1, 8)), torch.rand(4, 1, 1, 8))  # signals


def test_an_amount_may_be_a_text():
    x = batch_of(2).x.clamp(-0.4, 0.4)
    assert torch.equal(edit(Darkens(), x, {"dark": "+0.5"}), x - 0.5)
    for amount, answer in [("much", "expected a number as the amount of dark, got 'much'"), (np.nan, "finite amount")]:
        with pytest.raises(MienError, match=answer):
            edit(Darkens(), x, {"dark": amount})
