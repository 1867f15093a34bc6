"""Every failure is one sentence on the page."""

from __future__ import annotations

import functools
import html
import sys
from collections.abc import Callable
from typing import Any

import gradio as gr

from mien.errors import MienError, one_line

SECONDS = 15  # that a message stays


def sentence(error: Exception) -> str:
    """Return an error as one line of HTML; an error of the code has its class in it.

    >>> sentence(MienError("expected <1>, got 2"))
    'expected &lt;1&gt;, got 2'
    """
    text = one_line(" ".join(str(error).split()))
    if not isinstance(error, MienError):
        text = f"the studio failed ({type(error).__name__}: {text}): this is a mistake in mien, please report it"
        print(f"error: {text}", file=sys.stderr)
    return html.escape(text, quote=False)


def as_error(error: Exception) -> gr.Error:
    """Return the error that shows the sentence on the page."""
    return gr.Error(sentence(error), duration=SECONDS, title="Not done", print_exception=False)


def sentences(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a handler whose errors are sentences on the page, and never a traceback."""

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        """Call the handler; raise a gr.Error with one sentence for every other error."""
        try:
            return function(*arguments)
        except gr.Error:
            raise
        except Exception as error:
            raise as_error(error) from None

    return call
