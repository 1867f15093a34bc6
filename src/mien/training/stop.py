"""Signals: Ctrl-C and SIGTERM interrupt a command; a training first ends its step and saves."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
PIPE = 13  # SIGPIPE, which Windows lacks: the reader of stdout has ended
AGAIN = 0.05  # seconds until a lost interrupt is sent again
_last = 0  # the signal that interrupted the present command, 0 before one
_raised = False  # whether it ended the command at once
_training: Stop | None = None  # that takes the signals now


def exit_code() -> int:
    """Return the exit code of an interrupted command: 128 + the signal, as shells count; 130 without a known signal.

    >>> with interruptible():
    ...     exit_code()  # no signal came
    130
    """
    return 128 + (_last or signal.SIGINT)


def interrupted() -> bool:
    """Return whether a signal has ended the present command at once, without a step and a checkpoint."""
    return _raised


def broken_pipe() -> None:
    """End the command because nobody reads its output; a training ends its step and saves.

    Raises:
        KeyboardInterrupt: no training is running.
    """
    global _last
    _last = PIPE
    if _training is None:
        raise KeyboardInterrupt
    _training.signal = _training.signal or PIPE


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGTERM as on Ctrl-C, so that files are closed; :func:`exit_code` knows the signal."""

    global _last, _raised
    _last, _raised = 0, False  # a signal of an earlier command in this process does not count

    def interrupt(number: int, frame: object) -> None:
        global _last, _raised
        _last, _raised = number, True
        raise KeyboardInterrupt

    def lost(error: Any) -> None:
        """Send an interrupt again that Python dropped, because it came in a destructor or a callback."""
        if issubclass(error.exc_type, KeyboardInterrupt) and _last in SIGNALS:
            again = threading.Timer(AGAIN, os.kill, (os.getpid(), _last))
            again.daemon = True
            again.start()
        else:
            hook(error)

    previous, hook = _install(interrupt), sys.unraisablehook
    sys.unraisablehook = lost
    try:
        yield
    finally:
        sys.unraisablehook = hook
        _restore(previous)


class Stop:
    """Turns Ctrl-C and SIGTERM into a request to stop after the step; a second signal stops at once.

    Attributes:
        signal: the number of the signal that was received, 0 before one.
    """

    def __init__(self) -> None:
        self.signal = 0
        self.previous: dict[int, Any] = {}  # handlers by signal

    def __enter__(self) -> Stop:
        global _training
        self.previous = _install(self._receive)
        _training = self
        return self

    def _receive(self, number: int, frame: object) -> None:
        global _last
        _last = number
        if self.signal:  # the earlier handler ends the command
            _restore(self.previous)
            os.kill(os.getpid(), number)
        self.signal = number

    def __exit__(self, *exception: object) -> None:
        global _training
        _training = None
        _restore(self.previous)


def _install(handler: Any) -> dict[int, Any]:
    """Set the handler of both signals and return the earlier ones; only the main thread may set handlers."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {number: signal.signal(number, handler) for number in SIGNALS}


def _restore(handlers: dict[int, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
