"""What the site shows and no page holds: settings, departures, results, examples. conf.py calls `write` before a build.

The files go to docs/generated/, which git ignores. They come from the models' classes and docstrings, from results/ and
from the files of the project's folder, so they cannot be older than these.
"""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import shutil
import types
from pathlib import Path
from typing import Any

import report_recipes
import report_tables

from mien import data, models
from mien.abilities import ABILITIES
from mien.cli.models import _default
from mien.models.base import arguments, setting_types
from mien.settings import in_words, meanings

DOCS = Path(__file__).parent
PROJECT = DOCS.parent
RESULTS = PROJECT / "results"
FIVE = ("vae_wgan", "iterative_gan", "residual_gan", "ssavae", "selfexgan")
# pages of the project's folder that are pages of the site too
COPIED = {"CHANGELOG.md": "changelog", "CONTRIBUTING.md": "contributing", "SECURITY.md": "reporting"}
README = {"": "index.md", "quickstart": "quickstart.md", "models": "systems/index.md"}
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)(#[\w.-]+)?(?=\))")
IMAGE = re.compile(r'(?:<p align="center">)?<img src="([^"]+)" alt="([^"]*)" width="(\d+)">(?:</p>)?')
# References without a target on the site: names of other libraries, texts of Args that look like types, constants, and
# modules that are no part of the reference.
FOREIGN = [
    (r"py:(class|obj)", r"(?!mien\.).*"),
    (r"py:exc", r"[A-Z]\w*"),
    (r"py:data", r".*"),
    (r"py:\w+", r"mien\.(files|settings|data\.(joined|marks|memory)|evaluation\.record|photos\.(masks|editing))\b.*"),
    (r"py:\w+", r"mien\.evaluation\.measure\.R"),
    (r"py:meth", r"AttributeVectors\.without"),
]
# pages of the reference: title, and the modules or packages; all files of a package are shown
REFERENCE = {
    "mien": ("The package", ["mien"]),
    "abilities": ("Abilities and errors", ["mien.abilities", "mien.errors"]),
    "run": ("Runs", ["mien.run.data", "mien.run.opening", "mien.run.editors", "mien.run.weights", "mien.transformer"]),
    "applications": ("Applications", ["mien.applications", "mien.applications.*"]),
    "photos": ("Photos", ["mien.photos", "mien.preprocessing"]),
    "figures": ("Figures", ["mien.figures"]),
    "data": ("Data", ["mien.data", "mien.data.base", "mien.data.batch", "mien.data.dataset", "mien.data.splits"]),
    "models": ("Models", ["mien.models", "mien.models.base", "mien.models.*"]),
    "losses": ("Losses and the training step", ["mien.losses", "mien.training.update"]),
    "training": (
        "Training",
        ["mien.training.loop", "mien.training.settings", "mien.training.observers", "mien.training.profile"],
    ),
    "networks": ("Networks", ["mien.networks.*"]),
    "metrics": ("Metrics", ["mien.metrics.*"]),
    "evaluation": ("Evaluation", ["mien.evaluation", "mien.evaluation.measure", "mien.evaluation.result"]),
    "sharing": ("Sharing and export", ["mien.hub", "mien.pretrained", "mien.export", "mien.export_editor"]),
}


def write(docs: Path = DOCS) -> None:
    """Write all generated pages and parts of pages below ``docs``/generated."""
    folder, parts = docs / "generated", docs / "generated" / "parts"
    shutil.rmtree(folder, ignore_errors=True)
    parts.mkdir(parents=True)
    for name in models.names():
        text = {
            "abilities": abilities(name),
            "settings": settings(name),
            "departures": departures(name),
            "results": results(name),
            "recipes": recipes(name),
        }
        for part, content in text.items():
            (parts / f"{name}-{part}.md").write_text(content + "\n", encoding="utf-8")
    (parts / "compared.md").write_text(compared() + "\n", encoding="utf-8")
    (parts / "models.md").write_text(report_tables.model_table() + "\n", encoding="utf-8")
    (parts / "data.md").write_text(data_options() + "\n", encoding="utf-8")
    (folder / "api").mkdir()
    for name, (title, modules) in REFERENCE.items():
        (folder / "api" / f"{name}.md").write_text(reference(title, modules) + "\n", encoding="utf-8")
    for source, name in COPIED.items():
        shutil.copy(PROJECT / source, folder / f"{name}.md")
    (folder / "scripts.md").write_text(scripts() + "\n", encoding="utf-8")
    for notebook in sorted((PROJECT / "examples" / "notebooks").glob("*.ipynb")):
        shutil.copy(notebook, folder / notebook.name)


def abilities(name: str) -> str:
    """Return the abilities of a model as a list, with the first sentence of each."""
    lines = []
    for ability in ABILITIES:
        if ability.__name__ in models.abilities(name):
            sentence = (ability.__doc__ or "").partition("\n")[0]
            lines.append(f"- **{ability.__name__.lower()}**: {sentence}")
    return "\n".join(lines)


def settings(name: str) -> str:
    """Return the table of a model's settings: types and defaults from its constructor, texts from its docstring."""
    texts, parameters = meanings(models.get(name)), arguments(name)
    lines = ["| `--set` | type | meaning |", "|---|---|---|"]
    for key, annotation in setting_types(name).items():
        kind = in_words(annotation).removeprefix("a ")
        text = " ".join(markdown(texts.get(key, "")).split()).replace("|", "\\|")
        lines.append(f"| `{key}={_default(parameters[key].default)}` | {kind} | {text[:1].upper()}{text[1:]} |")
    length = f"{models.get(name).epochs} epochs"
    return "\n".join([*lines, "", f"A training has {length} unless `--epochs` or `--steps` says otherwise."])


def docstring(name: str) -> str:
    """Return the docstring of a model's file."""
    source = Path(models.__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
    return ast.get_docstring(ast.parse(source)) or ""


def departures(name: str) -> str:
    """Return what a model's docstring says after its first paragraphs, with the lists in Markdown."""
    text = docstring(name)
    start = re.search(r"^(Departures|Beyond the paper|Options beyond)", text, re.MULTILINE)
    if start is None:
        return "The docstring of the file lists no departures from the paper."
    lines = []
    for line in text[start.start() :].splitlines():
        # a line of words before a list is its title: "Departures", "Beyond the paper, all off by default"
        title = bool(line) and not line.startswith((" ", "-"))
        if line != "Departures":  # the page has this title
            lines += [f"**{line}**", ""] if title and len(line) < 80 else [line]
    return markdown("\n".join(lines))


def markdown(text: str) -> str:
    """Return reStructuredText of a docstring as Markdown: literals, references and formulas with stars or bars.

    >>> markdown("``width`` of :class:`mien.networks.vgg.VGG`")
    '`width` of `mien.networks.vgg.VGG`'
    """
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text)
    return text.replace("``", "`")


def results(name: str) -> str:
    """Return the stored tables with a run of a model."""
    found = []
    for path in sorted(RESULTS.glob("*.json")):
        stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if any(run["model"] == name for run in stored["runs"]):
            found.append(path.stem)
    if not found:
        return "No result of this model is stored yet."
    # the paths in the captions are those of the project's folder
    return report_tables.result_tables(RESULTS, found).replace(f"{RESULTS.as_posix()}/", "results/")


def recipes(name: str) -> str:
    """Return the rows of the table of recipes that belong to a model's paper."""
    lines = report_recipes.recipe_table(RESULTS).splitlines()
    rows = [line for line in lines[2:] if line.startswith(f"| `{name}/")]
    return "\n".join([*lines[:2], *rows]) if rows else "There is no recipe of this paper."


def compared() -> str:
    """Return a section for each model that is not one of the five."""
    sections = []
    for name in models.names():
        if name in FIVE:
            continue
        title, _, about = models.describe(name).partition(":")
        about = about.strip()
        method = markdown(docstring(name).partition("\n")[2].partition("Departures")[0].strip())
        where = f"generated/parts/{name}"
        sections.append(
            f"## {title}\n\n`{name}`: {about}\n\n{method}\n\n{abilities(name)}\n\n"
            f":::{{dropdown}} Settings\n\n{settings(name)}\n:::\n\n"
            f":::{{dropdown}} Departures\n\n{departures(name)}\n:::\n"
        )
        del where
    return "\n\n".join(sections)


def data_options() -> str:
    """Return the table of data sets, as docs/data.md has it."""
    return report_tables.data_table() if data.names() else ""


def reference(title: str, modules: list[str]) -> str:
    """Return a page of the reference: its modules, a package ``NAME.*`` as the list of its files."""
    sections = [f"# {title}"]
    for name in modules:
        package = name.removesuffix(".*")
        files = sorted((PROJECT / "src" / package.replace(".", "/")).glob("[a-z]*.py")) if name != package else []
        for module in [f"{package}.{file.stem}" for file in files] or [name]:
            if module in modules and module != name:
                continue  # it has its own place
            own_files = f"{module}.*" in modules  # they follow, so their names are not repeated here
            exported = [] if own_files else getattr(importlib.import_module(module), "__all__", [])
            lines = [
                f".. automodule:: {module}",
                *(["   :no-members:"] if exported else ["   :ignore-module-all:"]),
                "",
            ]
            for name_ in exported:  # some of them are imported on first use, so autodoc does not see them
                value = getattr(importlib.import_module(module), name_)
                own = value.__module__ == module if hasattr(value, "__module__") else False
                if isinstance(value, type | types.FunctionType) and (own or is_package(module)):
                    lines += [f".. auto{'class' if isinstance(value, type) else 'function'}:: {module}.{name_}", ""]
            sections.append(f"## {module}\n\n```{{eval-rst}}\n" + "\n".join(lines) + "```")
    return "\n\n".join(sections)


def is_package(module: str) -> bool:
    """Return whether a module is a folder: its ``__all__`` then names what users import from it."""
    return (PROJECT / "src" / module.replace(".", "/")).is_dir()


def scripts() -> str:
    """Return the page of the scripts in examples/, each with its text."""
    sections = ["# Scripts\n\nThese files of `examples/` run as they are."]
    for path in sorted((PROJECT / "examples").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        about = (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
        sections.append(f"## {path.name}\n\n{about}\n\n```python\n{text}```")
    return "\n\n".join(sections)


def adapt(app: Any, docname: str, source: list[str]) -> None:
    """Adapt the text of a page, written for GitHub, to the site: its pictures, and its links out of docs/."""
    del app
    folder = DOCS / Path(docname).parent
    copied = {name: Path(file).parent for file, name in COPIED.items()}
    # a copied page has the links of the place where it was
    origin = (
        PROJECT / copied[Path(docname).name]
        if docname.startswith("generated/") and (Path(docname).name in copied)
        else folder
    )

    def link(match: re.Match[str]) -> str:
        return relative(target(origin / match[1], match[2] or ""), folder)

    text = IMAGE.sub(lambda match: f"![{match[2]}]({match[1]}){{w={match[3]}px}}", source[0])
    source[0] = LINK.sub(link, text) if not docname.endswith(".ipynb") else text


def target(path: Path, anchor: str) -> tuple[Path, str]:
    """Return where a link of a page leads on the site: a page of it, or a file that a reader downloads."""
    path = Path(os.path.normpath(path))
    if path == PROJECT / "README.md":
        page = README.get(anchor.lstrip("#"))
        return (DOCS / page, "") if page else (DOCS / "index.md", anchor)
    if path.parent == PROJECT and path.name in COPIED:
        return DOCS / "generated" / f"{COPIED[path.name]}.md", anchor
    if path.parent == PROJECT / "examples" and path.suffix == ".py":
        return DOCS / "generated" / "scripts.md", f"#{path.name.replace('.', '')}"
    if path == PROJECT / "examples":
        return DOCS / "generated" / "scripts.md", ""
    if path.parent == PROJECT / "examples" / "notebooks" and path.suffix == ".ipynb":
        return DOCS / "generated" / path.name, anchor
    return path, anchor


def relative(place: tuple[Path, str], folder: Path) -> str:
    """Return a link from a folder to a place."""
    path, anchor = place
    return Path(os.path.relpath(path, folder)).as_posix() + anchor


def tidy(app: Any, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Adapt a docstring to reStructuredText: an empty line before each list, and no meaning of |x| but its own."""
    del app, what, name, obj, options
    result: list[str] = []
    for text in lines:
        line = "``".join(  # the literals are the odd parts
            part if number % 2 else part.replace("|", "\\|") for number, part in enumerate(text.split("``"))
        )
        if line.startswith("- ") and result and result[-1] and not result[-1].startswith(("- ", "  ")):
            result.append("")
        result.append(line)
    lines[:] = result


def readable(app: Any, what: str, name: str, obj: object, options: object, signature: str | None, result: str) -> Any:
    """Return a signature that Sphinx can parse: a dataclass writes <factory> where a default is made at each call."""
    del app, what, name, obj, options
    text = (signature or "").replace("<factory>", "...")
    return re.sub(r"TypeAliasForwardRef\('[\w.]*?(\w+)'\)", r"\1", text) or None, result


def resolve(app: Any, env: Any, node: Any, contnode: Any) -> Any:
    """Return the link to a function that is public under another name than the one that a docstring has.

    ``mien.hub.saving.save_pretrained`` is ``mien.hub.save_pretrained`` in the reference, for example.
    """
    parts = node.get("reftarget", "").split(".")
    if node.get("refdomain") != "py" or parts[0] != "mien" or len(parts) < 2:
        return None
    domain = env.domains["py"]
    names = [name for name in domain.objects if name.startswith("mien.") and name.endswith(f".{parts[-1]}")]
    near = [name for name in names if name.split(".")[1] == parts[1]]
    if not names:
        return None
    best = min(near or names, key=len)
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", best, node, contnode)
