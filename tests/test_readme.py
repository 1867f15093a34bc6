"""The examples of the README and of docs/: the Python code runs, and every command line is valid."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from mien.cli import app

PROJECT = Path(__file__).parents[1]
README = (PROJECT / "README.md").read_text(encoding="utf-8")
# docs/results.md holds the commands as they were when the stored results were made
PAGES = {
    path.name: path.read_text(encoding="utf-8")
    for path in [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *sorted((PROJECT / "docs").glob("*.md"))]
    if path.name != "results.md"
}


def fenced(text: str, language: str) -> list[str]:
    """The code blocks of a language in a page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def lines_of(program: str) -> list[str]:
    """The lines in the shell blocks of all pages that call a program, without comments."""
    lines = [line for text in PAGES.values() for block in fenced(text, "sh") for line in block.splitlines()]
    return sorted({line.partition("  #")[0].strip() for line in lines if line.startswith(f"{program} ")})


def run(arguments: list[str], folder: Path) -> str:
    """Run Python in a folder, and return what it prints."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # the tests beside it need the other cores
    done = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_python_example_runs(tmp_path):
    (code,) = fenced(README, "python")
    run(["-W", "error::UserWarning:mien", "-c", code], tmp_path)
    assert (tmp_path / "edited.png").stat().st_size > 1000


# onnx_*.py need an exported file; tests/test_export.py runs them with one
EXAMPLES = [path for path in sorted((PROJECT / "examples").glob("*.py")) if not path.name.startswith("onnx_")]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_runs(path, tmp_path):
    assert run([str(path)], tmp_path)


@pytest.mark.parametrize("line", lines_of("mien"))
def test_a_command_line_is_accepted(line):
    """The command exists, it has these options, and it takes as many arguments."""
    command, words = typer.main.get_command(app), shlex.split(line)[1:]
    if words[:1] == ["--code"]:  # before the command, with its file
        assert (PROJECT / words[1]).is_file()
        words = words[2:]
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        name = words.pop(0)
        assert name in command.commands, f"there is no command {name}"
        command = command.commands[name]
    context = command.context_class(command, info_name=line)
    _, remaining, _ = command.make_parser(context).parse_args(words)
    assert remaining == [], f"{remaining}: more arguments than the command takes"


@pytest.mark.parametrize("line", lines_of("make"))
def test_a_target_of_make_exists(line):
    targets = re.findall(r"^([\w-]+):", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert line.split()[1] in targets


@pytest.mark.parametrize("line", lines_of("python"))
def test_a_python_program_exists(line):
    words = shlex.split(line)
    if words[1] == "-m":
        assert importlib.util.find_spec(words[2]) is not None
    else:
        assert (PROJECT / words[1]).is_file()


@pytest.mark.parametrize(("page", "text"), PAGES.items(), ids=PAGES)
def test_links_lead_to_files(page, text):
    folder = PROJECT if (PROJECT / page).exists() else PROJECT / "docs"
    links = re.findall(r"\]\(([^)#:]+)(?:#[\w-]+)?\)|src=\"([^\":]+)\"", text)
    missing = [link for pair in links for link in pair if link and not (folder / link).exists()]
    assert missing == []


def test_the_readme_is_short():
    assert len(README.splitlines()) < 150
