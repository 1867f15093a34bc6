"""Make a model that comes with the package from a finished, evaluated run: src/mien/pretrained/NAME/.

The folder holds config.json without paths, weights.safetensors in float16, attribute vectors where the model edits by
them, and the card of the model (card.md, card.json). Run it in the project's own folder.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ship_weights as small

from mien import models, pretrained
from mien.abilities import Decodes, Edits, Encodes, can
from mien.applications.arithmetic import AttributeVectors, Editor
from mien.errors import MienError
from mien.evaluation.result import Evaluation
from mien.evaluation.store import RESULT, read
from mien.evaluation.wording import unit_of
from mien.files import sha256, write_atomically, write_json
from mien.hub import card as cards
from mien.models.base import Model
from mien.run.folder import PROGRESS, WEIGHTS, progress, read_config, read_json
from mien.run.opening import AMOUNTS, STAMP, VECTORS, OpenRun, cached_vectors, open_run
from mien.run.weights import load, save_weights

NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
TOLERANCE = 0.1  # largest difference of pictures in [-1, 1] and of probabilities
SHORTEST_HOST = 6  # letters: a shorter name of a machine can be an ordinary word
ABSOLUTE = re.compile(r"(?<![\w.:/<])(?:~/|/(?:home|root|work|tmp|Users|mnt|data|srv|opt|var|usr|private)/)\S*")
EXAMPLES = """examples:
  python tools/ship.py runs/faces faces-64 --title "Encodes, generates and edits faces of 64 pixels"
  python tools/ship.py runs/faces faces-64 --replace --limit "Hats are drawn as hair."
"""


def ship(
    run: Path,
    name: str,
    title: str = "",
    limits: Sequence[str] = (),
    license: str = "",
    root: Sequence[Path] | None = None,
    replace: bool = False,
) -> tuple[Path, dict[str, Any]]:
    """Make the folder of a shipped model and return it with the card.

    Args:
        run: a finished and evaluated run.
        name: of the model: lower-case letters, digits, ``-`` and ``_``.
        title: one line that says what the model is good for.
        limits: sentences about known limits, beside those that follow from the data.
        license: the license and the allowed use; known for avatars and CelebA.
        root: where the run's data lie now, if they have moved.
        replace: whether an existing model of this name is replaced.

    Raises:
        MienError: an unfinished run, a run without an evaluation of its weights, a name that is taken, a path in a
            file, outputs that differ from the run's, or more than ``mien.pretrained.LIMIT`` bytes in total.
    """
    config, evaluation = check(run, name, replace)
    if not (license := license or cards.LICENSES.get(config["data"]["name"], "")):
        raise MienError(f"expected --license for a model trained on {config['data']['name']}, got none: name its terms")
    model = load(run)
    opened, reason = data_of(run, root)
    vectors = vectors_of(run, model, config, opened, reason)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / name
        omitted = small.training_parts(model)
        weights, kept = small.half(model, omitted)
        save_weights(folder / WEIGHTS, weights)
        digest = sha256(folder / WEIGHTS)
        write_json(folder / "config.json", shipped_config(config, run, omitted, kept))
        write_json(folder / PROGRESS, progress(run))
        if vectors is not None:
            write_vectors(run, folder, vectors, digest)
        agreement = small.agreement(model, load(folder), opened)
        check_agreement(agreement)
        card = {
            "name": name,
            "title": title or cards.title(config),
            "unit": unit_of(config),
            "model": config["model"],
            "abilities": list(models.abilities(config["model"])),
            "editable": editable(model, vectors),
            "license": license,
            "data": {key: config["data"][key] for key in ("name", "size", "options", "split", "counts", "share")},
            "loss_networks": [value for value in config["config"].values() if isinstance(value, Mapping)],
            "training": cards.training_facts(config, progress(run), run),
            "weights": {
                "sha256": digest,
                "bytes": (folder / WEIGHTS).stat().st_size,
                "parameters": sum(value.numel() for value in weights.values()),
                "float32": kept,
                "left_out": omitted,
            },
            "of": {"run": run.resolve().name, "weights_sha256": sha256(run / WEIGHTS)},
            "made_with": config["made_with"],
            "limits": [*limits, *cards.usual_limits(config)],
            "agreement": agreement,
            **cards.measured(evaluation),
            "evaluation": json.loads((run / RESULT).read_text(encoding="utf-8")),
        }
        write_json(folder / pretrained.CARD, card)
        text = cards.text(card)
        write_atomically(folder / pretrained.CARD_TEXT, lambda path: path.write_text(text, encoding="utf-8"))
        check_paths(folder, config)
        check_size(folder, name)
        target = pretrained.FOLDER / name
        if target.exists():
            shutil.rmtree(target)
        shutil.copytree(folder, target)
        for path in target.iterdir():
            path.chmod(0o644)  # safetensors writes files that only their owner can read
    return target, card


def check(run: Path, name: str, replace: bool) -> tuple[dict[str, Any], Evaluation]:
    """Return the configuration and the evaluation of a run that can be shipped."""
    if not NAME.fullmatch(name):
        raise MienError(f"expected a name of lower-case letters, digits, - and _, got '{name}': such as faces-64")
    if name in pretrained.names() and not replace:
        raise MienError(f"expected a new name, got {name}, which is shipped already: pass --replace or another name")
    config = read_config(run)
    if "shipped" in config:
        raise MienError(f"expected a run that was trained here, got {run}, which is a shipped model: pass its run")
    if not progress(run).get("finished"):
        raise MienError(f"expected a finished run, got {run}: run its mien train command again to finish it")
    evaluation = read(run / RESULT)
    if evaluation is None or not evaluation.results:
        raise MienError(f"expected an evaluated run, got {run}: run mien evaluate {run} first")
    if evaluation.weights_sha256 != sha256(run / WEIGHTS):
        raise MienError(f"expected an evaluation of the present weights of {run}, got an older one: evaluate it again")
    return config, evaluation


def data_of(run: Path, root: Sequence[Path] | None) -> tuple[OpenRun | None, str]:
    """Return the run with its data, or None with the reason if the data are not at hand."""
    try:
        return open_run(run, root=list(root) if root else None), ""
    except MienError as error:
        if root:
            raise
        return None, str(error)


def vectors_of(
    run: Path, model: Model, config: Mapping[str, Any], opened: OpenRun | None, reason: str
) -> AttributeVectors | None:
    """Return the attribute vectors of a model that edits by them; None for other models."""
    if can(model, Edits) or not can(model, Encodes, Decodes) or not config["data"]["attributes"]:
        return None
    if (cached := cached_vectors(run)) is not None:
        return cached
    if opened is None:
        raise MienError(f"expected attribute vectors or the data of {run}, got neither ({reason}): pass --root")
    return opened.vectors()


def write_vectors(run: Path, folder: Path, vectors: AttributeVectors, digest: str) -> None:
    """Write attribute vectors, stamped with the hash of the shipped weights, and the amounts that work best."""
    vectors.save(folder / VECTORS)
    values = {"names": vectors.names, "positives": vectors.positives, "negatives": vectors.negatives}
    if amounts := read_json(run / STAMP).get(AMOUNTS):
        values[AMOUNTS] = amounts
    write_json(folder / STAMP, {"weights_sha256": digest, **values})


def editable(model: Model, vectors: AttributeVectors | None) -> list[str]:
    """Return the names of the attributes that the shipped model can change."""
    return list(Editor(model, vectors).names) if vectors is not None or can(model, Edits) else []


def shipped_config(
    config: Mapping[str, Any], run: Path, left_out: Sequence[str], kept: Sequence[str]
) -> dict[str, Any]:
    """Return config.json of a shipped model: without the folders of the data, with what was done to the weights."""
    return {
        **config,
        "data": {**config["data"], "root": None},
        "shipped": {
            "of": {"run": run.resolve().name, "weights_sha256": sha256(run / WEIGHTS)},
            "dtype": "float16",
            "float32": list(kept),
            "left_out": list(left_out),
        },
    }


def check_agreement(agreement: Mapping[str, Any]) -> None:
    """Refuse a model whose outputs differ from the run's."""
    for key, difference in agreement["random_pictures"]["largest_difference"].items():
        if key in small.BOUNDED and not difference <= TOLERANCE:  # true of NaN too
            raise MienError(
                f"expected the run's outputs from float16 weights, got a largest difference of {difference:.3g} of "
                f"{key}: nothing was written; train with smaller weights"
            )


def check_paths(folder: Path, config: Mapping[str, Any]) -> None:
    """Refuse a folder whose files name a path or this machine."""
    roots = config["data"]["root"] or []
    words = [str(Path.home()), *([roots] if isinstance(roots, str) else roots)]
    words += [socket.gethostname()] if len(socket.gethostname()) >= SHORTEST_HOST else []
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        if path.suffix == ".safetensors":  # eight bytes of length, then the header with the metadata
            content = content[8 : 8 + int.from_bytes(content[:8], "little")]
        text = content.decode("utf-8")
        result = [word for word in words if len(word) > 1 and word in text]
        result += [match[0] for match in ABSOLUTE.finditer(text)]
        if result:
            raise MienError(
                f"expected no path and no host name in {path.name}, got {result[0]}: remove it from the run"
            )


def check_size(folder: Path, name: str) -> None:
    """Refuse a model with which all shipped models together are too large."""
    new = sum(path.stat().st_size for path in folder.iterdir())
    total = new + sum(pretrained.size(other) for other in pretrained.names() if other != name)
    if total > pretrained.LIMIT:
        raise MienError(
            f"expected at most {pretrained.LIMIT / 1e6:.0f} MB of shipped models, got {total / 1e6:.1f} MB with {name} "
            f"({new / 1e6:.1f} MB): ship a smaller model or remove another one"
        )


def report(run: Path, folder: Path, card: Mapping[str, Any]) -> str:
    """Return what was shipped in words: sizes and the comparison with the run."""
    name, weights, agreement = card["name"], card["weights"], card["agreement"]
    lines = [
        f"weights: {(run / WEIGHTS).stat().st_size:,} bytes in the run, {weights['bytes']:,} shipped; left out: "
        f"{', '.join(weights['left_out']) or 'nothing'}; in float32: {', '.join(weights['float32']) or 'nothing'}",
    ]
    lines += [f"  {path.name}: {path.stat().st_size:,} bytes" for path in sorted(folder.iterdir())]
    total = sum(pretrained.size(other) for other in pretrained.names())
    lines.append(
        f"{name}: {pretrained.size(name) / 1e6:.2f} MB; all shipped models: {total / 1e6:.2f} MB of "
        f"{pretrained.LIMIT / 1e6:.0f} MB"
    )
    for key, value in agreement["random_pictures"]["largest_difference"].items():
        lines.append(f"largest difference of {key} on {agreement['random_pictures']['n']} random pictures: {value:.2g}")
    if held_out := agreement["held_out"]:
        numbers = ", ".join(f"{k.replace('_', ' ')} {v:.6g}" for k, v in held_out.items() if k != "n")
        lines.append(f"on {held_out['n']} held-out pictures: {numbers}")
    else:
        lines.append("held-out pictures were not compared: the data are not at hand (--root)")
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="a finished and evaluated run")
    parser.add_argument("name", help="the name of the shipped model")
    parser.add_argument("--title", default="", help="one line: what the model is good for")
    parser.add_argument("--limit", action="append", default=[], help="a known limit, one sentence; repeat for each")
    parser.add_argument("--license", default="", help="license and use; known for avatars and celeba")
    parser.add_argument("--root", action="append", type=Path, help="the folder of the data, if it has moved")
    parser.add_argument("--replace", action="store_true", help="replace a shipped model of this name")
    o = parser.parse_args(words)
    try:
        folder, card = ship(o.run, o.name, o.title, o.limit, o.license, o.root, o.replace)
        print(report(o.run, folder, card))
        print("wrote", folder)
    except MienError as error:
        print("error: " + " ".join(str(error).split()), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
