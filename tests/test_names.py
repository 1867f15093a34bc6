"""No message and no import outside the models and the recipes names a model: what a message recommends is looked up."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mien import models

SOURCE = Path(__file__).parents[1] / "src" / "mien"
FREE = {"models", "recipes"}
FILES = [path for path in sorted(SOURCE.rglob("*.py")) if path.relative_to(SOURCE).parts[0] not in FREE]
NAME = re.compile(rf"\b({'|'.join(models.names())})\b")
# functions whose arguments a user reads, besides exceptions
PRINTS = {"print", "warn", "warning", "info", "log", "fail", "_fail", "MienError", "UnknownName"}


def texts(node: ast.AST) -> Iterator[str]:
    """The string constants in a part of a program, those of f-strings included."""
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value


def named(tree: ast.Module) -> list[str]:
    """The model names in messages and imports of a program, each with its line."""
    results = []
    for node in ast.walk(tree):
        words: list[str] = []
        if isinstance(node, ast.Raise):
            words = list(texts(node))
        elif isinstance(node, ast.Call):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            words = list(texts(node)) if name in PRINTS else []
        elif isinstance(node, ast.Import):
            words = [alias.name.replace(".", " ") for alias in node.names if alias.name.startswith("mien.models")]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mien.models"):
            words = [str(node.module).replace(".", " "), *(alias.name for alias in node.names)]
        results += [f"line {node.lineno}: {match[1]}" for word in words for match in NAME.finditer(word)]
    return sorted(set(results))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_message_and_no_import_names_a_model(path):
    assert named(ast.parse(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "code",
    [
        "raise MienError('use iterative_gan')",
        "raise MienError(f'got {x}: use vae_wgan')",
        "console.print('mien train vae')",
        "print(f'{x}', 'ssavae')",
        "error = MienError('use dfc_vae')",
        "from mien.models.vae import VAE",
        "from mien.models import selfexgan",
        "import mien.models.residual_gan",
    ],
)
def test_the_search_sees_each_kind_of_place(code):
    assert len(named(ast.parse(code))) == 1


@pytest.mark.parametrize("code", ["train('vae')", "'''mien train vae'''", "raise MienError('a VAE, vaes')"])
def test_the_search_leaves_out_the_rest(code):
    assert named(ast.parse(code)) == []
