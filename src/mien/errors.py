"""The one family of errors a user can cause: one line that says what was wanted, what came, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MienError(Exception):
    """A mistake in what was asked for or given; the command line prints its line and exits with 2."""


class UnknownName(MienError):
    """A name that is not in a list of known names.

    >>> raise UnknownName("model", "vae_gan", ["vae", "vae_wgan"])
    Traceback (most recent call last):
    ...
    mien.errors.UnknownName: unknown model 'vae_gan': did you mean vae_wgan, vae?
    """

    def __init__(self, kind: str, got: str, known: Iterable[str]):
        known = list(known)
        folded = {name.lower(): name for name in known}
        close = [folded[name] for name in difflib.get_close_matches(got.lower(), list(folded), n=3, cutoff=0.5)]
        if close:
            hint = f"did you mean {', '.join(close)}?"
        elif known:
            hint = f"known are {', '.join(known[:45])}"
        else:
            hint = f"there are no {kind}s here"
        super().__init__(f"unknown {kind} '{got}': {hint}")
