"""Golden files: the first losses of every model, and the names and shapes of its weights.

    python tests/golden.py             adds the entries of models that have none
    python tests/golden.py NAME ...    writes the entries of these models anew

``golden.json`` holds the terms of the first training step of each tiny model: a change of a loss by mistake changes
them. ``golden_weights.txt`` holds a line "model weight shape" for each of its weights, which are the content of
weights.safetensors: a change by mistake would close the runs of today. Entries of other models stay byte for byte as
they are. Write an entry anew only when a loss or the weights are meant to change, and give the reason in the commit.

pytest-regressions does not replace this file: it compares numbers within a tolerance only through pandas, which is no
dependency of this project, and the first run of a test records its value.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from lightning_fabric import Fabric

from conftest import batch_of, tiny
from mien import models
from mien.training.update import Update

LOSSES, WEIGHTS = (Path(__file__).with_name(name) for name in ("golden.json", "golden_weights.txt"))


def first_step(model) -> dict[str, float]:
    """The terms of the first training step; for a model with several stages, of each stage."""
    model.train()
    model.calibrate(batch_of())
    update = Update(model, Fabric(accelerator="cpu", devices=1))
    torch.manual_seed(0)
    for progress in model.stages:
        model.progress = progress
        model.training_step(batch_of(), update)
    return {k: float(v) for k, v in update.terms.items()}


def names_and_shapes(model) -> list[str]:
    """One line "model weight shape" for each weight of a model."""
    return [f"{model.name} {key} {'x'.join(map(str, value.shape))}" for key, value in model.state_dict().items()]


def losses(name: str, path: Path = LOSSES) -> dict[str, float]:
    """The golden terms of a model.

    Raises:
        LookupError: without an entry; its message has the command that adds one.
    """
    stored = json.loads(path.read_text(encoding="utf-8"))
    if name not in stored:
        raise LookupError(f"expected an entry of {name} in tests/{path.name}, got none: run python tests/golden.py")
    return stored[name]


def weights(name: str, path: Path = WEIGHTS) -> list[str]:
    """The golden lines of a model's weights.

    Raises:
        LookupError: without a line; its message has the command that adds them.
    """
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.split()[0] == name]
    if not lines:
        raise LookupError(f"expected lines of {name} in tests/{path.name}, got none: run python tests/golden.py")
    return lines


def write(anew: Sequence[str] = (), losses_path: Path = LOSSES, weights_path: Path = WEIGHTS) -> list[str]:
    """Write the entries of models without one, and of the models ``anew``; return the models whose entries changed.

    Entries of models that exist no longer are removed.
    """
    stored = json.loads(losses_path.read_text(encoding="utf-8")) if losses_path.exists() else {}
    lines = weights_path.read_text(encoding="utf-8").splitlines() if weights_path.exists() else []
    by_model = {name: [line for line in lines if line.split()[0] == name] for name in models.names()}
    written = [n for n in models.names() if n in anew or n not in stored or not by_model[n]]
    for name in written:
        stored[name] = first_step(tiny(name))
        by_model[name] = names_and_shapes(tiny(name))
    losses_path.write_text(json.dumps({n: stored[n] for n in models.names()}, indent=2) + "\n", encoding="utf-8")
    weights_path.write_text("\n".join(line for n in models.names() for line in by_model[n]) + "\n", encoding="utf-8")
    return written


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="NAME")
    anew = parser.parse_args().models
    for name in anew:
        models.check_name(name)
    print("wrote the entries of", ", ".join(write(anew)) or "no model: none is missing")
