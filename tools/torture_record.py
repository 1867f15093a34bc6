"""The stored results of `make torture`: one JSON file for each tool in results/torture/, with commit and machine."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "results" / "torture"


def machine() -> dict[str, Any]:
    """Return the machine, the versions and the commit, as the benchmarks store them."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import common

        about: dict[str, Any] = common.machine("cpu")
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))
    return about


@dataclass
class Record:
    """The record of one campaign. Make it before the campaign: it notes the commit and starts the clock.

    Args:
        name: of the file in results/torture/, without its suffix.
    """

    name: str
    about: dict[str, Any] = field(default_factory=machine)
    start: float = field(default_factory=time.monotonic)

    def store(self, values: Mapping[str, Any]) -> Path:
        """Write the results of the campaign, with its duration in seconds; return the path of the file."""
        from mien.files import write_json

        path = FOLDER / f"{self.name}.json"
        write_json(path, {"machine": self.about, "seconds": round(time.monotonic() - self.start), **values})
        return path
