"""The golden files: a missing entry names its command, and adding one changes no other."""

import json

import pytest

import golden


@pytest.fixture
def files(tmp_path):
    """Copies of both files without the entries of the VAE, and with a term of another model changed."""
    losses, weights = tmp_path / "golden.json", tmp_path / "golden_weights.txt"
    stored = json.loads(golden.LOSSES.read_text())
    del stored["vae"]
    stored["vae_wgan"]["kl"] = 123.25
    losses.write_text(json.dumps(stored))
    lines = golden.WEIGHTS.read_text().splitlines(keepends=True)
    weights.write_text("".join(line for line in lines if not line.startswith("vae ")))
    return losses, weights


def test_a_missing_entry_names_the_command_that_adds_it(files):
    losses, weights = files
    message = r"expected .* of vae in tests/golden.*, got none: run python tests/golden.py"
    with pytest.raises(LookupError, match=message):
        golden.losses("vae", losses)
    with pytest.raises(LookupError, match=message):
        golden.weights("vae", weights)
    assert golden.losses("vae_wgan", losses)["kl"] == 123.25


def test_adding_an_entry_leaves_the_others(files):
    losses, weights = files
    assert golden.write((), losses, weights) == ["vae"]
    expected = json.loads(golden.LOSSES.read_text())
    expected["vae_wgan"]["kl"] = 123.25
    added = json.loads(losses.read_text())
    assert list(added) == list(expected)
    assert added.pop("vae") == pytest.approx(expected.pop("vae"), rel=2e-3)
    assert added == expected, "bit for bit"
    assert weights.read_text() == golden.WEIGHTS.read_text()
    assert golden.write((), losses, weights) == []
    assert golden.write(["vae_wgan"], losses, weights) == ["vae_wgan"]
    assert json.loads(losses.read_text())["vae_wgan"]["kl"] != 123.25


def test_the_files_are_written_byte_for_byte_as_they_are(tmp_path):
    losses, weights = tmp_path / "golden.json", tmp_path / "golden_weights.txt"
    losses.write_bytes(golden.LOSSES.read_bytes())
    weights.write_bytes(golden.WEIGHTS.read_bytes())
    assert golden.write((), losses, weights) == []
    assert losses.read_bytes() == golden.LOSSES.read_bytes()
    assert weights.read_bytes() == golden.WEIGHTS.read_bytes()
