"""The errors that a user can cause. Each message is one line: what was expected, what came, and what to do."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable

SHOWN = 200  # characters of an unknown name in a message
BREAKS = ("Cc", "Cs", "Zl", "Zp")  # Unicode categories of control characters, half characters and line separators


def one_line(text: str) -> str:
    """Return a text in which control characters and line breaks are escaped, for a line of a terminal.

    Names of files and values of tables can hold anything, such as codes that clear the screen.

    >>> one_line("a\\x1b[2Jb\\n")
    'a\\\\x1b[2Jb\\\\n'
    """
    if text.isprintable():
        return text
    return "".join(ascii(c)[1:-1] if unicodedata.category(c) in BREAKS else c for c in text)


class MienError(Exception):
    """A mistake in the user's request or input. The command prints the message, one line, and exits with code 2."""

    def __str__(self) -> str:
        return one_line(super().__str__())


class MienWarning(UserWarning):
    """Something a user should know that stops nothing. The command prints it as one line."""

    def __str__(self) -> str:
        return one_line(super().__str__())


class RangeWarning(MienWarning):
    """Pictures that seem to be in [0, 1] where [-1, 1] is expected."""


class UnknownName(MienError):
    """A name that does not exist. The message suggests the nearest names.

    Args:
        kind: what the name stands for, such as ``model``.
        got: the unknown name.
        known: the names that exist.

    >>> raise UnknownName("model", "vae_gan", ["vae", "vae_wgan"])
    Traceback (most recent call last):
    ...
    mien.errors.UnknownName: unknown model 'vae_gan': did you mean vae_wgan, vae?
    """

    def __init__(self, kind: str, got: str, known: Iterable[str]):
        names, got = list(known), got if len(got) <= SHOWN else f"{got[:SHOWN]}…"
        lower = {name.lower(): name for name in names}
        close = [lower[name] for name in difflib.get_close_matches(got.lower(), list(lower), n=3, cutoff=0.5)]
        if close:
            hint = f"did you mean {', '.join(close)}?"
        elif names:
            hint = f"known are {', '.join(names[:45])}"
        else:
            hint = f"there are no {kind}s here"
        super().__init__(f"unknown {kind} '{got}': {hint}")
