"""The command ``mien``: one file for each command, named as the command.

Every file of this folder is imported here, and registers its command by itself. No file imports torch, numpy or another
slow package before its command runs.
"""

from __future__ import annotations

import errno
import importlib
import pkgutil
import sys

from mien.cli.app import app
from mien.errors import MienError
from mien.training import stop

__all__ = ["app", "main"]

INTERRUPTED = 130  # 128 + SIGINT

for _file in pkgutil.iter_modules(__path__):
    if _file.name != "__main__":
        importlib.import_module(f"{__name__}.{_file.name}")


def main() -> None:
    """Run the command line.

    A user's mistake is one line on stderr and exit code 2. An interrupted command ends with 128 + the signal: 130 for
    Ctrl-C, 143 for SIGTERM.
    """
    try:
        with stop.interruptible():
            app()
    except SystemExit as end:
        # typer turns every interrupt into 130
        sys.exit(stop.exit_code() if end.code == INTERRUPTED else end.code)
    except MienError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        sys.exit(stop.exit_code())
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise
        place = error.filename or "a file"
        _fail(f"{place}: {error.strerror}: make room or choose another place, then run the same command again")


def _fail(text: str) -> None:
    print("error: " + " ".join(text.split()), file=sys.stderr)
    sys.exit(2)
