"""Writes golden.json and golden_weights.txt: run it when a loss or the weights of a model are meant to change, and
say in the commit why they did and how runs trained before still open."""

import json
from pathlib import Path

from conftest import tiny
from mien import models

if __name__ == "__main__":
    path = Path(__file__).parent / "golden.json"
    if not path.exists():
        path.write_text("{}")
    weights = path.with_name("golden_weights.txt")
    if not weights.exists():
        weights.write_text("")
    from test_models import first_step, names_and_shapes

    path.write_text(json.dumps({name: first_step(tiny(name)) for name in models.names()}, indent=2) + "\n")
    weights.write_text("\n".join(line for name in models.names() for line in names_and_shapes(tiny(name))) + "\n")
