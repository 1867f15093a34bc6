"""Imports run one way (the house's plan), and what must be quick imports nothing heavy."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "mien"
LEAVES = {"abilities", "errors", "files", "losses", "networks", "data"}
# what a part may import from; "base" stands for models/base.py and models/__init__.py
ALLOWED = {
    "errors": set(),
    "files": {"errors"},
    "abilities": {"errors"},
    "losses": {"errors"},
    "data": {"errors", "files"},
    "networks": {"losses", "errors"},
    "models": LEAVES | {"models"},
    "run": LEAVES | {"base", "applications"},
    "applications": {"abilities", "data", "errors", "files", "losses", "metrics"},  # multiview is scored by latent_svm
    "metrics": {"abilities", "data", "errors", "files", "losses"},
    "training": LEAVES | {"base", "run"},
    "figures": {"errors", "files", "applications", "metrics"},
    "folding": set(),
}
TOP = {
    "experiment",
    "evaluation",
    "demo",
    "cli",
    "studio",
    "recipes",
    "export",
    "hub",
    "transformer",
    "__init__",
}


def imported(path: Path) -> set[str]:
    """The parts of mien that a file imports, anywhere in it."""
    parts = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for part in ast.walk(node)
    }
    for node in ast.walk(tree):
        found = []
        if id(node) in typing_only and path.name == "abilities.py":
            continue  # a leaf at run time: its types are those of what it declares
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in found:
            words = name.split(".")
            if words[0] == "mien" and len(words) > 1:
                base = words[1] == "models" and (words[2:3] == ["base"] or words[2:] == [])
                parts.add("base" if base else words[1])
    return parts


FILES = [p for p in SOURCE.rglob("*.py") if p.relative_to(SOURCE).parts[0] != "__init__.py"]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_run_one_way(path):
    part = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    if part in TOP:
        return
    assert part in ALLOWED, f"{part} has no place in the plan of imports"
    allowed = ALLOWED[part] | {part} | ({"base"} if "models" in ALLOWED[part] else set())
    assert imported(path) <= allowed, f"{path} imports {imported(path) - allowed}"


def test_nobody_imports_the_command_line():
    for path in FILES:
        if "cli" not in path.relative_to(SOURCE).parts:
            assert "cli" not in imported(path), path


def heavy_after(code: str) -> set[str]:
    """The heavy packages that are imported after running ``code``."""
    script = f"import sys\n{code}\nprint([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(ast.literal_eval(done.stdout.strip().splitlines()[-1]))


HEAVY = ["torch", "torchvision", "lightning_fabric", "torchmetrics", "sklearn", "matplotlib", "scipy", "tensorboard"]


@pytest.mark.parametrize(
    "code",
    [
        "import mien, mien.cli",
        "import mien.data, mien.figures, mien.models, mien.applications",
        "from mien import models; [models.abilities(n) for n in models.names()]",
        "from mien.evaluation import measures, store, text; [measures.get(n).title for n in measures.names()]",
        "from mien import data; data.source('avatars', count=3).read(0, 32)",
        "from mien.run import folder\ntry: folder.check_abilities('nowhere', ['Encodes'])\nexcept Exception: pass",
    ],
)
def test_light_things_import_nothing_heavy(code):
    assert heavy_after(code) == set()


def test_help_imports_not_even_numpy():
    code = "import mien.cli\nfrom typer.testing import CliRunner\nassert CliRunner().invoke(mien.cli.app, ['--help']).exit_code == 0"
    script = f"{code}\nimport sys\nprint('numpy' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False"
