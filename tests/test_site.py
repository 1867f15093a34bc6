"""The documentation site: tutorials run as printed, every page has its place, and the site builds without a warning."""

import importlib
import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from mien import models
from mien.cli import app
from test_cli import mien

PROJECT = Path(__file__).parents[1]
DOCS = PROJECT / "docs"
WRITTEN = sorted(path for path in DOCS.rglob("*.md") if "generated" not in path.parts)
TUTORIALS = [DOCS / "quickstart.md", *sorted((DOCS / "tutorials").glob("*.md"))]
BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<reason>.+?) -->\n)?```(?P<language>sh|python)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
OTHER_PROGRAMS = {"pip", "torchrun", "python", "make", "cp"}  # what a command line may start with, beside mien
NOTEBOOKS = sorted((PROJECT / "examples" / "notebooks").glob("*.ipynb"))
DOWNLOADS = "install the group docs of pyproject.toml: uv pip install --group docs"


def name_of(path: Path) -> str:
    """The name of a page in docs/, without its suffix."""
    return path.relative_to(DOCS).with_suffix("").as_posix()


def lines_of(code: str) -> list[list[str]]:
    """The words of each command line of a block."""
    lines = (line.partition("  #")[0].strip() for line in code.splitlines())
    return [shlex.split(line) for line in lines if line and not line.startswith("#")]


def check_options(words: list[str]) -> None:
    """Check that a command line of mien names a command, its options, and as many arguments as it takes."""
    command = typer.main.get_command(app)
    if words[:1] == ["--code"]:
        assert (PROJECT / words[1]).is_file()
        words = words[2:]
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        name, *words = words
        assert name in command.commands, f"there is no command {name}"
        command = command.commands[name]
    context = command.context_class(command, info_name=name)
    _, remaining, _ = command.make_parser(context).parse_args(words)
    assert remaining == [], f"{remaining}: more arguments than the command takes"


@pytest.mark.parametrize("page", TUTORIALS, ids=name_of)
def test_a_tutorial_runs_as_printed(page, tmp_path, capsys, monkeypatch):
    """Its blocks run one after the other in an empty folder; a block with the mark "not run" is parsed."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    blocks = list(BLOCK.finditer(page.read_text(encoding="utf-8")))
    assert blocks or page.name == "index.md"
    for block in blocks:
        if block["language"] == "python":
            exec(compile(block["code"], str(page), "exec"), names)
            continue
        for program, *words in lines_of(block["code"]):
            if program == "mien" and not block["reason"]:
                code, text = mien(capsys, *words)
                assert code == 0, f"mien {shlex.join(words)}\n{text}"
            elif program == "mien":
                check_options(words)
            else:
                assert block["reason"], f"{program} is not run: say why in a mark above the block"
                assert program in OTHER_PROGRAMS
                if "mien.cli" in words:
                    check_options(words[words.index("mien.cli") + 1 :])


@pytest.mark.parametrize(
    "page", [path for path in WRITTEN if path not in TUTORIALS and path.parent != DOCS], ids=name_of
)
def test_commands_of_a_page_below_docs_have_these_options(page):
    """The pages that lie in docs/ itself are checked by tests/test_readme.py in the same way."""
    for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
        if block["language"] == "sh":
            for program, *words in lines_of(block["code"]):
                if program == "mien":
                    check_options(words)
                else:
                    assert program in OTHER_PROGRAMS


def toctrees(path: Path) -> set[str]:
    """The pages that a page lists, as names in docs/."""
    listed = set()
    for block in re.findall(r"^```\{toctree\}\n(.*?)^```$", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        for line in filter(None, (line.strip() for line in block.splitlines())):
            line = line.partition("<")[2].rstrip(">") or line  # Title <page>
            if not line.startswith(":"):
                listed.add(os.path.relpath(os.path.join(path.parent, line), DOCS))
    return listed


def test_every_page_is_listed_once():
    listed = [name for path in WRITTEN for name in toctrees(path)]
    pages = {name_of(path) for path in WRITTEN} - {"index"}
    assert pages - set(listed) == set()
    own = [name for name in listed if not name.startswith("generated/")]
    assert len(own) == len(set(own))
    assert set(own) - pages == set()


def test_every_notebook_is_listed_and_has_no_output():
    assert len(NOTEBOOKS) == 3
    listed = toctrees(DOCS / "tutorials" / "index.md")
    for path in NOTEBOOKS:
        assert f"generated/{path.stem}" in listed
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        assert [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []


def test_every_model_has_a_page_or_is_among_the_compared_ones(site_parts):
    pages = {path.stem for path in (DOCS / "systems").glob("*.md")}
    assert set(site_parts.FIVE) <= pages
    text, choice = site_parts.compared(), (DOCS / "choose.md").read_text(encoding="utf-8")
    for name in models.names():
        if name not in site_parts.FIVE:
            assert f"`{name}`: " in text, name
            assert f"`{name}`" in choice, f"choose.md does not say when to take {name}"


def test_settings_and_departures_come_from_the_model(site_parts):
    assert "| `pair_loss=3000.0` |" in site_parts.settings("vae_wgan")
    assert "Algorithm 1 clips the critic's weights" in site_parts.departures("vae_wgan")
    assert "Beyond the paper" in site_parts.departures("residual_gan")
    assert "celeba64.json" in site_parts.results("vae_wgan")
    assert site_parts.results("cgan") == "No result of this model is stored yet."


@pytest.fixture(scope="module")
def site_parts():
    """The module docs/site_parts.py."""
    before = list(sys.path)
    sys.path[:0] = [str(DOCS), str(PROJECT / "tools")]
    yield importlib.import_module("site_parts")
    sys.path[:] = before


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_links_lead_to_files(page):
    """As on GitHub: links of a page are relative to it. Pages that only the site has are written while it is built."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[\w.-]+)?\)", text)
    missing = [link for link in links if "generated/" not in link and not (page.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_pictures_written_as_html_become_pictures_of_the_site(page, site_parts):
    """Sphinx copies no picture that only HTML names."""
    source = [page.read_text(encoding="utf-8")]
    site_parts.adapt(None, name_of(page), source)
    assert "<img" not in source[0]


@pytest.mark.timeout(600)
def test_the_site_builds_without_a_warning(tmp_path):
    """Sphinx reads all pages, executes the notebooks, and follows every link and every name of the reference."""
    missing = [name for name in ("sphinx", "myst_nb", "pydata_sphinx_theme") if importlib.util.find_spec(name) is None]
    if missing:
        assert not os.environ.get("CI"), f"{missing}: {DOWNLOADS}"
        pytest.skip(f"{', '.join(missing)} not installed: {DOWNLOADS}")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "dummy"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROJECT / "src")}
    done = subprocess.run(
        [*command, "-d", str(tmp_path / "trees"), str(DOCS), str(tmp_path / "out")],
        cwd=tmp_path, capture_output=True, text=True, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
