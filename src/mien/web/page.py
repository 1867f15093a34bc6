"""The folder of a page: the editor of a run as ONNX, what the page must know of it, and the files of the page."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mien import pretrained
from mien.applications.arithmetic import AttributeVectors
from mien.errors import MienError
from mien.evaluation.store import RESULT
from mien.export_editor import EDITOR, export_editor, template_masks
from mien.files import write_atomically, write_json
from mien.hub.card import LICENSES
from mien.photos.masks import BEYOND_FACE
from mien.photos.template import Template, template_of
from mien.run.folder import read_config, read_json, resolve, weights_digest
from mien.web.runtime import read_runtime

STATIC = Path(__file__).parent / "static"
ABOUT, RUNTIME = "editor.json", "runtime"
MASKS = ("mask-face.png", "mask-whole.png")
PORTRAIT = "portrait.jpg"
# of the portrait: the eye on the left, the eye on the right, the middle of the mouth, as fractions of width and height
PORTRAIT_POINTS = ((0.3983, 0.1991), (0.4826, 0.2039), (0.4363, 0.2742))
FILES = tuple(path.name for path in sorted(STATIC.iterdir()))


def files(runtime: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the names of all files of a page, for a runtime of these files."""
    return (*FILES, EDITOR, ABOUT, *MASKS, PORTRAIT, *(f"{RUNTIME}/{name}" for name in runtime))


def write_page(
    run: str | Path,
    out: str | Path,
    vectors: AttributeVectors | None,
    runtime: str | Path | None,
    keep: Sequence[str] = (),
    direction: str = "mean",
    progress: Callable[[str, int, int], None] | None = None,
) -> Path:
    """Write a page that edits photos by a run, and return its folder. Any server of static files can serve it.

    Args:
        run: the run folder.
        out: the folder to write.
        vectors: the attribute vectors of the run; None for a model that edits by itself.
        runtime: the folder or the archive of the npm package onnxruntime-web.
        keep: attributes that an edit of another attribute must keep.
        direction: of the vectors.
        progress: called with (what, done, total).

    Raises:
        MienError: there is no such runtime, or as :func:`mien.export_editor.export_editor`.
    """
    run, out = resolve(run), Path(out)
    code, version = read_runtime(runtime)
    config = read_config(run)
    _, height, width = config["config"]["shape"]
    if height != width:
        raise MienError(f"expected a model of square pictures for a page, got {height} x {width}: use mien export")
    note = progress or (lambda what, done, total: None)
    note("page", 0, 2)
    about = export_editor(run, out / EDITOR, vectors, keep, direction)
    note("page", 1, 2)
    template = template_of(config["data"], (about["channels"], *about["size"]))
    for name, content in code.items():
        write_atomically(out / RUNTIME / name, partial(_write, content))
    for name in FILES:
        write_atomically(out / name, partial(shutil.copyfile, STATIC / name))
    write_atomically(
        out / PORTRAIT, partial(shutil.copyfile, Path(pretrained.__file__).parents[1] / "photos" / PORTRAIT)
    )
    masks = template_masks(template or _middle(about["size"][0]))
    for name, mask in zip(MASKS, masks, strict=True):
        picture = Image.fromarray(np.rint(mask * 255).astype(np.uint8))
        write_atomically(out / name, picture.save)
    write_json(out / ABOUT, _facts(run, config, about, template, version))
    note("page", 2, 2)
    return out


def _write(content: bytes, place: Path) -> None:
    place.write_bytes(content)


def _middle(size: int) -> Template:
    """Return the template for a model of other pictures than faces: only its mask of the whole picture is used."""
    return Template(np.array([(0.35, 0.4), (0.65, 0.4), (0.5, 0.55), (0.4, 0.7), (0.6, 0.7)]), size)


def _facts(
    run: Path, config: Mapping[str, Any], about: Mapping[str, Any], template: Template | None, version: str
) -> dict[str, Any]:
    """Return what the page must know: the attributes with the best measured edits first, and the template."""
    scores = _scores(run)
    rows = [
        {
            "name": name,
            "index": index,
            "gain": scores.get(name),
            "amount": about["recommended"][name],
            "whole": template is None or name in BEYOND_FACE,
        }
        for index, name in enumerate(about["attributes"])
    ]
    rows.sort(key=lambda row: -(-math.inf if row["gain"] is None else row["gain"]))
    points = None
    if template is not None:
        left, right, _, *mouth = template.points.tolist()
        points = [left, right, np.mean(mouth, 0).tolist()]
    data = config["data"].get("name", "")
    card = read_json(run / pretrained.CARD)
    return {
        "run": run.name,
        "model": about["model"],
        "size": about["size"],
        "channels": about["channels"],
        "points": points,  # of the two eyes and the mouth, in pixels of the model's pictures
        "portrait": PORTRAIT_POINTS,
        "attributes": rows,
        "license": card.get("license") or LICENSES.get(data, ""),
        "editor_sha256": about["sha256"],
        "weights_sha256": about["weights_sha256"],
        "mien": about["mien"],
        "runtime": version,
    }


def _scores(run: Path) -> dict[str, float]:
    """Return the measured gain of the edits of each attribute by the stored evaluation or the card of a run."""
    digest = weights_digest(run)
    for values in (read_json(run / RESULT), read_json(run / pretrained.CARD).get("evaluation")):
        if not isinstance(values, dict) or values.get("weights_sha256") != digest:
            continue
        edits = values.get("edits")
        per = edits.get("per_attribute") if isinstance(edits, dict) else None
        rows = per.items() if isinstance(per, dict) else []
        gains = {name: one.get("gain") for name, one in rows if isinstance(one, dict)}
        return {name: float(gain) for name, gain in gains.items() if isinstance(gain, int | float)}
    return {}
