"""The Typer application that the commands register with, and how their help is written."""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from mien.cli.outputs import calling
from mien.errors import one_line

# the headings of `mien --help`, in this order; a command names its own as rich_help_panel
TYPE = re.compile(r" <[\w\[\], ]+>$")  # after the name of an argument
METAVARS = {"path": "PATH", "int": "N", "float": "NUMBER", "str": "TEXT", "text": "TEXT"}  # by part of a type's name
SECTIONS = ("Train", "Use a run", "Explore a run", "Measure", "Look up")
# Turns that a thread of torch waits for the others before it sleeps. Without a limit, two programs that share the cores
# wait for each other's threads: small training steps took several times as long (benchmarks/busy.py). The library of
# threads reads the variables when torch is imported.
TURNS = {"GOMP_SPINCOUNT": "6000"}
THREADS = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")  # a user's own choice stays


@contextlib.contextmanager
def _escaped() -> Iterator[None]:
    """Escape control characters in the message of a usage error, which can hold the names of files."""
    try:
        yield
    except Exception as error:
        if hasattr(error, "format_message") and isinstance(text := getattr(error, "message", None), str):
            error.message = "\n".join(map(one_line, text.split("\n")))  # type: ignore[attr-defined]
        raise


def _metavar(parameter: Any) -> str | None:
    """Return the word for a value in the help: its kind for an option, its name for an argument."""
    if parameter.param_type_name == "argument":
        return str(parameter.name).upper()
    described = getattr(parameter, "type_descriptor", None)  # since Typer 0.29
    kind = str(described.annotation if described else parameter.type).lower()
    return next((word for key, word in METAVARS.items() if key in kind), None)


class Command(TyperCommand):
    """A command whose help keeps the lines of its examples, so that they can be copied."""

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        for parameter in self.params:
            if parameter.metavar is None and not getattr(parameter, "is_flag", False):
                parameter.metavar = _metavar(parameter)

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Parse the arguments."""
        with _escaped():
            return super().make_context(*arguments, **options)

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write the help: paragraphs are wrapped, lists of indented lines are not."""
        for paragraph in inspect.cleandoc(self.help or "").split("\n\n"):
            formatter.write_paragraph()
            with formatter.indentation():
                if any(line.startswith("  ") for line in paragraph.splitlines()):
                    for line in paragraph.splitlines():
                        formatter.write(f"{'':{formatter.current_indent}}{line}\n")
                else:
                    formatter.write_text(paragraph)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the lists of arguments and options; Typer's names of Python types are left out."""
        write = formatter.write_dl

        def without_types(rows: Any, *arguments: Any, **options: Any) -> None:
            write([(TYPE.sub("", name), text) for name, text in rows], *arguments, **options)

        formatter.write_dl = without_types
        super().format_options(ctx, formatter)
        formatter.write_dl = write


class Commands(TyperGroup):
    """A group that lists its commands under the headings of SECTIONS, by name."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Parse the arguments before the command."""
        with _escaped():
            return super().make_context(*arguments, **options)

    def resolve_command(self, *arguments: Any, **options: Any) -> Any:
        """Find the command."""
        with _escaped():
            return super().resolve_command(*arguments, **options)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the first paragraph of each command's help, in full."""
        width = max(map(len, self.commands), default=0)
        for section in (*SECTIONS, None):
            rows = [
                (f"{name:<{width}}", " ".join((command.help or "").strip().partition("\n\n")[0].split()))
                for name, command in sorted(self.commands.items())
                if getattr(command, "rich_help_panel", None) == section
            ]
            if rows:
                with formatter.section(section or "Commands"):
                    formatter.write_dl(rows)


class App(typer.Typer):
    """A Typer application whose commands are of the class :class:`Command`."""

    def command(self, name: str | None = None, **options: Any) -> Callable[[Any], Any]:
        """Return the decorator that registers a function as a command, which gets its paths with ``~`` expanded."""
        register = super().command(name, **{"cls": Command, **options})

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            """Register the function; return it unchanged, so that Python can call it too."""

            @functools.wraps(function)
            def call(**values: Any) -> Any:
                values = {key: expanded(value) for key, value in values.items()}
                if not any(name in os.environ for name in THREADS):
                    os.environ.update(TURNS)
                with calling(function.__name__.rstrip("_"), values):
                    return function(**values)

            register(call)
            return function

        return decorate


def expanded(value: Any) -> Any:
    """Return a path, or each path of a list, with ``~`` as the home folder: shells leave it in ``--out=~/run``.

    >>> expanded(Path("runs/vae")).as_posix(), expanded("~")
    ('runs/vae', '~')
    """
    if isinstance(value, list):
        return [expanded(item) for item in value]
    return value.expanduser() if isinstance(value, Path) else value


# plain text: typer's other help imports rich.markdown, and takes twice as long to answer
PLAIN: dict[str, Any] = {"cls": Commands, "rich_markup_mode": None, "no_args_is_help": True}

app = App(
    name="mien",
    help="Encode, generate, edit and recognize images with hybrids of VAEs and GANs.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    # 140 seconds of one core, with the drawing of the pictures
    epilog='Start with "mien train vae --data avatars --data-option count=2000 --size 32 --set width=16 --steps 200" '
    '(two minutes or less), or with "mien demo" (longer).',
    **PLAIN,
)
data_app = App(help="Prepare pictures for training.", **PLAIN)
app.add_typer(data_app, name="data", rich_help_panel="Train")


def _version(print_it: bool) -> None:
    if print_it:
        from mien import __version__

        print(f"mien {__version__}")
        raise typer.Exit


def _code(files: list[Path]) -> None:
    """Record the files that may be executed, for this process and those that it starts."""
    if files:
        from mien.own_code import CODE

        paths = [str(path.expanduser().resolve()) for path in files]
        os.environ[CODE] = os.pathsep.join([*paths, *filter(None, [os.environ.get(CODE)])])


@app.callback()
def _options(
    code: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE", help="A Python file with your model or data set; it is executed.", show_default=False
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    _code(code or [])
