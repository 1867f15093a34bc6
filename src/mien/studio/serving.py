"""Serving the studio: to this machine, without telemetry, with limits, and with no files left at the end."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import socket
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mien.errors import MienError
from mien.studio.runs import Served

MOST_BYTES = "40mb"  # of an upload; mien's reader refuses more than 64 megapixels
WAITING = 64  # events in the queue; further ones get a message
VISITORS = 500  # whose states are held
OFFLINE = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "GRADIO_NODE_PATH": "",
}


def check_gradio() -> None:
    """Check that gradio is installed, without importing it.

    Raises:
        MienError: it is not.
    """
    if importlib.util.find_spec("gradio") is None:
        raise MienError('expected gradio for the studio, got no such package: pip install "mien[studio]"')


def check_port(host: str, port: int) -> None:
    """Check that a server can listen.

    Raises:
        MienError: another program listens there, or the host is not of this machine.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family) as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind((host, port))
    except OSError as error:
        reason = error.strerror or error
        raise MienError(f"expected a free port, got {host}:{port}: {reason}: pass another --port or --host") from None


@contextlib.contextmanager
def served(runs: Sequence[Served], host: str = "127.0.0.1", port: int = 7860, browser: bool = False) -> Iterator[str]:
    """Serve the studio while a block runs; yield its address.

    Args:
        runs: from :func:`mien.studio.runs.serve`.
        host: of this machine.
        port: to listen on.
        browser: whether a browser is opened.

    Raises:
        MienError: the port is not free, or no panel fits the runs.
    """
    check_port(host, port)
    root = Path(tempfile.mkdtemp(prefix="mien-studio-"))  # readable by this user only
    before = {name: os.environ.get(name) for name in (*OFFLINE, "GRADIO_TEMP_DIR")}
    os.environ.update({**OFFLINE, "GRADIO_TEMP_DIR": str(root)})
    page: Any = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of gradio's own code
            from mien.studio.look import CSS, HEAD, theme
            from mien.studio.page import build

            page = build(runs, root)
            page.queue(default_concurrency_limit=4, max_size=WAITING, api_open=False)
            page.launch(
                server_name=host,
                server_port=port,
                inbrowser=browser,
                prevent_thread_lock=True,
                quiet=True,
                share=False,
                show_error=False,
                max_file_size=MOST_BYTES,
                state_session_capacity=VISITORS,
                enable_monitoring=False,
                ssr_mode=False,
                pwa=False,
                mcp_server=False,
                run_history=False,
                footer_links=[],
                theme=theme(),
                css=CSS,
                head=HEAD,
            )
        yield f"http://{host}:{port}/"
    finally:
        if page is not None:
            page.close(verbose=False)
        shutil.rmtree(root, ignore_errors=True)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
