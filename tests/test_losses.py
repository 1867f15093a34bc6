"""Losses equal naive NumPy loops."""

import numpy as np
import pytest
import torch
from torch.distributions import Normal

from mien import losses

rng = np.random.default_rng(0)


def tensor(*shape: int) -> torch.Tensor:
    return torch.from_numpy(rng.normal(size=shape)).float()


def test_kl():
    mean, std = tensor(4, 5), tensor(4, 5).exp()
    expected = []
    for m, s in zip(mean.numpy(), std.numpy(), strict=True):
        total = 0.0
        for mu, sigma in zip(m, s, strict=True):
            total += 0.5 * (mu**2 + sigma**2 - 2 * np.log(sigma) - 1)
        expected.append(total)
    got = losses.kl(Normal(mean, std))
    assert got.shape == (4,)
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-4)
    prior = Normal(torch.zeros(4, 5), torch.ones(4, 5))
    reference = torch.distributions.kl_divergence(Normal(mean, std), prior).sum(1)
    np.testing.assert_allclose(got.numpy(), reference.numpy(), rtol=1e-4)


def test_gaussian_reconstruction():
    x, x_rec, sigma = tensor(2, 3, 4, 4), tensor(2, 3, 4, 4), 0.7
    expected = [
        sum(-np.log(np.exp(-((a - b) ** 2) / (2 * sigma**2))) for a, b in zip(p.ravel(), q.ravel(), strict=True))
        for p, q in zip(x.double().numpy(), x_rec.double().numpy(), strict=True)
    ]
    np.testing.assert_allclose(losses.gaussian_reconstruction(x, x_rec, sigma).numpy(), expected, rtol=1e-4)


def test_feature_reconstruction():
    """Eq. 5 and 6, written out."""
    real = [tensor(2, 4, 6, 5), tensor(2, 8, 3, 2)]
    fake = [tensor(2, 4, 6, 5), tensor(2, 8, 3, 2)]
    expected = np.zeros(2)
    for layer_real, layer_fake in zip(real, fake, strict=True):
        n, channels, height, width = layer_real.shape
        for b in range(n):
            total = 0.0
            for c in range(channels):
                for h in range(height):
                    for w in range(width):
                        total += float(layer_real[b, c, h, w] - layer_fake[b, c, h, w]) ** 2
            expected[b] += 100 / channels**2 * total / (2 * channels * width * height)
    np.testing.assert_allclose(losses.feature_reconstruction(real, fake).numpy(), expected, rtol=1e-4)


def test_feature_reconstruction_wants_equal_layers():
    with pytest.raises(ValueError, match="zip"):
        losses.feature_reconstruction([tensor(1, 2, 2, 2)], [])


@pytest.mark.parametrize("scale", [1, 10, 100])
def test_wasserstein(scale):
    real, fake = tensor(6), tensor(4)
    gan = losses.wasserstein(real, fake, scale)
    mean_real = sum(map(float, real)) / 6
    mean_fake = sum(map(float, fake)) / 4
    np.testing.assert_allclose(float(gan.critic), scale * (mean_fake - mean_real), rtol=1e-4)
    np.testing.assert_allclose(float(gan.generator), -scale * mean_fake, rtol=1e-4)


def test_attribute_cross_entropy_leaves_unknown_out():
    logits = tensor(3, 4)
    attributes = torch.tensor([[1.0, -1, 0, 1], [0, 0, 0, -1], [1, 1, -1, 0]])
    terms = []
    for row, truth in zip(logits.numpy(), attributes.numpy(), strict=True):
        for logit, value in zip(row, truth, strict=True):
            if value:
                p = 1 / (1 + np.exp(-logit))
                terms.append(-np.log(p if value > 0 else 1 - p))
    np.testing.assert_allclose(float(losses.attribute_cross_entropy(logits, attributes)), np.mean(terms), rtol=1e-4)
    assert float(losses.attribute_cross_entropy(logits, torch.zeros(3, 4))) == 0
