"""The command ``mien``: one file for each command, named as the command.

Every file of this folder is imported here, and registers its command by itself. No file imports torch, numpy or another
slow package before its command runs.
"""

from __future__ import annotations

import errno
import importlib
import pkgutil
import sys
from typing import Any

INTERRUPTED = 130  # 128 + SIGINT
BROKEN = 141  # 128 + SIGPIPE

try:
    from mien.cli import terminal
    from mien.cli.app import app
    from mien.errors import MienError, one_line
    from mien.training import stop

    for _file in pkgutil.iter_modules(__path__):
        if _file.name != "__main__":
            importlib.import_module(f"{__name__}.{_file.name}")
except KeyboardInterrupt:  # Ctrl-C before a command has begun
    raise SystemExit(INTERRUPTED) from None

__all__ = ["app", "main"]

# a disk or a folder that cannot be written, a path that cannot be
PLACES = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EPERM)
PATHS = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EIO)


def main() -> None:
    """Run the command line.

    A user's mistake is one line on stderr and exit code 2. An interrupted command ends with 128 + the signal: 130 for
    Ctrl-C, 143 for SIGTERM, 141 if nobody reads its output any more.
    """
    terminal.prepare()
    code = _run()
    if terminal.is_broken():
        code = BROKEN
    sys.exit(code)


def _run() -> Any:
    """Run the command and return its exit code; errors of the user are printed."""
    try:
        with stop.interruptible():
            app()
    except SystemExit as end:
        # typer turns every interrupt into 130
        return _interrupted() if end.code == INTERRUPTED else end.code
    except MienError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return _interrupted()
    except BrokenPipeError:
        return BROKEN
    except OSError as error:
        place = f"{error.filename or 'a file'!s:.200}"
        if error.errno in PLACES:
            return _fail(
                f"{place}: {error.strerror}: make room or choose another place, then run the same command again"
            )
        if error.errno in PATHS:
            return _fail(f"expected a path of a file or a folder, got {place}: {error.strerror}: choose another one")
        return _stopped_or_raise()
    except Exception:
        return _stopped_or_raise()
    return 0


def _stopped_or_raise() -> int:
    """Return the exit code after a signal: a module whose import it ended can raise any error. Else raise the error."""
    if not stop.interrupted():
        raise  # called in an except clause
    return _interrupted()


def _interrupted() -> int:
    if stop.interrupted():  # a training that ended its step says so itself
        print("stopped", file=sys.stderr)
    return stop.exit_code()


def _fail(text: str) -> int:
    print("error: " + one_line(" ".join(text.split())), file=sys.stderr)
    return 2
