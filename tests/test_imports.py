"""Imports run one way (.importlinter), and what must start quickly imports nothing heavy."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mien.cli.app import THREADS, TURNS

PROJECT = Path(__file__).parents[1]
SOURCE = PROJECT / "src" / "mien"
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"
# one import that breaks a rule: (the rule, the file, the import)
WRONG = [
    ("one-way", "applications/basics.py", "import mien.cli.app"),
    ("one-way", "errors.py", "import mien.files"),
    ("one-way", "losses.py", "import mien.networks.vgg"),
    ("one-way", "networks/vgg.py", "import mien.data"),
    ("data-alone", "data/batch.py", "import mien.losses"),
    ("one-way", "run/folder.py", "import mien.training"),
    ("one-way", "training/loop.py", "import mien.evaluation"),
    ("one-way", "experiment.py", "import mien.evaluation"),
    ("one-way", "evaluation/__init__.py", "import mien.recipes"),
    ("one-way", "surprise.py", "X = 1"),  # a part without a place
    ("model-files", "training/loop.py", "import mien.models.vae"),
    ("model-files", "recipes/face_baselines.py", "from mien.models import vae_wgan"),
    ("models-leaves", "models/base.py", "import mien.metrics.reconstruction"),
    ("abilities-only", "applications/basics.py", "import mien.models"),
    ("abilities-only", "metrics/reconstruction.py", "import mien.networks.point"),
    ("light", "figures/grids.py", "import torch"),
]


def names(folder: str) -> list[str]:
    """The modules of a folder whose files do not know one another."""
    return sorted(path.stem for path in (SOURCE / folder).glob("[!_]*.py") if path.stem != "base")


for rule, folder in [
    ("models-independent", "models"),
    ("measures-independent", "evaluation/measures"),
]:
    if (SOURCE / folder).is_dir():
        first, second = names(folder)[:2]
        WRONG.append((rule, f"{folder}/{first}.py", f"import mien.{folder.replace('/', '.')}.{second}"))


def lint(source: Path, *arguments: str) -> tuple[int, str]:
    """The exit status of lint-imports for the package in ``source``, and what it prints."""
    command = [sys.executable, "-c", LINT, "--no-logo", "--no-cache", *arguments, str(PROJECT / ".importlinter")]
    environment = {**os.environ, "PYTHONPATH": str(source), "COLUMNS": "200"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=source)
    return done.returncode, done.stdout + done.stderr


def test_imports_run_one_way():
    status, text = lint(SOURCE.parent)
    assert status == 0, text


@pytest.mark.parametrize(("rule", "file", "statement"), WRONG, ids=lambda value: str(value))
def test_a_wrong_import_is_refused(rule, file, statement, tmp_path):
    shutil.copytree(SOURCE, tmp_path / "mien", ignore=lambda _, all_: [n for n in all_ if "." in n and n[-3:] != ".py"])
    path = tmp_path / "mien" / file
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    path.write_text(f"{text}\n{statement}\n", encoding="utf-8")
    status, text = lint(tmp_path, "--contract", rule)
    assert status == 1, text
    assert "BROKEN" in text or "not listed as layers" in text, text


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
        "from mien import data; data.source('avatars', count=3).read(0, 32)",
        "from mien.run import folder\ntry: folder.check_abilities('nowhere', ['Encodes'])\nexcept Exception: pass",
    ],
)
def test_light_things_import_nothing_heavy(code):
    assert heavy_after(code) == set()


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["edit", "--help"]])
def test_help_imports_nothing_slow_and_changes_nothing(words):
    """No numpy and no rich; no pydantic for the list of commands; and the environment stays as it is."""
    slow = ["numpy", "torch", "rich", "PIL", *(["pydantic"] if words == ["--help"] else [])]  # typer parses with it
    script = (
        "import os, sys\n"
        "before = dict(os.environ)\n"
        f"sys.argv = ['mien', *{words}]\n"
        "from mien.cli import main\n"
        "try: main()\n"
        "except SystemExit as stop: assert not stop.code\n"
        f"modules = [name for name in {slow} if name in sys.modules]\n"
        "print(modules, dict(os.environ) == before)"
    )
    # another test of this process may have run a command, which limits how long threads wait
    environment = {name: value for name, value in os.environ.items() if name not in THREADS}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.splitlines()[-1] == "[] True"


def test_a_command_limits_how_long_threads_wait_unless_the_user_chose():
    script = (
        "import os, sys\n"
        "sys.argv = ['mien', 'models']\n"
        "from mien.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(os.environ.get('GOMP_SPINCOUNT'))"
    )
    environment = {name: value for name, value in os.environ.items() if name not in THREADS}
    for chosen, expected in (({}, TURNS["GOMP_SPINCOUNT"]), ({"OMP_WAIT_POLICY": "PASSIVE"}, "None")):
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment | chosen
        )
        assert done.stdout.splitlines()[-1] == expected
