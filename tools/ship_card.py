"""The card of a model to ship: the same facts as JSON for programs and as text for people."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mien import models
from mien.evaluation.result import Evaluation
from mien.models.base import FROM_DATA, arguments
from mien.training import logs

MAIN = 4  # rows that `mien pretrained` shows
SKIP = ("step", "gradient_norm", "lr_factor", "images_per_second", "data_share")  # of a record of the log: no losses
# settings of the training, and their defaults on the command line
OPTIONS = {"batch": 64, "seed": 0, "precision": "fp32", "flip": 0.0, "ema": 0.0}


def command(config: Mapping[str, Any]) -> str:
    """Return the command that trains the run of a config.json again; FOLDER stands for the folders of the data."""
    data, training = config["data"], config["training"]
    words = ["mien", "train", config["model"], "--data", data["name"], "--size", str(data["size"])]
    roots = data["root"] if isinstance(data["root"], list) else [data["root"]]
    words += [word for root in roots if root is not None for word in ("--root", "FOLDER")]
    words += [w for key, v in data["options"].items() if v is not None for w in ("--data-option", f"{key}={_text(v)}")]
    if data["share"] != [1, 1]:
        words += ["--share", "/".join(map(str, data["share"]))]
    for key, option in (("split_seed", "--split-seed"), ("count", "--count")):
        words += [option, str(data[key])] if data.get(key) else []
    for key, parameter in arguments(config["model"]).items():
        value = config["config"].get(key)
        if key in FROM_DATA or value is None:
            continue
        if isinstance(value, Mapping):  # a loss network
            words += [] if value["source"] == "vgg19" else ["--set", f"{key}=runs/{value['source']}"]
        elif _text(value) != _text(parameter.default):
            words += ["--set", f"{key}={_text(value)}"]
    words += ["--steps", str(training["steps"])]
    for key, default in OPTIONS.items():
        words += [] if training.get(key, default) == default else [f"--{key}", _text(training[key])]
    return shlex.join(words)


def _text(value: Any) -> str:
    """Return a value as it is written on the command line."""
    if isinstance(value, list | tuple):
        return ",".join(map(_text, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def training_facts(config: Mapping[str, Any], progress: Mapping[str, Any], run: Path) -> dict[str, Any]:
    """Return how long a run was trained and with which command."""
    training, pictures = config["training"], config["data"]["counts"]["train"]
    calls = progress["step"] * training["batch"]
    records = [record for record in logs.read(run) if "images_per_second" in record]
    last = records[-1] if records else {}
    return {
        "command": command(config),
        "steps": progress["step"],
        "batch": training["batch"],
        "pictures_seen": calls,
        "passes": round(calls / pictures, 2),
        "seconds": progress["seconds"],
        "device": training["device"],
        "last_losses": {key: value for key, value in last.items() if key not in SKIP},
    }


def measured(evaluation: Evaluation) -> dict[str, Any]:
    """Return the rows of an evaluation, the most important of them, and the table by attribute."""
    rows = [{"label": row.heading.strip(), "value": row.text, "how": row.how} for row in evaluation.rows()]
    leading = [row for row in evaluation.rows() if row.better and not row.indented][:MAIN]
    main = [{"label": row.label, "value": row.text, "how": row.how} for row in leading] or rows[:MAIN]
    return {"main": main, "rows": rows, "by_attribute": evaluation.cells()}


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """Return rows of text cells as a Markdown table."""
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def text(card: Mapping[str, Any]) -> str:
    """Return a card as Markdown."""
    parts = [f"# {card['name']}", f"{card['title'].rstrip('.')}.", _facts(card), "## Measured", _measured(card)]
    if card["by_attribute"]:
        parts += ["By attribute:", table(card["by_attribute"])]
    parts += ["## Float16 against the run", _agreement(card)]
    parts += ["## Limits", "\n".join(f"- {limit}" for limit in card["limits"]), "## Use", _use(card)]
    return "\n\n".join(parts) + "\n"


def _facts(card: Mapping[str, Any]) -> str:
    data, training, weights = card["data"], card["training"], card["weights"]
    options = "".join(f", {key}={_text(value)}" for key, value in data["options"].items())
    counts = data["counts"]
    lines = [
        f"- **Model**: `{card['model']}`, {models.describe(card['model']).partition(':')[2].strip()} "
        f"Abilities: {', '.join(card['abilities']).lower()}.",
        f"- **Data**: {data['name']} at {data['size']} px{options}; {counts['train']:,} training pictures, "
        f"{counts['valid']:,} for validation, {counts['test']:,} held out ({data['split']} split).",
        f"- **Training**: {training['steps']:,} steps of {training['batch']} pictures, {training['pictures_seen']:,} "
        f"pictures in all ({training['passes']:g} passes), {training['seconds'] / 60:.0f} minutes on "
        f"{training['device']}, with "
        f"`{training['command']}`",
        f"- **License and use**: {card['license']}",
        f"- **Weights**: float16, {weights['bytes']:,} bytes, {weights['parameters']:,} numbers, SHA-256 "
        f"`{weights['sha256']}`",
    ]
    for network in card["loss_networks"]:
        lines.insert(4, f"- **Loss network**: {network['source']}, SHA-256 of its weights `{network['sha256']}`")
    if weights["left_out"]:
        lines.append(
            f"- **Left out**: {', '.join(f'`{part}`' for part in weights['left_out'])}. Only training needs these "
            "weights, so the model cannot be trained further."
        )
    return "\n".join(lines)


def _measured(card: Mapping[str, Any]) -> str:
    evaluation = card["evaluation"]
    judge = evaluation.get("judge")
    by = f" Judge: {judge['run']} (SHA-256 `{judge['weights_sha256']}`)." if judge else ""
    words = (
        f"On {evaluation['data']['test']:,} held-out pictures of {evaluation['data']['name']} at "
        f"{evaluation['data']['size']} px, with the float32 weights of the run.{by}"
    )
    rows = [{"measure": row["label"], "value": row["value"], "how": row["how"]} for row in card["rows"]]
    return f"{words}\n\n{table(rows)}"


def _agreement(card: Mapping[str, Any]) -> str:
    random, held_out = card["agreement"]["random_pictures"], card["agreement"]["held_out"]
    rows = [{"output": key, "largest difference": f"{v:.2g}"} for key, v in random["largest_difference"].items()]
    parts = [f"On {random['n']} random pictures:", table(rows)]
    if held_out:
        numbers = "; ".join(f"{key.replace('_', ' ')} {v:.6g}" for key, v in held_out.items() if key != "n")
        parts.append(f"On {held_out['n']:,} held-out pictures: {numbers}.")
    return "\n\n".join(parts)


def _use(card: Mapping[str, Any]) -> str:
    name, has = card["name"], set(card["abilities"])
    edits = card["editable"]
    amount = "Smiling" if "Smiling" in edits else next(iter(edits), "")
    lines = [f"mien generate {name} -n 16"] if "Generates" in has else []
    lines += [f"mien reconstruct {name} me.jpg"] if {"Encodes", "Decodes"} <= has else []
    lines += [f"mien edit {name} me.jpg {amount}=+1"] if amount else []
    lines += [f"mien recognize {name} me.jpg"] if "Recognizes" in has else []
    return "\n".join(["```sh", *lines, "```"])
