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

__all__ = ["app", "main"]

for _file in pkgutil.iter_modules(__path__):
    if _file.name != "__main__":
        importlib.import_module(f"{__name__}.{_file.name}")


def main() -> None:
    """Run the command line; a user's mistake is one line on stderr and exit code 2."""
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
        place = error.filename or "a file"
        _fail(f"{place}: {error.strerror}: make room or choose another place, then run the same command again")


def _fail(text: str) -> None:
    print("error: " + " ".join(text.split()), file=sys.stderr)
    sys.exit(2)
