"""Outside models and recipes, no message and no import has the name of a model; messages look names up."""

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
HELP = {"help", "epilog"}  # keywords of Typer: examples name models


def texts(node: ast.AST) -> Iterator[ast.Constant]:
    """The string constants in a part of a program, those of f-strings included; no docstrings and no help."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node
    for child in ast.iter_child_nodes(node):
        docstring = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
        if not docstring and not (isinstance(child, ast.keyword) and child.arg in HELP):
            yield from texts(child)


def named(tree: ast.Module) -> list[str]:
    """The model names in messages and imports of a program, each with its line.

    A message is a text of several words, or any text in a raise statement and in a call that prints.
    """
    words = [(text.lineno, text.value) for text in texts(tree) if " " in text.value.strip()]
    for node in ast.walk(tree):
        prints = isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "print"
        if prints or isinstance(node, ast.Raise):
            words += [(text.lineno, text.value) for text in texts(node)]
        elif isinstance(node, ast.Import):
            words += [(node.lineno, name.name) for name in node.names if name.name.startswith("mien.models")]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mien.models"):
            words += [(node.lineno, f"{node.module}.{name.name}") for name in node.names]
    return sorted({f"line {line}: {match[1]}" for line, word in words for match in NAME.finditer(word)})


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
        "text = 'raise sigma of vae'",
        "raise MienError('expected a run, got ' + f'{x}' + 'vae')",
        "console.print(f'vae{x}')",
        "from mien.models.vae import VAE",
        "from mien.models import selfexgan",
        "import mien.models.residual_gan",
    ],
)
def test_the_search_sees_each_kind_of_place(code):
    assert len(named(ast.parse(code))) == 1


@pytest.mark.parametrize(
    "code", ["train('vae')", "'''mien train vae'''", "f(help='A vae run.')", "raise MienError('a VAE, vaes')"]
)
def test_the_search_leaves_out_the_rest(code):
    assert named(ast.parse(code)) == []
