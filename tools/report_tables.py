"""The tables of the README and the pages in docs/, as Markdown: from the models and measures, and from results/."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mien import data, models
from mien.abilities import ABILITIES
from mien.evaluation import measures
from mien.evaluation.measure import Row
from mien.evaluation.result import Evaluation

NOTHING = "–"


def model_table() -> str:
    """Return the table of models and abilities."""
    abilities = [ability.__name__ for ability in ABILITIES]
    lines = [
        "| model | " + " | ".join(name.lower() for name in abilities) + " | what it is |",
        "|---" * (len(abilities) + 2) + "|",
    ]
    for name in models.names():
        has = models.abilities(name)
        marks = " | ".join("●" if ability in has else "" for ability in abilities)
        lines.append(f"| `{name}` | {marks} | {models.describe(name).partition(':')[2].strip()} |")
    return "\n".join(lines)


def data_table() -> str:
    """Return the table of data sets and their options, from the first lines of their files."""
    lines = ["| data set | content | options |", "|---|---|---|"]
    for name in data.names():
        title = data.describe(name)
        options = ", ".join(f"`{key}={value}`" for key, value in data.options(name).items())
        lines.append(f"| `{name}` | {title.partition(':')[2].strip() or title} | {options} |")
    return "\n".join(lines)


def measure_table() -> str:
    """Return the table of measures, from the first lines of their files."""
    lines = ["| measure | what it is | usual | uses a judge |", "|---|---|---|---|"]
    for name in measures.names():
        measure = measures.get(name)
        marks = " | ".join("●" if mark else "" for mark in (measure.usual, measure.judged))
        lines.append(f"| `{name}` | {measure.title} | {marks} |")
    return "\n".join(lines)


def result_tables(folder: Path, names: Sequence[str] = ()) -> str:
    """Return stored results: their descriptions, their commands, one column for each run.

    Runs that differ in their seed alone share a column, with one value for each seed.

    Args:
        folder: of the results; names: which of them, all by default.
    """
    parts = []
    paths = [folder / f"{name}.json" for name in names] if names else sorted(folder.glob("*.json"))
    for path in filter(Path.exists, paths):
        result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        columns = _columns(result["runs"])
        rows: dict[str, list[str]] = {}
        for number, runs in enumerate(columns.values()):
            by_label = [{row.label: row for row in _rows(run)} for run in runs]
            for label in by_label[0]:
                of_seeds = [one.get(label) for one in by_label]
                # with several seeds, a spread over pictures would look like a spread over seeds
                texts = [NOTHING if row is None else row.value if len(runs) > 1 else row.text for row in of_seeds]
                rows.setdefault(label, [NOTHING] * len(columns))[number] = " / ".join(texts)
        heads = " | ".join(f"`{name}`" for name in columns)
        table = [f"| | {heads} |", "|---" * (len(columns) + 1) + "|"]
        table += [f"| {measure} | {' | '.join(cells)} |" for measure, cells in rows.items()]
        commands = "\n".join(result["commands"])
        parts.append(
            f"**{result['title']}** ({result['about']}; `{path.as_posix()}`)\n\n"
            + "\n".join(table)
            + f"\n\n```sh\n{commands}\n```"
        )
    return "\n\n".join(parts) or "No results are stored yet."


def multiview_tables(folder: Path) -> str:
    """Return all stored multi-view results: a row for each single run, and one for all runs together."""
    parts = []
    for path in sorted((folder / "multiview").glob("*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        together = result["multi-view"]
        rows = [
            (f"{name}{'' if name in together['of'] else ' (beside)'}", one, result["gain"][name])
            for name, one in result["alone"].items()
        ]
        lines = ["| features | numbers | accuracy | all together minus it, paired |", "|---|---|---|---|"]
        for name, one, gain in rows:
            difference = f"{100 * gain['mean']:+.2f} ± {100 * gain['sem']:.2f}"
            lines.append(f"| {name} | {one['features']} | {_percent(one)} | {difference} |")
        lines.append(f"| **{len(together['of'])} together** | {together['features']} | {_percent(together)} | |")
        lines.append(f"| always the commoner value | | {result['majority_baseline']:.2%} | |")
        about = (
            f"{result['n']:,} held-out pictures, {result['attributes']} attributes, linear SVMs with "
            f"C = {result['c']:g} on {result['n_train']:,}; ± standard error over pictures; one training each; "
            f"`{path.as_posix()}`"
        )
        parts.append(f"**Multi-view features** ({about})\n\n" + "\n".join(lines))
    return "\n\n".join(parts)


def _percent(one: dict[str, Any]) -> str:
    return f"{one['mean_accuracy']:.2%} ± {one['sem']:.2%}"


def face_table(folder: Path) -> str:
    """Return the stored baselines of identity and landmarks."""
    path = folder / "faces" / "face_baselines.json"
    if not path.exists():
        return ""
    result = json.loads(path.read_text(encoding="utf-8"))
    lines = [
        "| size | faces found | same person | strangers | AUC | landmarks, no glasses | landmarks, glasses |",
        "|---|---|---|---|---|---|---|",
    ]
    for size, part in result["sizes"].items():
        who, where = part["identity"], part["landmarks"]["stability"]
        people = " | ".join(
            f"{who[k]['mean']:.3f} ± {who[k]['sd']:.3f} ({who[k]['n']} of {who[k]['pairs']})"
            for k in ("same", "strangers")
        )
        points = " | ".join(f"{where[k]['eyes']['mean']:.4f} / {where[k]['rest']['mean']:.4f}" for k in ("D0", "D1"))
        lines.append(f"| {size} | {who['found']:.1%} of {who['pictures']} | {people} | {who['auc']:.3f} | {points} |")
    about = (
        "distances of dlib's embedding, ± deviation over pairs (both faces found); landmarks: how far they move, "
        f"eyes / rest, in eye distances, when the picture is moved in known ways; seed {result['seed']}; "
        f"`{path.as_posix()}`"
    )
    return (
        f"**Identity and landmarks of {result['data']['name']} itself** ({about})\n\n"
        + "\n".join(lines)
        + f"\n\n```sh\n{result['command']}\n```"
    )


def label_table(folder: Path) -> str:
    """Return every stored result of synthesized labels: a row for each run, noise and number of labels."""
    results = [json.loads(path.read_text(encoding="utf-8")) for path in (folder / "synthesized_labels").glob("*.json")]
    if not results:
        return ""
    results.sort(key=lambda result: (result["run"], -result["labeled"], result["noise"]))
    lines = [
        "| made by | noise | real a class | made a class | real few | made | few and made | gain, paired "
        "| as many real | label kept |",
        "|---" * 10 + "|",
    ]
    for result in results:
        cells = [_seeds(result["accuracy"][key]) for key in ("few", "synthesized", "both")]
        cells += [_seeds(result["gain"], "+"), *(_seeds(result["accuracy"][key]) for key in ("many", "label_kept"))]
        first = (f"`{result['run']}`", f"{result['noise']:g}", str(result["labeled"]), str(result["per_class"]))
        lines.append(f"| {' | '.join([*first, *cells])} |")
    one = results[0]
    about = (
        f"accuracy in % of a small classifier on {one['n_test']:,} held-out real pictures of {one['data']}, "
        f"by what it was trained on for {one['steps']} steps (four fifths of the pictures named; "
        "noise 0: encoded and decoded only); "
        f"± deviation over {one['seeds']} seeds; gain: few and made minus few, seed by seed; label kept: share of made "
        f"pictures that the classifier of as many real ones gives their label; the run itself has seen all "
        f"training pictures, and a model that learns classes the labels it was trained with; "
        f"`{(folder / 'synthesized_labels').as_posix()}`"
    )
    commands = "\n".join(result["command"] for result in results)
    return f"**Synthesized labels** ({about})\n\n" + "\n".join(lines) + f"\n\n```sh\n{commands}\n```"


def _seeds(one: dict[str, Any], sign: str = "") -> str:
    spread = "" if one["sd"] is None else f" ± {100 * one['sd']:.1f}"
    return f"{100 * one['mean']:{sign}.1f}{spread}"


def bench_table(folder: Path) -> str:
    """Return the targets of the stored benchmarks."""
    lines = ["| target | wanted | measured | reached | benchmark |", "|---|---|---|---|---|"]
    machine = ""
    for path in sorted((folder / "bench").glob("*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        about = result["machine"]
        words = {"cpu": "{}", "cores": "{} cores", "torch": "torch {}"}
        machine = ", ".join(text.format(about[key]) for key, text in words.items() if key in about)
        for target in result["targets"]:
            mark = "yes" if target["reached"] else "no"
            lines.append(f"| {target['what']} | {target['wanted']} | {target['got']} | {mark} | `{path.name}` |")
    if len(lines) == 2:
        return "No benchmark is stored yet: `make bench` makes them."
    return "\n".join(lines) + f"\n\nMedian (quartiles) of interleaved rounds; {machine}."


def cost_table(folder: Path) -> str:
    """Return the stored wall time, CPU time and memory of every measure and application."""
    path = folder / "bench" / "applications.json"
    if not path.exists():
        return ""
    result = json.loads(path.read_text(encoding="utf-8"))
    lines = [
        "| measure or application | pictures | seconds | CPU seconds | peak MB | given | returned | beyond |",
        "|---" * 8 + "|",
    ]
    for row in result["rows"]:
        parts = " | ".join(f"{row['megabytes'][key]:,}" for key in ("given", "result", "beyond"))
        times = " | ".join(_seconds(row[key]) for key in ("seconds", "cpu_seconds"))
        lines.append(
            f"| `{row['name']}`: {row['what']} | {row['n']:,} | {times} | {row['peak_megabytes']:,} | {parts} |"
        )
    opened = max(row["megabytes"]["opened"] for row in result["rows"])
    about = (
        f"{result['about']}; each in a process of its own, median (quartiles) of up to {result['rounds']}; beyond: the "
        f"peak less an opened run's {opened:,} MB, what was given and what is returned; `{path.as_posix()}`"
    )
    notes = "\n".join(f"- {note}" for note in result["notes"])
    return f"**What each takes** ({about})\n\n" + "\n".join(lines) + f"\n\n{notes}"


def _seconds(values: Mapping[str, float]) -> str:
    digits = 2 if values["median"] < 10 else 1
    text = f"{values['median']:.{digits}f}"
    return text if values["n"] == 1 else f"{text} ({values['q1']:.{digits}f}–{values['q3']:.{digits}f})"


def _columns(runs: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return runs by the name of their column; runs that differ only in their seed share a column."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        training = {k: run["training"].get(k) for k in ("steps", "batch", "precision", "ema")}
        kept = {k: v for k, v in run["data"].items() if k not in ("fingerprint", "counts", "held_out")}
        groups.setdefault(json.dumps([run["model"], run["settings"], kept, training]), []).append(run)
    named = {}
    for group in groups.values():
        group.sort(key=lambda run: run["training"]["seed"])
        names = [run["name"] for run in group]  # names of runs, not paths
        name = os.path.commonprefix(names).rstrip("-_") or group[0]["model"]  # noqa: RUF071
        if len(group) > 1:
            name += ", seeds " + ", ".join(str(run["training"]["seed"]) for run in group)
        named[name] = group
    return named


def _rows(run: dict[str, Any]) -> list[Row]:
    """Return the rows of a stored run: its training, then its measures."""
    training = run["training"]
    return [
        Row("images/s in training", f"{training['images_per_second']:.0f}", ""),
        Row("steps, minutes", f"{training.get('step', training['steps']):,}, {training['seconds'] / 60:.1f}", ""),
        *Evaluation.from_json(run["evaluation"]).rows(),
    ]


def photo_tables(results: Path) -> str:
    """Return the tables of results/photos/photos.json, which benchmarks/photos.py writes; empty without the file."""
    path = results / "photos" / "photos.json"
    if not path.exists():
        return ""
    result = json.loads(path.read_text(encoding="utf-8"))
    rows = [
        "| faces in the wild | pictures | found | error of the points, median (90 %) | error of the angle | time |",
        "|---|---|---|---|---|---|",
    ]
    for name, title in (("lfw", "LFW, 150x150"), ("aflw", "AFLW, all poses, 80x80")):
        if (one := result.get(name)) is None:
            continue
        rows.append(
            f"| {title} | {one['pictures']:,} | {one['found']:.1%} | {one['error_median']:.3f} ({one['error_90']:.3f}) "
            f"| {one['angle_median']:.1f}° | {1000 * one['seconds_a_picture']:.0f} ms |"
        )
    text = [
        "Errors are distances from points by hand, in units of the distance between the eyes; dlib marks the lids and "
        "the truth marks the pupils, so about .04 remains for a perfect finder."
    ]
    if (edits := result.get("edits")) is not None:
        total = edits["change"]["edits"]
        rows += [
            "",
            f"| {total} edits of {edits['photos']} photos, amount {edits['amount']:g} | distance between the persons, "
            "median | below .6, dlib's threshold of the same person |",
            "|---|---|---|",
            *(
                f"| pasted as {how} | {edits[how]['distance_median']:.2f} | {edits[how]['same_person']:.0%} |"
                for how in ("change", "picture")
            ),
        ]
        text.append(f"Pixels outside the mask were identical in {edits['identical_outside']:.0%} of these edits.")
    if (large := result.get("large_photo")) is not None:
        parts = ", ".join(f"{key.replace('_', ' ')} {large[key]:.2f} s" for key in list(large)[1:])
        text.append(f"A photo of {large['megapixels']:.0f} megapixels on one thread: {parts}.")
    about = result["machine"]
    text.append(f"Model {result['model']}, {about['cpu']}, `python benchmarks/photos.py`, {about['date']}.")
    return "\n".join([*rows, "", " ".join(text)])
