"""The latency of the studio: from the request of a step to the last byte of its preview, in the served page.

    python benchmarks/studio.py        # about a minute: results/studio/latency.json

The server is ``mien studio`` in a process of its own. A visitor opens the packaged portrait and moves sliders one step
after another, as gradio's own page does: a request, the stream of the answer, and the picture. Drawing in the browser
is not in it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import common
import numpy as np

STEPS = 120


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Run the command; yield its address."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    command = [sys.executable, "-m", "mien.cli", "studio", "--no-browser", "--port", str(port)]
    path = os.pathsep.join(filter(None, [str(common.ROOT / "src"), os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path})
    try:
        assert process.stdout is not None
        process.stdout.readline()  # the address, once it serves
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


class Visitor:
    """A visitor without a browser."""

    def __init__(self, url: str, client: Any, name: str):
        self.url, self.client, self.name = url, client, name
        self.config = client.get(f"{url}config").json()
        self.ids = {one["props"].get("elem_id"): one["id"] for one in self.config["components"]}
        self.sliders = [one for one in self.ids if str(one).startswith("slider-")]

    def call(self, element: str, event: str, data: list[Any]) -> list[Any]:
        """Call a handler and return what it answers."""
        target = [self.ids[element], event]
        number = next(one["id"] for one in self.config["dependencies"] if target in map(list, one["targets"]))
        body = {"data": data, "fn_index": number, "session_hash": self.name, "event_data": None}
        self.client.post(f"{self.url}gradio_api/queue/join", json=body).raise_for_status()
        address = f"{self.url}gradio_api/queue/data"
        with self.client.stream("GET", address, params={"session_hash": self.name}) as stream:
            for line in stream.iter_lines():
                message = json.loads(line[5:]) if line.startswith("data:") else {}
                if message.get("msg") == "process_completed":
                    if not message["success"]:
                        raise SystemExit(f"error: the studio refused a step: {message['output']}")
                    answer: list[Any] = message["output"]["data"]
                    return answer
        raise SystemExit("error: the studio ended without an answer")

    def upload(self, file: Path) -> None:
        """Choose a photo."""
        with file.open("rb") as content:
            path = self.client.post(f"{self.url}gradio_api/upload", files={"files": (file.name, content)}).json()[0]
        photo = {"path": path, "orig_name": file.name, "meta": {"_type": "gradio.FileData"}}
        self.call("edit-source", "input", [None, photo])

    def step(self, number: int) -> None:
        """Move one slider and fetch the preview."""
        values = [0.0] * len(self.sliders)
        values[number % 8] = 0.5 + number % 20 / 10
        answer = self.call(self.sliders[number % 8], "input", [None, False, *values])
        picture = self.client.get(self.url.rstrip("/") + urlparse(answer[0][1]["url"]).path)
        if len(picture.content) < 1000:
            raise SystemExit("error: the studio sent no preview")


def summary(what: str, seconds: list[float]) -> dict[str, Any]:
    """Return the quantiles of times."""
    p50, p95 = np.quantile(seconds, [0.5, 0.95])
    return {"what": what, "n": len(seconds), "p50": float(p50), "p95": float(p95), "most": max(seconds)}


def times(count: int, work: Any) -> list[float]:
    """Return the seconds of each of ``count`` calls of work(number)."""
    seconds = []
    for number in range(count):
        start = time.perf_counter()
        work(number)
        seconds.append(time.perf_counter() - start)
    return seconds


def main(argv: list[str] | None = None) -> int:
    """Measure, print, and write results/studio/latency.json."""
    options = common.parse(__doc__, argv, minutes=1)
    import httpx

    from mien import photos

    count = 10 if options.smoke else STEPS
    with tempfile.TemporaryDirectory() as folder, server() as url, httpx.Client(timeout=60) as client:
        file = Path(folder) / "portrait.jpg"
        photos.save_photo(photos.portrait(), file)
        visitor = Visitor(url, client, "visitor")
        visitor.upload(file)  # loads dlib
        visitor.step(0)

        rows = [
            summary("a step of a slider, with its preview", times(count, visitor.step)),
            summary(
                "a photo of 512 × 512 pixels: read, faces found", times(count // 10, lambda _: visitor.upload(file))
            ),
        ]
    about = f"load average of the machine while it was measured: {os.getloadavg()[0]:.1f}."
    result = {"machine": common.machine("cpu"), "about": about, "latencies": rows}
    print(json.dumps(result, indent=2))
    if options.out is not None:
        from mien.files import write_json

        write_json(common.ROOT / "results" / "studio" / "latency.json", result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
