"""What people pass to the functions of Python: arrays of other types, none at all, damaged ones, texts."""

import numpy as np
import pytest
import torch

from mien import applications
from mien.applications import interpolation, iterate, neighbors, residuals, variations
from mien.applications.arithmetic import AttributeVectors
from mien.errors import MienError
from mien.models.base import build

VAE = build("vae", {"shape": [3, 16, 16], "width": 4, "latent": 8}).eval()
CNN = build("attribute_cnn", {"shape": [3, 16, 16], "widths": [4] * 5, "attributes": ["Smiling"]}).eval()
VECTORS = AttributeVectors(("Smiling",), torch.ones(1, 8), (9,), (9,))
ENTRIES = {
    "reconstruct": lambda x: applications.reconstruct(VAE, x),
    "recognize": lambda x: applications.recognize(CNN, x),
    "interpolate": lambda x: applications.interpolate(VAE, x, x, 3),
    "chain": lambda x: interpolation.chain(VAE, x, 3),
    "iterate": lambda x: iterate.iterate(VAE, x, 2).change,
    "latents": lambda x: neighbors.latents(VAE, x),
    "variations": lambda x: variations.variations(VAE, x, n=2),
    "edit": lambda x: applications.edit(VAE, x, {"Smiling": "+1"}, VECTORS),
    "residuals": lambda x: residuals.residuals(VAE, x, {"Smiling": "+1"}, VECTORS),
}
GOOD = np.random.default_rng(0).random((3, 3, 16, 16)) * 2 - 1


@pytest.mark.parametrize("name", ENTRIES)
@pytest.mark.parametrize("kind", ["float64", "float16", "tensor", "list"])
def test_every_numeric_type_gives_the_result_of_float32(name, kind):
    x = {"tensor": torch.from_numpy, "list": lambda a: a.tolist()}.get(kind, lambda a: a.astype(kind))(GOOD)
    expected = ENTRIES[name](torch.from_numpy(GOOD).float())
    assert torch.allclose(ENTRIES[name](x), expected, atol=2e-2 if kind == "float16" else 1e-5)


@pytest.mark.parametrize("name", ENTRIES)
@pytest.mark.parametrize("kind", ["none", "empty", "NaN", "text", "bytes", "shape", "one"])
def test_what_is_no_batch_of_pictures_is_one_line(name, kind):
    nan = GOOD.copy()
    nan[2, 0, 0, 0] = np.nan
    x = {"none": None, "empty": GOOD[:0], "NaN": nan, "text": "a.png", "bytes": GOOD * 127 + 127,
         "shape": GOOD[:, :, :8], "one": GOOD[0]}[kind]  # fmt: skip
    with pytest.raises(MienError, match=r"^expected") as error:
        ENTRIES[name](x)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ENTRIES)
def test_pictures_in_0_1_give_a_warning(name):
    with pytest.warns(UserWarning, match=r"seem to be in \[0, 1\]"):
        ENTRIES[name]((GOOD + 1) / 2)
