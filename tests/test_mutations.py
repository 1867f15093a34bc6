"""The mutations of tools/mutations.py fit the source; the script runs them, which takes minutes."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location("mutations", ROOT / "tools" / "mutations.py")
mutations = importlib.util.module_from_spec(SPEC)


@pytest.fixture(scope="module", autouse=True)
def script():
    """The script as a module; dataclasses look their module up by name."""
    import sys

    sys.modules["mutations"] = mutations
    SPEC.loader.exec_module(mutations)
    yield
    del sys.modules["mutations"]


def test_every_mutation_fits_the_source_and_names_a_test():
    assert len(mutations.MUTATIONS) == 11
    for mutation in mutations.MUTATIONS:
        path, text = mutations.mutate(mutation, ROOT / "src" / "mien")
        assert text != path.read_text(encoding="utf-8")
        file, function = mutation.test.split("::")
        assert f"def {function}(" in (ROOT / "tests" / file).read_text(encoding="utf-8"), mutation.test


def test_a_string_that_is_not_unique_in_the_source_is_an_error(tmp_path):
    mutation = mutations.MUTATIONS[0]
    with pytest.raises(ValueError, match=r"once in src/mien/training/update.py, got it 0 times: adapt"):
        mutations.mutate(mutation, tmp_path)
    (tmp_path / "training").mkdir()
    (tmp_path / mutation.place).write_text(mutation.old * 2)
    with pytest.raises(ValueError, match="got it 2 times"):
        mutations.mutate(mutation, tmp_path)
