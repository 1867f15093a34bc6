"""The card of a model: the same facts as JSON for programs and as text for people.

Models that come with the package and models that are saved for the Hub have the same card. The part for the Hub, YAML
before the text, is written by :func:`metadata`.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mien import models
from mien.evaluation.result import Evaluation
from mien.evaluation.wording import SAMPLES, of_signals, size_text, unit_of
from mien.models.base import FROM_DATA, arguments
from mien.training import logs

LICENSES = {
    "avatars": "Apache License 2.0, as mien.",
    "celeba": "For research. Trained on CelebA, for non-commercial research use only.",
}
"""The license and use of models, by the data set that they were trained on."""
# the names of licenses on the Hub; "other" needs a name and a link
_IDS: dict[str, dict[str, str]] = {
    "avatars": {"license": "apache-2.0"},
    "celeba": {
        "license": "other",
        "license_name": "celeba-non-commercial-research",
        "license_link": "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
    },
}
_TASKS = (  # of pictures; the Hub has no such tasks of signals
    ("Recognizes", "image-classification"),
    ("Edits", "image-to-image"),
    ("Generates", "unconditional-image-generation"),
)
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
    """Return a card as Markdown. A card without a training, an evaluation or a comparison lacks these sections."""
    parts = [f"# {card['name']}", f"{card['title'].rstrip('.')}.", _facts(card)]
    if card["evaluation"]:
        parts += ["## Measured", _measured(card)]
    if card["by_attribute"]:
        parts += ["By attribute:", table(card["by_attribute"])]
    if card["agreement"]:
        parts += ["## Float16 against the run", _agreement(card)]
    parts += ["## Limits", "\n".join(f"- {limit}" for limit in card["limits"]), "## Use", _use(card)]
    return "\n\n".join(parts) + "\n"


def metadata(card: Mapping[str, Any]) -> str:
    """Return the YAML that the Hub reads before the text of a card: license, library, tags, data set, task.

    >>> print(metadata({"model": "vae", "abilities": ["Encodes", "Generates"], "data": {"name": "avatars"}}))
    ---
    license: "apache-2.0"
    library_name: "mien"
    pipeline_tag: "unconditional-image-generation"
    tags:
    - "mien"
    - "vae"
    - "encodes"
    - "generates"
    datasets:
    - "avatars"
    ---
    """
    data = (card["data"] or {}).get("name", "")
    has = [*card["abilities"], *(["Edits"] if card.get("editable") else [])]
    values: dict[str, Any] = dict(_IDS.get(data, {}) if card.get("license") in (None, LICENSES.get(data)) else {})
    if not values and card.get("license"):
        values = {"license": "other", "license_name": card["license"]}
    values["library_name"] = "mien"
    if card.get("unit") != SAMPLES:
        values |= next(({"pipeline_tag": task} for ability, task in _TASKS if ability in has), {})
    values["tags"] = ["mien", card["model"], *dict.fromkeys(ability.lower() for ability in has)]
    values |= {"datasets": [data]} if data else {}
    lines = []
    for key, value in values.items():  # texts in JSON are texts in YAML
        lines += [f"{key}:", *(f"- {json.dumps(one)}" for one in value)] if isinstance(value, list) else []
        lines += [] if isinstance(value, list) else [f"{key}: {json.dumps(value)}"]
    return "\n".join(["---", *lines, "---"])


def _facts(card: Mapping[str, Any]) -> str:
    data, training, weights = card["data"], card["training"], card["weights"]
    unit = card.get("unit")
    pictures = noun(unit)
    lines = [
        f"- **Model**: `{card['model']}`, {models.describe(card['model']).partition(':')[2].strip()} "
        f"Abilities: {', '.join(card['abilities']).lower()}."
    ]
    if data:
        options = "".join(f", {key}={_text(value)}" for key, value in data["options"].items())
        counts = data["counts"]
        lines.append(
            f"- **Data**: {data['name']} at {size_text(data['size'], unit)}{options}; "
            f"{counts['train']:,} training {pictures}, {counts['valid']:,} for validation, "
            f"{counts['test']:,} held out ({data['split']} split)."
        )
    if training:
        lines.append(
            f"- **Training**: {training['steps']:,} steps of {training['batch']} {pictures}, "
            f"{training['pictures_seen']:,} {pictures} in all ({training['passes']:g} passes), "
            f"{training['seconds'] / 60:.0f} minutes on {training['device']}, with `{training['command']}`"
        )
    if card["license"]:
        lines.append(f"- **License and use**: {card['license']}")
    for network in reversed(card["loss_networks"]):
        lines.append(f"- **Loss network**: {network['source']}, SHA-256 of its weights `{network['sha256']}`")
    lines.append(
        f"- **Weights**: {weights.get('dtype', 'float16')}, {weights['bytes']:,} bytes, {weights['parameters']:,} "
        f"numbers, SHA-256 `{weights['sha256']}`"
    )
    if weights["left_out"]:
        lines.append(
            f"- **Left out**: {', '.join(f'`{part}`' for part in weights['left_out'])}. Only training needs these "
            "weights, so the model cannot be trained further."
        )
    return "\n".join(lines)


def noun(unit: str | None) -> str:
    """Return what data of this unit are: pictures, or signals.

    >>> noun(None), noun("samples")
    ('pictures', 'signals')
    """
    return of_signals("pictures") if unit == SAMPLES else "pictures"


def _measured(card: Mapping[str, Any]) -> str:
    evaluation, unit = card["evaluation"], card.get("unit")
    judge = evaluation.get("judge")
    by = f" Judge: {judge['run']} (SHA-256 `{judge['weights_sha256']}`)." if judge else ""
    data = evaluation["data"]
    words = (
        f"On {data['test']:,} held-out {noun(unit)} of {data['name']} at {size_text(data['size'], unit)}, "
        f"with the {'float32 ' if card['agreement'] else ''}weights of the run.{by}"
    )
    rows = [{"measure": row["label"], "value": row["value"], "how": row["how"]} for row in card["rows"]]
    return f"{words}\n\n{table(rows)}"


def _agreement(card: Mapping[str, Any]) -> str:
    random, held_out = card["agreement"]["random_pictures"], card["agreement"]["held_out"]
    rows = [{"output": key, "largest difference": f"{v:.2g}"} for key, v in random["largest_difference"].items()]
    pictures = noun(card.get("unit"))
    parts = [f"On {random['n']} random {pictures}:", table(rows)]
    if held_out:
        numbers = "; ".join(f"{key.replace('_', ' ')} {v:.6g}" for key, v in held_out.items() if key != "n")
        parts.append(f"On {held_out['n']:,} held-out {pictures}: {numbers}.")
    return "\n\n".join(parts)


def _use(card: Mapping[str, Any]) -> str:
    name, has = card.get("address", card["name"]), set(card["abilities"])
    edits = card["editable"]
    amount = "Smiling" if "Smiling" in edits else next(iter(edits), "")
    file = "recording.npy" if card.get("unit") == SAMPLES else "me.jpg"
    lines = [f"mien generate {name} -n 16"] if "Generates" in has else []
    lines += [f"mien reconstruct {name} {file}"] if {"Encodes", "Decodes"} <= has else []
    lines += [f"mien edit {name} {file} {amount}=+1"] if amount else []
    lines += [f"mien recognize {name} {file}"] if "Recognizes" in has else []
    return "\n".join(["```sh", *lines, "```"])


def title(config: Mapping[str, Any]) -> str:
    """Return the usual title of a card: what the model does, and with which data.

    >>> title({"model": "vae", "config": {"shape": [3, 64, 64]}, "data": {"name": "celeba"}})
    'Encodes, decodes and generates pictures of celeba'
    """
    *most, last = models.abilities(config["model"])
    words = " and ".join(filter(None, [", ".join(most), last])).capitalize()
    name = config["data"].get("name")
    return f"{words} {noun(unit_of(config))}" + (f" of {name}" if name else "")


def usual_limits(config: Mapping[str, Any]) -> list[str]:
    """Return the limits that follow from the data of a run.

    Args:
        config: the content of its config.json.
    """
    data, (_, height, width), unit = config["data"], config["config"]["shape"], unit_of(config)
    pixels, differences = f"{width} x {height} pixels", "crop, pose or lighting"
    if unit == SAMPLES:
        pixels, differences = size_text(width, unit), "sensor, sampling rate or noise"
    limits = [f"Its {noun(unit)} have {pixels}."]
    if "counts" in data:
        limits.append(
            f"It was trained on {data['counts']['train']:,} {noun(unit)} of {data['name']}. Expect worse results "
            f"on {noun(unit)} that differ from them in {differences}."
        )
    if data.get("attributes"):
        limits.append(
            "Attribute labels are judgments of people and carry their bias. Attributes that often occur together "
            "change together."
        )
    return limits
