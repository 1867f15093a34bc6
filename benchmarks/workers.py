"""Processes that answer requests, for subjects of other environments and for measurements of memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

# no import of torch or mien, because workers of other environments import this file


class Worker:
    """A process that answers requests, one JSON line for one JSON line; see :func:`serve`.

    Args:
        command: what to run.
        environment: variables that differ from this process's.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None):
        self.process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
        )

    def __call__(self, what: str, **values: Any) -> dict[str, Any]:
        """Ask for ``what`` and return the answer.

        Raises:
            RuntimeError: if the worker ended; its own message is on stderr.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps({"what": what, **values}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise RuntimeError(f"the worker ended at '{what}' with code {self.process.wait()}")
        return json.loads(line)

    def subject(self, what: str, **values: Any) -> Callable[[], float]:
        """Return a request as a subject of :func:`interleave`; the worker answers with its ``seconds``."""
        return lambda: self(what, **values)["seconds"]

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *exception: object) -> None:
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def serve(handlers: Mapping[str, Callable[..., dict[str, Any]]]) -> None:
    """Answer requests on stdin until it ends; other output goes to stderr."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        request = json.loads(line)
        answers.write(json.dumps(handlers[request.pop("what")](**request)) + "\n")
        answers.flush()


def peak_megabytes() -> float:
    """Return the peak of memory of this process in MB."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
