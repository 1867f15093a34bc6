"""Faces in photos: how many are found, how well they are aligned, what an edit changes, and the time of a large photo.

    MIEN_DATA=FOLDER python benchmarks/photos.py        # about ten minutes on one core: results/photos/photos.json

The folder holds lfw/, aflw/ and photos/ (see docs/data.md); a part that is missing is left out and named. Faces in the
wild come with five points by hand. A face counts as found if the mean distance of its five points from the truth is
below half of the distance between the eyes. dlib marks the centers of the lids and the truth marks the pupils, so an
error of about .04 remains for a perfect finder.
"""

from __future__ import annotations

import json
import os
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import common
import numpy as np

MODEL, AMOUNT = "faces-64", 1.5
EDITS = ("Smiling", "Male", "Young")
SAME_PERSON = 0.6  # distance of dlib's embedding, see mien.metrics.faces
PORTRAITS = (
    "people/astronaut.png", "people/obama.jpg", "people/biden.jpg", "people/obama_small.jpg",
    "people/obama3_fullbody.jpg", "people/obama_and_biden.jpg", "people/rgba_backview_32bit.png",
    "groups_dlib/2008_001009.jpg", "groups_dlib/2008_001322.jpg", "groups_dlib/bald_guys.jpg",
)  # fmt: skip


def in_the_wild(folder: Path, count: int) -> dict[str, Any]:
    """Return the share of faces that are found and the errors of their points, on ``count`` pictures of a set."""
    from mien.data.pictures import open_picture
    from mien.photos import DlibFinder

    archive = next(folder.glob("*.zip"))
    rows = [line.split() for line in next(folder.glob("list_landmarks_*.txt")).read_text().splitlines()[2:]]
    chosen = np.random.default_rng(0).permutation(len(rows))[:count]
    finder, errors, angles, missed, others, seconds = DlibFinder(), [], [], 0, 0, 0.0
    with zipfile.ZipFile(archive) as file:
        names = {"/".join(name.split("/")[-1 - rows[0][0].count("/") :]): name for name in file.namelist()}
        for i in chosen:
            truth = np.array(rows[i][1:], float).reshape(5, 2)
            photo = np.asarray(open_picture(file.read(names[rows[i][0]])))
            start = time.perf_counter()
            faces = finder(photo)
            seconds += time.perf_counter() - start
            eyes = np.linalg.norm(truth[1] - truth[0])
            distances = [np.linalg.norm(face.five - truth, axis=1).mean() / eyes for face in faces]
            best = min(distances, default=np.inf)
            missed += int(best >= 0.5)
            others += len(faces) - int(best < 0.5)
            if best < 0.5:
                face = faces[int(np.argmin(distances))]
                errors.append(best)
                x, y = truth[1] - truth[0]
                angles.append(abs((face.angle - np.degrees(np.arctan2(y, x)) + 180) % 360 - 180))
    return {
        "pictures": len(chosen),
        "found": 1 - missed / len(chosen),
        "other_faces": others,
        "error_median": float(np.median(errors)),
        "error_90": float(np.quantile(errors, 0.9)),
        "angle_median": float(np.median(angles)),
        "seconds_a_picture": seconds / len(chosen),
    }


def portraits(folder: Path) -> dict[str, Any]:
    """Return what edits change in photos: pixels outside the face, and the distance between the persons."""
    from mien import load, photos
    from mien.applications.arithmetic import Editor
    from mien.data.pictures import open_picture
    from mien.metrics.faces import Faces
    from mien.run.folder import read_config, resolve
    from mien.run.opening import cached_vectors

    model = load(MODEL)
    template = photos.template_of(read_config(resolve(MODEL))["data"], model.config["shape"])
    editor, embed, finder = Editor(model, cached_vectors(MODEL)), Faces().embeddings, photos.DlibFinder()
    closeup = photos.celeba(256, 178)
    distances: dict[str, list[float]] = {"change": [], "picture": []}
    identical = photos_seen = 0
    for name in PORTRAITS:
        photo = np.asarray(open_picture(folder / name))
        faces = finder(photo)
        before = embed(photos.align(photo, faces[0], closeup).x)[0]
        for attribute in EDITS:
            for paste, values in distances.items():
                result = photos.edit_photo(photo, editor, {attribute: AMOUNT}, template, 1, paste, faces)
                identical += bool((result.photo[~result.changed] == photo[~result.changed]).all())
                photos_seen += 1
                after = embed(photos.align(result.photo, faces[0], closeup).x)[0]
                values.append(float(np.linalg.norm(after - before)))
    summary = {
        paste: {
            "edits": len(values),
            "found_again": int(np.isfinite(values).sum()),
            "distance_median": float(np.nanmedian(values)),
            "same_person": float(np.mean(np.array(values) < SAME_PERSON)),
        }
        for paste, values in distances.items()
    }
    return {"photos": len(PORTRAITS), "identical_outside": identical / photos_seen, "amount": AMOUNT, **summary}


def large_photo(folder: Path, rounds: int) -> dict[str, Any]:
    """Return the seconds of each part for a photo of 12 megapixels: median of ``rounds``."""
    import io

    from PIL import Image

    from mien import load, photos
    from mien.applications.arithmetic import Editor
    from mien.data.pictures import open_picture
    from mien.run.folder import read_config, resolve
    from mien.run.opening import cached_vectors

    model = load(MODEL)
    template = photos.template_of(read_config(resolve(MODEL))["data"], model.config["shape"])
    editor, finder = Editor(model, cached_vectors(MODEL)), photos.DlibFinder()
    file = io.BytesIO()
    Image.open(folder / "people/obama.jpg").resize((3098, 3872), Image.Resampling.LANCZOS).save(file, "JPEG")
    times: dict[str, list[float]] = {"read": [], "find": [], "edit_and_paste": [], "write": []}
    for _ in range(rounds):
        marks = [time.perf_counter()]
        photo = np.asarray(open_picture(file.getvalue()))
        marks.append(time.perf_counter())
        faces = finder(photo)
        marks.append(time.perf_counter())
        result = photos.edit_photo(photo, editor, {"Smiling": AMOUNT}, template, faces=faces)
        marks.append(time.perf_counter())
        Image.fromarray(result.photo).save(io.BytesIO(), "JPEG", quality=95)
        marks.append(time.perf_counter())
        for values, seconds in zip(times.values(), np.diff(marks), strict=True):
            values.append(float(seconds))
    return {"megapixels": photo.shape[0] * photo.shape[1] / 1e6} | {k: float(np.median(v)) for k, v in times.items()}


def main(argv: list[str] | None = None) -> int:
    """Measure, print, and write results/photos/photos.json."""
    options = common.parse(__doc__, argv, minutes=10)
    root = Path(os.environ.get("MIEN_DATA", common.ROOT.parent / "shared" / "data"))
    parts: dict[str, Any] = {}
    for name in ("lfw", "aflw"):
        if (root / name).is_dir():
            parts[name] = in_the_wild(root / name, 20 if options.smoke else 600)
    if (root / "photos").is_dir():
        parts["edits"] = portraits(root / "photos")
        parts["large_photo"] = large_photo(root / "photos", options.rounds)
    missing = [name for name in ("lfw", "aflw", "photos") if not (root / name).is_dir()]
    if missing:
        print(f"left out, not in the data folder: {', '.join(missing)}", file=sys.stderr)
    result = {"model": MODEL, "seed": 0, "machine": common.machine("cpu"), **parts}
    print(json.dumps(result, indent=2))
    if options.out is not None:
        from mien.files import write_json

        write_json(common.ROOT / "results" / "photos" / "photos.json", result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
