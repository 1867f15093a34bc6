"""A stop on request: Ctrl-C and SIGTERM end a training after the step, with a checkpoint."""

from __future__ import annotations

import signal
import threading
from typing import Any


class Stop:
    """Turns Ctrl-C and SIGTERM into a request to stop after the step; a second signal stops at once."""

    def __init__(self) -> None:
        self.requested = False
        self.previous: dict[int, Any] = {}  # handlers by signal

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self.previous[number] = signal.signal(number, self._receive)
        return self

    def _receive(self, number: int, frame: object) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True

    def __exit__(self, *exception: object) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)
