"""Reading of whole files: only regular ones, opened once, and only up to a limit of size."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

from mien.errors import MienError

MEGABYTE = 2**20
RATIO = 200  # largest ratio of content to compressed bytes; pictures and arrays of data sets have less than 20
LARGEST_TABLE = 512 * MEGABYTE
SMALL = 64 * MEGABYTE  # content of any ratio up to this size is read


class BadFile(MienError):
    """A file cannot be read; the message is the reason."""


def read_regular(path: str | os.PathLike[str], limit: int) -> bytes:
    """Return the content of a file.

    A named pipe would wait forever and a device may never end, so only regular files are read (links to them too).

    Args:
        path: the file.
        limit: largest size in bytes.

    Raises:
        BadFile: no such file, a folder, a pipe or a device, a file above the limit, or one that cannot be read.
    """
    try:
        # without O_NONBLOCK, opening a pipe waits for its other end
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise BadFile("no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        if Path(path).is_dir():
            raise BadFile("a folder, not a file") from None
        raise BadFile(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    try:
        state = os.fstat(descriptor)
        if stat.S_ISDIR(state.st_mode):
            raise BadFile("a folder, not a file")
        if not stat.S_ISREG(state.st_mode):
            raise BadFile("a pipe or a device, not a regular file")
        if state.st_size > limit:
            raise BadFile(_too_large(state.st_size, limit))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(limit + 1)  # the file may grow while it is read
    except OSError as error:
        raise BadFile(f"cannot be read: {error.strerror or error}") from None
    finally:
        os.close(descriptor)
    if len(data) > limit:
        raise BadFile(_too_large(len(data), limit))
    return data


def open_text(path: Path) -> io.StringIO:
    """Return the lines of a table in UTF-8, with or without a byte-order mark.

    Raises:
        MienError: the file cannot be read, or is not in UTF-8; the message names it.
    """
    try:
        return io.StringIO(read_regular(path, LARGEST_TABLE).decode("utf-8-sig"), newline=None)
    except BadFile as error:
        raise MienError(f"{path}: {error}") from None
    except UnicodeDecodeError as error:
        raise MienError(
            f"{path.name}: expected text in UTF-8, got other bytes at {error.start:,}: convert it"
        ) from None


def whole_number(text: str, limit: int = 2**62) -> int | None:
    """Return a number of decimal digits; None for another text, or a number above the limit.

    ``str.isdigit`` also accepts digits that ``int`` does not, such as ².

    >>> whole_number("0042"), whole_number("²"), whole_number("-1"), whole_number("9" * 25)
    (42, None, None, None)
    """
    if not text.isascii() or not text.isdigit() or len(text.lstrip("0")) > 19:
        return None
    number = int(text)
    return number if number <= limit else None


def check_regular(path: Path) -> None:
    """Raise BadFile unless a path is a regular file; for readers that open the path themselves."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise BadFile("no such file") from None
    except (OSError, ValueError) as error:
        raise BadFile(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not stat.S_ISREG(mode):
        raise BadFile("a folder, not a file" if stat.S_ISDIR(mode) else "a pipe or a device, not a regular file")


def check_content(size: int, compressed: int, limit: int) -> None:
    """Check that compressed bytes hold a plausible content before it is unpacked into memory.

    A file of 19 MB can hold 4 GB of zeros.

    Args:
        size: bytes of the content, as the file claims.
        compressed: bytes in the file.
        limit: largest size of the content in bytes.

    Raises:
        BadFile: the content is above the limit, or so large for its compressed bytes that it is no real data.
    """
    if size > limit:
        raise BadFile(_too_large(size, limit))
    if size > SMALL and size > RATIO * max(compressed, 1):
        raise BadFile(
            f"{size / MEGABYTE:,.0f} MB are compressed to {compressed / MEGABYTE:.1f} MB, more than {RATIO} to 1: "
            "this is no real data"
        )


def _too_large(size: int, limit: int) -> str:
    return f"expected at most {limit // MEGABYTE:,} MB, got {size / MEGABYTE:,.0f} MB"
