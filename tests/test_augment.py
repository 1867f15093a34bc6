"""DiffAugment: each change by its law, the same draw for several batches, and derivatives of both orders."""

import pytest
import torch

from mien.errors import MienError
from mien.networks.augment import POLICIES, random_change


def pictures(n: int = 6, size: int = 16) -> torch.Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def test_no_policy_changes_nothing_and_draws_nothing():
    x, state = pictures(), torch.get_rng_state()
    assert random_change(x, ())(x) is x
    assert torch.equal(torch.get_rng_state(), state)


def test_an_unknown_policy_is_refused():
    with pytest.raises(MienError, match="augment of color, translation, cutout, got 'zoom'"):
        random_change(pictures(), ("color", "zoom"))


@pytest.mark.parametrize("policy", POLICIES)
def test_one_draw_serves_several_batches_and_differs_by_picture(policy):
    x = pictures(1).expand(6, -1, -1, -1)
    change = random_change(x, (policy,))
    first = change(x)
    assert torch.equal(first, change(x))
    assert not torch.equal(first, random_change(x, (policy,))(x))
    assert any(not torch.equal(first[0], other) for other in first[1:])
    assert first.shape == x.shape


def test_color_moves_the_mean_and_scales_the_rest():
    """On x with the mean 0, brightness alone moves the mean; saturation and contrast scale what differs from it."""
    x = pictures(400)
    x = x - x.mean((1, 2, 3), keepdim=True)
    y = random_change(x, ("color",))(x)
    means = y.mean((1, 2, 3))
    assert -0.5 <= float(means.min()) < -0.45
    assert 0.45 < float(means.max()) <= 0.5
    gray = x.mean(1, keepdim=True)
    contrast = (y.mean(1, keepdim=True) - means.view(-1, 1, 1, 1)) / gray  # a number for each picture
    assert float(contrast.flatten(1).std(1).max()) < 0.1
    factors = contrast.flatten(1).median(1).values
    assert 0.49 < float(factors.min()) < 0.55
    assert 1.45 < float(factors.max()) < 1.51
    ratio = (y - y.mean(1, keepdim=True))[:, 0] / (x - gray)[:, 0]  # saturation times contrast
    saturation = ratio.flatten(1).median(1).values / factors
    assert 0 <= float(saturation.min()) < 0.1
    assert 1.9 < float(saturation.max()) < 2.01


def test_translation_shifts_by_up_to_an_eighth():
    x = torch.zeros(300, 1, 16, 24)
    x[:, :, 8, 12] = 1
    y = random_change(x, ("translation",))(x)
    assert torch.equal(y.sum((1, 2, 3)), torch.ones(300))
    _, _, rows, columns = y.nonzero(as_tuple=True)
    assert set((rows - 8).tolist()) == {-2, -1, 0, 1, 2}
    assert set((columns - 12).tolist()) == {-3, -2, -1, 0, 1, 2, 3}
    border = random_change(torch.ones(300, 1, 16, 16), ("translation",))(torch.ones(300, 1, 16, 16))
    shares = border.mean((1, 2, 3))
    assert float(shares.min()) == (14 / 16) ** 2  # zeros come in
    assert float(shares.max()) == 1


def test_cutout_removes_a_square_of_half_the_side():
    x = torch.ones(300, 3, 16, 16)
    hole = 1 - random_change(x, ("cutout",))(x)
    assert set(hole.unique().tolist()) == {0.0, 1.0}
    assert float(hole.sum((2, 3)).max()) == 64
    assert float(hole.sum((2, 3)).min()) < 32  # centers lie at the border too
    assert torch.equal(hole[:, 0], hole[:, 1])


def test_derivatives_of_both_orders():
    x = pictures(2, 8).double().requires_grad_()
    change = random_change(x, POLICIES)
    assert torch.autograd.gradcheck(change, x)
    assert torch.autograd.gradgradcheck(lambda x: change(x) ** 2, x)
