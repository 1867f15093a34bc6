"""The command ``mien``. Nothing here imports torch before a command needs it."""

from __future__ import annotations

import errno
import os
import sys
import types
from typing import Any

from mien.cli import (
    compare,
    datasets,
    demo,
    evaluate,
    explore,
    export,
    maps,
    models,
    recognize,
    show,
    similarity,
    synthesize,
    train,
    use,
)
from mien.cli.app import app
from mien.errors import MienError

__all__ = [
    "app",
    "compare",
    "datasets",
    "demo",
    "evaluate",
    "explore",
    "export",
    "main",
    "maps",
    "models",
    "recognize",
    "show",
    "similarity",
    "synthesize",
    "train",
    "use",
]

PANELS = ("Train", "Use a run", "Explore a run", "Measure", "Look up")
LAST = ("recognize", "export")  # of their panel; the others stand as they are written


def _place(command: Any) -> tuple[int, int]:
    name = command.name or command.callback.__name__
    return PANELS.index(str(command.rich_help_panel)), LAST.index(name) + 1 if name in LAST else 0


app.registered_commands.sort(key=_place)


def main() -> None:
    """Run the command line; a user's mistake is one line on stderr and exit code 2."""
    # no dependency reports home
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    _hurry_help()
    try:
        app()
    except MienError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        sys.exit(130)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise
        _fail(
            f"{error.filename or 'a file'}: {error.strerror}: make room or choose another place, then run the same command again"
        )


def _hurry_help() -> None:
    """Spare ``--help`` the import of rich's Markdown, a fifth of its time, which Typer imports and never uses here."""
    asked = len(sys.argv) == 1 or {"-h", "--help"} & set(sys.argv)
    if asked and "rich.markdown" not in sys.modules:
        stand_in = types.ModuleType("rich.markdown")
        stand_in.Markdown = type("Markdown", (), {})  # type: ignore[attr-defined]
        sys.modules["rich.markdown"] = stand_in  # the process ends with the help


def _fail(text: str) -> None:
    print("error: " + " ".join(text.split()), file=sys.stderr)
    sys.exit(2)
