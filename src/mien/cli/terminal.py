"""The terminal: any encoding, closed streams and pipes, and no escape sequences of names in what is printed."""

from __future__ import annotations

import codecs
import functools
import os
import sys
from typing import TYPE_CHECKING, Any

from mien.errors import one_line
from mien.training import stop

if TYPE_CHECKING:
    from rich.console import Console

ERRORS = "mien"  # the name of the codec error handler
# for terminals whose encoding lacks a character
_PLAIN = {"…": "...", "–": "-", "—": "-", "−": "-", "→": "->", "≥": ">=", "≤": "<=", "×": "x", "·": "*", "²": "2"}


def prepare() -> None:
    """Make stdout and stderr writable: a closed one is discarded, and a character that it lacks is replaced."""
    codecs.register_error(ERRORS, _replaced)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the shell: mien models >&-
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=ERRORS)


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_PLAIN.get(character) or ascii(character)[1:-1] for character in text), error.end


def is_broken() -> bool:
    """Flush stdout and return whether its reader has ended; what follows is discarded then."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        discard(sys.stdout)
        return True
    except (OSError, ValueError):  # a full disk, or a closed stream
        discard(sys.stdout)
    # click replaces a broken stdout by this class, and ends with the code 1
    return type(sys.stdout).__name__ == "PacifyFlushWrapper"


def discard(stream: Any) -> None:
    """Let the descriptor of a stream lead to nowhere, so that nothing fails when Python flushes it at its end."""
    try:
        number = stream.fileno()
    except (OSError, ValueError, AttributeError):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)


def console(stderr: bool = False) -> Console:
    """Return a console on stdout or stderr that escapes control characters and ends the command on a broken pipe."""
    terminal: Console = _class()(stderr=stderr)
    return terminal


@functools.cache
def _class() -> Any:
    from rich.console import Console, RenderHook
    from rich.control import Control
    from rich.segment import Segment

    class Escaped:
        """A renderable whose text has no control characters: those of names could clear the screen, or worse."""

        def __init__(self, renderable: Any):
            self.renderable = renderable

        def __rich_console__(self, console: Any, options: Any) -> Any:
            for segment in console.render(self.renderable, options):
                lines = segment.text.split("\n")
                clean = segment.control or all(line.isprintable() for line in lines)
                yield segment if clean else Segment("\n".join(map(one_line, lines)), segment.style)

    class Hook(RenderHook):
        def process_renderables(self, renderables: Any) -> Any:
            return [one if isinstance(one, Control) else Escaped(one) for one in renderables]

    class Terminal(Console):
        def __init__(self, **options: Any):
            super().__init__(**options)
            self.push_render_hook(Hook())

        def on_broken_pipe(self) -> None:
            """Discard what follows and ask for the end; rich would exit at once, and a training would be lost."""
            self.quiet = True
            discard(self.file)
            stop.broken_pipe()

    return Terminal
